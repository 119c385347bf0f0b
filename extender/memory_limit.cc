#include "extender/memory_limit.h"

#include <algorithm>
#include <string_view>

#include "base/file.h"
#include "base/text.h"

namespace sobre {
namespace {

// What version 1 writes for "no limit" is the largest multiple of a page in an int64.
constexpr std::int64_t kNone = std::int64_t{1} << 60;

void Take(const std::string& file, std::optional<std::int64_t>& least) {
  const Result<std::string> text = ReadFile(file);
  if (!text.ok()) return;
  const std::optional<std::int64_t> bytes = ParseInteger(Trim(*text));  // or "max"
  if (!bytes || *bytes <= 0 || *bytes >= kNone) return;
  least = std::min(least.value_or(*bytes), *bytes);
}

}  // namespace

std::optional<std::int64_t> MemoryLimit(const std::string& root) {
  const Result<std::string> groups = ReadFile(root + "/proc/self/cgroup");
  if (!groups.ok()) return std::nullopt;
  std::optional<std::int64_t> least;
  // "NUMBER:CONTROLLERS:PATH"; of version 2 number and controllers are "0" and "".
  for (const std::string_view line : Split(*groups, '\n')) {
    const std::vector<std::string_view> parts = Split(line, ':');
    if (parts.size() < 3) continue;
    const bool second = parts[1].empty();
    const std::vector<std::string_view> controllers = Split(parts[1], ',');
    if (!second && std::find(controllers.begin(), controllers.end(), "memory") == controllers.end())
      continue;
    const std::string mount = root + "/sys/fs/cgroup" + (second ? "" : "/memory");
    const std::string name = second ? "/memory.max" : "/memory.limit_in_bytes";
    // In a container the path may be the host's, which is not to be seen there: the folder that is
    // mounted is then the container's own.
    std::string path(Trim(parts[2]));
    while (!path.empty()) {
      std::string file = mount;
      Take(file.append(path).append(name), least);
      path.resize(path.rfind('/'));
    }
    Take(mount + name, least);
  }
  return least;
}

}  // namespace sobre
