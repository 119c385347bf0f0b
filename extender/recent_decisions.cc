#include "extender/recent_decisions.h"

#include <algorithm>

namespace sobre {

RecentDecisions::RecentDecisions() = default;

void RecentDecisions::Offer(DecisionSummary summary) {
  if (!queue_.Push(std::move(summary))) {
    ++dropped_;
    return;
  }
  // Whoever fills half of the queue empties it, unless somebody is at it already.
  if (queue_.pushed() % (kQueue / 2) == 0) {
    if (const std::unique_lock lock(mutex_, std::try_to_lock); lock.owns_lock()) Drain();
  }
}

void RecentDecisions::Drain() {
  DecisionSummary summary;
  while (queue_.Pop(summary)) kept_.push_back(std::move(summary));
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
