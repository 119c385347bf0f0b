#include "extender/budgets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using std::chrono::days;
using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Timestamp At(const char* time) { return *ParseTime(time); }

UsageRow Row(Timestamp begin, const std::string& namespace_name, double eur, double grams,
             const std::string& team = {}) {
  UsageRow row;
  row.begin = begin;
  row.namespace_name = namespace_name;
  row.team = team;
  row.eur = eur;
  row.operational_g = grams * 0.75;
  row.embodied_g = grams * 0.25;
  return row;
}

// A hundred an hour in euros, ten in grams, for these hours.
std::vector<UsageRow> Steady(const char* from, const char* to,
                             const std::string& namespace_name = "shop") {
  std::vector<UsageRow> rows;
  for (Timestamp at = At(from); at < At(to); at += hours(1))
    rows.push_back(Row(at, namespace_name, 100, 10));
  return rows;
}

TEST(Budgets, RowsAddUpByDayNamespaceAndTeam) {
  const auto use = UseByDay({Row(At("2026-11-02T05:00:00Z"), "shop", 1, 4, "a"),
                             Row(At("2026-11-02T23:00:00Z"), "shop", 2, 4, "a"),
                             Row(At("2026-11-03T00:00:00Z"), "shop", 4, 4, "a"),
                             Row(At("2026-11-02T05:00:00Z"), "shop", 8, 4, "b")});
  ASSERT_EQ(use.size(), 3U);
  EXPECT_EQ(use[0].day, At("2026-11-02"));
  EXPECT_EQ(use[0].first, At("2026-11-02T05:00:00Z"));
  EXPECT_DOUBLE_EQ(use[0].eur, 3);
  EXPECT_DOUBLE_EQ(use[0].grams, 8);
  EXPECT_DOUBLE_EQ(use[1].eur, 8);
  EXPECT_DOUBLE_EQ(use[2].eur, 4);
}

TEST(Budgets, TheMonthCountsFromItsFirstAndIsForecastByTheLastSevenDays) {
  // October's last days at the same rate, so the forecast is the whole month at it.
  auto rows = Steady("2026-10-25", "2026-11-04T12:00:00Z");
  const auto other = Steady("2026-10-25", "2026-11-04T12:00:00Z", "other");
  rows.insert(rows.end(), other.begin(), other.end());
  const Timestamp until = At("2026-11-04T12:00:00Z");
  EXPECT_EQ(BudgetsReadFrom(until), At("2026-10-28"));
  const auto reports = JudgeBudgets({{"shop", "", 50'000, 20'000}}, UseByDay(rows), until);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].name, "namespace/shop");
  EXPECT_DOUBLE_EQ(reports[0].used, 84 * 100);
  EXPECT_NEAR(*reports[0].forecast, 30 * 24 * 100, 1e-6);
  EXPECT_NEAR(*reports[0].forecast_low, 30 * 24 * 100, 1e-6);
  EXPECT_EQ(reports[0].state, BudgetState::kWarning);
  EXPECT_NEAR(*reports[1].forecast, 30 * 24 * 10, 1e-6);
  EXPECT_EQ(reports[1].state, BudgetState::kOk);
}

TEST(Budgets, AMonthThatRisesHasARange) {
  std::vector<UsageRow> rows;
  for (int day = 0; day < 7; ++day)
    rows.push_back(Row(At("2026-11-01") + days(day), "shop", 10 + day, 0));
  const auto report =
      JudgeBudgets({{"shop", "", 1000, {}}}, UseByDay(rows), At("2026-11-08")).front();
  EXPECT_DOUBLE_EQ(report.used, 91);
  EXPECT_DOUBLE_EQ(*report.forecast_low, 91 + 10 * 23);
  EXPECT_DOUBLE_EQ(*report.forecast_high, 91 + 16 * 23);
  EXPECT_GT(*report.forecast, *report.forecast_low);
  EXPECT_LT(*report.forecast, *report.forecast_high);
}

