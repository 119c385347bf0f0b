#include "k8s/objects.h"

#include <array>

#include "k8s/quantity.h"

namespace sobre {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kProviders = {{
    {"aws", "aws"},
    {"gce", "gcp"},
    {"azure", "azure"},
    {"scaleway", "scaleway"},
    {"ovhcloud", "ovhcloud"},
    {"outscale", "outscale"},
}};

}  // namespace

void ApplyNodeLabel(std::string_view key, std::string_view value, NodeFacts& node) {
  if (key == "topology.kubernetes.io/region") {
    node.region = value;
  } else if (key == "node.kubernetes.io/instance-type") {
    node.instance_type = value;
  } else if (key == "nvidia.com/gpu.product" ||
             (key == "amd.com/gpu.product-name" && node.gpu_model.empty())) {
    node.gpu_model = value;
  } else if (key == "sobre.dev/provider") {
    node.provider = value;
  } else if (key == "sobre.dev/grid-zone") {
    node.grid_zone = value;
  }
}

void ApplyProviderId(std::string_view provider_id, NodeFacts& node) {
  const std::size_t end = provider_id.find("://");
  if (end == std::string_view::npos) return;
  const std::string_view scheme = provider_id.substr(0, end);
  for (const auto& [known, name] : kProviders) {
    if (known == scheme) node.provider = name;
  }
}

void ApplyResource(std::string_view name, std::string_view quantity, Resources& resources) {
  if (name == "cpu") {
    resources.millicpu = ParseMilliQuantity(quantity).value_or(resources.millicpu);
  } else if (name == "memory") {
    resources.memory_bytes = ParseQuantity(quantity).value_or(resources.memory_bytes);
  } else if (name == kNvidiaGpu || name == kAmdGpu) {
    resources.gpus += ParseQuantity(quantity).value_or(0);
  }
}

void ApplyAnnotation(std::string_view key, std::string_view value, Annotations& annotations) {
  if (!key.starts_with(kAnnotationPrefix)) return;
  annotations.push_back({std::string(key.substr(kAnnotationPrefix.size())), std::string(value)});
}

}  // namespace sobre
