#pragma once

#include <optional>
#include <string>

#include "extender/api_answers.h"
#include "extender/mover.h"

namespace sobre {

// Which advice is asked for; what is not stated, any.
struct AdviceFilter {
  std::optional<std::string> state;
  std::optional<std::string> kind;
  std::optional<std::string> namespace_name;
  std::optional<std::string> workload;
  std::optional<std::string> id;
};

// What /api/v1/recommendations (docs/api.md) answers: the newest first.
std::string RecommendationsJson(const MovesStatus& status, const Config& config,
                                const AdviceFilter& filter, Timestamp now);

// Registers it. `mover` may be null: then nothing is advised. All arguments must outlive the
// server.
void AddMovesApi(HttpServer& server, const Mover* mover, const Config& config);

}  // namespace sobre
