#include "k8s/cluster_watch.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "k8s/objects.h"
#include "proto/k8s/objects.pb.h"

namespace sobre {
namespace {

enum Collections { kNodes, kNamespaces, kPods };
constexpr const char* kPaths[] = {"/api/v1/nodes", "/api/v1/namespaces", "/api/v1/pods"};

template <class Message>
bool Parse(std::string_view raw, Message& message) {
  return message.ParseFromArray(raw.data(), static_cast<int>(raw.size()));
}

template <class Map>
void KeepSeen(Map& map, const std::unordered_set<std::string>& seen) {
  std::erase_if(map, [&](const auto& entry) { return !seen.contains(entry.first); });
}

template <class Map>
std::string ValueOf(const Map& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string() : found->second;
}

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

Timestamp TimeOf(const k8s::wire::Time& time) {
  return Timestamp(std::chrono::seconds(time.seconds()));
}

std::shared_ptr<const PodPlacement> PlacementOf(const k8s::wire::Pod& wire,
                                                const std::string& team_label) {
  const auto& meta = wire.metadata();
  const auto& owners = meta.owner_references();
  const auto owner =
      std::find_if(owners.begin(), owners.end(), [](const auto& o) { return o.controller(); });
  const bool owned = owner != owners.end();
  auto pod = std::make_shared<PodPlacement>();
  pod->namespace_name = meta.namespace_();
  pod->name = meta.name();
  pod->uid = meta.uid();
  pod->workload = WorkloadOf(meta.name(), owned ? owner->kind() : "", owned ? owner->name() : "",
                             ValueOf(meta.labels(), std::string(kTemplateHashLabel)));
  pod->is_batch_job = owned && owner->kind() == "Job";
  pod->has_resource_claims = !wire.spec().resource_claims().empty();
  pod->requests = RequestsOf(wire.spec());
  for (const auto& [key, value] : meta.annotations()) ApplyAnnotation(key, value, pod->annotations);
  // A map's order is nobody's.
  std::sort(pod->annotations.begin(), pod->annotations.end(),
            [](const Annotation& a, const Annotation& b) { return a.key < b.key; });
  pod->annotations.shrink_to_fit();
  pod->node = wire.spec().node_name();
  if (!team_label.empty()) pod->team = ValueOf(meta.labels(), team_label);
  pod->started = TimeOf(wire.status().has_start_time() ? wire.status().start_time()
                                                       : meta.creation_timestamp());
  return pod;
}

}  // namespace

ClusterWatch::ClusterWatch(const ApiAccess& access, Options watch, std::function<void()> on_change)
    : options_(std::move(watch)), on_change_(std::move(on_change)) {
  for (const int collection : {kNodes, kNamespaces, kPods}) {
    Reflector::Options options;
    options.path = kPaths[collection];
    // Finished pods are of no interest, and there may be many.
    if (collection == kPods)
      options.query = "fieldSelector=status.phase!%3DSucceeded%2Cstatus.phase!%3DFailed";
    reflectors_.push_back(std::make_unique<Reflector>(access, options, CallbacksFor(collection)));
  }
}

ClusterWatch::~ClusterWatch() = default;

ClusterView ClusterWatch::View() const {
  const std::lock_guard lock(mutex_);
  ClusterView view;
  view.listed = true;
  view.nodes.reserve(nodes_.size());
  for (const auto& [name, node] : nodes_) view.nodes.push_back(node);
  view.namespaces = namespaces_;
  view.teams = teams_;
  for (const auto& [uid, pod] : gated_) view.gated.push_back(pod);
  view.pods.reserve(pods_.size());
  for (const auto& [uid, pod] : pods_)
    if (pod) view.pods.push_back(pod);
  view.watched_pods = static_cast<std::int64_t>(pods_.size());
  view.bindings = bindings_;
  view.bindings_by_scheduler = bindings_by_scheduler_;
  for (const Progress& progress : progress_) {
    view.listed &= progress.listed;
    if (!progress.problem.empty()) view.problems.push_back("kubernetes: " + progress.problem);
  }
  return view;
}

Reflector::Callbacks ClusterWatch::CallbacksFor(int collection) {
  Progress& progress = progress_[collection];
  Reflector::Callbacks callbacks;
  callbacks.on_list = [this, &progress] {
    const std::lock_guard lock(mutex_);
    progress.listing = true;
    progress.seen.clear();
  };
  callbacks.on_object = [this, collection](std::string_view raw) {
    const std::lock_guard lock(mutex_);
    switch (collection) {
      case kNodes:
        TakeNode(raw);
        break;
      case kNamespaces:
        TakeNamespace(raw);
        break;
      default:
        TakePod(raw);
    }
    if (collection != kPods && !progress_[collection].listing) on_change_();
  };
  callbacks.on_deleted = [this, collection](std::string_view raw) {
    k8s::wire::Namespace object;  // metadata stands first in every kind
    if (!Parse(raw, object)) return;
    const std::lock_guard lock(mutex_);
    switch (collection) {
      case kNodes:
        nodes_.erase(object.metadata().name());
        break;
      case kNamespaces:
        namespaces_.erase(object.metadata().name());
        teams_.erase(object.metadata().name());
        break;
      default:
        pods_.erase(object.metadata().uid());
        if (options_.pods != nullptr) options_.pods->PodGone(object.metadata().uid());
        gated_.erase(object.metadata().uid());
    }
    if (collection != kPods) on_change_();
  };
  callbacks.on_listed = [this, collection, &progress] {
    const std::lock_guard lock(mutex_);
    switch (collection) {
      case kNodes:
        KeepSeen(nodes_, progress.seen);
        break;
      case kNamespaces:
        KeepSeen(namespaces_, progress.seen);
        KeepSeen(teams_, progress.seen);
        break;
      default:
        TellGone(progress.seen);
        KeepSeen(pods_, progress.seen);
        KeepSeen(gated_, progress.seen);
    }
    progress.seen.clear();
    progress.listing = false;
    progress.listed = true;
    on_change_();
  };
  callbacks.on_problem = [this, &progress](const Status& status) {
    const std::lock_guard lock(mutex_);
    if (progress.problem == status.message()) return;
    // Once by failure, not once by attempt.
    if (!status.ok() && progress.problem.empty()) {
      Log(LogLevel::kWarning, "API server: trying again", {{"error", status.message()}});
    }
    if (status.ok()) Log(LogLevel::kInfo, "API server: well again");
    progress.problem = status.message();
    on_change_();
  };
  return callbacks;
}

void ClusterWatch::TakeNode(std::string_view raw) {
  k8s::wire::Node wire;
  if (!Parse(raw, wire)) return;
  auto node = std::make_shared<NodeFacts>();
  node->name = wire.metadata().name();
  node->provider = options_.default_provider;
  ApplyProviderId(wire.spec().provider_id(), *node);
  for (const auto& [key, value] : wire.metadata().labels()) ApplyNodeLabel(key, value, *node);
  for (const auto& [name, quantity] : wire.status().allocatable())
    ApplyResource(name, quantity.string(), node->allocatable);
  for (const auto& address : wire.status().addresses())
    ApplyNodeAddress(address.type(), address.address(), *node);
  if (progress_[kNodes].listing) progress_[kNodes].seen.insert(node->name);
  nodes_[node->name] = std::move(node);
}

void ClusterWatch::TakeNamespace(std::string_view raw) {
  k8s::wire::Namespace wire;
  if (!Parse(raw, wire)) return;
  Annotations annotations;
  for (const auto& [key, value] : wire.metadata().annotations())
    ApplyAnnotation(key, value, annotations);
  const std::string& name = wire.metadata().name();
  if (progress_[kNamespaces].listing) progress_[kNamespaces].seen.insert(name);
  std::string team =
      options_.team_label.empty() ? "" : ValueOf(wire.metadata().labels(), options_.team_label);
  if (team.empty()) {
    teams_.erase(name);
  } else {
    teams_[name] = std::move(team);
  }
  if (annotations.empty()) {
    namespaces_.erase(name);
  } else {
    namespaces_[name] = std::move(annotations);
  }
}

void ClusterWatch::TellGone(const std::unordered_set<std::string>& seen) {
  if (options_.pods == nullptr) return;
  for (const auto& [uid, pod] : pods_)
    if (!seen.contains(uid)) options_.pods->PodGone(uid);
  options_.pods->PodsListed();
}

void ClusterWatch::CountBinding(const std::string& scheduler) {
  ++bindings_;
  const bool own =
      bindings_by_scheduler_.contains(scheduler) || bindings_by_scheduler_.size() < kOwnSchedulers;
  ++bindings_by_scheduler_[own ? scheduler : "other"];
}

void ClusterWatch::TakePod(std::string_view raw) {
  k8s::wire::Pod wire;
  if (!Parse(raw, wire)) return;
  const std::string& uid = wire.metadata().uid();
  const bool bound = !wire.spec().node_name().empty();
  const auto [entry, added] = pods_.try_emplace(uid);
  if (options_.pods != nullptr && (added || (bound && !entry->second)))
    options_.pods->PodSeen(uid, wire.spec().node_name());
  if (bound && progress_[kPods].listed && !entry->second)
    CountBinding(wire.spec().scheduler_name());
  if (bound) entry->second = PlacementOf(wire, options_.team_label);
  if (progress_[kPods].listing) progress_[kPods].seen.insert(uid);
  const auto& gates = wire.spec().scheduling_gates();
  const bool gated = std::any_of(gates.begin(), gates.end(),
                                 [](const auto& gate) { return gate.name() == kCarbonGate; });
  if (!gated) {
    if (gated_.erase(uid) > 0) on_change_();
    return;
  }
  auto pod = std::make_shared<GatedPod>();
  pod->namespace_name = wire.metadata().namespace_();
  pod->name = wire.metadata().name();
  pod->uid = uid;
  pod->created = TimeOf(wire.metadata().creation_timestamp());
  for (const auto& [key, value] : wire.metadata().annotations())
    ApplyAnnotation(key, value, pod->annotations);
  gated_[uid] = std::move(pod);
  if (!progress_[kPods].listing) on_change_();
}

}  // namespace sobre
