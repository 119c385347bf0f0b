#include "extender/budgets.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <tuple>

#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

using std::chrono::days;

// Earlier, what was seen says nothing of a month.
constexpr Duration kForecastNeeds = std::chrono::hours(1);
constexpr int kMeanOver = 7;
constexpr std::size_t kRangeNeeds = 3;  // complete days

Timestamp DayOf(Timestamp time) { return std::chrono::floor<days>(time); }

std::chrono::year_month MonthOf(Timestamp time) {
  const std::chrono::year_month_day date(std::chrono::floor<days>(time));
  return date.year() / date.month();
}
Timestamp BeginOf(std::chrono::year_month month) { return std::chrono::sys_days(month / 1); }

double DaysIn(Duration duration) {
  return std::chrono::duration<double, std::chrono::days::period>(duration).count();
}

bool Concerns(const Budget& budget, const DailyUse& use) {
  return budget.team.empty() ? use.namespace_name == budget.namespace_name
                             : use.team == budget.team;
}

// What one budget's pods took by day, of one kind.
struct Course {
  std::map<Timestamp, double> by_day;
  [[nodiscard]] double Sum(Timestamp from) const {
    double sum = 0;
    for (auto day = by_day.lower_bound(from); day != by_day.end(); ++day) sum += day->second;
    return sum;
  }
  [[nodiscard]] double On(Timestamp day) const {
    const auto found = by_day.find(day);
    return found == by_day.end() ? 0 : found->second;
  }
};

void Forecast(const Course& course, Timestamp since, Timestamp until, BudgetReport& report) {
  const Timestamp today = DayOf(until);
  const Timestamp from = std::max(today - days(kMeanOver - 1), since);
  if (until - from < kForecastNeeds) return;
  const double left = DaysIn(BeginOf(MonthOf(until) + std::chrono::months(1)) - until);
  report.forecast =
      report.used + course.Sum(DayOf(from)) / DaysIn(until - from) * std::max(left, 0.0);
  double least = std::numeric_limits<double>::infinity();
  double most = 0;
  std::size_t complete = 0;
  for (Timestamp day = today - days(kMeanOver); day < today; day += days(1)) {
    if (day < since) continue;
    least = std::min(least, course.On(day));
    most = std::max(most, course.On(day));
    ++complete;
  }
  if (complete < kRangeNeeds) return;
  // A day that is not over may differ from all before it.
  report.forecast_low = std::min(*report.forecast, report.used + least * left);
  report.forecast_high = std::max(*report.forecast, report.used + most * left);
}

std::string Amount(double value, std::string_view kind) {
  return kind == "eur" ? FormatSignificant(value, 4) + " EUR"
                       : FormatSignificant(value / 1000, 4) + " kgCO2e";
}

}  // namespace

std::string NameOf(const Budget& budget) {
  return budget.team.empty() ? "namespace/" + budget.namespace_name : "team/" + budget.team;
}

std::string_view ToString(BudgetState state) {
  switch (state) {
    case BudgetState::kOk:
      return "ok";
    case BudgetState::kWarning:
      return "warning";
    case BudgetState::kExceeded:
      return "exceeded";
  }
  return "";
}

std::vector<DailyUse> UseByDay(const std::vector<UsageRow>& rows) {
  std::map<std::tuple<Timestamp, std::string, std::string>, DailyUse> found;
  for (const UsageRow& row : rows) {
    const Timestamp day = DayOf(row.begin);
    const auto [entry, added] =
        found.try_emplace({day, row.namespace_name, row.team},
                          DailyUse{day, row.begin, row.namespace_name, row.team, 0, 0});
    DailyUse& use = entry->second;
    use.first = std::min(use.first, row.begin);
    use.eur += row.eur;
    use.grams += row.operational_g + row.embodied_g;
  }
  std::vector<DailyUse> all;
  all.reserve(found.size());
  for (auto& [key, use] : found) all.push_back(std::move(use));
  return all;
}

Timestamp BudgetsReadFrom(Timestamp until) {
  return std::min(BeginOf(MonthOf(until)), DayOf(until) - days(kMeanOver));
}

std::vector<BudgetReport> JudgeBudgets(const std::vector<Budget>& budgets,
                                       const std::vector<DailyUse>& use, Timestamp until) {
  Timestamp since = until;
  for (const DailyUse& one : use) since = std::min(since, one.first);
  const Timestamp month = BeginOf(MonthOf(until));
  std::vector<BudgetReport> reports;
  for (const Budget& budget : budgets) {
    Course euros;
    Course grams;
    for (const DailyUse& one : use) {
      if (!Concerns(budget, one)) continue;
      euros.by_day[one.day] += one.eur;
      grams.by_day[one.day] += one.grams;
    }
    const auto judge = [&](const char* kind, double limit, const Course& course) {
      BudgetReport& report = reports.emplace_back();
      report.name = NameOf(budget);
      report.kind = kind;
      report.limit = limit;
      report.used = course.Sum(month);
      Forecast(course, since, until, report);
      if (report.used > limit) {
        report.state = BudgetState::kExceeded;
      } else if (report.forecast && *report.forecast > limit) {
        report.state = BudgetState::kWarning;
      }
    };
    if (budget.eur) judge("eur", *budget.eur, euros);
    if (budget.grams) judge("gco2e", *budget.grams, grams);
  }
  return reports;
}

std::string BudgetsJson(const std::vector<BudgetReport>& reports,
                        std::optional<Timestamp> through) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject().Key("through");
  if (through) {
    const std::string time = FormatTime(*through);
    json.Value(time).Key("month").Value(std::string_view(time).substr(0, 7));
  } else {
    json.Null().Key("month").Null();
  }
  json.Key("budgets").BeginArray();
  for (const BudgetReport& report : reports) {
    json.BeginObject().Key("budget").Value(report.name).Key("kind").Value(report.kind);
    json.Key("limit").Value(report.limit).Key("used").Value(report.used);
    json.Key("usedRatio").Value(report.used / report.limit);
    json.Key("forecast").Value(report.forecast);
    json.Key("forecastLow").Value(report.forecast_low);
    json.Key("forecastHigh").Value(report.forecast_high);
    json.Key("state").Value(ToString(report.state)).EndObject();
  }
  json.EndArray().EndObject();
  return out;
}

std::vector<std::string> BudgetAlarm::NewSince(const std::vector<BudgetReport>& reports) {
  std::vector<std::string> said;
  for (const BudgetReport& report : reports) {
    BudgetState& last = last_[{report.name, report.kind}];
    const BudgetState before = std::exchange(last, report.state);
    if (report.state <= before) continue;
    const std::string of = Amount(report.limit, report.kind) + " a month of " + report.name;
    said.push_back(report.state == BudgetState::kExceeded
                       ? Amount(report.used, report.kind) + " used of the " + of
                       : Amount(*report.forecast, report.kind) +
                             " forecast for the end of the month, of the " + of);
  }
  return said;
}

}  // namespace sobre
