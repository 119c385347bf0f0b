#include "scoring/analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/explain.h"
#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

NodeFacts GpuNode(std::string name, std::string model) {
  NodeFacts node;
  node.name = std::move(name);
  node.provider = "aws";
  node.region = "eu-west-3";
  node.gpu_model = std::move(model);
  node.allocatable = {8000, 32LL << 30, 1, 0};
  return node;
}

Observation Measured(Signal signal, std::string hardware_class, double value) {
  Observation seen;
  seen.signal = signal;
  seen.namespace_name = "shop";
  seen.workload = "web";
  seen.model = "llama";
  seen.hardware_class = std::move(hardware_class);
  seen.value = value;
  seen.time = TestWorld::kTime;
  seen.source = "test";
  return seen;
}

Policy CarbonPerRequest(Bound bound) {
  Policy policy;
  policy.objective = Objective::kCarbon;
  policy.bound = bound;
  policy.requests = UnitsPerHour(3600);
  policy.model = "llama";
  return policy;
}
const Resources kOneGpu{1000, 4LL << 30, 1, 0, {}};

TEST(Throughput, AFasterHungrierAcceleratorWinsPerRequestOnlyWhereTheRateFollowsTheHardware) {
  TestWorld world;
  world.Node(GpuNode("small", "T4")).Node(GpuNode("large", "H100"));
  world.input().catalog =
      CatalogWith({{"performance.csv",
                    "model,hardware_class,factor,source,year,method,licence\n"
                    "llama,T4,1,test,2026,measured,own\nllama,H100,20,test,2026,measured,own\n"}});
  const auto snapshot = world.Snapshot();
  const Decision demand =
      DecideFor(*snapshot, {"small", "large"}, CarbonPerRequest(Bound::kDemand), kOneGpu);
  EXPECT_EQ(demand.best, 0U);
  EXPECT_EQ(demand.candidates[1].units, UnitsPerHour(3600));
  const Decision throughput =
      DecideFor(*snapshot, {"small", "large"}, CarbonPerRequest(Bound::kThroughput), kOneGpu);
  EXPECT_EQ(throughput.best, 1U);
  EXPECT_EQ(throughput.candidates[1].units, UnitsPerHour(20 * 3600));
}

TEST(Throughput, AnUnknownSpeedIsAssumedAndSaid) {
  TestWorld world;
  world.Node(GpuNode("small", "T4")).Node(GpuNode("large", "H100"));
  const auto snapshot = world.Snapshot();
  const DecisionRequest request = RequestFor(CarbonPerRequest(Bound::kThroughput), kOneGpu);
  const Decision decision = DecideFor(*snapshot, {"small", "large"}, request);
  EXPECT_THAT(Notes(request, decision, *snapshot),
              Contains(HasSubstr("the speed is unknown on H100, T4")));
}

TEST(Rates, AreMeasuredOfTheWorkloadElseOfTheModelElseTheUnitIsThePodHour) {
  TestWorld world;
  world.Node(GpuNode("small", "T4")).Node(GpuNode("large", "H100"));
  Policy policy = CarbonPerRequest(Bound::kThroughput);
  policy.requests.reset();
  EXPECT_EQ(DecideFor(*world.Snapshot(), {"small", "large"}, policy, kOneGpu).unit,
            FunctionalUnit::kPodHour);
  world.input().observations.push_back(Measured(Signal::kModelRequests, "T4", 2));
  world.input().observations.push_back(Measured(Signal::kModelRequests, "H100", 30));
  const Decision by_model = DecideFor(*world.Snapshot(), {"small", "large"}, policy, kOneGpu);
  EXPECT_EQ(by_model.rate_basis, RateBasis::kModel);
  EXPECT_EQ(by_model.candidates[0].units, UnitsPerHour(2 * 3600));
  EXPECT_EQ(by_model.candidates[1].units, UnitsPerHour(30 * 3600));
  world.input().observations.push_back(Measured(Signal::kWorkloadRequests, "T4", 3));
  const Decision by_workload = DecideFor(*world.Snapshot(), {"small", "large"}, policy, kOneGpu);
  EXPECT_EQ(by_workload.rate_basis, RateBasis::kWorkload);
  EXPECT_EQ(by_workload.candidates[0].units, UnitsPerHour(3 * 3600));
  EXPECT_EQ(by_workload.work[static_cast<std::size_t>(0)].rate_basis, RateBasis::kModel);
}

