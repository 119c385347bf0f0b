#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

// Times that others tell, who may tell anything. They are kept within the years that RFC 3339 can
// write, 0000 to 9999: FormatTime() has a text for each, and no sum or difference of them
// overflows. Pure, thread-safe.
namespace sobre {

inline constexpr Timestamp kEarliestTime = std::chrono::sys_days(std::chrono::year(0) / 1 / 1);
inline constexpr Timestamp kLatestTime =
    Timestamp(std::chrono::sys_days(std::chrono::year(10'000) / 1 / 1)) - Duration(1);

// Milliseconds since 1970; what is beyond those years is their first or last moment.
inline Timestamp FromUnixMs(std::int64_t ms) {
  return Timestamp(Duration(std::clamp(ms, kEarliestTime.time_since_epoch().count(),
                                       kLatestTime.time_since_epoch().count())));
}
// The same of seconds.
inline Timestamp FromUnixSeconds(std::int64_t seconds) {
  constexpr std::int64_t kMs = 1000;
  if (seconds > kLatestTime.time_since_epoch().count() / kMs) return kLatestTime;
  if (seconds < kEarliestTime.time_since_epoch().count() / kMs) return kEarliestTime;
  return FromUnixMs(seconds * kMs);
}

}  // namespace sobre
