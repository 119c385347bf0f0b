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
