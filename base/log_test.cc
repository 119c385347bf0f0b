#include "base/log.h"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr Timestamp kStart{Duration(1'800'000'000'000)};

template <class Call>
std::string Said(Call call) {
  ::testing::internal::CaptureStderr();
  call();
  return ::testing::internal::GetCapturedStderr();
}

std::size_t Lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(Log, ALineHasItsFieldsInTheirOrder) {
  EXPECT_THAT(
      Said([] {
        Log(LogLevel::kWarning, "it \"broke\"", {{"error", "a\nb"}, {"peer", "x"}});
      }),
      MatchesRegex(R"(\{"ts":"[0-9-]+T[0-9:]+\.[0-9][0-9][0-9]Z","level":"warning",)"
                   R"("component":"log_test","msg":"it \\"broke\\"","error":"a\\nb","peer":"x"\})"
                   "\n"));
}

TEST(Log, WhatIsBelowTheThresholdIsNotWritten) {
  const auto both = [] {
    Log(LogLevel::kDebug, "small");
    Log(LogLevel::kInfo, "large");
  };
  EXPECT_THAT(Said(both), Not(HasSubstr("small")));
  SetLogThreshold(LogLevel::kDebug);
  EXPECT_THAT(Said(both), HasSubstr("small"));
  SetLogThreshold(LogLevel::kError);
  EXPECT_EQ(Said(both), "");
  SetLogThreshold(LogLevel::kInfo);
  EXPECT_THAT(Said(both), HasSubstr("large"));
}

TEST(Log, LevelsAreReadAsTheyAreWritten) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError})
    EXPECT_EQ(ParseLogLevel(ToString(level)), level);
  EXPECT_EQ(ParseLogLevel("verbose"), std::nullopt);
  EXPECT_EQ(ParseLogLevel("Info"), std::nullopt);
}

TEST(Log, AValueIsCut) {
  const std::string line = Said([] {
    Log(LogLevel::kInfo, "m", {{"v", std::string(1 << 20, 'x')}});
  });
  EXPECT_LT(line.size(), 3000U);
}

TEST(Log, APlaceThatRepeatsItselfIsHeldBackAndOthersAreNot) {
  const std::string said = Said([] {
    for (int i = 0; i < 1000; ++i) Log(LogLevel::kWarning, "again");
    Log(LogLevel::kWarning, "another");
  });
  // A slow machine may get one or two more.
  EXPECT_GE(Lines(said), LogLimit::kAtOnce + 1U);
  EXPECT_LT(Lines(said), 100U);
  EXPECT_THAT(said, HasSubstr("another"));
  EXPECT_THAT(Said([] { TellLeftOut(true); }), HasSubstr(R"("msg":"again","left_out":9)"));
  EXPECT_EQ(Said([] { TellLeftOut(true); }), "") << "told once";
}

TEST(LogLimit, GivesSoManyAtOnceAndThenOneEach) {
  LogLimit limit;
  int admitted = 0;
  for (int i = 0; i < 100; ++i) admitted += limit.Admit(kStart) ? 1 : 0;
  EXPECT_EQ(admitted, LogLimit::kAtOnce);
  EXPECT_FALSE(limit.Admit(kStart + LogLimit::kEach - Duration(1)));
  EXPECT_TRUE(limit.Admit(kStart + LogLimit::kEach));
  EXPECT_EQ(limit.TakeLeftOut(), 71U);
  EXPECT_EQ(limit.TakeLeftOut(), 0U);
  EXPECT_FALSE(limit.Admit(kStart + LogLimit::kEach));
}

// A fault at every second for a day.
TEST(LogLimit, AFaultThatLastsCannotFillADisk) {
  LogLimit limit;
  int admitted = 0;
  std::uint64_t left_out = 0;
  constexpr int kDay = 86400;
  for (int second = 0; second < kDay; ++second) {
    if (!limit.Admit(kStart + std::chrono::seconds(second))) continue;
    ++admitted;
    left_out += limit.TakeLeftOut();
  }
  EXPECT_LT(admitted, kDay / 30 + LogLimit::kAtOnce + 2);
  EXPECT_GT(admitted, kDay / 30 - 2);
  EXPECT_EQ(admitted + left_out + limit.TakeLeftOut(), static_cast<std::uint64_t>(kDay));
}

TEST(LogLimit, SilenceGivesAllBack) {
  LogLimit limit;
  for (int i = 0; i < 100; ++i) limit.Admit(kStart);
  const Timestamp later = kStart + LogLimit::kAtOnce * LogLimit::kEach;
  int admitted = 0;
  for (int i = 0; i < 100; ++i) admitted += limit.Admit(later) ? 1 : 0;
  EXPECT_EQ(admitted, LogLimit::kAtOnce);
}

TEST(LogLimit, AClockThatIsSetBackSilencesNobody) {
  LogLimit limit;
  for (int i = 0; i < 100; ++i) limit.Admit(kStart);
  const Timestamp back = kStart - std::chrono::hours(24);
  EXPECT_FALSE(limit.Admit(back));
  EXPECT_TRUE(limit.HasToTell(back - Duration(1), std::chrono::minutes(1)));
  EXPECT_TRUE(limit.Admit(back + LogLimit::kEach));
}

TEST(LogLimit, HasToTellOnlyOfWhatWasLeftOutAndIsOver) {
  LogLimit limit;
  EXPECT_TRUE(limit.Admit(kStart));
  EXPECT_FALSE(limit.HasToTell(kStart + std::chrono::hours(1), std::chrono::minutes(1)));
  for (int i = 0; i < 100; ++i) limit.Admit(kStart);
  EXPECT_FALSE(limit.HasToTell(kStart + std::chrono::seconds(59), std::chrono::minutes(1)));
  EXPECT_TRUE(limit.HasToTell(kStart + std::chrono::seconds(60), std::chrono::minutes(1)));
}

}  // namespace
}  // namespace sobre
