#include "scoring/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Explain, SaysWhoWonAndWhy) {
  const auto snapshot = TestWorld()
                            .Node("fr", "aws", "eu-west-3")
                            .Node("de", "aws", "eu-central-1")
                            .Price("fr", 0.42)
                            .Price("de", 0.4)
                            .Snapshot();
  DecisionRequest request = RequestFor({});
  request.problems = {"pod: sobre.dev/x: unknown annotation"};
  Decision decision;
  const std::vector<std::int32_t> nodes = {snapshot->Find("de"), snapshot->Find("fr"),
                                           Snapshot::kUnknownNode};
  Decide(request, *snapshot, nodes, decision);
  const std::string text = ExplainText(request, decision, *snapshot);
  EXPECT_THAT(
      text, HasSubstr("Pod shop/web-1 at 2026-11-23T00:00:00Z: objective balanced, per pod-hour"));
  EXPECT_THAT(text, HasSubstr("Best: fr (aws eu-west-3): score 10, 0.176 gCO2e and 0.105 EUR per "
                              "pod-hour; cleanest of the 2"));
  EXPECT_THAT(text, HasSubstr("Note: no rate of requests is known: counted per pod-hour."));
  EXPECT_THAT(text, HasSubstr("Note: 1 of 3 candidates are unknown and score 0."));
  EXPECT_THAT(text, HasSubstr("Note: pod: sobre.dev/x: unknown annotation."));
  EXPECT_THAT(Reason(decision.candidates[2], decision, *snapshot), HasSubstr("not known"));
}

TEST(Explain, SaysWhatCouldNotBeFollowed) {
  const auto snapshot =
      TestWorld().Node("fr", "aws", "eu-west-3").Node("de", "aws", "eu-central-1").Snapshot();
  const DecisionRequest request = RequestFor({});
  Decision decision;
  const std::vector<std::int32_t> nodes = {0, 1};
  Decide(request, *snapshot, nodes, decision);
  EXPECT_THAT(
      Notes(request, decision, *snapshot),
      Contains("objective balanced could not be followed, as no price is known: no rate from "
               "USD to euros is configured; ranked by carbon"));
  const std::vector<std::int32_t> unknown = {Snapshot::kUnknownNode};
  Decide(request, *snapshot, unknown, decision);
  EXPECT_THAT(Notes(request, decision, *snapshot),
              Contains("nothing is known of any candidate: all score 0"));
}

// Two allowed nodes that are alike, and a dirty one that is not allowed.
std::shared_ptr<const Snapshot> FranceAndPoland(const std::vector<std::string>& in_france) {
  TestWorld world;
  for (const std::string& name : in_france) world.Node(name, "scaleway", "fr-par");
  world.Node("waw", "scaleway", "pl-waw");
  world.input().rates = {{"USD", 0.92, "2026-11-01"}};
  world.input().trust_node_labels = true;
  return world.Snapshot();
}

DecisionRequest Within(std::vector<std::string> countries) {
  Policy policy;
  policy.limits.countries = std::move(countries);
  return RequestFor(policy);
}

TEST(ExplainLimits, TheMeanIsOfThoseThatNoLimitRefuses) {
  const auto snapshot = FranceAndPoland({"par-1", "par-2"});
  const DecisionRequest request = Within({"FR"});
  const Decision decision = DecideFor(*snapshot, {"par-1", "par-2", "waw"}, request);
  const std::string text = ExplainText(request, decision, *snapshot);
  EXPECT_THAT(text, HasSubstr("as many grams as the mean of 2 candidates (placement ledger)"));
  EXPECT_THAT(text, HasSubstr("\nRefused, 1 of 3 candidates:\n  region scaleway/pl-waw: country PL "
                              "is not allowed: waw\n"));
  EXPECT_THAT(text, HasSubstr("Best: par-1 (scaleway fr-par): score 10"));
  EXPECT_THAT(text, Not(HasSubstr("Pareto front, cheapest to cleanest: waw")));
}

TEST(ExplainLimits, ARefusedNodeIsNeverTheBestAndSetsNoScale) {
  TestWorld world;
  world.Node("par", "scaleway", "fr-par").Node("waw", "scaleway", "pl-waw");
  world.input().trust_node_labels = true;
  world.Price("par", 0.4).Price("waw", 0.4);
  const auto snapshot = world.Snapshot();
  const DecisionRequest request = Within({"PL"});
  const Decision all = DecideFor(*snapshot, {"par", "waw"}, request);
  ASSERT_LT(all.candidates[1].score, 10) << "beside a cleaner one";
  const std::string text = ExplainText(request, all, *snapshot);
  EXPECT_THAT(text, HasSubstr("Best: waw (scaleway pl-waw): score 10"));
  EXPECT_THAT(text, HasSubstr("; the only candidate of 2 that no limit refuses.\n"));
  EXPECT_THAT(text, HasSubstr("Without the limits the best: par (scaleway fr-par): "));
  EXPECT_THAT(text, Not(HasSubstr("Best: par")));
}

TEST(ExplainLimits, WhereAllAreRefusedEachReasonIsThere) {
  const auto snapshot = FranceAndPoland({"par-1", "par-2"});
  const DecisionRequest request = Within({"DE"});
  const Decision decision = DecideFor(*snapshot, {"waw", "par-1", "par-2"}, request);
  const std::string text = ExplainText(request, decision, *snapshot);
  EXPECT_THAT(text, HasSubstr("All 3 candidates are refused:\n"
                              "  region scaleway/fr-par: country FR is not allowed: par-1, par-2\n"
                              "  region scaleway/pl-waw: country PL is not allowed: waw\n"));
  EXPECT_THAT(text, HasSubstr("\nBest: none, as no node keeps the limits.\n"));
  EXPECT_THAT(text, Not(HasSubstr("score 10")));
  EXPECT_EQ(
      NoNodeKeepsTheLimits(ApplyLimits(request, decision, *snapshot).refusals),
      "no node keeps the limits: region scaleway/fr-par: country FR is not allowed (2 nodes); "
      "region scaleway/pl-waw: country PL is not allowed (1 node)");
}

