#include "k8s/wire_objects.h"

#include <algorithm>
#include <chrono>

#include "k8s/objects.h"
#include "k8s/wire_rules.h"

namespace sobre {
namespace {

Resources ResourcesOf(const google::protobuf::Map<std::string, k8s::wire::Quantity>& quantities) {
  Resources resources;
  for (const auto& [name, quantity] : quantities) ApplyResource(name, quantity.string(), resources);
  return resources;
}

Resources RequestsOf(const k8s::wire::PodSpec& spec) {
  PodRequests requests;
  for (const auto& container : spec.containers())
    requests.AddContainer(ResourcesOf(container.resources().requests()));
  for (const auto& container : spec.init_containers())
    requests.AddInitContainer(ResourcesOf(container.resources().requests()),
                              container.restart_policy() == "Always");
  requests.SetOverhead(ResourcesOf(spec.overhead()));
  requests.SetWholePod(ResourcesOf(spec.resources().requests()));
  return requests.Total();
}

const k8s::wire::OwnerReference* ControllerOf(const k8s::wire::Pod& wire) {
  const auto& owners = wire.metadata().owner_references();
  const auto owner =
      std::find_if(owners.begin(), owners.end(), [](const auto& o) { return o.controller(); });
  return owner == owners.end() ? nullptr : &*owner;
}

PodOwner OwnerOf(const k8s::wire::Pod& wire) {
  const k8s::wire::OwnerReference* owner = ControllerOf(wire);
  if (owner == nullptr) return PodOwner::kNobody;
  if (owner->kind() == "DaemonSet") return PodOwner::kDaemonSet;
  return owner->kind() == "Node" ? PodOwner::kNode : PodOwner::kController;
}

bool IsReady(const k8s::wire::Pod& wire) {
  const auto& conditions = wire.status().conditions();
  return std::any_of(conditions.begin(), conditions.end(), [](const auto& condition) {
    return condition.type() == "Ready" && condition.status() == "True";
  });
}

// What a pod and a placement have in common.
void Fill(const k8s::wire::Pod& wire, PodFacts& pod) {
  const auto& meta = wire.metadata();
  const k8s::wire::OwnerReference* owner = ControllerOf(wire);
  const bool owned = owner != nullptr;
  pod.namespace_name = meta.namespace_();
  pod.name = meta.name();
  pod.uid = meta.uid();
  pod.workload = WorkloadOf(meta.name(), owned ? owner->kind() : "", owned ? owner->name() : "",
                            ValueOf(meta.labels(), std::string(kTemplateHashLabel)));
  pod.is_batch_job = owned && owner->kind() == "Job";
  pod.has_resource_claims = !wire.spec().resource_claims().empty();
  pod.requests = RequestsOf(wire.spec());
  for (const auto& [key, value] : meta.annotations()) ApplyAnnotation(key, value, pod.annotations);
  // A map's order is nobody's.
  std::sort(pod.annotations.begin(), pod.annotations.end(),
            [](const Annotation& a, const Annotation& b) { return a.key < b.key; });
  pod.annotations.shrink_to_fit();
}

}  // namespace

Timestamp TimeOf(const k8s::wire::Time& time) {
  return Timestamp(std::chrono::seconds(time.seconds()));
}

NodeFacts NodeOf(const k8s::wire::Node& wire, const std::string& default_provider) {
  NodeFacts node;
  node.name = wire.metadata().name();
  node.provider = default_provider;
  ApplyProviderId(wire.spec().provider_id(), node);
  for (const auto& [key, value] : wire.metadata().labels()) ApplyNodeLabel(key, value, node);
  for (const auto& [name, quantity] : wire.status().allocatable())
    ApplyResource(name, quantity.string(), node.allocatable);
  for (const auto& address : wire.status().addresses())
    ApplyNodeAddress(address.type(), address.address(), node);
  node.gates = GatesOf(wire);
  return node;
}

PodFacts PodOf(const k8s::wire::Pod& wire) {
  PodFacts pod;
  Fill(wire, pod);
  return pod;
}

PodPlacement PlacementOf(const k8s::wire::Pod& wire, const std::string& team_label) {
  PodPlacement pod;
  Fill(wire, pod);
  pod.node = wire.spec().node_name();
  pod.owner = OwnerOf(wire);
  pod.ready = IsReady(wire);
  pod.deleting = wire.metadata().has_deletion_timestamp();
  pod.rules = RulesOf(wire.spec());
  if (!team_label.empty()) pod.team = ValueOf(wire.metadata().labels(), team_label);
  pod.started = TimeOf(wire.status().has_start_time() ? wire.status().start_time()
                                                      : wire.metadata().creation_timestamp());
  return pod;
}

}  // namespace sobre
