#include "scoring/power_fit.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/power_history.h"
#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

std::vector<PowerPoint> OnALine(double idle, double full, int count, double from = 0,
                                double to = 1) {
  std::vector<PowerPoint> points;
  for (int i = 0; i < count; ++i) {
    const double u = from + (to - from) * i / (count - 1);
    points.push_back({Fraction(u), Watts(idle + u * (full - idle))});
  }
  return points;
}

TEST(PowerFit, FindsALine) {
  const PowerFitResult result = FitPower(OnALine(1, 4, 24));
  ASSERT_TRUE(result.fit);
  EXPECT_NEAR(result.fit->idle.value(), 1, 1e-9);
  EXPECT_NEAR(result.fit->full.value(), 4, 1e-9);
  EXPECT_NEAR(result.fit->error.value(), 0, 1e-9);
  EXPECT_EQ(result.fit->points, 24);
}

TEST(PowerFit, AQuarterOfWildPointsChangesLittle) {
  std::vector<PowerPoint> points = OnALine(1, 4, 80);
  std::mt19937 random(3);  // NOLINT(bugprone-random-generator-seed): the same points every time
  std::uniform_real_distribution<double> wild(0, 50);
  for (std::size_t i = 0; i < points.size(); i += 4) points[i].watts = Watts(wild(random));
  const PowerFitResult result = FitPower(points);
  ASSERT_TRUE(result.fit) << result.why_not;
  EXPECT_NEAR(result.fit->idle.value(), 1, 0.3);
  EXPECT_NEAR(result.fit->full.value(), 4, 0.5);
}

TEST(PowerFit, SaysWhyThereIsNone) {
  EXPECT_THAT(FitPower(OnALine(1, 4, 11)).why_not, HasSubstr("11 points, at least 12"));
  EXPECT_THAT(FitPower(OnALine(1, 4, 50, 0.4, 0.5)).why_not, HasSubstr("was only seen from 4"));
  EXPECT_THAT(FitPower(OnALine(4, 1, 50)).why_not, HasSubstr("does not rise"));
  EXPECT_THAT(FitPower(OnALine(-3, 9, 50)).why_not, HasSubstr("less than 0 W"));
  std::vector<PowerPoint> cloud;
  for (int i = 0; i < 200; ++i)
    cloud.push_back({Fraction((i * 37 % 101) / 101.0), Watts(1 + (i * 53 % 97))});
  EXPECT_FALSE(FitPower(cloud).fit);
}

TEST(PowerFit, TheOrderOfPointsChangesNothing) {
  std::vector<PowerPoint> points = OnALine(0.7, 3.3, 500);
  for (std::size_t i = 0; i < points.size(); ++i)
    points[i].watts = points[i].watts * (1 + 0.02 * static_cast<double>(i * 29 % 7));
  const PowerFitResult before = FitPower(points);
  std::shuffle(points.begin(), points.end(),
               std::mt19937(5));  // NOLINT(bugprone-random-generator-seed)
  const PowerFitResult after = FitPower(points);
  ASSERT_TRUE(before.fit && after.fit);
  EXPECT_EQ(before.fit->idle, after.fit->idle);
  EXPECT_EQ(before.fit->full, after.fit->full);
}

// Twenty nodes, each seen once at its own load: 0.9 W idle and 2.9 W busy per vCPU.
TestWorld Measured(Signal signal = Signal::kNodePower) {
  TestWorld world;
  for (int i = 0; i < 20; ++i) {
    const std::string name = "n" + std::to_string(i);
    const double load = i / 20.0;
    world.Node(name, "aws", "eu-west-3")
        .See(signal, name, 8 * (0.9 + 2 * load))
        .See(Signal::kNodeCpuUtilization, name, load);
  }
  return world;
}

TEST(PowerHistory, ALineServesTheNextSnapshot) {
  TestWorld world = Measured();
  PowerHistory history;
  const auto first = world.Snapshot();
  EXPECT_EQ(first->nodes()[0].power_basis, PowerBasis::kProviderDefault);
  history.Add(*first);
  world.input().fits = history.Fits();
  world.Node("unmeasured", "aws", "eu-west-3");
  const auto next = world.Snapshot();
  for (const NodeRecord& node : next->nodes()) {
    EXPECT_EQ(node.power_basis, PowerBasis::kCalibrated);
    EXPECT_NEAR(node.idle.value(), 0.9, 1e-9);
    EXPECT_NEAR(node.slope.value(), 2, 1e-9);
    EXPECT_THAT(node.power_source, HasSubstr("line through 20 points of aws-average"));
  }
}

