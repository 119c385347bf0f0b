#include "extender/scenario_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::HasSubstr;

constexpr const char* kScenario = R"(
start: 2019-03-04T00:00:00Z
hours: 2
pools:
  - {name: warsaw, nodes: 2, provider: scaleway, region: pl-waw, cpu: 8, memory: 32Gi, eur_per_hour: 0.4}
  - {name: paris, nodes: 3, provider: scaleway, region: fr-par, cpu: 8, memory: 32Gi, eur_per_hour: 0.5}
intensity: {file: grid.csv}
marginal_intensity: {FR: 400, PL: 900}
prices: {warsaw: 0.3}
workload: {file: work.csv}
policies:
  - {name: alone, sobre: false}
  - {name: priced, objective: priced, carbon_price_eur_per_tonne: 100, signal_age: 6h}
)";

Result<std::string> Files(const std::string& name) {
  if (name == "grid.csv") return std::string("hour,FR,PL\n0,50,700\n1,60,710\n");
  if (name == "work.csv") {
    return std::string(
        "name,kind,arrives_hours,runs_hours,replicas,cpu,memory,gpus,requests_per_second,"
        "annotations\na,job,0,1,1,1,1Gi,0,0,\n");
  }
  if (name == "grid.json") {
    return std::string(
        R"({"status":"success","data":{"resultType":"matrix","result":[)"
        R"({"metric":{"zone":"FR"},"values":[[1551657600,"40"],[1551659400,"60"],[1551661200,"70"]]},)"
        R"({"metric":{"zone":"PL"},"values":[[1551657600,"700"],[1551661200,"710"]]}]}})");
  }
  if (name == "nodes.json") {
    const auto node = [](const std::string& own_name, const std::string& region) {
      return R"({"metadata":{"name":")" + own_name +
             R"(","labels":{"topology.kubernetes.io/region":")" + region +
             R"(","node.kubernetes.io/instance-type":"GP1-M"}},"spec":{"providerID":"scaleway://x/1"},)"
             R"("status":{"allocatable":{"cpu":"16","memory":"64Gi"}}})";
    };
    return R"({"kind":"List","items":[)" + node("a", "fr-par") + "," + node("b", "pl-waw") + "," +
           node("c", "fr-par") + "]}";
  }
  return Status::NotFound(name + ": no such file");
}

TEST(ParseScenario, ReadsAllOfIt) {
  const auto scenario = ParseScenario(kScenario, "s.yaml", Files, 9);
  ASSERT_TRUE(scenario.ok()) << scenario.status().message();
  EXPECT_EQ(scenario->seed, 9U);
  ASSERT_EQ(scenario->pools.size(), 2U);
  EXPECT_EQ(scenario->pools[0].name, "paris");
  EXPECT_EQ(scenario->pools[0].nodes, 3);
  EXPECT_EQ(scenario->pools[0].zone, "fr-par");
  EXPECT_EQ(scenario->intensity.at("PL")[1], 710);
  EXPECT_EQ(scenario->marginal.at("FR")[1], 400);
  EXPECT_EQ(scenario->price.at("warsaw")[1], 0.3);
  ASSERT_EQ(scenario->variants.size(), 2U);
  EXPECT_EQ(scenario->variants[0].percent_of_nodes, 0);
  EXPECT_EQ(scenario->variants[1].policy.carbon_price.value(), 100);
  EXPECT_EQ(scenario->variants[1].signal_age, std::chrono::hours(6));
  EXPECT_EQ(scenario->work.size(), 1U);
}

std::string Changed(std::string_view from, std::string_view to) {
  std::string yaml = kScenario;
  yaml.replace(yaml.find(from), from.size(), to);
  return yaml;
}

TEST(ParseScenario, TakesKubectlsNodesBesidePools) {
  const std::string yaml = Changed("intensity:", "nodes: {file: nodes.json}\nintensity:");
  const auto scenario = ParseScenario(yaml, "s.yaml", Files);
  ASSERT_TRUE(scenario.ok()) << scenario.status().message();
  ASSERT_EQ(scenario->pools.size(), 4U);
  EXPECT_EQ(scenario->pools[0].name, "GP1-M.fr-par");
  EXPECT_EQ(scenario->pools[0].nodes, 2);
  EXPECT_EQ(scenario->pools[0].facts.provider, "scaleway");
  EXPECT_EQ(scenario->pools[1].name, "GP1-M.pl-waw");
  const auto error = [](const std::string& text) {
    return ParseScenario(text, "s.yaml", Files).status().message();
  };
  EXPECT_THAT(error(Changed("intensity:", "nodes: {file: work.csv}\nintensity:")),
              HasSubstr("nodes: work.csv: "));
  EXPECT_THAT(error(Changed("intensity:", "nodes: nodes.json\nintensity:")),
              HasSubstr("s.yaml:7: nodes: expected {file: NAME}"));
}

TEST(ParseScenario, TakesPrometheusAnswerForASeries) {
  const auto scenario = ParseScenario(Changed("grid.csv", "grid.json"), "s.yaml", Files);
  ASSERT_TRUE(scenario.ok()) << scenario.status().message();
  EXPECT_EQ(scenario->intensity.at("FR"), (backtest::Hourly{50, 70}));
  EXPECT_EQ(scenario->intensity.at("PL"), (backtest::Hourly{700, 710}));
  const auto error = [](const std::string& text) {
    return ParseScenario(text, "s.yaml", Files).status().message();
  };
  EXPECT_THAT(error(Changed("grid.csv", "grid.json, label: area")),
              HasSubstr("intensity: grid.json: a series has no label 'area'"));
  EXPECT_THAT(error(Changed("grid.csv", "nodes.json")),
              HasSubstr("nodes.json is not what Prometheus answers"));
}

TEST(ParseScenario, SaysWhatIsWrongAndWhere) {
  const auto error = [](std::string_view from, std::string_view to) {
    std::string yaml = kScenario;
    yaml.replace(yaml.find(from), from.size(), to);
    return ParseScenario(yaml, "s.yaml", Files).status().message();
  };
  EXPECT_THAT(error("nodes: 2, ", ""), HasSubstr("s.yaml:5: pools[0]: nodes: how many"));
  EXPECT_THAT(error("work.csv", "other.csv"), HasSubstr("workload.file: other.csv: no such file"));
  EXPECT_THAT(error("objective: priced", "objective: cheap"), HasSubstr("cheap"));
  EXPECT_THAT(error("sobre: false", "sober: false"), HasSubstr("did you mean 'sobre'?"));
  EXPECT_THAT(error("{warsaw: 0.3}", "{lyon: 0.3}"), HasSubstr("there is no pool 'lyon'"));
  EXPECT_THAT(error("hours: 2", "hours: 3"), HasSubstr("hour 2, 2019-03-04T02:00:00Z, is missing"));
}

}  // namespace
}  // namespace sobre
