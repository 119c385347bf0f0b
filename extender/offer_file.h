#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "scoring/offers.h"
#include "signals/yaml_section.h"

namespace sobre {

// A number within bounds; nothing where the key is absent. Throws Mistake.
std::optional<double> ReadNumber(YamlSection& section, const char* key, double lowest,
                                 double highest = 1e12);

// An offer as the table of docs/compare.md describes it; its size may be left out, and is 0 then.
// Throws Mistake. Prices are of no time yet.
Offer ReadOffer(YamlSection& section);

// The offers that a file compares, strict as the configuration: two or more, each with its size;
// prices count from `time`. An error names the file, the line and what was expected.
Result<std::vector<Offer>> ParseOffers(std::string_view yaml, std::string_view file_name,
                                       Timestamp time);

}  // namespace sobre
