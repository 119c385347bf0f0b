#include "extender/cluster_scores.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

Config::Clusters ClustersOf(const std::string& more = "") {
  const auto config = ParseConfig(
      "clusters:\n"
      "  enabled: true\n"
      "  managed:\n"
      "    - {name: paris, provider: scaleway, region: fr-par, "
      "eur_per_hour: 0.3}\n"
      "    - {name: warsaw, provider: scaleway, region: pl-waw, "
      "eur_per_hour: 0.2}\n" +
          more,
      "sobre.yaml");
  EXPECT_TRUE(config.ok()) << config.status().message();
  return config->clusters;
}

using Scores = std::map<std::string, std::int32_t>;
Scores ScoresOf(const Config::Clusters& clusters, TestWorld world, std::size_t index) {
  const auto state = MakeState(world.input());
  const std::vector<ClusterScore> scored = ScoreClusters(clusters, *state);
  return {scored.at(index).scores.begin(), scored.at(index).scores.end()};
}

TEST(ClusterScores, AreThoseOfARankingOfOffers) {
  const Config::Clusters clusters = ClustersOf();
  const Scores paris = ScoresOf(clusters, TestWorld(), 0);
  const Scores warsaw = ScoresOf(clusters, TestWorld(), 1);
  EXPECT_EQ(paris.at("carbon"), 100);
  EXPECT_LT(warsaw.at("carbon"), 0);
  EXPECT_EQ(warsaw.at("cost"), 100);
  // Half as dear again: r = 1 / 1.5, a score of 7.
  EXPECT_EQ(paris.at("cost"), 40);
  EXPECT_EQ(paris.size(), 3U);
}

TEST(ClusterScores, FollowTheGrid) {
  TestWorld world;
  world.Grid("scaleway", "fr-par", 900).Grid("scaleway", "pl-waw", 20);
  const Config::Clusters clusters = ClustersOf();
  EXPECT_EQ(ScoresOf(clusters, world, 1).at("carbon"), 100);
  EXPECT_EQ(ScoresOf(clusters, world, 1).at("balanced"), 100);
  EXPECT_LT(ScoresOf(clusters, world, 0).at("carbon"), 0);
}

TEST(ClusterScores, WhereTheWorkloadMayNotGoIsWorst) {
  const Config::Clusters clusters =
      ClustersOf("  workload: {cpu: 1, annotations: {allowed-countries: FR}}\n");
  const auto state = MakeState(TestWorld().input());
  const std::vector<ClusterScore> scored = ScoreClusters(clusters, *state);
  EXPECT_THAT(scored[1].refused, HasSubstr("country PL is not allowed"));
  for (const auto& [name, value] : scored[1].scores) EXPECT_EQ(value, -100) << name;
  EXPECT_EQ(scored[1].scores.size(), 3U);
  for (const auto& [name, value] : scored[0].scores) EXPECT_EQ(value, 100) << name;
}

TEST(ClusterScores, WhatCannotBeRankedByIsLeftOut) {
  const auto config = ParseConfig(
      "clusters: {managed: [{name: a, provider: scaleway, region: fr-par}, "
      "{name: b, provider: scaleway, region: pl-waw}]}",
      "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  // No price is known: the catalogue's are in dollars.
  const Scores scores = ScoresOf(config->clusters, TestWorld(), 0);
  EXPECT_EQ(scores, (Scores{{"carbon", 100}}));
}

TEST(ClusterScores, ThePriceOfSuchNodesCountsWhereNoneIsStated) {
  const auto config = ParseConfig(
      "clusters: {managed: [{name: a, provider: scaleway, region: fr-par, instance_type: PRO2-M, "
      "cpu: 16, memory: 64Gi}, {name: b, provider: scaleway, region: pl-waw, cpu: 16, memory: 64Gi,"
      " eur_per_hour: 0.4}]}",
      "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  TestWorld world;
  NodeFacts node;
  node.name = "n";
  node.provider = "scaleway";
  node.region = "fr-par";
  node.instance_type = "PRO2-M";
  node.allocatable = {16'000, 64LL << 30, 0, 0};
  world.Node(node).Price("n", 0.8);
  EXPECT_EQ(ScoresOf(config->clusters, world, 1).at("cost"), 100);
  EXPECT_EQ(ScoresOf(config->clusters, world, 0).at("cost"), 0);
}

}  // namespace
}  // namespace sobre
