#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace sobre {

// A moment on the world's clock, in milliseconds since 1970 UTC. Code that decides gets it as a
// parameter; only the outermost layer asks `Now()`.
using Timestamp = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;
using Duration = std::chrono::milliseconds;

Timestamp Now();
// For how long ago something was: not moved by whoever sets the world's clock.
using SteadyTime = std::chrono::steady_clock::time_point;
// "2026-05-16T12:00:00Z", with milliseconds only where there are some.
std::string FormatTime(Timestamp time);
// RFC 3339 ("2026-05-16T12:00:00Z", "2026-05-16T14:00:00+02:00") or a date alone (midnight UTC).
std::optional<Timestamp> ParseTime(std::string_view text);
// "250ms", "30s", "5m", "2h", "1d" or a sum of those in that manner ("1h30m"); never negative.
std::optional<Duration> ParseDuration(std::string_view text);
inline double InSeconds(Duration span) { return std::chrono::duration<double>(span).count(); }
inline double InHours(Duration span) {
  return std::chrono::duration<double, std::chrono::hours::period>(span).count();
}
// For people: "45 s", "12 min", "3 h", "2 d".
std::string FormatAge(Duration age);

}  // namespace sobre
