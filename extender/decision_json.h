#pragma once

#include <cstdint>
#include <string>

#include "scoring/decide.h"

namespace sobre {

namespace v1 {
class Decision;
}

// The decision as sobre.v1.Decision, candidates best first. Pure.
void FillDecision(const DecisionRequest& request, const Decision& decision,
                  const Snapshot& snapshot, std::size_t most_candidates, v1::Decision& out);

// The same in its JSON mapping, indented.
std::string DecisionJson(const DecisionRequest& request, const Decision& decision,
                         const Snapshot& snapshot, std::size_t most_candidates = SIZE_MAX);

}  // namespace sobre
