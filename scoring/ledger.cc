#include "scoring/ledger.h"

#include <algorithm>

#include "base/text.h"

namespace sobre {
namespace {

// What kube-scheduler itself assumes of a container that requests nothing.
constexpr std::int64_t kDefaultMillicpu = 100;
constexpr std::int64_t kDefaultMemoryBytes = 200LL * 1024 * 1024;

}  // namespace

std::string_view ToString(RankedLedger ledger) {
  return ledger == RankedLedger::kPlacement ? "placement" : "new capacity";
}

Demand DemandOf(const Resources& requests, Fraction expected_utilization) {
  Demand demand{requests, expected_utilization, {}, {}, {}, {}};
  if (demand.requests.millicpu == 0) demand.requests.millicpu = kDefaultMillicpu;
  if (demand.requests.memory_bytes == 0) demand.requests.memory_bytes = kDefaultMemoryBytes;
  demand.vcpus = Vcpus(static_cast<double>(demand.requests.millicpu) / 1000.0);
  demand.memory = Gigabytes(static_cast<double>(demand.requests.memory_bytes) / 1e9);
  demand.busy_vcpus = demand.vcpus * expected_utilization.value();
  return demand;
}

std::optional<Fraction> PriceShare(const Demand& demand, const NodeRecord& node) {
  const Resources& size = node.facts->allocatable;
  const NodeProfile profile = ProfileOf(node);
  if (size.millicpu <= 0 || size.memory_bytes <= 0 || !node.GpusCounted() ||
      !DevicesKnown(demand, profile))
    return std::nullopt;
  double share =
      node.cpu_price_share.value() * RatioOf(demand.requests.millicpu, size.millicpu) +
      node.memory_price_share.value() * RatioOf(demand.requests.memory_bytes, size.memory_bytes);
  if (demand.requests.UsesGpu()) {
    if (node.gpus <= Gpus(0)) return std::nullopt;
    share += node.gpu_price_share.value() * (*GpusOn(demand, profile) / node.gpus);
  }
  return Fraction(std::min(share, 1.0));
}

std::optional<SplitPower> AttributedPower(const Demand& demand, const NodeRecord& node,
                                          const Coefficients& coefficients) {
  const NodeProfile profile = ProfileOf(node);
  const std::optional<Watts> active = MarginalPower(demand, profile);
  if (!active) return std::nullopt;
  Watts idle = node.idle * demand.vcpus +
               Watts(coefficients.memory.value() * demand.memory.value() * 1000.0);
  if (node.gpu) idle = idle + node.gpu->idle * *GpusOn(demand, profile);
  return SplitPower{*active, idle};
}

std::string UnknownDevices(const PodFacts& pod, const Catalog& catalog) {
  if (pod.has_resource_claims) return "its resource claims cannot be read";
  std::string names;
  for (const std::string& device : pod.requests.devices) {
    if (catalog.DrawsNothing(device).value_or(false)) continue;
    (names += names.empty() ? "" : ", ") += Printable(device);
  }
  if (names.empty()) return names;
  return "what it asks for is not understood: " + names;
}

std::optional<UnknownCause> WhyPowerIsUnknown(const Demand& demand, const NodeRecord& node) {
  if (!demand.unknown_devices.empty())
    return UnknownCause{demand.unknown_devices, "", /*euros_unknown=*/true};
  if (!demand.requests.UsesGpu()) return std::nullopt;
  if (!GpusOn(demand, ProfileOf(node))) {
    return UnknownCause{"accelerators unknown",
                        !node.gpus_unknown.empty() ? node.gpus_unknown
                                                   : "it lists none of the kind that is asked for",
                        /*euros_unknown=*/true};
  }
  if (node.gpu) return std::nullopt;
  const std::string& model = node.facts->gpu_model;
  return UnknownCause{"accelerator model unknown",
                      model.empty() ? "it has no label nvidia.com/gpu.product"
                                    : "no row of gpu.csv is about " + Printable(model),
                      /*euros_unknown=*/false};
}

Range<GramsPerHour> EmbodiedPerHour(const EmbodiedRow& hardware, double share) {
  return {hardware.total.low * share / hardware.lifetime,
          hardware.total.mid * share / hardware.lifetime,
          hardware.total.high * share / hardware.lifetime};
}

RunTotals TotalsOfRun(const ReportFigures& report, Hours duration) {
  RunTotals totals;
  if (report.power) totals.energy = report.power->mid * duration;
  if (report.total) {
    const auto over = [&](GramsPerHour rate) { return Grams(rate.value() * duration.value()); };
    totals.total = {over(report.total->low), over(report.total->mid), over(report.total->high)};
  }
  if (report.euros) totals.euros = *report.euros * duration;
  return totals;
}

}  // namespace sobre
