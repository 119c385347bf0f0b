#include "scoring/decide.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/text.h"

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

// Of candidates that the snapshot does not know.
constexpr std::int32_t kNoProfile = -1;

// Of what is not negative. NOLINTNEXTLINE(bugprone-incorrect-roundings)
int Round(double value) { return static_cast<int>(value + 0.5); }

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
IntensityBasis ChooseIntensity(const NodeProfiles& profiles,
                               const std::vector<std::int32_t>& profile_of_kind) {
  bool any_live = false;
  bool any_catalog = false;
  bool live_covers = true;
  for (const std::int32_t profile : profile_of_kind) {
    if (profile == kNoProfile) continue;
    any_live |= profiles.HasLive(profile);
    any_catalog |= profiles.HasCatalog(profile);
    live_covers &= profiles.HasLive(profile) || !profiles.HasCatalog(profile);
  }
  if (any_live && live_covers) return IntensityBasis::kLive;
  return any_catalog ? IntensityBasis::kCatalog : IntensityBasis::kNone;
}

bool CrossesRegions(const Policy& policy, std::string_view provider, std::string_view region) {
  if (!policy.data_region || policy.egress <= GigabytesPerUnit(0)) return false;
  return policy.data_region->provider != provider ||
         !EqualsIgnoreCase(policy.data_region->region, region);
}

std::optional<EurosPerGigabyte> EgressPriceTo(const Policy& policy, std::string_view provider,
                                              std::string_view region, const Snapshot& snapshot) {
  const RegionName& from = *policy.data_region;
  const auto price = snapshot.catalog().EgressPrice(from.provider, from.region, provider, region);
  const auto euros = price ? snapshot.EurosFor(price->value.currency) : std::nullopt;
  if (!euros) return std::nullopt;
  return EurosPerGigabyte(price->value.amount * *euros);
}

Egress EgressAt(std::optional<EurosPerGigabyte> price, const Policy& policy, const ClassWork& work,
                const Snapshot& snapshot) {
  Egress egress;
  const GigabytesPerHour rate = policy.egress * work.units;
  egress.power = snapshot.catalog().coefficients().value.network * rate;
  egress.price_unknown = !price;
  if (price) egress.euros = *price * rate;
  return egress;
}

// The catalogue is asked once for each place.
Egress EgressTo(const NodeProfile& node, const ClassWork& work, const Snapshot& snapshot,
                Decision& decision) {
  const auto place = static_cast<std::size_t>(node.place);
  const NodePlace& to = snapshot.profiles().places()[place];
  if (!CrossesRegions(decision.policy, to.provider, to.region)) return {};
  auto& price = decision.egress_price_to_place[place];
  if (!price) price = EgressPriceTo(decision.policy, to.provider, to.region, snapshot);
  return EgressAt(*price, decision.policy, work, snapshot);
}

void Judge(const Snapshot& snapshot, std::int32_t profile, Decision& decision,
           Candidate& candidate) {
  if (profile == kNoProfile) {
    candidate.units = decision.units;
    return;
  }
  const NodeProfile& node = snapshot.profiles()[static_cast<std::size_t>(profile)];
  const ClassWork& work = decision.work[static_cast<std::size_t>(node.hardware_class)];
  candidate.units = work.units;
  PlacementFigures& figures = candidate.placement;
  const Egress egress = EgressTo(node, work, snapshot, decision);
  decision.egress_price_unknown |= egress.price_unknown;
  // What was measured of the workload does not tell of devices that nobody knows.
  const std::optional<Watts> power = work.measured_power && DevicesKnown(decision.demand, node)
                                         ? work.measured_power
                                         : MarginalPower(decision.demand, node);
  if (power) {
    figures.added_power = *power * node.pue + egress.power;
    figures.power_known = true;
    const auto& intensity = decision.intensity_basis == IntensityBasis::kLive
                                ? node.live_intensity
                                : node.catalog_intensity;
    if (intensity) {
      figures.grams = figures.added_power * *intensity;
      figures.grams_known = true;
    }
  }
  const auto share = node.price ? DominantShare(decision.demand, node) : std::nullopt;
  // Where electricity is paid apart, a price without it is half a price.
  if (share && (power || !node.electricity)) {
    figures.euros = *node.price * *share + egress.euros;
    if (node.electricity) figures.euros = figures.euros + *power * node.pue * *node.electricity;
    figures.euros_known = true;
  }
}

