#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/bounded_queue.h"
#include "base/time.h"

namespace sobre {

// A decision as people read it.
struct DecisionSummary {
  Timestamp time;
  std::string pod;  // "namespace/name"
  std::string uid;
  std::string verb;
  std::string best;
  std::string reason;
  std::int64_t candidates = 0;
  std::int64_t refused = 0;
  // The price of its limits: what the best refused node would have been.
  std::string best_refused;
  bool shadow = false;
  // Annotations that could not be followed.
  std::vector<std::string> problems;
  // What was said of which key by whom: "allowed-countries: namespace, enforced".
  std::vector<std::string> policy_from;
};

// The last decisions, for the status pages. Offer() takes no lock: it hands over through a bounded
// queue and drops (and counts) when the queue is full. List() may be called from any thread.
class RecentDecisions {
 public:
  static constexpr std::size_t kKept = 200;
  RecentDecisions();
  void Offer(DecisionSummary summary);
  // Newest first.
  std::vector<DecisionSummary> List();
  std::optional<DecisionSummary> Find(std::string_view uid);
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(); }

 private:
  static constexpr std::size_t kQueue = 1024;
  void Drain();

  BoundedQueue<DecisionSummary, kQueue> queue_;
  std::atomic<std::uint64_t> dropped_ = 0;
  std::mutex mutex_;  // guards the queue's end and kept_
  std::vector<DecisionSummary> kept_;
};

}  // namespace sobre
