#include "extender/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

auto Finds(Severity severity, const std::string& text) {
  return Contains(
      AllOf(Field(&Finding::severity, severity), Field(&Finding::text, HasSubstr(text))));
}

constexpr std::string_view kGood = R"(
kind: KubeSchedulerConfiguration
profiles: [{schedulerName: sobre, percentageOfNodesToScore: 100}]
extenders:
  - {urlPrefix: http://s/v1, prioritizeVerb: prioritize, weight: 25, nodeCacheCapable: true, ignorable: true}
  - {urlPrefix: http://s/v1, filterVerb: filter, nodeCacheCapable: true, ignorable: false,
     managedResources: [{name: sobre.dev/limits, ignoredByScheduler: true}]}
)";

std::string Replaced(std::string_view from, std::string_view to) {
  std::string text(kGood);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(DiagnoseScheduler, FindsWhatHurts) {
  const auto judge = [](const std::string& yaml) { return *DiagnoseScheduler(yaml, "s.yaml"); };
  for (const Finding& finding : judge(std::string(kGood)))
    EXPECT_EQ(finding.severity, Severity::kOk) << finding.text;
  EXPECT_THAT(judge(Replaced("weight: 25", "weight: 5")),
              Finds(Severity::kWarning, "one step of ours is 50 points"));
  EXPECT_THAT(judge(Replaced("ignorable: true", "ignorable: false")),
              Finds(Severity::kError, "pods without limits wait too"));
  EXPECT_THAT(judge(Replaced("ignorable: false", "ignorable: true")),
              Finds(Severity::kError, "limits do not hold"));
  EXPECT_THAT(judge(Replaced("sobre.dev/limits", "other/thing")),
              Finds(Severity::kError, "does not manage sobre.dev/limits"));
  EXPECT_THAT(judge(Replaced("nodeCacheCapable: true", "nodeCacheCapable: false")),
              Finds(Severity::kWarning, "whole nodes are sent"));
  EXPECT_THAT(judge(Replaced("http://s", "https://s")),
              Finds(Severity::kError, "silently insecure"));
  EXPECT_THAT(judge(Replaced(", percentageOfNodesToScore: 100", "")),
              Finds(Severity::kWarning, "samples large clusters"));
  EXPECT_THAT(judge("kind: KubeSchedulerConfiguration\n"),
              Finds(Severity::kError, "Sobre is not asked"));
}

TEST(DiagnoseScheduler, WhatIsNoneIsAnError) {
  EXPECT_THAT(DiagnoseScheduler("a: [", "s.yaml").status().message(), HasSubstr("s.yaml:"));
  EXPECT_THAT(DiagnoseScheduler("[]", "s.yaml").status().message(),
              HasSubstr("expected a KubeSchedulerConfiguration"));
}

// A state as the builder publishes it, with one server.
class DiagnoseTest : public ::testing::Test {
 protected:
  std::vector<Finding> Findings() {
    state_.snapshot = world_.Snapshot();
    state_.ready = true;
    return Diagnose(state_, config_);
  }
  ServerState& Server() {
    ServerState& server = state_.servers.emplace_back();
    server.name = "1";
    server.url = "http://p:9090";
    return server;
  }
  TestWorld world_;
  WorldState state_;
  Config config_;
};

TEST_F(DiagnoseTest, AServerThatHasNotAnsweredIsAnError) {
  world_.Node("a", "aws", "eu-west-3");
  config_.prometheus.servers.emplace_back();
  EXPECT_THAT(Findings(), Finds(Severity::kError, "no server was asked yet"));
  Server();
  EXPECT_THAT(Findings(), Finds(Severity::kError, "has not answered everything yet"));
}

TEST_F(DiagnoseTest, APresetWithoutSeriesIsANote) {
  world_.Node("a", "aws", "eu-west-3");
  ServerState& server = Server();
  server.round_ended = server.answered = TestWorld::kTime;
  for (int i = 0; i < 2; ++i) {
    QueryState& query = server.queries.emplace_back();
    query.preset = "grid-intensity";
    query.query.signal = Signal::kGridIntensity;
    query.answered = TestWorld::kTime;
  }
  EXPECT_THAT(Findings(), Finds(Severity::kNote, "no series of it tells grid_gco2e_per_kwh"));
  // One unit of two is what anybody has.
  server.queries[1].series = 3;
  EXPECT_THAT(Findings(), Not(Finds(Severity::kNote, "no series of it")));
}

TEST_F(DiagnoseTest, AWorldWithoutPrometheusIsNoError) {
  world_.Node("a", "aws", "eu-west-3");
  for (const Finding& finding : Findings()) EXPECT_NE(finding.severity, Severity::kError);
  EXPECT_THAT(Findings(), Finds(Severity::kNote, "no server is configured"));
}

TEST_F(DiagnoseTest, TheWorstStandsFirst) {
  world_.Node("a", "aws", "eu-west-3");
  Server().problem = "HTTP status 401 (the token is missing)";
  EXPECT_EQ(Findings().front().severity, Severity::kError);
  EXPECT_THAT(Findings().front().repair, HasSubstr("bearer_token_file"));
}

TEST_F(DiagnoseTest, AClockThatIsOffIsTold) {
  world_.Node("a", "aws", "eu-west-3");
  Server().clock_ahead = std::chrono::minutes(10);
  EXPECT_THAT(Findings(), Finds(Severity::kError, "10 min ahead of ours"));
  state_.servers[0].clock_ahead = -std::chrono::seconds(40);
  EXPECT_THAT(Findings(), Finds(Severity::kWarning, "40 s behind ours"));
}

TEST_F(DiagnoseTest, SeriesWithoutANameTellTheirLabels) {
  world_.Node("a", "aws", "eu-west-3");
  QueryState& query = Server().queries.emplace_back();
  query.query.name = "mine";
  query.series = 20;
  query.nameless = 20;
  query.nameless_labels = "exported_node, job";
  EXPECT_THAT(Findings(), Finds(Severity::kWarning, "has the labels exported_node, job"));
}

TEST_F(DiagnoseTest, ATrapInAQueryOfOnesOwnIsTold) {
  world_.Node("a", "aws", "eu-west-3");
  QueryState& query = Server().queries.emplace_back();
  query.query.query = "sum by (node_name) (kepler_node_cpu_watts)";
  EXPECT_THAT(Findings(), Finds(Severity::kWarning, "counts things twice"));
  query.preset = "kepler";
  EXPECT_THAT(Findings(), Not(Finds(Severity::kWarning, "counts things twice")));
}

TEST_F(DiagnoseTest, AWeightThatChangesNothingIsTold) {
  world_.Node("cheap", "scaleway", "pl-waw").Price("cheap", 0.10);
  world_.Node("clean", "scaleway", "fr-par").Price("clean", 0.13);
  EXPECT_THAT(Findings(), Finds(Severity::kNote, "a cost tolerance of 10 % changes no placement"));
  config_.policy.cost_tolerance = Fraction(0.5);
  EXPECT_THAT(Findings(), Not(Finds(Severity::kNote, "changes no placement")));
  config_.policy.objective = Objective::kPriced;
  config_.policy.carbon_price = EurosPerTonne(80);
  EXPECT_THAT(Findings(),
              Finds(Severity::kNote, "a carbon price of 80 EUR/t changes no placement"));
}

}  // namespace
}  // namespace sobre