// Fills in `placed`, and `kinds` as far as it says which there are: in the order of their profiles,
// so that these are read as they lie in memory; strangers last.
void FindKinds(const NodeProfiles& profiles, std::span<const std::int32_t> nodes,
               Decision& decision) {
  constexpr std::size_t kBits = 64;
  decision.asked_profiles.assign(profiles.size() / kBits + 1, 0);
  decision.profile_of_kind.clear();
  decision.kind_of_profile.resize(profiles.size());
  decision.placed.resize(nodes.size());
  // Plain pointers: what is written through them is seen to change nothing else.
  std::uint64_t* const asked = decision.asked_profiles.data();
  std::int32_t* const kind_of = decision.kind_of_profile.data();
  Placed* const placed = decision.placed.data();
  bool strangers = false;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::int32_t node = nodes[i];
    const std::int32_t profile =
        node == Snapshot::kUnknownNode ? kNoProfile : profiles.OfNode(node);
    placed[i] = {node, profile};
    if (profile == kNoProfile) {
      strangers = true;
    } else {
      const auto at = static_cast<std::size_t>(profile);
      asked[at / kBits] |= std::uint64_t{1} << (at % kBits);
    }
  }
  for (std::size_t word = 0; word < decision.asked_profiles.size(); ++word) {
    for (std::uint64_t left = asked[word]; left != 0; left &= left - 1) {
      const std::size_t profile = word * kBits + static_cast<std::size_t>(std::countr_zero(left));
      kind_of[profile] = static_cast<std::int32_t>(decision.profile_of_kind.size());
      decision.profile_of_kind.push_back(static_cast<std::int32_t>(profile));
    }
  }
  const auto stranger = static_cast<std::int32_t>(decision.profile_of_kind.size());
  if (strangers) decision.profile_of_kind.push_back(kNoProfile);
  decision.kinds.assign(decision.profile_of_kind.size(), {});
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::int32_t profile = placed[i].kind;
    placed[i].kind = profile == kNoProfile ? stranger : kind_of[static_cast<std::size_t>(profile)];
  }
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

// Scores `all` by the figures that they have.
class Ranking {
 public:
  Ranking(std::vector<Candidate>& all, Decision& decision) : all_(all), decision_(decision) {}

  void Score() {
    bool any_grams = false;
    bool any_euros = false;
    bool any_both = false;
    decision_.ranked.resize(all_.size());
    for (std::size_t i = 0; i < all_.size(); ++i) {
      Candidate& c = all_[i];
      c.score = 0;
      c.within_tolerance = false;
      any_grams |= c.placement.grams_known;
      any_euros |= c.placement.euros_known;
      any_both |= BothKnown(c);
      RankedFigures& figures = decision_.ranked[i];
      const double work = decision_.units / c.units;
      figures.grams = c.placement.grams * work;
      figures.euros = c.placement.euros * work;
      figures.priced = figures.euros + figures.grams * decision_.policy.carbon_price;
    }
    decision_.ranked_by = ChooseRanking(decision_.policy.objective, any_grams, any_euros, any_both);
    if (!decision_.ranked_by) return;
    switch (*decision_.ranked_by) {
      case Objective::kBalanced:
        return ScoreBalanced();
      case Objective::kCarbon:
        return ScoreBy(&RankedFigures::grams, kSmallestGrams,
                       [](const Candidate& c) { return c.placement.grams_known; });
      case Objective::kCost:
        return ScoreBy(&RankedFigures::euros, kSmallestEuros,
                       [](const Candidate& c) { return c.placement.euros_known; });
      case Objective::kPriced:
        return ScoreBy(&RankedFigures::priced, kSmallestEuros, BothKnown);
    }
  }

 private:
  template <class T, class Known>
  void ScoreBy(T RankedFigures::*figure, T smallest, const Known& known) {
    Best<T> best;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (known(all_[i])) best.Offer(decision_.ranked[i].*figure);
    }
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (known(all_[i]))
        all_[i].score = Round(kMaxScore * Ratio(decision_.ranked[i].*figure, best.value, smallest));
    }
  }

  // Within the tolerance 4 to 10 by grams, beyond it 0 to 3 by euros and priced grams together.
  void ScoreBalanced() {
    Best<EurosPerHour> cheapest;
    Best<EurosPerHour> best_priced;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (!BothKnown(all_[i])) continue;
      cheapest.Offer(decision_.ranked[i].euros);
      best_priced.Offer(decision_.ranked[i].priced);
    }
    const EurosPerHour limit = ToleranceLimit(cheapest.value, decision_.policy.cost_tolerance);
    Best<GramsPerHour> cleanest;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (!BothKnown(all_[i]) || decision_.ranked[i].euros > limit) continue;
      all_[i].within_tolerance = true;
      cleanest.Offer(decision_.ranked[i].grams);
    }
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (!BothKnown(all_[i])) continue;
      const RankedFigures& figures = decision_.ranked[i];
      all_[i].score = all_[i].within_tolerance
                          ? 4 + Round(6 * Ratio(figures.grams, cleanest.value, kSmallestGrams))
                          : Round(3 * Ratio(figures.priced, best_priced.value, kSmallestEuros));
    }
  }

  std::vector<Candidate>& all_;
  Decision& decision_;
};

