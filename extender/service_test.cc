#include "extender/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "extender/records.h"
#include "k8s/json_objects.h"
#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() {
    TestWorld small;
    small.Node("fr", "aws", "eu-west-3")
        .Node("de", "aws", "eu-central-1")
        .Price("fr", 0.40)
        .Price("de", 0.40);
    small.input().trust_node_labels = true;
    auto state = std::make_shared<WorldState>(*MakeState(small.input()));
    state->namespaces["thrifty"] = MakeNamespacePolicy("thrifty", {{"objective", "cost"}}, {});
    world_.Publish(state);
  }
  HttpResponse Post(Verb verb, const std::string& body) {
    const std::string padded = Padded(body);
    HttpResponse response;
    switch (verb) {
      case Verb::kFilter:
        service_.Filter({"", padded}, response);
        break;
      case Verb::kPrioritize:
        service_.Prioritize({"", padded}, response);
        break;
      case Verb::kPreempt:
        service_.Preempt({"", padded}, response);
        break;
    }
    return response;
  }
  // A question about preemption, of a pod with these annotations.
  static std::string Victims(const std::string& by_node, const std::string& annotations = "",
                             const std::string& pod_namespace = "shop") {
    return R"({"Pod":{"metadata":{"name":"p","namespace":")" + pod_namespace +
           R"(","uid":"u","annotations":{)" + annotations +
           R"(}},"spec":{"containers":[{"resources":{"requests":{"cpu":"2"}}}]}},"NodeNameToMetaVictims":{)" +
           by_node + "}}";
  }
  static std::string Names(const std::string& names, const std::string& pod_namespace = "shop") {
    return R"({"Pod":{"metadata":{"name":"p","namespace":")" + pod_namespace +
           R"(","uid":"u"},"spec":{"containers":[{"resources":{"requests":{"cpu":"2"}}}]}},"Nodes":null,"NodeNames":[)" +
           names + "]}";
  }
  // Of a pod with annotations, in a namespace of its own.
  static std::string Both(const std::string& annotations, bool marked,
                          const std::string& pod_namespace = "law") {
    return R"({"Pod":{"metadata":{"name":"p","namespace":")" + pod_namespace +
           R"(","uid":"u","annotations":{)" + annotations +
           R"(}},"spec":{"containers":[{"resources":{"requests":{"cpu":"2")" +
           (marked ? R"(,"sobre.dev/limits":"1")" : "") +
           R"(}}}]}},"Nodes":null,"NodeNames":["de","fr"]})";
  }
  void Say(const Annotations& of_law) {
    auto state = std::make_shared<WorldState>(*MakeState(world_.Read()->input));
    state->namespaces["law"] = MakeNamespacePolicy("law", of_law, {});
    world_.Publish(state);
  }
  // What its owner was told.
  class Heard final : public World {
   public:
    void Tell(const PodEvent& event) override { told.push_back(event.message); }
    std::vector<std::string> told;
  };
  Heard world_;
  Metrics metrics_;
  std::vector<DecisionSummary> Summaries() {
    EXPECT_TRUE(records_->recorder().WaitUntilWritten(std::chrono::seconds(30)));
    return records_->recent().List();
  }
  std::unique_ptr<Records> records_ = *Records::Open({});
  ExtenderService service_{world_, metrics_, records_->recorder()};
};

TEST_F(ServiceTest, ScoresNamesInTheirOrder) {
  EXPECT_EQ(Post(Verb::kPrioritize, Names(R"("de","fr")")).body,
            R"([{"Host":"de","Score":5},{"Host":"fr","Score":10}])");
  EXPECT_EQ(Summaries().at(0).pod, "p");
  EXPECT_THAT(Summaries().at(0).best, HasSubstr("fr (aws eu-west-3): score 10"));
}

TEST_F(ServiceTest, TheNamespacesAnnotationsCount) {
  EXPECT_EQ(Post(Verb::kPrioritize, Names(R"("de","fr")", "thrifty")).body,
            R"([{"Host":"de","Score":10},{"Host":"fr","Score":10}])");
}