TEST(Rates, ANamedSourceAloneTellsTheRate) {
  TestWorld world;
  world.Node(GpuNode("n", "H100"));
  Observation older = Measured(Signal::kWorkloadRequests, "H100", 5);
  older.source = "istio";
  older.time -= std::chrono::minutes(1);
  world.input().observations = {Measured(Signal::kWorkloadRequests, "H100", 3), older};
  Policy policy;
  EXPECT_EQ(DecideFor(*world.Snapshot(), {"n"}, policy, kOneGpu).units, UnitsPerHour(3 * 3600));
  policy.request_source = "istio";
  EXPECT_EQ(DecideFor(*world.Snapshot(), {"n"}, policy, kOneGpu).units, UnitsPerHour(5 * 3600));
  policy.request_source = "vllm";
  const Decision decision = DecideFor(*world.Snapshot(), {"n"}, policy, kOneGpu);
  EXPECT_EQ(decision.rate_basis, RateBasis::kNone);
  EXPECT_EQ(decision.unit, FunctionalUnit::kPodHour);
}

TEST(Rates, TokensAreCountedByTheThousand) {
  TestWorld world;
  world.Node(GpuNode("n", "H100"));
  Policy policy;
  policy.unit = FunctionalUnit::kThousandTokens;
  policy.tokens = UnitsPerHour(3600.0 * 500);
  const Decision decision = DecideFor(*world.Snapshot(), {"n"}, policy, kOneGpu);
  EXPECT_EQ(decision.unit, FunctionalUnit::kThousandTokens);
  EXPECT_DOUBLE_EQ(decision.units.value(), 1800);
}

TEST(Power, MeasuredJoulesOfTheWorkloadComeBeforeAnyProfileOnTheirHardware) {
  TestWorld world;
  world.Node(GpuNode("small", "T4")).Node(GpuNode("large", "H100"));
  world.input().observations.push_back(Measured(Signal::kWorkloadJoulesPerRequest, "T4", 50));
  const auto snapshot = world.Snapshot();
  const Decision decision =
      DecideFor(*snapshot, {"small", "large"}, CarbonPerRequest(Bound::kDemand), kOneGpu);
  // 1 request a second.
  EXPECT_DOUBLE_EQ(decision.candidates[0].placement.added_power.value(), 50 * 1.135);
  EXPECT_NE(decision.candidates[1].placement.added_power.value(), 50 * 1.135);
  EXPECT_THAT(ExplainText(RequestFor({}), decision, *snapshot), HasSubstr("measured joules"));
}

TEST(BatchJobs, CountTheirRunAndNeverRequests) {
  TestWorld world;
  world.Node("n", "aws", "eu-west-3").Price("n", 0.4);
  DecisionRequest request = RequestFor(CarbonPerRequest(Bound::kDemand));
  request.pod.is_batch_job = true;
  EXPECT_EQ(DecideFor(*world.Snapshot(), {"n"}, request).unit, FunctionalUnit::kPodHour);
  request.policy.expected_duration = Hours(4);
  const Decision run = DecideFor(*world.Snapshot(), {"n"}, request);
  EXPECT_EQ(run.unit, FunctionalUnit::kRun);
  EXPECT_DOUBLE_EQ(run.candidates[0].units.value(), 0.25);
}

TEST(Prices, AForeignPriceIsUnknownWithoutARate) {
  TestWorld world;
  world.Node("n", "aws", "eu-west-3").Price("n", 0.4);
  world.input().observations.back().currency = "USD";
  const auto without = world.Snapshot();
  EXPECT_FALSE(without->nodes()[0].price);
  EXPECT_THAT(without->notes(), Contains(HasSubstr("in USD, for which no rate to euros")));
  world.input().rates = {{"USD", 0.9, "2026-11-01"}};
  const auto with = world.Snapshot();
  EXPECT_DOUBLE_EQ(with->nodes()[0].price->value.value(), 0.36);
  EXPECT_THAT(with->nodes()[0].price->source, HasSubstr("0.9 EUR per USD of 2026-11-01"));
}

