#include <algorithm>

#include <yaml-cpp/yaml.h>

#include "base/text.h"
#include "extender/diagnosis.h"

namespace sobre {
namespace {

// kube-scheduler adds score × weight × 10, with scores from 0 to 10.
constexpr double kPointsByStepAndWeight = 10;
// NodeResourcesFit and NodeResourcesBalancedAllocation, up to 100 points each by default.
constexpr double kSpreadOfResourceScores = 200;
constexpr std::string_view kMarker = "sobre.dev/limits";

std::string TextOf(const YAML::Node& node, const char* key) {
  if (!node.IsMap()) return "";
  const YAML::Node value = node[key];
  return value && value.IsScalar() ? value.Scalar() : "";
}

bool IsTrue(const YAML::Node& node, const char* key) { return TextOf(node, key) == "true"; }

bool ManagesMarker(const YAML::Node& extender) {
  for (const YAML::Node& resource : extender["managedResources"])
    if (TextOf(resource, "name") == kMarker) return true;
  return false;
}

void JudgePreference(const YAML::Node& extender, const std::string& about,
                     std::vector<Finding>& out) {
  const double weight = ParseNumber(TextOf(extender, "weight")).value_or(0);
  const double step = weight * kPointsByStepAndWeight;
  if (step < kSpreadOfResourceScores) {
    out.push_back({Severity::kWarning, about,
                   "weight " + FormatNumber(weight) +
                       " is too small to change a placement for certain: one step of ours is " +
                       FormatNumber(step) + " points, the default resource scores spread over " +
                       FormatNumber(kSpreadOfResourceScores),
                   "set weight to 20 or more; the chart's is 25"});
  } else {
    out.push_back({Severity::kOk, about,
                   "weight " + FormatNumber(weight) + ": one step of ours is " +
                       FormatNumber(step) + " points, over the " +
                       FormatNumber(kSpreadOfResourceScores) + " of the default resource scores",
                   ""});
  }
  if (!IsTrue(extender, "ignorable"))
    out.push_back(
        {Severity::kError, about,
         "the preference entry is not ignorable: while Sobre is away, pods without limits wait too",
         "set ignorable: true beside prioritizeVerb"});
  if (!TextOf(extender, "filterVerb").empty())
    out.push_back({Severity::kWarning, about,
                   "one entry has both verbs: every pod pays for a filter call, and limits are "
                   "only as safe as the entry",
                   "write two entries, as in deploy/kube-scheduler-config.yaml"});
}

void JudgeLimits(const YAML::Node& extender, const std::string& about, std::vector<Finding>& out) {
  if (IsTrue(extender, "ignorable"))
    out.push_back({Severity::kError, about,
                   "the limits entry is ignorable: while Sobre is away, limits do not hold",
                   "set ignorable: false beside filterVerb"});
  if (!ManagesMarker(extender))
    out.push_back(
        {Severity::kError, about,
         "the limits entry does not manage sobre.dev/limits: every pod waits while Sobre is away",
         "add managedResources: [{name: sobre.dev/limits, ignoredByScheduler: true}]"});
}

}  // namespace

Result<std::vector<Finding>> DiagnoseScheduler(std::string_view yaml, std::string_view file_name) {
  std::vector<Finding> out;
  const std::string about = "kube-scheduler";
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    if (!root.IsMap() || TextOf(root, "kind") != "KubeSchedulerConfiguration")
      return Status::Invalid("expected a KubeSchedulerConfiguration").WithContext(file_name);
    bool preference = false;
    bool limits = false;
    for (const YAML::Node& extender : root["extenders"]) {
      if (!extender.IsMap())
        return Status::Invalid("extenders: expected a list of mappings")
            .WithContext(std::string(file_name) + ":" + std::to_string(extender.Mark().line + 1));
      const bool prefers = TextOf(extender, "prioritizeVerb") == "prioritize";
      const bool filters = TextOf(extender, "filterVerb") == "filter";
      if (!prefers && !filters) continue;
      if (prefers) JudgePreference(extender, about, out);
      if (filters) JudgeLimits(extender, about, out);
      preference |= prefers;
      limits |= filters;
      if (!IsTrue(extender, "nodeCacheCapable"))
        out.push_back({Severity::kWarning, about,
                       "nodeCacheCapable is not true: whole nodes are sent, a hundred times the "
                       "bytes, and NodeResourcesFit scores nodes as if they were empty",
                       "set nodeCacheCapable: true"});
      const YAML::Node tls = extender["tlsConfig"];
      if ((IsTrue(extender, "enableHTTPS") || TextOf(extender, "urlPrefix").starts_with("https")) &&
          !(tls && (tls["caData"] || tls["caFile"])))
        out.push_back({Severity::kError, about, "HTTPS without caData is silently insecure",
                       "set tlsConfig.caData"});
    }
    if (!preference)
      out.push_back({Severity::kError, about,
                     "no extender entry with prioritizeVerb: Sobre is not asked",
                     "add the entries of deploy/kube-scheduler-config.yaml"});
    if (!limits)
      out.push_back({Severity::kWarning, about,
                     "no extender entry with filterVerb: limits do not hold",
                     "add the second entry of deploy/kube-scheduler-config.yaml"});
    for (const YAML::Node& profile : root["profiles"]) {
      if (!profile.IsMap())
        return Status::Invalid("profiles: expected a list of mappings")
            .WithContext(std::string(file_name) + ":" + std::to_string(profile.Mark().line + 1));
      std::string sampled = TextOf(profile, "percentageOfNodesToScore");
      if (sampled.empty()) sampled = TextOf(root, "percentageOfNodesToScore");
      if (sampled != "100")
        out.push_back({Severity::kWarning, about,
                       "profile " + Printable(TextOf(profile, "schedulerName"), 60) +
                           " samples large clusters: the best node may never be offered",
                       "set percentageOfNodesToScore: 100"});
    }
  } catch (const YAML::Exception& error) {
    return Status::Invalid(error.msg).WithContext(std::string(file_name) + ":" +
                                                  std::to_string(error.mark.line + 1));
  }
  return out;
}

}  // namespace sobre
