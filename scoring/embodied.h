#pragma once

#include "scoring/units.h"

// Embodied emissions of a server from its parts, production only. Pure functions, safe from any
// thread. Source: German Environment Agency, "Green Cloud Computing", Texte 94/2021, as cited by
// Boavizta's methodology.
namespace sobre {

struct SquareMillimetres {
  double value = 0;
};
struct Kilograms {
  double value = 0;
};
// Storage density of a chip.
struct GigabytesPerSquareCentimetre {
  double value = 1;
};

Grams ProcessorEmbodied(SquareMillimetres die);
Grams MemoryEmbodied(Gigabytes size, GigabytesPerSquareCentimetre density);
Grams SsdEmbodied(Gigabytes size, GigabytesPerSquareCentimetre density);
Grams PowerSupplyEmbodied(Kilograms weight);
inline constexpr Grams kHddEmbodied{31'110};
inline constexpr Grams kMotherboardEmbodied{66'100};
inline constexpr Grams kRackCaseEmbodied{150'000};
inline constexpr Grams kAssemblyEmbodied{6'680};

}  // namespace sobre
