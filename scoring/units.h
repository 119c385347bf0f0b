#pragma once

#include <compare>

// Units as types: a number crosses a boundary only with its unit. Arithmetic keeps the unit; a
// product that changes it is spelt out below.
namespace sobre {

template <class Tag>
class Unit {
 public:
  constexpr Unit() = default;
  constexpr explicit Unit(double value) : value_(value) {}
  // The bare number, in the unit that the type names.
  [[nodiscard]] constexpr double value() const { return value_; }
  friend constexpr auto operator<=>(Unit, Unit) = default;
  friend constexpr Unit operator+(Unit a, Unit b) { return Unit(a.value_ + b.value_); }
  friend constexpr Unit operator-(Unit a, Unit b) { return Unit(a.value_ - b.value_); }
  friend constexpr Unit operator*(Unit a, double factor) { return Unit(a.value_ * factor); }
  friend constexpr Unit operator/(Unit a, double divisor) { return Unit(a.value_ / divisor); }
  friend constexpr double operator/(Unit a, Unit b) { return a.value_ / b.value_; }

 private:
  double value_ = 0;
};

using Watts = Unit<struct WattsTag>;
using WattsPerVcpu = Unit<struct WattsPerVcpuTag>;
using Vcpus = Unit<struct VcpusTag>;
// Power usage effectiveness: facility energy over energy of the computers, at least 1.
using Pue = Unit<struct PueTag>;
using GramsPerKwh = Unit<struct GramsPerKwhTag>;    // gCO2e per kWh
using GramsPerHour = Unit<struct GramsPerHourTag>;  // gCO2e per hour
using EurosPerHour = Unit<struct EurosPerHourTag>;
using EurosPerTonne = Unit<struct EurosPerTonneTag>;  // per tonne of CO2e
using UnitsPerHour = Unit<struct UnitsPerHourTag>;    // functional units (requests, say) per hour
// A share or a utilization, 0 to 1.
using Fraction = Unit<struct FractionTag>;

constexpr Watts operator*(WattsPerVcpu slope, Vcpus load) {
  return Watts(slope.value() * load.value());
}
constexpr Watts operator*(Watts power, Pue pue) { return Watts(power.value() * pue.value()); }
constexpr GramsPerHour operator*(Watts power, GramsPerKwh intensity) {
  return GramsPerHour(power.value() * intensity.value() / 1000.0);
}
constexpr EurosPerHour operator*(EurosPerHour price, Fraction share) {
  return EurosPerHour(price.value() * share.value());
}
constexpr EurosPerHour operator*(GramsPerHour emissions, EurosPerTonne price) {
  return EurosPerHour(emissions.value() * price.value() / 1e6);
}

}  // namespace sobre