TEST(Prices, ListPricesAreEstimatesAndFlagged) {
  TestWorld world;
  world.Node("n", "aws", "eu-west-3", {8000, 32'000'000'000, 0, 0});
  EXPECT_FALSE(world.Snapshot()->nodes()[0].price) << "in dollars, and there is no rate";
  world.input().rates = {{"USD", 0.9, "2026-11-01"}};
  const auto snapshot = world.Snapshot();
  ASSERT_TRUE(snapshot->nodes()[0].price_estimated);
  EXPECT_NEAR(snapshot->nodes()[0].price->value.value(), (0.031611 * 8 + 0.004237 * 32) * 0.9,
              1e-12);
  EXPECT_THAT(snapshot->notes(), Contains(HasSubstr("price estimated for 1 of 1 nodes")));
}

TEST(Prices, ElectricityOfOnesOwnDataCentreIsAddedAndMayBeNegative) {
  TestWorld world;
  world.Node("n", "onprem", "paris").Price("n", 0.4);
  world.input().catalog = CatalogWith({{"electricity.csv",
                                        "provider,region,eur_per_kwh,source,year,method,licence\n"
                                        "onprem,paris,-0.1,contract,2026,day-ahead,own\n"}});
  const Decision decision = DecideFor(*world.Snapshot(), {"n"});
  const PlacementFigures& figures = decision.candidates[0].placement;
  EXPECT_DOUBLE_EQ(figures.euros.value(), 0.4 * 0.25 - figures.added_power.value() * 0.1 / 1000);
}

TEST(Egress, CountsWhatCrossesRegions) {
  TestWorld world;
  world.Node("here", "aws", "eu-west-3").Node("there", "aws", "eu-central-1");
  world.Price("here", 0.4).Price("there", 0.4);
  world.input().catalog = CatalogWith(
      {{"egress.csv",
        "provider,from_region,to_provider,to_region,price_per_gb,currency,source,year,method,"
        "licence\naws,eu-west-3,aws,*,0.02,EUR,test,2026,list,own\n"}});
  Policy policy = CarbonPerRequest(Bound::kDemand);
  const Decision without = DecideFor(*world.Snapshot(), {"here", "there"}, policy);
  policy.data_region = RegionName{"aws", "eu-west-3"};
  policy.egress = GigabytesPerUnit(0.001);
  const Decision with = DecideFor(*world.Snapshot(), {"here", "there"}, policy);
  EXPECT_EQ(with.candidates[0].placement.euros, without.candidates[0].placement.euros);
  // 3.6 GB an hour.
  EXPECT_NEAR(
      with.candidates[1].placement.euros.value() - without.candidates[1].placement.euros.value(),
      3.6 * 0.02, 1e-12);
  EXPECT_NEAR(with.candidates[1].placement.added_power.value() -
                  without.candidates[1].placement.added_power.value(),
              3.6, 1e-9);
  EXPECT_FALSE(with.egress_price_unknown);
}

TEST(Ties, ADifferenceInsideTheNoiseIsOne) {
  TestWorld world;
  world.Node("fr", "aws", "eu-west-3")
      .Node("fr-2", "scaleway", "fr-par")
      .Node("se", "aws", "eu-north-1");
  world.Node("pl", "scaleway", "pl-waw").Node("fr-3", "aws", "eu-west-3");
  const auto snapshot = world.Snapshot();
  Policy policy;
  policy.objective = Objective::kCarbon;
  const Decision decision = DecideFor(*snapshot, {"fr", "fr-2", "se", "pl", "fr-3"}, policy);
  const Candidate& se = decision.candidates[2];
  EXPECT_EQ(decision.best, 2U);
  EXPECT_TRUE(IsTie(decision.candidates[1], se, decision, *snapshot)) << "another provider: noise";
  EXPECT_FALSE(IsTie(decision.candidates[3], se, decision, *snapshot)) << "sixteen times";
  EXPECT_TRUE(IsTie(decision.candidates[4], decision.candidates[0], decision, *snapshot));
  const Range<GramsPerHour> range = GramsRange(se, decision, *snapshot);
  EXPECT_LT(range.low, range.mid);
  EXPECT_LT(range.mid, range.high);
}

TEST(Ties, WhatIsSharedIsNoNoise) {
  TestWorld world;
  // The same processor and PUE, and two grids that were read to 5 %.
  world.Node("a", "aws", "eu-west-3").Node("b", "aws", "eu-west-2");
  world.Grid("aws", "eu-west-3", 100).Grid("aws", "eu-west-2", 115);
  const auto snapshot = world.Snapshot();
  Policy policy;
  policy.objective = Objective::kCarbon;
  const Decision decision = DecideFor(*snapshot, {"a", "b"}, policy);
  EXPECT_FALSE(IsTie(decision.candidates[1], decision.candidates[0], decision, *snapshot));
}

TEST(Ties, APartOfACountryMayBeFarFromItsMean) {
  NodeFacts part;
  part.name = "part";
  part.provider = "own";
  part.grid_zone = "US-NW-CHPD";
  part.allocatable = TestWorld::Standard();
  NodeFacts whole = part;
  whole.name = "whole";
  whole.grid_zone = "US";
  TestWorld world;
  world.Node(part).Node(whole);
  const auto catalogue = world.Snapshot();
  Policy policy;
  policy.objective = Objective::kCarbon;
  const auto spread = [&](const Snapshot& snapshot, std::size_t i) {
    const Decision decision = DecideFor(snapshot, {"part", "whole"}, policy);
    const Range<GramsPerHour> range = GramsRange(decision.candidates[i], decision, snapshot);
    return std::pair(range.low / range.mid, range.high / range.mid);
  };
  const auto [part_low, part_high] = spread(*catalogue, 0);
  const auto [whole_low, whole_high] = spread(*catalogue, 1);
  EXPECT_NEAR(part_low / whole_low, 0.16 / 0.75, 1e-9);
  EXPECT_NEAR(part_high / whole_high, 3.9 / 1.25, 1e-9);
  world.GridZone("US-NW-CHPD", 26).GridZone("US", 370);
  const auto live = world.Snapshot();
  EXPECT_EQ(spread(*live, 0), spread(*live, 1)) << "it is measured";
}

TEST(Pareto, HoldsThoseThatNoOtherBeatsInBoth) {
  TestWorld world;
  world.Node("fr", "aws", "eu-west-3").Node("de", "aws", "eu-central-1");
  world.Node("se", "aws", "eu-north-1").Node("pl", "scaleway", "pl-waw");
  world.Price("fr", 0.404).Price("de", 0.400).Price("se", 0.368).Price("pl", 0.330);
  const auto snapshot = world.Snapshot();
  const Decision decision = DecideFor(*snapshot, {"fr", "de", "se", "pl"});
  EXPECT_THAT(ParetoFront(decision), ::testing::ElementsAre(3, 2));
  const std::vector<Step> steps = ToleranceSteps(decision);
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].winner, 3U);
  EXPECT_EQ(steps[1].winner, 2U);
  EXPECT_NEAR(steps[1].from, 0.368 / 0.330 - 1, 1e-12);
  const std::string text = ExplainText(RequestFor({}), decision, *snapshot);
  EXPECT_THAT(text, HasSubstr("Pareto front, cheapest to cleanest: pl, se."));
  EXPECT_THAT(text, HasSubstr("Winner by cost tolerance: from 0 %: pl; from 11.5 %: se."));
}

