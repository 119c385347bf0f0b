#include <algorithm>

#include "base/text.h"
#include "extender/diagnosis.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

// "allowed-countries, max-exposure"
std::string KeysOf(const Limits& limits) {
  std::string keys;
  for (std::size_t i = 0; i < kPolicyKeyCount; ++i) {
    const auto key = static_cast<PolicyKey>(i);
    const bool said = std::any_of(limits.sources.begin(), limits.sources.end(),
                                  [key](const LimitSource& source) { return source.key == key; });
    if (said) keys += (keys.empty() ? "" : ", ") + std::string(ToString(key));
  }
  return keys.empty() ? "a limit that cannot be read" : keys;
}

bool IsLiftedInVain(const Policy& policy) {
  return policy.mode != Mode::kEnforce && policy.enforced.Any();
}

std::string InVain(const Policy& policy) {
  return "mode " + std::string(ToString(policy.mode)) +
         " does not lift what is enforced: " + KeysOf(policy.enforced);
}

std::vector<std::string> Unreadable(const Policy& policy, const Snapshot& snapshot) {
  std::vector<std::string> sentences = policy.limits.unreadable;
  for (std::string& unknown : UnknownNames(policy.limits, snapshot))
    sentences.push_back(std::move(unknown));
  return sentences;
}

// How many there are of something, with the first as an example.
struct Some {
  std::int64_t count = 0;
  std::string example;
  void Add(const std::string& one) {
    if (count++ == 0) example = one;
  }
  [[nodiscard]] std::string Text(const char* one, const char* many) const {
    return std::to_string(count) + " " + (count == 1 ? one : many) + " (for example " + example +
           ")";
  }
};

bool LacksMarker(const PodPlacement& pod, const WorldState& state) {
  // Nobody schedules a static pod, and a DaemonSet's has one node to go to.
  if (pod.has_limits_marker || pod.owner == PodOwner::kNode || pod.owner == PodOwner::kDaemonSet)
    return false;
  const auto own = state.namespaces.find(pod.namespace_name);
  const NamespacePolicy& base = own == state.namespaces.end() ? state.cluster_policy : own->second;
  // Whom the configuration alone holds, outside of what opted in, is counted apart.
  const auto holds = [&](const Limits& limits) {
    const bool outside = state.quiet_namespaces && !state.HasOptedIn(pod.namespace_name);
    return limits.Any() && (!outside || !limits.unreadable.empty() ||
                            std::any_of(limits.sources.begin(), limits.sources.end(),
                                        [](const LimitSource& source) {
                                          return source.origin != Origin::kCluster;
                                        }));
  };
  if (pod.annotations.empty()) return holds(base.policy.InForce());
  return holds(MakeRequest(pod, base).policy.InForce());
}

}  // namespace

std::vector<Finding> DiagnosePolicy(const WorldState& state) {
  std::vector<Finding> found;
  constexpr const char* kAbout = "policy";
  constexpr const char* kWriteKnown =
      "write what is known, or make it known by a row in catalog.directory or a node's label";
  constexpr const char* kStopEnforcing =
      "to try limits in shadow, take them out of `enforced` first; else leave it: they hold";
  const Policy& cluster = state.cluster_policy.policy;
  for (const std::string& sentence : Unreadable(cluster, *state.snapshot)) {
    found.push_back({Severity::kError, kAbout,
                     "a limit of the whole cluster refuses every node: " + sentence, kWriteKnown});
  }
  if (IsLiftedInVain(cluster))
    found.push_back({Severity::kWarning, kAbout, InVain(cluster), kStopEnforcing});
  Some unreadable;
  Some in_vain;
  for (const auto& [name, own] : state.namespaces) {
    const std::vector<std::string> sentences = Unreadable(own.policy, *state.snapshot);
    // What the cluster says wrongly stands above.
    if (sentences.size() > Unreadable(cluster, *state.snapshot).size())
      unreadable.Add(Printable(name, 63) + ": " + sentences.back());
    const bool is_clusters = IsLiftedInVain(cluster) && own.policy.mode == cluster.mode &&
                             own.policy.enforced.sources.size() == cluster.enforced.sources.size();
    if (IsLiftedInVain(own.policy) && !is_clusters)
      in_vain.Add(Printable(name, 63) + ": " + InVain(own.policy));
  }
  if (unreadable.count > 0) {
    found.push_back({Severity::kError, kAbout,
                     "limits cannot be read, and refuse every node, in " +
                         unreadable.Text("namespace", "namespaces"),
                     kWriteKnown});
  }
  if (in_vain.count > 0) {
    found.push_back(
        {Severity::kWarning, kAbout,
         "modes lift less than they seem to in " + in_vain.Text("namespace", "namespaces"),
         kStopEnforcing});
  }
  Some unmarked;
  for (const auto& pod : state.input.pods)
    if (LacksMarker(*pod, state))
      unmarked.Add(Printable(pod->namespace_name, 63) + "/" + Printable(pod->name, 253));
  if (unmarked.count > 0) {
    found.push_back(
        {Severity::kWarning, kAbout,
         "limits are not enforced, as no container requests " + std::string(kLimitsMarker) +
             ", for " + unmarked.Text("running pod", "running pods"),
         "let the admission policies mark pods (docs/annotations.md, Opting in), or request the "
         "marker in their templates; until then limits only lower scores"});
  }
  return found;
}

}  // namespace sobre
