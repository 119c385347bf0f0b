#pragma once

#include <cstdint>
#include <string>

#include "scoring/decide.h"

namespace sobre {

// The decision in the JSON mapping of sobre.v1.Decision, indented, candidates best first.
std::string DecisionJson(const DecisionRequest& request, const Decision& decision,
                         const Snapshot& snapshot, std::size_t most_candidates = SIZE_MAX);

}  // namespace sobre
