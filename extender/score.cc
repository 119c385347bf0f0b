#include <array>
#include <cstdio>

#include "audit/record.h"
#include "base/file.h"
#include "base/text.h"
#include "extender/command_line.h"
#include "extender/config.h"
#include "extender/decision_json.h"
#include "extender/serve.h"
#include "k8s/json_objects.h"
#include "scoring/explain.h"

namespace sobre {
namespace {

constexpr std::array<Option, 10> kOptions = {{
    {"--nodes", "FILE", "what `kubectl get nodes -o json` prints", true},
    {"--pod", "FILE", "what `kubectl get pod NAME -o json` prints", true},
    {"--namespace", "FILE",
     "what `kubectl get namespace NAME -o json` prints of the pod's namespace; else it says "
     "nothing"},
    {"--signals", "FILE", "a JSON list of {signal, labels, value, unit, time, source}"},
    {"--config", "FILE",
     "the service's configuration: policy, maximum ages, currencies, catalogue"},
    {"--live", "", "also ask the configuration's Prometheus servers, once"},
    {"--at", "TIME", "the moment to decide at, RFC 3339; now if left out"},
    {"--explain", "", "text for people instead of JSON"},
    {"--record", "",
     "one line of JSON that `sobre verify` can make again, instead of the decision"},
    {"--help", "", "this text"},
}};

// With what the servers say now; what does not come in time is missing, and said to be.
std::shared_ptr<const Snapshot> LiveSnapshot(const Config& config, SnapshotInput input) {
  constexpr Duration kMostWait = std::chrono::seconds(30);
  const auto world = LiveWorld::Open(config, std::move(input));
  static_cast<void>(world->WaitUntilRead(kMostWait));
  return world->Read()->snapshot;
}

}  // namespace

int RunScore(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("score", line.status());
  if (line->Has("--help")) {
    std::printf(
        "usage: sobre score --nodes FILE --pod FILE [--namespace FILE] [--signals FILE] "
        "[--config FILE] [--at TIME | --live] [--explain | --record]\n\n"
        "Prints what the service would decide for the pod, with no cluster and, but for --live, no "
        "network.\n\n%s",
        HelpFor(kOptions).c_str());
    return 0;
  }
  const std::optional<Timestamp> at = line->Has("--at") ? ParseTime(line->Get("--at")) : Now();
  if (!at)
    return UsageError("score",
                      Status::Invalid("--at: expected RFC 3339, such as 2026-11-23T00:00:00Z"));
  const Result<Config> config = ConfigOf(*line);
  if (!config.ok()) return UsageError("score", config.status());
  Result<SnapshotInput> input =
      LoadWorldFiles(line->Get("--nodes"), line->Get("--signals"), config->NewInput(*at));
  if (!input.ok()) return UsageError("score", input.status());
  const Result<std::string> pod_text = ReadFile(line->Get("--pod"));
  if (!pod_text.ok()) return UsageError("score", pod_text.status());
  Result<PodFacts> pod = ParsePod(Padded(*pod_text));
  if (!pod.ok()) return UsageError("score", pod.status().WithContext(line->Get("--pod")));
  if (line->Has("--live") && line->Has("--at"))
    return UsageError("score", Status::Invalid("--live is now: not with --at"));
  const auto snapshot = line->Has("--live") ? LiveSnapshot(*config, *std::move(input))
                                            : Snapshot::Build(*std::move(input));
  NamespacePolicy base{config->policy, {}};
  if (line->Has("--namespace")) {
    const Result<std::string> text = ReadFile(line->Get("--namespace"));
    if (!text.ok()) return UsageError("score", text.status());
    const Result<NamespaceFacts> facts = ParseNamespace(Padded(*text));
    if (!facts.ok())
      return UsageError("score", facts.status().WithContext(line->Get("--namespace")));
    if (facts->name != pod->namespace_name) {
      return UsageError("score", Status::Invalid(line->Get("--namespace") + ": the pod is in " +
                                                 Printable(pod->namespace_name, 63) + ", not in " +
                                                 Printable(facts->name, 63)));
    }
    base = MakeNamespacePolicy(facts->name, facts->annotations, config->policy);
  }
  const DecisionRequest request = MakeRequest(*std::move(pod), base);
  std::vector<std::int32_t> nodes;
  for (std::size_t i = 0; i < snapshot->nodes().size(); ++i)
    nodes.push_back(static_cast<std::int32_t>(i));
  Decision decision;
  Decide(request, *snapshot, nodes, decision);
  if (line->Has("--record")) {
    const std::string record =
        RecordJson(SelfContained({"score", snapshot->time(), request, decision, {}, {}, snapshot}));
    std::fwrite(record.data(), 1, record.size(), stdout);
    return 0;
  }
  const std::string text = line->Has("--explain") ? ExplainText(request, decision, *snapshot)
                                                  : DecisionJson(request, decision, *snapshot);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace sobre
