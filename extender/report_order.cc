#include "extender/report_order.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "audit/advice.h"
#include "audit/reader.h"
#include "audit/report_formats.h"
#include "audit/schema.h"
#include "audit/usage.h"
#include "base/text.h"

namespace sobre {
namespace {

constexpr std::array<std::string_view, 5> kFormats = {"text", "json", "csv", "focus", "html"};

Timestamp BeginOfMonth(Timestamp time) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
  return {std::chrono::sys_days(date.year() / date.month() / 1)};
}

// Decisions of that time, and how many of its hours rows tell of.
Result<DecisionStats> StatsOf(Database& database, const ReportRequest& request,
                              const std::vector<UsageRow>& rows) {
  Result<DecisionStats> stats = ReadStats(database, request.from, request.to);
  if (!stats.ok()) return stats;
  stats->total_hours = InHours(request.to - request.from);
  std::set<std::pair<Timestamp, Duration>> periods;
  for (const UsageRow& row : rows) periods.emplace(row.begin, row.length);
  for (const auto& [begin, length] : periods)
    stats->accounted_hours += InHours(std::min(begin + length, request.to) - begin);
  return stats;
}

// Tables that an older program made have none.
Result<std::vector<Advice>> AdviceOf(Database& database, const ReportRequest& request) {
  constexpr std::int64_t kMost = 5000;
  if (!CheckSchema(database).ok()) return std::vector<Advice>();
  Result<std::vector<Advice>> advice = AdviceStore(database).Read(request.from, kMost);
  if (advice.ok())
    std::erase_if(*advice, [&](const Advice& one) { return one.opened >= request.to; });
  return advice;
}

}  // namespace

Result<Timestamp> ReadTime(const std::optional<std::string>& text, const std::string& option,
                           Timestamp otherwise) {
  if (!text) return otherwise;
  const std::optional<Timestamp> time = ParseTime(*text);
  if (!time)
    return Status::Invalid(option + ": '" + Printable(*text) +
                           "' is no time; write 2026-05-16 or 2026-05-16T12:00:00Z");
  return *time;
}

Result<ReportOrder> ReadReportOrder(const ReportOrderText& text, std::string_view prefix,
                                    Timestamp now) {
  const auto option = [prefix](const char* name) { return std::string(prefix) + name; };
  ReportOrder order;
  const Result<Timestamp> to = ReadTime(text.to, option("to"), now);
  if (!to.ok()) return to.status();
  // Of a time that has passed, its own month.
  const Timestamp last = std::min(now, *to - Duration(1));
  const Result<Timestamp> from = ReadTime(text.from, option("from"), BeginOfMonth(last));
  if (!from.ok()) return from.status();
  if (*from >= *to)
    return Status::Invalid(option("from") + " " + FormatTime(*from) + " is not before " +
                           option("to") + " " + FormatTime(*to));
  order.request.from = *from;
  order.request.to = *to;
  const Result<std::vector<ReportKey>> by = ParseReportKeys(text.by.value_or("namespace,workload"));
  if (!by.ok()) return by.status().WithContext(option("by"));
  order.request.by = *by;
  order.format = text.format.value_or("text");
  if (std::find(kFormats.begin(), kFormats.end(), order.format) == kFormats.end()) {
    const std::string hint = DidYouMean(order.format, kFormats);
    return Status::Invalid(option("format") + ": '" + Printable(order.format) + "' is no format" +
                           (hint.empty() ? "; there are text, json, csv, focus, html" : hint));
  }
  return order;
}

Timestamp BeginOfDays(Timestamp now, std::int64_t days) {
  const Timestamp begin =
      std::chrono::floor<std::chrono::hours>(now) - std::chrono::hours(24 * days);
  if (std::chrono::hours(24 * days) < UsageStore::Retention().hours) return begin;
  return std::chrono::floor<std::chrono::days>(begin);
}

ReportContext ContextFor(const Catalog& catalog, Timestamp now) {
  ReportContext context;
  context.catalog = &catalog;
  context.program = "sobre " SOBRE_VERSION;
  context.made = now;
  return context;
}

bool NeedsPods(const ReportOrder& order) {
  constexpr std::array kOfWorkloads = {
      ReportKey::kNamespace, ReportKey::kWorkload, ReportKey::kModel, ReportKey::kTeam,
      ReportKey::kDay,       ReportKey::kHour,     ReportKey::kKind};
  return order.format == "focus" ||
         std::any_of(order.request.by.begin(), order.request.by.end(), [&](ReportKey key) {
           return std::find(kOfWorkloads.begin(), kOfWorkloads.end(), key) == kOfWorkloads.end();
         });
}

Result<std::string> WriteReport(const ReportOrder& order, Database& database,
                                const Catalog& catalog, const std::string& account, Timestamp now,
                                bool decisions) {
  UsageStore store(database);
  const Result<std::vector<UsageRow>> rows =
      NeedsPods(order) ? store.Read(order.request.from, order.request.to)
                       : store.ReadWorkloads(order.request.from, order.request.to);
  if (!rows.ok()) return rows.status().WithContext("reading usage from " + database.Name());
  ReportContext context = ContextFor(catalog, now);
  context.account = account;
  if (order.format == "focus") return FocusCsv(*rows, order.request, context);
  std::optional<DecisionStats> stats;
  if (decisions) {
    Result<DecisionStats> read = StatsOf(database, order.request, *rows);
    if (!read.ok()) return read.status().WithContext("reading decisions from " + database.Name());
    stats = *std::move(read);
  }
  Report report = MakeReport(*rows, stats, order.request, context);
  if (order.format == "text" || order.format == "html") {
    Result<std::vector<Advice>> advice = AdviceOf(database, order.request);
    if (!advice.ok()) return advice.status().WithContext("reading advice from " + database.Name());
    report.advice = *std::move(advice);
  }
  if (order.format == "json") return ReportJson(report);
  if (order.format == "csv") return ReportCsv(report);
  if (order.format == "html") return ReportHtml(report);
  return ReportText(report);
}

}  // namespace sobre
