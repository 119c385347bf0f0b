#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "k8s/kubeconfig.h"
#include "k8s/node_origin.h"
#include "k8s/reflector.h"
#include "scoring/cluster.h"

namespace sobre {

// A pod behind our scheduling gate.
struct GatedPod {
  std::string namespace_name;
  std::string name;
  std::string uid;
  Timestamp created;
  Annotations annotations;
};

inline constexpr std::size_t kOwnSchedulers = 10;

// How far the copy of one collection is.
struct CollectionState {
  std::string name;  // "nodes"
  bool listed = false;
  std::string problem;  // of the last attempt; empty: it went well
};

// What the cluster looked like at one moment. Nodes are shared, not copied.
struct ClusterView {
  std::vector<std::shared_ptr<const NodeFacts>> nodes;
  // Namespaces that say something under our prefix.
  std::map<std::string, Annotations, std::less<>> namespaces;
  // The others, in the order of their names.
  std::vector<std::string> quiet_namespaces;
  // Those of both whose labels let Sobre place their pods, in the order of their names.
  std::vector<std::string> opted_in_namespaces;
  std::vector<std::shared_ptr<const GatedPod>> gated;
  // The team that a namespace's label names, which serves its pods without one.
  std::map<std::string, std::string, std::less<>> teams;
  // Pods that have a node.
  std::vector<std::shared_ptr<const PodPlacement>> pods;
  std::vector<std::string> problems;
  std::array<CollectionState, 3> collections;
  bool listed = false;  // all collections were read once; until then there are only problems
  // All that the API server knew then is in here.
  SteadyTime heard = SteadyTime::min();
  std::int64_t watched_pods = 0;
  std::int64_t bindings = 0;  // pods seen to get a node since the start
  // The same by the scheduler that each names: the first kOwnSchedulers, all others as "other".
  std::map<std::string, std::int64_t> bindings_by_scheduler;
};

// Is told of every unfinished pod, from the watch's thread; must be quick.
class PodListener {
 public:
  virtual ~PodListener() = default;
  // It is there; `node` is empty while it has none. Told again when it gets one.
  virtual void PodSeen(const std::string& uid, const std::string& node) = 0;
  virtual void PodGone(const std::string& uid) = 0;
  // All that were there at one moment were told; so too after every later list.
  virtual void PodsListed() = 0;
};

// Nodes, namespaces and pods of a live cluster, watched. Keeps of each only what decisions need, so
// that its memory is bounded by the number of objects, not by their size. Thread-safe.
class ClusterWatch {
 public:
  struct Options {
    // Whose nodes are, where their objects leave it open.
    NodeOrigins origins;
    // The label of pods and namespaces that names their team; empty: none.
    std::string team_label;
    // Who is told of each pod, if anybody.
    PodListener* pods = nullptr;
  };
  // `on_change` is called from the watch threads after any change; it must be quick.
  ClusterWatch(const ApiAccess& access, Options options, std::function<void()> on_change);
  ~ClusterWatch();
  [[nodiscard]] ClusterView View() const;
  // How often in a row at least each collection that is not listed yet has failed; 0 where all are.
  [[nodiscard]] int LeastFailures() const;

 private:
  Reflector::Callbacks CallbacksFor(int collection);
  void TakeNode(std::string_view raw);
  void TakeNamespace(std::string_view raw);
  void TakePod(std::string_view raw);
  void CountBinding(const std::string& scheduler) SOBRE_REQUIRES(mutex_);
  void TellGone(std::uint32_t generation) SOBRE_REQUIRES(mutex_);

  // Each with the list that told of it last.
  struct WatchedNode {
    std::shared_ptr<const NodeFacts> facts;
    std::uint32_t generation = 0;
  };
  struct WatchedNamespace {
    Annotations annotations;
    std::string team;
    bool opted_in = false;
    std::uint32_t generation = 0;
  };
  struct KnownPod {
    std::shared_ptr<const PodPlacement> placement;  // its node is empty while it has none
    std::uint32_t generation = 0;
  };

  const Options options_;
  const std::function<void()> on_change_;
  mutable Mutex mutex_;
  std::map<std::string, WatchedNode, std::less<>> nodes_ SOBRE_GUARDED_BY(mutex_);
  std::map<std::string, WatchedNamespace, std::less<>> namespaces_ SOBRE_GUARDED_BY(mutex_);
  std::unordered_map<std::string_view, KnownPod> pods_
      SOBRE_GUARDED_BY(mutex_);  // by uid, a view of the placement's own
  std::map<std::string, std::shared_ptr<const GatedPod>, std::less<>> gated_
      SOBRE_GUARDED_BY(mutex_);  // by uid
  std::int64_t bindings_ SOBRE_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::int64_t> bindings_by_scheduler_ SOBRE_GUARDED_BY(mutex_);
  struct Progress {
    bool listing = false;
    bool listed = false;
    std::uint32_t generation = 0;  // of lists
    SteadyTime heard = SteadyTime::min();
    std::string problem;
    int failures = 0;  // in a row
  };
  Progress progress_[3] SOBRE_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Reflector>> reflectors_;
};

}  // namespace sobre