TEST_F(ServiceTest, AnUnknownNodeGetsZeroAndIsNamed) {
  EXPECT_EQ(Post(Verb::kPrioritize, Names(R"("ghost \"x\"","fr")")).body,
            R"([{"Host":"ghost \"x\"","Score":0},{"Host":"fr","Score":10}])");
}

TEST_F(ServiceTest, FilterAnswersInTheFormThatWasAsked) {
  EXPECT_EQ(
      Post(Verb::kFilter, Names(R"("de","ghost")")).body,
      R"({"Nodes":null,"NodeNames":["de","ghost"],"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":""})");
  const std::string node = R"({"metadata":{"name":"de"},"x":[1]})";
  const HttpResponse whole =
      Post(Verb::kFilter, R"({"Pod":{},"Nodes":{"items":[)" + node + R"(]},"NodeNames":null})");
  EXPECT_EQ(
      whole.body,
      R"({"Nodes":{"metadata":{},"items":[)" + node +
          R"(]},"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":""})");
}

TEST_F(ServiceTest, WholeNodesNeedNotBeKnownBefore) {
  const std::string node =
      R"({"metadata":{"name":"new","labels":{"topology.kubernetes.io/region":"eu-north-1"}},"spec":{"providerID":"aws:///x/i"},"status":{"allocatable":{"cpu":"8","memory":"32Gi"}}})";
  const std::string fr = R"({"metadata":{"name":"fr"}})";
  const HttpResponse response = Post(
      Verb::kPrioritize,
      R"({"Pod":{"metadata":{"annotations":{"sobre.dev/objective":"carbon"}}},"Nodes":{"items":[)" +
          fr + "," + node + R"(]}})");
  EXPECT_EQ(response.body, R"([{"Host":"fr","Score":7},{"Host":"new","Score":10}])");
}

TEST_F(ServiceTest, WholeNodesAreReadAsTheConfigurationSays) {
  const std::string nodes =
      R"([{"metadata":{"name":"fr"}},{"metadata":{"name":"new","labels":{"topology.kubernetes.io/region":"SBG5"}},"spec":{"providerID":"openstack:///1"},"status":{"allocatable":{"cpu":"8","memory":"32Gi"}}}])";
  const std::string body =
      R"({"Pod":{"metadata":{"annotations":{"sobre.dev/objective":"carbon"}}},"Nodes":{"items":)" +
      nodes + "}}";
  EXPECT_THAT(Post(Verb::kPrioritize, body).body, HasSubstr(R"({"Host":"new","Score":0})"));
  ExtenderService told(world_, metrics_, records_->recorder(), {{}, "ovhcloud"});
  const std::string padded = Padded(body);
  HttpResponse response;
  told.Prioritize({"", padded}, response);
  EXPECT_THAT(response.body, HasSubstr(R"({"Host":"new","Score":)"));
  EXPECT_THAT(response.body, ::testing::Not(HasSubstr(R"({"Host":"new","Score":0})")));
}

TEST_F(ServiceTest, BadInputGetsAReason) {
  EXPECT_EQ(Post(Verb::kPrioritize, "{").status, 400);
  EXPECT_THAT(Post(Verb::kPrioritize, Names(R"("fr","fr")")).body,
              HasSubstr("node 'fr' is in the request twice"));
  EXPECT_THAT(Post(Verb::kFilter, Names(R"("g","g")")).body,
              HasSubstr("node 'g' is in the request twice"));
  EXPECT_EQ(Post(Verb::kPrioritize, Names("")).body, "[]");
  EXPECT_EQ(Post(Verb::kFilter, Names("")).status, 200);
  const std::string text = metrics_.Serialize(*world_.Read(), Now(), {});
  EXPECT_THAT(text, HasSubstr(R"(sobre_requests_total{verb="prioritize",outcome="refused"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(sobre_request_duration_seconds_count{verb="filter"} 2)"));
}

TEST_F(ServiceTest, NamesAreBoundedByTheNodesThatAreKnown) {
  const auto names = [](std::size_t count) {
    std::string text = R"("fr")";
    for (std::size_t i = 1; i < count; ++i) text += ",\"n" + std::to_string(i) + "\"";
    return text;
  };
  constexpr std::size_t kMost = 2 * 2 + 10'000;
  for (const Verb verb : {Verb::kPrioritize, Verb::kFilter}) {
    EXPECT_EQ(Post(verb, Names(names(kMost))).status, 200);
    const HttpResponse refused = Post(verb, Names(names(kMost + 1)));
    EXPECT_EQ(refused.status, 413);
    EXPECT_THAT(refused.body, HasSubstr("over 10004 nodes in the request"));
    EXPECT_EQ(Post(verb, Names(R"("fr")")).status, 200);
  }
}

