#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

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

  // Whether this replica held the Lease when it was last asked for; true until that is known, so
  // that where there is no Lease to be had, somebody leads.
  [[nodiscard]] bool leads() const { return leads_; }
  // Whether this replica surely holds it: no other does before its duration is over.
  [[nodiscard]] bool holds(SteadyTime now) const { return now < held_until_.load(); }

 private:
  void Run();
  void Check(Timestamp now);
  void Open(const GatedPod& pod, const GateVerdict& verdict);

  const GatekeeperOptions options_;
  World& world_;
  ApiClient api_;
  Lease lease_;
  std::string lease_problem_;
  std::atomic<bool> leads_ = true;
  std::atomic<SteadyTime> held_until_{SteadyTime::min()};
  std::atomic<bool> stop_ = false;
  std::thread thread_;  // last: it uses all above
};

// Takes the gate off the pod, and adds the regions to what its node must be. An error says why not;
// a pod that is gone, or open already, is a success.
Status OpenGate(ApiClient& api, const std::string& namespace_name, const std::string& pod,
                const std::vector<std::string>& regions);

}  // namespace sobre
