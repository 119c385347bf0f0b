#include "signals/prometheus.h"

#include <cmath>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/http_server.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Promql, KnowsAPlainSelector) {
  EXPECT_TRUE(IsPlainSelector("kepler_node_platform_watts"));
  EXPECT_TRUE(IsPlainSelector(" node_total_hourly_cost{region=\"fr-par\"} "));
  EXPECT_FALSE(IsPlainSelector("rate(x_joules_total[1m])"));
  EXPECT_FALSE(IsPlainSelector("a + b"));
  EXPECT_FALSE(IsPlainSelector("a{x=\"1\"} * 2"));
  EXPECT_FALSE(IsPlainSelector("1"));
}

constexpr Timestamp kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23);

std::string Vector(const std::string& value) {
  return R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","node":"n1"},"value":[1,")" +
         value + R"("]}]}})";
}

// A Prometheus that says what the test tells it: first to the value query, then to timestamp().
class PrometheusTest : public ::testing::Test {
 protected:
  static Harvest Ask(const std::string& body, int status = 200,
                     const std::string& query = "sum(m)") {
    HttpServer server({.address = "127.0.0.1:0", .body_type = "application/x-www-form-urlencoded"});
    server.Handle("POST", "/api/v1/query", [&](const HttpRequest& request, HttpResponse& response) {
      response.status = status;
      response.body =
          request.body.find("timestamp") == std::string_view::npos ? body : Vector("1795392000");
      if (body == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(400));
    });
    EXPECT_TRUE(server.Start().ok());
    PrometheusOptions options;
    options.url = "http://127.0.0.1:" + std::to_string(server.port());
    options.timeout = std::chrono::milliseconds(body == "slow" ? 100 : 5000);
    SignalQuery signal;
    signal.query = query;
    return Prometheus(options).Collect({signal}, kNow);
  }
};

TEST_F(PrometheusTest, ReadsAVector) {
  const Harvest harvest = Ask(Vector("123.5"));
  ASSERT_THAT(harvest.problems, IsEmpty());
  ASSERT_EQ(harvest.observations.size(), 1U);
  EXPECT_EQ(harvest.observations[0].node, "n1");
  EXPECT_DOUBLE_EQ(harvest.observations[0].value, 123.5);
  EXPECT_EQ(harvest.observations[0].time, kNow);
}

TEST_F(PrometheusTest, AsksAPlainSelectorForItsSamplesOwnTime) {
  const Harvest harvest = Ask(Vector("1"), 200, "m");
  ASSERT_EQ(harvest.observations.size(), 1U);
  EXPECT_EQ(harvest.observations[0].time, Timestamp(std::chrono::seconds(1795392000)));
}

TEST_F(PrometheusTest, KeepsWhatIsNoNumberForTheSnapshotToJudge) {
  for (const char* value : {"NaN", "+Inf", "-Inf"}) {
    const Harvest harvest = Ask(Vector(value));
    ASSERT_EQ(harvest.observations.size(), 1U);
    EXPECT_FALSE(std::isfinite(harvest.observations[0].value)) << value;
  }
}

TEST_F(PrometheusTest, SaysWhatWentWrong) {
  const auto problem = [&](const std::string& body, int status = 200) {
    const Harvest harvest = Ask(body, status);
    EXPECT_THAT(harvest.observations, IsEmpty());
    return harvest.problems.empty() ? "" : harvest.problems[0];
  };
  EXPECT_THAT(problem(R"({"status":"success","data":{"resultType":"vector","result":[]}})"),
              HasSubstr("node_watts: the query gives no series"));
  EXPECT_THAT(problem(R"({"status":"success","data":{"resultType":"scalar","result":[1,"1"]}})"),
              HasSubstr("gives a scalar"));
  EXPECT_THAT(problem(R"({"status":"error","errorType":"bad_data","error":"parse error"})", 400),
              HasSubstr("status 400, parse error"));
  EXPECT_THAT(problem("<html>", 502), HasSubstr("status 502"));
  EXPECT_THAT(
      problem(R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"node)"),
      HasSubstr("not what Prometheus sends"));
  EXPECT_THAT(problem(""), HasSubstr("not what Prometheus sends"));
  EXPECT_THAT(problem("slow"), HasSubstr("node_watts: http://127.0.0.1:"));
}

TEST(Prometheus, AServerThatIsAwayIsAProblemNotACrash) {
  PrometheusOptions options;
  options.url = "http://127.0.0.1:1";
  SignalQuery query;
  query.query = "m";
  const Harvest harvest = Prometheus(options).Collect({query, query}, kNow);
  EXPECT_EQ(harvest.problems.size(), 2U);
}

}  // namespace
}  // namespace sobre
