#include "base/text_table.h"

#include <algorithm>
#include <limits>

#include <gtest/gtest.h>

namespace sobre {
namespace {

TEST(TextTable, ColumnsAreAsWideAsTheirWidestCell) {
  TextTable table({"a", "long head", "c"});
  table.Add({"wide cell", "é", ""});
  table.Add({"", "x", "y"});
  EXPECT_EQ(table.Text(),
            "a          long head  c\n"
            "wide cell  é\n"
            "           x          y\n");
}

TEST(TextTable, ACellCannotLeaveItsLineOrSteerTheTerminal) {
  TextTable table({"a", "b"});
  table.Add({"x\ny\x1b[2J", std::string(1000, 'z')});
  const std::string text = table.Text();
  EXPECT_NE(text.find("\nx?y?[2J  zzz"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_LT(text.size(), 700U);
}

TEST(TextTable, FiguresAreShort) {
  EXPECT_EQ(FigureText(true, 0.012345), "0.0123");
  EXPECT_EQ(FigureText(false, 1), "?");
}

TEST(ChangeText, SaysByHowMuch) {
  EXPECT_EQ(ChangeText(87.66, 100), "−12.3 %");
  EXPECT_EQ(ChangeText(104.5, 100), "+4.5 %");
  EXPECT_EQ(ChangeText(100.04, 100), "0 %");
  EXPECT_EQ(ChangeText(1, 0), "");
  EXPECT_EQ(ChangeText(std::nullopt, 1), "");
  EXPECT_EQ(ChangeText(std::numeric_limits<double>::infinity(), 1), "");
}

}  // namespace
}  // namespace sobre