TEST_F(ServiceTest, AfterALargeQuestionSmallOnesAreAnsweredAsEver) {
  const std::string node = R"({"metadata":{"name":"fr"},"status":{"x":")" +
                           std::string(2 * kKeptBodyBytes, 'x') + R"("}})";
  const std::string large = R"({"Pod":{},"Nodes":{"items":[)" + node + "]}}";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Post(Verb::kPrioritize, large).body, R"([{"Host":"fr","Score":10}])");
    EXPECT_EQ(Post(Verb::kPrioritize, Names(R"("de","fr")")).body,
              R"([{"Host":"de","Score":5},{"Host":"fr","Score":10}])");
  }
}

TEST_F(ServiceTest, ALimitIsNotJudgedOnAnOldViewOfTheCluster) {
  auto state = std::make_shared<WorldState>(*MakeState(world_.Read()->input));
  const auto heard_before = [&](Duration age) {
    auto aged = std::make_shared<WorldState>(*state);
    aged->heard = std::chrono::steady_clock::now() - age;
    world_.Publish(aged);
  };
  heard_before(kMostViewAge - std::chrono::seconds(5));
  EXPECT_EQ(Post(Verb::kFilter, Names(R"("de","fr")")).status, 200);
  heard_before(kMostViewAge + std::chrono::seconds(5));
  const HttpResponse refused = Post(Verb::kFilter, Names(R"("de","fr")"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.close);
  EXPECT_THAT(refused.body, HasSubstr("the API server was last heard"));
  // A preference may be old.
  EXPECT_EQ(Post(Verb::kPrioritize, Names(R"("de","fr")")).status, 200);
}

TEST_F(ServiceTest, ANamespaceThatIsNotKnownYetMayStateLimits) {
  auto state = std::make_shared<WorldState>(*MakeState(world_.Read()->input));
  state->namespaces["thrifty"] = MakeNamespacePolicy("thrifty", {{"objective", "cost"}}, {});
  state->quiet_namespaces = {"shop"};
  world_.Publish(state);
  EXPECT_EQ(Post(Verb::kFilter, Names(R"("de")")).status, 200);
  EXPECT_EQ(Post(Verb::kFilter, Names(R"("de")", "thrifty")).status, 200);
  const HttpResponse refused = Post(Verb::kFilter, Names(R"("de")", "new"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr("namespace new is not known to Sobre yet"));
  EXPECT_EQ(Post(Verb::kPrioritize, Names(R"("de")", "new")).status, 200);
}

constexpr const char* kInGermany =
    R"("de":{"Pods":[{"UID":"a"},{"UID":"b"}],"NumPDBViolations":2})";
constexpr const char* kInFrance = R"("fr":{"Pods":[{"UID":"c"}],"NumPDBViolations":0})";
constexpr const char* kUnseen = R"("ghost":{"Pods":[{"UID":"d"}],"NumPDBViolations":0})";
constexpr const char* kFrench = R"("sobre.dev/allowed-countries":"FR")";
std::string Kept(const std::string& victims) {
  return R"({"NodeNameToMetaVictims":{)" + victims + "}}";
}

TEST_F(ServiceTest, PodsAreEvictedOnlyWhereTheLimitsLetThePodRun) {
  auto state = std::make_shared<WorldState>(*MakeState([&] {
    SnapshotInput input = world_.Read()->input;
    input.trust_node_labels = true;
    return input;
  }()));
  world_.Publish(state);
  const std::string all = std::string(kInGermany) + "," + kInFrance + "," + kUnseen;
  EXPECT_EQ(Post(Verb::kPreempt, Victims(all, kFrench)).body, Kept(kInFrance));
  EXPECT_EQ(Post(Verb::kPreempt, Victims(kInGermany, kFrench)).body, Kept(""));
  EXPECT_EQ(Post(Verb::kPreempt, Victims("", kFrench)).body, Kept(""));
  EXPECT_EQ(Post(Verb::kPreempt,
                 Victims(all, R"("sobre.dev/unit":"pod-hour","sobre.dev/max-eur-per-unit":"0,5")"))
                .body,
            Kept(""))
      << "a limit that cannot be read holds everywhere";
  // Whoever has none keeps all, unknown nodes too; a node that was sent without victims as well.
  EXPECT_EQ(Post(Verb::kPreempt, Victims(all)).body, Kept(all));
  const std::string none = R"("de":{"Pods":[],"NumPDBViolations":0})";
  EXPECT_EQ(Post(Verb::kPreempt, Victims(none)).body, Kept(none));
  EXPECT_EQ(
      Post(Verb::kPreempt, Victims(all, std::string(kFrench) + R"(,"sobre.dev/mode":"shadow")"))
          .body,
      Kept(all));
  const std::string text = metrics_.Serialize(*world_.Read(), Now(), {});
  EXPECT_THAT(text, HasSubstr(R"(sobre_requests_total{verb="preempt",outcome="served"} 7)"));
  EXPECT_THAT(text, HasSubstr(R"(sobre_request_duration_seconds_count{verb="preempt"} 7)"));
  EXPECT_TRUE(Summaries().empty()) << "what places nothing is not on the record";
}

TEST_F(ServiceTest, WholePodsAsVictimsAreAnsweredByTheirUids) {
  const std::string whole =
      R"({"Pod":{"metadata":{"name":"p"}},"NodeNameToVictims":{"de":{"Pods":[)"
      R"({"metadata":{"name":"x","uid":"a"},"spec":{"containers":[{}]}},{"metadata":{"uid":"b"}}],"NumPDBViolations":2}},)"
      R"("NodeNameToMetaVictims":null})";
  EXPECT_EQ(Post(Verb::kPreempt, whole).body, Kept(kInGermany));
}

// kube-scheduler evicts nobody then.
TEST_F(ServiceTest, NobodyIsEvictedOnAViewThatLimitsAreNotJudgedOn) {
  const SnapshotInput input = world_.Read()->input;
  auto unready = std::make_shared<WorldState>(*MakeState(input));
  unready->ready = false;
  auto silent = std::make_shared<WorldState>(*MakeState(input));
  silent->heard = std::chrono::steady_clock::now() - kMostViewAge - std::chrono::seconds(5);
  auto narrow = std::make_shared<WorldState>(*MakeState(input));
  narrow->quiet_namespaces = {"elsewhere"};
  for (const auto& state : {unready, silent, narrow}) {
    world_.Publish(state);
    const HttpResponse refused = Post(Verb::kPreempt, Victims(kInFrance));
    EXPECT_EQ(refused.status, 503);
    EXPECT_TRUE(refused.close);
  }
  world_.Publish(MakeState(input));
  EXPECT_EQ(Post(Verb::kPreempt, Victims(kInFrance)).status, 200);
  EXPECT_THAT(Post(Verb::kPreempt, Victims(std::string(kInFrance) + "," + kInFrance)).body,
              HasSubstr("node 'fr' is in the request twice"));
  EXPECT_EQ(Post(Verb::kPreempt, Names(R"("fr")")).status, 400);
}

TEST_F(ServiceTest, DecisionsAreCountedByWhatTheyWereRankedBy) {
  Post(Verb::kPrioritize, Names(R"("de","fr")"));
  Post(Verb::kPrioritize, Names(R"("ghost")"));
  const std::string text = metrics_.Serialize(*world_.Read(), Now(), {});
  EXPECT_THAT(text, HasSubstr(R"(sobre_decisions_total{ranked_by="none",intensity="none"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(,intensity="catalogue"} 1)"));
  EXPECT_THAT(text, HasSubstr("sobre_candidates_total 3"));
}

constexpr const char* kBothPass =
    R"({"Nodes":null,"NodeNames":["de","fr"],"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":""})";

TEST_F(ServiceTest, WhatAMarkedPodSaysAndNobodyKnowsRefusesEveryNode) {
  Say({});
  for (const char* const annotation :
       {R"("sobre.dev/countries":"FR")", R"("Sobre.dev/allowed-countries":"FR")",
        R"("sobre.dev/denied-operators":"Gogle")", R"("sobre.dev/allowed-regions":"aws/nowhere")",
        R"("sobre.dev/x":"")"}) {
    const std::string body = Post(Verb::kFilter, Both(annotation, true)).body;
    EXPECT_THAT(body, HasSubstr(R"("NodeNames":[])")) << annotation;
    EXPECT_THAT(body, HasSubstr("a limit cannot be read")) << annotation;
    EXPECT_FALSE(world_.told.empty()) << annotation;
    world_.told.clear();
  }
  EXPECT_EQ(Post(Verb::kFilter, Both(R"("sobre.dev/objective":"cost")", true)).body, kBothPass);
}

TEST_F(ServiceTest, NoModeLiftsAnEnforcedLimitOfTheFilter) {
  for (const char* const mode : {"shadow", "off"}) {
    Say({{"mode", mode}, {"allowed-countries", "FR"}, {"enforced", "allowed-countries"}});
    const std::string body = Post(Verb::kFilter, Both("", true)).body;
    EXPECT_THAT(body, HasSubstr(R"("NodeNames":["fr"])")) << mode;
    EXPECT_THAT(body, HasSubstr("country DE is not allowed")) << mode;
    Say({{"mode", mode}, {"allowed-countries", "FR"}});
    EXPECT_EQ(Post(Verb::kFilter, Both("", true)).body, kBothPass) << mode;
    Say({{"allowed-countries", "EU"}, {"enforced", "allowed-countries"}});
    const std::string own =
        std::string(R"("sobre.dev/mode":")") + mode + R"(","sobre.dev/allowed-countries":"FR")";
    EXPECT_EQ(Post(Verb::kFilter, Both(own, true)).body, kBothPass)
        << mode << ": what is not enforced is lifted";
  }
}

TEST_F(ServiceTest, LimitsThatNobodyAsksAboutAreInTheScoresAndTold) {
  const auto scores = [&](const std::string& annotations, bool marked) {
    return Post(Verb::kPrioritize, Both(annotations, marked)).body;
  };
  const std::string usual = R"([{"Host":"de","Score":5},{"Host":"fr","Score":10}])";
  // Those that are left are scored among themselves.
  const std::string german = R"([{"Host":"de","Score":10},{"Host":"fr","Score":0}])";
  const std::string none = R"([{"Host":"de","Score":0},{"Host":"fr","Score":0}])";
  Say({});
  EXPECT_EQ(scores("", false), usual);
  EXPECT_THAT(world_.told, ::testing::IsEmpty());
  EXPECT_EQ(scores(R"("sobre.dev/allowed-countries":"DE")", false), german);
  ASSERT_EQ(world_.told.size(), 1U);
  EXPECT_THAT(world_.told[0], HasSubstr("no container requests sobre.dev/limits"));
  EXPECT_EQ(scores(R"("sobre.dev/allowed-countries":"DE")", true), usual)
      << "filter has taken the others out";
  EXPECT_EQ(scores(R"("sobre.dev/allowed-countries":"US")", false), none);
  EXPECT_EQ(scores(R"("sobre.dev/countries":"DE")", false), none);
  Say({{"allowed-countries", "DE"}});
  EXPECT_EQ(scores("", false), german) << "inherited";
  EXPECT_EQ(scores(R"("sobre.dev/mode":"shadow")", false), none) << "nothing is in force";
  Say({{"allowed-countries", "DE"}, {"enforced", "allowed-countries"}});
  const std::string not_french = R"([{"Host":"de","Score":10},{"Host":"fr","Score":0}])";
  EXPECT_EQ(scores(R"("sobre.dev/mode":"shadow")", false), not_french);
  EXPECT_EQ(scores(R"("sobre.dev/mode":"off")", false), not_french);
  EXPECT_EQ(scores(R"("sobre.dev/mode":"off")", true), none);
  const std::string text = metrics_.Serialize(*world_.Read(), Now(), {});
  EXPECT_THAT(text, HasSubstr("sobre_unasked_limits_total 6\n"));
}

}  // namespace
}  // namespace sobre
