#include "scoring/rightsizing.h"

#include <chrono>

#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using std::chrono::hours;

class RightsizingTest : public ::testing::Test {
 protected:
  RightsizingTest() {
    auto pod = std::make_shared<PodPlacement>();
    pod->namespace_name = "shop";
    pod->name = "web-1";
    pod->workload = "web";
    pod->uid = "u";
    pod->requests = {4000, 4LL << 30, 0, 0};
    pod->node = "a";
    pod->owner = PodOwner::kController;
    pods_ = {pod};
  }
  // The processors draw 10 W more for each busy vCPU; the pod `watts` of it.
  std::shared_ptr<const Snapshot> At(int hour, double watts) {
    NodeFacts facts;
    facts.name = "a";
    facts.provider = "own";
    facts.region = "here";
    facts.grid_zone = "FR";
    facts.hardware_class = "box";
    facts.allocatable = {8000, 32'000'000'000, 0, 0};
    TestWorld world;
    SnapshotInput& input = world.input();
    input.time += hours(hour);
    world.Node(facts).Price("a", 0.40).GridZone("FR", 50).See(Signal::kNodeCpuPower, "a", 60);
    input.fits.push_back({.machine = "box",
                          .boundary = PowerBoundary::kWholeNode,
                          .fit = {Watts(2), Watts(12), Fraction(0.01), 9},
                          .source = "test",
                          .time = input.time});
    input.pods = pods_;
    Observation seen;
    seen.signal = Signal::kPodPower;
    seen.namespace_name = "shop";
    seen.pod = "web-1";
    seen.value = watts;
    seen.time = input.time;
    seen.source = "kepler";
    if (watts >= 0) input.observations.push_back(seen);
    return world.Snapshot();
  }
  std::vector<RightsizingAdvice> Advise(const Snapshot& snapshot) {
    return AdviseRightsizing(
        snapshot, pods_, [&](const auto&) -> const NamespacePolicy& { return base_; }, peaks_);
  }
  NamespacePolicy base_;
  UsePeaks peaks_{hours(24)};
  std::vector<std::shared_ptr<const PodPlacement>> pods_;
};

TEST_F(RightsizingTest, WhatIsHeldAndNotUsedIsPriced) {
  for (int hour = 0; hour < 24; ++hour) peaks_.Add(*At(hour, hour == 7 ? 4 : 1), pods_);
  EXPECT_TRUE(Advise(*At(24, 1)).empty()) << "not watched for a day yet";
  peaks_.Add(*At(24, 1), pods_);
  const auto advice = Advise(*At(24, 1));
  ASSERT_EQ(advice.size(), 1U);
  EXPECT_EQ(advice[0].workload, "web");
  EXPECT_EQ(advice[0].place, "own/here");
  EXPECT_EQ(advice[0].requested_millicpu, 4000);
  EXPECT_DOUBLE_EQ(advice[0].peak.value(), 0.4) << "4 W of 10 W for each busy vCPU";
  EXPECT_EQ(advice[0].suggested_millicpu, 800);
  // The unused 3.2 of 8 vCPU: their part of what is paid for processors, and idle watts.
  EXPECT_GT(*advice[0].euros, EurosPerHour(0));
  EXPECT_LT(*advice[0].euros, EurosPerHour(0.40 * 3.2 / 8));
  const auto node = At(24, 1)->nodes()[0];
  EXPECT_NEAR(advice[0].euros->value(), 0.40 * node.cpu_price_share.value() * 3.2 / 8, 1e-12);
  const double idle_grams = 3.2 * 2 * node.pue.value() * 50 / 1000;
  EXPECT_GT(advice[0].grams->value(), idle_grams) << "with embodied emissions";
}

TEST_F(RightsizingTest, IsSilentWhereItIsUsedOrNothingIsMeasured) {
  for (int hour = 0; hour <= 24; ++hour) peaks_.Add(*At(hour, hour == 7 ? 11 : 1), pods_);
  EXPECT_TRUE(Advise(*At(24, 1)).empty()) << "1.1 vCPU at its peak, and as much for headroom";
  UsePeaks none(hours(24));
  for (int hour = 0; hour <= 24; ++hour) none.Add(*At(hour, -1), pods_);
  EXPECT_FALSE(none.PeakOf("shop", "web"));
}

TEST_F(RightsizingTest, AnOldPeakIsForgotten) {
  for (int hour = 0; hour <= 40; ++hour) peaks_.Add(*At(hour, hour == 7 ? 30 : 1), pods_);
  EXPECT_DOUBLE_EQ(peaks_.PeakOf("shop", "web")->value(), 0.1);
}

}  // namespace
}  // namespace sobre
