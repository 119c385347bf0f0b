#include "extender/running.h"

#include <gtest/gtest.h>

#include "extender/accounting_test_world.h"

namespace sobre {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class RunningTest : public ::testing::Test, protected AccountingWorld {};

TEST_F(RunningTest, AddsUpWhatPodsTakeNow) {
  // 2 vCPU and 4 GB on the box draw (8 + 4 + 1.568) W · 1.2, and half of that is the other's.
  AddPod("a", {2000, 4'000'000'000, 0, 0}, "box", kStart);
  const RunningTotals one = SumRunning(State(), kStart);
  EXPECT_NEAR(*one.watts, 13.568 * 1.2, 1e-9);
  AddPod("b", {1000, 2'000'000'000, 0, 0}, "box", kStart);
  const RunningTotals both = SumRunning(State(), kStart);
  EXPECT_EQ(both.pods, 2);
  EXPECT_EQ(both.known_pods, 2);
  EXPECT_NEAR(*both.watts, 1.5 * *one.watts, 1e-9);
  EXPECT_NEAR(*both.eur_per_hour, 1.5 * *one.eur_per_hour, 1e-12);
  EXPECT_GT(both.grams->mid.value(), *both.watts * grid_ / 1000) << "the hardware's making as well";
  EXPECT_LT(both.grams->low, both.grams->mid);
  EXPECT_DOUBLE_EQ(*both.measured_share, 1);
  EXPECT_DOUBLE_EQ(*both.live_share, 1);
  EXPECT_FALSE(both.requests_per_hour);
  EXPECT_FALSE(both.eur_per_request);
}

TEST_F(RunningTest, PerRequestIsOfThoseThatCountThem) {
  AddPod("web", kSmall, "box", kStart);
  pods_.back()->annotations = {{"requests-per-second", "10"}};
  const RunningTotals alone = SumRunning(State(), kStart);
  EXPECT_NEAR(*alone.requests_per_hour, 36'000, 1e-6);
  EXPECT_NEAR(*alone.eur_per_request, *alone.eur_per_hour / 36'000, 1e-15);
  AddPod("batch", kSmall, "box", kStart);
  pods_.back()->is_batch_job = true;
  pods_.back()->annotations = {{"requests-per-second", "10"}};
  const RunningTotals both = SumRunning(State(), kStart);
  EXPECT_NEAR(*both.requests_per_hour, 36'000, 1e-6);
  EXPECT_NEAR(*both.gco2e_per_request, *alone.gco2e_per_request, 1e-15);
  EXPECT_NEAR(*both.eur_per_hour, 2 * *alone.eur_per_hour, 1e-12);
}

TEST_F(RunningTest, WhatIsUnknownOfAllIsAbsent) {
  const RunningTotals none = SumRunning(State(), kStart);
  EXPECT_EQ(none.pods, 0);
  EXPECT_FALSE(none.watts);
  EXPECT_FALSE(none.measured_share);
  AddPod("a", kSmall, "gone", kStart);
  const RunningTotals unknown = SumRunning(State(), kStart);
  EXPECT_EQ(unknown.pods, 1);
  EXPECT_EQ(unknown.known_pods, 0);
  EXPECT_FALSE(unknown.eur_per_hour);
  EXPECT_FALSE(unknown.grams);
}

TEST_F(RunningTest, IsMadeAtMostEveryTenSeconds) {
  RunningView view;
  AddPod("a", kSmall, "box", kStart);
  EXPECT_EQ(view.At(State(), kStart).pods, 1);
  AddPod("b", kSmall, "box", kStart);
  EXPECT_EQ(view.At(State(), kStart + seconds(9)).pods, 1);
  EXPECT_EQ(view.At(State(), kStart - seconds(1)).pods, 1) << "whoever looked at the clock before";
  EXPECT_EQ(view.At(State(), kStart + seconds(10)).pods, 2);
  AddPod("c", kSmall, "box", kStart);
  EXPECT_EQ(view.At(State(), kStart - hours(1)).pods, 3) << "a clock that was set back";
}

}  // namespace
}  // namespace sobre
