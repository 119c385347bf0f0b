#include "k8s/quantity.h"

#include <gtest/gtest.h>

namespace sobre {
namespace {

TEST(Quantity, ReadsWhatKubernetesWrites) {
  EXPECT_EQ(ParseMilliQuantity("500m"), 500);
  EXPECT_EQ(ParseMilliQuantity("2"), 2000);
  EXPECT_EQ(ParseMilliQuantity("0.1"), 100);
  EXPECT_EQ(ParseMilliQuantity("1500u"), 2) << "rounds up";
  EXPECT_EQ(ParseMilliQuantity("7910m"), 7910);
  EXPECT_EQ(ParseQuantity("16Gi"), 17179869184);
  EXPECT_EQ(ParseQuantity("1.5G"), 1500000000);
  EXPECT_EQ(ParseQuantity("1e3"), 1000);
  EXPECT_EQ(ParseQuantity("1E"), 1000000000000000000);
  EXPECT_EQ(ParseQuantity("32886628Ki"), 33675907072);
  EXPECT_EQ(ParseQuantity("128974848"), 128974848);
  for (const char* bad : {"", "-1", "Gi", "1 Gi", "1Gx", "abc", "1e99", "9999E", "1.2.3"}) {
    EXPECT_FALSE(ParseQuantity(bad)) << bad;
  }
}

}  // namespace
}  // namespace sobre
