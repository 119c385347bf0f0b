#include "audit/advice.h"

#include <algorithm>
#include <array>

#include "audit/digest.h"

namespace sobre {
namespace {

constexpr std::array<std::string_view, 2> kKinds = {"move", "rightsizing"};
constexpr std::array<std::string_view, kAdviceStateCount> kStates = {
    "open", "accepted", "dismissed", "done", "measured", "expired"};

struct TextColumn {
  const char* name;
  std::string Advice::*field;
};
constexpr std::array kTexts = {
    TextColumn{"namespace", &Advice::namespace_name},
    TextColumn{"workload", &Advice::workload},
    TextColumn{"from_place", &Advice::from},
    TextColumn{"to_place", &Advice::to},
    TextColumn{"unit", &Advice::unit},
    TextColumn{"ranked_by", &Advice::ranked_by},
    TextColumn{"note", &Advice::note},
};
struct TimeColumn {
  const char* name;
  Timestamp Advice::*field;
};
constexpr std::array kTimes = {
    TimeColumn{"changed_ms", &Advice::changed},
    TimeColumn{"held_ms", &Advice::held},
    TimeColumn{"last_eviction_ms", &Advice::last_eviction},
};
struct CountColumn {
  const char* name;
  std::int64_t Advice::*field;
};
constexpr std::array kCounts = {
    CountColumn{"pods", &Advice::pods},
    CountColumn{"evictions", &Advice::evictions},
    CountColumn{"there_before", &Advice::there_before},
    CountColumn{"moved", &Advice::moved},
};
struct FigureColumn {
  const char* name;
  double Advice::*field;
};
constexpr std::array kFigures = {
    FigureColumn{"now_units", &Advice::now_units},
    FigureColumn{"there_units", &Advice::there_units},
    FigureColumn{"requested_vcpus", &Advice::requested_vcpus},
    FigureColumn{"suggested_vcpus", &Advice::suggested_vcpus},
    FigureColumn{"peak_vcpus", &Advice::peak_vcpus},
    FigureColumn{"after_hours", &Advice::after_hours},
};
struct MaybeColumn {
  const char* name;
  std::optional<double> Advice::*field;
};
constexpr std::array kMaybes = {
    MaybeColumn{"now_eur", &Advice::now_eur},
    MaybeColumn{"now_g", &Advice::now_g},
    MaybeColumn{"there_eur", &Advice::there_eur},
    MaybeColumn{"there_g", &Advice::there_g},
    MaybeColumn{"net_eur", &Advice::net_eur},
    MaybeColumn{"net_g", &Advice::net_g},
    MaybeColumn{"cost_eur", &Advice::cost_eur},
    MaybeColumn{"cost_g", &Advice::cost_g},
    MaybeColumn{"holds_on_mean", &Advice::holds_on_mean},
    MaybeColumn{"before_eur", &Advice::before_eur},
    MaybeColumn{"before_g", &Advice::before_g},
    MaybeColumn{"after_eur", &Advice::after_eur},
    MaybeColumn{"after_g", &Advice::after_g},
};

// All columns but the key's, "id" and "opened_ms".
std::vector<std::string> Columns() {
  std::vector<std::string> names = {"kind", "state"};
  const auto add = [&](const auto& columns) {
    for (const auto& column : columns) names.emplace_back(column.name);
  };
  add(kTexts);
  add(kTimes);
  add(kCounts);
  add(kFigures);
  add(kMaybes);
  return names;
}

std::string ColumnList() {
  std::string list = "id, opened_ms";
  for (const std::string& name : Columns()) list += ", " + name;
  return list;
}

std::string SaveSql() {
  const std::vector<std::string> columns = Columns();
  std::string sql = "INSERT INTO advice(" + ColumnList() + ") VALUES($1";
  for (std::size_t i = 2; i <= columns.size() + 2; ++i) sql += ", $" + std::to_string(i);
  sql += ") ON CONFLICT (id, opened_ms) DO UPDATE SET ";
  for (const std::string& name : columns) {
    if (name != columns.front()) sql += ", ";
    sql.append(name).append(" = excluded.").append(name);
  }
  return sql;
}

std::int64_t Millis(Timestamp time) { return time.time_since_epoch().count(); }
Timestamp FromMillis(std::int64_t millis) { return Timestamp(Duration(millis)); }

template <class Names>
std::size_t IndexIn(const Names& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? 0 : static_cast<std::size_t>(found - names.begin());
}

std::vector<SqlValue> ParametersOf(const Advice& advice) {
  std::vector<SqlValue> all = {advice.id, Millis(advice.opened), std::string(ToString(advice.kind)),
                               std::string(ToString(advice.state))};
  for (const TextColumn& column : kTexts) all.emplace_back(advice.*column.field);
  for (const TimeColumn& column : kTimes) all.emplace_back(Millis(advice.*column.field));
  for (const CountColumn& column : kCounts) all.emplace_back(advice.*column.field);
  for (const FigureColumn& column : kFigures) all.emplace_back(advice.*column.field);
  for (const MaybeColumn& column : kMaybes) {
    all.emplace_back();
    if (const std::optional<double>& value = advice.*column.field) all.back() = *value;
  }
  return all;
}

Advice FromSql(const SqlRow& row) {
  Advice advice;
  std::size_t next = 0;
  advice.id = Text(row[next++]);
  advice.opened = FromMillis(Integer(row[next++]));
  advice.kind = static_cast<AdviceKind>(IndexIn(kKinds, Text(row[next++])));
  advice.state = static_cast<AdviceState>(IndexIn(kStates, Text(row[next++])));
  for (const TextColumn& column : kTexts) advice.*column.field = Text(row[next++]);
  for (const TimeColumn& column : kTimes) advice.*column.field = FromMillis(Integer(row[next++]));
  for (const CountColumn& column : kCounts) advice.*column.field = Integer(row[next++]);
  for (const FigureColumn& column : kFigures) advice.*column.field = Number(row[next++]);
  for (const MaybeColumn& column : kMaybes) {
    const SqlValue& value = row[next++];
    if (!std::holds_alternative<std::monostate>(value)) advice.*column.field = Number(value);
  }
  return advice;
}

}  // namespace

std::string_view ToString(AdviceKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }
std::string_view ToString(AdviceState state) { return kStates[static_cast<std::size_t>(state)]; }

bool IsClosed(AdviceState state) {
  return state == AdviceState::kMeasured || state == AdviceState::kExpired;
}

std::string AdviceId(AdviceKind kind, std::string_view namespace_name, std::string_view workload,
                     std::string_view from, std::string_view to) {
  constexpr std::size_t kDigits = 16;
  Sha256Stream hash;
  for (const std::string_view text : {ToString(kind), namespace_name, workload, from, to})
    hash.AddText(text);
  return Hex(hash.Finish()).substr(0, kDigits);
}

Status AdviceStore::Save(const std::vector<Advice>& advice,
                         const std::vector<PlaceHistory::Step>& steps) {
  if (advice.empty() && steps.empty()) return Status::Ok();
  static const std::string kSave = SaveSql();
  return database_.Transact([&]() -> Status {
    for (const Advice& one : advice) {
      if (Status status = database_.Run(kSave, ParametersOf(one)); !status.ok()) return status;
    }
    for (const PlaceHistory::Step& step : steps) {
      const std::array<SqlValue, 4> parameters = {step.place, Millis(step.begin), step.sum,
                                                  step.count};
      if (Status status =
              database_.Run("INSERT INTO place_intensity(place, begin_ms, sum_g_per_kwh, looks) "
                            "VALUES($1, $2, $3, $4) ON CONFLICT (place, begin_ms) DO UPDATE SET "
                            "sum_g_per_kwh = excluded.sum_g_per_kwh, looks = excluded.looks",
                            parameters);
          !status.ok())
        return status;
    }
    return Status::Ok();
  });
}

Result<std::vector<Advice>> AdviceStore::Read(Timestamp since, std::int64_t most) {
  const std::array<SqlValue, 2> parameters = {Millis(since), most};
  std::vector<Advice> all;
  const Status status = database_.ForEach("SELECT " + ColumnList() +
                                              " FROM advice WHERE changed_ms >= $1 OR held_ms >= "
                                              "$1 ORDER BY opened_ms DESC, id LIMIT $2",
                                          parameters, [&](const SqlRow& row) {
                                            all.push_back(FromSql(row));
                                            return Status::Ok();
                                          });
  if (!status.ok()) return status;
  return all;
}

Result<std::vector<PlaceHistory::Step>> AdviceStore::ReadSteps(Timestamp since) {
  const SqlValue parameter = Millis(since);
  const Result<std::vector<SqlRow>> rows = database_.Rows(
      "SELECT place, begin_ms, sum_g_per_kwh, looks FROM place_intensity WHERE begin_ms >= $1 "
      "ORDER BY place, begin_ms",
      {&parameter, 1});
  if (!rows.ok()) return rows.status();
  std::vector<PlaceHistory::Step> steps;
  for (const SqlRow& row : *rows)
    steps.push_back({Text(row[0]), FromMillis(Integer(row[1])), Number(row[2]), Integer(row[3])});
  return steps;
}

Status AdviceStore::Forget(Timestamp closed, Timestamp steps) {
  const SqlValue before = Millis(closed);
  if (Status status = database_.Run(
          "DELETE FROM advice WHERE changed_ms < $1 AND state IN ('measured', 'expired', 'done')",
          {&before, 1});
      !status.ok())
    return status;
  const SqlValue begun = Millis(steps);
  return database_.Run("DELETE FROM place_intensity WHERE begin_ms < $1", {&begun, 1});
}

}  // namespace sobre
