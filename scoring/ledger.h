#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "scoring/energy_class.h"
#include "scoring/power.h"
#include "scoring/snapshot.h"
#include "scoring/units.h"

// Two questions about a pod on a node, never added up. The placement ledger: what changes if the
// pod goes there. The report ledger: what the pod answers for once it runs there. Pure functions.
namespace sobre {

// Whose figures a decision was ranked by: what changes if the pod goes to a node that is there, or
// what the pod answers for on a machine that would be had for it.
enum class RankedLedger { kPlacement, kNewCapacity };
std::string_view ToString(RankedLedger ledger);

// What a pod asks of any node.
struct Demand {
  Resources requests;  // with kube-scheduler's own assumptions where nothing is requested
  Fraction utilization;
  Vcpus vcpus;
  Gigabytes memory;
  Vcpus busy_vcpus;
  // Why the devices that it asks for are not known; empty where they are, or it asks for none. Then
  // nothing is known of what it takes of any node.
  std::string unknown_devices;
};
Demand DemandOf(const Resources& requests, Fraction expected_utilization);
// Of what the pod asks for, what is not understood, in words; empty where all of it is.
std::string UnknownDevices(const PodFacts& pod, const Catalog& catalog);

constexpr double RatioOf(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

// Whole accelerators that the demand takes on this node: time-sliced shares and partitions count by
// their fraction. No value where the node has not what is asked for, or nobody knows what that is.
inline std::optional<Gpus> GpusOn(const Demand& demand, const NodeProfile& node) {
  const std::int64_t gpus = demand.requests.gpus;
  const std::int64_t slices = demand.requests.gpu_slices;
  if ((gpus > 0 && node.gpu_replicas <= 0) || (slices > 0 && node.gpu_slices <= 0))
    return std::nullopt;
  Gpus sum(0);
  if (gpus > 0) sum = sum + Gpus(RatioOf(gpus, node.gpu_replicas));
  if (slices > 0) sum = sum + Gpus(RatioOf(slices, node.gpu_slices));
  return sum;
}

// Whether it is known which devices of the node the demand takes.
inline bool DevicesKnown(const Demand& demand, const NodeProfile& node) {
  return demand.unknown_devices.empty() &&
         (!demand.requests.UsesGpu() || GpusOn(demand, node).has_value());
}

// The share of the node that the pod takes from everybody else: that of its scarcest resource. No
// value where the node has not what is asked for.
inline std::optional<Fraction> DominantShare(const Demand& demand, const NodeProfile& node) {
  if (node.millicpu <= 0 || node.memory_bytes <= 0 || !DevicesKnown(demand, node))
    return std::nullopt;
  double share = std::max(RatioOf(demand.requests.millicpu, node.millicpu),
                          RatioOf(demand.requests.memory_bytes, node.memory_bytes));
  if (demand.requests.UsesGpu()) {
    if (node.gpus <= Gpus(0)) return std::nullopt;
    share = std::max(share, *GpusOn(demand, node) / node.gpus);
  }
  return Fraction(std::min(share, 1.0));
}
// The pod's part of the node's price by resource; over all pods of a full node it adds up to 1. No
// value where nobody knows how many cards it divides over.
std::optional<Fraction> PriceShare(const Demand& demand, const NodeRecord& node);

// Placement: watts that the load adds to a node that is on already, without PUE. No value for an
// accelerator of unknown model, nor for devices that are not known.
inline std::optional<Watts> MarginalPower(const Demand& demand, const NodeProfile& node) {
  if (!DevicesKnown(demand, node)) return std::nullopt;
  const Watts processor = node.slope * demand.busy_vcpus;
  if (!demand.requests.UsesGpu()) return processor;
  if (!node.gpu_active) return std::nullopt;
  return processor + *node.gpu_active * *GpusOn(demand, node) * demand.utilization;
}
// Report: that, and the idle watts of what is reserved (vCPUs, memory, accelerators).
std::optional<SplitPower> AttributedPower(const Demand& demand, const NodeRecord& node,
                                          const Coefficients& coefficients);

// Why what the demand draws on the node is unknown: what is, and what of it ("accelerator model
// unknown", "it has no label nvidia.com/gpu.product"). No value where it is known.
struct UnknownCause {
  std::string what;
  std::string why;
  bool euros_unknown = false;  // it is not known either what part of the node the pod takes
  friend auto operator<=>(const UnknownCause&, const UnknownCause&) = default;
};
std::optional<UnknownCause> WhyPowerIsUnknown(const Demand& demand, const NodeRecord& node);

// What that share of the hardware answers for per hour of its lifetime.
Range<GramsPerHour> EmbodiedPerHour(const EmbodiedRow& hardware, double share);

// Figures of the placement ledger; an unknown one is not to be read. Power includes PUE.
struct PlacementFigures {
  bool power_known = false;
  bool grams_known = false;
  bool euros_known = false;
  Watts added_power;
  GramsPerHour grams;
  EurosPerHour euros;
};

// Figures of the report ledger, per hour; an unknown one is absent. Power includes PUE.
struct ReportFigures {
  std::optional<Range<Watts>> power;
  // Location-based: ranked, compared, limited.
  std::optional<Range<GramsPerHour>> operational;
  // Beside it, where a contract's factor is configured; never ranked.
  std::optional<GramsPerHour> operational_market;
  std::optional<Range<GramsPerHour>> embodied;
  // operational + embodied
  std::optional<Range<GramsPerHour>> total;
  std::optional<EurosPerHour> euros;
  std::optional<ClassLetter> energy_class;
  std::optional<ClassLetter> carbon_class;
};

// A batch job's pod as a whole, apart from all figures per request.
struct RunTotals {
  std::optional<KilowattHours> energy;
  std::optional<Range<Grams>> total;
  std::optional<Euros> euros;
};
RunTotals TotalsOfRun(const ReportFigures& report, Hours duration);

}  // namespace sobre
