#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "audit/shadow.h"
#include "backtest/replay.h"
#include "backtest/result.h"
#include "base/file.h"
#include "base/text.h"
#include "base/told_time.h"
#include "extender/command_line.h"
#include "extender/config.h"
#include "extender/offline.h"
#include "extender/records.h"
#include "extender/report_order.h"
#include "extender/scenario_file.h"

namespace sobre {
namespace {

constexpr std::array<Option, 11> kOptions = {{
    {"--in", "FILE", "the scenario as YAML; files that it names lie beside it"},
    {"--seed", "N", "instead of the scenario's: for work that is made up, and for ties"},
    {"--format", "FORMAT", "text for people (the default), json, or html: one page with charts"},
    {"--from-audit", "",
     "instead of a scenario: what recorded decisions in shadow mode would have changed"},
    {"--config", "FILE", "with --from-audit: the service's configuration: where its records are"},
    {"--db", "FILE|URL", "the records' file or postgresql://…, instead of the configuration's"},
    {"--from", "TIME", "of records: RFC 3339 or a date; default: the first one"},
    {"--to", "TIME",
     "a day, which is part of it, or RFC 3339, which is not; default: the last one"},
    {"--by", "KEYS", "what to group records by: namespace, workload, policy; default: all three"},
    {"--quiet", "", "no progress on standard error"},
    {"--help", "", "this text"},
}};

constexpr const char* kHelp =
    R"(usage: sobre backtest --in FILE [--seed N] [--format text|json|html] [--quiet]
       sobre backtest --from-audit --config FILE|--db FILE [--from TIME] [--to TIME] [--by KEYS] [--format …]

Plays a workload on a described cluster, hour by hour, once for each policy: with the service's own
decisions and a model of kube-scheduler's default scores. docs/backtest.md tells what is modelled.

  start: 2019-03-04T00:00:00Z
  hours: 168
  warm_up_hours: 24
  pools:                     # as offers of `sobre compare`, and how many nodes
    - {name: paris, nodes: 50, provider: scaleway, region: fr-par, cpu: 16, memory: 64Gi,
       eur_per_hour: 0.44}
    - {name: warsaw, nodes: 50, provider: scaleway, region: pl-waw, cpu: 16, memory: 64Gi,
       eur_per_hour: 0.40}
  intensity: {file: grid.csv}   # hour,FR,PL …  in gCO2e/kWh; or {FR: 50, PL: 650}
  prices: {file: prices.csv}    # hour,paris,…  in EUR/h of a node; or nothing
  workload:
    generate: {fill: 0.5, services: 0.4, inference: 0.3, jobs: 0.3}   # or {file: work.csv}
  policies:                  # the first is what all others are held against
    - {name: kube-scheduler alone, sobre: false}
    - {name: carbon, objective: carbon}
    - {name: cost, objective: cost}

)";

// A bar on a terminal's last line, drawn over itself.
void Progress(std::int64_t done, std::int64_t of) {
  constexpr std::int64_t kWidth = 40;
  const std::int64_t full = kWidth * done / of;
  if (full == kWidth * (done - 1) / of && done != of) return;
  const std::string bar = std::string(static_cast<std::size_t>(full), '#') +
                          std::string(static_cast<std::size_t>(kWidth - full), '.');
  std::fprintf(stderr, "\r[%s] %lld of %lld hours%s", bar.c_str(), static_cast<long long>(done),
               static_cast<long long>(of), done == of ? "\r\033[K" : "");
}

int FromAudit(const CommandLine& line, const std::string& format) {
  for (const char* option : {"--in", "--seed"})
    if (line.Has(option))
      return UsageError("backtest", Status::Invalid(std::string(option) +
                                                    " is of a scenario: not with --from-audit"));
  if (!line.Has("--config") && !line.Has("--db"))
    return UsageError("backtest",
                      Status::Invalid("--from-audit: where are the records? Say --config or --db"));
  ShadowRequest request;
  const auto stated = [&line](const char* option) {
    return line.Has(option) ? std::optional(line.Get(option)) : std::nullopt;
  };
  const Result<Timestamp> from = ReadBegin(stated("--from"), "--from", kEarliestTime);
  const Result<Timestamp> to = ReadEnd(stated("--to"), "--to", kLatestTime);
  if (!from.ok()) return UsageError("backtest", from.status());
  if (!to.ok()) return UsageError("backtest", to.status());
  request.from = *from;
  request.to = *to;
  const auto by = ParseShadowKeys(stated("--by").value_or("namespace,workload,policy"));
  if (!by.ok()) return UsageError("backtest", by.status().WithContext("--by"));
  request.by = *by;
  const Result<Config> config = ConfigOf(line);
  if (!config.ok()) return UsageError("backtest", config.status());
  request.extender_weight = config->records.extender_weight;
  const auto database = OpenToRead(*config, line.Get("--db"));
  if (!database.ok()) return UsageError("backtest", database.status());
  const Result<ShadowResult> result = ReadShadow(**database, request, config->rows);
  if (!result.ok()) {
    std::fprintf(
        stderr, "sobre backtest: %s\n",
        PrintableLines(result.status().WithContext((*database)->Name()).message()).c_str());
    return 1;
  }
  return PrintAll("backtest", format == "json"   ? ShadowJson(*result)
                              : format == "html" ? ShadowHtml(*result)
                                                 : ShadowText(*result));
}

}  // namespace

int RunBacktest(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("backtest", line.status());
  if (line->Has("--help")) {
    std::printf("%s%s", kHelp, HelpFor(kOptions).c_str());
    return 0;
  }
  const std::string format = line->Has("--format") ? line->Get("--format") : "text";
  if (format != "text" && format != "json" && format != "html")
    return UsageError("backtest", Status::Invalid("--format: expected text, json or html"));
  if (line->Has("--from-audit")) return FromAudit(*line, format);
  for (const char* option : {"--config", "--db", "--from", "--to", "--by"})
    if (line->Has(option))
      return UsageError("backtest",
                        Status::Invalid(std::string(option) + " goes with --from-audit"));
  if (!line->Has("--in"))
    return UsageError("backtest",
                      Status::Invalid("expected --in FILE, or --from-audit. See --help."));
  std::optional<std::uint64_t> seed;
  if (line->Has("--seed")) {
    const std::optional<std::int64_t> number = ParseInteger(line->Get("--seed"));
    if (!number || *number < 0)
      return UsageError("backtest", Status::Invalid("--seed: expected a whole number from 0"));
    seed = static_cast<std::uint64_t>(*number);
  }
  const std::string file = line->Get("--in");
  const Result<std::string> yaml = ReadFile(file);
  if (!yaml.ok()) return UsageError("backtest", yaml.status());
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  const Result<backtest::Scenario> scenario = ParseScenario(
      *yaml, file, [&](const std::string& name) { return ReadFile((folder / name).string()); },
      seed);
  if (!scenario.ok()) return UsageError("backtest", scenario.status());
  const bool watched = !line->Has("--quiet") && ::isatty(STDERR_FILENO) == 1;
  const backtest::Backtest played =
      watched ? backtest::Replay(*scenario, Progress) : backtest::Replay(*scenario);
  return PrintAll("backtest", format == "json"   ? ResultJson(*scenario, played)
                              : format == "html" ? ResultHtml(*scenario, played)
                                                 : ResultText(*scenario, played));
}

}  // namespace sobre
