#include "audit/report.h"

#include <array>
#include <cstdio>
#include <memory>
#include <set>

#include "audit/reader.h"
#include "audit/report_formats.h"
#include "audit/usage.h"
#include "base/text.h"
#include "extender/command_line.h"
#include "extender/config.h"
#include "extender/records.h"
#include "store/database.h"

namespace sobre {
namespace {

constexpr std::array<Option, 9> kOptions = {{
    {"--config", "FILE", "the service's configuration: where its records are"},
    {"--db", "FILE|URL", "the records' file or postgresql://…, instead of the configuration's"},
    {"--from", "TIME", "RFC 3339 or a date; default: the begin of this month, UTC"},
    {"--to", "TIME", "up to this moment, not included; default: now"},
    {"--by", "KEYS", "what to group by, by comma; default: namespace,workload"},
    {"--format", "FORMAT", "text (default), json, csv, focus or html"},
    {"--account", "NAME", "whose usage it is; default: kubernetes"},
    {"--out", "FILE", "write there instead of standard output"},
    {"--help", "", "this text"},
}};

constexpr const char* kHelp = R"(usage: sobre report --config FILE [OPTIONS]

What running pods took: energy, gCO2e by scope, euros and requests, from the hours on record.

Keys to group by: namespace, workload, model, region, node, team, pod, class (hardware class), country,
provider, day, hour, kind (service or run). Old hours are held by the UTC day, without pods' names.
focus is FOCUS 1.2 by period, workload and node, whatever --by says.

)";

constexpr std::array<std::string_view, 5> kFormats = {"text", "json", "csv", "focus", "html"};

struct Wanted {
  ReportRequest request;
  std::string format = "text";
};

Result<Timestamp> TimeOf(const CommandLine& line, std::string_view option, Timestamp otherwise) {
  if (!line.Has(option)) return otherwise;
  const std::string text = line.Get(option);
  const std::optional<Timestamp> time = ParseTime(text);
  if (!time)
    return Status::Invalid(std::string(option) + ": '" + Printable(text) +
                           "' is no time; write 2026-05-16 or 2026-05-16T12:00:00Z");
  return *time;
}

Timestamp BeginOfMonth(Timestamp time) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
  return {std::chrono::sys_days(date.year() / date.month() / 1)};
}

Result<Wanted> WantedBy(const CommandLine& line, Timestamp now) {
  Wanted wanted;
  const Result<Timestamp> to = TimeOf(line, "--to", now);
  if (!to.ok()) return to.status();
  // Of a time that has passed, its own month.
  const Timestamp last = std::min(now, *to - Duration(1));
  const Result<Timestamp> from = TimeOf(line, "--from", BeginOfMonth(last));
  if (!from.ok()) return from.status();
  if (*from >= *to)
    return Status::Invalid("--from " + FormatTime(*from) + " is not before --to " +
                           FormatTime(*to));
  wanted.request.from = *from;
  wanted.request.to = *to;
  const Result<std::vector<ReportKey>> by =
      ParseReportKeys(line.Has("--by") ? line.Get("--by") : "namespace,workload");
  if (!by.ok()) return by.status().WithContext("--by");
  wanted.request.by = *by;
  if (line.Has("--format")) wanted.format = line.Get("--format");
  if (std::find(kFormats.begin(), kFormats.end(), wanted.format) == kFormats.end()) {
    const std::string hint = DidYouMean(wanted.format, kFormats);
    return Status::Invalid("--format: '" + Printable(wanted.format) + "' is no format" +
                           (hint.empty() ? "; there are text, json, csv, focus, html" : hint));
  }
  return wanted;
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

std::string Written(const Wanted& wanted, const std::vector<UsageRow>& rows,
                    const DecisionStats& stats, const ReportContext& context) {
  if (wanted.format == "focus") return FocusCsv(rows, wanted.request, context);
  const Report report = MakeReport(rows, stats, wanted.request, context);
  if (wanted.format == "json") return ReportJson(report);
  if (wanted.format == "csv") return ReportCsv(report);
  if (wanted.format == "html") return ReportHtml(report);
  return ReportText(report);
}

Status WriteOut(const std::string& path, const std::string& text) {
  const bool to_file = !path.empty() && path != "-";
  std::FILE* file = to_file ? std::fopen(path.c_str(), "wb") : stdout;
  if (file == nullptr) return Status::Invalid(path + ": cannot be opened for writing");
  bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  written = (to_file ? std::fclose(file) : std::fflush(file)) == 0 && written;
  if (written) return Status::Ok();
  return Status::Unavailable((to_file ? path : "standard output") +
                             ": not all could be written; is there space?");
}

int Failed(const Status& status) {
  std::fprintf(stderr, "sobre report: %s\n", status.message().c_str());
  return 1;
}

}  // namespace

int RunReport(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("report", line.status());
  if (line->Has("--help")) {
    std::printf("%s%s", kHelp, HelpFor(kOptions).c_str());
    return 0;
  }
  const Timestamp now = std::chrono::floor<std::chrono::seconds>(Now());
  const Result<Wanted> wanted = WantedBy(*line, now);
  if (!wanted.ok()) return UsageError("report", wanted.status());
  const Result<Config> config = ConfigOf(*line);
  if (!config.ok()) return UsageError("report", config.status());
  const Result<std::unique_ptr<Database>> database = OpenToRead(*config, line->Get("--db"));
  if (!database.ok()) return Failed(database.status());
  const Result<std::vector<UsageRow>> rows =
      UsageStore(**database).Read(wanted->request.from, wanted->request.to);
  if (!rows.ok())
    return Failed(rows.status().WithContext("reading usage from " + (*database)->Name()));
  const Result<DecisionStats> stats = StatsOf(**database, wanted->request, *rows);
  if (!stats.ok())
    return Failed(stats.status().WithContext("reading decisions from " + (*database)->Name()));
  ReportContext context;
  context.catalog = config->rows.get();
  context.program = "sobre " SOBRE_VERSION;
  if (line->Has("--account")) context.account = line->Get("--account");
  context.made = now;
  const Status written = WriteOut(line->Get("--out"), Written(*wanted, *rows, *stats, context));
  return written.ok() ? 0 : Failed(written);
}

}  // namespace sobre
