#include "audit/usage.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <tuple>

namespace sobre {
namespace {

using std::chrono::days;
using std::chrono::milliseconds;

struct TextColumn {
  const char* name;
  std::string UsageRow::*field;
  // Part of a row's key; what is not follows from what is.
  bool key;
};
constexpr std::array kTexts = {
    TextColumn{"namespace", &UsageRow::namespace_name, true},
    TextColumn{"pod", &UsageRow::pod, false},
    TextColumn{"pod_uid", &UsageRow::pod_uid, true},
    TextColumn{"workload", &UsageRow::workload, true},
    TextColumn{"team", &UsageRow::team, true},
    TextColumn{"model", &UsageRow::model, true},
    TextColumn{"node", &UsageRow::node, true},
    TextColumn{"provider", &UsageRow::provider, false},
    TextColumn{"region", &UsageRow::region, false},
    TextColumn{"country", &UsageRow::country, false},
    TextColumn{"hardware_class", &UsageRow::hardware_class, true},
};

struct FigureColumn {
  const char* name;
  double UsageRow::*field;
};
constexpr std::array kFigures = {
    FigureColumn{"pod_hours", &UsageRow::pod_hours},
    FigureColumn{"vcpu_hours", &UsageRow::vcpu_hours},
    FigureColumn{"memory_gb_hours", &UsageRow::memory_gb_hours},
    FigureColumn{"gpu_hours", &UsageRow::gpu_hours},
    FigureColumn{"energy_kwh", &UsageRow::energy_kwh},
    FigureColumn{"operational_low_g", &UsageRow::operational_low_g},
    FigureColumn{"operational_g", &UsageRow::operational_g},
    FigureColumn{"operational_high_g", &UsageRow::operational_high_g},
    FigureColumn{"market_g", &UsageRow::market_g},
    FigureColumn{"embodied_low_g", &UsageRow::embodied_low_g},
    FigureColumn{"embodied_g", &UsageRow::embodied_g},
    FigureColumn{"embodied_high_g", &UsageRow::embodied_high_g},
    FigureColumn{"eur", &UsageRow::eur},
    FigureColumn{"list_eur", &UsageRow::list_eur},
    FigureColumn{"requests", &UsageRow::requests},
    FigureColumn{"tokens", &UsageRow::tokens},
    FigureColumn{"energy_known_hours", &UsageRow::energy_known_hours},
    FigureColumn{"grams_known_hours", &UsageRow::grams_known_hours},
    FigureColumn{"eur_known_hours", &UsageRow::eur_known_hours},
    FigureColumn{"measured_kwh", &UsageRow::measured_kwh},
    FigureColumn{"live_g", &UsageRow::live_g},
    FigureColumn{"mean_candidate_g", &UsageRow::mean_candidate_g},
    FigureColumn{"mean_candidate_eur", &UsageRow::mean_candidate_eur},
    FigureColumn{"compared_g", &UsageRow::compared_g},
    FigureColumn{"compared_eur", &UsageRow::compared_eur},
};
// begin_ms, length_ms and is_run stand before the texts.
constexpr std::size_t kColumnCount = 3 + kTexts.size() + kFigures.size();
// In one statement: well below the fewest parameters that a database takes (32,766).
constexpr std::size_t kRowsAtOnce = 100;

constexpr const char* kDay = "86400000";  // milliseconds

std::string ColumnList() {
  std::string list = "begin_ms, length_ms, is_run";
  for (const TextColumn& column : kTexts) list += std::string(", ") + column.name;
  for (const FigureColumn& column : kFigures) list += std::string(", ") + column.name;
  return list;
}

// The end of an INSERT: where the row is there, its figures grow.
std::string OrAdd() {
  std::string sql = " ON CONFLICT (begin_ms, length_ms, is_run";
  for (const TextColumn& column : kTexts) {
    if (column.key) sql += std::string(", ") + column.name;
  }
  sql += ") DO UPDATE SET ";
  for (const FigureColumn& column : kFigures) {
    const std::string name = column.name;
    if (&column != kFigures.data()) sql += ", ";
    sql.append(name).append(" = usage.").append(name).append(" + excluded.").append(name);
  }
  return sql;
}

std::string InsertSql(std::size_t rows) {
  std::string sql = "INSERT INTO usage(" + ColumnList() + ") VALUES ";
  std::size_t parameter = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    sql += row == 0 ? "(" : ", (";
    for (std::size_t column = 0; column < kColumnCount; ++column)
      sql += (column == 0 ? "$" : ", $") + std::to_string(++parameter);
    sql += ")";
  }
  return sql + OrAdd();
}

// Sums rows that begin in [$1, $2) and for which `which` holds into rows of their day.
std::string MergeSql(const std::string& which, bool keep_pods) {
  std::string sql = "INSERT INTO usage(" + ColumnList() + ") SELECT begin_ms - begin_ms % " + kDay +
                    ", " + kDay + ", is_run";
  std::string group = " GROUP BY 1, is_run";
  for (const TextColumn& column : kTexts) {
    const std::string name = column.name;
    const bool of_pod = column.field == &UsageRow::pod || column.field == &UsageRow::pod_uid;
    if (of_pod && !keep_pods) {
      sql += ", ''";
    } else if (column.key) {
      sql += ", " + name;
      group += ", " + name;
    } else {
      sql += ", MAX(" + name + ")";
    }
  }
  for (const FigureColumn& column : kFigures) sql += std::string(", SUM(") + column.name + ")";
  return sql + " FROM usage WHERE begin_ms >= $1 AND begin_ms < $2 AND " + which + group + OrAdd();
}

std::int64_t Millis(Timestamp time) { return time.time_since_epoch().count(); }

Timestamp FromMillis(std::int64_t millis) { return Timestamp(milliseconds(millis)); }

using Key = std::vector<std::string>;

// Rows of the same key as one: a statement may touch a row once only.
std::vector<UsageRow> Merged(const std::vector<UsageRow>& rows) {
  std::map<std::tuple<Timestamp, Duration, bool, Key>, std::size_t> places;
  std::vector<UsageRow> merged;
  for (const UsageRow& row : rows) {
    Key key;
    for (const TextColumn& column : kTexts) {
      if (column.key) key.push_back(row.*column.field);
    }
    const auto [place, is_new] =
        places.try_emplace({row.begin, row.length, row.is_run, key}, merged.size());
    if (is_new) {
      merged.push_back(row);
    } else {
      AddFigures(row, merged[place->second]);
    }
  }
  return merged;
}

void AppendParameters(const UsageRow& row, std::vector<SqlValue>& out) {
  out.emplace_back(Millis(row.begin));
  out.emplace_back(std::int64_t{row.length.count()});
  out.emplace_back(std::int64_t{row.is_run ? 1 : 0});
  for (const TextColumn& column : kTexts) out.emplace_back(row.*column.field);
  for (const FigureColumn& column : kFigures) out.emplace_back(row.*column.field);
}

UsageRow FromSql(const SqlRow& columns) {
  UsageRow row;
  row.begin = FromMillis(Integer(columns[0]));
  row.length = milliseconds(Integer(columns[1]));
  row.is_run = Integer(columns[2]) != 0;
  std::size_t next = 3;
  for (const TextColumn& column : kTexts) row.*column.field = Text(columns[next++]);
  for (const FigureColumn& column : kFigures) row.*column.field = Number(columns[next++]);
  return row;
}

// Runs a statement that gives back the rows it changed; kGone where there was none.
Status ChangeOne(Database& database, const std::string& sql, std::span<const SqlValue> parameters) {
  const Result<std::vector<SqlRow>> changed = database.Rows(sql, parameters);
  if (!changed.ok()) return changed.status();
  if (changed->empty())
    return Status::Gone("another replica has taken over accounting, or has moved it on");
  return Status::Ok();
}

Timestamp DayBefore(Timestamp now, Duration age) { return {std::chrono::floor<days>(now - age)}; }

// Merges rows for which `which` holds, day by day, so that no statement is long.
Status MergeDays(Database& database, const std::string& which, bool keep_pods, Timestamp until) {
  const SqlValue end = Millis(until);
  const Result<std::vector<SqlRow>> first =
      database.Rows("SELECT MIN(begin_ms) FROM usage WHERE begin_ms < $1 AND " + which, {&end, 1});
  if (!first.ok()) return first.status();
  if (first->empty() || !std::holds_alternative<std::int64_t>(first->front()[0]))
    return Status::Ok();
  Timestamp day(std::chrono::floor<days>(FromMillis(Integer(first->front()[0]))));
  const std::string merge = MergeSql(which, keep_pods);
  const std::string remove =
      "DELETE FROM usage WHERE begin_ms >= $1 AND begin_ms < $2 AND " + which;
  for (; day < until; day += days(1)) {
    const std::array<SqlValue, 2> bounds = {Millis(day), Millis(day + days(1))};
    for (const std::string& sql : {merge, remove}) {
      if (Status status = database.Run(sql, bounds); !status.ok()) return status;
    }
  }
  return Status::Ok();
}

}  // namespace

