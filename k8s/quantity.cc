#include "k8s/quantity.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"

namespace sobre {
namespace {

constexpr std::array<std::pair<std::string_view, long double>, 16> kSuffixes = {{
    {"", 1.0L},
    {"n", 1e-9L},
    {"u", 1e-6L},
    {"m", 1e-3L},
    {"k", 1e3L},
    {"M", 1e6L},
    {"G", 1e9L},
    {"T", 1e12L},
    {"P", 1e15L},
    {"E", 1e18L},
    {"Ki", 1024.0L},
    {"Mi", 1048576.0L},
    {"Gi", 1073741824.0L},
    {"Ti", 1099511627776.0L},
    {"Pi", 1125899906842624.0L},
    {"Ei", 1152921504606846976.0L},
}};

std::optional<std::int64_t> Parse(std::string_view text, long double scale) {
  std::size_t digits = text.find_first_not_of("+0123456789.");
  if (digits == std::string_view::npos) digits = text.size();
  std::string_view number = text.substr(0, digits);
  std::string_view suffix = text.substr(digits);
  // "1e3" is an exponent, "1E" is exa.
  if (suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E') && suffix != "Ei") {
    number = text;
    suffix = {};
  }
  if (number.starts_with('+')) number.remove_prefix(1);
  const std::optional<double> value = ParseNumber(number);
  if (!value || *value < 0) return std::nullopt;
  for (const auto& [name, factor] : kSuffixes) {
    if (name != suffix) continue;
    // A slack far below any quantity's digits, so that 0.1 does not round up to the next unit.
    const long double scaled = static_cast<long double>(*value) * factor * scale;
    const long double rounded = std::ceil(scaled - std::min(scaled * 1e-15L, 1e-3L));
    if (rounded >= 9.2e18L) return std::nullopt;
    return static_cast<std::int64_t>(rounded);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::int64_t> ParseQuantity(std::string_view text) { return Parse(text, 1); }
std::optional<std::int64_t> ParseMilliQuantity(std::string_view text) { return Parse(text, 1000); }

}  // namespace sobre
