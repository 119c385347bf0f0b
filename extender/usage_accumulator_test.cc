#include "extender/usage_accumulator.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

#include "extender/accounting_test_world.h"

namespace sobre {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct ToldBatch {
  Timestamp from;
  Timestamp to;
  std::vector<UsageRow> rows;
};
ToldBatch Told(const UsageAccumulator::Batch& batch) {
  ToldBatch told{batch.from(), batch.to(), {}};
  batch.Rows()([&told](const UsageRow& row) { told.rows.push_back(row); });
  return told;
}

class UsageAccumulatorTest : public ::testing::Test, protected AccountingWorld {
 protected:
  // Every 15 s from the last tick, to `until`.
  void Run(Timestamp until) {
    while (now_ < until) {
      now_ += seconds(15);
      usage_.Tick(State(), now_);
    }
  }
  std::map<std::string, UsageRow> RowsByPodAndHour() {
    std::map<std::string, UsageRow> rows;
    for (UsageRow& row : Told(usage_.Take()).rows)
      rows[row.pod + " " + FormatTime(row.begin).substr(11, 2)] = std::move(row);
    return rows;
  }
  UsageAccumulator usage_{{}};
  Timestamp now_ = kStart;
};

TEST_F(UsageAccumulatorTest, AddsUpTwoPodsOverTwoHoursByHand) {
  // a: 2 vCPU and 4 GB on the box: (8 + 4 + 1.568) W · 1.2; b: 1 vCPU and 2 GB, half of it.
  const double watts = 13.568 * 1.2;
  AddPod("a", {2000, 4'000'000'000, 0, 0}, "box", kStart - hours(5));
  AddPod("b", {1000, 2'000'000'000, 0, 0}, "box", kStart + minutes(30));
  grid_ = 50;
  usage_.Start(kStart);
  Run(kStart + hours(1));
  grid_ = 200;
  Run(kStart + hours(2));
  const auto rows = RowsByPodAndHour();
  ASSERT_EQ(rows.size(), 4U);
  const UsageRow& first = rows.at("a 10");
  EXPECT_EQ(first.begin, kStart);
  EXPECT_EQ(first.length, hours(1));
  EXPECT_EQ(first.namespace_name, "shop");
  EXPECT_EQ(first.pod_uid, "uid-a");
  EXPECT_EQ(first.node, "box");
  EXPECT_EQ(first.provider, "own");
  EXPECT_EQ(first.country, "FR");
  EXPECT_EQ(first.hardware_class, "box");
  EXPECT_NEAR(first.pod_hours, 1, 1e-9);
  EXPECT_NEAR(first.vcpu_hours, 2, 1e-9);
  EXPECT_NEAR(first.memory_gb_hours, 4, 1e-9);
  EXPECT_NEAR(first.energy_kwh, watts / 1000, 1e-9);
  EXPECT_NEAR(first.measured_kwh, watts / 1000, 1e-9);
  EXPECT_NEAR(first.operational_g, watts / 1000 * 50, 1e-9);
  EXPECT_NEAR(first.live_g, watts / 1000 * 50, 1e-9);
  EXPECT_NEAR(first.market_g, watts / 1000 * 50, 1e-9);
  EXPECT_LT(first.operational_low_g, first.operational_g);
  EXPECT_GT(first.embodied_g, 0);
  // A share of 2 of 8 vCPU and of 4 of 32 GB, of 0.40 EUR in equal parts.
  EXPECT_NEAR(first.eur,
              0.40 * first.vcpu_hours / 8 * Weight("cpu") +
                  0.40 * first.memory_gb_hours / 32 * Weight("memory"),
              1e-9);
  EXPECT_NEAR(first.grams_known_hours, 1, 1e-9);
  EXPECT_NEAR(rows.at("a 11").operational_g, watts / 1000 * 200, 1e-9);
  EXPECT_NEAR(rows.at("b 10").pod_hours, 0.5, 1e-9) << "it began at half past";
  EXPECT_NEAR(rows.at("b 10").energy_kwh, watts / 1000 / 4, 1e-9);
  EXPECT_NEAR(rows.at("b 11").energy_kwh, watts / 1000 / 2, 1e-9);
  EXPECT_EQ(usage_.gap(), Duration(0));
  EXPECT_EQ(usage_.dropped(), 0U);
}

TEST_F(UsageAccumulatorTest, APodThatEndedCountsUpToTheLastTickThatSawIt) {
  AddPod("a", kSmall, "box", kStart);
  usage_.Start(kStart);
  usage_.Tick(State(), kStart + seconds(15));
  pods_.clear();
  usage_.Tick(State(), kStart + seconds(30));
  const auto batch = Told(usage_.Take());
  ASSERT_EQ(batch.rows.size(), 1U);
  EXPECT_NEAR(batch.rows[0].pod_hours, 15.0 / 3600, 1e-12);
  EXPECT_EQ(batch.from, kStart);
  EXPECT_EQ(batch.to, kStart + seconds(30));
  EXPECT_TRUE(Told(usage_.Take()).rows.empty());
}

TEST_F(UsageAccumulatorTest, AShortGapIsBridgedForPodsFromBeforeAndALongOneCounted) {
  AddPod("old", kSmall, "box", kStart - hours(1));
  AddPod("new", kSmall, "box", kStart + minutes(10));
  usage_.Start(kStart);
  usage_.Tick(State(), kStart + minutes(14));
  auto rows = RowsByPodAndHour();
  EXPECT_NEAR(rows.at("old 10").pod_hours, 14.0 / 60, 1e-12);
  EXPECT_NEAR(rows.at("new 10").pod_hours, 4.0 / 60, 1e-12);
  usage_.Tick(State(), kStart + minutes(14) + minutes(16));
  const auto batch = Told(usage_.Take());
  EXPECT_TRUE(batch.rows.empty());
  EXPECT_EQ(batch.from, kStart + minutes(14));
  EXPECT_EQ(batch.to, kStart + minutes(30));
  EXPECT_EQ(usage_.gap(), minutes(16));
  usage_.Tick(State(), kStart + minutes(31));
  EXPECT_NEAR(RowsByPodAndHour().at("old 10").pod_hours, 1.0 / 60, 1e-12);
}

TEST_F(UsageAccumulatorTest, NoTimeCountsTwiceWhenTheClockIsSetBack) {
  AddPod("a", kSmall, "box", kStart - hours(1));
  usage_.Start(kStart);
  usage_.Tick(State(), kStart + minutes(10));
  usage_.Tick(State(), kStart + minutes(5));
  usage_.Tick(State(), kStart + minutes(9));
  usage_.Tick(State(), kStart + minutes(12));
  EXPECT_NEAR(RowsByPodAndHour().at("a 10").pod_hours, 12.0 / 60, 1e-12);
  // A clock that was a day ahead.
  usage_.Tick(State(), kStart + minutes(12) - hours(24));
  usage_.Tick(State(), kStart + minutes(13) - hours(24));
  const auto batch = Told(usage_.Take());
  EXPECT_EQ(batch.to, kStart + minutes(13) - hours(24));
  EXPECT_TRUE(batch.rows.empty()) << "the pod had not begun then";
  EXPECT_EQ(usage_.gap(), Duration(0));
}

TEST_F(UsageAccumulatorTest, APodThatMovesIsCountedOnEachNodeForItsTime) {
  AddPod("a", kSmall, "box", kStart);
  usage_.Start(kStart);
  usage_.Tick(State(), kStart + minutes(10));
  pods_.clear();
  AddPod("a", kSmall, "cloud", kStart + minutes(12), "uid-a2");
  usage_.Tick(State(), kStart + minutes(20));
  const auto batch = Told(usage_.Take());
  ASSERT_EQ(batch.rows.size(), 2U);
  for (const UsageRow& row : batch.rows) {
    EXPECT_EQ(row.pod_uid, row.node == "box" ? "uid-a" : "uid-a2");
    EXPECT_NEAR(row.pod_hours, (row.node == "box" ? 10.0 : 8.0) / 60, 1e-12);
  }
}

TEST_F(UsageAccumulatorTest, ATeamIsThePodsOwnElseItsNamespaces) {
  AddPod("a", kSmall, "box", kStart);
  AddPod("b", kSmall, "box", kStart);
  pods_.back()->team = "search";
  teams_["shop"] = "retail";
  usage_.Start(kStart);
  usage_.Tick(State(), kStart + minutes(1));
  for (const UsageRow& row : Told(usage_.Take()).rows)
    EXPECT_EQ(row.team, row.pod == "a" ? "retail" : "search");
}

TEST_F(UsageAccumulatorTest, RequestsTokensAndRunsAreKeptApart) {
  AddPod("web", kSmall, "box", kStart);
  pods_.back()->annotations = {{"requests-per-second", "2"}, {"model", "m n"}};
  AddPod("train", kSmall, "box", kStart);
  pods_.back()->annotations = {{"requests-per-second", "2"}};
  pods_.back()->is_batch_job = true;
  usage_.Start(kStart);
  usage_.Tick(State(), kStart + minutes(1));
  const auto rows = RowsByPodAndHour();
  EXPECT_NEAR(rows.at("web 10").requests, 120, 1e-9);
  EXPECT_EQ(rows.at("web 10").model, "m n");
  EXPECT_FALSE(rows.at("web 10").is_run);
  EXPECT_EQ(rows.at("train 10").requests, 0);
  EXPECT_TRUE(rows.at("train 10").is_run);
}

TEST_F(UsageAccumulatorTest, WhatTheMeanCandidateWouldHaveTakenStandsBesideWhatThePodTook) {
  UsageAccumulator usage({}, [](const std::string& uid) {
    return uid == "uid-a" ? std::optional(MeanOfCandidates{6, 1.2}) : std::nullopt;
  });
  AddPod("a", kSmall, "box", kStart);
  AddPod("b", kSmall, "box", kStart);
  usage.Start(kStart);
  usage.Tick(State(), kStart + minutes(10));
  for (const UsageRow& row : Told(usage.Take()).rows) {
    EXPECT_NEAR(row.mean_candidate_g, row.pod == "a" ? 1 : 0, 1e-12);
    EXPECT_NEAR(row.mean_candidate_eur, row.pod == "a" ? 0.2 : 0, 1e-12);
    EXPECT_NEAR(row.compared_g, row.pod == "a" ? row.operational_g + row.embodied_g : 0, 1e-12);
    EXPECT_NEAR(row.compared_eur, row.pod == "a" ? row.eur : 0, 1e-12);
  }
}

TEST_F(UsageAccumulatorTest, WhereThereIsNoRoomUsageIsDroppedAndCounted) {
  UsageAccumulator usage({.bridge = minutes(15), .most_rows = 1});
  AddPod("a", kSmall, "box", kStart);
  AddPod("b", kSmall, "box", kStart);
  usage.Start(kStart);
  usage.Tick(State(), kStart + minutes(1));
  usage.Tick(State(), kStart + minutes(2));
  EXPECT_EQ(usage.dropped(), 2U);
  const auto batch = Told(usage.Take());
  ASSERT_EQ(batch.rows.size(), 1U);
  EXPECT_NEAR(batch.rows[0].pod_hours, 2.0 / 60, 1e-12);
}

TEST_F(UsageAccumulatorTest, AnAbsurdAnnotationSpoilsNoSum) {
  AddPod("a", kSmall, "box", kStart);
  pods_.back()->annotations = {{"requests-per-second", "1e306"}};
  AddPod("ghost", kSmall, "nowhere", kStart);
  usage_.Start(kStart);
  usage_.Tick(State(), kStart + minutes(1));
  const auto rows = RowsByPodAndHour();
  EXPECT_EQ(rows.at("a 10").requests, 0);
  EXPECT_GT(rows.at("a 10").energy_kwh, 0);
  EXPECT_NEAR(rows.at("ghost 10").pod_hours, 1.0 / 60, 1e-12);
  EXPECT_EQ(rows.at("ghost 10").energy_known_hours, 0);
}

// However the ticks fall, and whatever is taken in between.
TEST_F(UsageAccumulatorTest, SumsByPodAndByNodeAreRateTimesTime) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    pods_.clear();
    std::map<std::string, Timestamp> started;
    for (int i = 0; i < 6; ++i) {
      const std::string name = "p" + std::to_string(i);
      started[name] = kStart + seconds(random() % 7200);
      AddPod(name, {static_cast<std::int64_t>(100 + random() % 4000), 1'000'000'000, 0, 0},
             random() % 2 == 0 ? "box" : "cloud", started[name]);
    }
    UsageAccumulator usage({});
    usage.Start(kStart);
    std::vector<UsageRow> rows;
    Timestamp now = kStart;
    while (now < kStart + hours(3)) {
      now += Duration(1 + random() % 800'000);
      usage.Tick(State(), now);
      if (random() % 5 > 0) continue;
      const auto batch = Told(usage.Take());
      rows.insert(rows.end(), batch.rows.begin(), batch.rows.end());
    }
    const auto batch = Told(usage.Take());
    rows.insert(rows.end(), batch.rows.begin(), batch.rows.end());
    std::map<std::string, double> kwh_by_pod;
    std::map<std::string, double> kwh_by_node;
    std::map<std::string, double> expected_by_node;
    for (const UsageRow& row : rows) {
      kwh_by_pod[row.pod] += row.energy_kwh;
      kwh_by_node[row.node] += row.energy_kwh;
      ASSERT_LE(row.pod_hours, 1 + 1e-9);
      ASSERT_EQ(std::chrono::floor<hours>(row.begin), row.begin);
    }
    const auto state = State();
    Attribution attribution(*state.snapshot);
    for (const auto& pod : pods_) {
      const double time =
          std::chrono::duration<double, std::ratio<3600>>(now - started[pod->name]).count();
      const double kwh = attribution.RatesOf(*pod, {}).power->value() / 1000 * time;
      ASSERT_NEAR(kwh_by_pod[pod->name], kwh, 1e-9);
      expected_by_node[pod->node] += kwh;
    }
    for (const auto& [node, kwh] : expected_by_node) ASSERT_NEAR(kwh_by_node[node], kwh, 1e-9);
    ASSERT_EQ(usage.gap(), Duration(0));
  }
}

}  // namespace
}  // namespace sobre
