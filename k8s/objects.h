#pragma once

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

// Sets what `key` tells of a node (provider, region, instance type, accelerator, grid zone).
void ApplyNodeLabel(std::string_view key, std::string_view value, NodeFacts& node);
// "aws:///eu-west-3a/i-1" means provider "aws"; a label has precedence, so apply this first.
void ApplyProviderId(std::string_view provider_id, NodeFacts& node);
// "cpu", "memory" and accelerators; others, and what is no quantity, are left alone.
void ApplyResource(std::string_view name, std::string_view quantity, Resources& resources);
// Keeps what is under our prefix.
void ApplyAnnotation(std::string_view key, std::string_view value, Annotations& annotations);

}  // namespace sobre
