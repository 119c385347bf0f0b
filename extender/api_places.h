#pragma once

#include <string>

#include "base/status.h"
#include "base/time.h"
#include "extender/world.h"
#include "net/http_server.h"
#include "scoring/decide.h"

namespace sobre {

// A pod to try on every node, and what its owner would want.
struct TriedPod {
  Resources requests{2000, std::int64_t{4} << 30, 0, 0};
  Policy policy;
};
// Lays objective, carbon-price (EUR/t) and cost-tolerance (per cent) over the policy; an error
// names the parameter.
Status ApplyPolicyParameters(const HttpRequest& request, Policy& policy);
// From cpu (vCPUs), memory-gib, gpus, and those three over what `cluster` says.
Result<TriedPod> TriedPodOf(const HttpRequest& request, const Policy& cluster);

// Each place that has nodes: grid, price, room, jurisdiction, certificates at `now`. Pure.
std::string RegionsJson(const WorldState& state, Timestamp now);
// The pod on every node, by the hour and the placement ledger, as columns of equal length. Pure.
std::string RankingJson(const WorldState& state, const TriedPod& pod);

// Registers /api/v1/regions and /api/v1/ranking (docs/api.md).
void AddPlacesApi(HttpServer& server, const World& world);

}  // namespace sobre
