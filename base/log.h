#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

#include "base/time.h"

// One line of JSON a message, on standard error: `ts` (RFC 3339 with milliseconds, UTC), `level`,
// `component` (the source file that speaks, without its folder and ending), `msg`, `left_out` where
// lines were left out before this one, then the message's own fields. docs/operations.md names
// them. A place of the code that repeats itself is held back: 30 lines at once, then one each 30 s.
// All functions are safe from any thread; never on the decision path.
namespace sobre {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
std::string_view ToString(LogLevel level);
// "debug", "info", "warning", "error"; nothing for anything else.
std::optional<LogLevel> ParseLogLevel(std::string_view text);

// What is below is not written. kInfo until it is set.
void SetLogThreshold(LogLevel least);

using LogField = std::pair<std::string_view, std::string_view>;

// The last two arguments are the caller's place, and are left to the compiler. A value is cut after
// 2,000 bytes. Who passes a secret has it in the log: pass names of files, not what is in them.
void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {},
         const char* file = __builtin_FILE(), int line = __builtin_LINE());

// Tells of each place that has been held back and has been silent for a minute since how many lines
// it left out; of all places with `now_all`. To be called now and then.
void TellLeftOut(bool now_all = false);

// How often one place may speak. Pure; not thread-safe.
class LogLimit {
 public:
  static constexpr int kAtOnce = 30;
  static constexpr Duration kEach = std::chrono::seconds(30);

  // Whether a line may be written now; if not, it is counted.
  bool Admit(Timestamp now);
  // Left out since the last line that was admitted; from now on none.
  std::uint64_t TakeLeftOut();
  // Nothing waits to be told, or it has been silent for `quiet`.
  [[nodiscard]] bool HasToTell(Timestamp now, Duration quiet) const;

 private:
  int used_ = 0;  // of kAtOnce
  Timestamp since_;
  Timestamp last_;
  std::uint64_t left_out_ = 0;
};

}  // namespace sobre
