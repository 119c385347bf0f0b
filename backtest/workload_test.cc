#include "backtest/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre::backtest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Timestamp kStart = std::chrono::sys_days(std::chrono::year(2019) / 3 / 4);
constexpr const char* kHead =
    "name,kind,arrives_hours,runs_hours,replicas,cpu,memory,gpus,requests_per_second,annotations\n";

TEST(ParseWork, ReadsALineAndSortsByArrival) {
  const auto work =
      ParseWork(std::string(kHead) +
                    "late,job,2,0.5,1,500m,1Gi,0,0,max-delay=2h;defer-below-gco2e-per-kwh=50\n"
                    "web,service,0,24,3,2,4Gi,0,12.5,allowed-countries=FR DE\n",
                "w.csv");
  ASSERT_TRUE(work.ok()) << work.status().message();
  ASSERT_EQ(work->size(), 2U);
  EXPECT_EQ((*work)[0].name, "web");
  EXPECT_EQ((*work)[0].replicas, 3);
  EXPECT_EQ((*work)[0].annotations[0].value, "FR,DE");
  EXPECT_EQ((*work)[1].arrives, std::chrono::hours(2));
  EXPECT_EQ((*work)[1].runs, std::chrono::minutes(30));
  EXPECT_EQ((*work)[1].requests.millicpu, 500);
}

TEST(ParseWork, NamesTheLineAndTheColumn) {
  const auto error = [](const char* line) {
    return ParseWork(std::string(kHead) + line, "w.csv").status().message();
  };
  EXPECT_EQ(error("a,task,0,1,1,1,1Gi,0,0,"), "w.csv:2: kind: 'task' is neither service nor job");
  EXPECT_THAT(error("a,job,0,1,1,one,1Gi,0,0,"), HasSubstr("w.csv:2: cpu: 'one'"));
  EXPECT_THAT(error("a,job,0,1"), HasSubstr("expected 10 columns, not 4"));
  EXPECT_THAT(error("a,job,0,1,1,1,1Gi,0,0,max-delay=soon"), HasSubstr("max-delay"));
  EXPECT_THAT(ParseWork("name,kind\n", "w.csv").status().message(), HasSubstr("head line"));
}

TEST(ParseHourly, TakesHoursOrTimesAndMissesNone) {
  const auto series = ParseHourly("hour,FR,DE\n1,51,301\n0,50,300\n", "g.csv", kStart, 2);
  ASSERT_TRUE(series.ok()) << series.status().message();
  EXPECT_THAT(series->at("FR"), ElementsAre(50, 51));
  const auto times = ParseHourly(
      "time,FR\n2019-03-03T23:00:00Z,9\n2019-03-04T00:00:00Z,1\n2019-03-04T01:00:00Z,2\n", "g.csv",
      kStart, 2);
  ASSERT_TRUE(times.ok()) << times.status().message();
  EXPECT_THAT(times->at("FR"), ElementsAre(1, 2));
  EXPECT_EQ(ParseHourly("hour,FR\n0,1\n", "g.csv", kStart, 2).status().message(),
            "g.csv: hour 1, 2019-03-04T01:00:00Z, is missing");
  EXPECT_THAT(ParseHourly("hour,FR\n0,1\n0,2\n", "g.csv", kStart, 2).status().message(),
              HasSubstr("g.csv:3: hour 0 stands there twice"));
}

TEST(Generate, AsksForTheShareOfTheClusterThatWasStated) {
  Pool pool;
  pool.nodes = 200;
  pool.facts.allocatable = {16000, 64LL << 30, 0, 0};
  Mix mix;
  mix.weekend = 1;
  constexpr std::int64_t kHours = 24 * 14;
  const std::vector<Work> work = Generate(mix, {pool}, kStart, kHours, 7);
  double asked = 0;
  double of_jobs = 0;
  for (const Work& each : work) {
    EXPECT_GT(each.requests.millicpu, 0);
    EXPECT_GT(each.requests.memory_bytes, 0);
    const double hours =
        std::min(InHours(each.runs), static_cast<double>(kHours) - InHours(each.arrives));
    const double vcpu_hours =
        hours * static_cast<double>(each.requests.millicpu * each.replicas) / 1000;
    asked += vcpu_hours;
    if (each.kind == WorkKind::kJob) of_jobs += vcpu_hours;
  }
  EXPECT_NEAR(asked / (200 * 16 * kHours), 0.5, 0.1);
  EXPECT_NEAR(of_jobs / asked, 0.3, 0.06);
  EXPECT_TRUE(std::is_sorted(work.begin(), work.end(),
                             [](const Work& a, const Work& b) { return a.arrives < b.arrives; }));
}

TEST(Generate, MakesLargerPodsAndLongerJobsOfTheSameShare) {
  Pool pool;
  pool.nodes = 200;
  pool.facts.allocatable = {16000, 64LL << 30, 0, 0};
  Mix mix;
  mix.services = mix.inference = 0;
  mix.jobs = 1;
  mix.weekend = 1;
  mix.day_rhythm = 0;
  mix.smallest_vcpus = 2;
  mix.largest_vcpus = 6;
  mix.job_median_hours = 3;
  constexpr std::int64_t kHours = 24 * 14;
  std::vector<double> runs;
  double vcpu_hours = 0;
  for (const Work& each : Generate(mix, {pool}, kStart, kHours, 7)) {
    EXPECT_GE(each.requests.millicpu, 2000);
    EXPECT_LE(each.requests.millicpu, 6000);
    const double hours =
        std::min(InHours(each.runs), static_cast<double>(kHours) - InHours(each.arrives));
    vcpu_hours += hours * static_cast<double>(each.requests.millicpu) / 1000;
    if (each.arrives > Duration(0)) runs.push_back(InHours(each.runs));
  }
  std::sort(runs.begin(), runs.end());
  EXPECT_NEAR(runs[runs.size() / 2], 3, 0.2);
  EXPECT_NEAR(vcpu_hours / (200 * 16 * kHours), 0.5, 0.05);
}

}  // namespace
}  // namespace sobre::backtest
