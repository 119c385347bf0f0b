#include "k8s/wire_rules.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "k8s/objects.h"

namespace sobre {
namespace {

template <class List, class Holds>
bool Any(const List& list, const Holds& holds) {
  return std::any_of(list.begin(), list.end(), holds);
}

// Some other resource than those that are counted: whether another node has it is not known. The
// marker is nobody's.
bool AsksForMore(const k8s::wire::Container& container) {
  return Any(container.resources().requests(), [](const auto& request) {
    const auto& [name, quantity] = request;
    if (name.find('/') == std::string::npos || name == "sobre.dev/limits") return false;
    Resources counted;
    ApplyResource(name, quantity.string(), counted);
    return !counted.UsesGpu();
  });
}

bool IsTied(const k8s::wire::Volume& volume) {
  const auto& source = volume.volume_source();
  return source.has_persistent_volume_claim() || source.has_ephemeral() || source.has_host_path();
}

// What else the pod requires of its node, in a word.
std::string NotJudged(const k8s::wire::PodSpec& spec) {
  if (Any(spec.volumes(), IsTied)) return "its volumes";
  const auto& affinity = spec.affinity();
  if (!affinity.pod_affinity().required().empty() ||
      !affinity.pod_anti_affinity().required().empty())
    return "which pods it must be with or apart from";
  if (Any(spec.topology_spread_constraints(),
          [](const auto& spread) { return spread.when_unsatisfiable() != "ScheduleAnyway"; }))
    return "how its pods must be spread";
  if (Any(spec.containers(), [](const auto& container) {
        return Any(container.ports(), [](const auto& port) { return port.host_port() != 0; });
      }))
    return "its node's ports";
  if (Any(spec.containers(), AsksForMore) || Any(spec.init_containers(), AsksForMore))
    return "a resource that is not counted";
  return {};
}

std::vector<NodeTest> TestsOf(const k8s::wire::NodeSelectorTerm& term) {
  std::vector<NodeTest> tests;
  const auto add = [&](const auto& list, bool of_name) {
    for (const auto& wire : list) {
      tests.push_back(
          {wire.key(), of_name, wire.operator_(), {wire.values().begin(), wire.values().end()}});
    }
  };
  add(term.match_expressions(), false);
  // The name is the only field that there is.
  add(term.match_fields(), true);
  return tests;
}

}  // namespace

NodeGates GatesOf(const k8s::wire::Node& wire) {
  NodeGates gates;
  gates.labels.insert(wire.metadata().labels().begin(), wire.metadata().labels().end());
  gates.unschedulable = wire.spec().unschedulable();
  for (const auto& taint : wire.spec().taints()) {
    if (taint.effect() != "PreferNoSchedule")
      gates.taints.push_back({taint.key(), taint.value(), taint.effect()});
  }
  return gates;
}

std::shared_ptr<const PlacementRules> RulesOf(const k8s::wire::PodSpec& spec) {
  PlacementRules rules;
  for (const auto& [key, value] : spec.node_selector())
    rules.selector.push_back({key, false, "In", {value}});
  // A map's order is nobody's.
  std::sort(rules.selector.begin(), rules.selector.end(),
            [](const NodeTest& a, const NodeTest& b) { return a.key < b.key; });
  for (const auto& term : spec.affinity().node_affinity().required().terms())
    rules.terms.push_back(TestsOf(term));
  for (const auto& toleration : spec.tolerations()) {
    // Every pod has these two, for nodes that nobody should go to.
    if (toleration.key() == "node.kubernetes.io/not-ready" ||
        toleration.key() == "node.kubernetes.io/unreachable")
      continue;
    rules.tolerations.push_back(
        {toleration.key(), toleration.operator_(), toleration.value(), toleration.effect()});
  }
  rules.not_judged = NotJudged(spec);
  if (!rules.Any()) return nullptr;
  return std::make_shared<const PlacementRules>(std::move(rules));
}

}  // namespace sobre
