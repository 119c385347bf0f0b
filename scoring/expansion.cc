#include "scoring/expansion.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"
#include "scoring/limits.h"
#include "scoring/new_capacity.h"

namespace sobre {
namespace {

// One kind of pod on the options that would take it.
struct Side {
  Decision decision;
  std::vector<std::size_t> options;  // of each candidate
  std::vector<std::int64_t> counts;
  std::vector<bool> refused;
};

const NodeRecord* RecordOf(std::int32_t node, const Snapshot& snapshot) {
  if (node == Snapshot::kUnknownNode) return nullptr;
  return &snapshot.nodes()[static_cast<std::size_t>(node)];
}

std::vector<Side> SidesOf(std::span<const DecisionRequest> kinds,
                          std::span<const GrowthOption> options, const Snapshot& snapshot,
                          std::vector<GrowthVerdict>& verdicts) {
  std::vector<Side> sides(kinds.size());
  for (std::size_t o = 0; o < options.size(); ++o) {
    for (const GrowthOption::Pods& some : options[o].pods) {
      sides[some.kind].options.push_back(o);
      sides[some.kind].counts.push_back(some.count);
    }
  }
  std::vector<std::int32_t> nodes;
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    Side& side = sides[kind];
    nodes.clear();
    for (const std::size_t o : side.options) nodes.push_back(options[o].node);
    const DecisionRequest& request = kinds[kind];
    Decide(request, snapshot, nodes, side.decision);
    const Limits& limits = request.policy.InForce();
    LimitCheck check(limits, request, side.decision, snapshot);
    for (std::size_t i = 0; i < side.options.size(); ++i) {
      // Machines of which nothing is known may be as the pod wants them.
      const bool may_know =
          options[side.options[i]].node != Snapshot::kUnknownNode || !limits.unreadable.empty();
      const auto refusal = may_know ? check.Of(side.decision.candidates[i]) : std::nullopt;
      side.refused.push_back(refusal.has_value());
      GrowthVerdict& verdict = verdicts[side.options[i]];
      (refusal ? verdict.refused : verdict.allowed) += side.counts[i];
      if (refusal && verdict.first_refusal.empty()) verdict.first_refusal = refusal->reason;
    }
  }
  return sides;
}

// All options on one source of intensity, or the figures of two kinds of pods would not add up.
IntensityBasis CommonBasis(std::span<const DecisionRequest> kinds,
                           std::span<const GrowthOption> options, const Snapshot& snapshot) {
  if (kinds.empty()) return IntensityBasis::kNone;
  std::vector<std::int32_t> nodes;
  for (const GrowthOption& option : options) nodes.push_back(option.node);
  Decision all;
  Decide(kinds.front(), snapshot, nodes, all);
  return all.intensity_basis;
}

// What an option's pods ask of it together.
struct Load {
  Watts added;               // without PUE
  bool power_known = true;   // the watts of every pod are
  double shares = 0;         // of one machine
  bool shares_known = true;  // of every pod
  // What data that cross regions add.
  Watts egress;
  EurosPerHour egress_euros;
};

double BestOver(double best, double value) { return value > 0 ? best / value : 1; }

// The figure that the decision was ranked by first; smaller is better.
double RankedFigure(const Candidate& candidate, const Decision& decision) {
  switch (*decision.ranked_by) {
    case Objective::kCarbon:
      return RankedGrams(candidate, decision).value();
    case Objective::kCost:
      return RankedEuros(candidate, decision).value();
    case Objective::kBalanced:
    case Objective::kPriced:
      break;
  }
  return RankedPriced(candidate, decision).value();
}

}  // namespace