void AddFigures(const UsageRow& from, UsageRow& to) {
  for (const FigureColumn& column : kFigures) to.*column.field += from.*column.field;
}

Result<std::optional<UsageStore::Accounted>> UsageStore::LastAccounted() {
  const Result<std::vector<SqlRow>> rows =
      database_.Rows("SELECT holder, through_ms FROM accounting WHERE id = 1");
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return std::optional<Accounted>();
  const SqlRow& row = rows->front();
  return std::optional(Accounted{Text(row[0]), FromMillis(Integer(row[1]))});
}

Status UsageStore::TakeOver(const std::optional<Accounted>& seen, const std::string& holder,
                            Timestamp now) {
  if (!seen) {
    const std::array<SqlValue, 2> parameters = {holder, Millis(now)};
    return ChangeOne(database_,
                     "INSERT INTO accounting(id, holder, through_ms) VALUES(1, $1, $2) "
                     "ON CONFLICT (id) DO NOTHING RETURNING id",
                     parameters);
  }
  const std::array<SqlValue, 3> parameters = {holder, seen->holder, Millis(seen->through)};
  return ChangeOne(database_,
                   "UPDATE accounting SET holder = $1 WHERE id = 1 AND holder = $2 AND "
                   "through_ms = $3 RETURNING id",
                   parameters);
}

