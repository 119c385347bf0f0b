#include "scoring/units.h"

#include <gtest/gtest.h>

namespace sobre {
namespace {

TEST(Units, ProductsChangeTheUnit) {
  EXPECT_DOUBLE_EQ((WattsPerVcpu(2.5) * Vcpus(4) * Pue(1.2)).value(), 12.0);
  EXPECT_DOUBLE_EQ((Watts(1000) * GramsPerKwh(56)).value(), 56.0);
  EXPECT_DOUBLE_EQ((GramsPerHour(1e6) * EurosPerTonne(80)).value(), 80.0);
  EXPECT_DOUBLE_EQ((EurosPerHour(2) * Fraction(0.25)).value(), 0.5);
  EXPECT_LT(Watts(1), Watts(2));
}

// Boavizta's documentation: 120 W for 2 h at 0.098 kg/kWh make 0.02352 kg.
TEST(Units, AgreeWithAPublishedExample) {
  EXPECT_DOUBLE_EQ((Watts(120) * GramsPerKwh(98)).value() * 2, 23.52);
}

}  // namespace
}  // namespace sobre
