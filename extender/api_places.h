#pragma once

#include <string>

#include "base/json_writer.h"
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

// The fields `operator`, `operatorCountry`, `parentCountry`, `exposure` and `attested` of a place.
void WriteJurisdiction(const NodeRecord& node, const Catalog& catalog, JsonWriter& json);
// The field `certifications`, each with its state at `now`.
void WriteCertifications(const NodeRecord& node, const Catalog& catalog, Timestamp now,
                         JsonWriter& json);
// ISO 3166-1 alpha-2; as attested, else by the grid zone.
std::string CountryOf(const NodeRecord& node);

// Registers /api/v1/regions and /api/v1/ranking (docs/api.md).
void AddPlacesApi(HttpServer& server, const World& world);

}  // namespace sobre