Status UsageStore::Add(const std::vector<UsageRow>& rows, const std::string& holder, Timestamp from,
                       Timestamp to) {
  return Add(RowsOf(rows), holder, from, to);
}

Status UsageStore::Add(const UsageRows& rows, const std::string& holder, Timestamp from,
                       Timestamp to) {
  return database_.Transact([&]() -> Status {
    const std::array<SqlValue, 3> step = {Millis(to), holder, Millis(from)};
    Status status = ChangeOne(database_,
                              "UPDATE accounting SET through_ms = $1 WHERE id = 1 AND "
                              "holder = $2 AND through_ms = $3 RETURNING id",
                              step);
    if (!status.ok()) return status;
    std::vector<UsageRow> some;
    std::vector<SqlValue> parameters;
    const auto write = [&] {
      const std::vector<UsageRow> merged = Merged(some);
      some.clear();
      parameters.clear();
      for (const UsageRow& row : merged) AppendParameters(row, parameters);
      if (status.ok() && !merged.empty())
        status = database_.Run(InsertSql(merged.size()), parameters);
    };
    rows([&](const UsageRow& row) {
      some.push_back(row);
      if (some.size() == kRowsAtOnce) write();
    });
    write();
    return status;
  });
}

Status UsageStore::Query(const std::string& select, const std::vector<SqlValue>& parameters,
                         std::vector<UsageRow>& rows) {
  return database_.ForEach(select, parameters, [&](const SqlRow& columns) -> Status {
    if (columns.size() != kColumnCount)
      return Status::Invalid("a row of usage has " + std::to_string(columns.size()) +
                             " columns, not " + std::to_string(kColumnCount));
    rows.push_back(FromSql(columns));
    return Status::Ok();
  });
}

