#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>

#include "scoring/cluster.h"

// From Kubernetes' names for things to ours, whatever the encoding they came in.
namespace sobre {

inline constexpr std::string_view kNvidiaGpu = "nvidia.com/gpu";
// Time-sliced shares, where the device plugin renames them.
inline constexpr std::string_view kNvidiaSharedGpu = "nvidia.com/gpu.shared";
inline constexpr std::string_view kAmdGpu = "amd.com/gpu";

// Whether an object can have the name. What refers to one is not checked by the API server.
bool CanNameAnObject(std::string_view name);

// Sets what `key` tells of a node (provider, region, instance type, accelerator, grid zone).
void ApplyNodeLabel(std::string_view key, std::string_view value, NodeFacts& node);
// What some share accelerators by is told by annotations alone.
void ApplyNodeAnnotation(std::string_view key, NodeFacts& node);
// Keeps the addresses by which exporters inside the cluster name a node.
void ApplyNodeAddress(std::string_view type, std::string_view address, NodeFacts& node);
// "cpu", "memory" and accelerators that are counted; other extended resources are kept by name.
// What is no quantity is left alone.
void ApplyResource(std::string_view name, std::string_view quantity, Resources& resources);
// The same of what a node can be asked for.
void ApplyAllocatable(std::string_view name, std::string_view quantity, NodeFacts& node);
// Part of an accelerator that an annotation asks for, which no request tells of.
void ApplyShareAnnotation(std::string_view key, std::string_view value, Resources& requests);
// What a pod requests, as kube-scheduler counts: containers and sidecars run together; an init
// container runs beside the sidecars that were started before it. Init containers are told in their
// order, all else in any.
class PodRequests {
 public:
  void AddContainer(const Resources& requests);
  void AddInitContainer(const Resources& requests, bool sidecar);
  void SetOverhead(const Resources& overhead) { overhead_ = overhead; }
  // Of the pod as a whole: what is said there of CPU and memory counts instead of the containers'.
  // A limit counts as the request where neither the pod nor a container has one.
  void SetWholePod(const Resources& requests, const Resources& limits = {}) {
    whole_pod_ = requests;
    whole_pod_limits_ = limits;
  }
  [[nodiscard]] Resources Total() const;

 private:
  Resources running_;
  Resources sidecars_;
  Resources starting_;
  Resources overhead_;
  Resources whole_pod_;
  Resources whole_pod_limits_;
};
// The workload that a pod belongs to: its controller; behind a Deployment's ReplicaSet, the
// Deployment, whose name lacks the template's hash; without a controller, or where its name is one
// that no object can have, the pod itself. A part of what was handed in.
std::string_view WorkloadOf(std::string_view pod, std::string_view controller_kind,
                            std::string_view controller_name, std::string_view template_hash);
inline constexpr std::string_view kTemplateHashLabel = "pod-template-hash";
// Of llm-d: "prefill" or "decode", where pods share the work on one request.
inline constexpr std::string_view kServingRoleLabel = "llm-d.ai/role";
// The labels by which a namespace opts in, and their value, as the admission policies read them.
inline constexpr std::array<std::string_view, 2> kOptInLabels = {"sobre.dev/placement",
                                                                 "sobre.dev/limits"};
inline constexpr std::string_view kOptedIn = "enabled";
// Whether a key is under our prefix, in whatever case: the API server lowers a key before it judges
// it, so that `Sobre.dev/x` can be written.
bool IsOurAnnotation(std::string_view key);
// Keeps what is, without the prefix; one that is spelt in another case stays whole, as no known
// key.
void ApplyAnnotation(std::string_view key, std::string_view value, Annotations& annotations);

}  // namespace sobre
