#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "scoring/decide.h"

// The ledger of capacity that is not there yet (a region without a node, a node group that would
// grow): whoever makes it answers for its price, its idle power and its embodied emissions too.
// Pure functions, safe from any thread.
namespace sobre {

// As Decide, but each candidate stands for machines of its kind that would be had for the pod: its
// figures are the report ledger's, the pod's share of price, idle power and embodied emissions
// included, and what data that cross regions add.
void DecideOnNew(const DecisionRequest& request, const Snapshot& snapshot,
                 std::span<const std::int32_t> nodes, Decision& decision);

// What `count` new machines like the node take per hour, all of each, where the load adds `added`
// watts (of all machines together, without PUE); nothing where that is unknown.
PlacementFigures FiguresOfNew(const NodeRecord& node, std::int64_t count,
                              std::optional<Watts> added, IntensityBasis basis,
                              const Snapshot& snapshot);

}  // namespace sobre
