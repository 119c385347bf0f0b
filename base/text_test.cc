#include "base/text.h"

#include <array>
#include <clocale>
#include <limits>

#include <gtest/gtest.h>

namespace sobre {
namespace {

TEST(Numbers, AreParsedWholeOrNotAtAll) {
  EXPECT_EQ(ParseNumber("0.5"), 0.5);
  EXPECT_EQ(ParseNumber("-1e-3"), -0.001);
  for (const char* bad :
       {"", " 1", "1 ", "0,5", "1e400", "NaN", "inf", "0x10", "--1", "1.2.3", "½"}) {
    EXPECT_FALSE(ParseNumber(bad)) << bad;
  }
  EXPECT_EQ(ParseInteger("-42"), -42);
  for (const char* bad : {"", "4.2", "99999999999999999999", "4 "})
    EXPECT_FALSE(ParseInteger(bad)) << bad;
}

TEST(Numbers, DoNotFollowTheLocale) {
  // Debian's base system has no such locale; where the test machine has one, it must change
  // nothing.
  std::setlocale(LC_ALL, "de_DE.UTF-8");  // NOLINT(concurrency-mt-unsafe)
  EXPECT_EQ(FormatNumber(0.1), "0.1");
  EXPECT_EQ(FormatSignificant(1234.5678, 6), "1234.57");
  EXPECT_EQ(ParseNumber("1.5"), 1.5);
  std::setlocale(LC_ALL, "C");  // NOLINT(concurrency-mt-unsafe)
}

TEST(Numbers, PrintShortestAndRounded) {
  EXPECT_EQ(FormatNumber(28.538812785388128), "28.538812785388128");
  EXPECT_EQ(FormatNumber(std::numeric_limits<double>::quiet_NaN()), "NaN");
  EXPECT_EQ(FormatSignificant(0.018249, 3), "0.0182");
  EXPECT_EQ(FormatSignificant(56.039, 3), "56");
  EXPECT_EQ(FormatSignificant(0, 3), "0");
  EXPECT_EQ(FormatSignificant(-380.95, 3), "-381");
  EXPECT_EQ(FormatSignificant(123456, 3), "123000");
}

TEST(Text, SplitsAndTrims) {
  EXPECT_EQ(Split("a,,b", ',').size(), 3U);
  EXPECT_EQ(Split("", ',').size(), 1U);
  EXPECT_EQ(Trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(Trim("   "), "");
  EXPECT_TRUE(EqualsIgnoreCase("NodeNames", "nodenames"));
  EXPECT_FALSE(EqualsIgnoreCase("Node", "Nodes"));
}

TEST(Text, FindsTheNearestNameOnlyWhenItIsNear) {
  constexpr std::array<std::string_view, 3> kNames = {"objective", "cost-tolerance",
                                                      "carbon-price"};
  EXPECT_EQ(NearestName("objectve", kNames), "objective");
  EXPECT_EQ(NearestName("carbonprice", kNames), "carbon-price");
  EXPECT_EQ(NearestName("Objektive", kNames), "objective");
  EXPECT_EQ(NearestName("cost-tolerance-pct", kNames), "cost-tolerance");
  EXPECT_FALSE(NearestName("zebra", kNames));
  EXPECT_FALSE(NearestName("objective-of-this-pod", kNames));
  EXPECT_EQ(DidYouMean("objectve", kNames), "; did you mean 'objective'?");
  EXPECT_EQ(DidYouMean("zebra", kNames), "");
}

TEST(Text, StrangersTextIsMadePrintable) {
  EXPECT_EQ(Printable("a\nb\x1b[31m"), "a?b?[31m");
  EXPECT_EQ(Printable("caf\xc3\xa9 \xf0\x9f\x8c\xb1"), "caf\xc3\xa9 \xf0\x9f\x8c\xb1");
  EXPECT_EQ(Printable("\xff\xfe"), "??");
  EXPECT_EQ(Printable("\xe2\x80\xae"
                      "evil"),
            "?evil");
  EXPECT_EQ(Printable("abcdef", 3), "abc...");
  EXPECT_EQ(Printable("a… ‰ é 🌱"), "a… ‰ é 🌱");
}

// Code points, as UTF-8, that a terminal, an editor or a reader's eye would be misled by.
constexpr const char* kMisleading[] = {"\x01",
                                       "\t",
                                       "\r",
                                       "\x1b",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xc2\x9b",
                                       "\xc2\xad",
                                       "\xd8\x9c",
                                       "\xe2\x80\x8b",
                                       "\xe2\x80\x8f",
                                       "\xe2\x80\xa8",
                                       "\xe2\x80\xaa",
                                       "\xe2\x80\xae",
                                       "\xe2\x81\xa6",
                                       "\xe2\x81\xa9",
                                       "\xef\xbb\xbf",
                                       "\xef\xbf\xb9",
                                       "\xf3\xa0\x80\x81"};

TEST(Text, WhatMisleadsIsReplacedWhereverItStands) {
  for (const char* const bad : kMisleading) {
    const std::string text = std::string("a") + bad + "b";
    EXPECT_TRUE(IsControl(bad));
    EXPECT_FALSE(IsPrintable(text));
    EXPECT_EQ(Printable(text), "a?b");
    EXPECT_EQ(PrintableLines("x\n" + text + "\n"), "x\na?b\n");
  }
  EXPECT_TRUE(IsPrintable(""));
  EXPECT_TRUE(IsPrintable("Müller’s café 模型 🌱 \xef\xbf\xbd"));
  EXPECT_FALSE(IsPrintable("\xff"));
  EXPECT_FALSE(IsPrintable(std::string_view("a\0b", 3)));
  EXPECT_EQ(PrintableLines("\xc3(\n"), "?(\n");
}

TEST(PercentEncode, LeavesOnlyWhatNeedsNoCare) {
  EXPECT_EQ(PercentEncode("a-Z_0.9"), "a-Z_0.9");
  EXPECT_EQ(PercentEncode("{a=\"b c\"}&+é"), "%7Ba%3D%22b%20c%22%7D%26%2B%C3%A9");
}

TEST(Text, HtmlIsEscaped) {
  EXPECT_EQ(EscapeHtml("<a href=\"x\">R&D's</a>"),
            "&lt;a href=&quot;x&quot;&gt;R&amp;D&#39;s&lt;/a&gt;");
}

}  // namespace
}  // namespace sobre
