#include "scoring/decide.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sobre {
namespace {

// Keep r(v) defined at zero and at negative prices; both far below what a pod really costs.
constexpr GramsPerHour kSmallestGrams{0.001};
constexpr EurosPerHour kSmallestEuros{0.00001};

// How good `value` is against the best: 1 for the best itself, 1/2 at twice the best.
template <class T>
double Ratio(T value, T best, T smallest) {
  const T scale = std::max(best, smallest);
  return scale / (scale + (value - best));
}

int Round(double value) { return static_cast<int>(std::floor(value + 0.5)); }

std::optional<UnitsPerHour> RateOf(const Measurement& seen, FunctionalUnit unit) {
  if (unit == FunctionalUnit::kRequest) return seen.requests;
  if (unit == FunctionalUnit::kThousandTokens && seen.tokens) return *seen.tokens / 1000.0;
  return std::nullopt;
}

std::optional<JoulesPerUnit> EnergyOf(const Measurement& seen, FunctionalUnit unit) {
  if (unit == FunctionalUnit::kRequest) return seen.joules_per_request;
  if (unit == FunctionalUnit::kThousandTokens && seen.joules_per_token)
    return *seen.joules_per_token * 1000.0;
  return std::nullopt;
}

const Measurement* OnClass(const Measurements& measurements, std::int32_t hardware_class) {
  for (const Measurement& seen : measurements) {
    if (seen.hardware_class == hardware_class) return &seen;
  }
  return nullptr;
}

// A batch job counts its run, never requests.
FunctionalUnit WantedUnit(const DecisionRequest& request) {
  const Policy& policy = request.policy;
  if (!request.pod.is_batch_job && policy.unit != FunctionalUnit::kRun) return policy.unit;
  return policy.expected_duration ? FunctionalUnit::kRun : FunctionalUnit::kPodHour;
}

std::optional<UnitsPerHour> StatedRate(const Policy& policy, FunctionalUnit unit) {
  switch (unit) {
    case FunctionalUnit::kPodHour:
      return std::nullopt;
    case FunctionalUnit::kRequest:
      return policy.requests;
    case FunctionalUnit::kThousandTokens:
      if (!policy.tokens) return std::nullopt;
      return *policy.tokens / 1000.0;
    case FunctionalUnit::kRun:
      return UnitsPerHour(1.0 / policy.expected_duration->value());
  }
  return std::nullopt;
}

double FactorOf(const Snapshot& snapshot, const Policy& policy, std::int32_t hardware_class,
                bool& known) {
  known = false;
  if (hardware_class == Measurement::kAnyClass) return 1;
  const auto factor = snapshot.catalog().PerformanceOf(
      policy.model, snapshot.hardware_classes()[static_cast<std::size_t>(hardware_class)]);
  known = factor.has_value();
  return factor ? factor->value : 1;
}

// The rate on hardware of factor 1, as it was measured: the mean over the classes, each brought to
// factor 1 where the rate follows the hardware.
std::optional<UnitsPerHour> MeasuredRate(const Measurements& measurements, FunctionalUnit unit,
                                         const Snapshot& snapshot, const Policy& policy) {
  UnitsPerHour sum;
  std::int64_t count = 0;
  for (const Measurement& seen : measurements) {
    const auto rate = RateOf(seen, unit);
    if (!rate) continue;
    bool known = false;
    const double factor = policy.bound == Bound::kThroughput
                              ? FactorOf(snapshot, policy, seen.hardware_class, known)
                              : 1;
    sum = sum + *rate / factor;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

// Fills in unit, rate and, for each hardware class, how the pod works there.
void PrepareWork(const DecisionRequest& request, const Snapshot& snapshot, Decision& decision) {
  const Policy& policy = request.policy;
  const FunctionalUnit wanted = WantedUnit(request);
  const Measurements& of_workload =
      snapshot.OfWorkload(request.pod.namespace_name, request.pod.workload);
  const Measurements& rates_of_workload =
      snapshot.OfWorkload(request.pod.namespace_name, request.pod.workload, policy.request_source);
  const Measurements& rates_of_model = snapshot.OfModel(policy.model, policy.request_source);
  std::optional<UnitsPerHour> rate = StatedRate(policy, wanted);
  decision.rate_basis = RateBasis::kAnnotation;
  if (!rate) {
    rate = MeasuredRate(rates_of_workload, wanted, snapshot, policy);
    decision.rate_basis = RateBasis::kWorkload;
  }
  if (!rate) {
    rate = MeasuredRate(rates_of_model, wanted, snapshot, policy);
    decision.rate_basis = RateBasis::kModel;
  }
  if (!rate) decision.rate_basis = RateBasis::kNone;
  decision.unit = rate ? wanted : FunctionalUnit::kPodHour;
  decision.units = rate.value_or(UnitsPerHour(1));
  decision.work.assign(std::max<std::size_t>(snapshot.hardware_classes().size(), 1), {});
  for (std::size_t i = 0; i < decision.work.size(); ++i) {
    ClassWork& work = decision.work[i];
    work.units = decision.units;
    work.rate_basis = decision.rate_basis;
    if (!rate || snapshot.hardware_classes().empty()) continue;
    const auto index = static_cast<std::int32_t>(i);
    const Measurement* seen = OnClass(of_workload, index);
    if (policy.bound == Bound::kThroughput) {
      const Measurement* itself = OnClass(rates_of_workload, index);
      const Measurement* alike = OnClass(rates_of_model, index);
      if (const auto own = itself ? RateOf(*itself, wanted) : std::nullopt) {
        work.units = *own;
        work.rate_basis = RateBasis::kWorkload;
      } else if (const auto others = alike ? RateOf(*alike, wanted) : std::nullopt) {
        work.units = *others;
        work.rate_basis = RateBasis::kModel;
      } else {
        bool known = false;
        work.units = decision.units * FactorOf(snapshot, policy, index, known);
        work.factor_assumed = !known;
      }
    }
    if (const auto energy = seen ? EnergyOf(*seen, wanted) : std::nullopt)
      work.measured_power = *energy * work.units;
  }
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

Egress EgressTo(const NodeRecord& node, const Policy& policy, const ClassWork& work,
                const Snapshot& snapshot) {
  Egress egress;
  if (!policy.data_region || policy.egress <= GigabytesPerUnit(0)) return egress;
  const RegionName& from = *policy.data_region;
  if (from.provider == node.facts->provider && from.region == node.facts->region) return egress;
  const GigabytesPerHour rate = policy.egress * work.units;
  egress.power = snapshot.catalog().coefficients().value.network * rate;
  const auto price = snapshot.catalog().EgressPrice(from.provider, from.region,
                                                    node.facts->provider, node.facts->region);
  const auto euros = price ? snapshot.EurosFor(price->value.currency) : std::nullopt;
  egress.price_unknown = !euros;
  if (euros) egress.euros = EurosPerGigabyte(price->value.amount * *euros) * rate;
  return egress;
}

Candidate Judge(const Snapshot& snapshot, std::int32_t index, Decision& decision) {
  Candidate candidate;
  candidate.node = index;
  if (index == Snapshot::kUnknownNode) {
    candidate.units = decision.units;
    return candidate;
  }
  const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(index)];
  const ClassWork& work = decision.work[static_cast<std::size_t>(node.hardware_class)];
  candidate.units = work.units;
  PlacementFigures& figures = candidate.placement;
  const Egress egress = EgressTo(node, decision.policy, work, snapshot);
  decision.egress_price_unknown |= egress.price_unknown;
  const std::optional<Watts> power =
      work.measured_power ? work.measured_power : MarginalPower(decision.demand, node);
  if (power) {
    figures.added_power = *power * node.pue + egress.power;
    figures.power_known = true;
    const auto& intensity = decision.intensity_basis == IntensityBasis::kLive
                                ? node.live_intensity
                                : node.catalog_intensity;
    if (intensity) {
      figures.grams = figures.added_power * intensity->value;
      figures.grams_known = true;
    }
  }
  const auto share = node.price ? DominantShare(decision.demand, node) : std::nullopt;
  // Where electricity is paid apart, a price without it is half a price.
  if (share && (power || !node.electricity)) {
    figures.euros = node.price->value * *share + egress.euros;
    if (node.electricity)
      figures.euros = figures.euros + *power * node.pue * node.electricity->value;
    figures.euros_known = true;
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

bool BothKnown(const Candidate& c) { return c.placement.grams_known && c.placement.euros_known; }

void ScoreCarbon(Decision& decision) {
  Best<GramsPerHour> best;
  for (const Candidate& c : decision.candidates) {
    if (c.placement.grams_known) best.Offer(RankedGrams(c, decision));
  }
  for (Candidate& c : decision.candidates) {
    if (c.placement.grams_known)
      c.score = Round(kMaxScore * Ratio(RankedGrams(c, decision), best.value, kSmallestGrams));
  }
}

void ScoreCost(Decision& decision) {
  Best<EurosPerHour> best;
  for (const Candidate& c : decision.candidates) {
    if (c.placement.euros_known) best.Offer(RankedEuros(c, decision));
  }
  for (Candidate& c : decision.candidates) {
    if (c.placement.euros_known)
      c.score = Round(kMaxScore * Ratio(RankedEuros(c, decision), best.value, kSmallestEuros));
  }
}

void ScorePriced(Decision& decision) {
  Best<EurosPerHour> best;
  for (const Candidate& c : decision.candidates) {
    if (BothKnown(c)) best.Offer(RankedPriced(c, decision));
  }
  for (Candidate& c : decision.candidates) {
    if (BothKnown(c))
      c.score = Round(kMaxScore * Ratio(RankedPriced(c, decision), best.value, kSmallestEuros));
  }
}

// Within the tolerance 4 to 10 by grams, beyond it 0 to 3 by euros and priced grams together.
void ScoreBalanced(Decision& decision) {
  Best<EurosPerHour> cheapest;
  Best<EurosPerHour> best_priced;
  for (const Candidate& c : decision.candidates) {
    if (!BothKnown(c)) continue;
    cheapest.Offer(RankedEuros(c, decision));
    best_priced.Offer(RankedPriced(c, decision));
  }
  const EurosPerHour limit = ToleranceLimit(cheapest.value, decision.policy.cost_tolerance);
  Best<GramsPerHour> cleanest;
  for (Candidate& c : decision.candidates) {
    if (!BothKnown(c) || RankedEuros(c, decision) > limit) continue;
    c.within_tolerance = true;
    cleanest.Offer(RankedGrams(c, decision));
  }
  for (Candidate& c : decision.candidates) {
    if (!BothKnown(c)) continue;
    c.score = c.within_tolerance
                  ? 4 + Round(6 * Ratio(RankedGrams(c, decision), cleanest.value, kSmallestGrams))
                  : Round(3 * Ratio(RankedPriced(c, decision), best_priced.value, kSmallestEuros));
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

std::string_view ToString(RateBasis basis) {
  switch (basis) {
    case RateBasis::kNone:
      return "none";
    case RateBasis::kAnnotation:
      return "annotation";
    case RateBasis::kWorkload:
      return "measured of the workload";
    case RateBasis::kModel:
      return "measured of the same model";
  }
  return "";
}

GramsPerHour RankedGrams(const Candidate& candidate, const Decision& decision) {
  return candidate.placement.grams * (decision.units / candidate.units);
}

EurosPerHour RankedEuros(const Candidate& candidate, const Decision& decision) {
  return candidate.placement.euros * (decision.units / candidate.units);
}

EurosPerHour RankedPriced(const Candidate& candidate, const Decision& decision) {
  return RankedEuros(candidate, decision) +
         RankedGrams(candidate, decision) * decision.policy.carbon_price;
}

EurosPerHour ToleranceLimit(EurosPerHour cheapest, Fraction tolerance) {
  return cheapest + std::max(cheapest, kSmallestEuros) * tolerance.value();
}

NamespacePolicy MakeNamespacePolicy(std::string_view name, const Annotations& annotations,
                                    const Policy& cluster_policy) {
  NamespacePolicy base{cluster_policy, {}};
  ApplyAnnotations(annotations, Origin::kNamespace, "namespace " + std::string(name), base.policy,
                   base.problems);
  return base;
}

DecisionRequest MakeRequest(PodFacts pod, const NamespacePolicy& base) {
  DecisionRequest request{std::move(pod), base.policy, base.problems};
  ApplyAnnotations(request.pod.annotations, Origin::kPod, "pod", request.policy, request.problems);
  return request;
}

Egress EgressOf(const Candidate& candidate, const Decision& decision, const Snapshot& snapshot) {
  if (candidate.node == Snapshot::kUnknownNode) return {};
  const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(candidate.node)];
  return EgressTo(node, decision.policy,
                  decision.work[static_cast<std::size_t>(node.hardware_class)], snapshot);
}

void Decide(const DecisionRequest& request, const Snapshot& snapshot,
            std::span<const std::int32_t> nodes, Decision& decision) {
  decision.time = snapshot.time();
  decision.ledger = RankedLedger::kPlacement;
  decision.policy = request.policy;
  decision.demand = DemandOf(request.pod.requests, request.policy.expected_utilization);
  decision.egress_price_unknown = false;
  PrepareWork(request, snapshot, decision);
  decision.intensity_basis = ChooseIntensity(snapshot, nodes);
  decision.candidates.clear();
  decision.candidates.reserve(nodes.size());
  for (const std::int32_t index : nodes)
    decision.candidates.push_back(Judge(snapshot, index, decision));
  Rank(decision);
}

void Rank(Decision& decision) {
  decision.unknown_candidates = 0;
  decision.best.reset();
  bool any_grams = false;
  bool any_euros = false;
  bool any_both = false;
  for (Candidate& c : decision.candidates) {
    c.score = 0;
    c.within_tolerance = false;
    any_grams |= c.placement.grams_known;
    any_euros |= c.placement.euros_known;
    any_both |= BothKnown(c);
    if (!c.placement.grams_known && !c.placement.euros_known) ++decision.unknown_candidates;
  }
  decision.ranked_by = ChooseRanking(decision.policy.objective, any_grams, any_euros, any_both);
  if (decision.ranked_by) {
    switch (*decision.ranked_by) {
      case Objective::kBalanced:
        ScoreBalanced(decision);
        break;
      case Objective::kCarbon:
        ScoreCarbon(decision);
        break;
      case Objective::kCost:
        ScoreCost(decision);
        break;
      case Objective::kPriced:
        ScorePriced(decision);
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
