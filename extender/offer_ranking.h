#pragma once

#include <optional>
#include <string>

#include "extender/world.h"
#include "net/http_server.h"
#include "scoring/offers.h"

namespace sobre {

// A ranking as JSON (docs/api.md), best first. Pure.
std::string OfferRankingJson(const DecisionRequest& request, const OfferRanking& ranking);
// The same as text for people. Pure.
std::string OfferRankingText(const DecisionRequest& request, const OfferRanking& ranking);

// Which pod is meant: one of a workload's, or that of a name.
struct RunningPod {
  std::string namespace_name;
  std::optional<std::string> workload;
  std::optional<std::string> pod;
};
// The parameters `namespace`, `workload` and `pod`.
RunningPod RunningPodOf(const HttpRequest& request);
// The offers ranked for a pod that runs; an error says what is missing, or that it does not run.
// Pure.
Result<std::string> OffersForRunning(const RunningPod& wanted, const WorldState& state);

}  // namespace sobre
