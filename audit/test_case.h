#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "audit/record.h"
#include "scoring/test_world.h"

namespace sobre {

// What the service hands over after it scored the named candidates.
inline std::unique_ptr<DecisionCase> CaseFor(std::shared_ptr<const Snapshot> snapshot,
                                             const std::vector<std::string>& names,
                                             DecisionRequest request) {
  auto made = std::make_unique<DecisionCase>();
  made->verb = "prioritize";
  made->answered = snapshot->time();
  made->request = std::move(request);
  made->decision = DecideFor(*snapshot, names, made->request);
  for (const std::string& name : names)
    if (snapshot->Find(name) == Snapshot::kUnknownNode) made->unknown.push_back(name);
  made->snapshot = std::move(snapshot);
  return made;
}

}  // namespace sobre
