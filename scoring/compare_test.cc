#include "scoring/compare.h"

#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

constexpr Resources kPod{4000, 16LL << 30, 0, 0};

Offer Machine(const char* name, const char* provider, const char* region, double euros) {
  Offer offer;
  offer.facts.name = name;
  offer.facts.provider = provider;
  offer.facts.region = region;
  offer.facts.grid_zone = "FR";
  offer.facts.allocatable = {16'000, 64LL << 30, 0, 0};
  offer.price =
      Sourced<EurosPerHour>{EurosPerHour(euros), "test", TestWorld::kTime, Method::kConfigured};
  return offer;
}

Offer Own(double euros, double utilization) {
  Offer offer = Machine("own", "own", "lyon", euros);
  OwnMachine own;
  own.pue = Pue(1.5);
  own.electricity = EurosPerKwh(0.2);
  own.intensity = GramsPerKwh(100);
  own.market_intensity = GramsPerKwh(0);
  own.embodied = Range<Grams>{Grams(1e6), Grams(1e6), Grams(1e6)};
  own.lifetime = Hours(40'000);
  own.idle = Watts(160);
  own.full = Watts(480);
  own.utilization = Fraction(utilization);
  offer.own = own;
  return offer;
}

DecisionRequest Request() {
  Policy policy;
  policy.unit = FunctionalUnit::kPodHour;
  policy.expected_utilization = Fraction(0.5);
  return RequestFor(policy, kPod);
}

Comparison CompareAt(double own_euros, double cloud_euros, double utilization) {
  return Compare(
      Request(), TestWorld().input(),
      {Own(own_euros, utilization), Machine("cloud", "scaleway", "fr-par", cloud_euros)});
}

template <class T>
Range<T> Exactly(double value) {
  return {T(value), T(value), T(value)};
}

TEST(Compare, AnOwnMachineIsSplitIntoWhatIsThereAnywayAndWhatTheWorkAdds) {
  const Comparison comparison = CompareAt(0.2, 0.5, 0.5);
  const ComparedOffer& own = comparison.offers[0];
  // 4 of 16 vCPU and 16 of 64 GiB: a quarter. Idle 40 W and 16 GiB of memory at 0.392 W/GB; the
  // load is half of 4 vCPU at 20 W each. PUE 1.5.
  const double idle = (40 + 0.392 * 16 * 1.073741824) * 1.5;
  const double active = 40 * 1.5;
  EXPECT_NEAR(own.fixed.grams->mid.value(), idle / 10 + 25.0 / 4, 1e-9);
  EXPECT_NEAR(own.added.grams->mid.value(), active / 10, 1e-9);
  EXPECT_NEAR(own.fixed.euros->mid.value(), 0.05 + idle * 0.0002, 1e-12);
  EXPECT_NEAR(own.added.euros->mid.value(), active * 0.0002, 1e-12);
  EXPECT_NEAR(own.total.euros->mid.value(),
              own.fixed.euros->mid.value() * 2 + own.added.euros->mid.value(), 1e-12);
  // By a contract of no emissions, production is left.
  EXPECT_NEAR(own.market_grams->value(), 2 * 25.0 / 4, 1e-9);
  EXPECT_NEAR(own.priced->value(),
              own.total.euros->mid.value() + own.total.grams->mid.value() * 3e-4, 1e-12);
}

TEST(Compare, AFullyUsedMachineIsTheOfferAsItIsRanked) {
  const Comparison comparison = CompareAt(0.2, 0.5, 1);
  for (const RankedOffer& row : comparison.ranking.rows) {
    const UnitFigures& total = comparison.offers[row.offer].total;
    EXPECT_NEAR(total.euros->mid.value(), row.euros->value(), 1e-12);
    EXPECT_NEAR(total.grams->low.value(), row.grams->low.value(), 1e-9);
    EXPECT_NEAR(total.grams->mid.value(), row.grams->mid.value(), 1e-9);
    EXPECT_NEAR(total.grams->high.value(), row.grams->high.value(), 1e-9);
  }
}

TEST(Compare, AtTheBreakEvenUseBothAreEqual) {
  const Comparison first = CompareAt(0.2, 0.5, 1);
  const double share = *first.pairs.at(0).use_for_euros.mid;
  const Comparison there = CompareAt(0.2, 0.5, share);
  EXPECT_NEAR(there.offers[0].total.euros->mid.value(), there.offers[1].total.euros->mid.value(),
              1e-12);
  EXPECT_LE(*first.pairs[0].use_for_euros.low, share);
  EXPECT_GE(*first.pairs[0].use_for_euros.high, share);
}

TEST(Compare, NoUseIsEnoughAgainstWhatIsCheaperThanTheLoad) {
  const BreakEven none = BreakEvenUse<EurosPerUnit>(
      Exactly<EurosPerUnit>(1), Exactly<EurosPerUnit>(3), Exactly<EurosPerUnit>(2));
  EXPECT_TRUE(none.known);
  EXPECT_FALSE(none.mid);
  // Even all of it is not enough.
  EXPECT_FALSE(BreakEvenUse<EurosPerUnit>(Exactly<EurosPerUnit>(2), Exactly<EurosPerUnit>(1),
                                          Exactly<EurosPerUnit>(2))
                   .mid);
  EXPECT_DOUBLE_EQ(*BreakEvenUse<EurosPerUnit>(Exactly<EurosPerUnit>(1), Exactly<EurosPerUnit>(1),
                                               Exactly<EurosPerUnit>(3))
                        .mid,
                   0.5);
  EXPECT_FALSE(
      BreakEvenUse<EurosPerUnit>({}, Exactly<EurosPerUnit>(1), Exactly<EurosPerUnit>(3)).known);
}

TEST(Compare, AtTheBreakEvenCarbonPriceBothAreEqual) {
  const UnitFigures clean{Exactly<EurosPerUnit>(2), Exactly<GramsPerUnit>(1000)};
  const UnitFigures cheap{Exactly<EurosPerUnit>(1), Exactly<GramsPerUnit>(3000)};
  for (const BreakEven& found :
       {BreakEvenCarbonPrice(clean, cheap), BreakEvenCarbonPrice(cheap, clean)}) {
    EXPECT_DOUBLE_EQ(*found.mid, 500);
    EXPECT_DOUBLE_EQ(*found.low, 500);
    EXPECT_DOUBLE_EQ(*found.high, 500);
  }
}

TEST(Compare, NoCarbonPriceWhereOneIsBetterInBoth) {
  const UnitFigures good{Exactly<EurosPerUnit>(1), Exactly<GramsPerUnit>(1)};
  const UnitFigures bad{Exactly<EurosPerUnit>(2), Exactly<GramsPerUnit>(2)};
  EXPECT_TRUE(BreakEvenCarbonPrice(good, bad).known);
  EXPECT_FALSE(BreakEvenCarbonPrice(good, bad).mid);
  EXPECT_FALSE(BreakEvenCarbonPrice(good, good).mid);
  EXPECT_FALSE(BreakEvenCarbonPrice(good, {}).known);
}

TEST(Compare, WithinTheNoiseTheCarbonPriceHasNoUpperBound) {
  const UnitFigures clean{Exactly<EurosPerUnit>(2),
                          Range<GramsPerUnit>{GramsPerUnit(1), GramsPerUnit(2), GramsPerUnit(4)}};
  const UnitFigures cheap{Exactly<EurosPerUnit>(1),
                          Range<GramsPerUnit>{GramsPerUnit(2), GramsPerUnit(3), GramsPerUnit(6)}};
  const BreakEven found = BreakEvenCarbonPrice(clean, cheap);
  EXPECT_DOUBLE_EQ(*found.mid, 1e6);
  EXPECT_DOUBLE_EQ(*found.low, 2e5);
  EXPECT_FALSE(found.high);
}

TEST(Compare, ANegativePriceOfElectricityKeepsLowBelowHigh) {
  Offer own = Own(0.2, 0.5);
  own.own->electricity = EurosPerKwh(-0.1);
  const Comparison comparison =
      Compare(Request(), TestWorld().input(), {own, Machine("cloud", "scaleway", "fr-par", 0.5)});
  const Range<EurosPerUnit>& euros = *comparison.offers[0].total.euros;
  EXPECT_LT(euros.low, euros.mid);
  EXPECT_LT(euros.mid, euros.high);
}

TEST(Compare, CloudsAloneAreComparedWithTheFirst) {
  const Comparison comparison =
      Compare(Request(), TestWorld().input(),
              {Machine("a", "scaleway", "fr-par", 0.5), Machine("b", "aws", "eu-west-3", 0.4),
               Machine("c", "aws", "eu-west-3", 0.6)});
  ASSERT_EQ(comparison.pairs.size(), 2U);
  EXPECT_EQ(comparison.pairs[1].other, 2U);
  EXPECT_FALSE(comparison.pairs[1].use_for_euros.known);
  EXPECT_TRUE(comparison.pairs[1].carbon_price.known);
}

}  // namespace
}  // namespace sobre
