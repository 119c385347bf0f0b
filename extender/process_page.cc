#include "extender/process_page.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>

#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

namespace sobre {
namespace {

constexpr std::array<std::string_view, 8> kStatusLines = {"VmPeak",  "VmSize", "VmHWM",  "VmRSS",
                                                          "RssAnon", "VmData", "VmSwap", "Threads"};

struct Thread {
  std::string id;
  std::string name;
  std::string state;
  double user_seconds = 0;
  double system_seconds = 0;
};

std::optional<Thread> ReadThread(const std::filesystem::path& folder) {
  const Result<std::string> stat = ReadFile((folder / "stat").string());
  if (!stat.ok()) return std::nullopt;  // it has ended meanwhile
  // "ID (NAME) STATE …": the name may hold anything.
  const std::string_view text = *stat;
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return std::nullopt;
  const std::vector<std::string_view> fields = Split(Trim(text.substr(close + 1)), ' ');
  constexpr std::size_t kUser = 11;
  constexpr std::size_t kSystem = 12;
  if (fields.size() <= kSystem) return std::nullopt;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  Thread thread;
  thread.id = std::string(Trim(text.substr(0, open)));
  thread.name = Printable(text.substr(open + 1, close - open - 1), 40);
  thread.state = std::string(fields[0]);
  thread.user_seconds = ParseNumber(fields[kUser]).value_or(0) / ticks;
  thread.system_seconds = ParseNumber(fields[kSystem]).value_or(0) / ticks;
  return thread;
}

// The busiest first.
std::vector<Thread> ReadThreads() {
  std::vector<Thread> threads;
  std::error_code error;
  for (std::filesystem::directory_iterator each("/proc/self/task", error), end;
       !error && each != end; each.increment(error)) {
    if (std::optional<Thread> thread = ReadThread(each->path()))
      threads.push_back(*std::move(thread));
  }
  const auto seconds = [](const Thread& t) { return t.user_seconds + t.system_seconds; };
  std::stable_sort(threads.begin(), threads.end(),
                   [&](const Thread& a, const Thread& b) { return seconds(a) > seconds(b); });
  return threads;
}

void AddMemory(std::string& out) {
  const Result<std::string> status = ReadFile("/proc/self/status");
  if (!status.ok()) return;
  out += "# memory (/proc/self/status)\n";
  for (const std::string_view line : Split(*status, '\n')) {
    const std::string_view key = line.substr(0, line.find(':'));
    if (std::find(kStatusLines.begin(), kStatusLines.end(), key) == kStatusLines.end()) continue;
    out += std::string(key) + " " + std::string(Trim(line.substr(key.size() + 1))) + "\n";
  }
}

void AddThreads(std::string& out) {
  out += "\n# threads: id, state, seconds in user and system mode, name\n";
  for (const Thread& thread : ReadThreads()) {
    std::array<char, 160> line;
    std::snprintf(line.data(), line.size(), "%8s %s %10.2f %10.2f  %s\n", thread.id.c_str(),
                  thread.state.c_str(), thread.user_seconds, thread.system_seconds,
                  thread.name.c_str());
    out += line.data();
  }
}

}  // namespace

std::string ProcessPage::Text() const {
  std::string out;
  AddMemory(out);
  out += "\n# connections: server, open, most, answered in parts, accepted, turned away\n";
  for (const auto& [name, load] : servers) {
    out += name + " " + std::to_string(load.connections) + " " + std::to_string(load.most) + " " +
           std::to_string(load.streams) + " " + std::to_string(load.accepted) + " " +
           std::to_string(load.turned_away) + "\n";
  }
  const JournalState& journal = records.recorder.journal;
  out += "\n# what waits\n";
  out += "snapshots_alive " + std::to_string(snapshots) + "\n";
  out += "records_waiting " + std::to_string(journal.backlog) + "\n";
  out += "records_dropped " + std::to_string(journal.dropped) + "\n";
  out += "open_decisions " + std::to_string(records.recorder.open_decisions) + "\n";
  AddThreads(out);
  return out;
}

}  // namespace sobre
