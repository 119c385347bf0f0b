#include "scoring/decide.h"

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

std::vector<int> Scores(const Decision& decision) {
  std::vector<int> scores;
  for (const Candidate& c : decision.candidates) scores.push_back(c.score);
  return scores;
}

Policy With(Objective objective) {
  Policy policy;
  policy.objective = objective;
  return policy;
}

// Paris, Frankfurt, Stockholm, Warsaw at realistic prices of 8 vCPU.
TestWorld FourRegions() {
  TestWorld world;
  world.Node("fr", "aws", "eu-west-3")
      .Node("de", "aws", "eu-central-1")
      .Node("se", "aws", "eu-north-1")
      .Node("pl", "scaleway", "pl-waw");
  world.Price("fr", 0.404).Price("de", 0.400).Price("se", 0.368).Price("pl", 0.330);
  return world;
}
const std::vector<std::string> kFour = {"fr", "de", "se", "pl"};

TEST(Decide, FiguresCanBeRecomputedByHand) {
  const auto snapshot = FourRegions().Snapshot();
  Policy policy = With(Objective::kCarbon);
  policy.expected_utilization = Fraction(0.5);
  policy.requests = UnitsPerHour(3600);
  const Decision decision = DecideFor(*snapshot, {"fr"}, policy);
  const Candidate& fr = decision.candidates[0];
  // 2 vCPU half busy on (3.5 − 0.74) W per vCPU, PUE 1.135, 56.039 g/kWh.
  EXPECT_DOUBLE_EQ(fr.placement.added_power.value(), (3.5 - 0.74) * 1.0 * 1.135);
  EXPECT_DOUBLE_EQ(fr.placement.grams.value(), (3.5 - 0.74) * 1.135 * 56.039 / 1000);
  // 2 of 8 vCPU outweigh 4 of 32 GiB.
  EXPECT_DOUBLE_EQ(fr.placement.euros.value(), 0.404 * 0.25);
  EXPECT_EQ(decision.unit, FunctionalUnit::kRequest);
  EXPECT_DOUBLE_EQ(decision.units.value(), 3600);
}

