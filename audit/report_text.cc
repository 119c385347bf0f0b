#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "audit/report_formats.h"
#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

constexpr std::string_view kUnknown = "?";

std::string Thousands(const std::string& digits) {
  const std::size_t start = digits.starts_with('-') ? 1 : 0;
  const std::size_t end = std::min(digits.find('.'), digits.size());
  std::string out = digits.substr(0, start);
  for (std::size_t i = start; i < end; ++i) {
    if (i > start && (end - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out + digits.substr(end);
}

std::string Fixed(double value, int decimals) {
  std::array<char, 400> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::fixed, decimals)
                       .ptr;
  return {buffer.data(), end};
}

std::string Optional(const std::optional<double>& value) {
  return value ? ReadableNumber(*value) : std::string(kUnknown);
}

// One column of the table.
struct TextTable {
  struct Column {
    std::string head;
    bool is_number = true;
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> lines;
};

// As many as a terminal shows: one a code point.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

void AppendLine(const TextTable& table, const std::vector<std::size_t>& widths,
                const std::vector<std::string>& cells, std::string& out) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += "  ";
    const std::string padding(widths[i] - Width(cells[i]), ' ');
    line += table.columns[i].is_number ? padding + cells[i] : cells[i] + padding;
  }
  out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

std::string Aligned(const TextTable& table, bool has_total = true) {
  std::vector<std::size_t> widths;
  std::vector<std::string> heads;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    std::size_t width = Width(table.columns[i].head);
    for (const auto& cells : table.lines) width = std::max(width, Width(cells[i]));
    widths.push_back(width);
    heads.push_back(table.columns[i].head);
  }
  std::string out;
  AppendLine(table, widths, heads, out);
  std::size_t all = 2 * (widths.empty() ? 0 : widths.size() - 1);
  for (const std::size_t width : widths) all += width;
  const std::string rule = std::string(all, '-') + "\n";
  out += rule;
  for (std::size_t i = 0; i < table.lines.size(); ++i) {
    if (has_total && i + 1 == table.lines.size()) out += rule;  // before the total
    AppendLine(table, widths, table.lines[i], out);
  }
  return out;
}

std::string Letter(const std::optional<ClassLetter>& letter) {
  return letter ? std::string(1, ToLetter(*letter)) : "-";
}

// What a workload's units took; a dash where there are none.
std::string OfUnit(const std::optional<UnitFigures>& figures,
                   std::optional<double> UnitFigures::*field) {
  return figures ? Optional((*figures).*field) : "-";
}

std::vector<std::string> Cells(const ReportLine& line, const Report& report,
                               const GramScale& scale) {
  std::vector<std::string> cells;
  for (std::size_t i = 0; i < report.request.by.size(); ++i) {
    if (line.names.empty()) {
      cells.emplace_back(i == 0 ? "total" : "");
    } else {
      cells.push_back(line.names[i].empty() ? "(none)" : Printable(line.names[i]));
    }
  }
  const auto grams = [&](const std::optional<Range<Grams>>& range, Grams Range<Grams>::*which) {
    return range ? ReadableNumber(((*range).*which).value() / scale.grams) : std::string(kUnknown);
  };
  cells.push_back(ReadableNumber(line.sum.pod_hours));
  cells.push_back(Optional(line.energy_kwh));
  cells.push_back(grams(line.operational, &Range<Grams>::mid));
  cells.push_back(grams(line.embodied, &Range<Grams>::mid));
  cells.push_back(grams(line.total, &Range<Grams>::mid));
  cells.push_back(grams(line.total, &Range<Grams>::low) + " to " +
                  grams(line.total, &Range<Grams>::high));
  cells.push_back(line.market_g ? ReadableNumber(*line.market_g / scale.grams)
                                : std::string(kUnknown));
  cells.push_back(Optional(line.euros));
  cells.push_back(Optional(line.list_euros));
  cells.push_back(line.sum.requests > 0 ? ReadableNumber(line.sum.requests) : "-");
  cells.push_back(OfUnit(line.per_request, &UnitFigures::watt_hours));
  cells.push_back(OfUnit(line.per_request, &UnitFigures::grams));
  cells.push_back(OfUnit(line.per_request, &UnitFigures::euros));
  cells.push_back(Letter(line.energy_class) + "/" + Letter(line.carbon_class));
  cells.push_back(line.change && line.change->grams_share
                      ? (*line.change->grams_share > 0 ? "+" : "") +
                            FormatSignificant(*line.change->grams_share * 100, 3) + " %"
                      : "-");
  return cells;
}

bool HasTokens(const Report& report) { return report.total.per_thousand_tokens.has_value(); }

void AppendTokens(const Report& report, std::string& out) {
  TextTable table;
  for (const ReportKey key : report.request.by)
    table.columns.push_back({std::string(ToString(key)), false});
  for (const char* head : {"tokens", "Wh/1k tokens", "gCO2e/1k tokens", "EUR/1k tokens"})
    table.columns.push_back({head});
  const auto add = [&](const ReportLine& line) {
    if (!line.per_thousand_tokens) return;
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < report.request.by.size(); ++i) {
      cells.push_back(line.names.empty()      ? (i == 0 ? "total" : "")
                      : line.names[i].empty() ? "(none)"
                                              : Printable(line.names[i]));
    }
    cells.push_back(ReadableNumber(line.per_thousand_tokens->count * 1000));
    cells.push_back(Optional(line.per_thousand_tokens->watt_hours));
    cells.push_back(Optional(line.per_thousand_tokens->grams));
    cells.push_back(Optional(line.per_thousand_tokens->euros));
    table.lines.push_back(std::move(cells));
  };
  for (const ReportLine& line : report.groups) add(line);
  add(report.total);
  out += "\n" + Aligned(table);
}

