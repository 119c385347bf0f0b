#include "k8s/cluster_watch.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/log.h"
#include "k8s/objects.h"
#include "k8s/wire_objects.h"

namespace sobre {
namespace {

enum Collections { kNodes, kNamespaces, kPods };
constexpr const char* kNames[] = {"nodes", "namespaces", "pods"};
constexpr const char* kPaths[] = {"/api/v1/nodes", "/api/v1/namespaces", "/api/v1/pods"};

// What no list since `generation` told of is gone.
template <class Map>
void KeepSeen(Map& map, std::uint32_t generation) {
  std::erase_if(map, [&](const auto& entry) { return entry.second.generation != generation; });
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

int ClusterWatch::LeastFailures() const {
  const MutexLock lock(mutex_);
  std::optional<int> least;
  for (const Progress& progress : progress_)
    if (!progress.listed) least = std::min(least.value_or(progress.failures), progress.failures);
  return least.value_or(0);
}

ClusterView ClusterWatch::View() const {
  const MutexLock lock(mutex_);
  ClusterView view;
  view.listed = true;
  view.heard = SteadyTime::max();
  for (const int collection : {kNodes, kNamespaces, kPods}) {
    const Progress& progress = progress_[collection];
    view.listed &= progress.listed;
    view.heard = std::min(view.heard, progress.heard);
    view.collections[static_cast<std::size_t>(collection)] = {kNames[collection], progress.listed,
                                                              progress.problem};
    if (!progress.problem.empty()) view.problems.push_back("kubernetes: " + progress.problem);
  }
  // A part tells nothing, and copying it would hold up the lists.
  if (!view.listed) return view;
  view.nodes.reserve(nodes_.size());
  for (const auto& [name, node] : nodes_) view.nodes.push_back(node.facts);
  for (const auto& [name, space] : namespaces_) {
    if (space.annotations.empty()) {
      view.quiet_namespaces.push_back(name);
    } else {
      view.namespaces.emplace(name, space.annotations);
    }
    if (!space.team.empty()) view.teams.emplace(name, space.team);
    if (space.opted_in) view.opted_in_namespaces.push_back(name);
  }
  for (const auto& [uid, pod] : gated_) view.gated.push_back(pod);
  view.pods.reserve(pods_.size());
  for (const auto& [uid, pod] : pods_)
    if (!pod.placement->node.empty()) view.pods.push_back(pod.placement);
  view.watched_pods = static_cast<std::int64_t>(pods_.size());
  view.bindings = bindings_;
  view.bindings_by_scheduler = bindings_by_scheduler_;
  return view;
}

Reflector::Callbacks ClusterWatch::CallbacksFor(int collection) {
  Progress& progress = progress_[collection];
  Reflector::Callbacks callbacks;
  callbacks.on_list = [this, &progress] {
    const MutexLock lock(mutex_);
    progress.listing = true;
    ++progress.generation;
  };
  callbacks.on_object = [this, collection](std::string_view raw) {
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
  };
  callbacks.on_deleted = [this, collection](std::string_view raw) {
    const std::optional<WireMeta> meta = MetaOf(raw);
    if (!meta) return;
    const MutexLock lock(mutex_);
    switch (collection) {
      case kNodes:
        nodes_.erase(std::string(meta->name));
        break;
      case kNamespaces:
        namespaces_.erase(std::string(meta->name));
        break;
      default:
        pods_.erase(meta->uid);
        if (options_.pods != nullptr) options_.pods->PodGone(std::string(meta->uid));
        gated_.erase(std::string(meta->uid));
    }
    if (collection != kPods) on_change_();
  };
  callbacks.on_listed = [this, collection, &progress] {
    const MutexLock lock(mutex_);
    switch (collection) {
      case kNodes:
        KeepSeen(nodes_, progress.generation);
        break;
      case kNamespaces:
        KeepSeen(namespaces_, progress.generation);
        break;
      default:
        TellGone(progress.generation);
        KeepSeen(pods_, progress.generation);
        std::erase_if(gated_, [this](const auto& pod)
                                  SOBRE_REQUIRES(mutex_) { return !pods_.contains(pod.first); });
    }
    progress.listing = false;
    progress.listed = true;
    on_change_();
  };
  callbacks.on_heard = [this, &progress](SteadyTime when) {
    const MutexLock lock(mutex_);
    progress.heard = when;
  };
  callbacks.on_problem = [this, &progress](const Status& status) {
    const MutexLock lock(mutex_);
    progress.failures = status.ok() ? 0 : progress.failures + 1;
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
  std::optional<NodeFacts> facts = NodeOf(raw, options_.origins);
  if (!facts) return;
  auto node = std::make_shared<const NodeFacts>(*std::move(facts));
  const MutexLock lock(mutex_);
  const Progress& progress = progress_[kNodes];
  WatchedNode& known = nodes_[node->name];
  known.generation = progress.generation;
  // A kubelet tells of itself every few minutes; mostly nothing changed that is kept here.
  if (known.facts && *known.facts == *node) return;
  known.facts = std::move(node);
  if (!progress.listing) on_change_();
}

void ClusterWatch::TakeNamespace(std::string_view raw) {
  const std::optional<WireMeta> meta = MetaOf(raw);
  if (!meta) return;
  WatchedNamespace space;
  for (const auto& [key, value] : meta->annotations) ApplyAnnotation(key, value, space.annotations);
  if (!options_.team_label.empty()) space.team = LabelOf(*meta, options_.team_label);
  for (const std::string_view label : kOptInLabels)
    space.opted_in |= LabelOf(*meta, label) == kOptedIn;
  const MutexLock lock(mutex_);
  const Progress& progress = progress_[kNamespaces];
  space.generation = progress.generation;
  namespaces_[std::string(meta->name)] = std::move(space);
  if (!progress.listing) on_change_();
}

void ClusterWatch::TellGone(std::uint32_t generation) {
  if (options_.pods == nullptr) return;
  for (const auto& [uid, pod] : pods_)
    if (pod.generation != generation) options_.pods->PodGone(std::string(uid));
  options_.pods->PodsListed();
}

void ClusterWatch::CountBinding(const std::string& scheduler) {
  ++bindings_;
  constexpr const char* kOther = "other";
  const std::size_t named = bindings_by_scheduler_.size() - bindings_by_scheduler_.count(kOther);
  const bool own = bindings_by_scheduler_.contains(scheduler) ||
                   (named < kOwnSchedulers && CanNameAnObject(scheduler));
  ++bindings_by_scheduler_[own ? scheduler : kOther];
}

void ClusterWatch::TakePod(std::string_view raw) {
  std::optional<WatchedPod> seen = WatchedPodOf(raw, options_.team_label);
  if (!seen) return;
  const auto pod = std::make_shared<const PodPlacement>(std::move(seen->placement));
  const bool bound = !pod->node.empty();
  const MutexLock lock(mutex_);
  const Progress& progress = progress_[kPods];
  const auto known = pods_.find(pod->uid);
  const bool added = known == pods_.end();
  const bool was_bound = !added && !known->second.placement->node.empty();
  if (options_.pods != nullptr && (added || (bound && !was_bound)))
    options_.pods->PodSeen(pod->uid, pod->node);
  if (bound && progress.listed && !was_bound) CountBinding(seen->scheduler);
  if (added) {
    pods_.emplace(pod->uid, KnownPod{pod, progress.generation});
  } else {
    // The key is a view of the placement that it names.
    auto entry = pods_.extract(known);
    entry.key() = pod->uid;
    entry.mapped() = {pod, progress.generation};
    pods_.insert(std::move(entry));
  }
  if (!seen->carbon_gated) {
    if (gated_.erase(pod->uid) > 0) on_change_();
    return;
  }
  auto gated = std::make_shared<GatedPod>();
  gated->namespace_name = pod->namespace_name;
  gated->name = pod->name;
  gated->uid = pod->uid;
  gated->created = seen->created;
  gated->annotations = pod->annotations;
  gated_[pod->uid] = std::move(gated);
  if (!progress.listing) on_change_();
}

}  // namespace sobre
