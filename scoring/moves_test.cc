#include "scoring/moves.h"

#include <chrono>
#include <cmath>

#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using std::chrono::hours;

class MovesTest : public ::testing::Test {
 protected:
  MovesTest() { base_.policy.objective = Objective::kCarbon; }
  // Two places of one operator that differ in their grids alone, one node each.
  static TestWorld World(double west, double east) {
    return TestWorld()
        .Node("west", "scaleway", "fr-par")
        .Node("east", "scaleway", "nl-ams")
        .Price("west", 0.4)
        .Price("east", 0.4)
        .Grid("scaleway", "fr-par", west)
        .Grid("scaleway", "nl-ams", east);
  }
  PodPlacement& AddPod(const std::string& name, const std::string& node) {
    auto pod = std::make_shared<PodPlacement>();
    pod->namespace_name = "shop";
    pod->name = name;
    pod->workload = "web";
    pod->uid = "uid-" + name;
    pod->requests = {2000, 4LL << 30, 0, 0};
    pod->owner = PodOwner::kController;
    pod->ready = true;
    pod->node = node;
    pods_.push_back(pod);
    return *pod;
  }
  std::vector<MoveAdvice> Advise(const TestWorld& world) {
    const auto snapshot = world.Snapshot();
    const std::vector<std::shared_ptr<const PodPlacement>> pods(pods_.begin(), pods_.end());
    return AdviseMoves({*snapshot, pods,
                        [&](const auto&) -> const NamespacePolicy& { return base_; }, history_,
                        settings_});
  }
  NamespacePolicy base_;
  MoveSettings settings_;
  const PlaceHistory* history_ = nullptr;
  std::vector<std::shared_ptr<PodPlacement>> pods_;
};

TEST_F(MovesTest, SaysWhereItIsBetterAndByHowMuch) {
  AddPod("a", "west");
  const auto advice = Advise(World(500, 50));
  ASSERT_EQ(advice.size(), 1U);
  EXPECT_EQ(advice[0].from, "scaleway/fr-par");
  EXPECT_EQ(advice[0].to, "scaleway/nl-ams");
  EXPECT_EQ(advice[0].to_node, "east");
  EXPECT_EQ(advice[0].unit, FunctionalUnit::kPodHour);
  // The same machine and overhead apart: what is taken there is known from the intensities.
  const Decision both =
      DecideFor(*World(500, 50).Snapshot(), {"west", "east"}, RequestFor(base_.policy));
  const double now = both.candidates[0].placement.grams.value();
  const double there = both.candidates[1].placement.grams.value();
  // Two minutes of both, spread over a day.
  EXPECT_DOUBLE_EQ(advice[0].cost_grams->value(), there * 2 / 60);
  EXPECT_DOUBLE_EQ(advice[0].net_grams->value(), now - there - there * 2 / 60 / 24);
  EXPECT_DOUBLE_EQ(advice[0].net_euros->value(),
                   -both.candidates[1].placement.euros.value() * 2 / 60 / 24);
  EXPECT_GT(*advice[0].now.grams, *advice[0].there.grams) << "the report ledger";
  EXPECT_FALSE(advice[0].holds_on_mean) << "without a history nobody knows";
}

