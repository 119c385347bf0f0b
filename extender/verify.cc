#include "audit/verify.h"

#include <array>
#include <cstdio>

#include "base/file.h"
#include "base/text.h"
#include "extender/command_line.h"
#include "extender/config.h"

namespace sobre {
namespace {

constexpr std::array<Option, 3> kOptions = {{
    {"--in", "FILE", "records, one line of JSON each", true},
    {"--config", "FILE", "the configuration whose catalog.directory held when they were made"},
    {"--help", "", "this text"},
}};

}  // namespace

int RunVerify(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("verify", line.status());
  if (line->Has("--help")) {
    std::printf(
        "usage: sobre verify --in FILE [--config FILE]\n\n"
        "Makes each recorded decision again from what it was made from, and compares every figure "
        "to "
        "the bit.\nExit status: 0 if all agree, 1 if one does not, 2 if one cannot be read or made "
        "again by this program.\n\n%s",
        HelpFor(kOptions).c_str());
    return 0;
  }
  const Result<Config> config =
      line->Has("--config") ? LoadConfig(line->Get("--config")) : Result<Config>(Config{});
  if (!config.ok()) return UsageError("verify", config.status());
  const std::string path = line->Get("--in");
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return UsageError("verify", text.status());
  std::int64_t number = 0;
  std::int64_t agree = 0;
  for (const std::string_view json : Split(*text, '\n')) {
    ++number;
    if (Trim(json).empty()) continue;
    const Result<v1::Record> record = ParseRecord(json);
    Status status = record.ok() ? Verify(*record, record->known(), config->rows) : record.status();
    if (status.ok()) {
      ++agree;
      continue;
    }
    std::fprintf(stderr, "sobre verify: %s:%lld: %s\n", path.c_str(),
                 static_cast<long long>(number), status.message().c_str());
    return record.ok() && status.code() == ErrorCode::kInvalid ? 1 : 2;
  }
  std::printf("%lld records made again: all agree\n", static_cast<long long>(agree));
  return 0;
}

}  // namespace sobre
