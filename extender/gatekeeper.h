#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "extender/diagnosis.h"
#include "extender/world.h"
#include "k8s/lease.h"

namespace sobre {

struct GatekeeperOptions {
  Duration check = std::chrono::seconds(5);
  Lease::Options lease;
  // Also requires the chosen regions of the pod's node, so that it goes where it waited for and an
  // autoscaler understands.
  bool write_affinity = true;
  // Also while no pod waits: others ask who leads.
  bool always_lead = false;
};

// As the configuration says.
GatekeeperOptions GatekeeperOptionsOf(const Config& config);

// Opens the scheduling gates of pods that wait for a cleaner hour, from a thread of its own. It
// remembers nothing: what a pod waits for stands on the pod. One replica does the work (a Lease);
// the others step in for gates that are overdue by more than the lease's duration, so that no gate
// opens late while one replica and the API server live.
class Gatekeeper {
 public:
  Gatekeeper(ApiAccess access, GatekeeperOptions options, World& world);
  ~Gatekeeper();
  Gatekeeper(const Gatekeeper&) = delete;
  Gatekeeper& operator=(const Gatekeeper&) = delete;

  // Whether this replica surely holds the Lease: no other does before its duration is over.
  [[nodiscard]] bool holds(SteadyTime now) const { return now < held_until_.load(); }
  // How it went the last time, and who leads now; nothing before it was asked for.
  [[nodiscard]] std::optional<LeaseState> lease(SteadyTime now) const;

 private:
  void Run();
  void Check(Timestamp now);
  LeaseHold AskForLease(Timestamp now);
  void Open(const GatedPod& pod, const GateVerdict& verdict);

  const GatekeeperOptions options_;
  World& world_;
  ApiClient api_;
  Lease lease_;
  mutable Mutex mutex_;
  std::optional<LeaseState> state_ SOBRE_GUARDED_BY(mutex_);
  std::atomic<SteadyTime> held_until_{SteadyTime::min()};
  std::atomic<bool> stop_ = false;
  std::thread thread_;  // last: it uses all above
};

// Takes the gate off the pod, and adds the regions to what its node must be. An error says why not;
// a pod that is gone, or open already, is a success.
Status OpenGate(ApiClient& api, const std::string& namespace_name, const std::string& pod,
                const std::vector<std::string>& regions);

// Whether the Lease is there, or can be made, and can be taken; nothing of it is changed.
std::vector<Finding> DiagnoseLease(const Config& config);

// In Prometheus' text format; without values where no Lease is asked for.
std::string LeaseMetrics(const std::optional<LeaseState>& lease);

}  // namespace sobre
