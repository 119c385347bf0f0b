#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
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
  kNodePrice,           // euros, or the observation's currency, per hour of the whole node
  kGridIntensity,       // gCO2e per kWh, average, location-based
  kElectricityPrice,    // euros, or the observation's currency, per kWh, where it is paid apart
  kWorkloadRequests,    // requests per second of one replica
  kWorkloadTokens,      // output tokens per second of one replica
  kModelRequests,       // the same of any replica that serves the model
  kModelTokens,
  kWorkloadJoulesPerRequest,  // measured energy without the data centre's overhead
  kWorkloadJoulesPerToken,
  kGridForecast,  // gCO2e per kWh as foreseen for a later time
};
inline constexpr std::size_t kSignalCount = 12;
// "node_watts", "node_cpu_utilization", "node_price_per_hour", "grid_gco2e_per_kwh", …
std::string_view ToString(Signal signal);
// "W", "1", "EUR/h", "gCO2e/kWh", …
std::string_view UnitOf(Signal signal);
std::optional<Signal> ParseSignal(std::string_view name);
// All names, for messages: "node_watts, node_cpu_utilization, …".
std::string SignalNames();

// One value that somebody measured or published, in the unit of its signal, not yet believed.
// Node signals carry `node`; those of places `provider` and `region`, or `zone`; those of workloads
// `namespace_name` and `workload`, or `model`, and the hardware class that they were measured on.
struct Observation {
  Signal signal = Signal::kNodePower;
  std::string node;
  std::string provider;
  std::string region;
  std::string zone;
  std::string namespace_name;
  std::string workload;
  std::string model;
  std::string hardware_class;  // empty: any
  std::string currency;        // ISO 4217 of a price; empty: euros
  Duration ahead{0};           // how long after `time` a forecast is for
  double value = 0;
  Timestamp time;
  std::string source;  // name of the configured query, or of the file that told it
};

// What one unit of a foreign currency is worth, as configured.
struct CurrencyRate {
  std::string currency;
  double euros = 0;
  std::string date;  // "2026-11-01"
};

struct SnapshotInput {
  Timestamp time;
  std::vector<std::shared_ptr<const NodeFacts>> nodes;
  std::vector<Observation> observations;
  // Older values are set aside.
  std::array<Duration, kSignalCount> max_age = {
      std::chrono::minutes(5), std::chrono::minutes(5), std::chrono::hours(24),
      std::chrono::hours(2),   std::chrono::hours(2),   std::chrono::hours(1),
      std::chrono::hours(1),   std::chrono::hours(24),  std::chrono::hours(24),
      std::chrono::hours(24),  std::chrono::hours(24),  std::chrono::hours(6)};
  std::vector<CurrencyRate> rates;
  // Limits rely on topology labels and provider ids, which a kubelet can set on its own node.
  bool trust_node_labels = false;
  // What went wrong on the way here ("prometheus: connection refused"); part of every decision.
  std::vector<std::string> problems;
  std::shared_ptr<const Catalog> catalog = EmbeddedCatalog();

  static std::shared_ptr<const Catalog> EmbeddedCatalog() {
    return {std::shared_ptr<const Catalog>(), &Catalog::Embedded()};
  }
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
  kInstanceType,     // the processor behind the instance type
  kCalibrated,       // any of these, scaled by what the node was measured to draw at its load
  kMeasuredJoules,   // the workload itself was measured on this hardware class
};
std::string_view ToString(PowerBasis basis);

// What a limit may rely on: from labels that a kubelet cannot set, from the catalogue for a place
// that such labels (or a trusted provider's) name. Empty: not attested.
struct Sovereignty {
  std::string provider;
  std::string region;
  std::string country;
  std::string operator_name;
  std::optional<Exposure> exposure;
  std::vector<std::string> certifications;
};

struct ForecastPoint {
  Timestamp time;
  GramsPerKwh intensity;
};

// Everything that is known of one node. Immutable.
struct NodeRecord {
  std::shared_ptr<const NodeFacts> facts;
  std::string grid_zone;
  // Index into Snapshot::hardware_classes(): the accelerator's model, else the processor.
  std::int32_t hardware_class = 0;
  // Watts of an idle vCPU, and what one more busy vCPU adds.
  WattsPerVcpu idle;
  WattsPerVcpu slope;
  PowerBasis power_basis = PowerBasis::kWorldDefault;
  std::string power_source;
  // Nothing where there is no accelerator, or its model is unknown.
  std::optional<GpuPower> gpu;
  Gpus gpus;  // whole accelerators that can be allocated
  Pue pue{1};
  bool pue_exact = false;
  std::string pue_source;
  std::optional<Sourced<GramsPerKwh>> catalog_intensity;
  std::optional<Sourced<GramsPerKwh>> live_intensity;
  std::optional<Sourced<GramsPerKwh>> market_intensity;
  std::vector<ForecastPoint> forecast;  // by time
  std::optional<Sourced<EurosPerHour>> price;
  bool price_estimated = false;
  // Paid beside the node's price.
  std::optional<Sourced<EurosPerKwh>> electricity;
  std::optional<Sourced<Watts>> measured_power;
  // Of the whole machine and of one accelerator; the node's share of its machine.
  std::optional<Published<EmbodiedRow>> server_embodied;
  std::optional<Published<EmbodiedRow>> gpu_embodied;
  Fraction share_of_machine{1};
  Sovereignty sovereignty;
  // How the node's price divides over its resources; together 1.
  Fraction cpu_price_share{1};
  Fraction memory_price_share;
  Fraction gpu_price_share;
};

// What was measured of a workload, or of all that serve a model, on one hardware class.
struct Measurement {
  static constexpr std::int32_t kAnyClass = -1;
  std::int32_t hardware_class = kAnyClass;
  std::optional<UnitsPerHour> requests;
  std::optional<UnitsPerHour> tokens;
  std::optional<JoulesPerUnit> joules_per_request;
  std::optional<JoulesPerUnit> joules_per_token;
  std::string source;
};
using Measurements = std::vector<Measurement>;

// How many values of a signal were believed, and how many were not.
struct SignalCount {
  std::int64_t used = 0;
  std::int64_t stale = 0;
  std::int64_t implausible = 0;
  std::int64_t foreign = 0;    // in a currency without a configured rate
  std::int64_t unmatched = 0;  // no such node, region or hardware class
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
  [[nodiscard]] const Catalog& catalog() const { return *catalog_; }
  [[nodiscard]] const std::vector<std::string>& hardware_classes() const {
    return hardware_classes_;
  }
  // By hardware class, each once; empty where nothing was measured. With a source, what that source
  // measured; without, the newest of any. O(log n).
  [[nodiscard]] const Measurements& OfWorkload(std::string_view namespace_name,
                                               std::string_view workload,
                                               std::string_view source = {}) const;
  [[nodiscard]] const Measurements& OfModel(std::string_view model,
                                            std::string_view source = {}) const;
  // What one unit of the currency is worth; nothing without a configured rate.
  [[nodiscard]] std::optional<double> EurosFor(std::string_view currency) const;
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
  std::shared_ptr<const Catalog> catalog_;
  std::string catalog_version_;
  std::vector<std::string> hardware_classes_;
  std::vector<CurrencyRate> rates_;
  // Keyed by "namespace/workload" or the model; of one source, by that, a newline and the source.
  std::map<std::string, Measurements, std::less<>> workloads_;
  std::map<std::string, Measurements, std::less<>> models_;
  std::vector<std::string> notes_;
  std::array<SignalCount, kSignalCount> counts_;
};

}  // namespace sobre
