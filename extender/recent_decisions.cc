#include "extender/recent_decisions.h"

#include <algorithm>

#include "scoring/analysis.h"
#include "scoring/explain.h"

namespace sobre {
namespace {

// What the pod adds on its best node, which is what was ranked, and what it answers for there.
void AddFigures(const DecisionCase& made, const Decision& decision, const Candidate& best,
                DecisionSummary& summary) {
  if (best.node == Snapshot::kUnknownNode) return;
  summary.best_node = made.snapshot->nodes()[static_cast<std::size_t>(best.node)].facts->name;
  const ReportFigures figures = Attribute(made.request, decision, best, *made.snapshot);
  const double units = best.units.value();
  const PlacementFigures& placement = best.placement;
  if (placement.grams_known) summary.placement_gco2e_per_unit = placement.grams.value() / units;
  if (placement.euros_known) summary.placement_eur_per_unit = placement.euros.value() / units;
  if (const auto mean = MeanOfGrams(decision))
    summary.mean_placement_gco2e_per_unit = mean->mean.value();
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
  const Decision& all = made.decision;
  const Snapshot& snapshot = *made.snapshot;
  DecisionSummary summary;
  summary.time = all.time;
  summary.namespace_name = request.pod.namespace_name;
  summary.pod = request.pod.name;
  summary.uid = request.pod.uid;
  summary.workload = request.pod.workload;
  summary.model = request.policy.model;
  summary.verb = made.verb;
  summary.objective = ToString(request.policy.objective);
  summary.unit = ToString(all.unit);
  summary.ledger = ToString(all.ledger);
  summary.mean = mean;
  summary.candidates = static_cast<std::int64_t>(all.candidates.size());
  summary.shadow = request.policy.mode == Mode::kShadow;
  summary.problems = request.problems;
  summary.policy_from = PolicyOrigins(request.policy);
  const AfterLimits after = ApplyLimits(request, all, snapshot, made.refusals);
  const Decision& decision = after.Among(all);
  summary.refused = static_cast<std::int64_t>(after.refused);
  if (decision.best) {
    const Candidate& best = decision.candidates[*decision.best];
    summary.best = DescribeCandidate(best, decision, snapshot);
    summary.reason = Reason(best, decision, snapshot, after.refused);
    AddFigures(made, decision, best, summary);
  } else if (after.refused > 0) {
    summary.reason = NoNodeKeepsTheLimits(after.refusals);
  }
  if (after.best_refused) {
    summary.best_refused = DescribeFigures(all.candidates[*after.best_refused], all, snapshot) +
                           "; refused: " + after.refusals[*after.best_refused]->reason;
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
