#include "extender/report_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::HasSubstr;

const Timestamp kNow = *ParseTime("2026-11-23T12:00:00Z");

TEST(ReportOrder, IsOfThisMonthWhereNothingIsSaid) {
  const auto order = ReadReportOrder({}, "", kNow);
  ASSERT_TRUE(order.ok());
  EXPECT_EQ(FormatTime(order->request.from), "2026-11-01T00:00:00Z");
  EXPECT_EQ(order->request.to, kNow);
  EXPECT_EQ(order->request.by, (std::vector{ReportKey::kNamespace, ReportKey::kWorkload}));
  EXPECT_EQ(order->format, "text");
}

TEST(ReportOrder, OfATimeThatHasPassedIsOfItsMonth) {
  ReportOrderText text;
  text.to = "2026-01-31";
  const auto order = ReadReportOrder(text, "", kNow);
  ASSERT_TRUE(order.ok());
  EXPECT_EQ(FormatTime(order->request.from), "2026-01-01T00:00:00Z");
  EXPECT_EQ(FormatTime(order->request.to), "2026-02-01T00:00:00Z");
}

TEST(ReportOrder, ADayAloneIsMeantWhole) {
  const auto time = [](const char* from, const char* to) {
    const auto order = ReadReportOrder({from, to, {}, {}, {}}, "", kNow);
    return order.ok() ? FormatTime(order->request.from) + " " + FormatTime(order->request.to)
                      : order.status().message();
  };
  EXPECT_EQ(time("2026-11-01", "2026-11-30"), "2026-11-01T00:00:00Z 2026-12-01T00:00:00Z");
  EXPECT_EQ(time("2026-11-30", "2026-11-30"), "2026-11-30T00:00:00Z 2026-12-01T00:00:00Z");
  EXPECT_EQ(time("2026-11-01", "2026-11-30T00:00:00Z"),
            "2026-11-01T00:00:00Z 2026-11-30T00:00:00Z");
}

TEST(ReportOrder, TakesPeriodsByName) {
  const auto time = [](const char* period) {
    const auto order = ReadReportOrder({{}, {}, {}, {}, period}, "", kNow);
    return order.ok() ? FormatTime(order->request.from).substr(0, 10) + " " +
                            FormatTime(order->request.to).substr(0, 10)
                      : order.status().message();
  };
  EXPECT_EQ(time("today"), "2026-11-23 2026-11-23");
  EXPECT_EQ(time("7d"), "2026-11-16 2026-11-23");
  EXPECT_EQ(time("30d"), "2026-10-24 2026-11-23");
  EXPECT_EQ(time("thismonth"), "2026-11-01 2026-11-23");
  EXPECT_EQ(time("lastmonth"), "2026-10-01 2026-11-01");
  EXPECT_EQ(time("thisquarter"), "2026-10-01 2026-11-23");
  EXPECT_EQ(time("lastquarter"), "2026-07-01 2026-10-01");
  EXPECT_THAT(time("lastyear"), HasSubstr("period: 'lastyear' is none of today, 7d"));
  EXPECT_THAT(time("0d"), HasSubstr("is none of"));
  EXPECT_EQ(ReadReportOrder({"lastmonth", {}, {}, {}, {}}, "", kNow)->request.from,
            *ParseTime("2026-10-01"));
  EXPECT_THAT(ReadReportOrder({"2026-10-01", {}, {}, {}, "7d"}, "--", kNow).status().message(),
              HasSubstr("--period is a time of its own"));
  // A month before January is last year's.
  EXPECT_EQ(FormatTime(PeriodOf("lastmonth", *ParseTime("2027-01-15"))->from),
            "2026-12-01T00:00:00Z");
  EXPECT_EQ(FormatTime(PeriodOf("lastquarter", *ParseTime("2027-02-15"))->from),
            "2026-10-01T00:00:00Z");
}

TEST(ReportOrder, NamesTheOptionAsItWasWritten) {
  const auto failure = [](const ReportOrderText& text, std::string_view prefix) {
    return ReadReportOrder(text, prefix, kNow).status().message();
  };
  EXPECT_THAT(failure({"soon", {}, {}, {}}, "--"), HasSubstr("--from: 'soon' is no time"));
  EXPECT_THAT(failure({{}, "soon", {}, {}}, ""), ::testing::StartsWith("to: 'soon'"));
  EXPECT_THAT(failure({"2026-11-02", "2026-11-01", {}, {}, {}}, ""), HasSubstr("is not before"));
  EXPECT_THAT(failure({{}, {}, "namespce", {}}, ""), HasSubstr("by: 'namespce'"));
  EXPECT_THAT(failure({{}, {}, {}, "jsn"}, ""), HasSubstr("did you mean 'json'?"));
}

TEST(ReportOrder, NeedsPodsWhereItTellsOfThemOrOfNodes) {
  const auto needs = [](const char* by, const char* format) {
    return NeedsPods(*ReadReportOrder({{}, {}, by, format}, "", kNow));
  };
  EXPECT_FALSE(needs("namespace,workload,model,team,day,hour,kind", "json"));
  EXPECT_TRUE(needs("namespace,pod", "json"));
  EXPECT_TRUE(needs("region", "csv"));
  EXPECT_TRUE(needs("namespace", "focus"));
}

TEST(BeginOfDays, IsAMidnightWhereDaysAreHeldWhole) {
  const Timestamp now = kNow + std::chrono::minutes(20);
  EXPECT_EQ(FormatTime(BeginOfDays(now, 2)), "2026-11-21T12:00:00Z");
  EXPECT_EQ(FormatTime(BeginOfDays(now, 3)), "2026-11-20T00:00:00Z");
}

}  // namespace
}  // namespace sobre
