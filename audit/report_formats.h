#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "audit/report.h"

// A report as text of one kind or another. Pure functions, safe from any thread.
namespace sobre {

// For a terminal: an aligned table, its total, and notes.
std::string ReportText(const Report& report);
// Everything, exact; what is unknown is null.
std::string ReportJson(const Report& report);
// RFC 4180, one row a group, units in the columns' names; what is unknown is empty.
std::string ReportCsv(const Report& report);
// One page that needs nothing else: charts as SVG, light and dark, for the screen and for paper.
std::string ReportHtml(const Report& report);
// FOCUS 1.2 (FinOps Open Cost and Usage Specification), one row a period, workload and node, with
// energy and emissions in columns `x_…`. Costs are what is paid (Billed, Effective, Contracted) and
// the list price; a cost that is unknown is 0, and x_CostKnownShare says so. Sobre has no price
// list, so the columns of one are left out; a unit price of below zero is null.
std::string FocusCsv(const std::vector<UsageRow>& rows, const ReportRequest& request,
                     const ReportContext& context);

// The parts of these.

// A report's advice as a table: heads, then the cells of each, of all its pods together. The first
// columns are names, the others numbers.
inline constexpr std::size_t kAdviceNames = 4;
std::vector<std::string> AdviceHeads();
std::vector<std::vector<std::string>> AdviceCells(const Report& report);

// RFC 4180: in quotes where it has to be.
std::string CsvField(std::string_view text);
// Without an exponent, exact.
std::string PlainNumber(double value);
// For people: "12,345", "123.4", "1.23", "0.00123".
std::string ReadableNumber(double value);
// "97 %"; never 100 % where something is missing, nor 0 % where there is something.
std::string ReadableShare(double share);
// The unit that all grams of a report are told in.
struct GramScale {
  double grams;  // in one unit
  std::string_view unit;
};
GramScale ScaleOf(const Report& report);
// "Data from … to …, 12 hours", or that there is none.
std::string ReadableCoverage(const Report& report);
// "shop / web"; "(none)" stands for a name that is not known.
std::string ReadableNames(const ReportLine& line);

}  // namespace sobre
