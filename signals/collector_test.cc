#include "signals/collector.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "net/http_server.h"

namespace sobre {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kSoon = std::chrono::seconds(10);

// Answers each query by a rule of the test's, and keeps count.
class FakePrometheus {
 public:
  using Rule = std::function<void(const std::string& promql, HttpResponse& response)>;

  explicit FakePrometheus(Rule rule)
      : rule_(std::move(rule)),
        server_({.address = "127.0.0.1:0", .body_type = "application/x-www-form-urlencoded"}) {
    server_.Handle("POST", "/api/v1/query",
                   [this](const HttpRequest& request, HttpResponse& response) {
                     ++asked_;
                     rule_(std::string(request.body), response);
                   });
    EXPECT_TRUE(server_.Start().ok());
  }
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(server_.port());
  }
  [[nodiscard]] int asked() const { return asked_; }

  static std::string Vector(const std::string& labels, const std::string& value) {
    return R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{)" + labels +
           R"(},"value":[1795392000,")" + value + R"("]}]}})";
  }

 private:
  const Rule rule_;
  std::atomic<int> asked_ = 0;
  HttpServer server_;
};

ServerPlan PlanFor(const std::string& url) {
  ServerPlan plan;
  plan.server.url = url;
  plan.server.timeout = std::chrono::seconds(2);
  SignalQuery query;
  query.query = "sum(watts)";
  plan.queries.push_back(query);
  return plan;
}

void AddPreset(const char* name, bool automatic, ServerPlan& plan) {
  plan.presets.push_back({*LoadPreset(name, {}), automatic});
}

TEST(Collector, AsksAndSharesWhatItGot) {
  FakePrometheus server([](const std::string&, HttpResponse& response) {
    response.body = FakePrometheus::Vector(R"("node":"n1")", "100");
  });
  Collector collector({PlanFor(server.url())}, {}, [] {});
  ASSERT_TRUE(collector.WaitForFirstRound(kSoon));
  const Harvest harvest = collector.View();
  EXPECT_THAT(harvest.problems, IsEmpty());
  ASSERT_EQ(harvest.batches.size(), 1U);
  EXPECT_EQ(harvest.batches[0]->at(0).node, "n1");
  EXPECT_EQ(collector.View().batches[0], harvest.batches[0]);
}

TEST(Collector, AServerThatIsAwayDelaysNoOther) {
  FakePrometheus server([](const std::string&, HttpResponse& response) {
    response.body = FakePrometheus::Vector(R"("node":"n1")", "100");
  });
  ServerPlan away = PlanFor("http://127.0.0.1:1");
  away.server.name = "away";
  ServerPlan here = PlanFor(server.url());
  here.server.name = "here";
  Collector collector({away, here}, {}, [] {});
  ASSERT_TRUE(collector.WaitForFirstRound(kSoon));
  const Harvest harvest = collector.View();
  EXPECT_EQ(harvest.batches.size(), 1U);
  EXPECT_THAT(harvest.problems, Contains(HasSubstr("prometheus away: http://127.0.0.1:1")));
  // The second server's values rank behind the first's.
  EXPECT_GT(harvest.servers[1].queries[0].query.rank, harvest.servers[0].queries[0].query.rank);
}

