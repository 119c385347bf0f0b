#include "extender/recent_decisions.h"

#include <algorithm>

namespace sobre {

RecentDecisions::RecentDecisions() = default;

void RecentDecisions::Offer(DecisionSummary summary) {
  std::uint64_t at = head_.load();
  while (true) {
    Cell& cell = cells_[at % kQueue];
    const std::uint64_t free_turn = 2 * (at / kQueue);
    const std::uint64_t turn = cell.turn.load(std::memory_order_acquire);
    if (turn == free_turn) {
      if (!head_.compare_exchange_weak(at, at + 1)) continue;
      cell.summary = std::move(summary);
      cell.turn.store(free_turn + 1, std::memory_order_release);
      break;
    }
    if (turn < free_turn) {
      ++dropped_;
      return;
    }
    at = head_.load();
  }
  // Whoever fills half of the queue empties it, unless somebody is at it already.
  if (at % (kQueue / 2) == kQueue / 2 - 1) {
    if (const std::unique_lock lock(mutex_, std::try_to_lock); lock.owns_lock()) Drain();
  }
}

void RecentDecisions::Drain() {
  while (true) {
    Cell& cell = cells_[tail_ % kQueue];
    const std::uint64_t full_turn = 2 * (tail_ / kQueue) + 1;
    if (cell.turn.load(std::memory_order_acquire) != full_turn) break;
    kept_.push_back(std::move(cell.summary));
    cell.turn.store(full_turn + 1, std::memory_order_release);
    ++tail_;
  }
  if (kept_.size() > kKept)
    kept_.erase(kept_.begin(), kept_.end() - static_cast<std::ptrdiff_t>(kKept));
}

std::vector<DecisionSummary> RecentDecisions::List() {
  const std::lock_guard lock(mutex_);
  Drain();
  return {kept_.rbegin(), kept_.rend()};
}

std::optional<DecisionSummary> RecentDecisions::Find(std::string_view uid) {
  const std::lock_guard lock(mutex_);
  Drain();
  const auto found = std::find_if(kept_.rbegin(), kept_.rend(),
                                  [&](const DecisionSummary& s) { return s.uid == uid; });
  return found == kept_.rend() ? std::nullopt : std::optional(*found);
}

}  // namespace sobre
