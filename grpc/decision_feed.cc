#include "grpc/decision_feed.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include <google/protobuf/util/json_util.h>
#include <netdb.h>
#include <sys/socket.h>

#include "base/background.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "net/http_client.h"

namespace sobre {
namespace {

constexpr std::chrono::milliseconds kFirstPause{500};
constexpr std::chrono::milliseconds kLongestPause{30'000};
// The service sends a comment every 15 s.
constexpr Duration kIdle = std::chrono::seconds(45);
// How soon a replica that came, or went, is seen.
constexpr std::chrono::milliseconds kBetweenLooks{10'000};

}  // namespace

Result<std::vector<std::string>> ReplicasOf(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return std::vector{url};
  const std::size_t end = std::min(url.find('/', kScheme.size()), url.size());
  const std::string authority = url.substr(kScheme.size(), end - kScheme.size());
  if (authority.starts_with('[')) return std::vector{url};
  const std::string host = authority.substr(0, authority.find(':'));
  const std::string rest = authority.substr(host.size()) + url.substr(end);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0)
    return Status::Unavailable(host + ": " + gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, &freeaddrinfo);
  std::vector<std::string> replicas;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (one->ai_family != found->ai_family ||
        getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) != 0)
      continue;
    std::string replica(kScheme);
    if (one->ai_family == AF_INET6) {
      replica.append("[").append(text.data()).append("]");
    } else {
      replica.append(text.data());
    }
    replicas.push_back(replica.append(rest));
  }
  return replicas;
}

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

DecisionFeed::DecisionFeed(std::vector<std::string> urls, std::string token_file)
    : urls_(std::move(urls)), token_file_(std::move(token_file)) {
  for (const std::string& url : urls_) threads_.emplace_back([this, &url] { Oversee(url); });
}

DecisionFeed::~DecisionFeed() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

std::uint64_t DecisionFeed::Begin(bool with_recent) const {
  const MutexLock lock(mutex_);
  return with_recent ? first_ : first_ + events_.size();
}

std::optional<std::vector<v1::DecisionEvent>> DecisionFeed::Next(std::uint64_t& position,
                                                                 Duration most) {
  MutexLock lock(mutex_);
  wake_.WaitFor(lock, most, [&]() SOBRE_REQUIRES(mutex_) {
    return stop_ || position < first_ + events_.size();
  });
  if (position < first_) return std::nullopt;
  std::vector<v1::DecisionEvent> news(
      events_.begin() + static_cast<std::ptrdiff_t>(position - first_), events_.end());
  position = first_ + events_.size();
  return news;
}

void DecisionFeed::Push(v1::DecisionEvent event) {
  const MutexLock lock(mutex_);
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
  wake_.NotifyAll();
}

bool DecisionFeed::Wait(std::chrono::milliseconds time, const std::atomic<bool>& stop) {
  MutexLock lock(mutex_);
  return !wake_.WaitFor(lock, time, [&] { return stop.load(); });
}

void DecisionFeed::End(Follower& follower) {
  {
    const MutexLock lock(mutex_);
    follower.stop = true;
  }
  wake_.NotifyAll();
  follower.thread.join();
}

void DecisionFeed::Oversee(const std::string& url) {
  std::map<std::string, Follower> followers;
  std::chrono::milliseconds pause = kFirstPause;
  do {
    const auto replicas = ReplicasOf(url);
    // Who is followed is kept while names are not to be had.
    if (!replicas.ok()) {
      Log(LogLevel::kWarning, "stream of decisions: trying again",
          {{"url", url}, {"error", replicas.status().message()}});
      pause = std::min(pause * 2, kBetweenLooks);
      continue;
    }
    pause = kBetweenLooks;
    for (auto one = followers.begin(); one != followers.end();) {
      const bool is_there =
          std::find(replicas->begin(), replicas->end(), one->first) != replicas->end();
      if (!is_there) End(one->second);
      one = is_there ? std::next(one) : followers.erase(one);
    }
    for (const std::string& replica : *replicas) {
      const auto [entry, is_new] = followers.try_emplace(replica);
      if (!is_new) continue;
      entry->second.thread =
          std::thread([this, &entry = *entry] { Follow(entry.first, entry.second.stop); });
    }
  } while (Wait(pause, stop_));
  for (auto& [replica, follower] : followers) End(follower);
}

void DecisionFeed::Follow(const std::string& url, const std::atomic<bool>& stop) {
  NameThread("feed");
  HttpClient client;
  HttpCall call;
  call.url = url + "/api/v1/stream";
  call.timeout = Duration(0);
  std::string last_id;
  std::chrono::milliseconds pause = kFirstPause;
  while (!stop) {
    EventReader reader;
    call.headers = {"Accept: text/event-stream"};
    if (!token_file_.empty()) {
      const Result<std::string> token = ReadFile(token_file_);
      if (token.ok()) call.headers.push_back("Authorization: Bearer " + std::string(Trim(*token)));
    }
    if (!last_id.empty()) call.headers.push_back("Last-Event-ID: " + last_id);
    const Result<HttpReply> reply = client.Stream(call, kIdle, stop, [&](std::string_view piece) {
      pause = kFirstPause;
      for (const EventReader::Event& event : reader.Take(piece)) {
        if (!event.id.empty()) last_id = event.id;
        Add(event, url);
      }
      return !stop;
    });
    if (stop) return;
    Log(LogLevel::kWarning, "stream of decisions: trying again",
        {{"url", call.url},
         {"error", !reply.ok()            ? reply.status().message()
                   : reply->status == 200 ? "it ended"
                                          : "HTTP status " + std::to_string(reply->status)}});
    if (!Wait(pause, stop)) return;
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace sobre
