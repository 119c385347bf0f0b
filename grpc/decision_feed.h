#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/time.h"
#include "proto/sobre/v1/service.pb.h"

namespace sobre {

// Server-sent events out of a stream's pieces. One thread.
class EventReader {
 public:
  struct Event {
    std::string name;
    std::string data;
    std::string id;
  };
  // The events that are complete after this piece. An event longer than `most_bytes` is left out.
  std::vector<Event> Take(std::string_view piece);

  static constexpr std::size_t kMostBytes = 4U << 20;

 private:
  void TakeLine(std::string_view line, std::vector<Event>& out);

  std::string line_;
  Event event_;
  bool too_long_ = false;
};

// The addresses that a URL's name stands for now, each in the URL in place of the name: the
// replicas behind a headless Service. Of one family, as a replica may have an address of each; the
// URL itself where it is one address or speaks TLS, whose certificate is for the name. Blocks; an
// error says that the name is not known.
Result<std::vector<std::string>> ReplicasOf(const std::string& url);

// Follows the streams of all replicas of the services' status ports, each by a thread of its own
// that tries again with growing pauses, and keeps the latest of what they told. Any thread may
// read.
class DecisionFeed {
 public:
  // Events that are kept for readers.
  static constexpr std::size_t kKept = 4096;

  // `token_file`: of the token that the services want; read at each call. Empty: none.
  explicit DecisionFeed(std::vector<std::string> urls, std::string token_file = {});
  ~DecisionFeed();
  DecisionFeed(const DecisionFeed&) = delete;
  DecisionFeed& operator=(const DecisionFeed&) = delete;

  // Where a reader begins: at what comes next, or at the oldest that is kept.
  [[nodiscard]] std::uint64_t Begin(bool with_recent) const;
  // What came after `position`, which moves on; waits for at most `most`. Nothing: the reader was
  // too slow, and what it has not read is gone.
  std::optional<std::vector<v1::DecisionEvent>> Next(std::uint64_t& position, Duration most);
  // Takes what a service told.
  void Add(const EventReader::Event& event, const std::string& from);
  [[nodiscard]] bool HasSources() const { return !urls_.empty(); }

 private:
  struct Follower {
    std::atomic<bool> stop = false;
    std::thread thread;
  };

  // Keeps a follower for each replica of the URL.
  void Oversee(const std::string& url);
  void End(Follower& follower);
  void Follow(const std::string& url, const std::atomic<bool>& stop);
  void Push(v1::DecisionEvent event);
  // Until so long has passed, and then true, or `stop` is set.
  bool Wait(std::chrono::milliseconds time, const std::atomic<bool>& stop);

  const std::vector<std::string> urls_;
  const std::string token_file_;
  mutable Mutex mutex_;
  ConditionVariable wake_;
  std::deque<v1::DecisionEvent> events_ SOBRE_GUARDED_BY(mutex_);
  std::uint64_t first_ SOBRE_GUARDED_BY(mutex_) = 0;  // the position of the oldest that is kept
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sobre
