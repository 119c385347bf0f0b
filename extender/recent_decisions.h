#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

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
  static constexpr std::size_t kQueue = 1024;  // a power of two
  // A cell may be written in round r when its turn is 2r, and read when it is 2r + 1.
  struct Cell {
    std::atomic<std::uint64_t> turn = 0;
    DecisionSummary summary;
  };
  void Drain();

  std::array<Cell, kQueue> cells_;
  std::atomic<std::uint64_t> head_ = 0;
  std::atomic<std::uint64_t> dropped_ = 0;
  std::mutex mutex_;  // guards the next two
  std::uint64_t tail_ = 0;
  std::vector<DecisionSummary> kept_;
};

}  // namespace sobre
