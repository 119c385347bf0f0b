#include "scoring/new_capacity.h"

#include "scoring/analysis.h"
#include "scoring/ledger.h"

namespace sobre {
namespace {

// The whole machine's, idle.
Watts IdlePower(const NodeRecord& node, const Coefficients& coefficients) {
  const Resources& size = node.facts->allocatable;
  const Watts memory(coefficients.memory.value() * static_cast<double>(size.memory_bytes) / 1e6);
  const Watts host = node.idle * Vcpus(static_cast<double>(size.millicpu) / 1000.0) + memory;
  return node.gpu ? host + node.gpu->idle * node.gpus : host;
}

std::optional<GramsPerHour> EmbodiedOfNew(const NodeRecord& node) {
  if (!node.server_embodied) return std::nullopt;
  GramsPerHour grams =
      EmbodiedPerHour(node.server_embodied->value, node.share_of_machine.value()).mid;
  if (node.gpus > Gpus(0)) {
    if (!node.gpu_embodied) return std::nullopt;
    grams = grams + EmbodiedPerHour(node.gpu_embodied->value, node.gpus.value()).mid;
  }
  return grams;
}

}  // namespace

void DecideOnNew(const DecisionRequest& request, const Snapshot& snapshot,
                 std::span<const std::int32_t> nodes, Decision& decision) {
  Decide(request, snapshot, nodes, decision);
  decision.ledger = RankedLedger::kNewCapacity;
  for (Candidate& candidate : decision.candidates) {
    if (candidate.node == Snapshot::kUnknownNode) continue;
    const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(candidate.node)];
    const ReportFigures report = Attribute(request, decision, candidate, snapshot);
    const Egress egress = EgressOf(candidate, decision, snapshot);
    PlacementFigures figures;
    figures.power_known = report.power.has_value();
    if (report.power) figures.added_power = report.power->mid + egress.power;
    const auto& intensity = decision.intensity_basis == IntensityBasis::kLive
                                ? node.live_intensity
                                : node.catalog_intensity;
    figures.grams_known = report.total && intensity;
    if (figures.grams_known) figures.grams = report.total->mid + egress.power * intensity->value;
    figures.euros_known = report.euros.has_value();
    if (report.euros) figures.euros = *report.euros + egress.euros;
    candidate.placement = figures;
  }
  Rank(decision);
}

PlacementFigures FiguresOfNew(const NodeRecord& node, std::int64_t count,
                              std::optional<Watts> added, IntensityBasis basis,
                              const Snapshot& snapshot) {
  PlacementFigures figures;
  const auto machines = static_cast<double>(count);
  figures.power_known = added && node.PartsKnown() && (node.gpus <= Gpus(0) || node.gpu);
  if (figures.power_known) {
    figures.added_power =
        (IdlePower(node, snapshot.catalog().coefficients().value) * machines + *added) * node.pue;
  }
  const auto& intensity =
      basis == IntensityBasis::kLive ? node.live_intensity : node.catalog_intensity;
  const auto embodied = EmbodiedOfNew(node);
  figures.grams_known = figures.power_known && intensity && embodied;
  if (figures.grams_known)
    figures.grams = figures.added_power * intensity->value + *embodied * machines;
  // Where electricity is paid apart, a price without it is half a price.
  figures.euros_known = node.price && (figures.power_known || !node.electricity);
  if (!figures.euros_known) return figures;
  figures.euros = node.price->value * machines;
  if (node.electricity)
    figures.euros = figures.euros + figures.added_power * node.electricity->value;
  return figures;
}

}  // namespace sobre
