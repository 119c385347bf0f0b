#include "extender/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::HasSubstr;

TEST(Config, EverythingHasADefault) {
  const auto config = ParseConfig("", "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->listen.extender, "0.0.0.0:8090");
  EXPECT_EQ(config->policy.objective, Objective::kBalanced);
}

TEST(Config, ReadsWhatIsSaid) {
  const auto config = ParseConfig(R"(
listen: {extender: "127.0.0.1:0", shutdown_grace: 100ms}
kubernetes: {kubeconfig: /tmp/k, default_provider: ovhcloud}
prometheus:
  url: http://localhost:9090/
  refresh: 10s
  signals:
    - {signal: node_price_per_hour, query: node_total_hourly_cost, node_label: instance, max_age: 1h}
policy: {objective: priced, cost_tolerance_percent: 5, carbon_price_eur_per_tonne: 80}
)",
                                  "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->prometheus.server.url, "http://localhost:9090");
  ASSERT_EQ(config->prometheus.signals.size(), 1U);
  EXPECT_EQ(config->prometheus.signals[0].node_label, "instance");
  EXPECT_EQ(config->max_age[static_cast<std::size_t>(Signal::kNodePrice)], std::chrono::hours(1));
  EXPECT_EQ(config->policy.objective, Objective::kPriced);
  EXPECT_DOUBLE_EQ(config->policy.cost_tolerance.value(), 0.05);
}

TEST(Config, ErrorsNameFileLineAndKey) {
  const auto error = [](std::string_view yaml) {
    return ParseConfig(yaml, "sobre.yaml").status().message();
  };
  EXPECT_EQ(error("listen:\n  extendr: x\n"),
            "sobre.yaml:2: unknown key 'listen.extendr'; did you mean 'extender'?");
  EXPECT_EQ(error("\n\npolcy: {}\n"), "sobre.yaml:3: unknown key 'polcy'; did you mean 'policy'?");
  EXPECT_THAT(error("policy:\n  objective: green\n"),
              HasSubstr("sobre.yaml:2: policy.objective: 'green' is none of"));
  EXPECT_THAT(error("policy:\n  cost_tolerance_percent: 0,5\n"),
              HasSubstr("sobre.yaml:2: policy.cost_tolerance_percent: '0,5'"));
  EXPECT_THAT(error("prometheus:\n  timeout: 5\n"),
              HasSubstr("sobre.yaml:2: prometheus.timeout: '5' is no duration"));
  EXPECT_THAT(error("prometheus:\n  url: x\n  signals:\n    - {signal: watts, query: x}\n"),
              HasSubstr("sobre.yaml:4: prometheus.signals[0]: signal 'watts'"));
  EXPECT_THAT(error("prometheus:\n  signals:\n    - {signal: node_watts, query: x}\n"),
              HasSubstr("signals, but no url"));
  EXPECT_THAT(error("listen: [1]\n"), HasSubstr("sobre.yaml:1: listen: expected a mapping"));
  EXPECT_THAT(error("listen: {max_connections: 0}\n"), HasSubstr("whole number from 1 to 500"));
  EXPECT_THAT(error("a: [\n"), HasSubstr("sobre.yaml:"));
}

}  // namespace
}  // namespace sobre
