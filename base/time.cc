#include "base/time.h"

#include <array>
#include <cstdio>

#include "base/text.h"

namespace sobre {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Exactly `count` digits from the front of `text`, which it removes.
std::optional<int> TakeDigits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool TakeChar(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<minutes> TakeZone(std::string_view& text) {
  if (TakeChar(text, 'Z') || TakeChar(text, 'z')) return minutes(0);
  const int sign = TakeChar(text, '+') ? 1 : TakeChar(text, '-') ? -1 : 0;
  if (sign == 0) return std::nullopt;
  const auto hour = TakeDigits(text, 2);
  if (!hour || !TakeChar(text, ':')) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute || *hour > 23 || *minute > 59) return std::nullopt;
  return minutes(sign * (*hour * 60 + *minute));
}

}  // namespace

Timestamp Now() {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

std::string FormatTime(Timestamp time) {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 48> buffer;
  int length = std::snprintf(
      buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  std::string text(buffer.data(), static_cast<std::size_t>(length));
  if (clock.subseconds().count() != 0) {
    length = std::snprintf(buffer.data(), buffer.size(), ".%03d",
                           static_cast<int>(clock.subseconds().count()));
    text.append(buffer.data(), static_cast<std::size_t>(length));
  }
  return text + "Z";
}

std::optional<Timestamp> ParseTime(std::string_view text) {
  const auto year = TakeDigits(text, 4);
  if (!year || !TakeChar(text, '-')) return std::nullopt;
  const auto month = TakeDigits(text, 2);
  if (!month || !TakeChar(text, '-')) return std::nullopt;
  const auto day = TakeDigits(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  Timestamp time = std::chrono::sys_days(date);
  if (text.empty()) return time;
  if (!TakeChar(text, 'T') && !TakeChar(text, 't') && !TakeChar(text, ' ')) return std::nullopt;
  const auto hour = TakeDigits(text, 2);
  if (!hour || !TakeChar(text, ':')) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute || !TakeChar(text, ':')) return std::nullopt;
  const auto second = TakeDigits(text, 2);
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  time += hours(*hour) + minutes(*minute) + seconds(*second);
  if (TakeChar(text, '.')) {
    int scale = 100;
    std::size_t digits = 0;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; ++digits, scale /= 10) {
      time += milliseconds((text.front() - '0') * scale);
      text.remove_prefix(1);
    }
    if (digits == 0) return std::nullopt;
  }
  const auto zone = TakeZone(text);
  if (!zone || !text.empty()) return std::nullopt;
  return time - *zone;
}

std::optional<Duration> ParseDuration(std::string_view text) {
  constexpr std::int64_t kLongestMs = std::int64_t{10} * 366 * 24 * 3600 * 1000;
  if (text.empty()) return std::nullopt;
  double total_ms = 0;
  while (!text.empty()) {
    const std::size_t digits = text.find_first_not_of("0123456789.");
    if (digits == 0 || digits == std::string_view::npos) return std::nullopt;
    const auto number = ParseNumber(text.substr(0, digits));
    text.remove_prefix(digits);
    const std::size_t letters = std::min(text.find_first_of("0123456789."), text.size());
    const std::string_view unit = text.substr(0, letters);
    text.remove_prefix(letters);
    const double unit_ms = unit == "ms"  ? 1
                           : unit == "s" ? 1e3
                           : unit == "m" ? 60e3
                           : unit == "h" ? 3600e3
                           : unit == "d" ? 86400e3
                                         : 0;
    if (!number || unit_ms == 0) return std::nullopt;
    total_ms += *number * unit_ms;
    if (total_ms > static_cast<double>(kLongestMs)) return std::nullopt;
  }
  return Duration(static_cast<std::int64_t>(total_ms));
}

std::string FormatAge(Duration age) {
  const auto text = [](std::int64_t count, const char* unit) {
    return std::to_string(count) + unit;
  };
  if (age < Duration(0)) return "-" + FormatAge(-age);
  if (age < minutes(2)) return text(std::chrono::floor<seconds>(age).count(), " s");
  if (age < hours(2)) return text(std::chrono::floor<minutes>(age).count(), " min");
  if (age < days(2)) return text(std::chrono::floor<hours>(age).count(), " h");
  return text(std::chrono::floor<days>(age).count(), " d");
}

}  // namespace sobre
