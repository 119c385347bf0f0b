#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sobre {

// Kubernetes quantities ("500m", "16Gi", "1e3", "1.5G"), rounded up as Kubernetes does. No value
// for what is no quantity, is negative, or does not fit.
std::optional<std::int64_t> ParseQuantity(std::string_view text);
std::optional<std::int64_t> ParseMilliQuantity(std::string_view text);

}  // namespace sobre