// Of all its pods an hour, what is saved from the one to the other.
std::string SavedOf(const std::optional<double>& from, const std::optional<double>& to,
                    std::int64_t pods) {
  return from && to ? ReadableNumber((*from - *to) * static_cast<double>(pods)) : "-";
}

void AppendAdvice(const Report& report, std::string& out) {
  constexpr std::size_t kShown = 50;
  if (report.advice.empty()) return;
  TextTable table;
  for (const std::string& head : AdviceHeads())
    table.columns.push_back({head, table.columns.size() >= kAdviceNames});
  table.lines = AdviceCells(report);
  const std::size_t all = table.lines.size();
  table.lines.resize(std::min(all, kShown));
  out += "\nAdvice, on the report ledger, of all its pods:\n\n" + Aligned(table, false);
  if (all > kShown) out += "and " + std::to_string(all - kShown) + " more; html has them\n";
}

std::string Wrapped(const std::string& text, std::size_t width) {
  std::string out;
  std::string line = "- ";
  for (const std::string_view word : Split(text, ' ')) {
    if (Width(line) + 1 + Width(word) > width && line.size() > 2) {
      out += line + "\n";
      line = "  ";
    }
    if (line.size() > 2) line += ' ';
    line += word;
  }
  return out + line + "\n";
}

std::string NotesText(const Report& report) {
  std::string out;
  for (const std::string& note : ReportNotes(report)) out += Wrapped(note, 110);
  return out;
}

}  // namespace

std::vector<std::string> AdviceHeads() {
  return {"workload",   "advice",           "state",         "note", "pods", "gCO2e/h less",
          "EUR/h less", "measured gCO2e/h", "measured EUR/h"};
}

std::vector<std::vector<std::string>> AdviceCells(const Report& report) {
  std::vector<std::vector<std::string>> lines;
  for (const Advice& one : report.advice) {
    const bool move = one.kind == AdviceKind::kMove;
    const std::string what = move ? one.from + " to " + one.to
                                  : FormatSignificant(one.requested_vcpus, 3) + " to " +
                                        FormatSignificant(one.suggested_vcpus, 3) + " vCPU";
    // Of those that followed it.
    const std::int64_t followed = move ? one.moved : one.pods;
    lines.push_back({Printable(one.namespace_name + "/" + one.workload), Printable(what),
                     std::string(ToString(one.state)), Printable(one.note),
                     std::to_string(one.pods), SavedOf(one.now_g, one.there_g, one.pods),
                     SavedOf(one.now_eur, one.there_eur, one.pods),
                     SavedOf(one.before_g, one.after_g, followed),
                     SavedOf(one.before_eur, one.after_eur, followed)});
  }
  return lines;
}