TEST_F(MovesTest, DataThatAreCarriedOverAreInTheCost) {
  PodPlacement& pod = AddPod("a", "west");
  const auto before = Advise(World(500, 50));
  ASSERT_EQ(before.size(), 1U);
  pod.annotations = {{"move-gb", "20"}};
  const auto advice = Advise(World(500, 50));
  ASSERT_EQ(advice.size(), 1U);
  const double grams =
      Catalog::Embedded().coefficients().value.network.value() * 20 * 50;  // kWh/GB, g/kWh
  ASSERT_GT(grams, 0);
  EXPECT_NEAR(advice[0].cost_grams->value(), before[0].cost_grams->value() + grams, 1e-9);
  EXPECT_NEAR(advice[0].net_grams->value(), before[0].net_grams->value() - grams / 24, 1e-9);
  EXPECT_FALSE(advice[0].net_euros) << "nobody says what a gigabyte costs";
  pod.annotations = {{"move-gb", "1e6"}};
  EXPECT_TRUE(Advise(World(500, 50)).empty()) << "not worth it";
  // Where euros rank, what carries data at an unknown price is not advised.
  base_.policy.objective = Objective::kCost;
  pod.annotations.clear();
  TestWorld dear;
  dear.Node("west", "scaleway", "fr-par").Node("east", "scaleway", "nl-ams");
  dear.Price("west", 0.8).Price("east", 0.4);
  dear.Grid("scaleway", "fr-par", 50).Grid("scaleway", "nl-ams", 50);
  const auto light = Advise(dear);
  ASSERT_EQ(light.size(), 1U);
  pod.annotations = {{"move-gb", "3"}};
  EXPECT_TRUE(Advise(dear).empty());
  dear.input().catalog = CatalogWith(
      {{"egress.csv",
        "provider,from_region,to_provider,to_region,price_per_gb,currency,source,year,method,"
        "licence\nscaleway,fr-par,scaleway,*,0.02,EUR,test,2026,list,own\n"}});
  const auto heavy = Advise(dear);
  ASSERT_EQ(heavy.size(), 1U);
  EXPECT_NEAR(heavy[0].cost_euros->value(), light[0].cost_euros->value() + 0.06, 1e-9);
  EXPECT_NEAR(heavy[0].net_euros->value(), light[0].net_euros->value() - 0.06 / 24, 1e-9);
}

TEST_F(MovesTest, IsSilentInsideTheNoiseAndBelowTheThreshold) {
  AddPod("a", "west");
  EXPECT_TRUE(Advise(World(50, 500)).empty()) << "it is where it is best";
  EXPECT_TRUE(Advise(World(105, 100)).empty()) << "a tie";
  EXPECT_EQ(Advise(World(500, 100)).size(), 1U);
  settings_.min_gain = Fraction(0.9);
  EXPECT_TRUE(Advise(World(500, 100)).empty());
  settings_.min_gain = Fraction(0.1);
  settings_.min_grams = GramsPerHour(1e6);
  EXPECT_TRUE(Advise(World(500, 100)).empty());
}

TEST_F(MovesTest, ADearMoveIsNotWorthIt) {
  AddPod("a", "west");
  settings_.restart = Hours(24);
  EXPECT_EQ(Advise(World(500, 100)).size(), 1U) << "a fifth, and another fifth for the move";
  settings_.restart = Hours(24 * 5);
  EXPECT_TRUE(Advise(World(500, 100)).empty());
  settings_.horizon = Hours(24 * 30);
  EXPECT_EQ(Advise(World(500, 100)).size(), 1U);
}

TEST_F(MovesTest, WhatMustStayStays) {
  const TestWorld world = World(500, 50);
  PodPlacement& pod = AddPod("a", "west");
  pod.owner = PodOwner::kDaemonSet;
  EXPECT_TRUE(Advise(world).empty());
  pod.owner = PodOwner::kNode;
  EXPECT_TRUE(Advise(world).empty());
  pod.owner = PodOwner::kController;
  pod.deleting = true;
  EXPECT_TRUE(Advise(world).empty());
  pod.deleting = false;
  pod.is_batch_job = true;
  EXPECT_TRUE(Advise(world).empty());
  pod.is_batch_job = false;
  pod.annotations = {{"mode", "shadow"}};
  EXPECT_TRUE(Advise(world).empty());
  pod.annotations = {};
  auto rules = std::make_shared<PlacementRules>();
  rules->not_judged = "its volumes";
  pod.rules = rules;
  EXPECT_TRUE(Advise(world).empty());
  pod.rules = nullptr;
  pod.owner = PodOwner::kNobody;
  EXPECT_EQ(Advise(world).size(), 1U) << "advised all the same";
}

TEST_F(MovesTest, TheOwnersWishComesWithIt) {
  AddPod("a", "west").annotations = {{"move", "auto"}};
  const auto advice = Advise(World(500, 50));
  ASSERT_EQ(advice.size(), 1U);
  EXPECT_EQ(advice[0].wish, MoveWish::kAuto);
  std::vector<std::string> problems;
  Policy policy;
  ApplyAnnotations({{"move", "perhaps"}}, Origin::kPod, "pod", policy, problems);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0], "pod: sobre.dev/move: 'perhaps' is none of advise, auto, never");
}

