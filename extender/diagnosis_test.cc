#include "extender/diagnosis.h"

#include <array>

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
  - {urlPrefix: http://s/v1, prioritizeVerb: prioritize, weight: 25, nodeCacheCapable: true, ignorable: true, httpTimeout: 2s}
  - {urlPrefix: http://s/v1, filterVerb: filter, preemptVerb: preempt, nodeCacheCapable: true, ignorable: false,
     managedResources: [{name: sobre.dev/limits, ignoredByScheduler: true}]}
)";

std::string Replaced(std::string_view from, std::string_view to) {
  std::string text(kGood);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::vector<Finding> JudgeScheduler(const std::string& yaml) {
  return *DiagnoseScheduler(yaml, "s.yaml");
}

void ExpectAllWell(const std::string& yaml) {
  for (const Finding& finding : JudgeScheduler(yaml))
    EXPECT_EQ(finding.severity, Severity::kOk) << finding.text;
}

struct SchedulerMistake {
  const char* from;
  const char* to;
  Severity severity;
  const char* said;
};

class SchedulerMistakeTest : public ::testing::TestWithParam<SchedulerMistake> {};

TEST_P(SchedulerMistakeTest, IsFound) {
  const SchedulerMistake& mistake = GetParam();
  EXPECT_THAT(JudgeScheduler(Replaced(mistake.from, mistake.to)),
              Finds(mistake.severity, mistake.said));
}

constexpr std::array<SchedulerMistake, 27> kMistakes = {{
    {"weight: 25", "weight: 5", Severity::kWarning, "one step of ours is 50 points"},
    {"weight: 25", "weight: 0", Severity::kError, "does not start"},
    {"weight: 25, ", "", Severity::kError, "does not start"},
    {"ignorable: true", "ignorable: false", Severity::kError, "pods without limits wait too"},
    {"ignorable: false", "ignorable: true", Severity::kError, "limits do not hold"},
    {"ignorable: false", "ignorable: Yes", Severity::kError, "limits do not hold"},
    {"sobre.dev/limits", "other/thing", Severity::kError, "does not manage sobre.dev/limits"},
    {", ignoredByScheduler: true", "", Severity::kError, "is not ignoredByScheduler"},
    {"ignoredByScheduler: true", "ignoredByScheduler: false", Severity::kError,
     "is not ignoredByScheduler"},
    {"nodeCacheCapable: true", "nodeCacheCapable: false", Severity::kWarning,
     "whole nodes are sent"},
    {"http://s", "https://s", Severity::kWarning, "the authorities of its own system alone"},
    {"{urlPrefix: http://s", "{enableHTTPS: true, urlPrefix: https://s", Severity::kError,
     "silently insecure"},
    {"{urlPrefix: http://s", "{enableHTTPS: true, tlsConfig: {caData: x}, urlPrefix: http://s",
     Severity::kError, "plain HTTP"},
    {"{urlPrefix: http://s", "{tlsConfig: {insecure: true}, urlPrefix: https://s", Severity::kError,
     "in Sobre's place"},
    {", percentageOfNodesToScore: 100", "", Severity::kWarning, "samples large clusters"},
    {"httpTimeout: 2s", "httpTimeout: 20ms", Severity::kWarning, "too late on a busy machine"},
    {", preemptVerb: preempt", "", Severity::kWarning, "has no preemptVerb"},
    {"preemptVerb: preempt", "preemptVerb: preemption", Severity::kError,
     "preemptVerb leads to http://s/v1/preemption, which Sobre does not serve"},
    {"filterVerb: filter", "filterVerb: filters", Severity::kError,
     "filterVerb leads to http://s/v1/filters, which Sobre does not serve"},
    {"filterVerb: filter,", "", Severity::kError, "has no filterVerb: limits do not hold"},
    {"prioritizeVerb: prioritize", "prioritizeVerb: filter", Severity::kError,
     "prioritizeVerb leads to http://s/v1/filter, which Sobre does not serve"},
    {"prioritizeVerb: prioritize, ", "", Severity::kError, "Sobre is not asked"},
    {"http://s/v1, prio", "http://s/, prio", Severity::kError,
     "prioritizeVerb leads to http://s/prioritize, which Sobre does not serve"},
    {"filterVerb: filter", "filterVerb: filter, bindVerb: bind", Severity::kError,
     "bindVerb leads to http://s/v1/bind, and Sobre binds no pods"},
    {"weight: 25", "weight: 25, managedResources: [{name: a/b}]", Severity::kWarning,
     "only pods that request one of them are scored"},
    {"weight: 25", "weight: 25, managedResources: [{name: sobre.dev/limits}]", Severity::kError,
     "several entries manage sobre.dev/limits"},
    {"[{name: sobre", "[{name: nvidia.com/gpu}, {name: sobre", Severity::kWarning,
     "also manages nvidia.com/gpu"},
}};
INSTANTIATE_TEST_SUITE_P(Each, SchedulerMistakeTest, ::testing::ValuesIn(kMistakes));

TEST(DiagnoseScheduler, FindsNothingWhereAllIsWell) {
  ExpectAllWell(std::string(kGood));
  ExpectAllWell(Replaced("http://s/v1, prio", "http://s/v1/, prio"));
  ExpectAllWell(Replaced("ignorable: true", "ignorable: yes"));
  ExpectAllWell(Replaced("{urlPrefix: http://s",
                         "{enableHTTPS: true, tlsConfig: {caData: x}, urlPrefix: https://s"));
  // The plugin may be told of the resource instead, or of its group.
  for (const char* const ignored :
       {"ignoredResources: [a/b, sobre.dev/limits]", "ignoredResourceGroups: [sobre.dev]"}) {
    std::string yaml = Replaced(", ignoredByScheduler: true", "");
    const std::string_view at = "percentageOfNodesToScore: 100";
    yaml.insert(yaml.find(at) + at.size(),
                ", pluginConfig: [{name: NodeResourcesFit, args: {" + std::string(ignored) + "}}]");
    ExpectAllWell(yaml);
  }
  EXPECT_THAT(JudgeScheduler("kind: KubeSchedulerConfiguration\n"),
              Finds(Severity::kError, "Sobre is not asked"));
}

TEST(DiagnoseScheduler, WhatAnotherExtenderSaysIsItsOwnAffair) {
  ExpectAllWell(std::string(kGood) +
                "  - {urlPrefix: http://other/v2, filterVerb: filter, bindVerb: bind, "
                "prioritizeVerb: score, managedResources: [{name: a/b}]}\n");
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

TEST_F(DiagnoseTest, AnApiServerThatCannotBeReadIsToldWithItsCause) {
  world_.Node("a", "aws", "eu-west-3");
  const auto findings = [&] {
    state_.snapshot = world_.Snapshot();
    return Diagnose(state_, config_);
  };
  state_.not_ready_reason = "the API server has not been listed yet";
  EXPECT_THAT(findings(), Finds(Severity::kError, "has not been listed yet"));
  const auto problem = [](const std::string& name, const std::string& cause) {
    return CollectionState{name, false, "https://k:6443/api/v1/" + name + "?limit=500: " + cause};
  };
  state_.collections = {problem("nodes", "connection refused"),
                        {"namespaces", true, ""},
                        problem("pods", "connection refused")};
  EXPECT_THAT(findings(),
              Finds(Severity::kError, "nodes, pods cannot be listed: https://k:6443/api/v1/pods"));
  EXPECT_THAT(findings().front().repair, HasSubstr("nothing listens there"));
  state_.collections[2] = problem("pods", "status 403, pods is forbidden");
  EXPECT_THAT(findings(), Finds(Severity::kError, "nodes cannot be listed"));
  EXPECT_THAT(findings(), Finds(Severity::kError, "pods cannot be listed"));
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

TEST_F(DiagnoseTest, WhatIsOfTwoClustersIsAnError) {
  world_.Node("a", "aws", "eu-west-3");
  for (const char* cluster : {"cluster=prod", "cluster=staging"}) {
    world_.Price("a", 1);
    world_.input().observations.back().cluster = cluster;
  }
  const std::vector<Finding> findings = Findings();
  EXPECT_THAT(findings, Finds(Severity::kError, "of one name in several clusters"));
  EXPECT_THAT(findings.front().repair, HasSubstr("prometheus.matchers: {cluster: prod}"));
}

// What is advised of a preset can be done.
TEST_F(DiagnoseTest, AdviceNamesParametersThatThereAre) {
  world_.Node("a", "aws", "eu-west-3");
  const auto advice = [&](const char* preset, Signal signal) {
    world_.input().observations.clear();
    world_.See(signal, "elsewhere", 300);
    world_.input().observations[0].source = preset;
    world_.input().observations[0].broad = true;
    const auto findings = Findings();
    const auto found = std::find_if(findings.begin(), findings.end(),
                                    [&](const Finding& f) { return f.about == ToString(signal); });
    return found == findings.end() ? "" : found->repair;
  };
  EXPECT_THAT(advice("dcgm", Signal::kNodeGpuPower),
              HasSubstr("presets: [auto, {preset: dcgm, node_label: LABEL}]"));
  EXPECT_TRUE(LoadPreset("dcgm", {{"node_label", "node"}}).ok());
  EXPECT_THAT(advice("vllm", Signal::kWorkloadTokens),
              HasSubstr("{preset: vllm, namespace: LABEL, pod: LABEL}"));
  EXPECT_TRUE(LoadPreset("vllm", {{"namespace", "ns"}, {"pod", "pod_name"}}).ok());
  EXPECT_THAT(advice("istio", Signal::kWorkloadRequests),
              testing::StartsWith("write a query of your own for workload_requests_per_second"));
}

TEST_F(DiagnoseTest, WhatNobodyTellsIsSaid) {
  Resources size = TestWorld::Standard();
  world_.Node("plain", "aws", "eu-west-3", size);
  EXPECT_THAT(Findings(), Finds(Severity::kNote, "no requests or tokens are known"));
  EXPECT_THAT(Findings(), Not(Finds(Severity::kNote, "no accelerator is measured")));
  size.gpus = 4;
  world_.Node("boards", "aws", "eu-west-3", size);
  EXPECT_THAT(Findings(), Finds(Severity::kNote,
                                "no accelerator is measured: 1 node has some (for "
                                "example boards)"));
  world_.Node("measured", "aws", "eu-west-3", size).See(Signal::kNodeGpuPower, "measured", 500);
  EXPECT_THAT(Findings(), Finds(Severity::kNote, "not measured on 1 of 2 nodes that have some"));
}

TEST_F(DiagnoseTest, WhatRunsAndMeasuresNothingIsNotToBeSwitchedOn) {
  world_.Node("a", "aws", "eu-west-3");
  const auto repair = [&] {
    for (const Finding& finding : Findings()) {
      if (finding.text.find("processors and platform not measured") == 0) return finding.repair;
    }
    return std::string();
  };
  EXPECT_THAT(repair(), HasSubstr("switch on kepler"));
  Server().presets = {{"node-exporter", "Prometheus' node_exporter", true, true}};
  EXPECT_THAT(repair(), HasSubstr("what there is (node-exporter) tells no watts"));
}

TEST_F(DiagnoseTest, AWorldWithoutPrometheusIsNoError) {
  world_.Node("a", "aws", "eu-west-3");
  for (const Finding& finding : Findings()) EXPECT_NE(finding.severity, Severity::kError);
  EXPECT_THAT(Findings(), Finds(Severity::kNote, "no server is configured"));
}

TEST_F(DiagnoseTest, PodsOutsideTheConfigurationsLimitsAreCounted) {
  world_.Node("a", "aws", "eu-west-3");
  const auto run = [&](const std::string& space, const std::string& name) {
    auto pod = std::make_shared<PodPlacement>();
    pod->namespace_name = space;
    pod->name = name;
    pod->node = "a";
    state_.input.pods.push_back(std::move(pod));
  };
  run("bank", "ledger-0");
  run("shop", "web-0");
  run("kube-system", "dns-0");
  run("sobre", "sobre-0");
  run("shop", "marked-0");
  // Of those, one named the scheduler itself, and was marked for that.
  auto marked = std::make_shared<PodPlacement>(*state_.input.pods.back());
  marked->has_limits_marker = true;
  state_.input.pods.back() = marked;
  config_.deferral.lease_namespace = "sobre";
  state_.opted_in_namespaces = {"bank"};
  state_.quiet_namespaces.emplace();
  std::vector<std::string> problems;
  const auto say = [&](const std::string& key, const std::string& value) {
    ApplyAnnotations({{key, value}}, Origin::kCluster, "policy", config_.policy, problems);
  };
  say("objective", "carbon");
  say("enforced", "objective");
  EXPECT_THAT(Findings(), Not(Contains(Field(&Finding::about, "limits")))) << "no limit is stated";
  say("max-exposure", "contested");
  EXPECT_THAT(Findings(), Finds(Severity::kWarning,
                                "(max-exposure) holds in namespaces that opted in: outside of "
                                "them 1 pod runs in 1 namespace (for example shop/web-0)"));
  run("shop", "web-1");
  run("lab", "try-0");
  EXPECT_THAT(Findings(), Finds(Severity::kWarning, "outside of them 3 pods run in 2 namespaces"));
  state_.opted_in_namespaces = {"bank", "lab", "shop"};
  EXPECT_THAT(Findings(), Finds(Severity::kOk, "(max-exposure) holds for every pod"));
  state_.opted_in_namespaces.clear();
  state_.quiet_namespaces.reset();
  EXPECT_THAT(Findings(), Not(Contains(Field(&Finding::about, "limits"))))
      << "no namespaces are followed";
  ASSERT_TRUE(problems.empty()) << problems.front();
}

TEST_F(DiagnoseTest, AcceleratorsThatAreNotUnderstoodAreTold) {
  const auto node = [&](const char* name, const char* model, Resources size) {
    NodeFacts facts;
    facts.name = name;
    facts.provider = "aws";
    facts.region = "eu-west-3";
    facts.gpu_model = model;
    facts.allocatable = std::move(size);
    world_.Node(facts);
  };
  node("nameless", "", {8000, 32LL << 30, 1, 0, {}});
  node("strange", "NVIDIA-B300", {8000, 32LL << 30, 1, 0, {}});
  node("sliced", "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", {8000, 32LL << 30, 7, 0, {}});
  node("other", "", {8000, 32LL << 30, 0, 0, {"acme.com/seat", "habana.ai/gaudi", "rdma/ib"}});
  PodPlacement pod;
  pod.node = "other";
  pod.requests.devices = {"acme.com/seat"};
  pod.has_resource_claims = true;
  state_.input.pods.push_back(std::make_shared<const PodPlacement>(pod));
  const auto repaired = [](const std::string& text, const std::string& repair) {
    return Contains(
        AllOf(Field(&Finding::about, "accelerators"), Field(&Finding::severity, Severity::kWarning),
              Field(&Finding::text, HasSubstr(text)), Field(&Finding::repair, HasSubstr(repair))));
  };
  const std::vector<Finding> found = Findings();
  EXPECT_THAT(found, repaired("model unknown, so unknown carbon, on 1 node (for example nameless)",
                              "nvidia.com/gpu.product"));
  EXPECT_THAT(found, repaired("NVIDIA-B300", "add a row to gpu.csv in catalog.directory"));
  EXPECT_THAT(found, repaired("MIG slices have the name of whole cards", "nothing yet"));
  EXPECT_THAT(found, repaired("habana.ai/gaudi is not understood", "nothing yet"));
  EXPECT_THAT(found,
              repaired("acme.com/seat is not understood (1 node lists it, 1 pod asks for it)",
                       "resource acme.com/seat, draws nothing"));
  EXPECT_THAT(found, repaired("1 pod asks for devices by resource claims", ""));
  EXPECT_THAT(found, Not(Contains(Field(&Finding::text, HasSubstr("rdma/ib")))));
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

auto Repairs(const std::string& text, const std::string& repair) {
  return Contains(
      AllOf(Field(&Finding::text, HasSubstr(text)), Field(&Finding::repair, HasSubstr(repair))));
}

TEST_F(DiagnoseTest, PlacesThatAreNotKnownAreNamedWithTheirRepair) {
  world_.Node("anywhere", "", "").Node("whose", "", "RegionOne").Node("where", "exoscale", "");
  for (int i = 0; i < 7; ++i) world_.Node("zurich-" + std::to_string(i), "exoscale", "ch-dk-2");
  NodeFacts typo;
  typo.name = "typo";
  typo.grid_zone = "XX";
  world_.Node(typo);
  const std::vector<Finding> found = Findings();
  EXPECT_THAT(found, Repairs("(anywhere)", "sobre.dev/provider and topology.kubernetes.io/region"));
  EXPECT_THAT(found, Repairs("(whose)", "kubernetes.default_provider"));
  EXPECT_THAT(found, Repairs("(where)", "label the nodes with topology.kubernetes.io/region"));
  EXPECT_THAT(found, Repairs("for 7 of 11 nodes (zurich-0, zurich-1, zurich-2, zurich-3, zurich-4 "
                             "and 2 more)",
                             "the row exoscale,ch-dk-2,ZONE"));
  EXPECT_THAT(found, Repairs("(typo)", "row of the zone XX into grid.csv"));
}

TEST_F(DiagnoseTest, AProviderThatIsNotToldIsAWarning) {
  NodeFacts facts;
  facts.name = "a";
  facts.region = "eu-west-2";
  facts.provider_doubt = "aws and outscale write the same providerID";
  world_.Node(facts);
  EXPECT_THAT(Findings(), Finds(Severity::kWarning, "unknown, as aws and outscale write"));
  EXPECT_THAT(Findings(), Repairs("aws and outscale", "kubernetes.providers"));
}

TEST_F(DiagnoseTest, APartOfACountryAndAMachineOfUnclearKindAreTold) {
  NodeFacts facts;
  facts.name = "a";
  facts.grid_zone = "US-CAL-CISO";
  facts.machine_kind = MachineKind::kUnclear;
  world_.Node(facts);
  EXPECT_THAT(Findings(), Finds(Severity::kNote, "of US-CAL-CISO not known: the mean"));
  EXPECT_THAT(Findings(), Repairs("a server or a virtual machine", "machine: server"));
}

TEST_F(DiagnoseTest, ARuleThatFitsNoNodeIsTold) {
  config_.kubernetes.providers = {{"aws://*", "", "", {}, "outscale"},
                                  {"gcee://*", "", "", {}, "s3ns"}};
  NodeFacts facts;
  facts.name = "a";
  facts.provider = "outscale";
  facts.region = "eu-west-2";
  facts.provider_rule = 0;
  world_.Node(facts);
  EXPECT_THAT(Findings(), Finds(Severity::kWarning, "providers[1] (s3ns) fits no node"));
  EXPECT_THAT(Findings(), Not(Finds(Severity::kWarning, "providers[0]")));
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

TEST(DiagnosePolicy, FindsLimitsThatDoNotDoWhatTheySeemTo) {
  const auto state_with = [](const Annotations& of_cluster, const Annotations& of_shop) {
    TestWorld world;
    world.Node("fr", "aws", "eu-west-3");
    Policy cluster;
    std::vector<std::string> problems;
    ApplyAnnotations(of_cluster, Origin::kCluster, "cluster", cluster, problems);
    auto state = std::make_shared<WorldState>(*MakeState(world.input(), cluster));
    if (!of_shop.empty()) state->namespaces["shop"] = MakeNamespacePolicy("shop", of_shop, cluster);
    return state;
  };
  EXPECT_TRUE(DiagnosePolicy(*state_with({{"mode", "shadow"}, {"max-exposure", "contested"}},
                                         {{"objective", "cost"}}))
                  .empty());
  EXPECT_THAT(DiagnosePolicy(*state_with({{"denied-operators", "Gogle"}}, {{"objective", "cost"}})),
              ::testing::ElementsAre(Field(
                  &Finding::text, HasSubstr("refuses every node: cluster: "
                                            "sobre.dev/denied-operators: nobody knows the operator "
                                            "'Gogle'; did you mean 'Google'?"))));
  EXPECT_THAT(DiagnosePolicy(*state_with({}, {{"countries", "FR"}})),
              Finds(Severity::kError,
                    "in 1 namespace (for example shop: namespace shop: "
                    "sobre.dev/countries: unknown annotation"));
  const Annotations enforced = {{"max-exposure", "contested"}, {"enforced", "max-exposure"}};
  Annotations in_shadow = enforced;
  in_shadow.push_back({"mode", "shadow"});
  EXPECT_THAT(DiagnosePolicy(*state_with(in_shadow, {{"objective", "cost"}})),
              ::testing::ElementsAre(Field(
                  &Finding::text, "mode shadow does not lift what is enforced: max-exposure")));
  EXPECT_THAT(
      DiagnosePolicy(*state_with(enforced, {{"mode", "off"}})),
      Finds(Severity::kWarning, "in 1 namespace (for example shop: mode off does not lift"));

  const auto state = state_with({}, {{"allowed-countries", "FR"}});
  for (const char* const name : {"marked", "unmarked", "elsewhere", "daemon"}) {
    auto pod = std::make_shared<PodPlacement>();
    pod->name = name;
    pod->namespace_name = name == std::string("elsewhere") ? "other" : "shop";
    pod->has_limits_marker = name == std::string("marked");
    pod->owner = name == std::string("daemon") ? PodOwner::kDaemonSet : PodOwner::kController;
    state->input.pods.push_back(pod);
  }
  EXPECT_THAT(DiagnosePolicy(*state),
              Finds(Severity::kWarning, "for 1 running pod (for example shop/unmarked)"));
}

}  // namespace
}  // namespace sobre
