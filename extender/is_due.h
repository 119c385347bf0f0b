#pragma once

#include <chrono>
#include <optional>

#include "base/time.h"

namespace sobre {

// Whether what was done last at `last`, or never, is to be done again; also where the clock was set
// back by as much. One who waited for another, and looked at the clock before it, finds it done.
inline bool IsDue(const std::optional<Timestamp>& last, Duration every, Timestamp now) {
  return !last || std::chrono::abs(now - *last) >= every;
}

}  // namespace sobre