Growth JudgeGrowth(std::span<const DecisionRequest> kinds, std::span<const GrowthOption> options,
                   const Snapshot& snapshot) {
  Growth growth;
  growth.verdicts.resize(options.size());
  growth.intensity_basis = CommonBasis(kinds, options, snapshot);
  std::vector<Side> sides = SidesOf(kinds, options, snapshot, growth.verdicts);
  for (std::size_t o = 0; o < options.size(); ++o) growth.verdicts[o].unread = options[o].unread;
  std::vector<Load> loads(options.size());
  for (const Side& side : sides) {
    for (std::size_t i = 0; i < side.options.size(); ++i) {
      const NodeRecord* node = RecordOf(options[side.options[i]].node, snapshot);
      if (node == nullptr || side.refused[i]) continue;
      const Candidate& candidate = side.decision.candidates[i];
      const auto count = static_cast<double>(side.counts[i]);
      Load& load = loads[side.options[i]];
      const Egress egress = EgressOf(candidate, side.decision, snapshot);
      load.power_known &= candidate.placement.power_known;
      load.added = load.added +
                   (candidate.placement.added_power - egress.power) * (count / node->pue.value());
      load.egress = load.egress + egress.power * count;
      load.egress_euros = load.egress_euros + egress.euros * count;
      const auto share = DominantShare(side.decision.demand, ProfileOf(*node));
      load.shares_known &= share.has_value();
      if (share) load.shares += share->value() * count;
    }
  }
  for (std::size_t o = 0; o < options.size(); ++o) {
    const NodeRecord* node = RecordOf(options[o].node, snapshot);
    GrowthVerdict& verdict = growth.verdicts[o];
    const Load& load = loads[o];
    if (node == nullptr || !load.shares_known || verdict.allowed == 0) continue;
    PlacementFigures& whole = verdict.whole;
    whole = FiguresOfNew(*node, options[o].machines,
                         load.power_known ? std::optional(load.added) : std::nullopt,
                         growth.intensity_basis, snapshot);
    whole.added_power = whole.added_power + load.egress;
    const auto& intensity = growth.intensity_basis == IntensityBasis::kLive
                                ? node->live_intensity
                                : node->catalog_intensity;
    if (whole.grams_known) whole.grams = whole.grams + load.egress * intensity->value;
    whole.euros = whole.euros + load.egress_euros;
  }
  std::vector<std::int64_t> judged(options.size(), 0);
  for (Side& side : sides) {
    Decision& decision = side.decision;
    decision.intensity_basis = growth.intensity_basis;
    for (std::size_t i = 0; i < side.options.size(); ++i) {
      Candidate& candidate = decision.candidates[i];
      const std::size_t o = side.options[i];
      candidate.placement = {};
      const NodeRecord* node = RecordOf(candidate.node, snapshot);
      if (side.refused[i] || node == nullptr || loads[o].shares <= 0) continue;
      const auto share = DominantShare(decision.demand, ProfileOf(*node));
      if (!share) continue;
      const double part = share->value() / loads[o].shares;
      PlacementFigures& figures = candidate.placement;
      figures = growth.verdicts[o].whole;
      figures.added_power = figures.added_power * part;
      figures.grams = figures.grams * part;
      figures.euros = figures.euros * part;
    }
    if (decision.policy.mode != Mode::kEnforce) continue;
    Rank(decision);
    double best = 0;
    bool any = false;
    for (const Candidate& c : decision.candidates) {
      if (c.score == 0) continue;
      const double figure = RankedFigure(c, decision);
      best = any ? std::min(best, figure) : figure;
      any = true;
    }
    for (std::size_t i = 0; i < side.options.size(); ++i) {
      const Candidate& candidate = decision.candidates[i];
      if (side.refused[i]) continue;
      GrowthVerdict& verdict = growth.verdicts[side.options[i]];
      judged[side.options[i]] += side.counts[i];
      const auto count = static_cast<double>(side.counts[i]);
      verdict.score += count * candidate.score;
      if (candidate.score > 0)
        verdict.ratio += count * BestOver(best, RankedFigure(candidate, decision));
    }
  }
  std::optional<std::pair<double, double>> top;
  const auto key = [](const GrowthVerdict& v) { return std::pair(v.score, v.ratio); };
  for (std::size_t o = 0; o < options.size(); ++o) {
    GrowthVerdict& verdict = growth.verdicts[o];
    if (verdict.IsRefused()) continue;
    const auto pods = static_cast<double>(std::max<std::int64_t>(judged[o], 1));
    verdict.score /= pods;
    verdict.ratio /= pods;
    top = top ? std::max(*top, key(verdict)) : key(verdict);
  }
  for (std::size_t o = 0; o < options.size(); ++o) {
    const GrowthVerdict& verdict = growth.verdicts[o];
    if (!verdict.IsRefused() && key(verdict) == top) growth.best.push_back(o);
  }
  return growth;
}

std::string DescribeGrowth(const GrowthOption& option, const GrowthVerdict& verdict) {
  if (verdict.IsRefused()) {
    const std::string pods = verdict.refused == 1
                                 ? "its pod"
                                 : "all of its " + std::to_string(verdict.refused) + " pods";
    return "refused for " + pods + ": " + verdict.first_refusal;
  }
  constexpr int kDigits = 4;
  std::string text = std::to_string(option.machines) +
                     (option.machines == 1 ? " machine for " : " machines for ") +
                     std::to_string(verdict.allowed) +
                     (verdict.allowed == 1 ? " pod: " : " pods: ");
  text += verdict.whole.euros_known
              ? FormatSignificant(verdict.whole.euros.value(), kDigits) + " EUR/h"
              : "price unknown";
  text += verdict.whole.grams_known
              ? " and " + FormatSignificant(verdict.whole.grams.value(), kDigits) + " gCO2e/h"
              : ", emissions unknown";
  text += ", score " + FormatSignificant(verdict.score, kDigits);
  if (verdict.refused > 0) {
    text += "; " + std::to_string(verdict.refused) +
            " more may not run there: " + verdict.first_refusal;
  }
  return text;
}

}  // namespace sobre
