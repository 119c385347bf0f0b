#include "extender/usage_totals.h"

#include <gtest/gtest.h>

namespace sobre {
namespace {

constexpr Timestamp kStart{std::chrono::hours(500'000)};
using std::chrono::hours;
using std::chrono::minutes;

UsageRow Row(const std::string& workload, double pod_hours, double eur) {
  UsageRow row;
  row.workload = workload;
  row.pod_hours = pod_hours;
  row.eur = eur;
  row.requests = 10;
  row.energy_kwh = 1;
  return row;
}
std::string WorkloadOf(const UsageRow& row) { return row.workload; }

TEST(TotalsByName, TheLargestNewcomersGetANameAndTheRestIsTogether) {
  TotalsByName totals(2);
  totals.Add({Row("small", 1, 1), Row("large", 9, 2), Row("middle", 5, 4), Row("", 50, 100)},
             WorkloadOf, kStart);
  ASSERT_EQ(totals.totals().size(), 3U);
  EXPECT_EQ(totals.totals().at("large").eur, 2);
  EXPECT_EQ(totals.totals().at("middle").eur, 4);
  EXPECT_EQ(totals.totals().at("other").eur, 1);
}

TEST(TotalsByName, ANameWithoutUsageMakesRoom) {
  TotalsByName totals(2);
  totals.Add({Row("a", 1, 1), Row("b", 1, 1)}, WorkloadOf, kStart);
  totals.Add({Row("a", 1, 1), Row("c", 1, 1)}, WorkloadOf, kStart + minutes(59));
  EXPECT_FALSE(totals.totals().contains("c")) << "b is not old enough";
  totals.Add({Row("a", 1, 1), Row("c", 1, 1)}, WorkloadOf, kStart + minutes(60));
  EXPECT_TRUE(totals.totals().contains("c"));
  EXPECT_FALSE(totals.totals().contains("b"));
  EXPECT_EQ(totals.totals().at("a").eur, 3);
  EXPECT_EQ(totals.totals().at("other").eur, 1);
}

TEST(TotalsByName, AnyNumberOfNamesKeepsTheBound) {
  TotalsByName totals(5);
  for (int i = 0; i < 1000; ++i)
    totals.Add({Row("job-" + std::to_string(i), 1, 1)}, WorkloadOf, kStart + minutes(i));
  EXPECT_LE(totals.totals().size(), 6U);
}

TEST(TotalsByName, WhatIsRecentFadesByHalfInAnHour) {
  TotalsByName totals(5);
  totals.Add({Row("a", 1, 1)}, WorkloadOf, kStart);
  totals.Add({Row("a", 1, 1)}, WorkloadOf, kStart + hours(1));
  const UsageTotals& of = totals.totals().at("a");
  EXPECT_DOUBLE_EQ(of.recent.energy_kwh, 1.5);
  EXPECT_DOUBLE_EQ(of.recent.requests, 15);
  EXPECT_DOUBLE_EQ(of.requests, 20);
}

TEST(TotalsByName, RunsOfBatchJobsAnswerNobody) {
  TotalsByName totals(5);
  UsageRow run = Row("a", 1, 1);
  run.is_run = true;
  totals.Add({run}, WorkloadOf, kStart);
  EXPECT_EQ(totals.totals().at("a").eur, 1);
  EXPECT_EQ(totals.totals().at("a").requests, 0);
  EXPECT_EQ(totals.totals().at("a").recent.energy_kwh, 0);
}

}  // namespace
}  // namespace sobre
