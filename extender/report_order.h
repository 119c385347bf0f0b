#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "audit/report.h"
#include "base/status.h"
#include "base/time.h"
#include "scoring/catalog.h"
#include "store/database.h"

namespace sobre {

// A report as somebody orders it; what is left out has its default: this month so far, by namespace
// and workload, as text. `from` may be a period's name too, if `to` is left out.
struct ReportOrderText {
  std::optional<std::string> from;
  std::optional<std::string> to;
  std::optional<std::string> by;
  std::optional<std::string> format;
  std::optional<std::string> period = {};
};
struct ReportOrder {
  ReportRequest request;
  std::string format;  // "text", "json", "csv", "focus" or "html"
};
// A time's begin, or its end, which is not part of it; a day alone is meant whole. `otherwise`
// where it is not stated; an error names the option. Pure.
Result<Timestamp> ReadBegin(const std::optional<std::string>& text, const std::string& option,
                            Timestamp otherwise);
Result<Timestamp> ReadEnd(const std::optional<std::string>& text, const std::string& option,
                          Timestamp otherwise);
// "today", "7d" and the like (so many days until now), "thismonth", "lastmonth", "thisquarter",
// "lastquarter", in UTC; nothing for any other text. Pure.
struct Period {
  Timestamp from;
  Timestamp to;
};
std::optional<Period> PeriodOf(std::string_view name, Timestamp now);

// An error names the option, with `prefix` ("--") before it. Pure.
Result<ReportOrder> ReadReportOrder(const ReportOrderText& text, std::string_view prefix,
                                    Timestamp now);

// Reads what the report needs, and writes it in its format. `decisions`: also what became of the
// decisions of that time, which are read one by one.
Result<std::string> WriteReport(const ReportOrder& order, Database& database,
                                const Catalog& catalog, const std::string& account, Timestamp now,
                                bool decisions);
// Whether it tells of single pods, nodes or places; else a row a workload and hour is enough.
bool NeedsPods(const ReportOrder& order);

// Where the last `days` begin: at an hour while hours are held, else at a midnight, so that no day
// that is held whole is cut.
Timestamp BeginOfDays(Timestamp now, std::int64_t days);

// How reports of this program are made.
ReportContext ContextFor(const Catalog& catalog, Timestamp now);

}  // namespace sobre
