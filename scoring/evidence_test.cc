// What is believed of several voices, and of values that cannot be: seen through a snapshot.
#include "scoring/evidence.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const SignalTally& Tally(const Snapshot& snapshot, Signal signal) {
  return snapshot.tallies()[Index(signal)];
}

NodeFacts TwoSockets(const std::string& name) {
  NodeFacts facts;
  facts.name = name;
  facts.provider = "aws";
  facts.region = "eu-west-3";
  facts.addresses = {"10.0.0.7", "fd00::7"};
  facts.allocatable = {128000, 512LL << 30, 0, 0};
  return facts;
}

Observation Of(const std::string& source, int rank, double watts) {
  Observation seen;
  seen.node = "a";
  seen.value = watts;
  seen.rank = rank;
  seen.source = source;
  seen.time = TestWorld::kTime;
  return seen;
}

TEST(Evidence, WhatATwoSocketHostCannotDrawIsSetAside) {
  for (const double watts : {0.0, 3.0, 50'000.0, 12'000.0}) {
    const auto snapshot =
        TestWorld().Node(TwoSockets("a")).See(Signal::kNodePower, "a", watts).Snapshot();
    EXPECT_FALSE(snapshot->nodes()[0].measured_power) << watts;
    EXPECT_EQ(Tally(*snapshot, Signal::kNodePower).of(Fate::kImplausible), 1) << watts;
  }
  const auto snapshot =
      TestWorld().Node(TwoSockets("a")).See(Signal::kNodePower, "a", 250'000).Snapshot();
  EXPECT_THAT(snapshot->notes(), Contains(HasSubstr("250 W would be plausible: is it in mW?")));
  const auto busy =
      TestWorld().Node(TwoSockets("a")).See(Signal::kNodeCpuUtilization, "a", 45).Snapshot();
  EXPECT_THAT(busy->notes(), Contains(HasSubstr("is it in %?")));
}

TEST(Evidence, ANodeIsFoundByItsAddressesToo) {
  for (const char* name :
       {"a", "a:9100", "10.0.0.7", "10.0.0.7:9100", "fd00::7", "[fd00::7]:9100"}) {
    const auto snapshot =
        TestWorld().Node(TwoSockets("a")).See(Signal::kNodePower, name, 300).Snapshot();
    EXPECT_TRUE(snapshot->nodes()[0].measured_power) << name;
  }
  for (const char* name : {"b", "10.0.0.8:9100", "", ":9100", "[", "[]:1"}) {
    const auto snapshot =
        TestWorld().Node(TwoSockets("a")).See(Signal::kNodePower, name, 300).Snapshot();
    EXPECT_FALSE(snapshot->nodes()[0].measured_power) << name;
  }
}

TEST(Evidence, TheBetterRankIsBelievedAndADisagreementIsTold) {
  TestWorld world;
  world.Node(TwoSockets("a"));
  world.input().observations = {Of("scaphandre", 2, 500), Of("kepler", 1, 300)};
  world.input().observations[0].time += std::chrono::seconds(30);
  const auto snapshot = world.Snapshot();
  EXPECT_EQ(snapshot->nodes()[0].measured_power->value, Watts(300));
  const SignalTally& tally = Tally(*snapshot, Signal::kNodePower);
  EXPECT_EQ(tally.of(Fate::kUsed), 1);
  EXPECT_EQ(tally.of(Fate::kSuperseded), 1);
  EXPECT_EQ(tally.disagreements, 1);
  EXPECT_EQ(tally.disagreement, "a: kepler says 300, scaphandre says 500 W");
  EXPECT_THAT(snapshot->notes(),
              Contains(HasSubstr("node_watts: sources disagree by over 30 % about 1 value")));
}

TEST(Evidence, SmallValuesThatDifferALittleDoNotDisagree) {
  TestWorld world;
  world.Node(TwoSockets("a"));
  world.input().observations = {Of("kepler", 1, 0.010), Of("node-exporter", 2, 0.016)};
  for (Observation& seen : world.input().observations) seen.signal = Signal::kNodeCpuUtilization;
  EXPECT_EQ(Tally(*world.Snapshot(), Signal::kNodeCpuUtilization).disagreements, 0);
}

TEST(Evidence, TheOrderOfEqualsChangesNothing) {
  const auto notes_and_price = [](bool swapped) {
    TestWorld world;
    world.Node(TwoSockets("a"));
    world.input().rates = {{"USD", 0.5, "2026-11-01"}};
    std::vector<Observation> seen(6, Of("prices", 1, 1));
    for (Observation& one : seen) one.signal = Signal::kNodePrice;
    seen[1].currency = "USD";
    seen[2].currency = "SEK";
    seen[3].currency = "CHF";
    seen[4].time -= std::chrono::hours(30);
    seen[5].time -= std::chrono::hours(50);
    if (swapped) std::reverse(seen.begin(), seen.end());
    world.input().observations = seen;
    const auto snapshot = world.Snapshot();
    return std::pair(snapshot->notes(), snapshot->nodes()[0].price->value);
  };
  EXPECT_EQ(notes_and_price(false), notes_and_price(true));
}

TEST(Evidence, OneSourceThatSaysItTwiceIsReported) {
  TestWorld world;
  world.Node(TwoSockets("a"));
  world.input().observations = {Of("kepler", 1, 300), Of("kepler", 1, 301)};
  const auto snapshot = world.Snapshot();
  EXPECT_EQ(Tally(*snapshot, Signal::kNodePower).of(Fate::kDuplicate), 1);
  EXPECT_THAT(snapshot->notes(),
              Contains(HasSubstr("1 value set aside, said twice by kepler (for example a)")));
}

TEST(Evidence, AResetCounterIsSetAside) {
  TestWorld world;
  world.Node(TwoSockets("a"));
  world.input().observations = {Of("kepler", 1, 300)};
  world.input().observations[0].reset = true;
  const auto snapshot = world.Snapshot();
  EXPECT_FALSE(snapshot->nodes()[0].measured_power);
  EXPECT_EQ(Tally(*snapshot, Signal::kNodePower).of(Fate::kReset), 1);
}

TEST(Evidence, AMaximumAgeOfItsOwnHolds) {
  TestWorld world;
  world.Node(TwoSockets("a"));
  world.input().observations = {Of("kepler", 1, 300)};
  world.input().observations[0].time -= std::chrono::hours(2);
  EXPECT_FALSE(world.Snapshot()->nodes()[0].measured_power);
  world.input().observations[0].max_age = std::chrono::hours(3);
  EXPECT_TRUE(world.Snapshot()->nodes()[0].measured_power);
}

TEST(Evidence, AUnitIsGuessedOnlyWhereItExplainsTheValue) {
  TestWorld world;
  world.Node(TwoSockets("a")).Node(TwoSockets("b"));
  world.input().observations = {Of("mine", 1, 250'000)};
  EXPECT_THAT(world.Snapshot()->notes(), Contains(HasSubstr("is it in mW?")));
  // A preset knows its unit.
  world.input().observations[0].broad = true;
  EXPECT_THAT(world.Snapshot()->notes(), Not(Contains(HasSubstr("is it in"))));
  // One that is right about another node has the right unit.
  world.input().observations[0].broad = false;
  world.input().observations.push_back(Of("mine", 1, 300));
  world.input().observations.back().node = "b";
  EXPECT_THAT(world.Snapshot()->notes(), Contains(HasSubstr("250000 W")));
  EXPECT_THAT(world.Snapshot()->notes(), Not(Contains(HasSubstr("is it in"))));
}

TEST(Evidence, AWholeBelowItsPartsGivesWayToTheNextSource) {
  TestWorld world;
  world.Node(TwoSockets("a"));
  world.input().observations = {Of("kepler", 1, 50), Of("rapl", 2, 194)};
  world.input().observations[1].signal = Signal::kNodeCpuPower;
  auto snapshot = world.Snapshot();
  EXPECT_FALSE(snapshot->nodes()[0].measured_power);
  EXPECT_EQ(snapshot->nodes()[0].measured_cpu_power->value, Watts(194));
  EXPECT_THAT(snapshot->notes(),
              Contains(HasSubstr("50 W of a machine whose processors alone draw 194 W")));
  world.input().observations.push_back(Of("acpi", 3, 310));
  snapshot = world.Snapshot();
  EXPECT_EQ(snapshot->nodes()[0].measured_power->value, Watts(310));
  // As long as it is no less than what meters differ by.
  world.input().observations[0].value = 190;
  EXPECT_EQ(world.Snapshot()->nodes()[0].measured_power->value, Watts(190));
}

TEST(Evidence, PartsAddUp) {
  NodeFacts facts = TwoSockets("a");
  facts.allocatable.gpus = 8;
  facts.gpu_model = "H100";
  TestWorld world;
  world.Node(facts)
      .See(Signal::kNodePower, "a", 3600)
      .See(Signal::kNodeCpuPower, "a", 600)
      .See(Signal::kNodeGpuPower, "a", 3500);
  const auto snapshot = world.Snapshot();
  EXPECT_FALSE(snapshot->nodes()[0].measured_power);
  EXPECT_TRUE(snapshot->nodes()[0].measured_gpu_power);
  EXPECT_THAT(snapshot->notes(), Contains(HasSubstr("processors and accelerators alone draw")));
}

TEST(Evidence, NoBoardAndNoProcessorDrawsMoreThanItCan) {
  NodeFacts facts = TwoSockets("a");
  facts.allocatable.gpus = 8;
  facts.gpu_model = "H100";
  for (const auto& [signal, good, bad] : {std::tuple(Signal::kNodeGpuPower, 5600.0, 6960.0),
                                          {Signal::kNodeCpuPower, 700.0, 2000.0}}) {
    const auto taken = TestWorld().Node(facts).See(signal, "a", good).Snapshot();
    EXPECT_EQ(Tally(*taken, signal).of(Fate::kUsed), 1);
    const auto refused = TestWorld().Node(facts).See(signal, "a", bad).Snapshot();
    EXPECT_EQ(Tally(*refused, signal).of(Fate::kImplausible), 1);
  }
  EXPECT_THAT(TestWorld().Node(facts).See(Signal::kNodeGpuPower, "a", 6960).Snapshot()->notes(),
              Contains(HasSubstr("implausible for 8 H100, of which each draws 714 W at most")));
}

TEST(Evidence, OfOneSourceThatSaysTwoThingsOfOneMachineNeitherIsBelieved) {
  TestWorld world;
  world.Node(TwoSockets("a"));
  world.input().observations = {Of("kepler", 1, 450), Of("kepler", 1, 1980), Of("acpi", 2, 460)};
  const auto snapshot = world.Snapshot();
  EXPECT_EQ(snapshot->nodes()[0].measured_power->value, Watts(460));
  EXPECT_THAT(snapshot->notes(), Contains(HasSubstr("kepler says 450 and 1980 W of one machine")));
}

TEST(Evidence, NeitherIsTheNextSourceThatContradictsItself) {
  TestWorld world;
  world.Node(TwoSockets("a"));
  world.input().observations = {Of("kepler", 1, 450), Of("kepler", 1, 1980), Of("acpi", 2, 460),
                                Of("acpi", 2, 900)};
  const auto snapshot = world.Snapshot();
  EXPECT_FALSE(snapshot->nodes()[0].measured_power);
  EXPECT_THAT(snapshot->notes(), Contains(HasSubstr("acpi says 460 and 900 W of one machine")));
}

TEST(Evidence, OfOneNameInTwoClustersNothingIsBelieved) {
  TestWorld world;
  world.Node(TwoSockets("a")).Node(TwoSockets("b"));
  world.input().observations = {Of("kepler", 1, 300), Of("kepler", 1, 310), Of("kepler", 1, 320)};
  auto& seen = world.input().observations;
  seen[0].cluster = "cluster=prod";
  seen[1].cluster = "cluster=staging";
  seen[2].cluster = "cluster=prod";
  seen[2].node = "b";
  const auto snapshot = world.Snapshot();
  EXPECT_FALSE(snapshot->nodes()[0].measured_power);
  EXPECT_TRUE(snapshot->nodes()[1].measured_power);
  EXPECT_EQ(Tally(*snapshot, Signal::kNodePower).of(Fate::kAmbiguous), 2);
  EXPECT_THAT(snapshot->notes(), Contains(HasSubstr("several clusters: cluster=prod, "
                                                    "cluster=staging (for example a)")));
  // Other labels tell of something else: the same values under both are one.
  seen[1].cluster = "cluster_id=7";
  EXPECT_TRUE(world.Snapshot()->nodes()[0].measured_power);
}

TEST(Evidence, NodesThatAreNotThereAreNamedForTheDoctor) {
  TestWorld world;
  world.Node(TwoSockets("a"));
  world.input().observations = {Of("kepler", 1, 300)};
  for (const char* name : {"z", "y", "x", "w"}) {
    world.input().observations.push_back(Of("kepler", 1, 310));
    world.input().observations.back().node = name;
  }
  for (Observation& seen : world.input().observations) seen.broad = true;
  EXPECT_THAT(world.Snapshot()->notes(), Not(Contains(HasSubstr("no known node"))));
  EXPECT_EQ(Tally(*world.Snapshot(), Signal::kNodePower).strangers,
            "4 values from kepler of no known node (for example w, x, y)");
  world.input().observations[0].cluster = "cluster=prod";
  world.input().observations[1].cluster = "cluster=staging";
  EXPECT_THAT(Tally(*world.Snapshot(), Signal::kNodePower).strangers,
              HasSubstr("of another cluster: cluster=staging beside cluster=prod"));
}

TEST(Evidence, APodDrawsNoMoreThanItsProcessors) {
  TestWorld world;
  world.Node(TwoSockets("a")).See(Signal::kNodeCpuPower, "a", 60);
  for (const auto& [name, watts] : {std::pair("hot", 400.0), {"warm", 40.0}}) {
    PodPlacement pod;
    pod.namespace_name = "shop";
    pod.name = name;
    pod.node = "a";
    world.input().pods.push_back(std::make_shared<const PodPlacement>(std::move(pod)));
    world.See(Signal::kPodPower, "", watts);
    world.input().observations.back().namespace_name = "shop";
    world.input().observations.back().pod = name;
  }
  const auto snapshot = world.Snapshot();
  EXPECT_FALSE(snapshot->PowerOfPod("shop", "hot"));
  EXPECT_EQ(snapshot->PowerOfPod("shop", "warm"), Watts(40));
  EXPECT_THAT(snapshot->notes(), Contains(HasSubstr("400 W of a pod on a node whose processors "
                                                    "draw 60 W (for example pod shop/hot)")));
}

// Two nodes of two hardware classes, and three pods of one workload on them.
class PodRates : public ::testing::Test {
 protected:
  PodRates() {
    NodeFacts fast = TwoSockets("fast");
    fast.hardware_class = "fast";
    NodeFacts slow = TwoSockets("slow");
    slow.hardware_class = "slow";
    world_.Node(fast).Node(slow);
    for (const auto& [pod, node] :
         {std::pair("web-1", "fast"), {"web-2", "fast"}, {"web-3", "slow"}})
      Run("shop", pod, node);
  }
  void Run(const std::string& namespace_name, const std::string& pod, const std::string& node) {
    PodPlacement placement;
    placement.namespace_name = namespace_name;
    placement.name = pod;
    placement.workload = "web";
    placement.node = node;
    world_.input().pods.push_back(std::make_shared<const PodPlacement>(std::move(placement)));
  }
  Observation& See(const std::string& pod, double rate, const std::string& source = "vllm") {
    Observation seen;
    seen.signal = Signal::kWorkloadRequests;
    seen.namespace_name = "shop";
    seen.pod = pod;
    seen.value = rate;
    seen.source = source;
    seen.time = TestWorld::kTime;
    world_.input().observations.push_back(seen);
    return world_.input().observations.back();
  }
  TestWorld world_;
};

TEST_F(PodRates, AreTheMeanByHardwareClass) {
  See("web-1", 4);
  See("web-2", 6);
  See("web-3", 2).model = "llama";
  const auto snapshot = world_.Snapshot();
  const Measurements& measured = snapshot->OfWorkload("shop", "web");
  ASSERT_EQ(measured.size(), 2U);
  EXPECT_EQ(snapshot->hardware_classes()[0], "fast");
  EXPECT_DOUBLE_EQ(measured[0].requests->value(), 5 * 3600);
  EXPECT_DOUBLE_EQ(measured[1].requests->value(), 2 * 3600);
  EXPECT_DOUBLE_EQ(snapshot->OfModel("llama").at(0).requests->value(), 2 * 3600);
  EXPECT_EQ(Tally(*snapshot, Signal::kWorkloadRequests).of(Fate::kUsed), 3);
}

TEST_F(PodRates, OfAPodThatDoesNotRunAreReported) {
  See("gone-1", 4);
  EXPECT_THAT(world_.Snapshot()->notes(), Contains(HasSubstr("(for example pod shop/gone-1)")));
}

TEST_F(PodRates, OnePodThatIsToldTwiceCountsOnce) {
  See("web-1", 4);
  See("web-1", 4);
  See("web-2", 6);
  const auto snapshot = world_.Snapshot();
  EXPECT_DOUBLE_EQ(snapshot->OfWorkload("shop", "web").at(0).requests->value(), 5 * 3600);
  EXPECT_EQ(Tally(*snapshot, Signal::kWorkloadRequests).of(Fate::kDuplicate), 1);
}

TEST_F(PodRates, PodsOfOneNameInTwoNamespacesAreTwo) {
  Run("other", "web-1", "fast");
  See("web-1", 4).model = "llama";
  Observation& other = See("web-1", 8);
  other.model = "llama";
  other.namespace_name = "other";
  const auto snapshot = world_.Snapshot();
  EXPECT_DOUBLE_EQ(snapshot->OfModel("llama").at(0).requests->value(), 6 * 3600);
}

TEST_F(PodRates, ModelsOfOneReplicaAddUp) {
  See("web-1", 100, "triton").model = "resnet";
  See("web-1", 1, "triton").model = "bert";
  See("web-2", 41, "triton").model = "bert";
  const auto snapshot = world_.Snapshot();
  EXPECT_DOUBLE_EQ(snapshot->OfWorkload("shop", "web").at(0).requests->value(), 71 * 3600);
  EXPECT_DOUBLE_EQ(snapshot->OfModel("bert").at(0).requests->value(), 21 * 3600);
  EXPECT_EQ(Tally(*snapshot, Signal::kWorkloadRequests).of(Fate::kDuplicate), 0);
}

TEST_F(PodRates, AnEnsembleAndItsStepsAreOneRequest) {
  const auto rate_of = [&](const std::vector<std::pair<const char*, double>>& models) {
    world_.input().observations.clear();
    for (const auto& [model, rate] : models) {
      Observation& seen = See("web-1", rate, "triton");
      seen.model = model;
      seen.may_be_step = true;
    }
    return world_.Snapshot()->OfWorkload("shop", "web").at(0).requests->value() / 3600;
  };
  EXPECT_DOUBLE_EQ(rate_of({{"a", 5}, {"b", 5}, {"c", 5}}), 5);
  EXPECT_DOUBLE_EQ(rate_of({{"a", 5}, {"b", 5.1}, {"other", 12}}), 17);
  EXPECT_DOUBLE_EQ(rate_of({{"my_Ensemble", 5}, {"detect", 5}, {"classify", 15}}), 5);
  EXPECT_DOUBLE_EQ(rate_of({{"ensemble", 0}, {"tensorrt_llm_bls", 4}, {"tensorrt_llm", 4}}), 4);
  // Nobody calls the ensemble.
  EXPECT_DOUBLE_EQ(rate_of({{"ensemble", 0}, {"tensorrt_llm", 4}}), 4);
}

TEST_F(PodRates, ARequestThatPrefillAndDecodeShareCountsOnce) {
  for (const auto& [name, workload, node] : {std::tuple("p-0", "llm-prefill", "fast"),
                                             {"d-0", "llm-decode", "slow"},
                                             {"d-1", "llm-decode", "slow"}}) {
    PodPlacement pod;
    pod.namespace_name = "shop";
    pod.name = name;
    pod.workload = workload;
    pod.node = node;
    world_.input().pods.push_back(std::make_shared<const PodPlacement>(std::move(pod)));
    See(name, name[0] == 'p' ? 6 : 3, "vllm").model = "m";
    Observation& tokens = See(name, name[0] == 'p' ? 6 : 300, "vllm");
    tokens.model = "m";
    tokens.signal = Signal::kWorkloadTokens;
  }
  auto snapshot = world_.Snapshot();
  // 600 tokens and 6 requests a second, by three pods.
  const Measurements& model = snapshot->OfModel("m");
  ASSERT_EQ(model.size(), 1U);
  EXPECT_DOUBLE_EQ(model[0].tokens->value(), 200 * 3600);
  EXPECT_DOUBLE_EQ(model[0].requests->value(), 2 * 3600);
  EXPECT_THAT(snapshot->OfWorkload("shop", "llm-prefill"), testing::IsEmpty());
  EXPECT_DOUBLE_EQ(snapshot->OfWorkload("shop", "llm-decode").at(0).tokens->value(), 300 * 3600);
  EXPECT_EQ(Tally(*snapshot, Signal::kWorkloadTokens).of(Fate::kSuperseded), 1);
  // Without a pod that decodes they are what they are called.
  std::erase_if(world_.input().observations, [](const auto& seen) { return seen.pod[0] == 'd'; });
  snapshot = world_.Snapshot();
  EXPECT_DOUBLE_EQ(snapshot->OfModel("m").at(0).requests->value(), 6 * 3600);
}

TEST_F(PodRates, ARoleIsTakenFromTheSeriesOrThePodsLabel) {
  PodPlacement labelled;
  labelled.namespace_name = "shop";
  labelled.name = labelled.workload = "x";
  labelled.node = "fast";
  labelled.serving_role = "decode";
  world_.input().pods.push_back(std::make_shared<const PodPlacement>(std::move(labelled)));
  See("x", 4).model = "m";
  Observation& prefill = See("web-1", 4);
  prefill.model = "m";
  prefill.role = "prefill";
  EXPECT_DOUBLE_EQ(world_.Snapshot()->OfModel("m").at(0).requests->value(), 2 * 3600);
  world_.input().observations.back().role = "prefill-decode";
  EXPECT_DOUBLE_EQ(world_.Snapshot()->OfModel("m").at(0).requests->value(), 4 * 3600);
}

TEST_F(PodRates, OfOneNameInTwoClustersAreNobodys) {
  See("web-1", 4).cluster = "cluster=prod";
  See("web-1", 400).cluster = "cluster=staging";
  See("web-2", 6).cluster = "cluster=prod";
  const auto snapshot = world_.Snapshot();
  EXPECT_DOUBLE_EQ(snapshot->OfWorkload("shop", "web").at(0).requests->value(), 6 * 3600);
  EXPECT_EQ(Tally(*snapshot, Signal::kWorkloadRequests).of(Fate::kAmbiguous), 2);
}

TEST_F(PodRates, WhoNamesNoClusterHidesNoOther) {
  See("web-1", 4).cluster = "cluster=prod";
  See("web-1", 400).cluster = "cluster=staging";
  Observation& newest = See("web-1", 50);
  newest.rank = 2;
  newest.time += std::chrono::seconds(1);
  const auto snapshot = world_.Snapshot();
  EXPECT_EQ(Tally(*snapshot, Signal::kWorkloadRequests).of(Fate::kAmbiguous), 3);
}

TEST_F(PodRates, OfOtherClustersNothingIsSaidWhileSomethingMatches) {
  See("web-1", 4).broad = true;
  See("elsewhere-1", 4).broad = true;
  EXPECT_THAT(world_.Snapshot()->notes(), Not(Contains(HasSubstr("elsewhere"))));
  EXPECT_EQ(Tally(*world_.Snapshot(), Signal::kWorkloadRequests).of(Fate::kUnmatched), 1);
  world_.input().observations.erase(world_.input().observations.begin());
  EXPECT_THAT(world_.Snapshot()->notes(), Contains(HasSubstr("elsewhere")));
}

TEST_F(PodRates, AnIdleReplicaCountsAndIdlenessIsNoRate) {
  See("web-1", 4);
  See("web-2", 0);
  See("web-3", 0);
  const auto snapshot = world_.Snapshot();
  EXPECT_DOUBLE_EQ(snapshot->OfWorkload("shop", "web").at(0).requests->value(), 2 * 3600);
  EXPECT_FALSE(snapshot->OfWorkload("shop", "web").at(1).requests);
  EXPECT_EQ(Tally(*snapshot, Signal::kWorkloadRequests).of(Fate::kImplausible), 0);
}

TEST_F(PodRates, TwoMeshesAreNeverAddedUp) {
  See("web-1", 4, "istio").rank = 1;
  See("web-1", 4, "envoy").rank = 2;
  const auto snapshot = world_.Snapshot();
  EXPECT_DOUBLE_EQ(snapshot->OfWorkload("shop", "web").at(0).requests->value(), 4 * 3600);
  EXPECT_DOUBLE_EQ(snapshot->OfWorkload("shop", "web", "envoy").at(0).requests->value(), 4 * 3600);
}

TEST_F(PodRates, OfAllReplicasTogetherAreDivided) {
  Observation& seen = See("", 12, "nginx");
  seen.workload = "web";
  seen.of_all_replicas = true;
  const auto snapshot = world_.Snapshot();
  EXPECT_DOUBLE_EQ(snapshot->OfWorkload("shop", "web").at(0).requests->value(), 4 * 3600);
}

TEST(Prices, ListAndEffectivePriceAreBothKept) {
  TestWorld world;
  NodeFacts spot = TwoSockets("spot");
  spot.pool = "batch";
  spot.spot = true;
  NodeFacts committed = TwoSockets("committed");
  committed.pool = "base-1";
  NodeFacts told = TwoSockets("told");
  world.Node(spot).Node(committed).Node(told);
  world.Price("spot", 10).Price("committed", 10).Price("told", 10);
  world.See(Signal::kNodeEffectivePrice, "told", 7);
  world.input().catalog = CatalogWith(
      {{"discounts.csv",
        "provider,region,instance_type,pool,kind,discount_percent,source,year,method,licence\n"
        "*,*,*,*,spot,70,spot market,2026,configured,own\n"
        "aws,*,*,base-*,committed,30,contract 7,2026,configured,own\n"}});
  const auto snapshot = world.Snapshot();
  const auto price = [&](const char* name) {
    const NodeRecord& node = snapshot->nodes()[static_cast<std::size_t>(snapshot->Find(name))];
    EXPECT_EQ(node.list_price->value, EurosPerHour(10));
    return node.price->value.value();
  };
  EXPECT_DOUBLE_EQ(price("spot"), 3);
  EXPECT_DOUBLE_EQ(price("committed"), 7);
  EXPECT_DOUBLE_EQ(price("told"), 7);
  const NodeRecord& node = snapshot->nodes()[static_cast<std::size_t>(snapshot->Find("committed"))];
  EXPECT_EQ(node.price->source, "test, committed 30 % off: contract 7, 2026");
}

// 128 vCPU and 512 GiB, which list prices make about 6.4 USD an hour.
TEST(Prices, WhatNoMachineCostsIsSetAside) {
  const auto price = [](double value, const char* currency, bool spot = false,
                        Signal signal = Signal::kNodePrice) {
    NodeFacts facts = TwoSockets("a");
    facts.spot = spot;
    TestWorld world;
    world.Node(facts).See(signal, "a", value);
    world.input().observations[0].currency = currency;
    world.input().rates = {{"USD", 0.9, "2026-11-01"}, {"JPY", 0.006, "2026-11-01"}};
    return world.Snapshot();
  };
  for (const auto& [value, currency] : {std::pair(0.0, "USD"),
                                        {-0.0, "USD"},
                                        {0.0067, "USD"},
                                        {0.6, "USD"},
                                        {70, "USD"},
                                        {0.0, ""},
                                        {-1.0, ""}}) {
    const auto snapshot = price(value, currency);
    EXPECT_TRUE(snapshot->nodes()[0].price_estimated) << value;
    EXPECT_EQ(Tally(*snapshot, Signal::kNodePrice).of(Fate::kImplausible), 1) << value;
  }
  for (const auto& [value, currency] :
       {std::pair(6.5, "USD"), {1.0, "USD"}, {40, "USD"}, {6, ""}, {1000, "JPY"}}) {
    EXPECT_FALSE(price(value, currency)->nodes()[0].price_estimated) << value;
  }
  EXPECT_THAT(price(0.0067, "USD")->notes(),
              Contains(HasSubstr("implausible: 0.0067 USD/h, where list prices of its parts make "
                                 "5.74 EUR/h (for example a)")));
  EXPECT_THAT(price(0, "USD")->notes(), Contains(HasSubstr("implausible: 0 USD/h")));
  // Spot markets go down to a tenth of a list price, of which ours is an estimate.
  EXPECT_FALSE(price(0.5, "USD", true)->nodes()[0].price_estimated);
  EXPECT_TRUE(price(0.2, "USD", true)->nodes()[0].price_estimated);
  EXPECT_TRUE(price(0, "USD", false, Signal::kNodeEffectivePrice)->nodes()[0].price_estimated);
}

TEST(Prices, ASpotPriceIsNotDiscountedOnceMore) {
  // What is paid for a spot node that a source tells `usd` of, which it calls a spot price or not;
  // beside a node of its type at a list price, or none.
  const auto paid = [](double usd, bool told, double list) {
    NodeFacts spot = TwoSockets("spot");
    spot.spot = true;
    spot.instance_type = "m6i.32xlarge";
    NodeFacts other = TwoSockets("other");
    other.instance_type = spot.instance_type;
    TestWorld world;
    world.Node(other).Node(spot).Price("spot", usd);
    world.input().observations[0].spot = told;
    if (list > 0) world.Price("other", list);
    for (Observation& seen : world.input().observations) seen.currency = "USD";
    world.input().rates = {{"USD", 1, "2026-11-01"}};
    world.input().catalog = CatalogWith(
        {{"discounts.csv",
          "provider,region,instance_type,pool,kind,discount_percent,source,year,method,licence\n"
          "*,*,*,*,spot,60,spot market,2026,configured,own\n"}});
    return world.Snapshot()->nodes()[1].price->value.value();
  };
  EXPECT_DOUBLE_EQ(paid(2.4, true, 0), 2.4);
  EXPECT_DOUBLE_EQ(paid(2.4, false, 0), 2.4);
  EXPECT_DOUBLE_EQ(paid(6.4, false, 0), 6.4 * 0.4);
  EXPECT_DOUBLE_EQ(paid(6.4, true, 0), 6.4 * 0.4);
  // The list price of its type says more than an estimate.
  EXPECT_DOUBLE_EQ(paid(4, true, 12), 4);
  EXPECT_DOUBLE_EQ(paid(4, false, 12), 4);
  EXPECT_DOUBLE_EQ(paid(4, true, 4), 1.6);
}

TEST(Prices, WhatWasCommittedIsUsedNodeByNode) {
  TestWorld world;
  for (int i = 0; i < 3; ++i) {
    NodeFacts facts = TwoSockets("n" + std::to_string(i));
    facts.pool = "base";
    world.Node(facts);
  }
  world.input().catalog = CatalogWith(
      {{"commitments.csv",
        "provider,region,instance_type,pool,name,committed,unit,source,year,method,licence\n"
        "aws,*,*,base,one-year,200,vcpu,contract,2026,configured,own\n"
        "aws,*,*,*,three-years,4,node,contract,2026,configured,own\n"}});
  const auto use = world.Snapshot()->commitments();
  ASSERT_EQ(use.size(), 2U);
  EXPECT_DOUBLE_EQ(use[0].used, 200);  // the second node fills it up
  EXPECT_DOUBLE_EQ(use[1].used, 1);
}

TEST(Forecasts, OfIntensityAndPriceComeByTime) {
  TestWorld world;
  world.Node("a", "aws", "eu-west-3").Node("b", "aws", "eu-west-3");
  for (const int hours : {6, 1}) {
    for (const Signal signal : {Signal::kGridForecast, Signal::kElectricityForecast}) {
      world.See(signal, "", signal == Signal::kGridForecast ? 10 * hours : -0.01 * hours);
      world.input().observations.back().zone = "FR";
      world.input().observations.back().ahead = std::chrono::hours(hours);
    }
  }
  const auto snapshot = world.Snapshot();
  for (const NodeRecord& node : snapshot->nodes()) {
    ASSERT_EQ(node.forecast.size(), 2U);
    EXPECT_EQ(node.forecast[0].intensity, GramsPerKwh(10));
    EXPECT_EQ(node.forecast[0].time, TestWorld::kTime + std::chrono::hours(1));
    ASSERT_EQ(node.electricity_forecast.size(), 2U);
    EXPECT_EQ(node.electricity_forecast[1].price, EurosPerKwh(-0.06));
  }
}

TEST(Places, ABiddingZoneHasItsCountrysAverage) {
  NodeFacts facts;
  facts.name = "a";
  facts.grid_zone = "DE-LU";
  const auto snapshot = TestWorld().Node(facts).GridZone("DE-LU", 333).Snapshot();
  EXPECT_EQ(snapshot->nodes()[0].live_intensity->value, GramsPerKwh(333));
  ASSERT_TRUE(snapshot->nodes()[0].catalog_intensity);
  EXPECT_NEAR(snapshot->nodes()[0].catalog_intensity->value.value(), 380.95, 0.01);
}

TEST(Places, NoGridHasAnIntensityOfNothing) {
  for (const double grams : {0.0, -1.0, 0.4}) {
    const auto snapshot =
        TestWorld().Node("a", "aws", "eu-west-3").GridZone("FR", grams).Snapshot();
    EXPECT_FALSE(snapshot->nodes()[0].live_intensity) << grams;
    EXPECT_EQ(Tally(*snapshot, Signal::kGridIntensity).of(Fate::kImplausible), 1);
    TestWorld foreseen;
    foreseen.Node("a", "aws", "eu-west-3").See(Signal::kGridForecast, "", grams);
    foreseen.input().observations[0].zone = "FR";
    foreseen.input().observations[0].ahead = std::chrono::hours(1);
    EXPECT_THAT(foreseen.Snapshot()->nodes()[0].forecast, testing::IsEmpty());
  }
  EXPECT_TRUE(TestWorld()
                  .Node("a", "aws", "eu-west-3")
                  .GridZone("FR", 2)
                  .Snapshot()
                  ->nodes()[0]
                  .live_intensity);
}

TEST(Places, AThreeLetterCodeMeansItsCountry) {
  const auto snapshot = TestWorld().Node("a", "aws", "eu-west-3").GridZone("FRA", 44).Snapshot();
  EXPECT_EQ(snapshot->nodes()[0].live_intensity->value, GramsPerKwh(44));
}

TEST(Prices, ANegativePriceOfElectricityIsLegalAndOfANodeIsNot) {
  TestWorld world;
  world.Node("a", "own", "x").Price("a", -1);
  world.See(Signal::kElectricityPrice, "", -0.05);
  world.input().observations.back().provider = "own";
  world.input().observations.back().region = "x";
  const auto snapshot = world.Snapshot();
  EXPECT_EQ(snapshot->nodes()[0].electricity->value, EurosPerKwh(-0.05));
  EXPECT_FALSE(snapshot->nodes()[0].price);
  EXPECT_THAT(snapshot->notes(),
              Contains(HasSubstr("node_price_per_hour: 1 value set aside, implausible: -1 EUR/h")));
  EXPECT_THAT(snapshot->notes(), Not(Contains(HasSubstr("electricity"))));
}

}  // namespace
}  // namespace sobre
