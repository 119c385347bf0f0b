#include "k8s/objects.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/text.h"
#include "k8s/quantity.h"

namespace sobre {
namespace {

// By which each provider (or Karpenter) names a node's pool; one's own first.
constexpr std::array<std::string_view, 9> kPoolLabels = {
    "sobre.dev/pool",
    "karpenter.sh/nodepool",
    "eks.amazonaws.com/nodegroup",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "k8s.scaleway.com/pool-name",
    "nodepool",
    "node.kubernetes.io/pool",
};
// And that a node may be taken away at any time.
const std::array<std::pair<std::string_view, std::string>, 5> kSpotLabels = {{
    {"sobre.dev/spot", "true"},
    {"karpenter.sh/capacity-type", "spot"},
    {"eks.amazonaws.com/capacityType", "spot"},
    {"cloud.google.com/gke-spot", "true"},
    {"kubernetes.azure.com/scalesetpriority", "spot"},
}};

constexpr std::string_view kMig = "nvidia.com/mig-";

// "nvidia.com/mig-3g.20gb" is three slices; 0 for other resources, and for what is made of slices
// in another way ("mig-1c.3g.20gb" is a part of one).
std::int64_t SlicesOf(std::string_view name) {
  if (!name.starts_with(kMig)) return 0;
  name.remove_prefix(kMig.size());
  const std::size_t end = name.find("g.");
  if (end == std::string_view::npos) return 0;
  constexpr std::int64_t kMostSlices = 7;
  const std::int64_t slices = ParseInteger(name.substr(0, end)).value_or(0);
  std::string_view memory = name.substr(end + 2);
  constexpr std::string_view kMediaExtensions = ".me";
  if (memory.ends_with(kMediaExtensions)) memory.remove_suffix(kMediaExtensions.size());
  if (!memory.ends_with("gb")) return 0;
  memory.remove_suffix(2);
  const bool is_slice = slices > 0 && slices <= kMostSlices && ParseInteger(memory).value_or(0) > 0;
  return is_slice ? slices : 0;
}

// Whether the resource may be a device: what Kubernetes itself counts is none, but for what stands
// for a claim.
bool MayBeDevice(std::string_view name) {
  constexpr std::string_view kClaimed = "deviceclass.resource.kubernetes.io/";
  constexpr std::string_view kNative = "kubernetes.io";
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos || name == kLimitsMarker) return false;
  if (name.starts_with(kClaimed)) return true;
  const std::string_view domain = name.substr(0, slash);
  if (!domain.ends_with(kNative)) return true;
  const std::string_view before = domain.substr(0, domain.size() - kNative.size());
  return !before.empty() && !before.ends_with('.');
}

void AddDevice(std::string_view name, Resources& resources) {
  std::vector<std::string>& devices = resources.devices;
  const auto place = std::lower_bound(devices.begin(), devices.end(), name);
  if (place == devices.end() || *place != name) devices.emplace(place, name);
}

Resources WithDevices(Resources resources, const Resources& of) {
  for (const std::string& device : of.devices) AddDevice(device, resources);
  return resources;
}

void DividedBy(std::string_view key, GpuSharing& sharing) {
  if (sharing.by.empty() || key < sharing.by) sharing.by = key;
}

// What feature discovery, the GPU operator or a provider says of how accelerators are divided.
void ApplySharing(std::string_view key, std::string_view value, GpuSharing& sharing) {
  // Beyond all machines, so that no sum of it overflows.
  constexpr std::int64_t kMost = 1'000'000;
  const auto number = [&](std::int64_t otherwise) {
    return std::clamp<std::int64_t>(ParseInteger(value).value_or(otherwise), 0, kMost);
  };
  const bool some = !value.empty() && value != "none";
  if (key == "nvidia.com/gpu.count") {
    sharing.count = number(0);
  } else if (key == "nvidia.com/gpu.sharing-strategy") {
    sharing.shared = some;
  } else if (key == "nvidia.com/mig.strategy") {
    sharing.mig_single = value == "single";
  } else if (key == "nvidia.com/gpu.slices.gi") {
    sharing.mig_slices |= number(1) > 0;
  } else if (key == "nvidia.com/mig.config") {
    sharing.mig_slices |= some && value != "all-disabled";
  } else if (key == "nvidia.com/vgpu.present") {
    if (value == "true") DividedBy(key, sharing);
  } else if (key == "cloud.google.com/gke-gpu-partition-size" ||
             key == "cloud.google.com/gke-gpu-sharing-strategy") {
    if (some) DividedBy(key, sharing);
  } else if (key == "cloud.google.com/gke-max-shared-clients-per-gpu") {
    if (number(2) > 1) DividedBy(key, sharing);
  } else if (key == "amd.com/compute-memory-partition") {
    // A card that is one partition.
    if (!ToLower(value).starts_with("spx")) DividedBy(key, sharing);
  } else if (key.starts_with(kMig)) {
    // Slices that are shared once more.
    if ((key.ends_with(".replicas") && number(2) > 1) ||
        (key.ends_with(".sharing-strategy") && some))
      DividedBy(key, sharing);
  } else if (key.starts_with("hami.io/")) {
    DividedBy(key, sharing);
  }
}

// Amounts are not negative; what is beyond all machines stays there.
std::int64_t Sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

Resources operator+(const Resources& a, const Resources& b) {
  return WithDevices({Sum(a.millicpu, b.millicpu), Sum(a.memory_bytes, b.memory_bytes),
                      Sum(a.gpus, b.gpus), Sum(a.gpu_slices, b.gpu_slices), a.devices},
                     b);
}
Resources Max(const Resources& a, const Resources& b) {
  return WithDevices({std::max(a.millicpu, b.millicpu), std::max(a.memory_bytes, b.memory_bytes),
                      std::max(a.gpus, b.gpus), std::max(a.gpu_slices, b.gpu_slices), a.devices},
                     b);
}

// Labels that a kubelet cannot set on itself. Label values hold no commas: lists use underscores.
constexpr std::string_view kRestricted = "node-restriction.kubernetes.io/sobre-";

void ApplyAttested(std::string_view key, std::string_view value, AttestedFacts& facts) {
  if (key == "provider") {
    facts.provider = value;
  } else if (key == "region") {
    facts.region = value;
  } else if (key == "country") {
    facts.country = ToUpper(value);
  } else if (key == "operator") {
    facts.operator_name = value;
  } else if (key == "exposure") {
    facts.exposure = value;
  } else if (key == "certifications") {
    for (const std::string_view part : Split(value, '_'))
      if (!part.empty()) facts.certifications.emplace_back(part);
  }
}

}  // namespace

