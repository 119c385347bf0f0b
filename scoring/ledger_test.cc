#include "scoring/ledger.h"

#include <gtest/gtest.h>

#include "scoring/analysis.h"
#include "scoring/test_world.h"

namespace sobre {
namespace {

NodeFacts GpuNode(std::string name, std::string model, Resources allocatable) {
  NodeFacts node;
  node.name = std::move(name);
  node.provider = "aws";
  node.region = "eu-west-3";
  node.gpu_model = std::move(model);
  node.allocatable = allocatable;
  return node;
}

Demand DemandFor(Resources requests) { return DemandOf(requests, Fraction(0.5)); }

TEST(Ledger, SharesOfAcceleratorsCountByTheirFraction) {
  NodeFacts sliced = GpuNode("sliced", "NVIDIA-A100-SXM4-80GB", {96'000, 1LL << 40, 0, 14});
  NodeFacts shared = GpuNode("shared", "Tesla-T4-SHARED", {8000, 32LL << 30, 4, 0});
  shared.gpu_replicas = 4;
  NodeFacts quarter = GpuNode("quarter", "NVIDIA-A30", {8000, 32LL << 30, 0, 4});
  const auto snapshot = TestWorld().Node(sliced).Node(shared).Node(quarter).Snapshot();
  const auto record = [&](const char* name) -> const NodeRecord& {
    return snapshot->nodes()[static_cast<std::size_t>(snapshot->Find(name))];
  };
  EXPECT_DOUBLE_EQ(record("sliced").gpus.value(), 2);
  EXPECT_DOUBLE_EQ(record("shared").gpus.value(), 1);
  EXPECT_DOUBLE_EQ(record("quarter").gpus.value(), 1);
  EXPECT_DOUBLE_EQ(GpusOn(DemandFor({0, 0, 0, 3}), ProfileOf(record("sliced")))->value(),
                   3.0 / 7.0);
  EXPECT_DOUBLE_EQ(GpusOn(DemandFor({0, 0, 1, 0}), ProfileOf(record("shared")))->value(), 0.25);
  EXPECT_DOUBLE_EQ(GpusOn(DemandFor({0, 0, 0, 1}), ProfileOf(record("quarter")))->value(), 0.25);
  EXPECT_EQ(record("shared").gpu->model, "T4") << "as the device plugin names a shared one";
}

TEST(Ledger, PlacementLeavesIdleOutAndTheReportCountsIt) {
  const auto snapshot = TestWorld().Node("n", "aws", "eu-west-3").Snapshot();
  const NodeRecord& node = snapshot->nodes()[0];
  const Demand demand = DemandFor({2000, 4'000'000'000, 0, 0});
  EXPECT_DOUBLE_EQ(MarginalPower(demand, ProfileOf(node))->value(), (3.5 - 0.74) * 1);
  const auto split = AttributedPower(demand, node, Catalog::Embedded().coefficients().value);
  EXPECT_DOUBLE_EQ(split->active.value(), (3.5 - 0.74) * 1);
  EXPECT_DOUBLE_EQ(split->idle.value(), 0.74 * 2 + 0.392 * 4);
}

TEST(Ledger, PriceSharesOfAFullNodeAddUpToOne) {
  const auto snapshot =
      TestWorld().Node(GpuNode("g", "T4", {8000, 32'000'000'000, 2, 0})).Snapshot();
  const NodeRecord& node = snapshot->nodes()[0];
  const double sum = PriceShare(DemandFor({6000, 8'000'000'000, 0, 0}), node)->value() +
                     PriceShare(DemandFor({1000, 12'000'000'000, 1, 0}), node)->value() +
                     PriceShare(DemandFor({1000, 12'000'000'000, 1, 0}), node)->value();
  EXPECT_NEAR(sum, 1, 1e-12);
  EXPECT_DOUBLE_EQ(DominantShare(DemandFor({1000, 1, 1, 0}), ProfileOf(node))->value(), 0.5);
}

TEST(Ledger, EmbodiedIsTheShareOfTheMachineOverItsLife) {
  const auto snapshot = TestWorld().Node("n", "aws", "eu-west-3").Snapshot();
  const DecisionRequest request = RequestFor({});
  const Decision decision = DecideFor(*snapshot, {"n"}, request);
  const ReportFigures report = Attribute(request, decision, decision.candidates[0], *snapshot);
  // 2 of 8 vCPU of the node, which is 8 of 96 vCPU of the machine.
  EXPECT_DOUBLE_EQ(report.embodied->mid.value(), 900'000.0 / 35'040 * (2.0 / 96.0));
  EXPECT_DOUBLE_EQ(report.embodied->low.value(), 460'000.0 / 35'040 * (2.0 / 96.0));
  EXPECT_DOUBLE_EQ(report.total->mid.value(),
                   report.operational->mid.value() + report.embodied->mid.value());
}

TEST(Ledger, ARunIsItsReportOverItsDuration) {
  ReportFigures report;
  report.power = {Watts(90), Watts(100), Watts(110)};
  report.total = {GramsPerHour(1), GramsPerHour(2), GramsPerHour(3)};
  report.euros = EurosPerHour(4);
  const RunTotals totals = TotalsOfRun(report, Hours(2.5));
  EXPECT_DOUBLE_EQ(totals.energy->value(), 0.25);
  EXPECT_DOUBLE_EQ(totals.total->high.value(), 7.5);
  EXPECT_DOUBLE_EQ(totals.euros->value(), 10);
}

}  // namespace
}  // namespace sobre
