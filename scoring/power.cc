#include "scoring/power.h"

#include <array>

namespace sobre {

double Interpolate(std::span<const CurvePoint> points, double x) {
  if (points.empty()) return 0;
  if (x <= points.front().x) return points.front().y;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const CurvePoint& a = points[i - 1];
    const CurvePoint& b = points[i];
    if (x <= b.x) return a.y + (x - a.x) / (b.x - a.x) * (b.y - a.y);
  }
  return points.back().y;
}

Watts LinearPower(Watts idle, Watts full, Fraction load) { return idle + (full - idle) * load; }

WattsPerVcpu LinearPower(WattsPerVcpu idle, WattsPerVcpu full, Fraction load) {
  return idle + (full - idle) * load.value();
}

Fraction TeadsShare(Fraction load) {
  static constexpr std::array<CurvePoint, 4> kCurve = {
      {{0, 0.12}, {0.1, 0.32}, {0.5, 0.75}, {1, 1.02}}};
  return Fraction(Interpolate(kCurve, load.value()));
}

Watts TeadsPower(Watts thermal_design_power, Fraction load) {
  return thermal_design_power * TeadsShare(load);
}

SplitPower SplitMeasuredPower(Watts measured, Fraction load) {
  const Watts active = measured * load;
  return {active, measured - active};
}

}  // namespace sobre
