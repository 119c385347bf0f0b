#include "scoring/moves.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "scoring/analysis.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

bool Fits(const Resources& wanted, const Resources& room) {
  return wanted.millicpu <= room.millicpu && wanted.memory_bytes <= room.memory_bytes &&
         wanted.gpus <= room.gpus && wanted.gpu_slices <= room.gpu_slices;
}

void Take(const Resources& amount, Resources& room) {
  room.millicpu -= amount.millicpu;
  room.memory_bytes -= amount.memory_bytes;
  room.gpus -= amount.gpus;
  room.gpu_slices -= amount.gpu_slices;
}

bool SameRules(const PodPlacement& a, const PodPlacement& b) {
  if (a.rules == b.rules) return true;
  return a.rules && b.rules && *a.rules == *b.rules;
}

// Decided once for all that agree in this.
bool SameShape(const PodPlacement& a, const PodPlacement& b) {
  const auto key = [](const PodPlacement& pod) {
    const Resources& r = pod.requests;
    return std::tie(pod.namespace_name, pod.workload, r.millicpu, r.memory_bytes, r.gpus,
                    r.gpu_slices, r.devices);
  };
  const auto same = [](const Annotation& x, const Annotation& y) {
    return x.key == y.key && x.value == y.value;
  };
  return key(a) == key(b) && SameRules(a, b) &&
         std::equal(a.annotations.begin(), a.annotations.end(), b.annotations.begin(),
                    b.annotations.end(), same);
}

// What a candidate is worth in what it is ranked by, and what the worth is counted in.
enum class Measure { kGrams, kEuros, kPriced };

Measure MeasureOf(const Candidate& a, const Candidate& b, const Decision& decision) {
  switch (*decision.ranked_by) {
    case Objective::kCarbon:
      return Measure::kGrams;
    case Objective::kCost:
      return Measure::kEuros;
    case Objective::kBalanced:
      // Beyond the tolerance euros count too.
      return a.within_tolerance == b.within_tolerance ? Measure::kGrams : Measure::kPriced;
    case Objective::kPriced:
      break;
  }
  return Measure::kPriced;
}

struct Amount {
  EurosPerHour euros;
  GramsPerHour grams;
  [[nodiscard]] double In(Measure measure, EurosPerTonne price) const {
    switch (measure) {
      case Measure::kGrams:
        return grams.value();
      case Measure::kEuros:
        return euros.value();
      case Measure::kPriced:
        break;
    }
    return (euros + grams * price).value();
  }
};

struct Carried {
  Amount amount;
  bool euros_known = true;
};

PodFigures FiguresOf(const PodRates& rates, UnitsPerHour units, bool embodied) {
  PodFigures figures;
  figures.units = units;
  figures.euros = rates.euros;
  if (rates.operational) figures.grams = rates.operational->mid;
  if (figures.grams && embodied) figures.grams = *figures.grams + rates.embodied->mid;
  return figures;
}

class Adviser {
 public:
  explicit Adviser(const MoveQuestion& question)
      : question_(question), snapshot_(question.snapshot), attribution_(question.snapshot) {}

  std::vector<MoveAdvice> Advise();

 private:
  void CountRoom();
  void NewShape(const PodPlacement& pod);
  void Look();
  std::optional<MoveAdvice> Judge(const std::shared_ptr<const PodPlacement>& pod, std::int32_t own);
  [[nodiscard]] const NodeRecord& RecordOf(std::int32_t node) const {
    return snapshot_.nodes()[static_cast<std::size_t>(node)];
  }
  [[nodiscard]] bool LetsIn(const NodeRecord& node) const;
  [[nodiscard]] Amount AmountOf(const Candidate& candidate) const;
  [[nodiscard]] std::optional<Amount> AmountOnMean(const Candidate& candidate) const;
  // What its data take that are carried over once; spread over the horizon.
  [[nodiscard]] Carried CarryTo(const NodeRecord& from, const NodeRecord& to) const;
  // What is gained in the measure, after the cost; nothing where it is too little.
  [[nodiscard]] std::optional<double> Gain(const Amount& now, const Amount& there,
                                           const Amount& carried, Measure measure) const;
  [[nodiscard]] bool KnownIn(const Candidate& candidate, Measure measure) const;

  const MoveQuestion& question_;
  const Snapshot& snapshot_;
  Attribution attribution_;
  std::vector<Resources> room_;  // by index of the node
  // Of the current shape.
  std::shared_ptr<const PodPlacement> shape_;
  DecisionRequest request_;
  bool stale_ = true;  // somebody took room
  // The few candidates that decide what is best: any pod's own node is judged beside them.
  std::vector<std::int32_t> leaders_;
  Decision decision_;
};

void Adviser::CountRoom() {
  for (const NodeRecord& node : snapshot_.nodes()) room_.push_back(node.facts->allocatable);
  for (const auto& pod : question_.pods) {
    const std::int32_t node = snapshot_.Find(pod->node);
    if (node != Snapshot::kUnknownNode) Take(pod->requests, room_[static_cast<std::size_t>(node)]);
  }
}

