#include "k8s/cluster_watch.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "k8s/objects.h"
#include "k8s/wire_objects.h"

namespace sobre {
namespace {

enum Collections { kNodes, kNamespaces, kPods };
constexpr const char* kPaths[] = {"/api/v1/nodes", "/api/v1/namespaces", "/api/v1/pods"};

template <class Map>
void KeepSeen(Map& map, const std::unordered_set<std::string>& seen) {
  std::erase_if(map, [&](const auto& entry) { return !seen.contains(entry.first); });
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
    if (!ParseWire(raw, object)) return;
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
  if (!ParseWire(raw, wire)) return;
  auto node = std::make_shared<NodeFacts>(NodeOf(wire, options_.default_provider));
  if (progress_[kNodes].listing) progress_[kNodes].seen.insert(node->name);
  nodes_[node->name] = std::move(node);
}

void ClusterWatch::TakeNamespace(std::string_view raw) {
  k8s::wire::Namespace wire;
  if (!ParseWire(raw, wire)) return;
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
  if (!ParseWire(raw, wire)) return;
  const std::string& uid = wire.metadata().uid();
  const bool bound = !wire.spec().node_name().empty();
  const auto [entry, added] = pods_.try_emplace(uid);
  if (options_.pods != nullptr && (added || (bound && !entry->second)))
    options_.pods->PodSeen(uid, wire.spec().node_name());
  if (bound && progress_[kPods].listed && !entry->second)
    CountBinding(wire.spec().scheduler_name());
  if (bound) entry->second = std::make_shared<PodPlacement>(PlacementOf(wire, options_.team_label));
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