bool CanNameAnObject(std::string_view name) {
  constexpr std::size_t kLongest = 253;
  return !name.empty() && name.size() <= kLongest &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_' || c == ':';
         });
}

void ApplyNodeLabel(std::string_view key, std::string_view value, NodeFacts& node) {
  if (key == "topology.kubernetes.io/region") {
    node.region = value;
  } else if (key == "node.kubernetes.io/instance-type") {
    node.instance_type = value;
  } else if (key == "nvidia.com/gpu.product" ||
             (key == "amd.com/gpu.product-name" && node.gpu_model.empty())) {
    node.gpu_model = value;
  } else if (key == "nvidia.com/gpu.replicas") {
    // 0 and what is no number: not shared.
    constexpr std::int64_t kMost = 1'000'000;
    node.gpu_replicas = std::clamp<std::int64_t>(ParseInteger(value).value_or(1), 1, kMost);
  } else if (key == "sobre.dev/hardware-class") {
    node.hardware_class = value;
  } else if (key.starts_with(kRestricted)) {
    ApplyAttested(key.substr(kRestricted.size()), value, node.attested);
  } else if (key == "sobre.dev/provider") {
    node.provider = value;
  } else if (key == "sobre.dev/grid-zone") {
    node.grid_zone = value;
  } else if (const auto label = std::find(kPoolLabels.begin(), kPoolLabels.end(), key);
             label != kPoolLabels.end()) {
    const auto rank = static_cast<std::size_t>(label - kPoolLabels.begin());
    if (rank >= node.pool_label) return;
    node.pool_label = rank;
    node.pool = value;
  } else if (const auto spot =
                 std::find(kSpotLabels.begin(), kSpotLabels.end(), std::pair(key, ToLower(value)));
             spot != kSpotLabels.end()) {
    node.spot = true;
  } else {
    ApplySharing(key, value, node.gpu_sharing);
  }
}