TEST_F(MovesTest, HardLimitsHoldThere) {
  AddPod("a", "west").annotations = {{"allowed-regions", "scaleway/fr-par"}};
  TestWorld world = World(500, 50);
  world.input().trust_node_labels = true;
  EXPECT_TRUE(Advise(world).empty());
  pods_[0]->annotations = {{"allowed-regions", "scaleway/fr-par,scaleway/nl-ams"}};
  EXPECT_EQ(Advise(world).size(), 1U);
}

TEST_F(MovesTest, SelectorsAndTaintsHoldThere) {
  const auto with = [](NodeGates gates) {
    NodeFacts facts;
    facts.name = "east";
    facts.provider = "scaleway";
    facts.region = "nl-ams";
    facts.allocatable = TestWorld::Standard();
    facts.gates = std::move(gates);
    return TestWorld()
        .Node("west", "scaleway", "fr-par")
        .Node(facts)
        .Price("west", 0.4)
        .Price("east", 0.4)
        .Grid("scaleway", "fr-par", 500)
        .Grid("scaleway", "nl-ams", 50);
  };
  PodPlacement& pod = AddPod("a", "west");
  const Taint taint{"gpu", "yes", "NoSchedule"};
  EXPECT_EQ(Advise(with({})).size(), 1U);
  EXPECT_TRUE(Advise(with({{}, {taint}, false})).empty());
  EXPECT_TRUE(Advise(with({{}, {}, true})).empty()) << "cordoned";
  auto rules = std::make_shared<PlacementRules>();
  rules->tolerations = {{"gpu", "Exists", "", ""}};
  rules->selector = {{"disk", false, "In", {"ssd"}}};
  pod.rules = rules;
  EXPECT_TRUE(Advise(with({{}, {taint}, false})).empty());
  EXPECT_TRUE(Advise(with({{{"disk", "hdd"}}, {taint}, false})).empty());
  EXPECT_EQ(Advise(with({{{"disk", "ssd"}}, {taint}, false})).size(), 1U);
}

TEST(PlacementRules, AreJudgedAsKubernetesDoes) {
  const NodeGates node{{{"size", "8"}, {"zone", "a"}}, {{"team", "x", "NoExecute"}}, false};
  const auto admits = [&](std::vector<NodeTest> tests, std::vector<Toleration> tolerations) {
    return Admits(node, "n1", {{}, {std::move(tests)}, std::move(tolerations), {}});
  };
  const std::vector<Toleration> any = {{"", "Exists", "", ""}};
  EXPECT_TRUE(admits({{"size", false, "Gt", {"4"}}}, any));
  EXPECT_FALSE(admits({{"size", false, "Lt", {"4"}}}, any));
  EXPECT_TRUE(admits({{"zone", false, "NotIn", {"b"}}, {"none", false, "NotIn", {"b"}}}, any));
  EXPECT_TRUE(admits({{"none", false, "DoesNotExist", {}}}, any));
  EXPECT_FALSE(admits({{"none", false, "Exists", {}}}, any));
  EXPECT_TRUE(admits({{"metadata.name", true, "In", {"n1"}}}, any));
  EXPECT_FALSE(admits({{"metadata.name", true, "In", {"n2"}}}, any));
  EXPECT_FALSE(admits({{"zone", false, "Like", {"a"}}}, any)) << "an operator nobody knows";
  EXPECT_FALSE(admits({}, any)) << "a term without tests holds nowhere";
  const std::vector<NodeTest> zone = {{"zone", false, "In", {"a", "b"}}};
  EXPECT_TRUE(admits(zone, {{"team", "", "x", ""}}));
  EXPECT_FALSE(admits(zone, {{"team", "Equal", "y", ""}}));
  EXPECT_FALSE(admits(zone, {{"team", "Exists", "", "NoSchedule"}}));
  EXPECT_FALSE(admits(zone, {}));
}

TEST_F(MovesTest, EachTakesTheRoomThatIsThere) {
  // Of 8 vCPU there, one pod that is there already leaves room for three.
  for (int i = 0; i < 4; ++i) AddPod("pod-" + std::to_string(i), "west");
  AddPod("z", "east").workload = "other";
  const auto advice = Advise(World(500, 50));
  ASSERT_EQ(advice.size(), 3U);
  EXPECT_EQ(advice[2].pod->name, "pod-2");
}

