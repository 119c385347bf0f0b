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

// The decision among those that are not refused: what alternatives are told of. `refusals` stand in
// the order of the candidates.
Decision WithoutRefused(const Decision& decision,
                        const std::vector<std::optional<Refusal>>& refusals);

}  // namespace sobre
