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
  EXPECT_DOUBLE_EQ(fr.added_power.value(), (3.5 - 0.74) * 1.0 * 1.135);
  EXPECT_DOUBLE_EQ(fr.grams.value(), (3.5 - 0.74) * 1.135 * 56.039 / 1000);
  // 2 of 8 vCPU outweigh 4 of 32 GiB.
  EXPECT_DOUBLE_EQ(fr.euros.value(), 0.404 * 0.25);
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
  NodeFacts known{
      "gpu", "aws", "eu-west-3", "", "", "NVIDIA-A100-SXM4-80GB", {96'000, 1LL << 40, 8}};
  NodeFacts unknown = known;
  unknown.name = "mystery";
  unknown.gpu_model = "ACME-1";
  const auto snapshot =
      TestWorld().Node(known).Node(unknown).Price("gpu", 24).Price("mystery", 24).Snapshot();
  const Decision decision = DecideFor(*snapshot, {"gpu", "mystery"}, {}, {8000, 64LL << 30, 2});
  EXPECT_DOUBLE_EQ(decision.candidates[0].added_power.value(),
                   ((3.5 - 0.74) * 4 + (407 - 46) * 1.0) * 1.135);
  EXPECT_DOUBLE_EQ(decision.candidates[0].euros.value(), 24 * 0.25) << "2 of 8 accelerators";
  EXPECT_FALSE(decision.candidates[1].grams_known);
  EXPECT_EQ(decision.candidates[1].score, 0);
}

TEST(Decide, AFreePriceAndAnEmptyListAreFine) {
  TestWorld world = FourRegions();
  world.Price("fr", 0);
  EXPECT_EQ(DecideFor(*world.Snapshot(), kFour, With(Objective::kCost)).candidates[0].score, 10);
  const Decision empty = DecideFor(*world.Snapshot(), {});
  EXPECT_FALSE(empty.best);
  EXPECT_TRUE(empty.candidates.empty());
}

TEST(MakeRequest, LaysAnnotationsOverTheClustersPolicy) {
  Policy cluster;
  cluster.carbon_price = EurosPerTonne(75);
  PodFacts pod{"shop", "web", "u", {}, {{"objective", "carbon"}}};
  const DecisionRequest request =
      MakeRequest(pod, cluster, {{"objective", "cost"}, {"cost-tolerance", "x"}});
  EXPECT_EQ(request.policy.objective, Objective::kCarbon);
  EXPECT_DOUBLE_EQ(request.policy.carbon_price.value(), 75);
  EXPECT_EQ(request.problems.size(), 1U);
}

// --- properties over random worlds

class RandomWorld {
 public:
  explicit RandomWorld(unsigned seed) : random_(seed) {
    const std::size_t size = 2 + Below(20);
    for (std::size_t i = 0; i < size; ++i) {
      const std::string name = "n" + std::to_string(i);
      const bool placed = Below(6) > 0;
      static constexpr std::array<std::pair<const char*, const char*>, 4> kPlaces = {
          {{"aws", "eu-west-3"},
           {"aws", "eu-central-1"},
           {"scaleway", "pl-waw"},
           {"gcp", "europe-west1"}}};
      const auto& [provider, region] = kPlaces[Below(kPlaces.size())];
      world.Node(name, placed ? provider : "", placed ? region : "");
      if (Below(6) > 0) world.Price(name, 0.05 + 0.01 * static_cast<double>(Below(100)));
      names.push_back(name);
    }
    if (Below(2) == 0) {
      for (const auto& [provider, region] :
           {std::pair("aws", "eu-west-3"), std::pair("aws", "eu-central-1"),
            std::pair("scaleway", "pl-waw"), std::pair("gcp", "europe-west1")}) {
        world.Grid(provider, region, static_cast<double>(Below(900)));
      }
    }
    policy.objective = static_cast<Objective>(Below(4));
    policy.cost_tolerance = Fraction(0.05 * static_cast<double>(Below(6)));
    policy.carbon_price = EurosPerTonne(static_cast<double>(Below(500)));
  }
  std::size_t Below(std::size_t n) { return random_() % n; }
  std::mt19937& random() { return random_; }

  TestWorld world;
  std::vector<std::string> names;
  Policy policy;

 private:
  std::mt19937 random_;
};

TEST(DecideProperty, HoldsInManyRandomWorlds) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    RandomWorld random(seed);
    const auto snapshot = random.world.Snapshot();
    const Decision decision = DecideFor(*snapshot, random.names, random.policy);
    for (const Candidate& a : decision.candidates) {
      ASSERT_GE(a.score, 0);
      ASSERT_LE(a.score, kMaxScore);
      if (!a.grams_known && !a.euros_known) {
        ASSERT_EQ(a.score, 0) << "seed " << seed;
      }
      for (const Candidate& b : decision.candidates) {
        const bool comparable = a.grams_known && b.grams_known && a.euros_known && b.euros_known;
        if (comparable && a.grams < b.grams && a.euros < b.euros) {
          ASSERT_GE(a.score, b.score) << "seed " << seed;
        }
      }
    }
    std::vector<std::string> shuffled = random.names;
    std::shuffle(shuffled.begin(), shuffled.end(), random.random());
    const Decision other = DecideFor(*snapshot, shuffled, random.policy);
    for (std::size_t i = 0; i < shuffled.size(); ++i) {
      const auto at =
          std::find(random.names.begin(), random.names.end(), shuffled[i]) - random.names.begin();
      ASSERT_EQ(other.candidates[i].score, decision.candidates[static_cast<std::size_t>(at)].score)
          << "seed " << seed;
    }
  }
}

TEST(DecideProperty, ANodeWorseInBothChangesNoOtherScore) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    RandomWorld random(seed);
    const Decision before = DecideFor(*random.world.Snapshot(), random.names, random.policy);
    const auto known =
        std::find_if(before.candidates.begin(), before.candidates.end(),
                     [](const Candidate& c) { return c.grams_known && c.euros_known; });
    if (known == before.candidates.end()) continue;
    // Same place as a known node, and half its size: the same grams or more, twice the price share.
    NodeFacts worse =
        *random.world.Snapshot()->nodes()[static_cast<std::size_t>(known->node)].facts;
    const std::string model = worse.name;
    worse.name = "worse";
    worse.allocatable.millicpu /= 2;
    worse.allocatable.memory_bytes /= 2;
    double price = 0;
    for (const Observation& seen : random.world.input().observations) {
      if (seen.node == model) price = seen.value;
    }
    random.world.Node(worse).Price("worse", price);
    std::vector<std::string> names = random.names;
    names.push_back("worse");
    const Decision after = DecideFor(*random.world.Snapshot(), names, random.policy);
    for (std::size_t i = 0; i < random.names.size(); ++i) {
      ASSERT_EQ(before.candidates[i].score, after.candidates[i].score)
          << "seed " << seed << " node " << i;
    }
  }
}

}  // namespace
}  // namespace sobre
