#include "signals/preset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST(Presets, AllLoadAndAreComplete) {
  for (const std::string_view name : PresetNames()) {
    const Result<Preset> preset = LoadPreset(name, {{"window", "77s"}});
    ASSERT_TRUE(preset.ok()) << preset.status().message();
    EXPECT_EQ(preset->name, name);
    EXPECT_FALSE(preset->about.empty()) << name;
    EXPECT_FALSE(preset->found_by.empty()) << name;
    EXPECT_FALSE(preset->queries.empty()) << name;
    for (const SignalQuery& query : preset->queries) {
      EXPECT_EQ(query.name, name);
      EXPECT_GT(query.rank, 0);
      // Its own time: an aggregate would look fresh for ever.
      EXPECT_FALSE(query.time_query.empty()) << query.query;
      EXPECT_THAT(query.query, Not(HasSubstr("${")));
      EXPECT_THAT(query.query, Not(HasSubstr("[5m]")));
      // A counter's beginning anew is looked for, where series are not of many counters.
      if (query.query.find("rate(") != std::string::npos && !query.of_all_replicas &&
          name != "node-exporter") {
        EXPECT_FALSE(query.resets_query.empty()) << query.query;
      }
    }
  }
}

TEST(Presets, TheirOwnQueriesFallIntoNoTrap) {
  for (const std::string_view name : PresetNames()) {
    const Result<Preset> preset = LoadPreset(name, {});
    for (const SignalQuery& query : preset->queries)
      EXPECT_THAT(TrapsIn(query.query, KnownTraps()), IsEmpty()) << query.query;
  }
}

TEST(Presets, ParametersFillTheTexts) {
  const Result<Preset> preset = LoadPreset(
      "electricity-price", {{"metric", "day_ahead"}, {"unit", "SEK/kWh"}, {"zone_label", "area"}});
  ASSERT_TRUE(preset.ok()) << preset.status().message();
  EXPECT_THAT(preset->found_by, ElementsAre("day_ahead"));
  EXPECT_EQ(preset->queries[0].query, "last_over_time(day_ahead{}[3h])");
  EXPECT_EQ(preset->queries[0].currency, "SEK");
  EXPECT_EQ(preset->queries[0].zone_label, "area");
}

TEST(Presets, AMeanIsThatOfTheMiddleOfTheWindow) {
  EXPECT_EQ(RobustMean("a", std::chrono::minutes(5)),
            "(quantile_over_time(0.3, (a)[300s:25s]) + quantile_over_time(0.4, (a)[300s:25s]) + "
            "quantile_over_time(0.6, (a)[300s:25s]) + quantile_over_time(0.7, (a)[300s:25s])) / 4");
  EXPECT_THAT(RobustMean("a", std::chrono::seconds(20)), HasSubstr("(a)[20s:1666ms]"));
  // Its samples' own time is asked for as that of any plain selector.
  const Result<Preset> preset = ParsePreset(
      "name: x\nparameters: {window: 1m}\n"
      "signals: [{signal: node_watts, query: a, mean_over: '${window}', or_query: 'b[${part}]'}]\n",
      "x.yaml", {});
  ASSERT_TRUE(preset.ok()) << preset.status().message();
  EXPECT_EQ(preset->queries[0].query, RobustMean("a", std::chrono::minutes(1)) + " or b[12s]");
  EXPECT_EQ(preset->queries[0].time_query, "timestamp(a)");
}

// Of two clusters, or of a collector, nothing may be added up.
TEST(Presets, KeepWhatTellsClustersAndTargetsApart) {
  for (const std::string_view name : PresetNames()) {
    const Result<Preset> preset = LoadPreset(name, {});
    for (const SignalQuery& query : preset->queries) {
      if (InfoOf(query.signal).subject == Subject::kPlace) continue;
      for (const std::string& promql : {query.query, query.time_query, query.resets_query}) {
        std::size_t groups = 0;
        for (std::size_t at = promql.find("by ("); at != std::string::npos;
             at = promql.find("by (", at + 1), ++groups)
          EXPECT_THAT(promql.substr(at, promql.find(')', at) - at), HasSubstr(kClusterLabels))
              << name;
        EXPECT_EQ(promql.empty(), groups == 0) << promql;
        EXPECT_THAT(promql, Not(HasSubstr("without"))) << promql;
      }
      if (InfoOf(query.signal).subject == Subject::kNode) {
        EXPECT_THAT(preset->parameters, testing::Contains("node_label")) << name;
      }
    }
  }
}

TEST(Presets, AUsersOwnQueryIsWarnedOfTraps) {
  EXPECT_THAT(TrapsIn("sum by (node_name) (kepler_node_cpu_watts)", KnownTraps()),
              ElementsAre(HasSubstr("kepler_node_cpu_watts without its label zone")));
  EXPECT_THAT(TrapsIn("sum(rate(istio_requests_total[5m]))", KnownTraps()), SizeIs(1));
  EXPECT_THAT(TrapsIn("sum(rate(istio_requests_total{reporter='source'}[5m]))", KnownTraps()),
              IsEmpty());
  EXPECT_THAT(TrapsIn("sum(my_istio_requests_total)", KnownTraps()), IsEmpty());
}

TEST(Presets, MatchersStandInEverySelector) {
  for (const std::string_view name : PresetNames()) {
    const Result<Preset> preset = LoadPreset(name, {{"match", "cluster=\"a: b\","}});
    ASSERT_TRUE(preset.ok()) << preset.status().message();
    for (const SignalQuery& query : preset->queries) {
      for (const std::string& promql : {query.query, query.time_query, query.resets_query}) {
        // A selector is what stands before a brace.
        for (std::size_t at = promql.find('{'); at != std::string::npos;
             at = promql.find('{', at + 1))
          EXPECT_EQ(promql.substr(at, 16), "{cluster=\"a: b\",") << promql;
        EXPECT_EQ(promql.empty(), promql.find('{') == std::string::npos) << promql;
      }
    }
  }
}

TEST(Presets, DurationsArePrometheusOwn) {
  for (const char* good : {"5m", "90s", "1h30m", "500ms", "1w"})
    EXPECT_TRUE(IsPromqlDuration(good)) << good;
  for (const char* bad : {"", "5", "m", "0s", "1.5h", "5 m", "-5m"})
    EXPECT_FALSE(IsPromqlDuration(bad)) << bad;
}

TEST(Presets, MistakesAreTold) {
  EXPECT_THAT(LoadPreset("kepller", {}).status().message(), HasSubstr("did you mean 'kepler'?"));
  EXPECT_THAT(LoadPreset("kepler", {{"window", "1.5h"}}).status().message(),
              HasSubstr("no duration of PromQL"));
  EXPECT_THAT(LoadPreset("electricity-price", {{"metric", "a{b=\"c\"}"}}).status().message(),
              HasSubstr("is not the name of a metric"));
  EXPECT_THAT(LoadPreset("kepler", {{"windw", "1m"}}).status().message(),
              HasSubstr("no parameter 'windw'; did you mean 'window'?"));
  EXPECT_THAT(
      ParsePreset("name: x\nsignals: [{signal: node_watts, query: a, unit: EUR}]\n", "x.yaml", {})
          .status()
          .message(),
      HasSubstr("x.yaml:2: signals[0]: unit 'EUR'"));
}

}  // namespace
}  // namespace sobre
