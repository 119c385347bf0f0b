#include "extender/offline.h"

#include <cstdio>

#include "base/file.h"
#include "base/text.h"
#include "extender/serve.h"
#include "k8s/json_objects.h"

namespace sobre {
namespace {

// With what the servers say now; what does not come in time is missing, and said to be.
SnapshotInput LiveInput(const Config& config, SnapshotInput input) {
  constexpr Duration kMostWait = std::chrono::seconds(30);
  const auto world = LiveWorld::Open(config, std::move(input));
  static_cast<void>(world->WaitUntilRead(kMostWait));
  return world->Read()->input;
}

Result<NamespacePolicy> PolicyOf(const CommandLine& line, const Config& config,
                                 const PodFacts& pod) {
  const std::string file = line.Get("--namespace");
  if (file.empty()) return NamespacePolicy{config.policy, {}};
  const Result<std::string> text = ReadFile(file);
  if (!text.ok()) return text.status();
  const Result<NamespaceFacts> facts = ParseNamespace(Padded(*text));
  if (!facts.ok()) return facts.status().WithContext(file);
  if (facts->name != pod.namespace_name) {
    return Status::Invalid(file + ": the pod is in " + Printable(pod.namespace_name, 63) +
                           ", not in " + Printable(facts->name, 63));
  }
  return MakeNamespacePolicy(facts->name, facts->annotations, config.policy);
}

}  // namespace

std::vector<Option> OfflineOptions(bool nodes_required, std::span<const Option> own) {
  std::vector<Option> options = {
      {"--nodes", "FILE", "what `kubectl get nodes -o json` prints", nodes_required},
      {"--pod", "FILE", "what `kubectl get pod NAME -o json` prints", true},
      {"--namespace", "FILE",
       "what `kubectl get namespace NAME -o json` prints of the pod's namespace; else it says "
       "nothing"},
      {"--signals", "FILE", "a JSON list of {signal, labels, value, unit, time, source}"},
      {"--config", "FILE",
       "the service's configuration: policy, maximum ages, currencies, catalogue"},
      {"--live", "", "also ask the configuration's Prometheus servers, once"},
      {"--at", "TIME", "the moment to decide at, RFC 3339; now if left out"},
  };
  options.insert(options.end(), own.begin(), own.end());
  options.push_back({"--help", "", "this text"});
  return options;
}

Result<OfflineCase> LoadOfflineCase(const CommandLine& line) {
  const std::optional<Timestamp> at = line.Has("--at") ? ParseTime(line.Get("--at")) : Now();
  if (!at) return Status::Invalid("--at: expected RFC 3339, such as 2026-11-23T00:00:00Z");
  if (line.Has("--live") && line.Has("--at"))
    return Status::Invalid("--live is now: not with --at");
  Result<Config> config = ConfigOf(line);
  if (!config.ok()) return config.status();
  Result<SnapshotInput> input =
      LoadWorldFiles(line.Get("--nodes"), line.Get("--signals"), config->NewInput(*at));
  if (!input.ok()) return input.status();
  const Result<std::string> pod_text = ReadFile(line.Get("--pod"));
  if (!pod_text.ok()) return pod_text.status();
  Result<PodFacts> pod = ParsePod(Padded(*pod_text));
  if (!pod.ok()) return pod.status().WithContext(line.Get("--pod"));
  const Result<NamespacePolicy> base = PolicyOf(line, *config, *pod);
  if (!base.ok()) return base.status();
  OfflineCase loaded;
  loaded.request = MakeRequest(*std::move(pod), *base);
  loaded.world = line.Has("--live") ? LiveInput(*config, *std::move(input)) : *std::move(input);
  loaded.config = *std::move(config);
  return loaded;
}

int PrintAll(std::string_view command, std::string_view words) {
  const std::string text = PrintableLines(words);
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return 0;
  static_cast<void>(
      UsageError(command, Status::Unavailable("standard output: not all was written")));
  return 1;
}

}  // namespace sobre
