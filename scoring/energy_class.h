#pragma once

#include <optional>
#include <string_view>

#include "scoring/catalog.h"

// Classes A to G. The energy class describes the workload (Wh per unit), the carbon class its
// placement (gCO2e per unit). The thresholds are absolute and versioned in the catalogue, so that
// a class does not drift. Pure functions, safe from any thread.
namespace sobre {

enum class ClassLetter { kA, kB, kC, kD, kE, kF, kG };
char ToLetter(ClassLetter letter);

// A figure at a bound belongs to the better class.
ClassLetter Classify(const ClassBounds& bounds, double value);

// `unit` is "request" or "1k-tokens"; no value where the catalogue has no thresholds for it.
std::optional<ClassLetter> EnergyClass(const Catalog& catalog, std::string_view unit,
                                       double watt_hours_per_unit);
std::optional<ClassLetter> CarbonClass(const Catalog& catalog, std::string_view unit,
                                       double grams_per_unit);

}  // namespace sobre
