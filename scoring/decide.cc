#include "scoring/decide.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sobre {
namespace {

// Keep r(v) defined at zero and at negative prices; both far below what a pod really costs.
constexpr GramsPerHour kSmallestGrams{0.001};
constexpr EurosPerHour kSmallestEuros{0.00001};

// What kube-scheduler itself assumes of a container that requests nothing.
constexpr std::int64_t kDefaultMillicpu = 100;
constexpr std::int64_t kDefaultMemoryBytes = 200LL * 1024 * 1024;

// How good `value` is against the best: 1 for the best itself, 1/2 at twice the best.
template <class T>
double Ratio(T value, T best, T smallest) {
  const T scale = std::max(best, smallest);
  return scale / (scale + (value - best));
}

int Round(double value) { return static_cast<int>(std::floor(value + 0.5)); }

// What the pod asks of any node.
struct Demand {
  Vcpus busy_vcpus;
  double busy_gpus;
  Resources requests;
};

Demand DemandOf(const DecisionRequest& request) {
  Resources requests = request.pod.requests;
  if (requests.millicpu == 0) requests.millicpu = kDefaultMillicpu;
  if (requests.memory_bytes == 0) requests.memory_bytes = kDefaultMemoryBytes;
  const double utilization = request.policy.expected_utilization.value();
  return {Vcpus(static_cast<double>(requests.millicpu) / 1000.0 * utilization),
          static_cast<double>(requests.gpus) * utilization, requests};
}

// The share of the node that the pod takes from everybody else: that of its scarcest resource.
std::optional<Fraction> ShareOf(const Resources& requests, const Resources& allocatable) {
  if (allocatable.millicpu <= 0 || allocatable.memory_bytes <= 0) return std::nullopt;
  double share = std::max(
      static_cast<double>(requests.millicpu) / static_cast<double>(allocatable.millicpu),
      static_cast<double>(requests.memory_bytes) / static_cast<double>(allocatable.memory_bytes));
  if (requests.gpus > 0) {
    if (allocatable.gpus <= 0) return std::nullopt;
    share =
        std::max(share, static_cast<double>(requests.gpus) / static_cast<double>(allocatable.gpus));
  }
  return Fraction(std::min(share, 1.0));
}

// Live intensity serves if it covers every candidate that the catalogue covers: a ranking mixes no
// sources.
IntensityBasis ChooseIntensity(const Snapshot& snapshot, std::span<const std::int32_t> nodes) {
  bool any_live = false;
  bool any_catalog = false;
  bool live_covers = true;
  for (const std::int32_t index : nodes) {
    if (index == Snapshot::kUnknownNode) continue;
    const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(index)];
    any_live |= node.live_intensity.has_value();
    any_catalog |= node.catalog_intensity.has_value();
    live_covers &= node.live_intensity.has_value() || !node.catalog_intensity.has_value();
  }
  if (any_live && live_covers) return IntensityBasis::kLive;
  return any_catalog ? IntensityBasis::kCatalog : IntensityBasis::kNone;
}

Candidate Judge(const Demand& demand, const Snapshot& snapshot, IntensityBasis basis,
                std::int32_t index) {
  Candidate candidate;
  candidate.node = index;
  if (index == Snapshot::kUnknownNode) return candidate;
  const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(index)];
  Watts power = node.slope * demand.busy_vcpus;
  const bool power_known = demand.requests.gpus == 0 || node.gpu_slope.has_value();
  if (demand.requests.gpus > 0 && node.gpu_slope)
    power = power + *node.gpu_slope * demand.busy_gpus;
  candidate.added_power = power * node.pue;
  const auto& intensity =
      basis == IntensityBasis::kLive ? node.live_intensity : node.catalog_intensity;
  if (intensity && power_known) {
    candidate.grams = candidate.added_power * intensity->value;
    candidate.grams_known = true;
  }
  if (node.price) {
    if (const auto share = ShareOf(demand.requests, node.facts->allocatable)) {
      candidate.euros = node.price->value * *share;
      candidate.euros_known = true;
    }
  }
  return candidate;
}

// What the candidates can be ranked on. A figure that nobody has cannot decide anything.
std::optional<Objective> ChooseRanking(Objective wanted, bool any_grams, bool any_euros,
                                       bool any_both) {
  const bool needs_both = wanted == Objective::kBalanced || wanted == Objective::kPriced;
  if (needs_both && any_both) return wanted;
  if (wanted == Objective::kCost && any_euros) return wanted;
  if (any_grams) return Objective::kCarbon;
  if (any_euros) return Objective::kCost;
  return std::nullopt;
}

template <class T>
struct Best {
  T value{std::numeric_limits<double>::infinity()};
  void Offer(T other) { value = std::min(value, other); }
};

void ScoreCarbon(std::vector<Candidate>& candidates) {
  Best<GramsPerHour> best;
  for (const Candidate& c : candidates) {
    if (c.grams_known) best.Offer(c.grams);
  }
  for (Candidate& c : candidates) {
    if (c.grams_known) c.score = Round(kMaxScore * Ratio(c.grams, best.value, kSmallestGrams));
  }
}

