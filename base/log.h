#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>

// One line of JSON a message, on standard error. Safe from any thread; never on the decision path.
namespace sobre {

enum class LogLevel { kInfo, kWarning, kError };
using LogField = std::pair<std::string_view, std::string_view>;

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace sobre
