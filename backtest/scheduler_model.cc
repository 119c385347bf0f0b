#include "backtest/scheduler_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace sobre::backtest {
namespace {

constexpr std::int64_t kPodsPerNode = 110;
constexpr std::int64_t kNodesAtLeast = 100;
constexpr std::int64_t kDefaultMillicpu = 100;
constexpr std::int64_t kDefaultMemory = 200LL * 1024 * 1024;

std::int64_t LeastRequested(std::int64_t requested, std::int64_t capacity) {
  if (capacity == 0 || requested > capacity) return 0;
  return (capacity - requested) * kMaxNodeScore / capacity;
}

double Share(std::int64_t requested, std::int64_t capacity) {
  return std::min(1.0, static_cast<double>(requested) / static_cast<double>(capacity));
}

std::int64_t Balance(std::int64_t millicpu, std::int64_t memory, const Resources& capacity) {
  if (capacity.millicpu == 0 || capacity.memory_bytes == 0) return kMaxNodeScore;
  const double deviation =
      std::abs(Share(millicpu, capacity.millicpu) - Share(memory, capacity.memory_bytes)) / 2;
  return static_cast<std::int64_t>((1 - deviation) * static_cast<double>(kMaxNodeScore));
}

}  // namespace

std::int64_t NodesToFind(std::int64_t nodes, std::int64_t percent) {
  if (nodes < kNodesAtLeast) return nodes;
  if (percent == 0) percent = std::max<std::int64_t>(5, 50 - nodes / 125);
  return std::max(kNodesAtLeast, nodes * percent / 100);
}

bool HasRoom(const Resources& pod, const NodeUse& node) {
  const Resources& have = node.allocatable;
  const Resources& taken = node.requested;
  return node.pods < kPodsPerNode && taken.millicpu + pod.millicpu <= have.millicpu &&
         taken.memory_bytes + pod.memory_bytes <= have.memory_bytes &&
         taken.gpus + pod.gpus <= have.gpus && taken.gpu_slices + pod.gpu_slices <= have.gpu_slices;
}

std::int64_t LeastAllocated(const Resources& pod, const NodeUse& node) {
  const Resources counted = NonZero(pod);
  return (LeastRequested(node.nonzero.millicpu + counted.millicpu, node.allocatable.millicpu) +
          LeastRequested(node.nonzero.memory_bytes + counted.memory_bytes,
                         node.allocatable.memory_bytes)) /
         2;
}

std::int64_t BalancedAllocation(const Resources& pod, const NodeUse& node) {
  if (pod.millicpu == 0 && pod.memory_bytes == 0) return 0;
  const Resources& taken = node.requested;
  const std::int64_t with = Balance(taken.millicpu + pod.millicpu,
                                    taken.memory_bytes + pod.memory_bytes, node.allocatable);
  const std::int64_t without = Balance(taken.millicpu, taken.memory_bytes, node.allocatable);
  return kMaxNodeScore / 2 + (kMaxNodeScore / 2 + with - without) / 2;
}

void TopologySpread(std::span<const std::int32_t> candidates, std::span<const NodeUse> nodes,
                    std::span<const std::int32_t> on_node, std::span<const std::int32_t> on_zone,
                    std::vector<std::int64_t>& scores) {
  constexpr double kHostSkew = 3;
  constexpr double kZoneSkew = 5;
  std::vector<bool> seen(on_zone.size());
  std::int64_t zones = 0;
  for (const std::int32_t candidate : candidates) {
    const auto zone = static_cast<std::size_t>(nodes[static_cast<std::size_t>(candidate)].zone);
    if (!seen[zone]) ++zones;
    seen[zone] = true;
  }
  const double host_weight = std::log(static_cast<double>(candidates.size()) + 2);
  const double zone_weight = std::log(static_cast<double>(zones) + 2);
  scores.clear();
  for (const std::int32_t candidate : candidates) {
    const auto node = static_cast<std::size_t>(candidate);
    const auto zone = static_cast<std::size_t>(nodes[node].zone);
    scores.push_back(std::llround(on_node[node] * host_weight + (kHostSkew - 1) +
                                  on_zone[zone] * zone_weight + (kZoneSkew - 1)));
  }
  const auto [least, most] = std::minmax_element(scores.begin(), scores.end());
  const std::int64_t low = *least;
  const std::int64_t high = *most;
  for (std::int64_t& score : scores) score = kMaxNodeScore * (high + low - score) / high;
}

Resources NonZero(const Resources& pod) {
  Resources counted = pod;
  if (counted.millicpu == 0) counted.millicpu = kDefaultMillicpu;
  if (counted.memory_bytes == 0) counted.memory_bytes = kDefaultMemory;
  return counted;
}

std::size_t PickHighest(std::span<const std::int64_t> scores, Random& random) {
  std::size_t picked = 0;
  std::uint64_t alike = 1;
  for (std::size_t i = 1; i < scores.size(); ++i) {
    if (scores[i] > scores[picked]) {
      picked = i;
      alike = 1;
    } else if (scores[i] == scores[picked] && random.Below(++alike) == 0) {
      picked = i;
    }
  }
  return picked;
}

}  // namespace sobre::backtest
