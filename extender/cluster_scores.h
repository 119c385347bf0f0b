#pragma once

#include <string>
#include <vector>

#include "extender/config.h"
#include "extender/world.h"
#include "k8s/placement_scores.h"

namespace sobre {

struct ClusterScore {
  std::string cluster;
  // "balanced", "carbon" and "cost", as far as the clusters can be ranked by it.
  PlacementScoreList scores;
  std::string refused;  // why the reference workload may not go there; empty: it may
};

// The configuration's clusters ranked among themselves for the reference workload, as `sobre
// regions` ranks offers, in the world as `state` knows it: 20 · score − 100, and −100 where the
// workload may not go. In the configuration's order. Pure.
std::vector<ClusterScore> ScoreClusters(const Config::Clusters& clusters, const WorldState& state);

}  // namespace sobre
