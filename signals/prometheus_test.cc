#include "signals/prometheus.h"

#include <cmath>
#include <map>
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
  EXPECT_TRUE(IsPlainSelector("{\"http.requests\", job=\"web\"}"));  // of Prometheus 3
  EXPECT_FALSE(IsPlainSelector(""));
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
  struct Asked {
    QueryAnswer answer;
    std::string problem;
    QueryFailure::Scope scope = QueryFailure::Scope::kQuery;
    Duration retry_after{0};
    std::vector<std::string> headers;
  };
  Asked Ask(const std::string& body, int status = 200, const std::string& query = "sum(m)") {
    HttpServer server({.address = "127.0.0.1:0", .body_type = "application/x-www-form-urlencoded"});
    server.Handle("POST", "/api/v1/query", [&](const HttpRequest& request, HttpResponse& response) {
      response.status = status;
      const bool time = request.body.find("timestamp") != std::string_view::npos;
      const bool resets = request.body.find("resets") != std::string_view::npos;
      response.body = time ? Vector("1795392000") : resets ? Vector("2") : body;
      if (body == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(400));
    });
    EXPECT_TRUE(server.Start().ok());
    options_.url = "http://127.0.0.1:" + std::to_string(server.port());
    options_.timeout = std::chrono::milliseconds(body == "slow" ? 100 : 5000);
    query_.query = query;
    Prometheus prometheus(options_, stop_);
    EXPECT_TRUE(prometheus.ReadCredentials().ok());
    Asked asked;
    if (const auto failure = prometheus.Collect(query_, kNow, std::nullopt, asked.answer)) {
      asked.problem = failure->status.message();
      asked.scope = failure->scope;
    }
    clock_ahead_ = prometheus.clock_ahead();
    return asked;
  }
  std::atomic<bool> stop_ = false;
  PrometheusOptions options_;
  SignalQuery query_;
  Duration clock_ahead_{0};
};

TEST_F(PrometheusTest, ReadsAVectorAndConvertsItsUnit) {
  query_.factor = 1e-3;
  const Asked asked = Ask(Vector("123500"));
  ASSERT_EQ(asked.problem, "");
  ASSERT_EQ(asked.answer.observations.size(), 1U);
  EXPECT_EQ(asked.answer.observations[0].node, "n1");
  EXPECT_DOUBLE_EQ(asked.answer.observations[0].value, 123.5);
  EXPECT_EQ(asked.answer.observations[0].time, kNow);
}

TEST_F(PrometheusTest, AsksAPlainSelectorForItsSamplesOwnTime) {
  const Asked asked = Ask(Vector("1"), 200, "m");
  ASSERT_EQ(asked.answer.observations.size(), 1U);
  EXPECT_EQ(asked.answer.observations[0].time, Timestamp(std::chrono::seconds(1795392000)));
}

TEST_F(PrometheusTest, ASeriesThatHasEndedIsLeftOut) {
  // The value is of n1, the time of another: n1 has no sample of its own any more.
  query_.time_query = "other";
  HttpServer server({.address = "127.0.0.1:0", .body_type = "application/x-www-form-urlencoded"});
  server.Handle("POST", "/api/v1/query", [](const HttpRequest& request, HttpResponse& response) {
    const bool time = request.body.find("other") != std::string_view::npos;
    const std::string second = R"(,{"metric":{"node":"n2"},"value":[1,"5"]}]}})";
    response.body =
        time ? R"({"status":"success","data":{"resultType":"vector","result":[)" + second.substr(1)
             : Vector("5").substr(0, Vector("5").size() - 3) + second;
  });
  ASSERT_TRUE(server.Start().ok());
  options_.url = "http://127.0.0.1:" + std::to_string(server.port());
  query_.query = "m";
  Prometheus prometheus(options_, stop_);
  QueryAnswer answer;
  ASSERT_FALSE(prometheus.Collect(query_, kNow, std::nullopt, answer));
  EXPECT_EQ(answer.series, 2);
  EXPECT_EQ(answer.ended, 1);
  ASSERT_EQ(answer.observations.size(), 1U);
  EXPECT_EQ(answer.observations[0].node, "n2");
}

TEST_F(PrometheusTest, AForecastForNobodyKnowsWhenIsNone) {
  query_.signal = Signal::kGridForecast;
  query_.zone_label = "node";
  query_.ahead_label = "node";  // "n1" is no duration
  EXPECT_EQ(Ask(Vector("1")).answer.nameless, 1);
  query_.ahead_label = "ahead";
  EXPECT_EQ(Ask(Vector("1")).answer.nameless, 0);
}

