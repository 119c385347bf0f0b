#include "scoring/attribution.h"

#include <chrono>

#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

class AttributionTest : public ::testing::Test {
 protected:
  AttributionTest() {
    NodeFacts facts;
    facts.name = "a";
    facts.provider = "own";
    facts.region = "here";
    facts.grid_zone = "FR";
    facts.hardware_class = "box";
    facts.allocatable = {8000, 32'000'000'000, 0, 0};
    world_.Node(facts).Price("a", 0.40).GridZone("FR", 50);
    // A line of 2 W idle and 10 W full per vCPU, and a PUE of 1.2.
    world_.input().fits.push_back({.machine = "box",
                                   .boundary = PowerBoundary::kWholeNode,
                                   .fit = {Watts(2), Watts(10), Fraction(0.01), 9},
                                   .source = "test",
                                   .time = TestWorld::kTime});
    world_.input().catalog = CatalogWith(
        {{"pue.csv",
          "provider,region,pue,source,year,method,licence\nown,here,1.2,t,2026,stated,own\n"},
         {"discounts.csv",
          "provider,region,instance_type,pool,kind,discount_percent,source,year,method,licence\n"
          "own,here,*,*,negotiated,25,t,2026,stated,own\n"}});
    pod_.namespace_name = "shop";
    pod_.name = "web-1";
    pod_.workload = "web";
    pod_.uid = "u";
    pod_.requests = {2000, 4'000'000'000, 0, 0};
    pod_.node = "a";
  }
  PodRates Rates() { return Attribution(*world_.Snapshot()).RatesOf(pod_, base_); }
  void Measure(Signal signal, double value) {
    Observation seen;
    seen.signal = signal;
    seen.namespace_name = "shop";
    seen.workload = "web";
    seen.hardware_class = "box";
    seen.value = value;
    seen.time = TestWorld::kTime;
    seen.source = "test";
    world_.input().observations.push_back(seen);
  }
  TestWorld world_;
  PodPlacement pod_;
  NamespacePolicy base_;
};

TEST_F(AttributionTest, AddsUpByHand) {
  const PodRates rates = Rates();
  // 1 busy vCPU at 8 W more, 2 idle at 2 W, 4 GB of memory at 0.392 W; overhead 1.2.
  const double watts = (8 + 4 + 4 * 0.392) * 1.2;
  EXPECT_DOUBLE_EQ(rates.power->value(), watts);
  EXPECT_TRUE(rates.power_measured);
  EXPECT_TRUE(rates.live_intensity);
  EXPECT_DOUBLE_EQ(rates.operational->mid.value(), watts * 50 / 1000);
  EXPECT_LT(rates.operational->low, rates.operational->mid);
  EXPECT_DOUBLE_EQ(rates.market->value(), rates.operational->mid.value());
  EXPECT_GT(rates.embodied->mid.value(), 0);
  EXPECT_DOUBLE_EQ(rates.vcpus.value(), 2);
  EXPECT_DOUBLE_EQ(rates.memory.value(), 4);
  EXPECT_FALSE(rates.requests);
  EXPECT_FALSE(rates.is_run);
  EXPECT_NEAR(rates.euros->value() / rates.list_euros->value(), 0.75, 1e-12);
}

TEST_F(AttributionTest, AllPodsOfAFullNodeShareItsPrice) {
  pod_.requests = {4000, 16'000'000'000, 0, 0};
  EXPECT_NEAR(Rates().euros->value() * 2, 0.30, 1e-12);
}

TEST_F(AttributionTest, WhatWasMeasuredOfAWorkloadComesBeforeWhatIsStated) {
  pod_.annotations = {{"requests-per-second", "40"}};
  EXPECT_DOUBLE_EQ(Rates().requests->value(), 40 * 3600);
  Measure(Signal::kWorkloadRequests, 3);
  EXPECT_DOUBLE_EQ(Rates().requests->value(), 3 * 3600);
  EXPECT_FALSE(Rates().tokens);
  Measure(Signal::kWorkloadTokens, 100);
  EXPECT_DOUBLE_EQ(Rates().tokens->value(), 100 * 3600);
  EXPECT_DOUBLE_EQ(Rates().requests->value(), 3 * 3600);
}

TEST_F(AttributionTest, MeasuredJoulesCountWithTheMeasuredRate) {
  pod_.annotations = {{"requests-per-second", "40"}};
  Measure(Signal::kWorkloadRequests, 3);
  Measure(Signal::kWorkloadJoulesPerRequest, 5);
  EXPECT_DOUBLE_EQ(Rates().power->value(), (15 + 4 + 4 * 0.392) * 1.2);
}

TEST_F(AttributionTest, WhatIsMeasuredOfThePodItselfStandsForItsLoad) {
  Measure(Signal::kWorkloadRequests, 3);
  Measure(Signal::kWorkloadJoulesPerRequest, 5);
  world_.input().pods.push_back(std::make_shared<const PodPlacement>(pod_));
  Observation seen;
  seen.signal = Signal::kPodPower;
  seen.namespace_name = "shop";
  seen.pod = "web-1";
  seen.value = 7;
  seen.time = TestWorld::kTime;
  seen.source = "kepler";
  world_.input().observations.push_back(seen);
  EXPECT_DOUBLE_EQ(Rates().power->value(), (15 + 4 + 4 * 0.392) * 1.2)
      << "nothing measures the node, so what is said of its pods is not believed";
  const auto implausible = world_.Snapshot()->tallies()[Index(Signal::kPodPower)];
  EXPECT_EQ(implausible.of(Fate::kImplausible), 1);
  world_.See(Signal::kNodeCpuPower, "a", 40);
  EXPECT_DOUBLE_EQ(Rates().power->value(), (7 + 4 + 4 * 0.392) * 1.2);
  EXPECT_TRUE(Rates().power_measured);
  EXPECT_EQ(world_.Snapshot()->tallies()[Index(Signal::kPodPower)].of(Fate::kUsed), 1);
  // Of another pod, nothing is known.
  pod_.name = "web-2";
  EXPECT_DOUBLE_EQ(Rates().power->value(), (15 + 4 + 4 * 0.392) * 1.2);
}

TEST_F(AttributionTest, ABatchJobCountsItsRunAlone) {
  pod_.annotations = {{"requests-per-second", "40"}};
  pod_.is_batch_job = true;
  EXPECT_TRUE(Rates().is_run);
  EXPECT_FALSE(Rates().requests);
}

TEST_F(AttributionTest, PodsOfOneNamespaceDoNotMixTheirPolicies) {
  const auto snapshot = world_.Snapshot();
  Attribution attribution(*snapshot);
  PodPlacement other = pod_;
  other.annotations = {{"model", "llama"}, {"tokens-per-second", "10"}};
  other.requests.millicpu = 4000;
  EXPECT_EQ(attribution.RatesOf(pod_, base_).model, "");
  EXPECT_EQ(attribution.RatesOf(other, base_).model, "llama");
  EXPECT_DOUBLE_EQ(attribution.RatesOf(other, base_).tokens->value(), 36000);
  EXPECT_DOUBLE_EQ(attribution.RatesOf(pod_, base_).vcpus.value(), 2);
  EXPECT_FALSE(attribution.RatesOf(pod_, base_).tokens);
}

TEST_F(AttributionTest, OfAnUnknownNodeOnlyWhatWasAskedForIsKnown) {
  pod_.node = "ghost";
  const PodRates rates = Rates();
  EXPECT_DOUBLE_EQ(rates.vcpus.value(), 2);
  EXPECT_FALSE(rates.power || rates.operational || rates.embodied || rates.euros);
}

// Half a microsecond a pod, so that a tick over all of a cluster's is nothing.
TEST(AttributionCost, FiftyThousandPods) {
  TestWorld world;
  for (int i = 0; i < 500; ++i) {
    const std::string name = "n" + std::to_string(i);
    world.Node(name, "aws", "eu-west-3").Price(name, 0.4);
  }
  const auto snapshot = world.Snapshot();
  std::vector<PodPlacement> pods(50'000);
  for (std::size_t i = 0; i < pods.size(); ++i) {
    PodPlacement& pod = pods[i];
    pod.namespace_name = "team-" + std::to_string(i % 100);
    pod.name = "web-" + std::to_string(i);
    pod.workload = "web-" + std::to_string(i % 1000);
    pod.requests = {500, 1'000'000'000, 0, 0};
    pod.node = "n" + std::to_string(i % 500);
    pod.annotations = {{"requests-per-second", "40"}, {"objective", "carbon"}};
  }
  const NamespacePolicy base;
  const auto begin = std::chrono::steady_clock::now();
  Attribution attribution(*snapshot);
  double watts = 0;
  for (const PodPlacement& pod : pods) watts += attribution.RatesOf(pod, base).power->value();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("milliseconds", std::to_string(took.count()));
  EXPECT_GT(watts, 0);
}

}  // namespace
}  // namespace sobre
