#include "scoring/footprint.h"

#include "scoring/power.h"

namespace sobre {
namespace {

KilowattHours CpuEnergy(const FootprintRequest::Cpu& cpu, Hours duration) {
  if (cpu.vcpu_hours) {
    const Watts each = cpu.model == FootprintRequest::CpuModel::kTeads
                           ? TeadsPower(cpu.thermal_design_power, cpu.utilization)
                           : LinearPower(cpu.idle, cpu.full, cpu.utilization);
    return WattsPerVcpu(each.value()) * *cpu.vcpu_hours;
  }
  const Watts power = cpu.model == FootprintRequest::CpuModel::kTeads
                          ? TeadsPower(cpu.thermal_design_power, cpu.utilization)
                          : LinearPower(cpu.idle, cpu.full, cpu.utilization);
  return power * cpu.share * duration;
}

}  // namespace

Grams EmbodiedShare(Grams total, Hours reserved, Hours lifetime, Fraction share) {
  return total * (reserved / lifetime) * share.value();
}

Footprint ComputeFootprint(const FootprintRequest& request, const Coefficients& coefficients) {
  Footprint footprint;
  bool teads = false;
  bool linear = false;
  KilowattHours energy;
  for (const FootprintRequest::Cpu& cpu : request.cpus) {
    energy = energy + CpuEnergy(cpu, request.duration);
    (cpu.model == FootprintRequest::CpuModel::kTeads ? teads : linear) = true;
  }
  energy = energy + coefficients.memory * request.memory + coefficients.ssd * request.ssd +
           coefficients.hdd * request.hdd + coefficients.network * request.network;
  for (const KilowattHours given : request.energy) energy = energy + given;
  footprint.energy = energy * request.pue * request.replication.value();
  if (request.grid) {
    footprint.operational = footprint.energy * *request.grid;
  } else if (footprint.energy == KilowattHours(0)) {
    footprint.operational = Grams(0);
  }
  for (const FootprintRequest::Embodied& part : request.embodied) {
    footprint.embodied =
        footprint.embodied + EmbodiedShare(part.total, part.used, part.lifetime, part.share);
  }
  if (footprint.operational) footprint.total = *footprint.operational + footprint.embodied;
  for (const FootprintRequest::Price& price : request.prices) {
    footprint.euros = footprint.euros.value_or(Euros(0)) + price.fixed +
                      price.per_hour * price.share * price.time + footprint.energy * price.per_kwh;
  }
  if (request.units) {
    if (footprint.total)
      footprint.grams_per_unit = footprint.total->value() / request.units->value();
    if (footprint.euros)
      footprint.euros_per_unit = footprint.euros->value() / request.units->value();
  }
  footprint.method =
      "SCI = (E · I + M) / R, location-based (Green Software Foundation, SPEC 1.1.0)";
  if (teads) footprint.method += "; processor by the Teads curve";
  if (linear) footprint.method += "; processor linear between idle and full load";
  if (!footprint.operational) footprint.method += "; no grid intensity given: operational unknown";
  return footprint;
}

}  // namespace sobre
