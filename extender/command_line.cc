#include "extender/command_line.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"

namespace sobre {

Result<CommandLine> CommandLine::Parse(std::span<const Option> options,
                                       std::span<const std::string_view> arguments) {
  CommandLine line;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view name = arguments[i];
    std::optional<std::string_view> value;
    if (const std::size_t equals = name.find('=');
        name.starts_with("--") && equals != std::string_view::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    }
    // What stands alone is the operand, where there is one and it is not said yet.
    if (!name.starts_with("--") && !options.empty() && !options[0].name.starts_with("--") &&
        !line.Has(options[0].name)) {
      line.values_[std::string(options[0].name)] = std::string(name);
      continue;
    }
    const auto option = std::find_if(options.begin(), options.end(),
                                     [&](const Option& o) { return o.name == name; });
    if (option == options.end() || !name.starts_with("--")) {
      std::vector<std::string_view> names;
      for (const Option& o : options) names.push_back(o.name);
      return Status::Invalid("unknown argument '" + Printable(name) + "'" +
                             DidYouMean(name, names) + " See --help.");
    }
    if (option->value_name.empty()) {
      if (value) return Status::Invalid(std::string(name) + " takes no value");
      value = "";
    } else if (!value) {
      if (++i == arguments.size())
        return Status::Invalid(std::string(name) +
                               " needs a value: " + std::string(option->value_name));
      value = arguments[i];
    }
    line.values_[std::string(name)] = std::string(*value);
  }
  for (const Option& option : options) {
    if (!option.required || line.Has("--help") || line.Has(option.name)) continue;
    return Status::Invalid(std::string(option.name) + (option.value_name.empty() ? "" : " ") +
                           std::string(option.value_name) + " is required. See --help.");
  }
  return line;
}

std::string HelpFor(std::span<const Option> options) {
  std::string text;
  for (const Option& option : options) {
    std::string left = "  " + std::string(option.name);
    if (!option.value_name.empty()) left += " " + std::string(option.value_name);
    left.append(left.size() < 26 ? 26 - left.size() : 1, ' ');
    text += left + std::string(option.help) + "\n";
  }
  return text;
}

int UsageError(std::string_view command, const Status& status) {
  std::fprintf(stderr, "sobre %.*s: %s\n", static_cast<int>(command.size()), command.data(),
               PrintableLines(status.message()).c_str());
  return 2;
}

}  // namespace sobre
