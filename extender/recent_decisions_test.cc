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

TEST(RecentDecisions, TellsWhatCameSince) {
  RecentDecisions recent;
  for (int i = 0; i < 10; ++i) recent.Add(Numbered(i));
  const auto first = recent.Wait({}, 4, Duration(0));
  ASSERT_EQ(first.decisions.size(), 4U);
  EXPECT_EQ(first.decisions.front().uid, "6");
  EXPECT_EQ(first.decisions.back().seq, 10U);
  EXPECT_EQ(first.skipped, 6U);
  EXPECT_TRUE(recent.Wait(first.position, 4, Duration(0)).empty());
  recent.Add(Numbered(10));
  EXPECT_EQ(recent.Wait(first.position, 4, Duration(0)).decisions.front().uid, "10");
  // Somebody who followed another process.
  EXPECT_TRUE(recent.Wait({1000, 1000}, 4, Duration(0)).empty());
}

TEST(RecentDecisions, TellsWhatBecameOfThem) {
  RecentDecisions recent;
  recent.Add(Numbered(1));
  recent.Close({"shop", "1", "fr-1", true});
  EXPECT_EQ(recent.List().front().bound, "fr-1");
  EXPECT_EQ(recent.List().front().followed, true);
  const auto news = recent.Wait({1, 0}, 4, Duration(0));
  ASSERT_EQ(news.outcomes.size(), 1U);
  EXPECT_EQ(news.outcomes.front().node, "fr-1");
}

TEST(RecentDecisions, WakesWhoeverWaits) {
  RecentDecisions recent;
  std::thread adder([&recent] { recent.Add(Numbered(7)); });
  const auto news = recent.Wait({}, 4, std::chrono::minutes(5));
  adder.join();
  EXPECT_EQ(news.decisions.front().uid, "7");
}

}  // namespace
}  // namespace sobre
