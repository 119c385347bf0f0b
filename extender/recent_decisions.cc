#include "extender/recent_decisions.h"

#include <algorithm>

#include "scoring/explain.h"

namespace sobre {
namespace {

// The best candidate among those that a limit refused, if it beats the best that is allowed.
std::optional<std::size_t> BestRefused(const Decision& decision,
                                       const std::vector<std::optional<Refusal>>& refusals) {
  std::optional<std::size_t> refused;
  std::int32_t allowed_score = -1;
  for (std::size_t i = 0; i < refusals.size(); ++i) {
    const std::int32_t score = decision.candidates[i].score;
    if (!refusals[i]) {
      allowed_score = std::max(allowed_score, score);
    } else if (!refused || score > decision.candidates[*refused].score) {
      refused = i;
    }
  }
  if (refused && decision.candidates[*refused].score <= allowed_score) refused.reset();
  return refused;
}

}  // namespace

DecisionSummary Summarize(const DecisionCase& made) {
  const DecisionRequest& request = made.request;
  const Decision& decision = made.decision;
  const std::vector<std::optional<Refusal>>& refusals = made.refusals;
  const Snapshot& snapshot = *made.snapshot;
  DecisionSummary summary;
  summary.time = decision.time;
  summary.pod = request.pod.namespace_name + "/" + request.pod.name;
  summary.uid = request.pod.uid;
  summary.verb = made.verb;
  summary.candidates = static_cast<std::int64_t>(decision.candidates.size());
  summary.shadow = request.policy.mode == Mode::kShadow;
  summary.problems = request.problems;
  summary.policy_from = PolicyOrigins(request.policy);
  summary.refused = std::count_if(refusals.begin(), refusals.end(),
                                  [](const auto& refusal) { return refusal.has_value(); });
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < decision.candidates.size(); ++i) {
    const bool passes = refusals.empty() || !refusals[i];
    if (passes && (!best || decision.candidates[i].score > decision.candidates[*best].score))
      best = i;
  }
  if (best) {
    summary.best = DescribeCandidate(decision.candidates[*best], decision, snapshot);
    summary.reason = Reason(decision.candidates[*best], decision, snapshot);
  } else if (!refusals.empty()) {
    summary.reason = "no node keeps the limits: " + refusals.front()->reason;
  }
  if (const auto refused = BestRefused(decision, refusals)) {
    summary.best_refused = DescribeCandidate(decision.candidates[*refused], decision, snapshot) +
                           "; refused: " + refusals[*refused]->reason;
  }
  return summary;
}

void RecentDecisions::Add(DecisionSummary summary) {
  const std::lock_guard lock(mutex_);
  kept_.push_back(std::move(summary));
  if (kept_.size() > kKept) kept_.pop_front();
}

std::vector<DecisionSummary> RecentDecisions::List() const {
  const std::lock_guard lock(mutex_);
  return {kept_.rbegin(), kept_.rend()};
}

std::optional<DecisionSummary> RecentDecisions::Find(std::string_view uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(kept_.rbegin(), kept_.rend(),
                                  [&](const DecisionSummary& s) { return s.uid == uid; });
  return found == kept_.rend() ? std::nullopt : std::optional(*found);
}

}  // namespace sobre
