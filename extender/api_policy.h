#pragma once

#include <string>

#include "base/time.h"
#include "extender/world.h"
#include "net/http_server.h"

namespace sobre {

// The value of one key as an annotation would say it; empty where it says nothing. Pure.
std::string PolicyValue(const Policy& policy, PolicyKey key);

// What the cluster and its namespaces say, and which pods wait behind a gate. Pure.
std::string PolicyJson(const WorldState& state, Timestamp now);

// Registers /api/v1/policy (docs/api.md).
void AddPolicyApi(HttpServer& server, const World& world);

}  // namespace sobre
