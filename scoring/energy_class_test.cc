#include "scoring/energy_class.h"

#include <gtest/gtest.h>

namespace sobre {
namespace {

TEST(EnergyClass, ABoundBelongsToTheBetterClass) {
  const Catalog& catalog = Catalog::Embedded();
  EXPECT_EQ(EnergyClass(catalog, "request", 0), ClassLetter::kA);
  EXPECT_EQ(EnergyClass(catalog, "request", 0.03), ClassLetter::kA);
  EXPECT_EQ(EnergyClass(catalog, "request", 0.0300001), ClassLetter::kB);
  EXPECT_EQ(EnergyClass(catalog, "request", 10), ClassLetter::kF);
  EXPECT_EQ(EnergyClass(catalog, "request", 11), ClassLetter::kG);
  EXPECT_EQ(EnergyClass(catalog, "1k-tokens", 0.7), ClassLetter::kC);
  EXPECT_EQ(CarbonClass(catalog, "request", 0.2), ClassLetter::kD);
  EXPECT_EQ(ToLetter(ClassLetter::kG), 'G');
}

TEST(EnergyClass, AUnitWithoutThresholdsHasNone) {
  EXPECT_FALSE(EnergyClass(Catalog::Embedded(), "pod-hour", 1));
  EXPECT_FALSE(CarbonClass(Catalog::Embedded(), "1k-tokens", 1));
}

// What others measured: GPU energy of a request on an H100.
TEST(EnergyClass, SpreadsKnownModels) {
  const Catalog& catalog = Catalog::Embedded();
  EXPECT_EQ(EnergyClass(catalog, "request", 0.0150), ClassLetter::kA);  // 8 B parameters
  EXPECT_EQ(EnergyClass(catalog, "request", 0.0782), ClassLetter::kB);  // 70 B
  EXPECT_EQ(EnergyClass(catalog, "request", 0.439), ClassLetter::kD);   // 405 B
}

}  // namespace
}  // namespace sobre
