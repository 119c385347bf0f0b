#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
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

// Names that the limits use and that no row of the catalogue, no alias and no label of a node
// knows, as sentences with the nearest that are known: what they were to mean cannot be said, so
// that the limits refuse every node. The first `most` of them.
std::vector<std::string> UnknownNames(const Limits& limits, const Snapshot& snapshot,
                                      std::size_t most = 20);

// What depends on a node's place alone: countries, regions, operators, exposure, certifications.
// Prepared once for many nodes; refers to the limits and the snapshot. Of one thread.
class PlaceCheck {
 public:
  PlaceCheck(const Limits& limits, const Snapshot& snapshot);
  // The first limit that the node does not keep, at the time of the snapshot. What is not attested
  // does not keep a limit, nor does any node keep one that cannot be read.
  [[nodiscard]] std::optional<Refusal> Of(const NodeRecord& node);

 private:
  [[nodiscard]] std::optional<Refusal> Judge(const Sovereignty& place) const;
  [[nodiscard]] std::optional<Refusal> CheckOperator(const Sovereignty& place) const;

  const Limits& limits_;
  const Snapshot& snapshot_;
  std::optional<Refusal> of_all_;
  // Who is meant, and how it was written.
  std::vector<std::pair<std::string, std::string>> denied_;
  // Nodes of a place are alike.
  std::vector<std::pair<const Sovereignty*, std::optional<Refusal>>> judged_;
};

// The first limit that a candidate does not keep. Unknown figures do not keep a budget. Budgets are
// compared with the report ledger, embodied emissions included, each in its own unit; an enforced
// one also by what the pod did not say of itself. Prepared once for many candidates; refers to all
// that it is made of. Of one thread.
class LimitCheck {
 public:
  LimitCheck(const Limits& limits, const DecisionRequest& request, const Decision& decision,
             const Snapshot& snapshot);
  [[nodiscard]] std::optional<Refusal> Of(const Candidate& candidate);

 private:
  // The work as it is counted in another unit, or without the pod's word.
  struct View {
    FunctionalUnit unit{};
    bool before_pod = false;
    DecisionRequest request;
    Decision decision;
  };
  View& ViewOf(FunctionalUnit unit, bool before_pod);
  template <class PerUnit>
  std::optional<Refusal> CheckBudget(const UnitBudget<PerUnit>& budget, const Candidate& candidate);
  template <class PerUnit>
  std::optional<Refusal> CheckBudget(const UnitBudget<PerUnit>& budget, bool before_pod,
                                     const DecisionRequest& request, const Decision& decision,
                                     const Candidate& candidate) const;

  const Limits& limits_;
  const DecisionRequest& request_;
  const Decision& decision_;
  const Snapshot& snapshot_;
  PlaceCheck place_;
  std::vector<std::unique_ptr<View>> views_;
};

// The same for one node, or one candidate and all limits of its request, whatever its mode.
std::optional<Refusal> CheckPlaceLimits(const Limits& limits, const NodeRecord& node,
                                        const Snapshot& snapshot);
std::optional<Refusal> CheckLimits(const DecisionRequest& request, const Decision& decision,
                                   const Candidate& candidate, const Snapshot& snapshot);

// For a scheduler that does not ask about limits: candidates that are refused score 0, the others
// what they do among themselves. Of a decision that JudgeKinds() or Decide() left; `refusals` stand
// in the order of the candidates.
void ScoreRefusedZero(const DecisionRequest& request, const Snapshot& snapshot,
                      const std::vector<std::optional<Refusal>>& refusals, Decision& decision);

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
