#include "extender/recent_decisions.h"

#include <algorithm>

#include "scoring/analysis.h"
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

// What the pod answers for on its best node.
void AddFigures(const DecisionCase& made, const Candidate& best, DecisionSummary& summary) {
  if (best.node == Snapshot::kUnknownNode) return;
  summary.best_node = made.snapshot->nodes()[static_cast<std::size_t>(best.node)].facts->name;
  const ReportFigures figures = Attribute(made.request, made.decision, best, *made.snapshot);
  const double units = best.units.value();
  if (figures.total) {
    summary.gco2e_per_hour = figures.total->mid.value();
    summary.gco2e_per_unit = *summary.gco2e_per_hour / units;
  }
  if (figures.euros) {
    summary.eur_per_hour = figures.euros->value();
    summary.eur_per_unit = *summary.eur_per_hour / units;
  }
  if (figures.energy_class) summary.energy_class = ToLetter(*figures.energy_class);
  if (figures.carbon_class) summary.carbon_class = ToLetter(*figures.carbon_class);
}

}  // namespace

DecisionSummary Summarize(const DecisionCase& made, const MeanOfCandidates& mean) {
  const DecisionRequest& request = made.request;
  const Decision& decision = made.decision;
  const std::vector<std::optional<Refusal>>& refusals = made.refusals;
  const Snapshot& snapshot = *made.snapshot;
  DecisionSummary summary;
  summary.time = decision.time;
  summary.namespace_name = request.pod.namespace_name;
  summary.pod = request.pod.name;
  summary.uid = request.pod.uid;
  summary.workload = request.pod.workload;
  summary.model = request.policy.model;
  summary.verb = made.verb;
  summary.objective = ToString(request.policy.objective);
  summary.unit = ToString(decision.unit);
  summary.mean = mean;
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
    AddFigures(made, decision.candidates[*best], summary);
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
  {
    const MutexLock lock(mutex_);
    summary.seq = ++decisions_seen_;
    kept_.push_back(std::move(summary));
    if (kept_.size() > kKept) kept_.pop_front();
  }
  came_.NotifyAll();
}

void RecentDecisions::Close(PodOutcome outcome) {
  {
    const MutexLock lock(mutex_);
    for (DecisionSummary& summary : kept_) {
      if (summary.uid != outcome.uid) continue;
      summary.bound = outcome.node;
      summary.followed = outcome.followed;
    }
    ++outcomes_seen_;
    outcomes_.push_back(std::move(outcome));
    if (outcomes_.size() > kKept) outcomes_.pop_front();
  }
  came_.NotifyAll();
}

std::vector<DecisionSummary> RecentDecisions::List(
    std::size_t most, const std::optional<std::string>& namespace_name) const {
  const MutexLock lock(mutex_);
  std::vector<DecisionSummary> list;
  for (auto summary = kept_.rbegin(); summary != kept_.rend() && list.size() < most; ++summary)
    if (!namespace_name || summary->namespace_name == *namespace_name) list.push_back(*summary);
  return list;
}

std::optional<DecisionSummary> RecentDecisions::Find(std::string_view uid) const {
  const MutexLock lock(mutex_);
  const auto found = std::find_if(kept_.rbegin(), kept_.rend(),
                                  [&](const DecisionSummary& s) { return s.uid == uid; });
  return found == kept_.rend() ? std::nullopt : std::optional(*found);
}

RecentDecisions::Position RecentDecisions::Last() const {
  return {decisions_seen_, outcomes_seen_};
}

RecentDecisions::Position RecentDecisions::Now() const {
  const MutexLock lock(mutex_);
  return Last();
}

RecentDecisions::News RecentDecisions::Wait(const Position& from, std::size_t most,
                                            Duration patience) const {
  MutexLock lock(mutex_);
  came_.WaitFor(lock, patience, [&]() SOBRE_REQUIRES(mutex_) {
    return decisions_seen_ != from.decisions || outcomes_seen_ != from.outcomes;
  });
  News news;
  news.position = Last();
  // A position of another process says nothing here.
  const std::uint64_t told = std::min(from.decisions, decisions_seen_);
  const std::uint64_t came = decisions_seen_ - told;
  const auto shown = std::min({came, std::uint64_t{most}, std::uint64_t{kept_.size()}});
  news.skipped = came - shown;
  news.decisions.assign(kept_.end() - static_cast<std::ptrdiff_t>(shown), kept_.end());
  const std::uint64_t closed = outcomes_seen_ - std::min(from.outcomes, outcomes_seen_);
  const auto last = std::min(closed, std::uint64_t{outcomes_.size()});
  news.outcomes.assign(outcomes_.end() - static_cast<std::ptrdiff_t>(last), outcomes_.end());
  return news;
}

}  // namespace sobre
