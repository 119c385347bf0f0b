#pragma once

#include <optional>
#include <string>

#include "base/time.h"
#include "extender/world.h"
#include "net/http_server.h"

namespace sobre {

// The value of one key as an annotation would say it; empty where it says nothing. Pure.
std::string PolicyValue(const Policy& policy, PolicyKey key);

// What the cluster and its namespaces say, and which pods wait behind a gate; of the namespaces
// `only` that one, if it is named. Pure.
std::string PolicyJson(const WorldState& state, Timestamp now,
                       const std::optional<std::string>& only = {});

// Registers /api/v1/policy (docs/api.md).
void AddPolicyApi(HttpServer& server, const World& world);

}  // namespace sobre
