#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "scoring/catalog.h"
#include "scoring/cluster.h"
#include "scoring/name_index.h"
#include "scoring/node_profile.h"
#include "scoring/power_fit.h"
#include "scoring/signal.h"
#include "scoring/units.h"

namespace sobre {

// What one unit of a foreign currency is worth, as configured.
struct CurrencyRate {
  std::string currency;
  double euros = 0;
  std::string date;  // "2026-11-01"
};

// Of which part of a node measured watts tell.
enum class PowerBoundary {
  kWholeNode,   // at the plug, or all of it that the platform measures
  kProcessors,  // the processors alone: without memory, disks, fans and losses
};

// "whole node", "processors".
std::string_view ToString(PowerBoundary boundary);

// A line that was fitted to one kind of machine, per vCPU or per accelerator.
struct ClassFit {
  std::string machine;  // NodeRecord::machine, or AcceleratorKind()
  PowerBoundary boundary = PowerBoundary::kWholeNode;
  PowerFit fit;
  std::string source;  // who measured the points
  Timestamp time;      // of the newest point
};

// The name of an accelerator's lines: never that of a machine, which a label may call the same.
std::string AcceleratorKind(std::string_view model);

struct SnapshotInput {
  Timestamp time;
  std::vector<std::shared_ptr<const NodeFacts>> nodes;
  // Pods that run, to join what is measured of a pod.
  std::vector<std::shared_ptr<const PodPlacement>> pods;
  std::vector<Observation> observations;
  // More observations, shared with whoever collects them.
  std::vector<std::shared_ptr<const std::vector<Observation>>> batches;
  std::vector<ClassFit> fits;
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
  Method method = Method::kPublished;
};

enum class PowerBasis {
  kWorldDefault,     // nothing known of the provider
  kProviderDefault,  // the provider's average, watts per vCPU
  kInstanceType,     // the processor behind the instance type
  kCalibrated,       // a line through what machines of this kind were measured to draw
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
  friend bool operator==(const Sovereignty&, const Sovereignty&) = default;
};

// What is attested of the nodes of a snapshot, each name once: a limit may use it, as if a row of
// the catalogue knew it. Sorted, as names are compared.
struct AttestedNames {
  std::vector<std::string> operators;  // and providers
  std::vector<std::string> certifications;
  std::vector<std::string> countries;
  std::vector<std::string> regions;  // "provider/region", in lower case
};

struct ForecastPoint {
  Timestamp time;
  GramsPerKwh intensity;
};
struct PriceForecastPoint {
  Timestamp time;
  EurosPerKwh price;
};

// What a node's processors, or its accelerators, were measured to draw at a measured load.
struct MeasuredLoad {
  PowerPoint point;
  PowerBoundary boundary = PowerBoundary::kWholeNode;
  Timestamp time;  // of the older of both measurements
  std::string source;
};

// How far what was committed to is used.
struct CommitmentUse {
  std::string name;
  std::string unit;  // "node" or "vcpu"
  double committed = 0;
  double used = 0;  // never more than was committed
};

// Everything that is known of one node. Immutable.
struct NodeRecord {
  std::shared_ptr<const NodeFacts> facts;
  std::string grid_zone;
  // The catalogue has no row of the zone: its country's stands in.
  bool grid_of_country = false;
  // Machines of one kind draw alike: hardware-class label, else instance type, else processor.
  std::string machine;
  // Index into Snapshot::hardware_classes(): the accelerator's model, else the processor.
  std::int32_t hardware_class = 0;
  // Watts of an idle vCPU, and what one more busy vCPU adds.
  WattsPerVcpu idle;
  WattsPerVcpu slope;
  PowerBasis power_basis = PowerBasis::kWorldDefault;
  std::string power_source;
  Method power_method = Method::kPublished;
  // Where the power is calibrated: how far points lie off the line.
  std::optional<Fraction> power_error;
  // Nothing where there is no accelerator, or its model is unknown.
  std::optional<GpuPower> gpu;
  std::string gpu_source;
  Method gpu_method = Method::kPublished;
  Gpus gpus;  // whole accelerators that can be allocated; 0 where that is not known
  // Why it is not known what one that a pod asks for is; empty where it is.
  std::string gpus_unknown;
  // Further accelerators that it lists, of which nobody knows what they are: "habana.ai/gaudi".
  std::string uncounted;
  Pue pue{1};
  bool pue_exact = false;
  std::string pue_source;
  std::optional<Sourced<GramsPerKwh>> catalog_intensity;
  std::optional<Sourced<GramsPerKwh>> live_intensity;
  std::optional<Sourced<GramsPerKwh>> market_intensity;
  std::vector<ForecastPoint> forecast;  // by time
  std::vector<PriceForecastPoint> electricity_forecast;
  // What is paid, and what would be without discounts, where that is known.
  std::optional<Sourced<EurosPerHour>> price;
  std::optional<Sourced<EurosPerHour>> list_price;
  bool price_estimated = false;
  // Paid beside the node's price.
  std::optional<Sourced<EurosPerKwh>> electricity;
  std::optional<Sourced<Watts>> measured_power;
  std::optional<Sourced<Watts>> measured_cpu_power;
  std::optional<Sourced<Watts>> measured_gpu_power;
  std::optional<MeasuredLoad> host_load;  // per vCPU
  std::optional<MeasuredLoad> gpu_load;   // per accelerator
  // Of the whole machine and of one accelerator; the node's share of its machine.
  std::optional<Published<EmbodiedRow>> server_embodied;
  std::optional<Published<EmbodiedRow>> gpu_embodied;
  Fraction share_of_machine{1};
  Sovereignty sovereignty;
  // How the node's price divides over its resources; together 1.
  Fraction cpu_price_share{1};
  Fraction memory_price_share;
  Fraction gpu_price_share;

