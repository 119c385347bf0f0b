#include "backtest/scheduler_model.h"

#include <set>

#include <gtest/gtest.h>

namespace sobre::backtest {
namespace {

NodeUse Node(std::int64_t millicpu, std::int64_t memory, Resources taken = {}) {
  NodeUse node;
  node.allocatable = {millicpu, memory, 0, 0};
  node.requested = node.nonzero = taken;
  return node;
}

TEST(NodesToFind, IsKubeSchedulersSampleOrTheStatedShare) {
  EXPECT_EQ(NodesToFind(99, 0), 99);
  EXPECT_EQ(NodesToFind(1000, 0), 420);  // 50 − 1000 / 125 per cent
  EXPECT_EQ(NodesToFind(6000, 0), 300);  // never below 5 %
  EXPECT_EQ(NodesToFind(150, 5), 100);   // never below 100 nodes
  EXPECT_EQ(NodesToFind(1000, 100), 1000);
}

// By hand: (4000 − 1500) · 100 / 4000 = 62; (8000 − 6000) · 100 / 8000 = 25; (62 + 25) / 2 = 43.
TEST(LeastAllocated, IsTheMeanOfWhatIsLeft) {
  EXPECT_EQ(LeastAllocated({500, 2000, 0, 0}, Node(4000, 8000, {1000, 4000, 0, 0})), 43);
}

TEST(LeastAllocated, CountsAPodThatRequestsNothing) {
  const std::int64_t gib = 1LL << 30;
  // 100 of 1000 millicpu, 200 MB of 2 GiB: (90 + 90) / 2.
  EXPECT_EQ(LeastAllocated({}, Node(1000, 2 * gib)), 90);
}

// By hand: with the pod |0.5 − 0.25| / 2 = 0.125 → 87, without it |0.25 − 0.25| → 100;
// 50 + (50 + 87 − 100) / 2 = 68.
TEST(BalancedAllocation, IsWhatThePodDoesToTheBalance) {
  EXPECT_EQ(BalancedAllocation({1000, 0, 0, 0}, Node(4000, 8000, {1000, 2000, 0, 0})), 68);
  // It changes nothing.
  EXPECT_EQ(BalancedAllocation({400, 800, 0, 0}, Node(4000, 8000, {400, 800, 0, 0})), 75);
}

// By hand: three candidates in two zones; ln 5 = 1.609, ln 4 = 1.386. Node 0 has two of three pods:
// round(2 · 1.609 + 2 + 2 · 1.386 + 4) = 12; node 1, same zone: round(2 + 2.77 + 4) = 9;
// node 2: round(1.609 + 2 + 1.386 + 4) = 9. 100 · (12 + 9 − s) / 12.
TEST(TopologySpread, PrefersWhereFewerOfTheSameRun) {
  std::vector<NodeUse> nodes(3);
  nodes[2].zone = 1;
  const std::vector<std::int32_t> candidates = {0, 1, 2};
  const std::vector<std::int32_t> on_node = {2, 0, 1};
  const std::vector<std::int32_t> on_zone = {2, 1};
  std::vector<std::int64_t> scores;
  TopologySpread(candidates, nodes, on_node, on_zone, scores);
  EXPECT_EQ(scores, (std::vector<std::int64_t>{75, 100, 100}));
}

TEST(PickHighest, TakesEachOfTheBestAndNoOther) {
  Random random(1);
  const std::vector<std::int64_t> scores = {3, 7, 1, 7, 7};
  std::set<std::size_t> picked;
  for (int i = 0; i < 100; ++i) picked.insert(PickHighest(scores, random));
  EXPECT_EQ(picked, (std::set<std::size_t>{1, 3, 4}));
}

}  // namespace
}  // namespace sobre::backtest
