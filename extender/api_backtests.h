#pragma once

#include <string>
#include <vector>

#include "extender/api_answers.h"

namespace sobre {

// A file of the configured folder that ends in .json.
struct BacktestFile {
  std::string name;  // without .json
  std::string path;
};
// By name; at most `kMostBacktests` of them. kNotFound where no folder is configured, or it cannot
// be read.
inline constexpr std::size_t kMostBacktests = 200;
Result<std::vector<BacktestFile>> ListBacktests(const Config& config);

// The text of one, as `sobre backtest --format json` printed it; kDamaged where it is no such
// result, or larger than 32 MiB.
Result<std::string> ReadBacktest(const BacktestFile& file);

// Registers /api/v1/backtests and /api/v1/backtests/{name} (docs/api.md).
void AddBacktestsApi(HttpServer& server, const Config& config);

}  // namespace sobre
