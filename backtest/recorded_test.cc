#include "backtest/recorded.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre::backtest {
namespace {

using ::testing::HasSubstr;

NodeFacts Node(const std::string& name, const std::string& region, const std::string& type,
               std::int64_t mebibytes = 64 << 10) {
  NodeFacts node;
  node.name = name;
  node.addresses = {name + ".local"};
  node.provider = "scaleway";
  node.region = region;
  node.instance_type = type;
  node.allocatable = {16'000, mebibytes << 20, 0, 0};
  return node;
}

TEST(PoolsOf, PutsNodesTogetherThatAreAlike) {
  NodeFacts labelled = Node("e", "fr-par", "GP1-M");
  labelled.pool = "batch";
  // 1 % less memory is the same kind of machine, half of it is not.
  const auto pools = PoolsOf({Node("a", "fr-par", "GP1-M"), Node("b", "pl-waw", "GP1-M"),
                              Node("c", "fr-par", "GP1-M", 65'000),
                              Node("d", "fr-par", "GP1-M", 32 << 10), labelled});
  ASSERT_TRUE(pools.ok()) << pools.status().message();
  std::map<std::string, std::int64_t> nodes;
  for (const Pool& pool : *pools) nodes[pool.name] = pool.nodes;
  EXPECT_EQ(
      nodes,
      (std::map<std::string, std::int64_t>{
          {"GP1-M.fr-par", 1}, {"GP1-M.fr-par-2", 2}, {"GP1-M.pl-waw", 1}, {"batch.fr-par", 1}}));
  const Pool& two = (*pools)[1];
  EXPECT_EQ(two.name, "GP1-M.fr-par-2");
  EXPECT_EQ(two.facts.name, two.name);
  EXPECT_EQ(two.facts.allocatable.memory_bytes, 65'000LL << 20);
  EXPECT_EQ(two.facts.attested.region, "fr-par");
  EXPECT_EQ(two.zone, "fr-par");
}

TEST(PoolsOf, SaysWhichNodeCannotBePlayed) {
  EXPECT_THAT(PoolsOf({Node("a", "", "GP1-M")}).status().message(),
              HasSubstr("node a: it has no label topology.kubernetes.io/region"));
  EXPECT_THAT(PoolsOf({Node("b", "fr-par", "GP1-M", 0)}).status().message(), HasSubstr("node b: "));
}

constexpr Timestamp kStart = std::chrono::sys_days(std::chrono::year(2019) / 3 / 4);

TEST(HourlyMeans, AreOfTheHourThatASampleIsIn) {
  using std::chrono::minutes;
  const auto means =
      HourlyMeans({{"FR",
                    {{kStart + minutes(60), 70},
                     {kStart, 40},
                     {kStart + minutes(59), 60},
                     {kStart + minutes(30), std::numeric_limits<double>::quiet_NaN()},
                     {kStart - minutes(1), 999},
                     {kStart + minutes(120), 999}}}},
                  kStart, 2);
  ASSERT_TRUE(means.ok()) << means.status().message();
  EXPECT_EQ(means->at("FR"), (Hourly{50, 70}));
}

TEST(HourlyMeans, SaysWhatIsMissing) {
  EXPECT_THAT(HourlyMeans({{"FR", {{kStart, 40}}}}, kStart, 2).status().message(),
              HasSubstr("FR: hour 1, 2019-03-04T01:00:00Z, is missing"));
  EXPECT_THAT(HourlyMeans({{"", {}}}, kStart, 1).status().message(), HasSubstr("does not say"));
  EXPECT_THAT(
      HourlyMeans({{"FR", {{kStart, 1}}}, {"FR", {{kStart, 1}}}}, kStart, 1).status().message(),
      HasSubstr("two series"));
}

}  // namespace
}  // namespace sobre::backtest