void Adviser::NewShape(const PodPlacement& pod) {
  request_ = MakeRequest(pod, question_.policy_of(pod.namespace_name));
  stale_ = true;
}

bool Adviser::LetsIn(const NodeRecord& node) const {
  static const PlacementRules kNone;
  return !PlaceOf(*node.facts).empty() &&
         Admits(node.facts->gates, node.facts->name, shape_->rules ? *shape_->rules : kNone);
}

// Decides among all nodes that could take the pod, and keeps those that a further candidate is to
// be held against: the best, the cheapest, which sets the tolerance, and one without live
// intensity, which settles whose intensity counts.
void Adviser::Look() {
  stale_ = false;
  leaders_.clear();
  std::vector<std::int32_t> nodes;
  for (std::size_t i = 0; i < room_.size(); ++i) {
    const auto index = static_cast<std::int32_t>(i);
    if (Fits(shape_->requests, room_[i]) && LetsIn(RecordOf(index))) nodes.push_back(index);
  }
  Decide(request_, snapshot_, nodes, decision_);
  if (request_.policy.limits.Any()) {
    std::vector<std::int32_t> allowed;
    LimitCheck check(request_.policy.limits, request_, decision_, snapshot_);
    for (const Candidate& candidate : decision_.candidates)
      if (!check.Of(candidate)) allowed.push_back(candidate.node);
    Decide(request_, snapshot_, allowed, decision_);
  }
  if (!decision_.best) return;
  leaders_.push_back(decision_.candidates[*decision_.best].node);
  const Candidate* cheapest = nullptr;
  const Candidate* without_live = nullptr;
  for (const Candidate& candidate : decision_.candidates) {
    const NodeRecord& node = RecordOf(candidate.node);
    if (!node.live_intensity && node.catalog_intensity && !without_live) without_live = &candidate;
    if (!candidate.placement.euros_known || !candidate.placement.grams_known) continue;
    if (!cheapest || RankedEuros(candidate, decision_) < RankedEuros(*cheapest, decision_))
      cheapest = &candidate;
  }
  for (const Candidate* other : {cheapest, without_live}) {
    if (other && std::find(leaders_.begin(), leaders_.end(), other->node) == leaders_.end())
      leaders_.push_back(other->node);
  }
}

Amount Adviser::AmountOf(const Candidate& candidate) const {
  return {RankedEuros(candidate, decision_), RankedGrams(candidate, decision_)};
}

std::optional<Amount> Adviser::AmountOnMean(const Candidate& candidate) const {
  Amount amount = AmountOf(candidate);
  // What the catalogue says is a mean already.
  if (decision_.intensity_basis != IntensityBasis::kLive) return amount;
  if (question_.history == nullptr) return std::nullopt;
  const auto mean = question_.history->MeanOf(PlaceOf(*RecordOf(candidate.node).facts));
  if (!mean) return std::nullopt;
  amount.grams = candidate.placement.added_power * *mean * (decision_.units / candidate.units);
  return amount;
}

Carried Adviser::CarryTo(const NodeRecord& from, const NodeRecord& to) const {
  Carried carried;
  const Gigabytes data = request_.policy.move_data;
  if (data <= Gigabytes(0)) return carried;
  const GigabytesPerHour rate(data.value() / question_.settings.horizon.value());
  const auto& intensity =
      decision_.intensity_basis == IntensityBasis::kLive ? to.live_intensity : to.catalog_intensity;
  if (intensity)
    carried.amount.grams =
        snapshot_.catalog().coefficients().value.network * rate * intensity->value;
  const auto price = snapshot_.catalog().EgressPrice(from.facts->provider, from.facts->region,
                                                     to.facts->provider, to.facts->region);
  const auto euros = price ? snapshot_.EurosFor(price->value.currency) : std::nullopt;
  carried.euros_known = euros.has_value();
  if (euros) carried.amount.euros = EurosPerGigabyte(price->value.amount * *euros) * rate;
  return carried;
}

std::optional<double> Adviser::Gain(const Amount& now, const Amount& there, const Amount& carried,
                                    Measure measure) const {
  const MoveSettings& settings = question_.settings;
  const EurosPerTonne price = decision_.policy.carbon_price;
  const double before = now.In(measure, price);
  const double after = there.In(measure, price);
  const double cost =
      std::max(after, 0.0) * (settings.restart / settings.horizon) + carried.In(measure, price);
  const double gain = before - after - cost;
  const double least =
      measure == Measure::kGrams ? settings.min_grams.value() : settings.min_euros.value();
  if (gain < least || gain < settings.min_gain.value() * std::abs(before)) return std::nullopt;
  return gain;
}

bool Adviser::KnownIn(const Candidate& candidate, Measure measure) const {
  const bool grams = candidate.placement.grams_known;
  const bool euros = candidate.placement.euros_known;
  switch (measure) {
    case Measure::kGrams:
      return grams;
    case Measure::kEuros:
      return euros;
    case Measure::kPriced:
      break;
  }
  return grams && euros;
}