TEST(ExplainLimits, WhatIsNotAttestedIsSaidHowToAttest) {
  const auto snapshot = TestWorld().Node("par", "scaleway", "fr-par").Snapshot();
  const DecisionRequest request = Within({"FR"});
  const Decision decision = DecideFor(*snapshot, {"par"}, request);
  EXPECT_THAT(ExplainText(request, decision, *snapshot),
              HasSubstr("node-restriction.kubernetes.io/sobre-provider"));
}

TEST(ExplainLimits, AModeThatSaysNothingToTheSchedulerIsNamed) {
  const auto snapshot = FranceAndPoland({"par-1", "par-2"});
  DecisionRequest request = Within({"FR"});
  request.policy.mode = Mode::kShadow;
  const Decision decision = DecideFor(*snapshot, {"par-1", "par-2", "waw"}, request);
  EXPECT_THAT(
      ExplainText(request, decision, *snapshot),
      HasSubstr("Note: mode shadow: kube-scheduler is told the same score of all nodes, and "
                "of no refusal.\n"));
}

NodeFacts WithAccelerator(std::string name, std::string region, std::string model) {
  NodeFacts node;
  node.name = std::move(name);
  node.provider = "aws";
  node.region = std::move(region);
  node.gpu_model = std::move(model);
  node.allocatable = {8000, 32LL << 30, 1, 0};
  return node;
}
const Resources kOneAccelerator{1000, 4LL << 30, 1, 0, {}};

// A cause is the part that the ledger did not have, and no other.
TEST(ExplainCauses, AnUnknownAcceleratorIsNoUnknownGrid) {
  TestWorld world;
  world.Node(WithAccelerator("a", "eu-west-3", "Frobnicator-9"));
  world.Node(WithAccelerator("b", "eu-west-3", ""));
  world.Price("a", 3).Price("b", 3);
  const auto snapshot = world.Snapshot();
  const DecisionRequest request = RequestFor({}, kOneAccelerator);
  const Decision decision = DecideFor(*snapshot, {"a", "b"}, request);
  ASSERT_EQ(decision.ranked_by, Objective::kCost);
  EXPECT_THAT(
      Notes(request, decision, *snapshot),
      Contains(
          "objective balanced could not be followed, as no carbon is known: accelerator model "
          "unknown (no row of gpu.csv is about Frobnicator-9) (of a); accelerator model unknown "
          "(it has no label nvidia.com/gpu.product) (of b); ranked by cost"));
}

TEST(ExplainCauses, AMissingRateIsNamed) {
  const auto snapshot =
      TestWorld().Node("a", "aws", "eu-west-3").Node("b", "aws", "eu-central-1").Snapshot();
  const DecisionRequest request = RequestFor({});
  const Decision decision = DecideFor(*snapshot, {"a", "b"}, request);
  EXPECT_THAT(Notes(request, decision, *snapshot),
              Contains(HasSubstr("as no price is known: no rate from USD to euros is configured; "
                                 "ranked by carbon")));
}

TEST(ExplainCauses, OfEachCandidateItsOwn) {
  TestWorld world;
  world.Node("known", "aws", "eu-west-3").Node("nowhere", "aws", "moon-1").Node("lost", "", "");
  world.input().rates = {{"USD", 0.92, "2026-11-01"}};
  const auto snapshot = world.Snapshot();
  const DecisionRequest request = RequestFor({});
  const Decision decision = DecideFor(*snapshot, {"known", "nowhere", "lost"}, request);
  const auto why = [&](std::size_t i) {
    return Reason(decision.candidates[i], decision, *snapshot);
  };
  EXPECT_EQ(why(1), "its carbon is unknown: no grid zone is known of region aws/moon-1");
  EXPECT_EQ(why(2), "its carbon is unknown: no label names its region, nor its grid zone");
  EXPECT_THAT(why(0), HasSubstr("the only one that costs at most 10 % more"));
}

TEST(ExplainCauses, ABudgetSaysWhatOfTheFigureIsUnknown) {
  TestWorld world;
  world.input().catalog =
      CatalogWith({{"gpu.csv",
                    "model,idle_watts,max_watts,slices,source,year,method,licence\n"
                    "Frobnicator,10,200,1,test,2026,measured,own\n"}});
  world.Node(WithAccelerator("a", "eu-west-3", "Frobnicator")).Price("a", 3);
  const auto snapshot = world.Snapshot();
  Policy policy;
  policy.unit = FunctionalUnit::kPodHour;
  policy.limits.max_grams = {{GramsPerUnit(500), policy.unit}};
  const DecisionRequest request = RequestFor(policy, kOneAccelerator);
  const Decision decision = DecideFor(*snapshot, {"a"}, request);
  ASSERT_TRUE(decision.candidates[0].placement.grams_known);
  const auto refusal = CheckLimits(request, decision, decision.candidates[0], *snapshot);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->reason,
            "gCO2e per pod-hour is unknown: the embodied emissions of accelerator Frobnicator are "
            "unknown");
  EXPECT_THAT(ExplainText(request, decision, *snapshot), HasSubstr("Best: none"));
}

}  // namespace
}  // namespace sobre
