#include "extender/report_order.h"

#include <algorithm>
#include <array>
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

constexpr std::string_view kPeriods =
    "today, 7d (or any number of days), thismonth, lastmonth, thisquarter, lastquarter";
constexpr std::int64_t kMostPeriodDays = 3660;

// Of so many months that begin with the year; `back`: so many of them earlier.
Timestamp BeginOfMonths(Timestamp time, unsigned months, int back = 0) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
  const unsigned first = (static_cast<unsigned>(date.month()) - 1) / months * months + 1;
  const auto begin = date.year() / std::chrono::month(first) -
                     std::chrono::months(back * static_cast<int>(months));
  return {std::chrono::sys_days(begin / 1)};
}

Timestamp BeginOfMonth(Timestamp time) { return BeginOfMonths(time, 1); }

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

Result<Timestamp> ReadBegin(const std::optional<std::string>& text, const std::string& option,
                            Timestamp otherwise) {
  if (!text) return otherwise;
  const std::optional<Timestamp> time = ParseTime(*text);
  if (!time)
    return Status::Invalid(option + ": '" + Printable(*text) +
                           "' is no time; write 2026-05-16 or 2026-05-16T12:00:00Z");
  return *time;
}

Result<Timestamp> ReadEnd(const std::optional<std::string>& text, const std::string& option,
                          Timestamp otherwise) {
  Result<Timestamp> time = ReadBegin(text, option, otherwise);
  constexpr std::size_t kDay = std::string_view("2026-05-16").size();
  if (!time.ok() || !text || Trim(*text).size() != kDay) return time;
  return *time + std::chrono::days(1);
}

std::optional<Period> PeriodOf(std::string_view name, Timestamp now) {
  if (name == "today") return Period{std::chrono::floor<std::chrono::days>(now), now};
  if (name == "thismonth") return Period{BeginOfMonths(now, 1), now};
  if (name == "lastmonth") return Period{BeginOfMonths(now, 1, 1), BeginOfMonths(now, 1)};
  if (name == "thisquarter") return Period{BeginOfMonths(now, 3), now};
  if (name == "lastquarter") return Period{BeginOfMonths(now, 3, 1), BeginOfMonths(now, 3)};
  if (!name.ends_with('d')) return std::nullopt;
  const std::optional<std::int64_t> days = ParseInteger(name.substr(0, name.size() - 1));
  if (!days || *days < 1 || *days > kMostPeriodDays) return std::nullopt;
  return Period{BeginOfDays(now, *days), now};
}

namespace {

template <class Option>
Result<Period> ReadPeriod(const ReportOrderText& text, const Option& option, Timestamp now) {
  if (text.period) {
    if (text.from || text.to)
      return Status::Invalid(option("period") + " is a time of its own: not with " +
                             option("from") + " or " + option("to"));
    if (const std::optional<Period> period = PeriodOf(*text.period, now)) return *period;
    return Status::Invalid(option("period") + ": '" + Printable(*text.period) + "' is none of " +
                           std::string(kPeriods));
  }
  if (text.from && !text.to)
    if (const std::optional<Period> period = PeriodOf(*text.from, now)) return *period;
  const Result<Timestamp> to = ReadEnd(text.to, option("to"), now);
  if (!to.ok()) return to.status();
  // Of a time that has passed, its own month.
  const Timestamp last = std::min(now, *to - Duration(1));
  const Result<Timestamp> from = ReadBegin(text.from, option("from"), BeginOfMonth(last));
  if (!from.ok()) return from.status();
  if (*from < *to) return Period{*from, *to};
  return Status::Invalid(option("from") + " " + FormatTime(*from) + " is not before the end of " +
                         option("to") + ", " + FormatTime(*to));
}

}  // namespace

Result<ReportOrder> ReadReportOrder(const ReportOrderText& text, std::string_view prefix,
                                    Timestamp now) {
  const auto option = [prefix](const char* name) { return std::string(prefix) + name; };
  ReportOrder order;
  Result<Period> period = ReadPeriod(text, option, now);
  if (!period.ok()) return period.status();
  order.request.from = period->from;
  order.request.to = period->to;
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
    Result<DecisionStats> read = ReadStats(database, order.request.from, order.request.to);
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
