#include "scoring/compare.h"

#include <algorithm>
#include <utility>

#include "scoring/analysis.h"
#include "scoring/ledger.h"

namespace sobre {
namespace {

// Low to high again where a factor below zero (an electricity price) has turned it round.
template <class T>
Range<T> Ordered(Range<T> range) {
  if (range.high < range.low) std::swap(range.low, range.high);
  return range;
}

template <class T>
std::optional<Range<T>> AtUse(const std::optional<Range<T>>& fixed,
                              const std::optional<Range<T>>& added, Fraction utilization) {
  if (!fixed || !added) return std::nullopt;
  return *fixed * (1.0 / utilization.value()) + *added;
}

template <class T, class Hourly>
Range<T> PerUnit(const Range<Hourly>& hourly, UnitsPerHour units) {
  const auto each = [&](Hourly value) { return T(value.value() / units.value()); };
  return {each(hourly.low), each(hourly.mid), each(hourly.high)};
}

// What of the pod's power is drawn by what it reserves, whether it works or not.
double IdleShare(const Decision& decision, const NodeRecord& node, const Snapshot& snapshot) {
  auto split = AttributedPower(decision.demand, node, snapshot.catalog().coefficients().value);
  if (!split) return 0;
  const ClassWork& work = decision.work[static_cast<std::size_t>(node.hardware_class)];
  if (work.measured_power) split->active = *work.measured_power;
  const Watts all = split->active + split->idle;
  return all > Watts(0) ? split->idle / all : 0;
}

// Euros by the hour of the price alone, and of electricity that is paid beside it.
struct PaidParts {
  Range<EurosPerHour> price;
  Range<EurosPerHour> electricity;
};
std::optional<PaidParts> PaidFor(const ReportFigures& report, const NodeRecord& node,
                                 const Snapshot& snapshot) {
  if (!report.euros) return std::nullopt;
  PaidParts parts{};
  EurosPerHour price = *report.euros;
  if (node.electricity && report.power) {
    const EurosPerKwh each = node.electricity->value;
    parts.electricity = Ordered(Range<EurosPerHour>{
        report.power->low * each, report.power->mid * each, report.power->high * each});
    price = price - report.power->mid * each;
  }
  const Band band =
      snapshot.catalog().BandOf("price", node.price_estimated ? "estimate" : "measured");
  parts.price = {price * band.low, price, price * band.high};
  return parts;
}

void FillTotals(const Policy& policy, ComparedOffer& offer) {
  offer.total.euros = AtUse(offer.fixed.euros, offer.added.euros, offer.utilization);
  offer.total.grams = AtUse(offer.fixed.grams, offer.added.grams, offer.utilization);
  if (!offer.total.euros || !offer.total.grams) return;
  offer.priced = EurosPerUnit(offer.total.euros->mid.value() +
                              offer.total.grams->mid.value() * policy.carbon_price.value() / 1e6);
}

ComparedOffer ComparedOf(const DecisionRequest& request, const OfferRanking& ranking,
                         const RankedOffer& row, const Decision& decision) {
  const Snapshot& snapshot = *ranking.snapshot;
  const NodeRecord& node = snapshot.nodes()[row.offer];
  const Offer& offer = ranking.offers[row.offer];
  const ReportFigures& report = row.report;
  ComparedOffer compared;
  compared.refusal = row.refusal;
  if (offer.own) compared.utilization = offer.own->utilization;
  const double idle = IdleShare(decision, node, snapshot);
  if (row.grams && report.operational && report.embodied) {
    // What crosses regions is in the row's figure and not in the report's.
    const GramsPerUnit egress =
        row.grams->mid - PerUnit<GramsPerUnit>(*report.total, row.units).mid;
    compared.fixed.grams =
        PerUnit<GramsPerUnit>(*report.operational * idle + *report.embodied, row.units);
    compared.added.grams = PerUnit<GramsPerUnit>(*report.operational * (1 - idle), row.units) +
                           Range<GramsPerUnit>{egress, egress, egress};
  }
  const auto paid = PaidFor(report, node, snapshot);
  if (row.euros && paid) {
    const EurosPerUnit egress =
        *row.euros - EurosPerUnit(report.euros->value() / row.units.value());
    compared.fixed.euros = PerUnit<EurosPerUnit>(paid->price + paid->electricity * idle, row.units);
    compared.added.euros = PerUnit<EurosPerUnit>(paid->electricity * (1 - idle), row.units) +
                           Range<EurosPerUnit>{egress, egress, egress};
  }
  FillTotals(request.policy, compared);
  if (report.operational_market && compared.total.grams) {
    const double operational =
        report.operational_market->value() * (idle / compared.utilization.value() + 1 - idle);
    const double embodied = report.embodied->mid.value() / compared.utilization.value();
    compared.market_grams = GramsPerUnit((operational + embodied) / row.units.value());
  }
  return compared;
}

std::optional<std::size_t> BetterInBoth(const Comparison& comparison, std::size_t a,
                                        std::size_t b) {
  const UnitFigures& x = comparison.offers[a].total;
  const UnitFigures& y = comparison.offers[b].total;
  if (!x.euros || !x.grams || !y.euros || !y.grams) return std::nullopt;
  const auto euros = x.euros->mid <=> y.euros->mid;
  const auto grams = x.grams->mid <=> y.grams->mid;
  if (euros <= 0 && grams <= 0 && (euros < 0 || grams < 0)) return a;
  if (euros >= 0 && grams >= 0 && (euros > 0 || grams > 0)) return b;
  return std::nullopt;
}

ComparedPair PairOf(const Comparison& comparison, std::size_t reference, std::size_t other) {
  const ComparedOffer& a = comparison.offers[reference];
  const ComparedOffer& b = comparison.offers[other];
  ComparedPair pair;
  pair.reference = reference;
  pair.other = other;
  if (comparison.ranking.offers[reference].own) {
    pair.use_for_euros = BreakEvenUse(a.fixed.euros, a.added.euros, b.total.euros);
    pair.use_for_grams = BreakEvenUse(a.fixed.grams, a.added.grams, b.total.grams);
  }
  pair.carbon_price = BreakEvenCarbonPrice(a.total, b.total);
  pair.better_in_both = BetterInBoth(comparison, reference, other);
  return pair;
}

void AddPairs(Comparison& comparison) {
  const auto& offers = comparison.ranking.offers;
  for (std::size_t own = 0; own < offers.size(); ++own) {
    for (std::size_t other = 0; other < offers.size(); ++other) {
      if (offers[own].own && !offers[other].own)
        comparison.pairs.push_back(PairOf(comparison, own, other));
    }
  }
  if (!comparison.pairs.empty()) return;
  for (std::size_t other = 1; other < offers.size(); ++other)
    comparison.pairs.push_back(PairOf(comparison, 0, other));
}

}  // namespace

template <class T>
BreakEven BreakEvenUse(const std::optional<Range<T>>& fixed, const std::optional<Range<T>>& added,
                       const std::optional<Range<T>>& other) {
  BreakEven found;
  found.known = fixed && added && other;
  if (!found.known) return found;
  const auto use = [](T all_time, T by_work, T limit) -> std::optional<double> {
    const double room = (limit - by_work).value();
    if (room <= 0) return std::nullopt;
    const double share = std::max(all_time.value(), 0.0) / room;
    return share <= 1 ? std::optional(share) : std::nullopt;
  };
  found.low = use(fixed->low, added->low, other->high);
  found.mid = use(fixed->mid, added->mid, other->mid);
  found.high = use(fixed->high, added->high, other->low);
  return found;
}
template BreakEven BreakEvenUse(const std::optional<Range<EurosPerUnit>>&,
                                const std::optional<Range<EurosPerUnit>>&,
                                const std::optional<Range<EurosPerUnit>>&);
template BreakEven BreakEvenUse(const std::optional<Range<GramsPerUnit>>&,
                                const std::optional<Range<GramsPerUnit>>&,
                                const std::optional<Range<GramsPerUnit>>&);

BreakEven BreakEvenCarbonPrice(const UnitFigures& a, const UnitFigures& b) {
  BreakEven found;
  found.known = a.euros && a.grams && b.euros && b.grams;
  if (!found.known) return found;
  const bool a_is_cleaner = a.grams->mid < b.grams->mid;
  const UnitFigures& clean = a_is_cleaner ? a : b;
  const UnitFigures& cheap = a_is_cleaner ? b : a;
  const auto price = [](EurosPerUnit more, GramsPerUnit saved) -> std::optional<double> {
    if (saved <= GramsPerUnit(0)) return std::nullopt;
    return std::max(more.value(), 0.0) / saved.value() * 1e6;
  };
  if (clean.euros->mid <= cheap.euros->mid) return found;
  found.mid = price(clean.euros->mid - cheap.euros->mid, cheap.grams->mid - clean.grams->mid);
  if (!found.mid) return found;
  found.low = price(clean.euros->low - cheap.euros->high, cheap.grams->high - clean.grams->low);
  found.high = price(clean.euros->high - cheap.euros->low, cheap.grams->low - clean.grams->high);
  return found;
}

Comparison Compare(const DecisionRequest& request, const SnapshotInput& world,
                   std::vector<Offer> offers) {
  Comparison comparison;
  comparison.ranking = RankOffers(request, world, std::move(offers));
  const OfferRanking& ranking = comparison.ranking;
  comparison.offers.resize(ranking.offers.size());
  for (const RankedOffer& row : ranking.rows)
    comparison.offers[row.offer] = ComparedOf(request, ranking, row, ranking.decision);
  AddPairs(comparison);
  return comparison;
}

}  // namespace sobre
