#include "grpc/decision_feed.h"

#include <algorithm>

#include <google/protobuf/util/json_util.h>

#include "base/log.h"
#include "base/text.h"
#include "net/http_client.h"

namespace sobre {
namespace {

constexpr std::chrono::milliseconds kFirstPause{500};
constexpr std::chrono::milliseconds kLongestPause{30'000};
// The service sends a comment every 15 s.
constexpr Duration kIdle = std::chrono::seconds(45);

}  // namespace

std::vector<EventReader::Event> EventReader::Take(std::string_view piece) {
  std::vector<Event> out;
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    if (line_.size() + part.size() > kMostBytes) {
      too_long_ = true;
      line_.clear();
    } else {
      line_ += part;
    }
    if (end == std::string_view::npos) break;
    piece.remove_prefix(end + 1);
    TakeLine(line_, out);
    line_.clear();
  }
  return out;
}

void EventReader::TakeLine(std::string_view line, std::vector<Event>& out) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) {
    if (!event_.data.empty() && !too_long_) out.push_back(std::move(event_));
    event_ = {};
    too_long_ = false;
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value =
      colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") {
    event_.name = value;
  } else if (field == "id") {
    event_.id = value;
  } else if (field == "data") {
    if (event_.data.size() + value.size() > kMostBytes) {
      too_long_ = true;
      return;
    }
    if (!event_.data.empty()) event_.data += '\n';
    event_.data += value;
  }
}

DecisionFeed::DecisionFeed(std::vector<std::string> urls) : urls_(std::move(urls)) {
  for (const std::string& url : urls_) threads_.emplace_back([this, &url] { Follow(url); });
}

DecisionFeed::~DecisionFeed() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::uint64_t DecisionFeed::Begin(bool with_recent) const {
  const std::lock_guard lock(mutex_);
  return with_recent ? first_ : first_ + events_.size();
}

std::optional<std::vector<v1::DecisionEvent>> DecisionFeed::Next(std::uint64_t& position,
                                                                 Duration most) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, most, [&] { return stop_ || position < first_ + events_.size(); });
  if (position < first_) return std::nullopt;
  std::vector<v1::DecisionEvent> news(
      events_.begin() + static_cast<std::ptrdiff_t>(position - first_), events_.end());
  position = first_ + events_.size();
  return news;
}

void DecisionFeed::Push(v1::DecisionEvent event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  if (events_.size() > kKept) {
    events_.pop_front();
    ++first_;
  }
}

void DecisionFeed::Add(const EventReader::Event& event, const std::string& from) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto parse = [&](const std::string& text, google::protobuf::Message& message) {
    const bool ok = google::protobuf::util::JsonStringToMessage(text, &message, options).ok();
    if (!ok) {
      Log(LogLevel::kWarning, "a decision's event was not understood",
          {{"from", from}, {"event", Printable(event.name)}});
    }
    return ok;
  };
  if (event.name == "decisions") {
    v1::DecisionBatch batch;
    if (!parse(event.data, batch)) return;
    for (v1::DecisionSummary& decision : *batch.mutable_decisions()) {
      v1::DecisionEvent out;
      *out.mutable_decision() = std::move(decision);
      out.set_from(from);
      Push(std::move(out));
    }
    if (batch.skipped() > 0) {
      v1::DecisionEvent out;
      out.set_skipped(batch.skipped());
      out.set_from(from);
      Push(std::move(out));
    }
  } else if (event.name == "outcomes") {
    // A bare list has no message: it stands in one here.
    v1::OutcomeBatch batch;
    if (!parse("{\"outcomes\":" + event.data + "}", batch)) return;
    for (v1::PodOutcome& outcome : *batch.mutable_outcomes()) {
      v1::DecisionEvent out;
      *out.mutable_outcome() = std::move(outcome);
      out.set_from(from);
      Push(std::move(out));
    }
  }
  wake_.notify_all();
}

bool DecisionFeed::Wait(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [&] { return stop_.load(); });
}

void DecisionFeed::Follow(const std::string& url) {
  HttpClient client;
  HttpCall call;
  call.url = url + "/api/v1/stream";
  call.timeout = Duration(0);
  std::string last_id;
  std::chrono::milliseconds pause = kFirstPause;
  while (!stop_) {
    EventReader reader;
    bool open = false;
    call.headers = {"Accept: text/event-stream"};
    if (!last_id.empty()) call.headers.push_back("Last-Event-ID: " + last_id);
    const Result<HttpReply> reply = client.Stream(call, kIdle, stop_, [&](std::string_view piece) {
      if (!open) {
        open = true;
        ++open_;
        pause = kFirstPause;
      }
      for (const EventReader::Event& event : reader.Take(piece)) {
        if (!event.id.empty()) last_id = event.id;
        Add(event, url);
      }
      return !stop_;
    });
    if (open) --open_;
    if (stop_) return;
    Log(LogLevel::kWarning, "stream of decisions: trying again",
        {{"url", call.url},
         {"error",
          reply.ok() ? "HTTP status " + std::to_string(reply->status) : reply.status().message()}});
    if (!Wait(pause)) return;
    pause = std::min(pause * 2, kLongestPause);
    // Another process counts anew.
    if (!reply.ok()) last_id.clear();
  }
}

}  // namespace sobre
