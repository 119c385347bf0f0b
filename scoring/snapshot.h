#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "scoring/catalog.h"
#include "scoring/cluster.h"
#include "scoring/units.h"

namespace sobre {

// What a series in Prometheus can tell. The enumerator fixes the unit of its values.
enum class Signal {
  kNodePower,           // watts of the whole node
  kNodeCpuUtilization,  // 0 to 1 of the node's CPUs
  kNodePrice,           // euros per hour of the whole node
  kGridIntensity,       // gCO2e per kWh, average, location-based
};
inline constexpr std::size_t kSignalCount = 4;
// "node_watts", "node_cpu_utilization", "node_eur_per_hour", "grid_gco2e_per_kwh"
std::string_view ToString(Signal signal);
// "W", "1", "EUR/h", "gCO2e/kWh"
std::string_view UnitOf(Signal signal);
std::optional<Signal> ParseSignal(std::string_view name);

// One value that somebody measured or published, in the unit of its signal, not yet believed.
// Node signals carry `node`; the grid's carry `provider` and `region`, or `zone`.
struct Observation {
  Signal signal = Signal::kNodePower;
  std::string node;
  std::string provider;
  std::string region;
  std::string zone;
  double value = 0;
  Timestamp time;
  std::string source;
};

struct SnapshotInput {
  Timestamp time;
  std::vector<std::shared_ptr<const NodeFacts>> nodes;
  std::vector<Observation> observations;
  // Older values are set aside.
  std::array<Duration, kSignalCount> max_age = {std::chrono::minutes(5), std::chrono::minutes(5),
                                                std::chrono::hours(24), std::chrono::hours(2)};
  // What went wrong on the way here ("prometheus: connection refused"); part of every decision.
  std::vector<std::string> problems;
  const Catalog* catalog = &Catalog::Embedded();
};

// A value with its origin, for explanations: "measured by Prometheus, 12 s ago".
template <class T>
struct Sourced {
  T value;
  std::string source;
  Timestamp time;
};

enum class PowerBasis {
  kWorldDefault,     // nothing known of the provider
  kProviderDefault,  // the provider's average, watts per vCPU
  kCalibrated,       // that, scaled by what the node was measured to draw at its load
};
std::string_view ToString(PowerBasis basis);

// Everything that is known of one node. Immutable.
struct NodeRecord {
  std::shared_ptr<const NodeFacts> facts;
  std::string grid_zone;
  // Watts that one more busy vCPU adds.
  WattsPerVcpu slope;
  PowerBasis power_basis = PowerBasis::kWorldDefault;
  std::string power_source;
  // Watts that one more busy accelerator adds, idle power left out; nothing where the model is
  // unknown.
  std::optional<Watts> gpu_slope;
  Pue pue{1};
  std::string pue_source;
  std::optional<Sourced<GramsPerKwh>> catalog_intensity;
  std::optional<Sourced<GramsPerKwh>> live_intensity;
  std::optional<Sourced<EurosPerHour>> price;
  std::optional<Sourced<Watts>> measured_power;
};

// How many values of a signal were believed, and how many were not.
struct SignalCount {
  std::int64_t used = 0;
  std::int64_t stale = 0;
  std::int64_t implausible = 0;
  std::int64_t unmatched = 0;  // no such node or region
};

// All that a decision may know, at one moment: immutable, shared between threads, swapped whole.
class Snapshot {
 public:
  // Judges the observations by age and plausibility and joins them to the nodes. Pure: the same
  // input, in any order, gives the same snapshot.
  static std::shared_ptr<const Snapshot> Build(SnapshotInput input);

  static constexpr std::int32_t kUnknownNode = -1;
  // The node's index, or kUnknownNode. O(1), does not allocate.
  [[nodiscard]] std::int32_t Find(std::string_view name) const;
  [[nodiscard]] const std::vector<NodeRecord>& nodes() const { return nodes_; }
  [[nodiscard]] Timestamp time() const { return time_; }
  [[nodiscard]] const std::string& catalog_version() const { return catalog_version_; }
  // What is missing, stale or implausible, in sentences; each decision made on this repeats them.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] const std::array<SignalCount, kSignalCount>& signal_counts() const {
    return counts_;
  }

 private:
  friend class SnapshotBuilder;
  Snapshot() = default;
  void IndexNames();

  Timestamp time_;
  std::vector<NodeRecord> nodes_;
  // Open addressing over indices into nodes_; its size is a power of two.
  std::vector<std::int32_t> slots_;
  std::string catalog_version_;
  std::vector<std::string> notes_;
  std::array<SignalCount, kSignalCount> counts_;
};

}  // namespace sobre
