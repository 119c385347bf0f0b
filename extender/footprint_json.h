#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "scoring/footprint.h"

namespace sobre {

// The input of `sobre footprint`: every key is optional, an unknown one, a wrong type, a negative
// or a non-finite number is an error that names its path ("power[0].tdp_watts"). Thread-safe.
Result<FootprintRequest> ParseFootprintRequest(std::string_view json);

// What `sobre footprint` answers: FootprintJson() of what the input asks. An error where the input
// is wrong, or where a figure is larger than a number can be. Thread-safe.
Result<std::string> AnswerFootprint(std::string_view json);

// One JSON object with a line for each figure, in 17 significant digits; null where unknown.
std::string FootprintJson(const Footprint& footprint);

}  // namespace sobre
