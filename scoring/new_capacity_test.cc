#include "scoring/new_capacity.h"

#include <gtest/gtest.h>

#include "scoring/analysis.h"
#include "scoring/test_world.h"

namespace sobre {
namespace {

// 8 vCPU and 32 GiB each.
TestWorld TwoRegions() {
  return TestWorld()
      .Node("paris", "scaleway", "fr-par")
      .Node("warsaw", "scaleway", "pl-waw")
      .Price("paris", 0.4)
      .Price("warsaw", 0.2);
}

TEST(NewCapacity, ThePodAnswersForIdlePowerAndEmbodiedOfItsShare) {
  const auto world = TwoRegions().Snapshot();
  Policy carbon;
  carbon.objective = Objective::kCarbon;
  const DecisionRequest request = RequestFor(carbon);
  Decision there;
  Decision fresh;
  const std::vector<std::int32_t> nodes = {0, 1};
  Decide(request, *world, nodes, there);
  DecideOnNew(request, *world, nodes, fresh);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const ReportFigures report = Attribute(request, there, there.candidates[i], *world);
    EXPECT_DOUBLE_EQ(fresh.candidates[i].placement.grams.value(), report.total->mid.value());
    EXPECT_GT(fresh.candidates[i].placement.grams, there.candidates[i].placement.grams);
    EXPECT_DOUBLE_EQ(fresh.candidates[i].placement.euros.value(), report.euros->value());
  }
  EXPECT_EQ(fresh.best, 0U);
  EXPECT_EQ(fresh.candidates[0].score, 10);
  EXPECT_LT(fresh.candidates[1].score, 10);
}

TEST(NewCapacity, DataThatCrossCountOnNewMachinesToo) {
  const auto world = TwoRegions().Snapshot();
  Policy policy;
  policy.data_region = RegionName{"scaleway", "fr-par"};
  policy.egress = GigabytesPerUnit(10);
  Decision with;
  Decision without;
  const std::vector<std::int32_t> nodes = {0, 1};
  DecideOnNew(RequestFor(policy), *world, nodes, with);
  DecideOnNew(RequestFor({}), *world, nodes, without);
  EXPECT_EQ(with.candidates[0].placement.grams, without.candidates[0].placement.grams);
  EXPECT_GT(with.candidates[1].placement.grams, without.candidates[1].placement.grams);
}

TEST(NewCapacity, WholeMachinesCostAllThatTheyAre) {
  const auto world = TwoRegions().Snapshot();
  const NodeRecord& paris = world->nodes()[0];
  const Watts added(20);
  const PlacementFigures one = FiguresOfNew(paris, 1, added, IntensityBasis::kCatalog, *world);
  const PlacementFigures three = FiguresOfNew(paris, 3, added, IntensityBasis::kCatalog, *world);
  ASSERT_TRUE(one.grams_known && one.euros_known);
  EXPECT_DOUBLE_EQ(one.euros.value(), 0.4);
  EXPECT_DOUBLE_EQ(three.euros.value(), 1.2);
  // By hand: 8 idle vCPU, 32 GiB at 0.392 W a GB, the load; times PUE.
  const double idle = 8 * paris.idle.value() + 0.392 * 34.359738368;
  EXPECT_NEAR(one.added_power.value(), (idle + 20) * paris.pue.value(), 1e-9);
  EXPECT_NEAR(three.added_power.value(), (3 * idle + 20) * paris.pue.value(), 1e-9);
  const double embodied =
      paris.server_embodied->value.total.mid.value() * paris.share_of_machine.value() / 35'040;
  EXPECT_NEAR(one.grams.value(),
              one.added_power.value() / 1000 * paris.catalog_intensity->value.value() + embodied,
              1e-9);
}

TEST(NewCapacity, AnAcceleratorOfUnknownModelIsNotGuessed) {
  NodeFacts facts;
  facts.name = "gpu";
  facts.provider = "scaleway";
  facts.region = "fr-par";
  facts.gpu_model = "Nobody-Knows";
  facts.allocatable = {8000, 32LL << 30, 1, 0};
  const auto world = TestWorld().Node(facts).Price("gpu", 1).Snapshot();
  const PlacementFigures figures =
      FiguresOfNew(world->nodes()[0], 1, Watts(1), IntensityBasis::kCatalog, *world);
  EXPECT_FALSE(figures.power_known || figures.grams_known);
  ASSERT_TRUE(figures.euros_known) << "what is stated of the whole machine holds";
  EXPECT_DOUBLE_EQ(figures.euros.value(), 1);
}

TEST(NewCapacity, WhatIsNotUnderstoodOfAMachineIsNotCountedAsNothing) {
  NodeFacts gaudi;
  gaudi.name = "gaudi";
  gaudi.provider = "scaleway";
  gaudi.region = "fr-par";
  gaudi.allocatable = {96'000, 768LL << 30, 0, 0, {"habana.ai/gaudi"}};
  NodeFacts sliced = gaudi;
  sliced.name = "sliced";
  sliced.gpu_model = "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb";
  sliced.allocatable = {96'000, 768LL << 30, 14, 0, {}};
  sliced.gpu_sharing.count = 14;
  TestWorld world;
  world.Node(gaudi).Node(sliced);
  world.input().rates = {{"USD", 0.9, "2026-11-01"}};
  const auto snapshot = world.Snapshot();
  for (const NodeRecord& node : snapshot->nodes()) {
    const PlacementFigures figures =
        FiguresOfNew(node, 1, Watts(1), IntensityBasis::kCatalog, *snapshot);
    EXPECT_FALSE(figures.power_known || figures.grams_known || figures.euros_known)
        << node.facts->name;
  }
}

}  // namespace
}  // namespace sobre
