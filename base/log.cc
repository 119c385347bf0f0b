#include "base/log.h"

#include <cstdio>
#include <string>

#include "base/json_writer.h"
#include "base/time.h"

namespace sobre {

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  std::string line;
  JsonWriter json(line);
  json.BeginObject().Key("time").Value(FormatTime(Now()));
  json.Key("level").Value(level == LogLevel::kInfo      ? "info"
                          : level == LogLevel::kWarning ? "warning"
                                                        : "error");
  json.Key("message").Value(message);
  for (const auto& [key, value] : fields) json.Key(key).Value(value);
  json.EndObject();
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace sobre
