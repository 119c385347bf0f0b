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
using WattsPerGigabyte = Unit<struct WattsPerGigabyteTag>;
using Vcpus = Unit<struct VcpusTag>;
// Accelerators; a share of one counts as a fraction.
using Gpus = Unit<struct GpusTag>;
using Hours = Unit<struct HoursTag>;
using VcpuHours = Unit<struct VcpuHoursTag>;
using Gigabytes = Unit<struct GigabytesTag>;  // 10^9 bytes
using GigabyteHours = Unit<struct GigabyteHoursTag>;
using TerabyteHours = Unit<struct TerabyteHoursTag>;
using KilowattHours = Unit<struct KilowattHoursTag>;
using KwhPerGigabyte = Unit<struct KwhPerGigabyteTag>;
using KwhPerGigabyteHour = Unit<struct KwhPerGigabyteHourTag>;
using KwhPerTerabyteHour = Unit<struct KwhPerTerabyteHourTag>;
// Power usage effectiveness: facility energy over energy of the computers, at least 1.
using Pue = Unit<struct PueTag>;
using Grams = Unit<struct GramsTag>;                // gCO2e
using GramsPerKwh = Unit<struct GramsPerKwhTag>;    // gCO2e per kWh
using GramsPerHour = Unit<struct GramsPerHourTag>;  // gCO2e per hour
using Euros = Unit<struct EurosTag>;
using EurosPerHour = Unit<struct EurosPerHourTag>;
using EurosPerKwh = Unit<struct EurosPerKwhTag>;
using EurosPerGigabyte = Unit<struct EurosPerGigabyteTag>;
using EurosPerTonne = Unit<struct EurosPerTonneTag>;  // per tonne of CO2e
// Functional units (requests, say), and how many an hour serves.
using Units = Unit<struct UnitsTag>;
using UnitsPerHour = Unit<struct UnitsPerHourTag>;
// Energy of one functional unit.
using JoulesPerUnit = Unit<struct JoulesPerUnitTag>;
using GigabytesPerUnit = Unit<struct GigabytesPerUnitTag>;
using GigabytesPerHour = Unit<struct GigabytesPerHourTag>;
// A share or a utilization, 0 to 1.
using Fraction = Unit<struct FractionTag>;

constexpr Watts operator*(WattsPerVcpu slope, Vcpus load) {
  return Watts(slope.value() * load.value());
}
constexpr Watts operator*(Watts each, Gpus gpus) { return Watts(each.value() * gpus.value()); }
constexpr Watts operator*(Watts power, Pue pue) { return Watts(power.value() * pue.value()); }
constexpr Watts operator*(Watts power, Fraction share) {
  return Watts(power.value() * share.value());
}
constexpr KilowattHours operator*(Watts power, Hours time) {
  return KilowattHours(power.value() * time.value() / 1000.0);
}
constexpr KilowattHours operator*(WattsPerVcpu power, VcpuHours time) {
  return KilowattHours(power.value() * time.value() / 1000.0);
}
constexpr KilowattHours operator*(KwhPerGigabyte energy, Gigabytes data) {
  return KilowattHours(energy.value() * data.value());
}
constexpr KilowattHours operator*(KwhPerGigabyteHour energy, GigabyteHours held) {
  return KilowattHours(energy.value() * held.value());
}
constexpr KilowattHours operator*(KwhPerTerabyteHour energy, TerabyteHours held) {
  return KilowattHours(energy.value() * held.value());
}
constexpr KilowattHours operator*(KilowattHours energy, Pue pue) {
  return KilowattHours(energy.value() * pue.value());
}
constexpr Grams operator*(KilowattHours energy, GramsPerKwh intensity) {
  return Grams(energy.value() * intensity.value());
}
constexpr Euros operator*(KilowattHours energy, EurosPerKwh price) {
  return Euros(energy.value() * price.value());
}
constexpr Euros operator*(EurosPerHour price, Hours time) {
  return Euros(price.value() * time.value());
}
constexpr GramsPerHour operator*(Watts power, GramsPerKwh intensity) {
  return GramsPerHour(power.value() * intensity.value() / 1000.0);
}
constexpr EurosPerHour operator*(Watts power, EurosPerKwh price) {
  return EurosPerHour(power.value() * price.value() / 1000.0);
}
constexpr EurosPerHour operator*(EurosPerHour price, Fraction share) {
  return EurosPerHour(price.value() * share.value());
}
constexpr EurosPerHour operator*(GramsPerHour emissions, EurosPerTonne price) {
  return EurosPerHour(emissions.value() * price.value() / 1e6);
}
constexpr Grams operator*(GramsPerHour emissions, Hours time) {
  return Grams(emissions.value() * time.value());
}
constexpr GramsPerHour operator/(Grams total, Hours time) {
  return GramsPerHour(total.value() / time.value());
}

constexpr Watts operator*(JoulesPerUnit each, UnitsPerHour rate) {
  return Watts(each.value() * rate.value() / 3600.0);
}
constexpr Watts operator*(KwhPerGigabyte energy, GigabytesPerHour rate) {
  return Watts(energy.value() * rate.value() * 1000.0);
}
constexpr GigabytesPerHour operator*(GigabytesPerUnit each, UnitsPerHour rate) {
  return GigabytesPerHour(each.value() * rate.value());
}
constexpr EurosPerHour operator*(EurosPerGigabyte price, GigabytesPerHour rate) {
  return EurosPerHour(price.value() * rate.value());
}

// A figure with its uncertainty: low <= mid <= high.
template <class T>
struct Range {
  T low;
  T mid;
  T high;
  friend constexpr Range operator+(const Range& a, const Range& b) {
    return {a.low + b.low, a.mid + b.mid, a.high + b.high};
  }
  friend constexpr Range operator*(const Range& a, double factor) {
    return {a.low * factor, a.mid * factor, a.high * factor};
  }
};

}  // namespace sobre
