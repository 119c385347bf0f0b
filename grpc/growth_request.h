#pragma once

#include <memory>
#include <string>
#include <vector>

#include "extender/world.h"
#include "proto/autoscaler/expander.pb.h"
#include "scoring/expansion.h"

namespace sobre {

// What the autoscaler asks, read: its templates are nodes of a snapshot beside the cluster's own,
// so that whatever is known of a region, a price or a kind of machine is known of them too.
struct GrowthRequest {
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<DecisionRequest> kinds;
  std::vector<GrowthOption> options;  // in the order of the request
  // What could not be read, in sentences; such a node is unknown, such a pod is left out.
  std::vector<std::string> problems;
};

// Pods that are alike are gathered, as there may be tens of thousands. Pure. Never fails: what
// cannot be read is unknown.
GrowthRequest ReadGrowthRequest(const grpcplugin::BestOptionsRequest& request,
                                const WorldState& state, const NodeOrigins& origins);

}  // namespace sobre
