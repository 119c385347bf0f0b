#include "extender/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string TextOf(const TestWorld& world, const Metrics& metrics = {}) {
  WorldState state;
  state.snapshot = world.Snapshot();
  return metrics.Serialize(state, TestWorld::kTime, {});
}

std::size_t Count(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(Metrics, NodesAreCountedByWhereTheirFiguresComeFrom) {
  TestWorld world;
  world.Node("a", "aws", "eu-west-3").Node("b", "aws", "eu-west-3").Node("dark", "", "");
  world.Price("a", 0.40).GridZone("FR", 25);
  const std::string text = TextOf(world);
  for (const char* line :
       {R"({figure="intensity",source="live"} 2)", R"({figure="intensity",source="none"} 1)",
        R"({figure="price",source="told"} 1)"})
    EXPECT_THAT(text, HasSubstr(std::string("sobre_node_figures") + line));
  EXPECT_THAT(
      text,
      HasSubstr(
          R"(sobre_region_gco2e_per_kwh{provider="aws",region="eu-west-3",source="live"} 25)"));
}

TEST(Metrics, RegionsAreBoundedAndTheLargestAreTold) {
  TestWorld world;
  for (int i = 0; i < 200; ++i) {
    const std::string number = std::to_string(i);
    NodeFacts node;
    node.name = "n" + number;
    node.provider = "own";
    node.region = "region-" + number;
    node.grid_zone = "FR";
    world.Node(node);
    node.name = "large" + number;
    node.region = "region-77";
    world.Node(node);
  }
  const std::string text = TextOf(world);
  EXPECT_EQ(Count(text, "\nsobre_region_gco2e_per_kwh{"), 50U);
  EXPECT_THAT(text, HasSubstr(R"(region="region-77",source="catalogue")"));
}

TEST(Metrics, CertificatesAreLookedUpAtEachPage) {
  Metrics metrics;
  std::vector<CertificateInUse> found = {
      {"prometheus_ca", "main", Timestamp(std::chrono::seconds(1000))}};
  metrics.WatchCertificates([&found] { return found; });
  EXPECT_THAT(
      TextOf({}, metrics),
      HasSubstr(
          R"(sobre_certificate_expiry_timestamp_seconds{use="prometheus_ca",server="main"} 1000)"));
  found.clear();
  EXPECT_THAT(TextOf({}, metrics), Not(HasSubstr("timestamp_seconds{use")));
}

TEST(Metrics, ReloadsOfCertificatesAreToldWhereThereIsTls) {
  Metrics metrics;
  EXPECT_THAT(TextOf({}, metrics), Not(HasSubstr("sobre_tls_reloads_total{")));
  const ServerTls tls({});
  metrics.WatchTls(tls);
  const std::string text = TextOf({}, metrics);
  EXPECT_THAT(text, HasSubstr(R"(sobre_tls_reloads_total{outcome="done"} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(sobre_tls_reloads_total{outcome="failed"} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(sobre_tls_refused_total{reason="name"} 0)"));
}

}  // namespace
}  // namespace sobre
