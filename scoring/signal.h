#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

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
  kGridForecast,         // gCO2e per kWh as foreseen for a later time
  kNodeCpuPower,         // watts of the node's processors alone
  kNodeGpuPower,         // watts of all the node's accelerators
  kNodeGpuUtilization,   // 0 to 1, mean over the node's accelerators
  kNodeEffectivePrice,   // as kNodePrice, after discounts: what is really paid
  kElectricityForecast,  // as kElectricityPrice, foreseen for a later time
  kPodPower,             // watts that a pod's load adds on its node's processors: without idle
};
inline constexpr std::size_t kSignalCount = 18;
constexpr std::size_t Index(Signal signal) { return static_cast<std::size_t>(signal); }
constexpr Signal SignalAt(std::size_t index) { return static_cast<Signal>(index); }

// What a signal is about, and so by which labels it is joined.
enum class Subject { kNode, kPlace, kWorkload, kModel, kPod };

struct SignalInfo {
  Signal signal;
  std::string_view name;
  std::string_view unit;
  Subject subject;
  // Values outside are set aside: 0 W is what an exporter on a virtual machine says for "unknown".
  double lowest;
  double highest;
  Duration max_age;
  // Sources that differ by less do not disagree, however small the value.
  double noise = 0;
};
const SignalInfo& InfoOf(Signal signal);
// "node_watts", "node_cpu_utilization", "node_price_per_hour", "grid_gco2e_per_kwh", …
std::string_view ToString(Signal signal);
// "W", "1", "EUR/h", "gCO2e/kWh", …
std::string_view UnitOf(Signal signal);
std::optional<Signal> ParseSignal(std::string_view name);
// All names, for messages: "node_watts, node_cpu_utilization, …".
std::string SignalNames();

// How a value came about.
enum class Method {
  kMeasured,
  kEstimated,   // by a model of whoever reports it
  kPublished,   // in a catalogue with its source
  kConfigured,  // by whoever runs Sobre
};
std::string_view ToString(Method method);

// One value that somebody measured or published, in the unit of its signal, not yet believed.
// Node signals carry `node`; those of places `provider` and `region`, or `zone`; those of workloads
// `namespace_name` and `workload` or `pod`, or `model`, and the hardware class that they were
// measured on; those of pods `namespace_name` and `pod`.
struct Observation {
  Signal signal = Signal::kNodePower;
  Method method = Method::kMeasured;
  // Among several sources of one value the lowest rank is believed.
  std::int32_t rank = 0;
  // Of all replicas together: each has its part.
  bool of_all_replicas = false;
  // Its source tells of more than this cluster: what matches nothing here is nobody's mistake, as
  // long as something does.
  bool broad = false;
  // Its counter began anew in the window that it was computed over.
  bool reset = false;
  // A spot node's price that is one already, as its source says.
  bool spot = false;
  // Of a server whose models may be steps of one request, each of which counts it.
  bool may_be_step = false;
  // The label that tells clusters apart, with its value ("cluster=prod"); empty: none has it.
  std::string cluster;
  // What its pod does of a request that two share: "prefill" or "decode"; empty: not told.
  std::string role;
  std::string node;  // a name, or an address with or without a port
  std::string provider;
  std::string region;
  std::string zone;
  std::string namespace_name;
  std::string workload;
  std::string pod;
  std::string model;
  std::string hardware_class;  // empty: the pod's node tells, else any
  std::string currency;        // ISO 4217 of a price; empty: euros
  Duration ahead{0};           // how long after `time` a forecast is for
  Duration max_age{0};         // 0: the signal's own
  double value = 0;
  Timestamp time;
  std::string source;  // name of the configured query, or of the file that told it
};

// What became of a value.
enum class Fate {
  kUsed,
  kStale,
  kImplausible,
  kReset,       // its counter began anew
  kForeign,     // in a currency without a configured rate
  kUnmatched,   // no such node, region, workload or hardware class
  kSuperseded,  // another source is believed
  kDuplicate,   // the same source says it twice
  kAmbiguous,   // of one name in several clusters
};
inline constexpr std::size_t kFateCount = 9;
std::string_view ToString(Fate fate);

// What became of all values of one signal.
struct SignalTally {
  std::array<std::int64_t, kFateCount> count{};
  // Sentences about those that were set aside, each with an example.
  std::array<std::string, kFateCount> said;
  // Two sources differ by over 30 % about the same subject; `disagreement` gives an example.
  std::int64_t disagreements = 0;
  std::string disagreement;
  // Who told the example of each fate, and whether that was a preset.
  struct Teller {
    std::string source;
    bool preset = false;
  };
  std::array<Teller, kFateCount> teller;
  // Of nodes that are not there, as long as others are: nobody's mistake, but told by the doctor.
  std::string strangers;
  // Of the values used.
  std::optional<Timestamp> oldest;
  std::optional<Timestamp> newest;

  [[nodiscard]] std::int64_t of(Fate fate) const { return count[static_cast<std::size_t>(fate)]; }
};

}  // namespace sobre
