#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/text.h"
#include "base/told_time.h"
#include "scoring/signal.h"

// For the sources of this folder alone: from messages back to values.
namespace sobre::read_back {

// Thrown within a source file, never out of it: what a record holds and nobody can have meant.
struct Unreadable {
  std::string message;
};

// The enumerator that is spelt so.
template <class Enum, std::size_t kSize>
Enum Parse(std::string_view text, const std::array<Enum, kSize>& known, const char* field) {
  for (const Enum value : known)
    if (ToString(value) == text) return value;
  throw Unreadable{std::string(field) + ": '" + Printable(text, 40) + "' is not known"};
}
inline constexpr std::array kMethods = {Method::kMeasured, Method::kEstimated, Method::kPublished,
                                        Method::kConfigured};

inline std::int64_t ToMs(Timestamp time) { return time.time_since_epoch().count(); }
inline Timestamp FromMs(std::int64_t ms) { return FromUnixMs(ms); }

template <class Strings>
std::vector<std::string> ReadAll(const Strings& strings) {
  return {strings.begin(), strings.end()};
}

}  // namespace sobre::read_back
