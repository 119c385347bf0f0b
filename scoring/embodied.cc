#include "scoring/embodied.h"

namespace sobre {
namespace {

Grams Kilo(double kilograms) { return Grams(kilograms * 1000); }

}  // namespace

Grams ProcessorEmbodied(SquareMillimetres die) { return Kilo(die.value * 0.0197 + 9.14); }

Grams MemoryEmbodied(Gigabytes size, GigabytesPerSquareCentimetre density) {
  return Kilo(size.value() / density.value * 2.20 + 5.22);
}

Grams SsdEmbodied(Gigabytes size, GigabytesPerSquareCentimetre density) {
  return Kilo(size.value() / density.value * 2.20 + 6.34);
}

Grams PowerSupplyEmbodied(Kilograms weight) { return Kilo(weight.value * 24.3); }

}  // namespace sobre
