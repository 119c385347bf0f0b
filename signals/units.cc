#include "signals/units.h"

#include <algorithm>
#include <array>

namespace sobre {
namespace {

struct KnownUnit {
  std::string_view of;  // the signal's own unit
  std::string_view unit;
  double factor;
};

constexpr double kHoursPerMonth = 730;
constexpr double kKilogramsPerPound = 0.45359237;
// A price's unit stands here with EUR in place of any currency.
constexpr std::array<KnownUnit, 35> kUnits = {{
    {"W", "W", 1},
    {"W", "kW", 1e3},
    {"W", "mW", 1e-3},
    {"W", "uW", 1e-6},
    {"W", "µW", 1e-6},
    {"W", "J/s", 1},
    {"W", "mJ/s", 1e-3},
    {"W", "uJ/s", 1e-6},
    {"J", "J", 1},
    {"J", "mJ", 1e-3},
    {"J", "uJ", 1e-6},
    {"J", "kJ", 1e3},
    {"J", "Wh", 3600},
    {"J", "kWh", 3.6e6},
    {"1", "1", 1},
    {"1", "%", 0.01},
    {"1/s", "1/s", 1},
    {"1/s", "1/min", 1.0 / 60},
    {"1/s", "1/h", 1.0 / 3600},
    {"gCO2e/kWh", "gCO2e/kWh", 1},
    {"gCO2e/kWh", "gCO2/kWh", 1},
    {"gCO2e/kWh", "kgCO2e/MWh", 1},
    {"gCO2e/kWh", "kgCO2/MWh", 1},
    {"gCO2e/kWh", "kgCO2e/kWh", 1e3},
    {"gCO2e/kWh", "kgCO2/kWh", 1e3},
    {"gCO2e/kWh", "tCO2e/MWh", 1e3},
    {"gCO2e/kWh", "gCO2e/MWh", 1e-3},
    {"gCO2e/kWh", "lbCO2e/MWh", kKilogramsPerPound},
    {"gCO2e/kWh", "lbCO2/MWh", kKilogramsPerPound},
    {"EUR/h", "EUR/h", 1},
    {"EUR/h", "EUR/min", 60},
    {"EUR/h", "EUR/day", 1.0 / 24},
    {"EUR/h", "EUR/month", 1 / kHoursPerMonth},
    {"EUR/kWh", "EUR/kWh", 1},
    {"EUR/kWh", "EUR/MWh", 1e-3},
}};

}  // namespace

std::optional<UnitConversion> ConvertUnit(Signal signal, std::string_view unit) {
  const std::string_view own = UnitOf(signal);
  UnitConversion conversion;
  std::string spelt(unit);
  constexpr std::size_t kCode = 3;
  if (own.starts_with("EUR/") && unit.size() > kCode && unit[kCode] == '/') {
    const std::string_view code = unit.substr(0, kCode);
    if (!std::all_of(code.begin(), code.end(), [](char c) { return c >= 'A' && c <= 'Z'; }))
      return std::nullopt;
    if (code != "EUR") conversion.currency = code;
    spelt.replace(0, kCode, "EUR");
  }
  for (const KnownUnit& known : kUnits) {
    if (known.of != own || known.unit != spelt) continue;
    conversion.factor = known.factor;
    return conversion;
  }
  return std::nullopt;
}

std::string UnitsFor(Signal signal) {
  std::string names;
  for (const KnownUnit& known : kUnits) {
    if (known.of == UnitOf(signal)) names += (names.empty() ? "" : ", ") + std::string(known.unit);
  }
  if (UnitOf(signal).starts_with("EUR/")) names += ", or another currency in place of EUR";
  return names;
}

}  // namespace sobre
