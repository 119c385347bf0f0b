#include "scoring/ledger.h"

#include <algorithm>

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
  Demand demand{requests, expected_utilization, {}, {}, {}};
  if (demand.requests.millicpu == 0) demand.requests.millicpu = kDefaultMillicpu;
  if (demand.requests.memory_bytes == 0) demand.requests.memory_bytes = kDefaultMemoryBytes;
  demand.vcpus = Vcpus(static_cast<double>(demand.requests.millicpu) / 1000.0);
  demand.memory = Gigabytes(static_cast<double>(demand.requests.memory_bytes) / 1e9);
  demand.busy_vcpus = demand.vcpus * expected_utilization.value();
  return demand;
}

std::optional<Fraction> PriceShare(const Demand& demand, const NodeRecord& node) {
  const Resources& size = node.facts->allocatable;
  if (size.millicpu <= 0 || size.memory_bytes <= 0) return std::nullopt;
  double share =
      node.cpu_price_share.value() * RatioOf(demand.requests.millicpu, size.millicpu) +
      node.memory_price_share.value() * RatioOf(demand.requests.memory_bytes, size.memory_bytes);
  if (demand.requests.UsesGpu()) {
    if (node.gpus <= Gpus(0)) return std::nullopt;
    share += node.gpu_price_share.value() * (GpusOn(demand, ProfileOf(node)) / node.gpus);
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
  if (node.gpu) idle = idle + node.gpu->idle * GpusOn(demand, profile);
  return SplitPower{*active, idle};
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
