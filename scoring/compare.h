#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "scoring/offers.h"

// A machine of one's own against machines of others, for one pod: per unit, on the ledger of new
// capacity. What a machine of one's own costs and emits whether it is used or not (purchase, idle
// power, embodied emissions) is carried by what is in use of it. Pure functions, safe from any
// thread.
namespace sobre {

struct UnitFigures {
  std::optional<Range<EurosPerUnit>> euros;
  std::optional<Range<GramsPerUnit>> grams;
};

struct ComparedOffer {
  // Of a fully used machine: what is there without the work, and what the work adds (power of its
  // load, what crosses regions).
  UnitFigures fixed;
  UnitFigures added;
  Fraction utilization{1};  // less than 1 only of a machine of one's own
  // fixed / utilization + added
  UnitFigures total;
  // With the contract's factor in place of the grid's; beside it, never compared.
  std::optional<GramsPerUnit> market_grams;
  // Euros and the policy's price of carbon, of the middle figures.
  std::optional<EurosPerUnit> priced;
  std::optional<Refusal> refusal;
};

// A value at which two offers are equal; absent: there is none. Low and high are those of the
// figures' bounds, all of them for one side or against it.
struct BreakEven {
  bool known = false;  // else a figure is missing
  std::optional<double> low;
  std::optional<double> mid;
  std::optional<double> high;
};

// u* = fixed / (other − added): the share of use from which on the machine of one's own is at most
// at the other's figure. Absent where that is above 1, or the other is below what the work adds.
template <class T>
BreakEven BreakEvenUse(const std::optional<Range<T>>& fixed, const std::optional<Range<T>>& added,
                       const std::optional<Range<T>>& other);

// p* = (E_cleaner − E_cheaper) / (G_cheaper − G_cleaner) in euros per tonne: above it the cleaner
// one is better. Absent where one is at least as good in both. `high` is absent where, within the
// bounds, the cleaner one may not be cleaner at all.
BreakEven BreakEvenCarbonPrice(const UnitFigures& a, const UnitFigures& b);

struct ComparedPair {
  std::size_t reference = 0;  // indices into Comparison::offers
  std::size_t other = 0;
  // Of a reference that is one's own; else unknown.
  BreakEven use_for_euros;
  BreakEven use_for_grams;
  BreakEven carbon_price;
  // The one that is at least as good in both figures, and better in one.
  std::optional<std::size_t> better_in_both;
};

struct Comparison {
  // Its offers stand in the order in which they were given.
  OfferRanking ranking;
  std::vector<ComparedOffer> offers;
  // Each machine of one's own with each that is not; without such, the first with all others.
  std::vector<ComparedPair> pairs;
};

// Compares the offers for the pod in the world as `world` knows it. Names as for RankOffers().
Comparison Compare(const DecisionRequest& request, const SnapshotInput& world,
                   std::vector<Offer> offers);

}  // namespace sobre
