#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "base/status.h"
#include "extender/config.h"
#include "extender/snapshot_pointer.h"
#include "k8s/cluster_watch.h"
#include "k8s/event_writer.h"
#include "k8s/lease.h"
#include "scoring/decide.h"
#include "scoring/deferral.h"
#include "scoring/power_history.h"
#include "scoring/snapshot.h"

namespace sobre {

// Unlike any other replica's, also on one machine.
std::string NewIdentity();

// Counts the objects that have it as a member.
template <class Owner>
class InstanceCount {
 public:
  InstanceCount() { ++alive_; }
  InstanceCount(const InstanceCount&) { ++alive_; }
  InstanceCount& operator=(const InstanceCount&) = default;
  ~InstanceCount() { --alive_; }
  [[nodiscard]] static int alive() { return alive_; }

 private:
  inline static std::atomic<int> alive_ = 0;
};

// All that an answer depends on, at one moment. Immutable.
struct WorldState {
  // What the snapshot was made of: nodes that only a request knows can be added to it.
  SnapshotInput input;
  std::shared_ptr<const Snapshot> snapshot;
  // Of namespaces that say something; all others have the cluster's.
  std::map<std::string, NamespacePolicy, std::less<>> namespaces;
  NamespacePolicy cluster_policy;
  // The others that are there, in the order of their names; nothing where no namespaces are
  // followed.
  std::optional<std::vector<std::string>> quiet_namespaces;
  // Whether it is not there, as far as is known: its pods may be held by what it says.
  [[nodiscard]] bool IsUnknownNamespace(std::string_view name) const;
  // Of both, those that opted in, in the order of their names.
  std::vector<std::string> opted_in_namespaces;
  [[nodiscard]] bool HasOptedIn(std::string_view name) const;
  // By namespace: the team of its pods that name none themselves.
  std::map<std::string, std::string, std::less<>> teams;
  std::vector<std::shared_ptr<const GatedPod>> gated;
  bool ready = false;
  std::string not_ready_reason;
  // All that the API server knew then is in here; nodes that stand still are never old.
  SteadyTime heard = SteadyTime::max();
  // Of the cluster's objects; none where nodes stand still.
  std::vector<CollectionState> collections;
  std::int64_t bindings = 0;
  std::map<std::string, std::int64_t> bindings_by_scheduler;
  std::int64_t watched_pods = 0;
  // What became of each server's queries, and what calibration has.
  std::vector<ServerState> servers;
  std::vector<PowerHistory::Class> calibration;
  InstanceCount<WorldState> counted;
};
// Limits are not judged on what the API server may have changed for longer than this: a node can be
// another one under its name, and a namespace can have been tightened.
inline constexpr Duration kMostViewAge = std::chrono::seconds(90);
// Since when the API server has said nothing more, where that is too long; else nothing.
std::optional<Duration> SilentFor(const WorldState& state, SteadyTime now);
std::shared_ptr<const WorldState> MakeState(SnapshotInput input, const Policy& cluster_policy = {});

// How it stands with the Lease of the replica that leads.
struct LeaseState {
  LeaseHold hold = LeaseHold::kOther;  // when it was last asked for
  bool leads = false;                  // it is ours now, surely
  std::string problem;                 // why nobody can tell; empty: it could be asked for
};

// Where the service gets its state from.
class World {
 public:
  World();
  virtual ~World() = default;
  // Takes no lock and never waits.
  [[nodiscard]] SnapshotPointer<WorldState>::View Read() const { return state_.Read(); }
  // Tells the pod's owner something, where there is a cluster to tell it. Takes no lock.
  virtual void Tell(const PodEvent& event);
  // Of the replicas that follow one cluster at most one does, and only while it surely does. Who
  // has no cluster is alone.
  [[nodiscard]] virtual bool Leads() const { return true; }
  // The same for who acts on a cluster.
  [[nodiscard]] virtual bool HoldsLease(Timestamp /*now*/) const { return false; }
  // Nothing where no Lease is asked for.
  [[nodiscard]] virtual std::optional<LeaseState> Lease() const { return std::nullopt; }
  void Publish(std::shared_ptr<const WorldState> state) { state_.Publish(std::move(state)); }

 private:
  SnapshotPointer<WorldState> state_;
};

class Gatekeeper;

// A live cluster, or nodes that stand still, and the Prometheus servers that tell of them, followed
// by threads of its own; gates are opened by another.
class LiveWorld final : public World {
 public:
  struct Roles {
    // Doctors only look.
    bool open_gates = true;
    // Who is told of each pod, if anybody.
    PodListener* pods = nullptr;
  };
  static Result<std::unique_ptr<LiveWorld>> Open(const Config& config, Roles roles);
  // Nodes and signals from files, the rest from the configured servers.
  static std::unique_ptr<LiveWorld> Open(const Config& config, SnapshotInput still);
  ~LiveWorld() override;
  void Tell(const PodEvent& event) override;
  [[nodiscard]] bool Leads() const override;
  [[nodiscard]] bool HoldsLease(Timestamp now) const override;
  [[nodiscard]] std::optional<LeaseState> Lease() const override;
  // Until the cluster was listed and every server asked for everything once, and both are in the
  // published state; false after `most`, or where the API server has answered with errors alone.
  bool WaitUntilRead(Duration most);

 private:
  LiveWorld(Config config, SnapshotInput still, const ApiAccess* access, Roles roles);
  void Build();
  void BuildOnce();
  void Learn(Harvest& harvest, const SnapshotInput& input);
  void Changed();
  // False when it is time to stop.
  bool WaitForChange(Duration most);

  const Config config_;
  const SnapshotInput still_;  // what never changes: nodes and signals from files
  Mutex mutex_;
  ConditionVariable wake_;
  bool changed_ SOBRE_GUARDED_BY(mutex_) = true;
  std::atomic<bool> stop_ = false;
  // Of the builder alone.
  PowerHistory history_;
  // Moments of the past that not every server has told yet.
  struct Moment {
    std::size_t told = 0;  // by so many servers
    std::vector<Observation> observations;
  };
  std::map<Timestamp, Moment> past_;
  std::vector<PowerHistory::Class> calibration_;
  Timestamp next_fit_;
  std::unique_ptr<EventWriter> events_;    // nothing without a cluster
  std::unique_ptr<ClusterWatch> cluster_;  // the same
  std::unique_ptr<Collector> collector_;
  std::thread builder_;
  std::unique_ptr<Gatekeeper> gatekeeper_;  // after all that it reads
};

}  // namespace sobre
