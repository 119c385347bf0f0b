#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/analysis.h"
#include "scoring/attribution.h"
#include "scoring/explain.h"
#include "scoring/limits.h"
#include "scoring/test_world.h"

// Devices that nobody understands are unknown: never nothing, and never another board.
namespace sobre {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Watts kNothing{0};

NodeFacts GpuNode(std::string model, std::int64_t gpus) {
  NodeFacts node;
  node.name = "n";
  node.provider = "aws";
  node.region = "eu-west-3";
  node.gpu_model = std::move(model);
  node.allocatable = {96'000, 768LL << 30, gpus, 0, {}};
  return node;
}

Resources Asks(std::int64_t gpus, std::vector<std::string> devices = {}) {
  return {2000, 8LL << 30, gpus, 0, std::move(devices)};
}

// A pod on one node, with a budget that nothing known exceeds.
struct Outcome {
  DecisionRequest request;
  std::shared_ptr<const Snapshot> snapshot;
  Decision decision;

  [[nodiscard]] const PlacementFigures& placement() const {
    return decision.candidates[0].placement;
  }
  [[nodiscard]] ReportFigures Report() const {
    return Attribute(request, decision, decision.candidates[0], *snapshot);
  }
  [[nodiscard]] std::vector<std::string> Told() const {
    return Notes(request, decision, *snapshot);
  }
  [[nodiscard]] std::string Refused() const {
    const auto refusal = CheckLimits(request, decision, decision.candidates[0], *snapshot);
    return refusal ? refusal->reason : "";
  }
};

Outcome On(TestWorld world, const Resources& requests, bool claims = false) {
  Outcome outcome;
  outcome.request = RequestFor(Policy());
  outcome.request.pod.requests = requests;
  outcome.request.pod.has_resource_claims = claims;
  outcome.request.policy.limits.max_grams = {{GramsPerUnit(1e9), FunctionalUnit::kPodHour}};
  outcome.snapshot = world.Snapshot();
  const std::int32_t node = 0;
  Decide(outcome.request, *outcome.snapshot, {&node, 1}, outcome.decision);
  return outcome;
}

Outcome On(const NodeFacts& node, const Resources& requests, bool claims = false) {
  return On(TestWorld().Node(node).Price("n", 10), requests, claims);
}

void ExpectUnknown(const Outcome& outcome, const std::string& why) {
  const PlacementFigures& placed = outcome.placement();
  EXPECT_FALSE(placed.power_known || placed.grams_known || placed.euros_known) << why;
  const ReportFigures report = outcome.Report();
  EXPECT_FALSE(report.power || report.operational || report.embodied || report.euros) << why;
  EXPECT_EQ(outcome.decision.candidates[0].score, 0) << why;
  EXPECT_THAT(outcome.Told(), Contains(HasSubstr(why)));
  EXPECT_THAT(outcome.Refused(), HasSubstr("gCO2e per pod-hour is unknown: "));
}

TEST(Devices, AResourceThatIsNotUnderstoodLeavesAllUnknown) {
  for (const char* name : {"habana.ai/gaudi", "aws.amazon.com/neuroncore", "google.com/tpu",
                           "gpu.intel.com/xe", "huawei.com/Ascend310P", "nvidia.com/mig-1c.2g.10gb",
                           "acme.com/never-seen", "annotation gpu-fraction"}) {
    NodeFacts node = GpuNode("", 0);
    node.allocatable.devices = {name};
    ExpectUnknown(On(node, Asks(0, {name})), name);
    const Outcome plain = On(node, Asks(0));
    EXPECT_TRUE(plain.placement().grams_known && plain.placement().euros_known) << name;
  }
  // A known card beside it does not make it known.
  ExpectUnknown(On(GpuNode("NVIDIA-L4", 4), Asks(1, {"nvidia.com/gpumem"})), "nvidia.com/gpumem");
}

TEST(Devices, WhatDrawsNothingChangesNothing) {
  const Outcome plain = On(GpuNode("NVIDIA-L4", 4), Asks(1));
  const Outcome with =
      On(GpuNode("NVIDIA-L4", 4), Asks(1, {"rdma/hca_shared_devices_a", "vpc.amazonaws.com/efa"}));
  ASSERT_TRUE(with.placement().grams_known);
  EXPECT_EQ(with.placement().grams, plain.placement().grams);
  EXPECT_EQ(with.placement().euros, plain.placement().euros);
  EXPECT_EQ(with.Refused(), "");
  TestWorld own;
  own.Node(GpuNode("", 0)).Price("n", 10);
  own.input().catalog = CatalogWith({{"resources.csv",
                                      "resource,draws,source,year,method,licence\n"
                                      "acme.com/seat,nothing,us,2026,a licence,own\n"}});
  EXPECT_TRUE(On(own, Asks(0, {"acme.com/seat"})).placement().grams_known);
}

TEST(Devices, ClaimsLeaveAllUnknown) {
  ExpectUnknown(On(GpuNode("NVIDIA-L4", 4), Asks(0), true), "its resource claims cannot be read");
}

// A request for a card may be met by a claim where the node lists none.
TEST(Devices, ACardThatTheNodeDoesNotListIsUnknown) {
  ExpectUnknown(On(GpuNode("NVIDIA-A100-SXM4-80GB", 0), Asks(1)), "lists none");
  ExpectUnknown(On(GpuNode("", 0), Asks(1)), "lists none");
  NodeFacts whole = GpuNode("NVIDIA-A100-SXM4-80GB", 8);
  ExpectUnknown(On(whole, {2000, 8LL << 30, 0, 1, {}}), "lists none");
}

TEST(Devices, SharesThatNobodyCountsAreUnknown) {
  const auto node = [](const char* model, std::int64_t gpus, GpuSharing sharing,
                       std::int64_t replicas = 1) {
    NodeFacts facts = GpuNode(model, gpus);
    facts.gpu_sharing = std::move(sharing);
    facts.gpu_replicas = replicas;
    return facts;
  };
  const NodeFacts kShared[] = {
      node("NVIDIA-H100-80GB-HBM3-MIG-2g.20gb", 3, {.count = 3}),
      node("NVIDIA-A100-SXM4-40GB", 7, {.mig_single = true, .mig_slices = true}),
      node("NVIDIA-L4", 48, {.by = "cloud.google.com/gke-max-shared-clients-per-gpu"}),
      node("NVIDIA-L4", 10, {.count = 1, .by = "hami.io/node-handshake"}),
      node("NVIDIA-A10G", 50, {.count = 1}),
      node("NVIDIA-A10G", 4, {.count = 2}, 4),
      node("Tesla-T4-SHARED", 4, {}),
      node("Tesla-T4", 4, {.shared = true}),
      node("NVIDIA-L4", 2, {.of_nvidia = true, .of_amd = true}),
  };
  for (const NodeFacts& facts : kShared) {
    const Outcome outcome = On(facts, Asks(1));
    ExpectUnknown(outcome, "accelerators unknown on node n: ");
    const NodeRecord& record = outcome.snapshot->nodes()[0];
    EXPECT_LE(record.gpus, Gpus(2)) << facts.gpu_model;
    EXPECT_NE(outcome.snapshot->hardware_classes()[0], "T4") << "not as fast as the card";
    // Its own pods apart, the node is what it was.
    EXPECT_TRUE(On(facts, Asks(0)).placement().grams_known);
  }
}

TEST(Devices, SharesThatLabelsCountAreCounted) {
  const auto watts = [](const NodeFacts& facts) {
    const Outcome outcome = On(facts, Asks(1));
    EXPECT_TRUE(outcome.placement().power_known && outcome.placement().euros_known);
    return outcome.placement().added_power - On(facts, Asks(0)).placement().added_power;
  };
  NodeFacts sliced = GpuNode("Tesla-T4-SHARED", 8);
  sliced.gpu_replicas = 4;
  sliced.gpu_sharing = {.count = 2, .shared = true, .mig_single = true};
  const Watts card = watts(GpuNode("Tesla-T4", 2));
  EXPECT_GT(card, kNothing);
  EXPECT_NEAR(watts(sliced).value(), card.value() / 4, 1e-9);
  // The operator calls its strategy single where no card is divided, and one may be out of order.
  NodeFacts whole = GpuNode("Tesla-T4", 7);
  whole.gpu_sharing = {.count = 8, .mig_single = true};
  EXPECT_NEAR(watts(whole).value(), card.value(), 1e-9);
}

TEST(Devices, TheNodesOwnPriceDoesNotCountSharesAsCards) {
  const auto price = [](const NodeFacts& facts) {
    TestWorld world;
    world.Node(facts);
    world.input().rates = {{"USD", 0.9, "2026-11-01"}};
    return world.Snapshot()->nodes()[0].price;
  };
  const double two = price(GpuNode("NVIDIA-A100-SXM4-80GB", 2))->value.value();
  EXPECT_FALSE(price(GpuNode("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", 14)));
  NodeFacts counted = GpuNode("NVIDIA-A100-SXM4-80GB", 20);
  counted.gpu_sharing.count = 2;
  EXPECT_DOUBLE_EQ(price(counted)->value.value(), two);
  NodeFacts by_claims = GpuNode("NVIDIA-A100-SXM4-80GB", 0);
  EXPECT_FALSE(price(by_claims));
  by_claims.gpu_sharing.count = 2;
  EXPECT_DOUBLE_EQ(price(by_claims)->value.value(), two);
  NodeFacts gaudi = GpuNode("", 0);
  gaudi.allocatable.devices = {"habana.ai/gaudi"};
  EXPECT_FALSE(price(gaudi));
  gaudi.allocatable.devices = {"acme.com/seat"};
  EXPECT_TRUE(price(gaudi)) << "no accelerator, as far as anybody knows";
}

TEST(Devices, AnotherBoardOfTheFamilyIsUnknown) {
  for (const char* model : {"", "NVIDIA-H100", "NVIDIA-GH200-480GB", "NVIDIA-A10", "NVIDIA-L40",
                            "Tesla-V100-PCIE-16GB", "NVIDIA-RTX-A6000"}) {
    const Outcome outcome = On(GpuNode(model, 8), Asks(1));
    EXPECT_FALSE(outcome.placement().power_known || outcome.placement().grams_known) << model;
    EXPECT_TRUE(outcome.placement().euros_known) << "a card's part of a stated price";
    EXPECT_FALSE(outcome.Report().power || outcome.Report().total);
    EXPECT_THAT(outcome.Refused(), HasSubstr("accelerator model unknown ("));
    EXPECT_THAT(outcome.Told(),
                Contains(HasSubstr("objective balanced could not be followed, as no "
                                   "carbon is known: accelerator model unknown (")));
    EXPECT_THAT(outcome.Told(), Contains(HasSubstr("accelerator model unknown on node n: ")));
    EXPECT_THAT(outcome.Told(), Not(Contains(HasSubstr("no grid intensity is known"))));
    EXPECT_THAT(outcome.Told(),
                Contains(HasSubstr(*model == '\0' ? "it has no label nvidia.com/gpu.product"
                                                  : "no row of gpu.csv is about ")));
  }
}

TEST(Devices, AccountingDoesNotCountThemAsNothing) {
  PodPlacement pod;
  pod.namespace_name = "ai";
  pod.name = "train";
  pod.workload = "train";
  pod.node = "n";
  pod.requests = Asks(0, {"habana.ai/gaudi"});
  const auto snapshot = TestWorld().Node(GpuNode("", 0)).Price("n", 10).Snapshot();
  const PodRates rates = Attribution(*snapshot).RatesOf(pod, NamespacePolicy());
  EXPECT_FALSE(rates.power || rates.operational || rates.embodied || rates.euros);
  pod.requests = Asks(1);
  const auto shared = TestWorld().Node(GpuNode("Tesla-T4-SHARED", 8)).Price("n", 10).Snapshot();
  const PodRates of_share = Attribution(*shared).RatesOf(pod, NamespacePolicy());
  EXPECT_FALSE(of_share.power || of_share.euros);
  EXPECT_EQ(of_share.gpus, Gpus(0)) << "no card";
}

// What was measured of the workload does not tell of devices that are not understood.
TEST(Devices, MeasuredJoulesDoNotMakeThemKnown) {
  TestWorld world;
  world.Node(GpuNode("", 0)).Price("n", 10);
  for (const Signal signal : {Signal::kWorkloadRequests, Signal::kWorkloadJoulesPerRequest}) {
    Observation seen;
    seen.signal = signal;
    seen.namespace_name = RequestFor(Policy()).pod.namespace_name;
    seen.workload = RequestFor(Policy()).pod.workload;
    seen.hardware_class = world.Snapshot()->hardware_classes()[0];
    seen.value = 5;
    seen.time = TestWorld::kTime;
    seen.source = "test";
    world.input().observations.push_back(seen);
  }
  EXPECT_TRUE(On(world, Asks(0)).placement().power_known);
  EXPECT_FALSE(On(world, Asks(0, {"habana.ai/gaudi"})).placement().power_known);
}

}  // namespace
}  // namespace sobre
