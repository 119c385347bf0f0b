#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backtest/random.h"
#include "scoring/cluster.h"

namespace sobre::backtest {

// What is taken of a node.
struct NodeUse {
  Resources allocatable;
  Resources requested;
  // As kube-scheduler counts pods that request nothing: 100 millicpu and 200 MB each.
  Resources nonzero;
  std::int64_t pods = 0;
  std::int32_t zone = 0;  // index of its failure domain
};

// The pod as it is counted in `nonzero`.
Resources NonZero(const Resources& pod);

// How many nodes with room kube-scheduler looks for. `percent` 0: its own sample.
// Source: percentageOfNodesToScore, Kubernetes documentation.
std::int64_t NodesToFind(std::int64_t nodes, std::int64_t percent);

// NodeResourcesFit's filter; the kubelet's default of 110 pods a node.
bool HasRoom(const Resources& pod, const NodeUse& node);

// NodeResourcesFit's score, strategy LeastAllocated, for CPU and memory alike: 0 to 100.
std::int64_t LeastAllocated(const Resources& pod, const NodeUse& node);

// NodeResourcesBalancedAllocation's score: 50 to 100; 75 where the pod changes no balance.
// Source: Kubernetes 1.36. A pod that requests nothing is not scored by it.
std::int64_t BalancedAllocation(const Resources& pod, const NodeUse& node);

// PodTopologySpread's score with the system's default constraints (host names, skew 3; zones, skew
// 5) for each candidate, 0 to 100. `on_node` and `on_zone`: how many pods of the same ReplicaSet
// run there, by index.
void TopologySpread(std::span<const std::int32_t> candidates, std::span<const NodeUse> nodes,
                    std::span<const std::int32_t> on_node, std::span<const std::int32_t> on_zone,
                    std::vector<std::int64_t>& scores);

// Of each plugin.
inline constexpr std::int64_t kMaxNodeScore = 100;
// The weights of the default profile.
inline constexpr std::int64_t kFitWeight = 1;
inline constexpr std::int64_t kBalanceWeight = 1;
inline constexpr std::int64_t kSpreadWeight = 2;
// An extender's score of 0 to 10 counts so many points a step, times its weight.
inline constexpr std::int64_t kPointsPerStep = 10;

// One of the highest, each as likely; `scores` is not empty.
std::size_t PickHighest(std::span<const std::int64_t> scores, Random& random);

}  // namespace sobre::backtest
