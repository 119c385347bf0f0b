#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scoring/machine_kind.h"
#include "scoring/placement_rules.h"
#include "scoring/policy.h"

// What Kubernetes knows of a node and of a pod, reduced to what a decision needs. Plain values.
namespace sobre {

// The resource by which a pod says that kube-scheduler must ask about its limits.
inline constexpr std::string_view kLimitsMarker = "sobre.dev/limits";
// The scheduling gate of pods that wait for a cleaner hour.
inline constexpr std::string_view kCarbonGate = "sobre.dev/carbon";

struct Resources {
  std::int64_t millicpu = 0;
  std::int64_t memory_bytes = 0;
  // Accelerators as the device plugin counts them: whole ones, or time-sliced shares.
  std::int64_t gpus = 0;
  // Slices of partitioned accelerators (MIG): a 3g.20gb counts three.
  std::int64_t gpu_slices = 0;
  // By name the extended resources that are none of these, of which nobody counts what they draw;
  // in order, each once.
  std::vector<std::string> devices = {};

  [[nodiscard]] bool UsesGpu() const { return gpus > 0 || gpu_slices > 0; }
  friend bool operator==(const Resources&, const Resources&) = default;
};

// What somebody who may says of a node by labels under node-restriction.kubernetes.io/, which a
// kubelet cannot set on itself. Empty: not said.
struct AttestedFacts {
  std::string provider;
  std::string region;
  std::string country;
  std::string operator_name;
  std::string exposure;
  std::vector<std::string> certifications;
  friend bool operator==(const AttestedFacts&, const AttestedFacts&) = default;
};

// What labels and annotations say of how a node's accelerators are divided, beside into how many
// time-sliced shares.
struct GpuSharing {
  std::int64_t count = 0;  // of accelerators, as feature discovery counted them; 0: not said
  bool shared = false;     // each serves several pods
  bool of_nvidia = false;  // the node lists accelerators of that maker
  bool of_amd = false;
  bool mig_single = false;  // MIG slices, where there are any, have the name of whole cards
  bool mig_slices = false;  // a layout of slices is told
  // The label or annotation that tells of a division that is not counted; of several the first by
  // name.
  std::string by = {};
  friend auto operator<=>(const GpuSharing&, const GpuSharing&) = default;
};

struct NodeFacts {
  std::string name;
  std::string provider;  // "aws", "gcp", "azure", "ovhcloud", "scaleway", "outscale", or one's own
  std::string region;    // as the provider spells it
  // No label topology.kubernetes.io/region tells it, so that no affinity can ask for it.
  bool region_derived = false;
  std::string grid_zone;  // where a label states it outright; else the catalogue finds it
  std::string instance_type;
  std::string gpu_model;
  MachineKind machine_kind = MachineKind::kNotTold;
  // Why the provider is not told although there is a providerID; else empty.
  std::string provider_doubt;
  // Which of the configuration's rules told the provider, from 0; -1: none.
  std::int32_t provider_rule = -1;
  // Into how many time-sliced shares the device plugin divides each accelerator.
  std::int64_t gpu_replicas = 1;
  GpuSharing gpu_sharing;
  // Internal addresses and host name, by which exporters name it too.
  std::vector<std::string> addresses;
  // The node pool (node group, agent pool) that it belongs to, and whether it is a spot node.
  std::string pool;
  std::size_t pool_label = SIZE_MAX;  // which label told it: of several the lowest counts
  bool spot = false;
  // Overrides what it is called in performance tables.
  std::string hardware_class;
  Resources allocatable;
  AttestedFacts attested;
  // What keeps pods away; of nodes that are watched.
  NodeGates gates;
  friend bool operator==(const NodeFacts&, const NodeFacts&) = default;
};

struct PodFacts {
  std::string namespace_name;
  std::string name;
  std::string uid;
  // The name of what made it: a Deployment's, a Job's, else the pod's own.
  std::string workload;
  bool is_batch_job = false;
  // Asks for devices by resource claims, of the pod or of a container, which are not read.
  bool has_resource_claims = false;
  // A container names the resource kLimitsMarker, of whatever amount.
  bool has_limits_marker = false;
  // Of all containers together, as the scheduler counts them.
  Resources requests;
  Annotations annotations;
};

// Who makes a pod anew once it is gone.
enum class PodOwner {
  kNobody,
  kController,  // a ReplicaSet, a StatefulSet, …: somewhere, by the scheduler
  kDaemonSet,   // on the same node again
  kNode,        // a static pod: its kubelet
};

// A pod that has a node.
struct PodPlacement : PodFacts {
  std::string node;
  PodOwner owner = PodOwner::kNobody;
  bool ready = false;     // it serves
  bool deleting = false;  // it is on its way out
  // What its nodes must be like; nothing where it asks for nothing.
  std::shared_ptr<const PlacementRules> rules;
  // By the label that the configuration names; empty where the pod does not carry it.
  std::string team;
  // By its label llm-d.ai/role: "prefill", "decode", …; empty where it has none.
  std::string serving_role;
  // When its node took it in, or it was created where that is not told yet.
  Timestamp started;
};

}  // namespace sobre
