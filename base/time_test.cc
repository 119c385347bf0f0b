#include "base/time.h"

#include <gtest/gtest.h>

namespace sobre {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Time, ReadsAndWritesRfc3339) {
  const auto noon = ParseTime("2026-05-16T12:00:00Z");
  ASSERT_TRUE(noon);
  EXPECT_EQ(FormatTime(*noon), "2026-05-16T12:00:00Z");
  EXPECT_EQ(ParseTime("2026-05-16T14:00:00+02:00"), noon);
  EXPECT_EQ(ParseTime("2026-05-16"), *noon - hours(12));
  EXPECT_EQ(FormatTime(*ParseTime("2026-05-16T12:00:00.25Z")), "2026-05-16T12:00:00.250Z");
  for (const char* bad :
       {"", "2026", "2026-13-01", "2026-02-30", "2026-05-16T12:00:00", "2026-05-16T12:00:00.Z",
        "2026-05-16T25:00:00Z", "2026-05-16T12:00:00Zx", "tomorrow"}) {
    EXPECT_FALSE(ParseTime(bad)) << bad;
  }
}

TEST(Time, ReadsDurations) {
  EXPECT_EQ(ParseDuration("1h30m"), minutes(90));
  EXPECT_EQ(ParseDuration("250ms"), Duration(250));
  EXPECT_EQ(ParseDuration("1.5s"), Duration(1500));
  EXPECT_EQ(ParseDuration("2d"), hours(48));
  for (const char* bad : {"", "5", "s", "-5s", "5 s", "5w", "1e3s", "99999999d"})
    EXPECT_FALSE(ParseDuration(bad)) << bad;
}

TEST(Time, TellsAgesToPeople) {
  EXPECT_EQ(FormatAge(seconds(45)), "45 s");
  EXPECT_EQ(FormatAge(minutes(61)), "61 min");
  EXPECT_EQ(FormatAge(hours(50)), "2 d");
  EXPECT_EQ(FormatAge(-seconds(5)), "-5 s");
}

}  // namespace
}  // namespace sobre