TEST(Collector, KeepsTheLastGoodValues) {
  std::atomic<bool> well = true;
  FakePrometheus server([&](const std::string&, HttpResponse& response) {
    response.status = well ? 200 : 503;
    response.body = FakePrometheus::Vector(R"("node":"n1")", "100");
  });
  CollectorOptions options;
  options.refresh = std::chrono::milliseconds(50);
  Collector collector({PlanFor(server.url())}, options, [] {});
  ASSERT_TRUE(collector.WaitForFirstRound(kSoon));
  well = false;
  const Timestamp deadline = Now() + kSoon;
  while (collector.View().problems.empty() && Now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const Harvest harvest = collector.View();
  EXPECT_THAT(harvest.problems, Contains(HasSubstr("HTTP status 503")));
  EXPECT_EQ(harvest.batches.size(), 1U);
}

// Waits until `check` holds for a view.
Harvest ViewWhen(Collector& collector, const std::function<bool(const Harvest&)>& check) {
  const Timestamp deadline = Now() + kSoon;
  while (true) {
    Harvest harvest = collector.View();
    if (check(harvest) || Now() > deadline) return harvest;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST(Collector, OneQueryThatFailsHindersNoOther) {
  FakePrometheus server([](const std::string& promql, HttpResponse& response) {
    if (promql.find("heavy") != std::string::npos) response.status = 503;
    response.body = FakePrometheus::Vector(R"("node":"n1")", "100");
  });
  ServerPlan plan = PlanFor(server.url());
  plan.queries[0].query = "sum(heavy)";
  plan.queries.push_back(PlanFor("").queries[0]);
  Collector collector({plan}, {}, [] {});
  ASSERT_TRUE(collector.WaitForFirstRound(kSoon));
  const Harvest harvest = collector.View();
  EXPECT_EQ(harvest.batches.size(), 1U);
  EXPECT_EQ(harvest.servers[0].problem, "");
  EXPECT_THAT(harvest.problems,
              testing::ElementsAre(HasSubstr("node_watts from prometheus: HTTP status 503")));
}

TEST(Collector, AfterTwoFailuresTheNextRoundBeginsBehindThem) {
  FakePrometheus server([](const std::string& promql, HttpResponse& response) {
    if (promql.find("heavy") != std::string::npos) response.status = 503;
    response.body = FakePrometheus::Vector(R"("node":"n1")", "100");
  });
  ServerPlan plan = PlanFor(server.url());
  plan.queries[0].query = "sum(heavy)";
  plan.queries.push_back(plan.queries[0]);
  plan.queries.push_back(PlanFor("").queries[0]);
  CollectorOptions options;
  options.refresh = std::chrono::milliseconds(20);
  Collector collector({plan}, options, [] {});
  const Harvest harvest = ViewWhen(collector, [](const Harvest& h) { return !h.batches.empty(); });
  EXPECT_EQ(harvest.batches.size(), 1U);
}

TEST(Collector, NeighboursThatFailLeaveTheServerWell) {
  FakePrometheus server([](const std::string& promql, HttpResponse& response) {
    if (promql.find("heavy") != std::string::npos) response.status = 503;
    response.body = FakePrometheus::Vector(R"("node":"n1")", "100");
  });
  ServerPlan plan = PlanFor(server.url());
  plan.queries.resize(4, plan.queries[0]);
  plan.queries[1].query = plan.queries[2].query = "sum(heavy)";
  CollectorOptions options;
  options.refresh = std::chrono::milliseconds(20);
  options.past_moments = 2;
  Collector collector({plan}, options, [] {});
  std::size_t past = 0;
  const Harvest harvest = ViewWhen(collector, [&](const Harvest& h) {
    past += h.past.size();
    return past >= 2;
  });
  EXPECT_EQ(past, 2U);
  EXPECT_EQ(harvest.servers[0].problem, "");
  EXPECT_EQ(harvest.batches.size(), 2U);
  EXPECT_EQ(harvest.problems.size(), 2U);
}

TEST(Collector, AServerThatOnlyFailsIsSaidToFailAlsoWithNothingNamed) {
  FakePrometheus server([](const std::string&, HttpResponse& response) { response.status = 500; });
  ServerPlan plan = PlanFor(server.url());
  plan.queries.clear();
  AddPreset("kepler", true, plan);
  Collector collector({plan}, {}, [] {});
  ASSERT_TRUE(collector.WaitForFirstRound(kSoon));
  EXPECT_THAT(collector.View().problems, testing::ElementsAre("prometheus: HTTP status 500"));
}

TEST(Collector, APresetThatLosesItsSeriesKeepsItsValuesAndSaysSo) {
  std::atomic<bool> there = true;
  FakePrometheus server([&](const std::string& promql, HttpResponse& response) {
    if (promql.find("__name__") != std::string::npos) {
      response.body = FakePrometheus::Vector(R"("metric":"kepler_platform_watts")", "7");
    } else if (there) {
      response.body = FakePrometheus::Vector(R"("node_name":"n1")", "100");
    } else {
      response.body = R"({"status":"success","data":{"resultType":"vector","result":[]}})";
    }
  });
  ServerPlan plan = PlanFor(server.url());
  plan.queries.clear();
  AddPreset("kepler", true, plan);
  CollectorOptions options;
  options.refresh = std::chrono::milliseconds(20);
  Collector collector({plan}, options, [] {});
  ViewWhen(collector, [](const Harvest& h) { return !h.batches.empty(); });
  there = false;
  const Harvest harvest = ViewWhen(collector, [](const Harvest& h) { return !h.problems.empty(); });
  EXPECT_THAT(harvest.problems,
              testing::ElementsAre("node_watts from kepler: the query gives no series"));
  EXPECT_EQ(harvest.batches.size(), 1U);
}

TEST(Collector, AServerThatIsWellAgainIsSaidToBeWithoutAnySeries) {
  std::atomic<bool> well = false;
  FakePrometheus server([&](const std::string&, HttpResponse& response) {
    response.status = well ? 200 : 503;
    response.body = R"({"status":"success","data":{"resultType":"vector","result":[]}})";
  });
  CollectorOptions options;
  options.refresh = std::chrono::milliseconds(20);
  Collector collector({PlanFor(server.url())}, options, [] {});
  ViewWhen(collector, [](const Harvest& h) { return !h.servers[0].problem.empty(); });
  well = true;
  const Harvest harvest =
      ViewWhen(collector, [](const Harvest& h) { return h.servers[0].problem.empty(); });
  EXPECT_EQ(harvest.servers[0].problem, "");
  EXPECT_THAT(harvest.problems, Contains(HasSubstr("the query gives no series")));
}

// A discovery query gets the metrics that are there; all else one series.
FakePrometheus::Rule WithMetrics(const std::vector<std::string>& metrics) {
  return [metrics](const std::string& promql, HttpResponse& response) {
    if (promql.find("__name__") == std::string::npos) {
      response.body = FakePrometheus::Vector(R"("node":"n1","node_name":"n1")", "100");
      return;
    }
    std::string list;
    for (const std::string& metric : metrics)
      list += (list.empty() ? "" : ",") +
              (R"({"metric":{"metric":")" + metric + R"("},"value":[1,"7"]})");
    response.body =
        R"({"status":"success","data":{"resultType":"vector","result":[)" + list + "]}}";
  };
}

TEST(Collector, PresetsAreFoundByTheirMetrics) {
  FakePrometheus server(WithMetrics({"kepler_node_cpu_watts", "node_total_hourly_cost"}));
  ServerPlan plan = PlanFor(server.url());
  plan.queries.clear();
  for (const std::string_view name : PresetNames())
    plan.presets.push_back({*LoadPreset(name, {}), true});
  Collector collector({plan}, {}, [] {});
  ASSERT_TRUE(collector.WaitForFirstRound(kSoon));
  const Harvest harvest = collector.View();
  EXPECT_THAT(harvest.problems, IsEmpty());
  EXPECT_EQ(harvest.batches.size(), 2U);
  for (const PresetState& preset : harvest.servers[0].presets)
    EXPECT_EQ(preset.found, preset.name == "kepler" || preset.name == "opencost") << preset.name;
}

TEST(Collector, OnesOwnQueryReplacesThatOfAPresetFoundByItself) {
  FakePrometheus server(WithMetrics({"kepler_platform_watts"}));
  ServerPlan plan = PlanFor(server.url());
  AddPreset("kepler", true, plan);
  Collector collector({plan}, {}, [] {});
  ASSERT_TRUE(collector.WaitForFirstRound(kSoon));
  const Harvest harvest = collector.View();
  EXPECT_EQ(harvest.batches.size(), 1U);
  EXPECT_EQ(harvest.servers[0].queries[1].idle, "your own query feeds node_watts");
}

TEST(Collector, ADiscoveryThatFailsStopsNothingElse) {
  FakePrometheus server([](const std::string& promql, HttpResponse& response) {
    if (promql.find("__name__") != std::string::npos) {
      response.status = 422;
      response.body = R"({"status":"error","error":"too many series"})";
      return;
    }
    response.body = FakePrometheus::Vector(R"("node":"n1","node_name":"n1")", "100");
  });
  ServerPlan plan = PlanFor(server.url());
  AddPreset("kepler", false, plan);
  AddPreset("scaphandre", true, plan);
  Collector collector({plan}, {}, [] {});
  ASSERT_TRUE(collector.WaitForFirstRound(kSoon));
  const Harvest harvest = collector.View();
  // One's own query, and the five of the preset that is named.
  EXPECT_EQ(harvest.batches.size(), 6U);
  EXPECT_THAT(harvest.problems,
              Contains(HasSubstr("presets cannot be looked for: HTTP status 422")));
  EXPECT_EQ(harvest.servers[0].problem, "");
}

TEST(Collector, APresetsQueryWithoutSeriesIsNoProblem) {
  FakePrometheus server([](const std::string& promql, HttpResponse& response) {
    response.body = promql.find("__name__") != std::string::npos
                        ? FakePrometheus::Vector(R"("metric":"kepler_platform_watts")", "7")
                        : R"({"status":"success","data":{"resultType":"vector","result":[]}})";
  });
  ServerPlan plan = PlanFor(server.url());
  plan.queries.clear();
  AddPreset("kepler", false, plan);
  Collector collector({plan}, {}, [] {});
  ASSERT_TRUE(collector.WaitForFirstRound(kSoon));
  EXPECT_THAT(collector.View().problems, IsEmpty());
}

TEST(Collector, ValuesOfAnExporterThatIsGoneAgeAndAreForgotten) {
  std::atomic<bool> there = true;
  const FakePrometheus::Rule with = WithMetrics({"kepler_platform_watts"});
  const FakePrometheus::Rule without = WithMetrics({});
  FakePrometheus server([&](const std::string& promql, HttpResponse& response) {
    (there ? with : without)(promql, response);
  });
  ServerPlan plan = PlanFor(server.url());
  plan.queries.clear();
  AddPreset("kepler", true, plan);
  for (SignalQuery& query : plan.presets[0].preset.queries)
    query.max_age = std::chrono::milliseconds(50);
  CollectorOptions options;
  options.refresh = std::chrono::milliseconds(20);
  options.discover = std::chrono::milliseconds(40);
  Collector collector({plan}, options, [] {});
  ViewWhen(collector, [](const Harvest& h) { return !h.batches.empty(); });
  there = false;
  const Harvest harvest = ViewWhen(collector, [](const Harvest& h) { return h.batches.empty(); });
  EXPECT_TRUE(harvest.batches.empty());
  EXPECT_THAT(harvest.problems, IsEmpty());
}

TEST(Collector, APresetThatIsNamedAndMissingIsAProblem) {
  FakePrometheus server(WithMetrics({}));
  ServerPlan plan = PlanFor(server.url());
  plan.queries.clear();
  AddPreset("vllm", false, plan);
  Collector collector({plan}, {}, [] {});
  ASSERT_TRUE(collector.WaitForFirstRound(kSoon));
  EXPECT_THAT(collector.View().problems,
              Contains(HasSubstr("preset vllm is switched on, but none of its metrics is there")));
}

TEST(Collector, HowManyQueriesAreAskedDoesNotDependOnTheAnswers) {
  const auto count = [](int nodes) {
    FakePrometheus server([nodes](const std::string&, HttpResponse& response) {
      std::string list;
      for (int i = 0; i < nodes; ++i) {
        list += (i == 0 ? "" : ",") +
                (R"({"metric":{"node":"n)" + std::to_string(i) + R"("},"value":[1,"7"]})");
      }
      response.body =
          R"({"status":"success","data":{"resultType":"vector","result":[)" + list + "]}}";
    });
    Collector collector({PlanFor(server.url())}, {}, [] {});
    EXPECT_TRUE(collector.WaitForFirstRound(kSoon));
    return server.asked();
  };
  EXPECT_EQ(count(1), count(5000));
}

TEST(Collector, ThePastIsReadOneMomentARoundAndHandedOutOnce) {
  FakePrometheus server([](const std::string&, HttpResponse& response) {
    response.body = FakePrometheus::Vector(R"("node":"n1")", "100");
  });
  CollectorOptions options;
  options.refresh = std::chrono::milliseconds(20);
  options.past_moments = 2;
  Collector collector({PlanFor(server.url())}, options, [] {});
  std::vector<Harvest::Past> past;
  const Timestamp deadline = Now() + kSoon;
  while (past.size() < 2 && Now() < deadline) {
    for (Harvest::Past& moment : collector.View().past) past.push_back(std::move(moment));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_EQ(past.size(), 2U);
  EXPECT_EQ(past[1].time - past[0].time, std::chrono::hours(1));
  EXPECT_LT(past[1].time, Now() - std::chrono::minutes(50));
  EXPECT_EQ(past[0].observations.size(), 1U);
}

}  // namespace
}  // namespace sobre
