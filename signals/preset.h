#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "signals/prometheus.h"
#include "signals/yaml_section.h"

namespace sobre {

// A label without which a metric counts things twice.
struct Trap {
  std::string metric;
  std::string label;
  std::string why;
};

// How to read one exporter: a file of presets/*.yaml with its parameters filled in.
struct Preset {
  std::string name;
  std::string about;
  // Metrics by which it is known to be there.
  std::vector<std::string> found_by;
  // How far back these are looked for ("3h"), where samples carry an old time; empty: now.
  std::string found_within;
  // The parameters that it takes, by name.
  std::vector<std::string> parameters;
  std::vector<SignalQuery> queries;
  std::vector<Trap> traps;
};

// PromQL for the mean of what `promql` gave over the window, robust against moments that are wrong:
// that of the middle of its values, so that a fifth of them may be anything. What it aggregates is
// aggregated at each moment, so series that come and go are not counted longer than they were
// there. Nothing newer than Prometheus 2.7 is used.
std::string RobustMean(std::string_view promql, Duration window);

// The key of a signal in the configuration and in a preset: one rule for both.
SignalQuery ReadSignalQuery(YamlSection& section);

// Values for what stands as ${name} in a preset's texts, over its own defaults.
using PresetParameters = std::map<std::string, std::string, std::less<>>;

std::vector<std::string_view> PresetNames();
// An error for a name that does not exist, or a parameter that the preset does not have.
Result<Preset> LoadPreset(std::string_view name, const PresetParameters& parameters);
// The same of any text, for tests and a user's own.
Result<Preset> ParsePreset(std::string_view yaml, std::string_view file_name,
                           const PresetParameters& parameters);

// Whether Prometheus takes it for a duration of its own ("90s", "1h30m"), over 0.
bool IsPromqlDuration(std::string_view text);

// What a query of a user's own overlooks, in sentences: "kepler_node_cpu_watts without zone: …".
std::vector<std::string> TrapsIn(std::string_view promql, std::span<const Trap> traps);
// All presets' traps.
const std::vector<Trap>& KnownTraps();

}  // namespace sobre