TEST(Budgets, ATeamIsCountedOverAllItsNamespaces) {
  const auto use = UseByDay({Row(At("2026-11-02"), "shop", 1, 0, "retail"),
                             Row(At("2026-11-02"), "web", 2, 0, "retail"),
                             Row(At("2026-11-02"), "web", 4, 0, "search")});
  const auto reports = JudgeBudgets({{"", "retail", 2.5, {}}}, use, At("2026-11-03"));
  EXPECT_DOUBLE_EQ(reports[0].used, 3);
  EXPECT_EQ(reports[0].state, BudgetState::kExceeded);
}

TEST(Budgets, WhereAccountingBeganLatelyTheMeanIsOverThatTimeAndAtFirstThereIsNone) {
  const std::vector<Budget> budgets = {{"shop", "", 1e6, {}}};
  const auto six = Steady("2026-11-15", "2026-11-15T06:00:00Z");
  const auto report = JudgeBudgets(budgets, UseByDay(six), At("2026-11-15T06:00:00Z")).front();
  EXPECT_NEAR(*report.forecast, 16 * 24 * 100, 1e-6);
  EXPECT_FALSE(report.forecast_low);
  EXPECT_FALSE(JudgeBudgets(budgets, UseByDay(six), At("2026-11-15T00:30:00Z")).front().forecast);
  EXPECT_FALSE(JudgeBudgets(budgets, {}, At("2026-11-15T06:00:00Z")).front().forecast);
}

TEST(Budgets, TheLastMomentOfAMonthForecastsItself) {
  const auto rows = Steady("2026-12-01", "2027-01-01");
  const auto report =
      JudgeBudgets({{"shop", "", 1e6, {}}}, UseByDay(rows), At("2026-12-31T23:59:59Z")).front();
  EXPECT_NEAR(*report.forecast, report.used, 1);
  EXPECT_DOUBLE_EQ(report.used, 31 * 24 * 100);
  const auto next = JudgeBudgets({{"shop", "", 1e6, {}}}, UseByDay(rows), At("2027-01-01"));
  EXPECT_DOUBLE_EQ(next.front().used, 0);
  EXPECT_NEAR(*next.front().forecast, 31 * 2400, 2400 * 31 / 6.0 + 1);
}

TEST(Budgets, EachCrossingIsSaidOnce) {
  BudgetReport report{"team/a", "gco2e", 2000, 100, 1000, {}, {}, BudgetState::kOk};
  BudgetAlarm alarm;
  EXPECT_THAT(alarm.NewSince({report}), IsEmpty());
  report.forecast = 3000;
  report.state = BudgetState::kWarning;
  EXPECT_THAT(alarm.NewSince({report}),
              ElementsAre("3 kgCO2e forecast for the end of the month, of the 2 kgCO2e a month of "
                          "team/a"));
  EXPECT_THAT(alarm.NewSince({report}), IsEmpty());
  report.used = 2100;
  report.state = BudgetState::kExceeded;
  EXPECT_THAT(alarm.NewSince({report}), ElementsAre(HasSubstr("2.1 kgCO2e used of the 2 kgCO2e")));
  report.state = BudgetState::kOk;
  EXPECT_THAT(alarm.NewSince({report}), IsEmpty());
}

TEST(Budgets, AreTold) {
  EXPECT_EQ(BudgetsJson({{"team/a", "eur", 10, 5, 12, {}, {}, BudgetState::kWarning}},
                        At("2026-11-02T05:00:00Z")),
            R"({"through":"2026-11-02T05:00:00Z","month":"2026-11","budgets":[{"budget":"team/a",)"
            R"("kind":"eur","limit":10,"used":5,"usedRatio":0.5,"forecast":12,"forecastLow":null,)"
            R"("forecastHigh":null,"state":"warning"}]})");
}

}  // namespace
}  // namespace sobre