TEST(Decide, EachObjectivePicksItsOwnBest) {
  const auto snapshot = FourRegions().Snapshot();
  EXPECT_EQ(DecideFor(*snapshot, kFour, With(Objective::kCarbon)).best, 2U);
  EXPECT_EQ(DecideFor(*snapshot, kFour, With(Objective::kCost)).best, 3U);
  // Stockholm costs 11.5 % more than Warsaw: beyond 10 %, within 15 %.
  EXPECT_EQ(DecideFor(*snapshot, kFour, With(Objective::kBalanced)).best, 3U);
  Policy tolerant = With(Objective::kBalanced);
  tolerant.cost_tolerance = Fraction(0.15);
  EXPECT_EQ(DecideFor(*snapshot, kFour, tolerant).best, 2U);
  Policy dear_carbon = With(Objective::kPriced);
  dear_carbon.carbon_price = EurosPerTonne(20'000);
  EXPECT_EQ(DecideFor(*snapshot, kFour, dear_carbon).best, 2U);
}

TEST(Decide, CarbonScoresAreTheRatioToTheBest) {
  const auto snapshot = TestWorld()
                            .Node("a", "aws", "eu-west-3")
                            .Node("b", "aws", "eu-west-1")
                            .Node("c", "aws", "eu-central-1")
                            .Grid("aws", "eu-west-3", 50)
                            .Grid("aws", "eu-west-1", 100)
                            .Grid("aws", "eu-central-1", 400)
                            .Snapshot();
  const Decision decision = DecideFor(*snapshot, {"a", "b", "c"}, With(Objective::kCarbon));
  EXPECT_EQ(decision.intensity_basis, IntensityBasis::kLive);
  // PUE 1.135, 1.11 and 1.35.
  EXPECT_THAT(Scores(decision), ElementsAre(10, 5, 1));
}

TEST(Decide, BalancedScoresByGramsWithinTheToleranceAndByEurosBeyond) {
  const auto snapshot = FourRegions().Snapshot();
  Policy policy = With(Objective::kBalanced);
  policy.cost_tolerance = Fraction(0.12);
  const Decision decision = DecideFor(*snapshot, kFour, policy);
  EXPECT_FALSE(decision.candidates[0].within_tolerance);
  EXPECT_TRUE(decision.candidates[2].within_tolerance);
  EXPECT_EQ(decision.candidates[2].score, 10);
  EXPECT_TRUE(decision.candidates[3].within_tolerance);
  EXPECT_GE(decision.candidates[3].score, 4);
  EXPECT_LE(decision.candidates[0].score, 3);
}

TEST(Decide, LiveIntensityIsUsedOnlyIfItCoversAll) {
  TestWorld world = FourRegions();
  world.Grid("aws", "eu-west-3", 900).Grid("aws", "eu-central-1", 20).Grid("aws", "eu-north-1", 30);
  Decision decision = DecideFor(*world.Snapshot(), kFour, With(Objective::kCarbon));
  EXPECT_EQ(decision.intensity_basis, IntensityBasis::kCatalog);
  EXPECT_EQ(decision.best, 2U);
  decision = DecideFor(*world.Snapshot(), {"fr", "de", "se"}, With(Objective::kCarbon));
  EXPECT_EQ(decision.intensity_basis, IntensityBasis::kLive);
  EXPECT_EQ(decision.best, 1U);
}

TEST(Decide, AnUnknownNodeScoresZeroAndAllUnknownScoreTheSame) {
  TestWorld world = FourRegions();
  world.Node("dark", "", "");
  const auto snapshot = world.Snapshot();
  const Decision mixed = DecideFor(*snapshot, {"dark", "fr", "never-heard-of"});
  EXPECT_EQ(mixed.candidates[0].score, 0);
  EXPECT_GT(mixed.candidates[1].score, 0);
  EXPECT_EQ(mixed.candidates[2].score, 0);
  EXPECT_EQ(mixed.unknown_candidates, 2);
  const Decision dark = DecideFor(*snapshot, {"dark", "never-heard-of"});
  EXPECT_FALSE(dark.ranked_by);
  EXPECT_THAT(Scores(dark), Each(0));
}

TEST(Decide, FallsBackToWhatIsKnown) {
  TestWorld no_prices;
  no_prices.Node("fr", "aws", "eu-west-3").Node("de", "aws", "eu-central-1");
  EXPECT_EQ(DecideFor(*no_prices.Snapshot(), {"de", "fr"}).ranked_by, Objective::kCarbon);
  EXPECT_EQ(DecideFor(*no_prices.Snapshot(), {"de", "fr"}).best, 1U);
  EXPECT_EQ(DecideFor(*no_prices.Snapshot(), {"de", "fr"}, With(Objective::kCost)).best, 1U);
  TestWorld no_regions;
  no_regions.Node("x", "", "").Node("y", "", "").Price("x", 0.2).Price("y", 0.1);
  EXPECT_EQ(DecideFor(*no_regions.Snapshot(), {"x", "y"}).ranked_by, Objective::kCost);
  EXPECT_EQ(DecideFor(*no_regions.Snapshot(), {"x", "y"}).best, 1U);
}

TEST(Decide, AcceleratorsCountWhereTheirModelIsKnown) {
  NodeFacts known;
  known.name = "gpu";
  known.provider = "aws";
  known.region = "eu-west-3";
  known.gpu_model = "NVIDIA-A100-SXM4-80GB";
  known.allocatable = {96'000, 1LL << 40, 8, 0};
  NodeFacts unknown = known;
  unknown.name = "mystery";
  unknown.gpu_model = "ACME-1";
  const auto snapshot =
      TestWorld().Node(known).Node(unknown).Price("gpu", 24).Price("mystery", 24).Snapshot();
  const Decision decision = DecideFor(*snapshot, {"gpu", "mystery"}, {}, {8000, 64LL << 30, 2, 0});
  EXPECT_DOUBLE_EQ(decision.candidates[0].placement.added_power.value(),
                   ((3.5 - 0.74) * 4 + (407 - 46) * 1.0) * 1.135);
  EXPECT_DOUBLE_EQ(decision.candidates[0].placement.euros.value(), 24 * 0.25)
      << "2 of 8 accelerators";
  EXPECT_FALSE(decision.candidates[1].placement.grams_known);
  EXPECT_EQ(decision.candidates[1].score, 0);
}

TEST(Decide, AFreePriceNeverWinsAndAnEmptyListIsFine) {
  TestWorld world = FourRegions();
  world.Price("fr", 0);
  const Decision free = DecideFor(*world.Snapshot(), kFour, With(Objective::kCost));
  EXPECT_LT(free.candidates[0].score, 10);
  EXPECT_GT(free.candidates[0].placement.euros, EurosPerHour(0)) << "an estimate stands in";
  const Decision empty = DecideFor(*world.Snapshot(), {});
  EXPECT_FALSE(empty.best);
  EXPECT_TRUE(empty.candidates.empty());
}

TEST(Decide, NegativePricesScoreInBounds) {
  TestWorld world = FourRegions();
  world.Price("fr", 0.05);
  world.input().catalog = CatalogWith({{"electricity.csv",
                                        "provider,region,eur_per_kwh,source,year,method,licence\n"
                                        "aws,*,-10,test,2026,day-ahead,own\n"}});
  for (const Objective objective : {Objective::kBalanced, Objective::kCost, Objective::kPriced}) {
    const Decision decision = DecideFor(*world.Snapshot(), kFour, With(objective));
    EXPECT_LT(decision.candidates[0].placement.euros, EurosPerHour(0));
    for (const int score : Scores(decision)) {
      EXPECT_GE(score, 0);
      EXPECT_LE(score, 10);
    }
  }
}

TEST(MakeRequest, LaysAnnotationsOverTheClustersPolicy) {
  Policy cluster;
  cluster.carbon_price = EurosPerTonne(75);
  PodFacts pod;
  pod.namespace_name = "shop";
  pod.annotations = {{"objective", "carbon"}};
  const NamespacePolicy base =
      MakeNamespacePolicy("shop", {{"objective", "cost"}, {"cost-tolerance", "x"}}, cluster);
  const DecisionRequest request = MakeRequest(pod, base);
  EXPECT_EQ(request.policy.objective, Objective::kCarbon);
  EXPECT_EQ(request.policy.OriginOf(PolicyKey::kObjective).origin, Origin::kPod);
  EXPECT_DOUBLE_EQ(request.policy.carbon_price.value(), 75);
  EXPECT_EQ(request.problems.size(), 1U);
}

// --- properties over random worlds

}  // namespace
}  // namespace sobre
