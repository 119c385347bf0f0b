#pragma once

#include <span>

#include "scoring/units.h"

// Power models. Pure functions, safe from any thread.
namespace sobre {

struct CurvePoint {
  double x;
  double y;
};
// Piecewise linear through the points, which stand by rising x; constant beyond the ends.
// Source: Impact Framework, `interpolation`.
double Interpolate(std::span<const CurvePoint> points, double x);

// P(u) = idle + u · (full − idle). Source: Cloud Carbon Footprint, methodology, "compute".
Watts LinearPower(Watts idle, Watts full, Fraction load);
WattsPerVcpu LinearPower(WattsPerVcpu idle, WattsPerVcpu full, Fraction load);

// Share of the thermal design power that a processor draws at a load: 0.12, 0.32, 0.75 and 1.02 at
// 0, 10, 50 and 100 %. Source: Teads, "Building an AWS EC2 carbon emissions dataset" (2021).
Fraction TeadsShare(Fraction load);
Watts TeadsPower(Watts thermal_design_power, Fraction load);

// A measured power split into what the load caused and what would be drawn without it.
// Source: Kepler, "power attribution guide": active = power · load, idle = the rest.
struct SplitPower {
  Watts active;
  Watts idle;
};
SplitPower SplitMeasuredPower(Watts measured, Fraction load);

}  // namespace sobre
