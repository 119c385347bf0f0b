#include "extender/text_table.h"

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

TEST(TextTable, FiguresAreShort) {
  EXPECT_EQ(FigureText(true, 0.012345), "0.0123");
  EXPECT_EQ(FigureText(false, 1), "?");
}

}  // namespace
}  // namespace sobre
