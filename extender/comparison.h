#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "scoring/compare.h"

namespace sobre {

// The offers that a file names (docs/compare.md), strict as the configuration; prices and figures
// in it count from `time`. An error names the file, the line and what was expected.
Result<std::vector<Offer>> ParseOffers(std::string_view yaml, std::string_view file_name,
                                       Timestamp time);

// A comparison as JSON (docs/compare.md). Pure.
std::string ComparisonJson(const DecisionRequest& request, const Comparison& comparison);
// The same as text for people. Pure.
std::string ComparisonText(const DecisionRequest& request, const Comparison& comparison);

}  // namespace sobre
