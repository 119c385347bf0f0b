#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "extender/command_line.h"
#include "extender/config.h"
#include "extender/records.h"
#include "extender/report_order.h"
#include "store/database.h"

namespace sobre {
namespace {

constexpr std::array<Option, 10> kOptions = {{
    {"--config", "FILE", "the service's configuration: where its records are"},
    {"--db", "FILE|URL", "the records' file or postgresql://…, instead of the configuration's"},
    {"--period", "NAME",
     "today, 7d (or any number of days), thismonth, lastmonth, thisquarter or lastquarter, UTC"},
    {"--from", "TIME", "instead: a day, or RFC 3339; default: the begin of this month, UTC"},
    {"--to", "TIME", "a day, which is part of it, or RFC 3339, which is not; default: now"},
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
  std::fprintf(stderr, "sobre report: %s\n", PrintableLines(status.message()).c_str());
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
  const auto option = [&line](std::string_view name) {
    return line->Has(name) ? std::optional(line->Get(name)) : std::nullopt;
  };
  const Result<ReportOrder> order = ReadReportOrder(
      {option("--from"), option("--to"), option("--by"), option("--format"), option("--period")},
      "--", now);
  if (!order.ok()) return UsageError("report", order.status());
  const Result<Config> config = ConfigOf(*line);
  if (!config.ok()) return UsageError("report", config.status());
  const Result<std::unique_ptr<Database>> database = OpenToRead(*config, line->Get("--db"));
  if (!database.ok()) return Failed(database.status());
  const Result<std::string> text = WriteReport(
      *order, **database, *config->rows, option("--account").value_or("kubernetes"), now, true);
  if (!text.ok()) return Failed(text.status());
  const Status written = WriteOut(line->Get("--out"), *text);
  return written.ok() ? 0 : Failed(written);
}

}  // namespace sobre
