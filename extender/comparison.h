#pragma once

#include <string>

#include "scoring/compare.h"

namespace sobre {

// A comparison as JSON (docs/compare.md). Pure.
std::string ComparisonJson(const DecisionRequest& request, const Comparison& comparison);
// The same as text for people. Pure.
std::string ComparisonText(const DecisionRequest& request, const Comparison& comparison);

}  // namespace sobre