std::string PlainNumber(double value) {
  if (!std::isfinite(value)) return {};
  std::array<char, 1100> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed)
          .ptr;
  const std::string text(buffer.data(), end);
  return text == "-0" ? "0" : text;
}

std::string ReadableNumber(double value) {
  if (!std::isfinite(value)) return FormatNumber(value);
  const double size = std::abs(value);
  // Just below a bound, rounding reaches it: the wider form is then right too.
  if (size >= 999.95) return Thousands(Fixed(value, 0));
  if (size >= 99.995) return Fixed(value, 1);
  if (size >= 1) return Fixed(value, 2);
  return value == 0 ? "0" : FormatSignificant(value, 3);
}

std::string ReadableShare(double share) {
  const double percent = share * 100;
  if (percent < 100 && percent > 99.9) return "over 99.9 %";
  if (percent > 0 && percent < 0.1) return "below 0.1 %";
  return FormatSignificant(percent, 3) + " %";
}

GramScale ScaleOf(const Report& report) {
  double most = report.total.market_g.value_or(0);
  if (report.total.total) most = std::max(most, report.total.total->mid.value());
  if (most >= 1e7) return {1e6, "t"};
  if (most >= 1e4) return {1e3, "kg"};
  return {1, "g"};
}

std::string ReadableNames(const ReportLine& line) {
  std::string text;
  for (const std::string& name : line.names) {
    if (!text.empty()) text += " / ";
    text += name.empty() ? "(none)" : Printable(name);
  }
  return text.empty() ? "all" : text;
}

std::string ReadableCoverage(const Report& report) {
  if (!report.covered) return "No data: no usage is on record for this time";
  return "Data from " + FormatTime(report.covered->from) + " to " + FormatTime(report.covered->to) +
         ", " + ReadableNumber(report.covered->hours) + " hours";
}

std::string ReportText(const Report& report) {
  const GramScale scale = ScaleOf(report);
  const std::string unit = std::string(scale.unit) + "CO2e";
  std::string out = "Usage from " + FormatTime(report.request.from) + " to " +
                    FormatTime(report.request.to) + ", most " + unit + " first\n" +
                    ReadableCoverage(report) + "\n\n";
  if (!report.covered) return out + NotesText(report);
  TextTable table;
  for (const ReportKey key : report.request.by)
    table.columns.push_back({std::string(ToString(key)), false});
  for (const std::string& head :
       {std::string("pod-hours"), std::string("kWh"), unit + " operational",
        std::string("embodied"), std::string("total"), std::string("low to high"),
        std::string("market-based"), std::string("EUR"), std::string("EUR list"),
        std::string("requests"), std::string("Wh/req"), std::string("gCO2e/req"),
        std::string("EUR/req"), std::string("class"), std::string("vs mean")})
    table.columns.push_back({head});
  for (const ReportLine& line : report.groups) table.lines.push_back(Cells(line, report, scale));
  table.lines.push_back(Cells(report.total, report, scale));
  if (report.request.by.empty()) table.lines.pop_back();
  out += Aligned(table);
  if (HasTokens(report)) AppendTokens(report, out);
  if (report.total.has_runs) {
    const UsageRow& runs = report.total.runs;
    out +=
        "\nRuns (in the sums above, in no figure per request): " + ReadableNumber(runs.pod_hours) +
        " pod-hours, " + ReadableNumber(runs.energy_kwh) + " kWh, " +
        ReadableNumber((runs.operational_g + runs.embodied_g) / scale.grams) + " " + unit + ", " +
        ReadableNumber(runs.eur) + " EUR\n";
  }
  AppendAdvice(report, out);
  return out + "\n" + NotesText(report);
}

}  // namespace sobre
