#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "backtest/scenario.h"
#include "base/status.h"

namespace sobre {

// Reads a file that a scenario names.
using FileReader = std::function<Result<std::string>(const std::string& name)>;

// A scenario as docs/backtest.md describes it, strict as the configuration; `seed` counts instead
// of the file's. An error names the file, the line and what was expected.
Result<backtest::Scenario> ParseScenario(std::string_view yaml, std::string_view file_name,
                                         const FileReader& read,
                                         std::optional<std::uint64_t> seed = std::nullopt);

}  // namespace sobre
