#pragma once

#include <string>
#include <vector>

#include "extender/diagnosis.h"
#include "extender/world.h"

namespace sobre {

// Findings, servers, presets, queries, signals, measured rates, places with their forecasts,
// calibration and commitments as JSON: /api/v1/signals.
std::string SignalsJson(const WorldState& state, const std::vector<Finding>& findings);

}  // namespace sobre