  [[nodiscard]] bool HasAccelerators() const {
    return gpus > Gpus(0) || !gpus_unknown.empty() || !uncounted.empty();
  }
  // Whether it is known how many cards it has.
  [[nodiscard]] bool GpusCounted() const { return gpus > Gpus(0) || gpus_unknown.empty(); }
  // Whether all that it is made of is counted: else neither is its price told from that of its
  // parts, nor what a new one like it takes.
  [[nodiscard]] bool PartsKnown() const { return uncounted.empty() && GpusCounted(); }
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
  Timestamp time;
  Method method = Method::kMeasured;
};
using Measurements = std::vector<Measurement>;

// All that a decision may know, at one moment: immutable, shared between threads, swapped whole.
class Snapshot {
 public:
  // Judges the observations by age and plausibility and joins them to the nodes. Pure: the same
  // input, in any order, gives the same snapshot.
  static std::shared_ptr<const Snapshot> Build(SnapshotInput input);

  // A snapshot as far as one decision read it, from what was recorded: no signal is judged again.
  struct Parts;
  static std::shared_ptr<const Snapshot> Restore(Parts parts);

  static constexpr std::int32_t kUnknownNode = NameIndex::kNone;
  // The node's index, or kUnknownNode. O(1), does not allocate.
  [[nodiscard]] std::int32_t Find(std::string_view name) const { return names_.Find(name); }
  // The same for many, into as many `nodes`.
  void FindAll(std::span<const std::string_view> names, std::int32_t* nodes) const {
    names_.FindAll(names, nodes);
  }
  [[nodiscard]] const std::vector<NodeRecord>& nodes() const { return nodes_; }
  // What their scores are made of.
  [[nodiscard]] const NodeProfiles& profiles() const { return profiles_; }
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
  // All of them, by "namespace/workload" and by model; what one source measured has its name after
  // a newline.
  using MeasurementsByName = std::map<std::string, Measurements, std::less<>>;
  [[nodiscard]] const MeasurementsByName& workloads() const { return workloads_; }
  [[nodiscard]] const MeasurementsByName& models() const { return models_; }
  // How they are keyed.
  static std::string KeyOf(std::string_view name, std::string_view source);
  [[nodiscard]] const std::vector<CurrencyRate>& rates() const { return rates_; }
  // What one unit of the currency is worth; nothing without a configured rate.
  [[nodiscard]] std::optional<double> EurosFor(std::string_view currency) const;
  // Watts that the pod was measured to add on its node's processors, without idle and overhead.
  [[nodiscard]] std::optional<Watts> PowerOfPod(std::string_view namespace_name,
                                                std::string_view pod) const;
  // What is missing, stale or implausible, in sentences; each decision made on this repeats them.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  // What became of the observations, by signal.
  [[nodiscard]] const std::array<SignalTally, kSignalCount>& tallies() const { return tallies_; }
  [[nodiscard]] const std::vector<CommitmentUse>& commitments() const { return commitments_; }
  [[nodiscard]] const AttestedNames& attested() const { return attested_; }

 private:
  friend class SnapshotBuilder;
  Snapshot() = default;
  void IndexNames();
  void IndexAttested();

  Timestamp time_;
  std::vector<NodeRecord> nodes_;
  NameIndex names_;
  NodeProfiles profiles_;
  std::shared_ptr<const Catalog> catalog_;
  std::string catalog_version_;
  std::vector<std::string> hardware_classes_;
  std::vector<CurrencyRate> rates_;
  MeasurementsByName workloads_;
  MeasurementsByName models_;
  std::unordered_map<std::string, Watts> pod_power_;  // by "namespace/name"
  std::vector<std::string> notes_;
  std::array<SignalTally, kSignalCount> tallies_;
  std::vector<CommitmentUse> commitments_;
  AttestedNames attested_;
};

// Nodes keep their order; each hardware class is an index into `hardware_classes`.
struct Snapshot::Parts {
  Timestamp time;
  std::vector<NodeRecord> nodes;
  std::vector<std::string> hardware_classes;
  std::vector<CurrencyRate> rates;
  MeasurementsByName workloads;
  MeasurementsByName models;
  std::shared_ptr<const Catalog> catalog;
};

}  // namespace sobre
