#include "extender/process_metrics.h"

#include <charconv>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"

namespace sobre {
namespace {

std::optional<double> NumberAt(const std::vector<std::string_view>& fields, std::size_t index) {
  if (index >= fields.size()) return std::nullopt;
  double value = 0;
  const std::string_view text = fields[index];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> Fields(std::string_view text) {
  std::vector<std::string_view> fields;
  while (true) {
    const auto begin = text.find_first_not_of(" \n");
    if (begin == std::string_view::npos) return fields;
    text.remove_prefix(begin);
    const auto end = std::min(text.find_first_of(" \n"), text.size());
    fields.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

// Seconds since 1970 at which the machine was started.
std::optional<double> BootTime() {
  const Result<std::string> stat = ReadFile("/proc/stat");
  if (!stat.ok()) return std::nullopt;
  const auto at = stat->find("btime ");
  if (at == std::string::npos) return std::nullopt;
  return NumberAt(Fields(std::string_view(*stat).substr(at, 40)), 1);
}

std::optional<double> OpenFiles() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator each("/proc/self/fd", error), end; !error && each != end;
       each.increment(error))
    ++count;
  if (error) return std::nullopt;
  return count;
}

}  // namespace

void AddProcessMetrics(MetricFamilies& out) {
  using prometheus::MetricType;
  const auto add = [&](const char* name, const char* help, MetricType type,
                       std::optional<double> value) {
    out.Begin(name, help, type);
    if (value) out.Value(*value);
  };
  const Result<std::string> stat = ReadFile("/proc/self/stat");
  // The name of the program may hold anything: fields count from behind its bracket.
  std::vector<std::string_view> fields;
  if (stat.ok() && stat->rfind(')') != std::string::npos)
    fields = Fields(std::string_view(*stat).substr(stat->rfind(')') + 1));
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  const auto user = NumberAt(fields, 11);
  const auto system = NumberAt(fields, 12);
  const auto started = NumberAt(fields, 19);
  const auto boot = BootTime();
  const auto pages = NumberAt(fields, 21);
  add("process_cpu_seconds_total", "Processor time of this process.", MetricType::Counter,
      user && system ? std::optional((*user + *system) / ticks) : std::nullopt);
  add("process_start_time_seconds", "When this process started, since 1970.", MetricType::Gauge,
      started && boot ? std::optional(*boot + *started / ticks) : std::nullopt);
  add("process_resident_memory_bytes", "Memory of this process that is in the machine's.",
      MetricType::Gauge, pages ? std::optional(*pages * page) : std::nullopt);
  add("process_virtual_memory_bytes", "Address space of this process.", MetricType::Gauge,
      NumberAt(fields, 20));
  add("process_open_fds", "Open file descriptors.", MetricType::Gauge, OpenFiles());
  rlimit limit{};
  add("process_max_fds", "How many file descriptors may be open.", MetricType::Gauge,
      ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? std::optional(static_cast<double>(limit.rlim_cur))
                                              : std::nullopt);
}

}  // namespace sobre
