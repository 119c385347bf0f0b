#include "scoring/energy_class.h"

#include <algorithm>
#include <string>

namespace sobre {
namespace {

std::optional<ClassLetter> ClassOf(const Catalog& catalog, std::string_view scale,
                                   std::string_view measure, std::string_view unit, double value) {
  const auto bounds = catalog.ClassesOf(scale, std::string(measure) + "/" + std::string(unit));
  if (!bounds) return std::nullopt;
  return Classify(bounds->value, value);
}

}  // namespace

char ToLetter(ClassLetter letter) { return static_cast<char>('A' + static_cast<int>(letter)); }

ClassLetter Classify(const ClassBounds& bounds, double value) {
  const auto above = std::lower_bound(bounds.begin(), bounds.end(), value);
  return static_cast<ClassLetter>(above - bounds.begin());
}

std::optional<ClassLetter> EnergyClass(const Catalog& catalog, std::string_view unit,
                                       double watt_hours_per_unit) {
  return ClassOf(catalog, "energy", "Wh", unit, watt_hours_per_unit);
}

std::optional<ClassLetter> CarbonClass(const Catalog& catalog, std::string_view unit,
                                       double grams_per_unit) {
  return ClassOf(catalog, "carbon", "gCO2e", unit, grams_per_unit);
}

}  // namespace sobre
