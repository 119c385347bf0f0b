#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "backtest/replay.h"
#include "backtest/result.h"
#include "base/file.h"
#include "base/text.h"
#include "extender/command_line.h"
#include "extender/offline.h"
#include "extender/scenario_file.h"

namespace sobre {
namespace {

constexpr std::array<Option, 5> kOptions = {{
    {"--in", "FILE", "the scenario as YAML; files that it names lie beside it", true},
    {"--seed", "N", "instead of the scenario's: for work that is made up, and for ties"},
    {"--format", "FORMAT", "text for people (the default), json, or html: one page with charts"},
    {"--quiet", "", "no progress on standard error"},
    {"--help", "", "this text"},
}};

constexpr const char* kHelp =
    R"(usage: sobre backtest --in FILE [--seed N] [--format text|json|html] [--quiet]

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