void ApplyNodeAnnotation(std::string_view key, NodeFacts& node) {
  // As HAMi registers what it divides.
  if (key.starts_with("hami.io/node-")) DividedBy(key, node.gpu_sharing);
}

void ApplyNodeAddress(std::string_view type, std::string_view address, NodeFacts& node) {
  if (type == "InternalIP" || type == "Hostname" || type == "InternalDNS")
    node.addresses.emplace_back(address);
}

void PodRequests::AddContainer(const Resources& requests) { running_ = running_ + requests; }

void PodRequests::AddInitContainer(const Resources& requests, bool sidecar) {
  if (sidecar) sidecars_ = sidecars_ + requests;
  starting_ = Max(starting_, sidecar ? sidecars_ : sidecars_ + requests);
}

Resources PodRequests::Total() const {
  Resources total = Max(running_ + sidecars_, starting_);
  if (total.millicpu == 0) total.millicpu = whole_pod_limits_.millicpu;
  if (total.memory_bytes == 0) total.memory_bytes = whole_pod_limits_.memory_bytes;
  if (whole_pod_.millicpu > 0) total.millicpu = whole_pod_.millicpu;
  if (whole_pod_.memory_bytes > 0) total.memory_bytes = whole_pod_.memory_bytes;
  return WithDevices(total, whole_pod_) + overhead_;
}

std::string_view WorkloadOf(std::string_view pod, std::string_view controller_kind,
                            std::string_view controller_name, std::string_view template_hash) {
  if (!CanNameAnObject(controller_name)) return pod;
  if (controller_kind != "ReplicaSet" || template_hash.empty()) return controller_name;
  std::string_view name = controller_name;
  if (!name.ends_with(template_hash)) return controller_name;
  name.remove_suffix(template_hash.size());
  return name.ends_with('-') ? name.substr(0, name.size() - 1) : controller_name;
}

void ApplyResource(std::string_view name, std::string_view quantity, Resources& resources) {
  if (name == "cpu") {
    resources.millicpu = ParseMilliQuantity(quantity).value_or(resources.millicpu);
  } else if (name == "memory") {
    resources.memory_bytes = ParseQuantity(quantity).value_or(resources.memory_bytes);
  } else if (name == kNvidiaGpu || name == kNvidiaSharedGpu || name == kAmdGpu) {
    resources.gpus = Sum(resources.gpus, ParseQuantity(quantity).value_or(0));
  } else if (const std::int64_t slices = SlicesOf(name); slices > 0) {
    constexpr std::int64_t kMost = 1'000'000;
    resources.gpu_slices +=
        slices * std::clamp<std::int64_t>(ParseQuantity(quantity).value_or(0), 0, kMost);
  } else if (MayBeDevice(name) && ParseQuantity(quantity).value_or(1) > 0) {
    AddDevice(name, resources);
  }
}

void ApplyAllocatable(std::string_view name, std::string_view quantity, NodeFacts& node) {
  const std::int64_t gpus = node.allocatable.gpus;
  ApplyResource(name, quantity, node.allocatable);
  if (node.allocatable.gpus > gpus)
    (name == kAmdGpu ? node.gpu_sharing.of_amd : node.gpu_sharing.of_nvidia) = true;
}

void ApplyShareAnnotation(std::string_view key, std::string_view value, Resources& requests) {
  // As KAI and Run:ai read them.
  if (!value.empty() && (key == "gpu-fraction" || key == "gpu-memory" || key == "gpu-sm-cores"))
    AddDevice("annotation " + std::string(key), requests);
}

bool IsOurAnnotation(std::string_view key) {
  return EqualsIgnoreCase(key.substr(0, kAnnotationPrefix.size()), kAnnotationPrefix);
}

void ApplyAnnotation(std::string_view key, std::string_view value, Annotations& annotations) {
  if (!IsOurAnnotation(key)) return;
  if (key.starts_with(kAnnotationPrefix)) key.remove_prefix(kAnnotationPrefix.size());
  annotations.push_back({std::string(key), std::string(value)});
}

}  // namespace sobre
