#include "signals/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

double Factor(Signal signal, std::string_view unit) {
  const auto conversion = ConvertUnit(signal, unit);
  return conversion ? conversion->factor : -1;
}

TEST(SignalUnits, AreConverted) {
  EXPECT_DOUBLE_EQ(Factor(Signal::kNodePower, "uW"), 1e-6);
  EXPECT_DOUBLE_EQ(Factor(Signal::kNodePower, "µW"), 1e-6);
  EXPECT_DOUBLE_EQ(Factor(Signal::kNodeGpuPower, "mJ/s"), 1e-3);
  EXPECT_DOUBLE_EQ(Factor(Signal::kNodeGpuUtilization, "%"), 0.01);
  EXPECT_DOUBLE_EQ(Factor(Signal::kGridIntensity, "lbCO2/MWh"), 0.45359237);
  EXPECT_DOUBLE_EQ(Factor(Signal::kElectricityPrice, "EUR/MWh"), 1e-3);
  EXPECT_DOUBLE_EQ(Factor(Signal::kWorkloadJoulesPerRequest, "Wh"), 3600);
  EXPECT_DOUBLE_EQ(Factor(Signal::kWorkloadRequests, "1/min"), 1.0 / 60);
}

TEST(SignalUnits, APriceMayBeInAnyCurrency) {
  const auto price = ConvertUnit(Signal::kNodePrice, "USD/month");
  ASSERT_TRUE(price);
  EXPECT_EQ(price->currency, "USD");
  EXPECT_DOUBLE_EQ(price->factor, 1.0 / 730);
  EXPECT_EQ(ConvertUnit(Signal::kNodePrice, "EUR/h")->currency, "");
}

TEST(SignalUnits, OfAnotherKindAreRefused) {
  for (const char* unit : {"", "EUR", "w", "kWh", "EUR/h", "usd/h", "EURO/h", "/h"})
    EXPECT_FALSE(ConvertUnit(Signal::kNodePower, unit)) << unit;
  EXPECT_FALSE(ConvertUnit(Signal::kNodePrice, "usd/h"));
  EXPECT_FALSE(ConvertUnit(Signal::kNodePrice, "USD/kWh"));
  EXPECT_THAT(UnitsFor(Signal::kNodePower), ::testing::HasSubstr("mW"));
}

TEST(SignalUnits, EverySignalHasItsOwn) {
  for (std::size_t i = 0; i < kSignalCount; ++i)
    EXPECT_DOUBLE_EQ(Factor(SignalAt(i), UnitOf(SignalAt(i))), 1) << ToString(SignalAt(i));
}

}  // namespace
}  // namespace sobre