TEST(PowerHistory, OneSampleIsTakenOnce) {
  const TestWorld world = Measured();
  PowerHistory history;
  for (int i = 0; i < 5; ++i) history.Add(*world.Snapshot());
  EXPECT_EQ(history.Classes().at(0).points, 20);
}

TEST(PowerHistory, AClockThatSteppedBackRepeatsNothing) {
  TestWorld world = Measured();
  PowerHistory history;
  history.Add(*world.Snapshot());
  for (Observation& seen : world.input().observations) seen.time -= std::chrono::seconds(100);
  for (int i = 0; i < 5; ++i) history.Add(*world.Snapshot());
  EXPECT_EQ(history.Classes().at(0).points, 20);
}

TEST(PowerHistory, ThePastIsTakenBesideThePresent) {
  TestWorld world = Measured();
  PowerHistory history;
  history.Add(*world.Snapshot());
  for (Observation& seen : world.input().observations) seen.time -= std::chrono::hours(3);
  world.input().time -= std::chrono::hours(3);
  history.AddPast(*world.Snapshot());
  EXPECT_EQ(history.Classes().at(0).points, 40);
  EXPECT_EQ(history.Classes().at(0).fit.time, TestWorld::kTime);
}

TEST(PowerHistory, WhatAModelEstimatesIsNotFitted) {
  TestWorld world = Measured();
  for (Observation& seen : world.input().observations) seen.method = Method::kEstimated;
  PowerHistory history;
  history.Add(*world.Snapshot());
  EXPECT_TRUE(history.Classes().empty());
}

TEST(PowerHistory, ProcessorsAloneLeaveTheProfilesIdlePower) {
  TestWorld world = Measured(Signal::kNodeCpuPower);
  for (Observation& seen : world.input().observations)
    if (seen.signal == Signal::kNodeCpuPower) seen.value -= 8 * 0.5;
  PowerHistory history;
  history.Add(*world.Snapshot());
  world.input().fits = history.Fits();
  const NodeRecord node = world.Snapshot()->nodes()[0];
  EXPECT_EQ(node.power_basis, PowerBasis::kCalibrated);
  EXPECT_DOUBLE_EQ(node.idle.value(), 0.74);  // AWS's average, over the line's 0.4
  EXPECT_NEAR(node.slope.value(), 2, 1e-9);
  EXPECT_THAT(node.power_source, HasSubstr("processors alone"));
}

TEST(PowerHistory, AnAcceleratorGetsALineOfItsOwn) {
  TestWorld world;
  for (int i = 0; i < 20; ++i) {
    NodeFacts facts;
    facts.name = "g" + std::to_string(i);
    facts.provider = "own";
    facts.gpu_model = "NVIDIA-H100-80GB-HBM3";
    facts.hardware_class = "H100";  // called like its accelerators: their lines stay apart
    facts.allocatable = {64000, 512LL << 30, 4, 0};
    const double load = i / 20.0;
    world.Node(facts)
        .See(Signal::kNodePower, facts.name, 200 + 64 * 2 * load + 4 * (100 + 500 * load))
        .See(Signal::kNodeCpuUtilization, facts.name, load)
        .See(Signal::kNodeGpuPower, facts.name, 4 * (100 + 500 * load))
        .See(Signal::kNodeGpuUtilization, facts.name, load);
  }
  PowerHistory history;
  history.Add(*world.Snapshot());
  world.input().fits = history.Fits();
  const NodeRecord node = world.Snapshot()->nodes()[0];
  EXPECT_NEAR(node.gpu->idle.value(), 100, 1e-6);
  EXPECT_NEAR(node.gpu->full.value(), 600, 1e-6);
  // What the platform draws without the accelerators is the processors'.
  EXPECT_NEAR(node.slope.value(), 2, 1e-6);
  EXPECT_NEAR(node.idle.value(), 200.0 / 64, 1e-6);
  EXPECT_EQ(node.gpu_source, "test, line through 20 points of accelerator H100 (within 0 %)");
}

}  // namespace
}  // namespace sobre
