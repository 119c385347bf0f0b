#include "extender/recent_decisions.h"

#include <thread>

#include <gtest/gtest.h>

namespace sobre {
namespace {

DecisionSummary Numbered(int i) {
  DecisionSummary summary;
  summary.uid = std::to_string(i);
  return summary;
}

TEST(RecentDecisions, KeepsTheNewestFirst) {
  RecentDecisions recent;
  for (int i = 0; i < 5000; ++i) recent.Add(Numbered(i));
  const auto list = recent.List();
  EXPECT_EQ(list.size(), RecentDecisions::kKept);
  EXPECT_EQ(list.front().uid, "4999");
  EXPECT_TRUE(recent.Find("4990"));
  EXPECT_FALSE(recent.Find("1"));
}

TEST(RecentDecisions, TakesFromManyThreadsWhileOthersRead) {
  RecentDecisions recent;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&recent, t] {
      for (int i = 0; i < 2000; ++i) recent.Add(Numbered(t * 2000 + i));
    });
  }
  for (int i = 0; i < 100; ++i) EXPECT_LE(recent.List().size(), RecentDecisions::kKept);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(recent.List().size(), RecentDecisions::kKept);
}

}  // namespace
}  // namespace sobre
