#include <algorithm>
#include <array>
#include <optional>

#include <yaml-cpp/yaml.h>

#include "base/text.h"
#include "extender/diagnosis.h"

namespace sobre {
namespace {

// kube-scheduler adds score × weight × 10, with scores from 0 to 10.
constexpr double kPointsByStepAndWeight = 10;
// NodeResourcesFit and NodeResourcesBalancedAllocation, up to 100 points each by default.
constexpr double kSpreadOfResourceScores = 200;
// An answer about 5,000 nodes takes some milliseconds, and a busy machine some more.
constexpr Duration kShortestTimeout = std::chrono::milliseconds(200);
constexpr std::string_view kAbout = "kube-scheduler";
constexpr std::string_view kMarker = "sobre.dev/limits";
constexpr std::string_view kMarkerGroup = "sobre.dev";

using Findings = std::vector<Finding>;

void Add(Findings& out, Severity severity, std::string text, std::string repair) {
  out.push_back({severity, std::string(kAbout), std::move(text), std::move(repair)});
}

std::string TextOf(const YAML::Node& node, const char* key) {
  if (!node.IsMap()) return "";
  const YAML::Node value = node[key];
  return value && value.IsScalar() ? value.Scalar() : "";
}

std::size_t SizeOf(const YAML::Node& list) { return list.IsDefined() ? list.size() : 0; }

// By the words of YAML 1.1, as kube-scheduler reads them.
bool IsTrue(const YAML::Node& node, const char* key) {
  constexpr std::array<std::string_view, 4> kWords = {"true", "yes", "y", "on"};
  return std::find(kWords.begin(), kWords.end(), ToLower(TextOf(node, key))) != kWords.end();
}

// The entry of the marker among the resources that an extender manages; undefined where none is.
YAML::Node MarkerOf(const YAML::Node& extender) {
  for (const YAML::Node& resource : extender["managedResources"])
    if (TextOf(resource, "name") == kMarker) return resource;
  return YAML::Node(YAML::NodeType::Undefined);
}

// Whether NodeResourcesFit of a profile passes the marker over.
bool FitIgnoresMarker(const YAML::Node& profile) {
  for (const YAML::Node& plugin : profile["pluginConfig"]) {
    if (TextOf(plugin, "name") != "NodeResourcesFit") continue;
    const YAML::Node args = plugin["args"];
    if (!args.IsDefined() || !args.IsMap()) continue;
    for (const auto& [key, word] : {std::pair("ignoredResources", kMarker),
                                    std::pair("ignoredResourceGroups", kMarkerGroup)}) {
      for (const YAML::Node& name : args[key])
        if (name.IsScalar() && name.Scalar() == word) return true;
    }
  }
  return false;
}

bool IsMarkerIgnored(const YAML::Node& root) {
  for (const YAML::Node& extender : root["extenders"]) {
    const YAML::Node marker = MarkerOf(extender);
    if (marker.IsDefined() && IsTrue(marker, "ignoredByScheduler")) return true;
  }
  const YAML::Node profiles = root["profiles"];
  return SizeOf(profiles) > 0 && std::all_of(profiles.begin(), profiles.end(), FitIgnoresMarker);
}

// What stands between scheme and path.
std::string_view AuthorityOf(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  return url.substr(0, url.find('/'));
}

// Where kube-scheduler posts to; empty where the verb is not said.
std::string UrlOf(const YAML::Node& extender, const char* verb) {
  const std::string said = TextOf(extender, verb);
  if (said.empty()) return "";
  std::string url = TextOf(extender, "urlPrefix");
  while (url.ends_with('/')) url.pop_back();
  return url + "/" + said;
}

bool Has(const YAML::Node& extender, const char* verb) { return !TextOf(extender, verb).empty(); }

// What a verb must be, and what comes of it where it is not.
struct ServedVerb {
  const char* key;
  std::string_view name;
  std::string_view otherwise;
};
constexpr std::array<ServedVerb, 3> kServed = {{
    {"prioritizeVerb", "prioritize", "kube-scheduler drops the error, and no score counts"},
    {"filterVerb", "filter", "no pod that the entry is asked about is placed"},
    {"preemptVerb", "preempt",
     "no pod that the entry is asked about preempts others; where the entry is ignorable, it does "
     "so wherever limits refuse it"},
}};

void JudgeVerbs(const YAML::Node& extender, Findings& out) {
  for (const ServedVerb& verb : kServed) {
    const std::string url = UrlOf(extender, verb.key);
    if (url.empty() || url.ends_with("/v1/" + std::string(verb.name))) continue;
    Add(out, Severity::kError,
        std::string(verb.key) + " leads to " + Printable(url, 200) +
            ", which Sobre does not serve: " + std::string(verb.otherwise),
        "let urlPrefix end with /v1, and set " + std::string(verb.key) + ": " +
            std::string(verb.name));
  }
  if (Has(extender, "bindVerb"))
    Add(out, Severity::kError,
        "bindVerb leads to " + Printable(UrlOf(extender, "bindVerb"), 200) +
            ", and Sobre binds no pods: none that the entry is asked about gets a node",
        "remove bindVerb");
}

void JudgeWay(const YAML::Node& extender, Findings& out) {
  if (!IsTrue(extender, "nodeCacheCapable"))
    Add(out, Severity::kWarning,
        "nodeCacheCapable is not true: whole nodes are sent, a hundred times the bytes, and "
        "NodeResourcesFit scores nodes as if they were empty",
        "set nodeCacheCapable: true");
  const std::optional<Duration> timeout = ParseDuration(TextOf(extender, "httpTimeout"));
  // 0 is kube-scheduler's own choice.
  if (timeout && *timeout > Duration(0) && *timeout < kShortestTimeout)
    Add(out, Severity::kWarning,
        "httpTimeout " + TextOf(extender, "httpTimeout") +
            " is so short that answers come too late on a busy machine",
        "set httpTimeout: 2s");
  const YAML::Node tls = extender["tlsConfig"];
  const bool has_ca = tls.IsDefined() && tls.IsMap() && (Has(tls, "caData") || Has(tls, "caFile"));
  const bool https = TextOf(extender, "urlPrefix").starts_with("https");
  if (tls.IsDefined() && IsTrue(tls, "insecure")) {
    Add(out, Severity::kError,
        "tlsConfig.insecure: anybody on the network can answer in Sobre's place",
        "remove it, and set tlsConfig.caData");
  } else if (IsTrue(extender, "enableHTTPS") && !has_ca) {
    Add(out, Severity::kError, "HTTPS without caData is silently insecure", "set tlsConfig.caData");
  } else if (https && !has_ca) {
    Add(out, Severity::kWarning,
        "HTTPS without caData: kube-scheduler believes the authorities of its own system alone",
        "set tlsConfig.caData, unless one of them signed Sobre's certificate");
  }
  if (!https && IsTrue(extender, "enableHTTPS"))
    Add(out, Severity::kError,
        "enableHTTPS with a urlPrefix that is not https://: what is sent is plain HTTP",
        "let urlPrefix begin with https://");
}

void JudgePreference(const YAML::Node& extender, Findings& out) {
  const double weight = ParseNumber(TextOf(extender, "weight")).value_or(0);
  const double step = weight * kPointsByStepAndWeight;
  if (weight <= 0) {
    Add(out, Severity::kError,
        "the preference entry has no weight above 0: kube-scheduler does not start with it",
        "set weight: 25");
  } else if (step < kSpreadOfResourceScores) {
    Add(out, Severity::kWarning,
        "weight " + FormatNumber(weight) +
            " is too small to change a placement for certain: one step of ours is " +
            FormatNumber(step) + " points, the default resource scores spread over " +
            FormatNumber(kSpreadOfResourceScores),
        "set weight to 20 or more; the chart's is 25");
  } else {
    Add(out, Severity::kOk,
        "weight " + FormatNumber(weight) + ": one step of ours is " + FormatNumber(step) +
            " points, over the " + FormatNumber(kSpreadOfResourceScores) +
            " of the default resource scores",
        "");
  }
  if (!IsTrue(extender, "ignorable"))
    Add(out, Severity::kError,
        "the preference entry is not ignorable: while Sobre is away, pods without limits wait too",
        "set ignorable: true beside prioritizeVerb");
  if (SizeOf(extender["managedResources"]) > 0)
    Add(out, Severity::kWarning,
        "the preference entry has managedResources: only pods that request one of them are "
        "scored, all others are placed without Sobre",
        "remove managedResources beside prioritizeVerb");
  if (Has(extender, "filterVerb"))
    Add(out, Severity::kWarning,
        "one entry has both verbs: it asks for all pods about limits, or for pods with limits "
        "alone about scores, and limits are only as safe as the entry",
        "write two entries, as in deploy/kube-scheduler-config.yaml");
}

void JudgeLimits(const YAML::Node& extender, bool marker_is_ignored, Findings& out) {
  if (!Has(extender, "filterVerb"))
    Add(out, Severity::kError,
        "an entry manages sobre.dev/limits and has no filterVerb: limits do not hold",
        "set filterVerb: filter beside managedResources");
  if (IsTrue(extender, "ignorable"))
    Add(out, Severity::kError,
        "the limits entry is ignorable: while Sobre is away, limits do not hold",
        "set ignorable: false beside filterVerb");
  if (!MarkerOf(extender).IsDefined()) {
    Add(out, Severity::kError,
        "the limits entry does not manage sobre.dev/limits: every pod waits while Sobre is away",
        "add managedResources: [{name: sobre.dev/limits, ignoredByScheduler: true}]");
  } else if (!marker_is_ignored) {
    Add(out, Severity::kError,
        "sobre.dev/limits is not ignoredByScheduler: every pod with limits waits for a node that "
        "offers it, and none does",
        "set ignoredByScheduler: true beside its name in managedResources");
  }
  for (const YAML::Node& resource : extender["managedResources"]) {
    const std::string name = TextOf(resource, "name");
    if (name != kMarker)
      Add(out, Severity::kWarning,
          "the limits entry also manages " + Printable(name, 100) +
              ": pods that request it wait while Sobre is away",
          "keep sobre.dev/limits alone in its managedResources");
  }
  if (!Has(extender, "preemptVerb"))
    Add(out, Severity::kWarning,
        "the limits entry has no preemptVerb: a pod of high priority has others evicted on nodes "
        "that its limits refuse, again and again",
        "set preemptVerb: preempt beside filterVerb");
}

void JudgeProfile(const YAML::Node& profile, const YAML::Node& root, Findings& out) {
  std::string sampled = TextOf(profile, "percentageOfNodesToScore");
  if (sampled.empty()) sampled = TextOf(root, "percentageOfNodesToScore");
  if (sampled != "100")
    Add(out, Severity::kWarning,
        "profile " + Printable(TextOf(profile, "schedulerName"), 60) +
            " samples large clusters: the best node may never be offered",
        "set percentageOfNodesToScore: 100");
}

Status ExpectMaps(const YAML::Node& list, const char* key, std::string_view file_name) {
  for (const YAML::Node& entry : list) {
    if (!entry.IsMap())
      return Status::Invalid(std::string(key) + ": expected a list of mappings")
          .WithContext(std::string(file_name) + ":" + std::to_string(entry.Mark().line + 1));
  }
  return Status::Ok();
}

// The entries that ask Sobre: those of the marker, of a host with its name, and of the same hosts.
// Where there is none, verbs like ours must do.
std::vector<YAML::Node> OursAmong(const YAML::Node& extenders) {
  std::vector<std::string> hosts;
  for (const YAML::Node& extender : extenders) {
    const std::string url = TextOf(extender, "urlPrefix");
    const std::string_view host = AuthorityOf(url);
    if (MarkerOf(extender).IsDefined() || ToLower(host).find("sobre") != std::string::npos)
      hosts.emplace_back(host);
  }
  std::vector<YAML::Node> ours;
  for (const YAML::Node& extender : extenders) {
    const std::string url = TextOf(extender, "urlPrefix");
    const bool same = std::find(hosts.begin(), hosts.end(), AuthorityOf(url)) != hosts.end();
    const bool alike = TextOf(extender, "prioritizeVerb") == "prioritize" ||
                       TextOf(extender, "filterVerb") == "filter";
    if (same || (hosts.empty() && alike)) ours.push_back(extender);
  }
  return ours;
}

Result<Findings> Judge(const YAML::Node& root, std::string_view file_name) {
  if (!root.IsMap() || TextOf(root, "kind") != "KubeSchedulerConfiguration")
    return Status::Invalid("expected a KubeSchedulerConfiguration").WithContext(file_name);
  for (const char* const key : {"extenders", "profiles"}) {
    if (Status status = ExpectMaps(root[key], key, file_name); !status.ok()) return status;
  }
  Findings out;
  bool preference = false;
  bool limits = false;
  int markers = 0;
  for (const YAML::Node& extender : OursAmong(root["extenders"])) {
    const bool marked = MarkerOf(extender).IsDefined();
    if (Has(extender, "prioritizeVerb")) {
      preference = true;
      JudgePreference(extender, out);
    }
    if (Has(extender, "filterVerb") || marked) {
      limits = true;
      JudgeLimits(extender, IsMarkerIgnored(root), out);
    }
    if (marked) ++markers;
    JudgeVerbs(extender, out);
    JudgeWay(extender, out);
  }
  if (!preference)
    Add(out, Severity::kError, "no extender entry with prioritizeVerb: Sobre is not asked",
        "add the entries of deploy/kube-scheduler-config.yaml");
  if (!limits)
    Add(out, Severity::kWarning, "no extender entry with filterVerb: limits do not hold",
        "add the second entry of deploy/kube-scheduler-config.yaml");
  if (markers > 1)
    Add(out, Severity::kError,
        "several entries manage sobre.dev/limits: kube-scheduler does not start with that",
        "keep it in the entry with filterVerb alone");
  for (const YAML::Node& profile : root["profiles"]) JudgeProfile(profile, root, out);
  return out;
}

}  // namespace

Result<std::vector<Finding>> DiagnoseScheduler(std::string_view yaml, std::string_view file_name) {
  try {
    return Judge(YAML::Load(std::string(yaml)), file_name);
  } catch (const YAML::Exception& error) {
    return Status::Invalid(error.msg).WithContext(std::string(file_name) + ":" +
                                                  std::to_string(error.mark.line + 1));
  }
}

}  // namespace sobre
