#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace sobre {

// One `--name VALUE` (or `--name=VALUE`); a flag has no value. The first of a command's options may
// be its operand, which stands alone: its name is how it is called in the help.
struct Option {
  std::string_view name;
  std::string_view value_name;  // empty: a flag
  std::string_view help;
  bool required = false;
};

class CommandLine {
 public:
  // An error names the argument, and the option that may have been meant.
  static Result<CommandLine> Parse(std::span<const Option> options,
                                   std::span<const std::string_view> arguments);
  [[nodiscard]] bool Has(std::string_view name) const { return values_.contains(name); }
  [[nodiscard]] std::string Get(std::string_view name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::string() : found->second;
  }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

// The lines of --help for the options.
std::string HelpFor(std::span<const Option> options);

// The subcommands. Each prints its own errors on standard error and returns the exit status: 0, 1
// for what failed, 2 for wrong usage or input.
int RunServe(std::span<const std::string_view> arguments);
int RunScore(std::span<const std::string_view> arguments);
int RunRegions(std::span<const std::string_view> arguments);
int RunCompare(std::span<const std::string_view> arguments);
int RunBacktest(std::span<const std::string_view> arguments);
int RunVerify(std::span<const std::string_view> arguments);
int RunExplain(std::span<const std::string_view> arguments);
int RunBackup(std::span<const std::string_view> arguments);
int RunReport(std::span<const std::string_view> arguments);
int RunDoctor(std::span<const std::string_view> arguments);
int RunProbe(std::span<const std::string_view> arguments);
int RunOpenGates(std::span<const std::string_view> arguments);
int RunFootprint(std::span<const std::string_view> arguments);
int RunDemo(std::span<const std::string_view> arguments);

// Prints "sobre COMMAND: message" and gives back 2.
int UsageError(std::string_view command, const Status& status);

}  // namespace sobre
