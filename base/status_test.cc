#include "base/status.h"

#include <memory>

#include <gtest/gtest.h>

namespace sobre {
namespace {

TEST(Status, GainsContextOnTheWayUp) {
  const Status status =
      Status::Invalid("expected a number").WithContext("line 3").WithContext("a.yaml");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), ErrorCode::kInvalid);
  EXPECT_EQ(status.message(), "a.yaml: line 3: expected a number");
}

TEST(Status, SuccessHasNoContext) {
  EXPECT_TRUE(Status::Ok().WithContext("anything").ok());
  EXPECT_EQ(Status::Ok().WithContext("anything").message(), "");
}

TEST(Result, HoldsAMoveOnlyValueOrAnError) {
  Result<std::unique_ptr<int>> good(std::make_unique<int>(7));
  ASSERT_TRUE(good.ok());
  EXPECT_TRUE(good.status().ok());
  const std::unique_ptr<int> taken = *std::move(good);
  EXPECT_EQ(*taken, 7);
  const Result<int> bad(Status::Timeout("late"));
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().code(), ErrorCode::kTimeout);
}

}  // namespace
}  // namespace sobre
