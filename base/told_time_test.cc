#include "base/told_time.h"

#include <limits>

#include <gtest/gtest.h>

namespace sobre {
namespace {

using std::chrono::seconds;

TEST(ToldTime, StaysWithinTheYearsThatCanBeWritten) {
  EXPECT_EQ(FromUnixSeconds(1005), Timestamp(seconds(1005)));
  EXPECT_EQ(FromUnixSeconds(-1), Timestamp(seconds(-1)));
  EXPECT_EQ(FromUnixMs(-1), Timestamp(Duration(-1)));
  EXPECT_EQ(FromUnixSeconds(253'402'300'799), Timestamp(seconds(253'402'300'799)));
  using Limits = std::numeric_limits<std::int64_t>;
  for (const std::int64_t late :
       {std::int64_t{253'402'300'800}, std::int64_t{1} << 62, Limits::max()})
    EXPECT_EQ(FormatTime(FromUnixSeconds(late)), "9999-12-31T23:59:59.999Z");
  for (const std::int64_t early :
       {std::int64_t{-62'167'219'201}, -(std::int64_t{1} << 62), Limits::min()})
    EXPECT_EQ(FormatTime(FromUnixSeconds(early)), "0000-01-01T00:00:00Z");
  EXPECT_EQ(FromUnixMs(Limits::max()), kLatestTime);
  EXPECT_EQ(FromUnixMs(Limits::min()), kEarliestTime);
}

}  // namespace
}  // namespace sobre
