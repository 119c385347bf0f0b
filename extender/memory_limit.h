#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sobre {

// How many bytes this process's cgroup (version 2, or 1) and those above it let it use; nothing
// where they set no limit. `root` stands before /proc and /sys.
std::optional<std::int64_t> MemoryLimit(const std::string& root = "");

}  // namespace sobre