std::optional<MoveAdvice> Adviser::Judge(const std::shared_ptr<const PodPlacement>& pod,
                                         std::int32_t own) {
  std::vector<std::int32_t> nodes = leaders_;
  nodes.push_back(own);
  Decide(request_, snapshot_, nodes, decision_);
  // Of equals the pod's own place is the best.
  const Candidate& here = decision_.candidates.back();
  const Candidate& best = decision_.candidates.front();
  if (!decision_.ranked_by || best.score <= here.score) return std::nullopt;
  const NodeRecord& from = RecordOf(own);
  const NodeRecord& to = RecordOf(best.node);
  if (PlaceOf(*from.facts) == PlaceOf(*to.facts)) return std::nullopt;
  const Measure measure = MeasureOf(here, best, decision_);
  if (!KnownIn(here, measure) || !KnownIn(best, measure)) return std::nullopt;
  if (IsTie(here, best, decision_, snapshot_)) return std::nullopt;
  const Amount now = AmountOf(here);
  const Amount there = AmountOf(best);
  const Carried carried = CarryTo(from, to);
  if (measure != Measure::kGrams && !carried.euros_known) return std::nullopt;
  if (!Gain(now, there, carried.amount, measure)) return std::nullopt;

  MoveAdvice advice;
  advice.pod = pod;
  advice.from = PlaceOf(*from.facts);
  advice.to = PlaceOf(*to.facts);
  advice.to_node = to.facts->name;
  advice.wish = request_.policy.move;
  advice.unit = decision_.unit;
  advice.ranked_by = *decision_.ranked_by;
  const MoveSettings& settings = question_.settings;
  const double spread = settings.restart / settings.horizon;
  const Hours horizon = settings.horizon;
  if (here.placement.euros_known && best.placement.euros_known && carried.euros_known) {
    advice.cost_euros = there.euros * settings.restart + carried.amount.euros * horizon;
    advice.net_euros = now.euros - there.euros - there.euros * spread - carried.amount.euros;
  }
  if (here.placement.grams_known && best.placement.grams_known) {
    advice.cost_grams = there.grams * settings.restart + carried.amount.grams * horizon;
    advice.net_grams = now.grams - there.grams - there.grams * spread - carried.amount.grams;
  }
  const auto now_on_mean = AmountOnMean(here);
  const auto there_on_mean = AmountOnMean(best);
  if (measure == Measure::kEuros) {
    advice.holds_on_mean = true;
  } else if (now_on_mean && there_on_mean) {
    advice.holds_on_mean = Gain(*now_on_mean, *there_on_mean, carried.amount, measure).has_value();
  }
  const NamespacePolicy& base = question_.policy_of(pod->namespace_name);
  const PodRates rates = attribution_.RatesOf(*pod, base);
  PodPlacement moved = *pod;
  moved.node = to.facts->name;
  const PodRates& there_rates = attribution_.RatesOf(moved, base);
  const bool embodied = rates.embodied && there_rates.embodied;
  advice.now = FiguresOf(rates, here.units, embodied);
  advice.there = FiguresOf(there_rates, best.units, embodied);
  return advice;
}

std::vector<MoveAdvice> Adviser::Advise() {
  CountRoom();
  std::vector<std::shared_ptr<const PodPlacement>> pods(question_.pods.begin(),
                                                        question_.pods.end());
  std::sort(pods.begin(), pods.end(), [](const auto& a, const auto& b) {
    return std::tie(a->namespace_name, a->workload, a->name) <
           std::tie(b->namespace_name, b->workload, b->name);
  });
  std::vector<MoveAdvice> all;
  for (const auto& pod : pods) {
    const std::int32_t own = snapshot_.Find(pod->node);
    if (own == Snapshot::kUnknownNode || PlaceOf(*RecordOf(own).facts).empty()) continue;
    const bool same = shape_ && SameShape(*shape_, *pod);
    shape_ = pod;
    if (!same) NewShape(*pod);
    if (!WhyItStays(*pod, request_.policy).empty()) continue;
    if (stale_) Look();
    if (leaders_.empty()) continue;
    std::optional<MoveAdvice> advice = Judge(pod, own);
    if (!advice) continue;
    Resources& room = room_[static_cast<std::size_t>(leaders_.front())];
    Take(pod->requests, room);
    stale_ = !Fits(pod->requests, room);
    all.push_back(*std::move(advice));
  }
  return all;
}

}  // namespace

std::string WhyItStays(const PodPlacement& pod, const Policy& policy) {
  if (policy.mode != Mode::kEnforce) return "its mode is " + std::string(ToString(policy.mode));
  if (pod.deleting) return "it is being deleted";
  if (pod.is_batch_job) return "a batch job would begin anew";
  if (pod.owner == PodOwner::kDaemonSet) return "a DaemonSet's pod belongs to its node";
  if (pod.owner == PodOwner::kNode) return "a static pod belongs to its node";
  if (pod.has_resource_claims) return "what its resource claims ask for is not known";
  if (pod.rules && !pod.rules->not_judged.empty())
    return "not judged here: " + pod.rules->not_judged;
  return {};
}

std::vector<MoveAdvice> AdviseMoves(const MoveQuestion& question) {
  return Adviser(question).Advise();
}

}  // namespace sobre