Result<std::vector<UsageRow>> UsageStore::Read(Timestamp from, Timestamp to) {
  std::vector<UsageRow> rows;
  const Status status = Query("SELECT " + ColumnList() +
                                  " FROM usage WHERE begin_ms >= $1 AND begin_ms < $2 ORDER BY "
                                  "begin_ms, length_ms, namespace, workload, pod_uid, node, team, "
                                  "model, is_run, hardware_class",
                              {Millis(from), Millis(to)}, rows);
  if (!status.ok()) return status;
  return rows;
}

Result<std::vector<UsageRow>> UsageStore::ReadWorkloads(Timestamp from, Timestamp to,
                                                        const Filter& filter) {
  std::string sql = "SELECT begin_ms, length_ms, is_run";
  std::string group = "begin_ms, length_ms, is_run";
  for (const TextColumn& column : kTexts) {
    const bool kept = column.field == &UsageRow::namespace_name ||
                      column.field == &UsageRow::workload || column.field == &UsageRow::team ||
                      column.field == &UsageRow::model;
    sql += kept ? std::string(", ") + column.name : ", ''";
    if (kept) group += std::string(", ") + column.name;
  }
  for (const FigureColumn& column : kFigures) sql += std::string(", SUM(") + column.name + ")";
  sql += " FROM usage WHERE begin_ms >= $1 AND begin_ms < $2";
  std::vector<SqlValue> parameters(2);
  const auto only = [&](const char* column, const std::string& value) {
    if (value.empty()) return;
    parameters.emplace_back(value);
    sql += std::string(" AND ") + column + " = $" + std::to_string(parameters.size());
  };
  only("namespace", filter.namespace_name);
  only("workload", filter.workload);
  only("model", filter.model);
  sql += " GROUP BY " + group + " ORDER BY " + group;
  std::vector<UsageRow> rows;
  for (Timestamp at = from; at < to;) {
    const Timestamp end =
        std::min<Timestamp>(to, std::chrono::floor<std::chrono::hours>(at) + std::chrono::hours(1));
    parameters[0] = Millis(at);
    parameters[1] = Millis(end);
    if (Status status = Query(sql, parameters, rows); !status.ok()) return status;
    at = end;
  }
  return rows;
}

Result<std::int64_t> UsageStore::Count(Timestamp from, Timestamp to) {
  std::int64_t count = 0;
  const std::array<SqlValue, 2> parameters = {Millis(from), Millis(to)};
  const Status status =
      database_.ForEach("SELECT COUNT(*) FROM usage WHERE begin_ms >= $1 AND begin_ms < $2",
                        parameters, [&](const SqlRow& columns) {
                          count = std::get<std::int64_t>(columns.front());
                          return Status::Ok();
                        });
  if (!status.ok()) return status;
  return count;
}

Status UsageStore::Fold(Timestamp now, const Retention& retention) {
  return database_.Transact([&]() -> Status {
    // Two replicas that fold at once would add the same hours twice: the second waits here.
    if (Status status = database_.Run("UPDATE accounting SET id = id WHERE id = 1"); !status.ok())
      return status;
    if (Status status = MergeDays(database_, std::string("length_ms < ") + kDay, true,
                                  DayBefore(now, retention.hours));
        !status.ok())
      return status;
    if (Status status =
            MergeDays(database_, std::string("length_ms = ") + kDay + " AND pod_uid <> ''", false,
                      DayBefore(now, retention.pods));
        !status.ok())
      return status;
    // Without a uid there is nothing to merge, only a name to lose.
    const SqlValue pods = Millis(DayBefore(now, retention.pods));
    if (Status status = database_.Run(
            std::string("UPDATE usage SET pod = '' WHERE begin_ms < $1 AND pod_uid = '' AND "
                        "pod <> '' AND length_ms = ") +
                kDay,
            {&pods, 1});
        !status.ok())
      return status;
    const SqlValue gone = Millis(DayBefore(now, retention.days));
    return database_.Run("DELETE FROM usage WHERE begin_ms < $1", {&gone, 1});
  });
}

}  // namespace sobre
