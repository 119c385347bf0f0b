#include "k8s/event_writer.h"

#include <chrono>

#include "base/background.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/text.h"

namespace sobre {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(100);
constexpr Duration kQuiet = std::chrono::minutes(10);
constexpr std::size_t kMostRemembered = 4096;
constexpr std::size_t kMostOfEach = 2048;
constexpr std::size_t kLongestMessage = 1000;  // the API server takes 1,024

std::string EventJson(const PodEvent& event, Timestamp now) {
  const std::string time = FormatTime(now).substr(0, 19) + "Z";
  std::string out;
  JsonWriter json(out);
  json.BeginObject().Key("apiVersion").Value("v1").Key("kind").Value("Event");
  json.Key("metadata").BeginObject();
  json.Key("generateName").Value("sobre-").Key("namespace").Value(event.namespace_name).EndObject();
  json.Key("involvedObject").BeginObject();
  json.Key("apiVersion").Value("v1").Key("kind").Value("Pod");
  json.Key("namespace").Value(event.namespace_name).Key("name").Value(event.pod);
  json.Key("uid").Value(event.uid).EndObject();
  json.Key("reason").Value(event.reason).Key("message");
  json.Value(Printable(event.message, kLongestMessage));
  json.Key("type").Value(event.warning ? "Warning" : "Normal");
  json.Key("source").BeginObject().Key("component").Value("sobre").EndObject();
  json.Key("firstTimestamp").Value(time).Key("lastTimestamp").Value(time);
  json.Key("count").Value(1).EndObject();
  return out;
}

}  // namespace

EventWriter::EventWriter(const ApiAccess& access) : access_(access), thread_([this] { Run(); }) {}

EventWriter::~EventWriter() {
  stop_ = true;
  thread_.join();
}

void EventWriter::Run() {
  NameThread("events");
  ApiClient api(access_);
  PodEvent event;
  while (!stop_) {
    if (!queue_.Pop(event)) {
      std::this_thread::sleep_for(kPause);
      continue;
    }
    const Timestamp now = Now();
    if (!SaidLately(event, now)) Write(api, event, now);
  }
}

bool EventWriter::SaidLately(const PodEvent& event, Timestamp now) {
  if (said_.size() >= kMostRemembered) {
    std::erase_if(said_, [&](const auto& entry) { return now - entry.second > kQuiet; });
    if (said_.size() >= kMostRemembered) said_.clear();
  }
  const std::string what = event.uid + "\n" + event.reason + "\n" + event.message;
  const auto [entry, added] = said_.emplace(what.substr(0, kMostOfEach), now);
  if (added) return false;
  if (now - entry->second <= kQuiet) return true;
  entry->second = now;
  return false;
}

void EventWriter::Write(ApiClient& api, const PodEvent& event, Timestamp now) {
  const Result<HttpReply> reply =
      api.Call("POST", "/api/v1/namespaces/" + PercentEncode(event.namespace_name) + "/events",
               EventJson(event, now));
  if (reply.ok() && reply->status < 300) return;
  Log(LogLevel::kWarning, "event not written",
      {{"pod", event.namespace_name + "/" + event.pod},
       {"error", reply.ok() ? Complaint(*reply) : reply.status().message()}});
}

}  // namespace sobre