TEST_F(MovesTest, AFullNodeElsewhereIsNotBetter) {
  AddPod("a", "west");
  AddPod("z", "east").requests = {7000, 4LL << 30, 0, 0};
  TestWorld world = World(500, 50);
  EXPECT_TRUE(Advise(world).empty());
  world.Node("east-2", "scaleway", "nl-ams").Price("east-2", 0.4);
  const auto advice = Advise(world);
  ASSERT_EQ(advice.size(), 1U);
  EXPECT_EQ(advice[0].to_node, "east-2");
}

TEST_F(MovesTest, TheMeanOfTheLastDaySaysWhetherItLasts) {
  AddPod("a", "west");
  PlaceHistory history((hours(24)));
  // Each is dirty every other hour: over the day they are alike.
  const auto at = [](int hour) {
    TestWorld world = hour % 2 == 0 ? World(500, 50) : World(50, 500);
    world.input().time += hours(hour);
    for (Observation& seen : world.input().observations) seen.time = world.input().time;
    return world;
  };
  for (int hour = 0; hour <= 22; ++hour) history.Add(*at(hour).Snapshot());
  EXPECT_FALSE(history.MeanOf("scaleway/fr-par")) << "less than a day";
  history_ = &history;
  EXPECT_FALSE(Advise(at(22))[0].holds_on_mean);
  for (int hour = 23; hour <= 24; ++hour) history.Add(*at(hour).Snapshot());
  EXPECT_NEAR(history.MeanOf("scaleway/fr-par")->value(), 275, 10);
  const auto now = Advise(at(24));
  ASSERT_EQ(now.size(), 1U) << "at the moment it is better";
  EXPECT_EQ(now[0].holds_on_mean, false);
  for (int hour = 25; hour <= 60; ++hour) {
    TestWorld world = World(500, 50);
    world.input().time += hours(hour);
    for (Observation& seen : world.input().observations) seen.time = world.input().time;
    history.Add(*world.Snapshot());
  }
  EXPECT_EQ(Advise(at(60))[0].holds_on_mean, true);
  PlaceHistory restored((hours(24)));
  restored.Restore(history.Steps());
  TestWorld last = World(500, 50);
  last.input().time += hours(60);
  for (Observation& seen : last.input().observations) seen.time = last.input().time;
  restored.Add(*last.Snapshot());
  EXPECT_NEAR(restored.MeanOf("scaleway/fr-par")->value(), 500, 1e-9);
}

TEST_F(MovesTest, WithinTheToleranceTheCleanerAndBeyondItTheCheaper) {
  base_.policy.objective = Objective::kBalanced;
  AddPod("a", "west");
  const auto with_price = [](double east) {
    return TestWorld()
        .Node("west", "scaleway", "fr-par")
        .Node("east", "scaleway", "nl-ams")
        .Price("west", 0.4)
        .Price("east", east)
        .Grid("scaleway", "fr-par", 500)
        .Grid("scaleway", "nl-ams", 50);
  };
  const auto dearer = Advise(with_price(0.43));
  ASSERT_EQ(dearer.size(), 1U) << "7.5 % dearer, and cleaner";
  EXPECT_LT(*dearer[0].net_euros, EurosPerHour(0));
  EXPECT_TRUE(Advise(with_price(0.6)).empty());
  pods_[0]->node = "east";
  EXPECT_EQ(Advise(with_price(1.2)).size(), 1U) << "much dearer than the cheapest: away from there";
}

TEST_F(MovesTest, IsTheSameInAnyOrderOfPods) {
  for (int i = 0; i < 5; ++i) AddPod("pod-" + std::to_string(i), "west");
  const auto first = Advise(World(500, 50));
  std::reverse(pods_.begin(), pods_.end());
  const auto second = Advise(World(500, 50));
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].pod->name, second[i].pod->name);
    EXPECT_EQ(first[i].net_grams->value(), second[i].net_grams->value());
  }
}

}  // namespace
}  // namespace sobre
