#include "extender/offline.h"

#include <cstdio>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/text.h"
#include "extender/serve.h"
#include "k8s/manifests.h"

namespace sobre {
namespace {

// With what the servers say now; what does not come in time is missing, and said to be.
SnapshotInput LiveInput(const Config& config, SnapshotInput input) {
  constexpr Duration kMostWait = std::chrono::seconds(30);
  const auto world = LiveWorld::Open(config, std::move(input));
  static_cast<void>(world->WaitUntilRead(kMostWait));
  return world->Read()->input;
}

// Nothing where no file was named.
Result<std::optional<NamespaceFacts>> NamespaceOf(const CommandLine& line) {
  const std::string file = line.Get("--namespace");
  if (file.empty()) return std::optional<NamespaceFacts>();
  const Result<std::string> text = ReadFileOrInput(file);
  if (!text.ok()) return text.status();
  Result<NamespaceFacts> facts = ReadNamespaceManifest(*text);
  if (!facts.ok()) return facts.status().WithContext(file);
  return std::optional(*std::move(facts));
}

Result<NamespacePolicy> PolicyOf(const std::optional<NamespaceFacts>& facts, const Config& config,
                                 const PodFacts& pod, const std::string& file) {
  if (!facts) return NamespacePolicy{config.policy, {}};
  if (facts->name != pod.namespace_name) {
    return Status::Invalid(file + ": the pod is in " + Printable(pod.namespace_name, 63) +
                           ", not in " + Printable(facts->name, 63));
  }
  return MakeNamespacePolicy(facts->name, facts->annotations, config.policy);
}

// A file may hold several pods, and its author may expect what is not so.
void Tell(const std::string& file, const ManifestPod& read) {
  if (!read.others.empty()) {
    std::string others;
    for (const std::string& other : read.others) others += (others.empty() ? "" : "; ") + other;
    std::fprintf(stderr, "sobre: %s: took %s; --template NAME takes another: %s\n", file.c_str(),
                 read.taken.c_str(), Printable(others, 1000).c_str());
  }
  for (const std::string& hint : read.hints)
    std::fprintf(stderr, "sobre: %s: %s\n", file.c_str(), Printable(hint, 1000).c_str());
}

}  // namespace

std::vector<Option> OfflineOptions(bool nodes_required, std::span<const Option> own) {
  std::vector<Option> options = {
      {"--nodes", "FILE", "what `kubectl get nodes -o json` (or yaml) prints; - is standard input",
       nodes_required},
      {"--pod", "FILE",
       "a Pod, or any object with a pod template (a Deployment, a CronJob, a PyTorchJob, …), in "
       "JSON "
       "or YAML; - is standard input",
       true},
      {"--template", "NAME",
       "which pod, where the file holds several: by kind, name or part of where it stands; the "
       "first if left out"},
      {"--namespace", "FILE",
       "what `kubectl get namespace NAME -o json` (or yaml) prints of the pod's namespace; else it "
       "says nothing"},
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
  int from_input = 0;
  for (const char* const option : {"--nodes", "--pod", "--namespace"})
    from_input += line.Get(option) == "-" ? 1 : 0;
  if (from_input > 1) return Status::Invalid("standard input (-) can be one of the files alone");
  Result<Config> config = ConfigOf(line);
  if (!config.ok()) return config.status();
  Result<SnapshotInput> input =
      LoadWorldFiles(line.Get("--nodes"), line.Get("--signals"), *config, *at);
  if (!input.ok()) return input.status();
  const Result<std::optional<NamespaceFacts>> facts = NamespaceOf(line);
  if (!facts.ok()) return facts.status();
  const std::string pod_file = line.Get("--pod");
  const Result<std::string> pod_text = ReadFileOrInput(pod_file);
  if (!pod_text.ok()) return pod_text.status();
  Result<ManifestPod> read =
      ReadPodManifest(*pod_text, line.Get("--template"), *facts ? (*facts)->name : "default");
  if (!read.ok()) return read.status().WithContext(pod_file);
  const Result<NamespacePolicy> base =
      PolicyOf(*facts, *config, read->pod, line.Get("--namespace"));
  if (!base.ok()) return base.status();
  Tell(pod_file, *read);
  OfflineCase loaded;
  loaded.request = MakeRequest(std::move(read->pod), *base);
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
