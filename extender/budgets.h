#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/usage.h"
#include "base/time.h"

namespace sobre {

// What a namespace or a team may take in a calendar month (UTC): one of the two names is set, and
// at least one of the amounts.
struct Budget {
  std::string namespace_name;
  std::string team;
  std::optional<double> eur;
  std::optional<double> grams;  // gCO2e, operational by location and embodied together
};
// "namespace/shop", "team/research".
std::string NameOf(const Budget& budget);

// What the pods of one namespace and team took in one day (UTC).
struct DailyUse {
  Timestamp day;    // its midnight
  Timestamp first;  // where the first of the rows begins that were added up
  std::string namespace_name;
  std::string team;
  double eur = 0;
  double grams = 0;  // as in Budget
};
// Rows of hours and of days, as they are stored, added up.
std::vector<DailyUse> UseByDay(const std::vector<UsageRow>& rows);

enum class BudgetState {
  kOk,
  kWarning,   // the forecast is over the budget
  kExceeded,  // more was used
};
std::string_view ToString(BudgetState state);

// One amount of a budget against what was used of it. The forecast is for the end of the month:
// what was used, and for each day that is left the mean of the last seven days (today as far as it
// went); low and high by the least and the most of the last complete days, where there are three.
struct BudgetReport {
  std::string name;  // of the budget
  std::string kind;  // "eur" or "gco2e"
  double limit = 0;
  double used = 0;
  std::optional<double> forecast;  // nothing before anything was accounted for
  std::optional<double> forecast_low;
  std::optional<double> forecast_high;
  BudgetState state = BudgetState::kOk;
};

// From which day on JudgeBudgets() needs the use: the month's first, or seven days back.
Timestamp BudgetsReadFrom(Timestamp until);
// `use` is everybody's, accounted for up to `until`; the first of it tells since when anything is
// accounted for. Pure; amounts in the order of the budgets.
std::vector<BudgetReport> JudgeBudgets(const std::vector<Budget>& budgets,
                                       const std::vector<DailyUse>& use, Timestamp until);

// For /api/v1/budgets: {"through": …, "month": "2026-11", "budgets": [{"budget", "kind", "limit",
// "used", "usedRatio", "forecast", "forecastLow", "forecastHigh", "state"}]}.
std::string BudgetsJson(const std::vector<BudgetReport>& reports, std::optional<Timestamp> through);

// Remembers what was said, so that each crossing is said once.
class BudgetAlarm {
 public:
  // Sentences about amounts that are newly forecast to be exceeded, or newly exceeded.
  std::vector<std::string> NewSince(const std::vector<BudgetReport>& reports);

 private:
  std::map<std::pair<std::string, std::string>, BudgetState> last_;
};

}  // namespace sobre
