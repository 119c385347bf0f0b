#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "scoring/signal.h"

namespace sobre {

// What makes the signal's own unit of another one.
struct UnitConversion {
  double factor = 1;
  std::string currency;  // of a price; empty: euros
};

// "mW", "kW" or "J/s" for watts, "%" for a share, "lbCO2e/MWh" for an intensity, "USD/h",
// "EUR/MWh", "1/min", …; nothing for a unit that the signal cannot have.
std::optional<UnitConversion> ConvertUnit(Signal signal, std::string_view unit);
// Those that ConvertUnit knows, for messages.
std::string UnitsFor(Signal signal);

}  // namespace sobre
