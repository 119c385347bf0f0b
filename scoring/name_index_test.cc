#include "scoring/name_index.h"

#include <string>

#include <gtest/gtest.h>

namespace sobre {
namespace {

TEST(NameIndex, FindsEveryNameAndNoOther) {
  NameIndex index;
  EXPECT_EQ(index.Find("node-1"), NameIndex::kNone);
  index.Reset(1000);
  for (int i = 0; i < 1000; ++i) index.Add("node-" + std::to_string(i));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(index.Find("node-" + std::to_string(i)), i);
  for (int i = 1000; i < 3000; ++i)
    EXPECT_EQ(index.Find("node-" + std::to_string(i)), NameIndex::kNone);
  EXPECT_EQ(index.Find(""), NameIndex::kNone);
  EXPECT_EQ(index.Find("node-"), NameIndex::kNone);
}

TEST(NameIndex, OfANameThatComesTwiceTheFirstCounts) {
  NameIndex index;
  index.Reset(3);
  for (const char* name : {"a", "b", "a"}) index.Add(name);
  EXPECT_EQ(index.Find("a"), 0);
  EXPECT_EQ(index.Find("b"), 1);
  index.Reset(1);
  EXPECT_EQ(index.Find("a"), NameIndex::kNone);
}

}  // namespace
}  // namespace sobre