void ScoreCost(std::vector<Candidate>& candidates) {
  Best<EurosPerHour> best;
  for (const Candidate& c : candidates) {
    if (c.euros_known) best.Offer(c.euros);
  }
  for (Candidate& c : candidates) {
    if (c.euros_known) c.score = Round(kMaxScore * Ratio(c.euros, best.value, kSmallestEuros));
  }
}

bool BothKnown(const Candidate& c) { return c.grams_known && c.euros_known; }

EurosPerHour Priced(const Candidate& c, const Policy& policy) {
  return c.euros + c.grams * policy.carbon_price;
}

void ScorePriced(const Policy& policy, std::vector<Candidate>& candidates) {
  Best<EurosPerHour> best;
  for (const Candidate& c : candidates) {
    if (BothKnown(c)) best.Offer(Priced(c, policy));
  }
  for (Candidate& c : candidates) {
    if (BothKnown(c)) {
      c.score = Round(kMaxScore * Ratio(Priced(c, policy), best.value, kSmallestEuros));
    }
  }
}

// Within the tolerance 4 to 10 by grams, beyond it 0 to 3 by euros and priced grams together.
void ScoreBalanced(const Policy& policy, std::vector<Candidate>& candidates) {
  Best<EurosPerHour> cheapest;
  Best<EurosPerHour> best_priced;
  for (const Candidate& c : candidates) {
    if (!BothKnown(c)) continue;
    cheapest.Offer(c.euros);
    best_priced.Offer(Priced(c, policy));
  }
  const EurosPerHour limit =
      cheapest.value + std::max(cheapest.value, kSmallestEuros) * policy.cost_tolerance.value();
  Best<GramsPerHour> cleanest;
  for (Candidate& c : candidates) {
    if (!BothKnown(c) || c.euros > limit) continue;
    c.within_tolerance = true;
    cleanest.Offer(c.grams);
  }
  for (Candidate& c : candidates) {
    if (!BothKnown(c)) continue;
    c.score = c.within_tolerance
                  ? 4 + Round(6 * Ratio(c.grams, cleanest.value, kSmallestGrams))
                  : Round(3 * Ratio(Priced(c, policy), best_priced.value, kSmallestEuros));
  }
}

}  // namespace

std::string_view ToString(IntensityBasis basis) {
  switch (basis) {
    case IntensityBasis::kNone:
      return "none";
    case IntensityBasis::kCatalog:
      return "catalogue";
    case IntensityBasis::kLive:
      return "live";
  }
  return "";
}

DecisionRequest MakeRequest(PodFacts pod, const Policy& cluster_policy,
                            const Annotations& namespace_annotations) {
  DecisionRequest request{std::move(pod), cluster_policy, {}};
  if (!namespace_annotations.empty()) {
    ApplyAnnotations(namespace_annotations, "namespace " + request.pod.namespace_name,
                     request.policy, request.problems);
  }
  ApplyAnnotations(request.pod.annotations, "pod", request.policy, request.problems);
  return request;
}

void Decide(const DecisionRequest& request, const Snapshot& snapshot,
            std::span<const std::int32_t> nodes, Decision& decision) {
  const Demand demand = DemandOf(request);
  decision.time = snapshot.time();
  decision.policy = request.policy;
  const bool per_request =
      request.policy.unit == FunctionalUnit::kRequest && request.policy.requests;
  decision.unit = per_request ? FunctionalUnit::kRequest : FunctionalUnit::kPodHour;
  decision.units = per_request ? *request.policy.requests : UnitsPerHour(1);
  decision.intensity_basis = ChooseIntensity(snapshot, nodes);
  decision.unknown_candidates = 0;
  decision.best.reset();
  decision.candidates.clear();
  decision.candidates.reserve(nodes.size());
  bool any_grams = false;
  bool any_euros = false;
  bool any_both = false;
  for (const std::int32_t index : nodes) {
    const Candidate& c =
        decision.candidates.emplace_back(Judge(demand, snapshot, decision.intensity_basis, index));
    any_grams |= c.grams_known;
    any_euros |= c.euros_known;
    any_both |= BothKnown(c);
    if (!c.grams_known && !c.euros_known) ++decision.unknown_candidates;
  }
  decision.ranked_by = ChooseRanking(request.policy.objective, any_grams, any_euros, any_both);
  if (decision.ranked_by) {
    switch (*decision.ranked_by) {
      case Objective::kBalanced:
        ScoreBalanced(request.policy, decision.candidates);
        break;
      case Objective::kCarbon:
        ScoreCarbon(decision.candidates);
        break;
      case Objective::kCost:
        ScoreCost(decision.candidates);
        break;
      case Objective::kPriced:
        ScorePriced(request.policy, decision.candidates);
        break;
    }
  }
  for (std::size_t i = 0; i < decision.candidates.size(); ++i) {
    if (!decision.best ||
        decision.candidates[i].score > decision.candidates[*decision.best].score) {
      decision.best = i;
    }
  }
}

}  // namespace sobre
