#include <gtest/gtest.h>

#include "scoring/embodied.h"
#include "scoring/footprint.h"
#include "scoring/llm.h"
#include "scoring/power.h"

// Worked examples that others published, to the digits that they print.
namespace sobre {
namespace {

void ExpectRelative(double actual, double expected, double relative = 1e-12) {
  EXPECT_NEAR(actual, expected, std::abs(expected) * relative);
}

const Coefficients& Coefficient() { return Catalog::Embedded().coefficients().value; }

TEST(Golden, SciSpecificationEmbodied) {
  const Grams share = EmbodiedShare(Grams(1e6), Hours(1), Hours(4 * 8760), Fraction(1));
  ExpectRelative(share.value(), 28.538812785388128);
  EXPECT_NEAR(share.value(), 28.5388, 5e-5);  // as the specification rounds it
}

TEST(Golden, ImpactFrameworkPipelineSci) {
  const auto run = [](double seconds, double load) {
    FootprintRequest request;
    FootprintRequest::Cpu cpu;
    cpu.thermal_design_power = Watts(100);
    cpu.utilization = Fraction(load);
    cpu.share = Fraction(2.0 / 8.0);
    request.cpus.push_back(cpu);
    request.duration = Hours(seconds / 3600);
    request.energy.emplace_back(1e-6);
    request.grid = GramsPerKwh(800);
    request.embodied.push_back(
        {Grams(1e6), Hours(126'144'000.0 / 3600), Hours(seconds / 3600), Fraction(1)});
    return ComputeFootprint(request, Coefficient());
  };
  const Footprint second = run(1, 0.5);
  ExpectRelative(second.energy.value(), 6.208333333333333e-6);
  ExpectRelative(second.operational->value(), 0.004966666666666666);
  ExpectRelative(second.embodied.value(), 0.007927447995941146);
  ExpectRelative(second.total->value(), 0.012894114662607812);
  const Footprint half_minute = run(30, 0.15);
  ExpectRelative(half_minute.operational->value(), 0.06309166666666667);
  ExpectRelative(half_minute.embodied.value(), 0.2378234398782344);
  ExpectRelative(half_minute.total->value(), 0.30091510654490106);
}

TEST(Golden, ImpactFrameworkTeadsCurve) {
  const auto energy = [](double load) {
    return (TeadsPower(Watts(100), Fraction(load)) * Fraction(2.0 / 8.0) * Hours(0.1)).value();
  };
  ExpectRelative(energy(0.01), 0.00035);
  ExpectRelative(energy(1), 0.00255);
}

TEST(Golden, ImpactFrameworkInterpolationAndSci) {
  ExpectRelative(TeadsShare(Fraction(0.45)).value(), 0.69625);
  FootprintRequest request;
  request.embodied.push_back({Grams(5.02), Hours(1), Hours(1), Fraction(1)});
  request.units = Units(100);
  ExpectRelative(*ComputeFootprint(request, Coefficient()).grams_per_unit, 0.0502);
}

TEST(Golden, CloudCarbonFootprintComputeEstimator) {
  FootprintRequest request;
  FootprintRequest::Cpu cpu;
  cpu.model = FootprintRequest::CpuModel::kLinear;
  cpu.idle = Watts(0.71);
  cpu.full = Watts(3.46);
  cpu.utilization = Fraction(0.01);
  cpu.vcpu_hours = VcpuHours(1);
  request.cpus.push_back(cpu);
  request.pue = Pue(1.135);
  request.replication = Fraction(2);
  request.grid = GramsPerKwh(415.755);
  const Footprint footprint = ComputeFootprint(request, Coefficient());
  ExpectRelative(footprint.energy.value(), 0.0016741249999999998);
  ExpectRelative(footprint.operational->value(), 6.960258393749999e-7 * 1e6);
}

TEST(Golden, BoaviztaUse) {
  ExpectRelative((Watts(120) * Hours(2) * GramsPerKwh(98)).value(), 23.52);
}

TEST(Golden, BoaviztaSingleServerParts) {
  EXPECT_EQ(kAssemblyEmbodied, Grams(6680));
  EXPECT_EQ(kMotherboardEmbodied, Grams(66'100));
  EXPECT_EQ(kRackCaseEmbodied, Grams(150'000));
}

// Not published examples: the formulae of the same source, by hand.
TEST(Embodied, PartsFollowTheirFormulae) {
  ExpectRelative(ProcessorEmbodied({100}).value(), 11'110);
  ExpectRelative(MemoryEmbodied(Gigabytes(32), {0.5}).value(), 146'020);
  ExpectRelative(SsdEmbodied(Gigabytes(1000), {50}).value(), 50'340);
  ExpectRelative(PowerSupplyEmbodied({2}).value(), 48'600);
}

TEST(Golden, KeplerAttribution) {
  const SplitPower first = SplitMeasuredPower(Watts(40), Fraction(0.25));
  EXPECT_EQ(first.active, Watts(10));
  EXPECT_EQ(first.idle, Watts(30));
  EXPECT_EQ(first.active * Fraction(0.2), Watts(2));
  const SplitPower second = SplitMeasuredPower(Watts(60), Fraction(1.0 / 3.0));
  ExpectRelative((second.active * Fraction(200.0 / 1000.0)).value(), 4);
}

TEST(Golden, SciCaseStudyDatabase) {
  FootprintRequest request;
  request.energy.emplace_back(0.0096);
  request.grid = GramsPerKwh(951);
  request.embodied.push_back({Grams(5.112), Hours(1), Hours(1), Fraction(1)});
  ExpectRelative(ComputeFootprint(request, Coefficient()).total->value(), 14.2416);
}

TEST(Golden, EcoLogitsLlmRequest) {
  const KilowattHours energy = EstimateLlmEnergy({7.3, 7.3, 200, Pue(1.26), 5});
  ExpectRelative(energy.value(), 1.536243521642994e-5);
  ExpectRelative((energy * GramsPerKwh(590.478)).value(), 9.071180021727118e-6 * 1000);
}

}  // namespace
}  // namespace sobre
