#pragma once

#include <string>

#include "base/status.h"

namespace sobre {

// The whole file; an error names it.
Result<std::string> ReadFile(const std::string& path);
// The same, or for `-` all that comes on standard input.
Result<std::string> ReadFileOrInput(const std::string& path);

}  // namespace sobre
