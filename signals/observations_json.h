#pragma once

#include <string_view>
#include <vector>

#include "base/status.h"
#include "scoring/snapshot.h"

namespace sobre {

// Signals from a file: a JSON list of
//   {"signal": "node_price_per_hour", "labels": {"node": "n1"}, "value": 0.4, "unit": "EUR/h",
//    "time": "2026-11-23T00:00:00Z", "source": "price list"}
// `labels` names a node, or provider and region, or a zone. `unit` is the signal's own
// if left out, else any that ConvertUnit() knows; `time` is `now` if left out. Errors name the
// entry.
Result<std::vector<Observation>> ParseObservations(std::string_view json, Timestamp now);

}  // namespace sobre