TEST_F(PrometheusTest, MarksACounterThatBeganAnew) {
  query_.resets_query = "resets(m[5m])";
  EXPECT_TRUE(Ask(Vector("1")).answer.observations.at(0).reset);
}

TEST_F(PrometheusTest, TakesTheFirstLabelThatSaysSomething) {
  query_.node_label = "absent, node";
  EXPECT_EQ(Ask(Vector("1")).answer.observations.at(0).node, "n1");
  query_.node_label = "absent";
  const Asked asked = Ask(Vector("1"));
  EXPECT_EQ(asked.answer.nameless, 1);
  EXPECT_EQ(asked.answer.nameless_labels, "node");
}

TEST_F(PrometheusTest, SaysOfWhichClusterASeriesIs) {
  EXPECT_EQ(Ask(Vector("1")).answer.observations.at(0).cluster, "");
  query_.cluster_label = "cluster, node";
  EXPECT_EQ(Ask(Vector("1")).answer.observations.at(0).cluster, "node=n1");
}

TEST_F(PrometheusTest, ComparesClocks) {
  // Vector() was evaluated one second after 1970.
  Ask(Vector("1"));
  EXPECT_EQ(clock_ahead_, Timestamp(std::chrono::seconds(1)) - kNow);
}

TEST_F(PrometheusTest, KeepsWhatIsNoNumberForTheSnapshotToJudge) {
  for (const char* value : {"NaN", "+Inf", "-Inf"}) {
    const Asked asked = Ask(Vector(value));
    ASSERT_EQ(asked.answer.observations.size(), 1U);
    EXPECT_FALSE(std::isfinite(asked.answer.observations[0].value)) << value;
  }
}

TEST_F(PrometheusTest, SaysWhatWentWrongAndWhoseFaultItIs) {
  const auto ask = [&](const std::string& body, int status = 200) {
    Asked asked = Ask(body, status);
    EXPECT_THAT(asked.answer.observations, IsEmpty());
    return asked;
  };
  EXPECT_THAT(
      ask(R"({"status":"success","data":{"resultType":"scalar","result":[1,"1"]}})").problem,
      HasSubstr("gives a scalar"));
  const Asked bad = ask(R"({"status":"error","errorType":"bad_data","error":"parse error"})", 400);
  EXPECT_THAT(bad.problem, HasSubstr("HTTP status 400: parse error"));
  EXPECT_EQ(bad.scope, QueryFailure::Scope::kQuery);
  const Asked gateway = ask("<html>", 502);
  EXPECT_THAT(gateway.problem, HasSubstr("HTTP status 502"));
  EXPECT_EQ(gateway.scope, QueryFailure::Scope::kUnclear);
  EXPECT_THAT(ask("no", 401).problem, HasSubstr("token or password is missing, wrong or expired"));
  EXPECT_EQ(ask("no", 401).scope, QueryFailure::Scope::kServer);
  EXPECT_THAT(ask("", 429).problem, HasSubstr("too many requests"));
  EXPECT_THAT(ask(R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"node)")
                  .problem,
              HasSubstr("not what Prometheus sends"));
  EXPECT_THAT(ask("").problem, HasSubstr("not what Prometheus sends"));
  const Asked slow = ask("slow");
  EXPECT_THAT(slow.problem, HasSubstr("http://127.0.0.1:"));
  EXPECT_EQ(slow.scope, QueryFailure::Scope::kUnclear);
}

TEST_F(PrometheusTest, ACountThatIsNoneIsZero) {
  for (const auto& [told, count] :
       {std::pair("NaN", std::int64_t{0}), std::pair("-1e300", 0L),
        std::pair("1e300", 1'000'000'000'000'000L), std::pair("7", 7L)}) {
    HttpServer server({.address = "127.0.0.1:0", .body_type = "application/x-www-form-urlencoded"});
    server.Handle("POST", "/api/v1/query", [&](const HttpRequest&, HttpResponse& response) {
      response.body = Vector(told);
    });
    ASSERT_TRUE(server.Start().ok());
    options_.url = "http://127.0.0.1:" + std::to_string(server.port());
    Prometheus prometheus(options_, stop_);
    std::map<std::string, std::int64_t> found;
    ASSERT_FALSE(prometheus.Discover({{"m", ""}}, found));
    EXPECT_EQ(found[""], count) << told;
  }
}

TEST_F(PrometheusTest, AFileThatCannotBeReadIsAnError) {
  options_.url = "http://127.0.0.1:1";
  options_.bearer_token_file = "/nonexistent/token";
  Prometheus prometheus(options_, stop_);
  EXPECT_THAT(prometheus.ReadCredentials().message(), HasSubstr("/nonexistent/token"));
}

}  // namespace
}  // namespace sobre
