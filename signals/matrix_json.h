#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/time.h"

namespace sobre {

// One series of a range query.
struct RangeSeries {
  std::vector<std::pair<std::string, std::string>> labels;  // without __name__
  std::vector<std::pair<Timestamp, double>> values;         // may be NaN or infinite
  [[nodiscard]] std::string_view Label(std::string_view name) const;
};

// The answer of Prometheus' /api/v1/query_range, as a whole. An error says what it is instead, or
// passes on the server's own. Thread-safe.
Result<std::vector<RangeSeries>> ParseMatrix(std::string_view json);

}  // namespace sobre
