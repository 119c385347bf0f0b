#pragma once

#include <string>

#include "base/status.h"

namespace sobre {

// The whole file; an error names it.
Result<std::string> ReadFile(const std::string& path);

}  // namespace sobre
