#include "scoring/analysis.h"

#include <algorithm>

namespace sobre {
namespace {

const NodeRecord* RecordOf(const Candidate& candidate, const Snapshot& snapshot) {
  if (candidate.node == Snapshot::kUnknownNode) return nullptr;
  return &snapshot.nodes()[static_cast<std::size_t>(candidate.node)];
}

const ClassWork& WorkOn(const NodeRecord& node, const Decision& decision) {
  return decision.work[static_cast<std::size_t>(node.hardware_class)];
}

const std::optional<Sourced<GramsPerKwh>>& IntensityOf(const NodeRecord& node,
                                                       const Decision& decision) {
  return decision.intensity_basis == IntensityBasis::kLive ? node.live_intensity
                                                           : node.catalog_intensity;
}

PowerBasis BasisOf(const NodeRecord& node, const Decision& decision) {
  return WorkOn(node, decision).measured_power ? PowerBasis::kMeasuredJoules : node.power_basis;
}

Band operator*(Band a, Band b) { return {a.low * b.low, a.high * b.high}; }

Band PowerBand(const NodeRecord& node, const Decision& decision, const Snapshot& snapshot) {
  return snapshot.catalog().BandOf("power", ToString(BasisOf(node, decision)));
}

Band PueBand(const NodeRecord& node, const Snapshot& snapshot) {
  return snapshot.catalog().BandOf("pue", node.pue_exact ? "region" : "default");
}

// A part of a country may be far from its mean.
Band IntensityBand(const NodeRecord& node, const Decision& decision, const Snapshot& snapshot) {
  const bool of_country =
      node.grid_of_country && decision.intensity_basis == IntensityBasis::kCatalog;
  return snapshot.catalog().BandOf(
      "intensity", of_country ? "country for its part" : ToString(decision.intensity_basis));
}

Band PriceBand(const NodeRecord& node, const Snapshot& snapshot) {
  return snapshot.catalog().BandOf("price", node.price_estimated ? "estimate" : "measured");
}

template <class T>
Range<T> Spread(T mid, Band band) {
  return {mid * band.low, mid, mid * band.high};
}

// The bands of a and b in grams, without what they share.
struct Bands {
  Band grams;
  Band euros;
};
Bands OwnBands(const NodeRecord& node, const NodeRecord& other, const Decision& decision,
               const Snapshot& snapshot) {
  Bands bands;
  const PowerBasis basis = BasisOf(node, decision);
  // A calibration is of the kind of machine, all else of the hardware class.
  const bool same_power = basis == BasisOf(other, decision) &&
                          node.hardware_class == other.hardware_class &&
                          (basis != PowerBasis::kCalibrated || node.machine == other.machine);
  const bool same_pue = node.pue == other.pue && node.pue_source == other.pue_source;
  const auto& intensity = IntensityOf(node, decision);
  const auto& other_intensity = IntensityOf(other, decision);
  const bool same_grid = node.grid_zone == other.grid_zone && intensity && other_intensity &&
                         intensity->value == other_intensity->value;
  if (!same_power) bands.grams = bands.grams * PowerBand(node, decision, snapshot);
  if (!same_pue) bands.grams = bands.grams * PueBand(node, snapshot);
  if (!same_grid) bands.grams = bands.grams * IntensityBand(node, decision, snapshot);
  if (!(node.price_estimated && other.price_estimated)) bands.euros = PriceBand(node, snapshot);
  return bands;
}

// Bounds of a figure that may be negative.
template <class T>
std::pair<T, T> Bounds(T value, Band band) {
  return std::minmax(value * band.low, value * band.high);
}

template <class T>
bool Overlap(T a, Band a_band, T b, Band b_band) {
  const auto [a_low, a_high] = Bounds(a, a_band);
  const auto [b_low, b_high] = Bounds(b, b_band);
  return a_low <= b_high && b_low <= a_high;
}

bool BothKnown(const Candidate& c) { return c.placement.grams_known && c.placement.euros_known; }

// Indices of all candidates of which both are known, cheapest first, then cleanest, then in order.
std::vector<std::size_t> ByEuros(const Decision& decision) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < decision.candidates.size(); ++i) {
    if (BothKnown(decision.candidates[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const Candidate& x = decision.candidates[a];
    const Candidate& y = decision.candidates[b];
    const EurosPerHour x_euros = RankedEuros(x, decision);
    const EurosPerHour y_euros = RankedEuros(y, decision);
    if (x_euros != y_euros) return x_euros < y_euros;
    return RankedGrams(x, decision) < RankedGrams(y, decision);
  });
  return order;
}

}  // namespace

ReportFigures Attribute(const DecisionRequest& /*request*/, const Decision& decision,
                        const Candidate& candidate, const Snapshot& snapshot) {
  ReportFigures report;
  const NodeRecord* node = RecordOf(candidate, snapshot);
  if (node == nullptr) return report;
  const Catalog& catalog = snapshot.catalog();
  const ClassWork& work = WorkOn(*node, decision);
  std::optional<SplitPower> split =
      AttributedPower(decision.demand, *node, catalog.coefficients().value);
  if (split && work.measured_power) split->active = *work.measured_power;
  if (split) {
    const Band power_band = PowerBand(*node, decision, snapshot) * PueBand(*node, snapshot);
    const Watts power = (split->active + split->idle) * node->pue;
    report.power = Spread(power, power_band);
    if (const auto& intensity = IntensityOf(*node, decision)) {
      report.operational =
          Spread(power * intensity->value, power_band * IntensityBand(*node, decision, snapshot));
    }
    if (node->market_intensity) report.operational_market = power * node->market_intensity->value;
  }
  const auto share = DominantShare(decision.demand, ProfileOf(*node));
  if (node->server_embodied && share) {
    const double vcpus = static_cast<double>(node->facts->allocatable.millicpu) / 1000.0;
    report.embodied = EmbodiedPerHour(
        node->server_embodied->value,
        std::min(decision.demand.vcpus.value() / vcpus, 1.0) * node->share_of_machine.value());
    if (decision.demand.requests.UsesGpu()) {
      if (node->gpu_embodied) {
        report.embodied =
            *report.embodied + EmbodiedPerHour(node->gpu_embodied->value,
                                               GpusOn(decision.demand, ProfileOf(*node))->value());
      } else {
        report.embodied.reset();
      }
    }
  }
  if (report.operational && report.embodied) report.total = *report.operational + *report.embodied;
  if (const auto part = node->price ? PriceShare(decision.demand, *node) : std::nullopt) {
    if (!node->electricity) {
      report.euros = node->price->value * *part;
    } else if (report.power) {
      report.euros = node->price->value * *part + report.power->mid * node->electricity->value;
    }
  }
  const std::string_view unit = ToString(decision.unit);
  if (report.power)
    report.energy_class =
        EnergyClass(catalog, unit, report.power->mid.value() / candidate.units.value());
  if (report.total)
    report.carbon_class =
        CarbonClass(catalog, unit, report.total->mid.value() / candidate.units.value());
  return report;
}

Range<GramsPerHour> GramsRange(const Candidate& candidate, const Decision& decision,
                               const Snapshot& snapshot) {
  const NodeRecord* node = RecordOf(candidate, snapshot);
  if (node == nullptr) return {};
  return Spread(candidate.placement.grams, PowerBand(*node, decision, snapshot) *
                                               PueBand(*node, snapshot) *
                                               IntensityBand(*node, decision, snapshot));
}

bool IsTie(const Candidate& candidate, const Candidate& best, const Decision& decision,
           const Snapshot& snapshot) {
  const NodeRecord* a = RecordOf(candidate, snapshot);
  const NodeRecord* b = RecordOf(best, snapshot);
  if (a == nullptr || b == nullptr || !decision.ranked_by) return false;
  if (candidate.node == best.node) return true;
  const Bands a_bands = OwnBands(*a, *b, decision, snapshot);
  const Bands b_bands = OwnBands(*b, *a, decision, snapshot);
  const bool grams = candidate.placement.grams_known && best.placement.grams_known &&
                     Overlap(RankedGrams(candidate, decision), a_bands.grams,
                             RankedGrams(best, decision), b_bands.grams);
  const bool euros = candidate.placement.euros_known && best.placement.euros_known &&
                     Overlap(RankedEuros(candidate, decision), a_bands.euros,
                             RankedEuros(best, decision), b_bands.euros);
  switch (*decision.ranked_by) {
    case Objective::kCarbon:
      return grams;
    case Objective::kCost:
      return euros;
    case Objective::kBalanced:
      return grams && candidate.within_tolerance == best.within_tolerance;
    case Objective::kPriced:
      break;
  }
  if (!BothKnown(candidate) || !BothKnown(best)) return false;
  const EurosPerTonne price = decision.policy.carbon_price;
  const auto bounds = [&](const Candidate& c, const Bands& bands) {
    const auto [low_euros, high_euros] = Bounds(RankedEuros(c, decision), bands.euros);
    const auto [low_grams, high_grams] = Bounds(RankedGrams(c, decision), bands.grams);
    return std::pair(low_euros + low_grams * price, high_euros + high_grams * price);
  };
  const auto [a_low, a_high] = bounds(candidate, a_bands);
  const auto [b_low, b_high] = bounds(best, b_bands);
  return a_low <= b_high && b_low <= a_high;
}

std::vector<std::size_t> ParetoFront(const Decision& decision) {
  std::vector<std::size_t> front;
  for (const std::size_t i : ByEuros(decision)) {
    if (front.empty() || RankedGrams(decision.candidates[i], decision) <
                             RankedGrams(decision.candidates[front.back()], decision))
      front.push_back(i);
  }
  return front;
}

// The front's members enter one by one as the tolerance grows, each cleaner than those before.
std::vector<Step> ToleranceSteps(const Decision& decision) {
  const std::vector<std::size_t> front = ParetoFront(decision);
  std::vector<Step> steps;
  if (front.empty()) return steps;
  const EurosPerHour cheapest = RankedEuros(decision.candidates[front.front()], decision);
  const EurosPerHour scale = ToleranceLimit(cheapest, Fraction(1)) - cheapest;
  for (const std::size_t i : front) {
    steps.push_back({(RankedEuros(decision.candidates[i], decision) - cheapest) / scale, i});
  }
  return steps;
}

// The lower envelope of the lines euros + price · grams.
std::vector<Step> CarbonPriceSteps(const Decision& decision) {
  const std::vector<std::size_t> front = ParetoFront(decision);
  std::vector<Step> steps;
  for (const std::size_t i : front) {
    const Candidate& next = decision.candidates[i];
    double from = 0;
    while (!steps.empty()) {
      const Candidate& last = decision.candidates[steps.back().winner];
      const EurosPerHour dearer = RankedEuros(next, decision) - RankedEuros(last, decision);
      const GramsPerHour cleaner = RankedGrams(last, decision) - RankedGrams(next, decision);
      from = dearer.value() / cleaner.value() * 1e6;
      if (from > steps.back().from) break;
      steps.pop_back();
      from = 0;
    }
    steps.push_back({from, i});
  }
  return steps;
}

}  // namespace sobre
