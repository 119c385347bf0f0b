#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "scoring/units.h"

namespace sobre {

// What one vCPU (or one accelerator) of a machine drew at a load.
struct PowerPoint {
  Fraction utilization;
  Watts watts;  // of the machine, divided by its vCPUs or accelerators
};

// A line through measured points: P(u) = idle + u · (full − idle).
struct PowerFit {
  Watts idle;
  Watts full;
  // Median distance of a point from the line, as a share of the median power.
  Fraction error;
  std::int64_t points = 0;
};

struct PowerFitResult {
  std::optional<PowerFit> fit;
  std::string why_not;  // where there is none, for people: "9 points, at least 12 are needed"
};

// Theil–Sen: the slope is the median over the slopes between pairs of points, the idle power the
// median of what is left, so that up to 29 % of the points may be wrong. No fit with too few
// points, over too little of the load, or through too much scatter. Pure; the order of points does
// not matter. Source: Theil 1950, Sen 1968.
PowerFitResult FitPower(std::span<const PowerPoint> points);

}  // namespace sobre
