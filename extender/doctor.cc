#include <array>
#include <cstdio>

#include "base/file.h"
#include "extender/command_line.h"
#include "extender/diagnosis.h"
#include "extender/gatekeeper.h"
#include "extender/records.h"
#include "extender/serve.h"
#include "extender/signals_json.h"

namespace sobre {
namespace {

constexpr std::array<Option, 8> kOptions = {{
    {"--config", "FILE", "the service's configuration"},
    {"--nodes", "FILE", "instead of the cluster: what `kubectl get nodes -o json` prints"},
    {"--signals", "FILE", "with --nodes: signals beside those of Prometheus, a JSON list"},
    {"--scheduler-config", "FILE", "also judge this KubeSchedulerConfiguration"},
    {"--wait", "DURATION", "how long everything may take to answer; 30s if left out"},
    {"--strict", "", "fail for warnings too"},
    {"--json", "", "what /api/v1/signals answers, instead of text"},
    {"--help", "", "this text"},
}};

constexpr const char* kHelp =
    "usage: sobre doctor [--config FILE] [--nodes FILE [--signals FILE]] [--scheduler-config "
    "FILE]\n"
    "                    [--wait DURATION] [--strict] [--json]\n\n"
    "Asks the cluster and every Prometheus once, as the service does, and says what was found, "
    "what "
    "is\nmissing, what is wrong and how to repair it. Changes nothing. Exit status: 0 when all is "
    "well, 1\nwhen there is an error (with --strict: or a warning), 2 for wrong usage.\n\n";

Result<std::unique_ptr<LiveWorld>> Open(const CommandLine& line, const Config& config) {
  if (!line.Has("--nodes")) {
    if (line.Has("--signals")) return Status::Invalid("--signals needs --nodes");
    return LiveWorld::Open(config, LiveWorld::Roles{.open_gates = false});
  }
  Result<SnapshotInput> input =
      LoadWorldFiles(line.Get("--nodes"), line.Get("--signals"), config, Now());
  if (!input.ok()) return input.status();
  return LiveWorld::Open(config, *std::move(input));
}

}  // namespace

int RunDoctor(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("doctor", line.status());
  if (line->Has("--help")) {
    std::printf("%s%s", kHelp, HelpFor(kOptions).c_str());
    return 0;
  }
  const std::optional<Duration> wait =
      line->Has("--wait") ? ParseDuration(line->Get("--wait")) : std::chrono::seconds(30);
  if (!wait)
    return UsageError("doctor", Status::Invalid("--wait: expected a duration, such as 30s"));
  Result<Config> config = ConfigOf(*line);
  if (!config.ok()) return UsageError("doctor", config.status());
  // Calibration's past is asked for in later rounds, which a doctor does not wait for.
  config->prometheus.options.past_moments = 0;
  std::vector<Finding> findings;
  if (line->Has("--scheduler-config")) {
    const std::string path = line->Get("--scheduler-config");
    const Result<std::string> text = ReadFile(path);
    if (!text.ok()) return UsageError("doctor", text.status());
    Result<std::vector<Finding>> judged = DiagnoseScheduler(*text, path);
    if (!judged.ok()) return UsageError("doctor", judged.status());
    findings = *std::move(judged);
  }
  Result<std::unique_ptr<LiveWorld>> world = Open(*line, *config);
  if (!world.ok()) return UsageError("doctor", world.status());
  static_cast<void>((*world)->WaitUntilRead(*wait));  // what has not come by then is a finding
  const auto state = (*world)->Read();
  for (Finding& finding : Diagnose(*state, *config)) findings.push_back(std::move(finding));
  for (Finding& finding : DiagnoseRecords(*config)) findings.push_back(std::move(finding));
  if (!line->Has("--nodes") && state->ready)
    for (Finding& finding : DiagnoseLease(*config)) findings.push_back(std::move(finding));
  SortWorstFirst(findings);
  const std::string text =
      line->Has("--json") ? SignalsJson(*state, findings) + "\n" : FindingsText(findings);
  std::fwrite(text.data(), 1, text.size(), stdout);
  const Severity fails = line->Has("--strict") ? Severity::kWarning : Severity::kError;
  return !findings.empty() && findings.front().severity >= fails ? 1 : 0;
}

}  // namespace sobre
