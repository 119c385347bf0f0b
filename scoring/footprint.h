#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scoring/catalog.h"
#include "scoring/units.h"

// The arithmetic of the Software Carbon Intensity specification: SCI = (E · I + M) / R (Green
// Software Foundation, SPEC 1.1.0; ISO/IEC 21031). Pure functions, safe from any thread.
namespace sobre {

// M = total · reserved time / lifetime · reserved share of the resources.
Grams EmbodiedShare(Grams total, Hours reserved, Hours lifetime, Fraction share);

// What `sobre footprint` is asked. Everything is optional; energies add up.
struct FootprintRequest {
  enum class CpuModel { kTeads, kLinear };
  struct Cpu {
    CpuModel model = CpuModel::kTeads;
    Watts thermal_design_power;  // kTeads
    // kLinear: of the whole processor; of one vCPU where vcpu_hours is set.
    Watts idle;
    Watts full;
    Fraction utilization{1};
    // Share of the processor that is reserved.
    Fraction share{1};
    std::optional<VcpuHours> vcpu_hours;
  };
  std::vector<Cpu> cpus;
  GigabyteHours memory;
  TerabyteHours ssd;
  TerabyteHours hdd;
  Gigabytes network;
  Hours duration;
  std::vector<KilowattHours> energy;
  Pue pue{1};
  // How many times all of it is kept.
  Fraction replication{1};
  std::optional<GramsPerKwh> grid;
  struct Embodied {
    Grams total;
    Hours lifetime{35'040};
    Hours used;
    Fraction share{1};
  };
  std::vector<Embodied> embodied;
  std::optional<Units> units;
  struct Price {
    Euros fixed;
    EurosPerHour per_hour;
    Hours time;
    Fraction share{1};
    EurosPerKwh per_kwh;  // of all energy
  };
  std::vector<Price> prices;
};

// A figure is absent where what it hangs on was not given.
struct Footprint {
  KilowattHours energy;
  std::optional<Grams> operational;
  Grams embodied;
  std::optional<Grams> total;
  std::optional<double> grams_per_unit;
  std::optional<Euros> euros;
  std::optional<double> euros_per_unit;
  // The formulae that were used, in words.
  std::string method;
};

Footprint ComputeFootprint(const FootprintRequest& request, const Coefficients& coefficients);

}  // namespace sobre
