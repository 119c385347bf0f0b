#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scoring/decide.h"

// Hard limits: what refuses a node, and why. Pure functions, safe from any thread.
namespace sobre {

struct Refusal {
  std::string reason;
  // True where nothing can soon change it (a region does not move), so that kube-scheduler need not
  // look for pods to evict.
  bool lasting = false;
};

// The same for what depends on the node's place alone: countries, regions, operators, exposure,
// certifications.
std::optional<Refusal> CheckPlaceLimits(const Limits& limits, const NodeRecord& node,
                                        const Snapshot& snapshot);

// The first limit that the node does not keep, at the time of the snapshot. An unknown operator,
// region, certificate or figure does not keep a limit. Budgets are compared with the report ledger,
// embodied emissions included.
std::optional<Refusal> CheckLimits(const DecisionRequest& request, const Decision& decision,
                                   const Candidate& candidate, const Snapshot& snapshot);

// What limits leave of a decision, as filter and prioritize together answer: those that are
// refused, and the others scored among themselves.
struct AfterLimits {
  // In the order of the candidates that were judged; empty where nothing is refused.
  std::vector<std::optional<Refusal>> refusals;
  std::size_t refused = 0;
  // Of the refused, the best among all, if it beats every one that is allowed: the price of limits.
  std::optional<std::size_t> best_refused;
  // Made again of those that pass, in their order; absent where nothing is refused.
  std::optional<Decision> again;

  [[nodiscard]] bool Refuses(std::size_t candidate) const {
    return refused > 0 && refusals[candidate].has_value();
  }
  // The decision among the allowed candidates: without any where all are refused.
  [[nodiscard]] const Decision& Among(const Decision& all) const { return again ? *again : all; }
};
AfterLimits ApplyLimits(const DecisionRequest& request, const Decision& all,
                        const Snapshot& snapshot);
// The same where the limits have been judged; no refusals: they were not asked for.
AfterLimits ApplyLimits(const DecisionRequest& request, const Decision& all,
                        const Snapshot& snapshot, std::vector<std::optional<Refusal>> refusals);

// Candidates that are refused for the same reason.
struct RefusedGroup {
  std::string reason;
  std::vector<std::size_t> candidates;  // indices, in their order
};
// The largest first.
std::vector<RefusedGroup> GroupRefusals(const std::vector<std::optional<Refusal>>& refusals);
// "no node keeps the limits: REASON (3 nodes); REASON (1 node)". The first few reasons.
std::string NoNodeKeepsTheLimits(const std::vector<std::optional<Refusal>>& refusals);

// The decision among those that are not refused, as it was scored. `refusals` stand in the order of
// the candidates.
Decision WithoutRefused(const Decision& decision,
                        const std::vector<std::optional<Refusal>>& refusals);

}  // namespace sobre