TEST(Reason, NearlyIsNotTheBest) {
  TestWorld world;
  world.Node("a", "aws", "eu-west-3").Node("b", "aws", "eu-west-3").Node("c", "aws", "eu-west-3");
  world.Price("a", 0.404).Price("b", 0.400).Price("c", 0.8);
  const auto snapshot = world.Snapshot();
  Policy policy;
  policy.objective = Objective::kCost;
  const DecisionRequest request = RequestFor(policy);
  const Decision decision = DecideFor(*snapshot, {"a", "b", "c"}, request);
  ASSERT_EQ(decision.candidates[0].score, decision.candidates[1].score);
  EXPECT_EQ(Reason(decision.candidates[0], decision, *snapshot), "nearly the cheapest");
  EXPECT_EQ(Reason(decision.candidates[1], decision, *snapshot), "cheapest");
  EXPECT_EQ(Reason(decision.candidates[2], decision, *snapshot), "not the cheapest");
}

TEST(Report, ClaimedDevicesLeaveItUnknown) {
  TestWorld world;
  world.Node("n", "aws", "eu-west-3").Price("n", 0.4);
  DecisionRequest request = RequestFor({});
  request.pod.has_resource_claims = true;
  const auto snapshot = world.Snapshot();
  const Decision decision = DecideFor(*snapshot, {"n"}, request);
  const PlacementFigures& placement = decision.candidates[0].placement;
  EXPECT_FALSE(placement.power_known || placement.grams_known || placement.euros_known);
  const ReportFigures report = Attribute(request, decision, decision.candidates[0], *snapshot);
  EXPECT_FALSE(report.power || report.total || report.embodied || report.euros);
  EXPECT_THAT(Notes(request, decision, *snapshot), Contains(HasSubstr("claims cannot be read")));
}

TEST(Report, MarketBasedStandsBesideAndIsNotRanked) {
  TestWorld world;
  world.Node("n", "aws", "eu-west-3");
  world.input().catalog = CatalogWith({{"market.csv",
                                        "provider,region,gco2e_per_kwh,source,year,method,licence\n"
                                        "aws,eu-west-3,0,contract,2026,certificates,own\n"}});
  const auto snapshot = world.Snapshot();
  const DecisionRequest request = RequestFor({});
  const Decision decision = DecideFor(*snapshot, {"n"}, request);
  const ReportFigures report = Attribute(request, decision, decision.candidates[0], *snapshot);
  EXPECT_EQ(report.operational_market, GramsPerHour(0));
  EXPECT_GT(report.operational->mid, GramsPerHour(0));
}

}  // namespace
}  // namespace sobre