bool IsUnknown(const Candidate& c) { return !c.placement.grams_known && !c.placement.euros_known; }

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
  DecisionRequest request;
  request.pod = std::move(pod);
  SetPolicy(base, request);
  return request;
}

void SetPolicy(const NamespacePolicy& base, DecisionRequest& request) {
  request.policy = base.policy;
  request.problems = base.problems;
  request.limits_in_scores = false;
  ApplyAnnotations(request.pod.annotations, Origin::kPod, "pod", request.policy, request.problems);
}

Egress EgressOf(const Candidate& candidate, const Decision& decision, const Snapshot& snapshot) {
  if (candidate.node == Snapshot::kUnknownNode) return {};
  const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(candidate.node)];
  const NodeFacts& facts = *node.facts;
  if (!CrossesRegions(decision.policy, facts.provider, facts.region)) return {};
  return EgressAt(EgressPriceTo(decision.policy, facts.provider, facts.region, snapshot),
                  decision.policy, decision.work[static_cast<std::size_t>(node.hardware_class)],
                  snapshot);
}

void JudgeKinds(const DecisionRequest& request, const Snapshot& snapshot,
                std::span<const std::int32_t> nodes, Decision& decision) {
  decision.time = snapshot.time();
  decision.ledger = RankedLedger::kPlacement;
  decision.policy = request.policy;
  decision.demand = DemandOf(request.pod.requests, request.policy.expected_utilization);
  decision.demand.unknown_devices = UnknownDevices(request.pod, snapshot.catalog());
  decision.egress_price_unknown = false;
  decision.egress_price_to_place.assign(snapshot.profiles().places().size(), std::nullopt);
  decision.candidates.clear();
  PrepareWork(request, snapshot, decision);
  FindKinds(snapshot.profiles(), nodes, decision);
  decision.intensity_basis = ChooseIntensity(snapshot.profiles(), decision.profile_of_kind);
  for (std::size_t i = 0; i < decision.kinds.size(); ++i)
    Judge(snapshot, decision.profile_of_kind[i], decision, decision.kinds[i]);
  Ranking(decision.kinds, decision).Score();
  decision.score_of_kind.resize(decision.kinds.size());
  std::int8_t highest = -1;
  bool any_unknown = false;
  for (std::size_t i = 0; i < decision.kinds.size(); ++i) {
    decision.score_of_kind[i] = static_cast<std::int8_t>(decision.kinds[i].score);
    highest = std::max(highest, decision.score_of_kind[i]);
    any_unknown |= IsUnknown(decision.kinds[i]);
  }
  decision.best.reset();
  for (std::size_t i = 0; i < decision.placed.size() && !decision.best; ++i) {
    if (decision.ScoreOf(i) == highest) decision.best = i;
  }
  decision.unknown_candidates = 0;
  for (std::size_t i = 0; i < decision.placed.size() && any_unknown; ++i) {
    if (IsUnknown(decision.kinds[static_cast<std::size_t>(decision.placed[i].kind)]))
      ++decision.unknown_candidates;
  }
}

void WriteOut(const Decision& decision, std::vector<Candidate>& candidates) {
  candidates.resize(decision.placed.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    candidates[i] = decision.kinds[static_cast<std::size_t>(decision.placed[i].kind)];
    candidates[i].node = decision.placed[i].node;
  }
}

void Decide(const DecisionRequest& request, const Snapshot& snapshot,
            std::span<const std::int32_t> nodes, Decision& decision) {
  JudgeKinds(request, snapshot, nodes, decision);
  WriteOut(decision, decision.candidates);
}

void Rank(Decision& decision) {
  Ranking(decision.candidates, decision).Score();
  decision.best.reset();
  for (std::size_t i = 0; i < decision.candidates.size(); ++i) {
    if (!decision.best || decision.candidates[i].score > decision.candidates[*decision.best].score)
      decision.best = i;
  }
  decision.unknown_candidates =
      std::count_if(decision.candidates.begin(), decision.candidates.end(), IsUnknown);
}

}  // namespace sobre
