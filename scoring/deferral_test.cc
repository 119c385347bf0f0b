#include "scoring/deferral.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Timestamp kNow = TestWorld::kTime;

class DeferralTest : public ::testing::Test {
 protected:
  DeferralTest() {
    world_.Node("fr", "aws", "eu-west-3").Node("de", "aws", "eu-central-1");
    world_.input().trust_node_labels = true;
    policy_.deferral.below = GramsPerKwh(100);
    policy_.deferral.max_delay = hours(6);
  }
  void Foresee(const char* region, double grams, Duration ahead) {
    world_.See(Signal::kGridForecast, "", grams);
    world_.input().observations.back().provider = "aws";
    world_.input().observations.back().region = region;
    world_.input().observations.back().ahead = ahead;
  }
  GateVerdict Judge(Duration waited = hours(1)) const {
    return JudgeGate(policy_, kNow - waited, kNow, *world_.Snapshot());
  }
  TestWorld world_;
  Policy policy_;
};

TEST_F(DeferralTest, OpensBelowTheThresholdAndNamesTheRegions) {
  world_.Grid("aws", "eu-west-3", 60).Grid("aws", "eu-central-1", 400);
  const GateVerdict verdict = Judge();
  EXPECT_TRUE(verdict.open);
  EXPECT_EQ(verdict.reason, "eu-west-3 is at 60 gCO2e/kWh, below 100 gCO2e/kWh");
  EXPECT_THAT(verdict.regions, ElementsAre("eu-west-3"));
}

TEST_F(DeferralTest, ARegionThatNoLabelTellsIsNowhereToSendAPod) {
  NodeFacts north;
  north.name = "north";
  north.provider = "aws";
  north.region = "eu-north-1";
  north.region_derived = true;
  north.allocatable = TestWorld::Standard();
  world_.Node(north).Grid("aws", "eu-north-1", 10).Grid("aws", "eu-west-3", 60);
  world_.Grid("aws", "eu-central-1", 400);
  EXPECT_THAT(Judge().regions, ElementsAre("eu-west-3"));
}

TEST_F(DeferralTest, WaitsAboveIt) {
  world_.Grid("aws", "eu-west-3", 100).Grid("aws", "eu-central-1", 400);
  EXPECT_FALSE(Judge().open);
  EXPECT_TRUE(Judge(hours(6)).open) << "until the longest delay";
}

TEST_F(DeferralTest, OnlyRegionsThatKeepTheLimitsCount) {
  world_.Grid("aws", "eu-west-3", 60).Grid("aws", "eu-central-1", 400);
  policy_.limits.countries = std::vector<std::string>{"DE"};
  EXPECT_FALSE(Judge().open);
}

TEST_F(DeferralTest, WithNoDataItOpensAtOnce) {
  EXPECT_THAT(Judge().reason, HasSubstr("no live grid intensity"));
  world_.Grid("aws", "eu-west-3", 400, hours(5));
  EXPECT_TRUE(Judge().open) << "stale is no data";
}

TEST_F(DeferralTest, AForecastThatBringsNothingBetterOpens) {
  world_.Grid("aws", "eu-west-3", 200).Grid("aws", "eu-central-1", 400);
  Foresee("eu-west-3", 250, hours(2));
  EXPECT_FALSE(Judge().open) << "of the other region nothing is foreseen";
  Foresee("eu-central-1", 300, hours(2));
  EXPECT_THAT(Judge().reason, HasSubstr("does not get better than 200 gCO2e/kWh of eu-west-3"));
  EXPECT_THAT(Judge().regions, ElementsAre("eu-west-3"));
  Foresee("eu-central-1", 150, hours(4));
  EXPECT_FALSE(Judge().open) << "better in four hours, and five are left";
  EXPECT_TRUE(Judge(hours(3)).open) << "better too late";
}

TEST_F(DeferralTest, TheEarlierOfDelayAndDeadlineCounts) {
  policy_.deferral.deadline = kNow + hours(1);
  EXPECT_EQ(LatestOpening(policy_.deferral, kNow), kNow + hours(1));
  policy_.deferral.deadline = kNow + hours(9);
  EXPECT_EQ(LatestOpening(policy_.deferral, kNow), kNow + hours(6));
  policy_.deferral.max_delay.reset();
  EXPECT_EQ(LatestOpening(policy_.deferral, kNow), kNow + hours(9));
  policy_.deferral.deadline.reset();
  EXPECT_EQ(LatestOpening(policy_.deferral, kNow), kNow + hours(24));
}

TEST_F(DeferralTest, AGateWithoutAThresholdHoldsNobody) {
  policy_.deferral.below.reset();
  EXPECT_TRUE(Judge().open);
}

}  // namespace
}  // namespace sobre
