#include "scoring/expansion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A clean and dear group, and a dirty and cheap one, of 8 vCPU and 32 GiB.
std::shared_ptr<const Snapshot> TwoGroups(double paris_price = 0.4) {
  TestWorld world;
  for (const auto& [name, region, country] :
       {std::tuple("paris", "fr-par", "FR"), std::tuple("warsaw", "pl-waw", "PL")}) {
    NodeFacts facts;
    facts.name = name;
    facts.provider = "scaleway";
    facts.region = region;
    facts.allocatable = TestWorld::Standard();
    facts.attested.country = country;
    world.Node(facts);
  }
  return world.Price("paris", paris_price).Price("warsaw", 0.2).Snapshot();
}

DecisionRequest Wants(Objective objective) {
  Policy policy;
  policy.objective = objective;
  return RequestFor(policy);
}

DecisionRequest OnlyIn(const std::string& country) {
  DecisionRequest request = Wants(Objective::kCost);
  request.policy.limits.countries = {country};
  return request;
}

GrowthOption Option(std::string group, std::int32_t node, std::vector<GrowthOption::Pods> pods,
                    std::int64_t machines = 1) {
  return {std::move(group), node, machines, std::move(pods)};
}

TEST(Expansion, FollowsWhatThePodWants) {
  const auto world = TwoGroups();
  const std::vector<GrowthOption> options = {Option("a", 0, {{0, 1}}), Option("b", 1, {{0, 1}})};
  EXPECT_THAT(JudgeGrowth(std::vector{Wants(Objective::kCarbon)}, options, *world).best,
              ElementsAre(0));
  EXPECT_THAT(JudgeGrowth(std::vector{Wants(Objective::kCost)}, options, *world).best,
              ElementsAre(1));
}

TEST(Expansion, AnUnknownAcceleratorStillHasItsPrice) {
  TestWorld world;
  for (const char* name : {"dear", "cheap"}) {
    NodeFacts facts;
    facts.name = name;
    facts.provider = "aws";
    facts.region = "eu-west-1";
    facts.allocatable = {8000, 32LL << 30, 1, 0, {}};
    world.Node(facts);
  }
  const auto snapshot = world.Price("dear", 40).Price("cheap", 1).Snapshot();
  DecisionRequest request = Wants(Objective::kBalanced);
  request.pod.requests = {1000, 4LL << 30, 1, 0, {}};
  const std::vector<GrowthOption> options = {Option("dear", snapshot->Find("dear"), {{0, 1}}),
                                             Option("cheap", snapshot->Find("cheap"), {{0, 1}})};
  const Growth growth = JudgeGrowth(std::vector{request}, options, *snapshot);
  EXPECT_THAT(growth.best, ElementsAre(1));
  EXPECT_DOUBLE_EQ(growth.verdicts[1].whole.euros.value(), 1);
  EXPECT_FALSE(growth.verdicts[1].whole.power_known || growth.verdicts[1].whole.grams_known);
}

TEST(Expansion, WholeMachinesAreBorneByThePodsThatUseThem) {
  const auto world = TwoGroups(0.3);
  // Paris holds four of the pods on one machine, Warsaw one on each of four.
  const std::vector<GrowthOption> options = {Option("a", 0, {{0, 4}}), Option("b", 1, {{0, 4}}, 4)};
  const Growth growth = JudgeGrowth(std::vector{Wants(Objective::kCost)}, options, *world);
  EXPECT_THAT(growth.best, ElementsAre(0));
  EXPECT_DOUBLE_EQ(growth.verdicts[0].whole.euros.value(), 0.3);
  EXPECT_DOUBLE_EQ(growth.verdicts[1].whole.euros.value(), 0.8);
}

TEST(Expansion, APodThatMayNotRunThereDoesNotCountThere) {
  const auto world = TwoGroups();
  const std::vector<DecisionRequest> kinds = {OnlyIn("FR"), Wants(Objective::kCost)};
  const std::vector<GrowthOption> options = {Option("a", 0, {{0, 1}, {1, 1}}),
                                             Option("b", 1, {{0, 1}, {1, 1}})};
  const Growth growth = JudgeGrowth(kinds, options, *world);
  EXPECT_EQ(growth.verdicts[1].refused, 1);
  EXPECT_EQ(growth.verdicts[1].allowed, 1);
  EXPECT_THAT(growth.verdicts[1].first_refusal, HasSubstr("PL is not allowed"));
  EXPECT_THAT(DescribeGrowth(options[1], growth.verdicts[1]), HasSubstr("1 more may not run"));
}

TEST(Expansion, EmptyOnlyWhereEveryOptionIsRefused) {
  const auto world = TwoGroups();
  const std::vector<GrowthOption> options = {Option("a", 0, {{0, 2}}), Option("b", 1, {{0, 2}})};
  EXPECT_THAT(JudgeGrowth(std::vector{OnlyIn("FR")}, options, *world).best, ElementsAre(0));
  const Growth none = JudgeGrowth(std::vector{OnlyIn("SE")}, options, *world);
  EXPECT_THAT(none.best, IsEmpty());
  EXPECT_THAT(DescribeGrowth(options[0], none.verdicts[0]), HasSubstr("refused for all of its 2"));
}

TEST(Expansion, WhatIsUnknownStandsBehindAndIsKept) {
  const auto world = TwoGroups();
  const std::vector<DecisionRequest> kinds = {Wants(Objective::kCarbon)};
  const std::vector<GrowthOption> some = {Option("x", Snapshot::kUnknownNode, {{0, 1}}),
                                          Option("b", 1, {{0, 1}})};
  EXPECT_THAT(JudgeGrowth(kinds, some, *world).best, ElementsAre(1));
  const std::vector<GrowthOption> none = {Option("x", Snapshot::kUnknownNode, {{0, 1}}),
                                          Option("y", Snapshot::kUnknownNode, {{0, 1}}),
                                          Option("z", Snapshot::kUnknownNode, {})};
  EXPECT_THAT(JudgeGrowth(kinds, none, *world).best, ElementsAre(0, 1, 2));
  // Nor is what cannot be judged refused for it.
  const std::vector<GrowthOption> limited = {Option("x", Snapshot::kUnknownNode, {{0, 1}}),
                                             Option("b", 1, {{0, 1}})};
  EXPECT_THAT(JudgeGrowth(std::vector{OnlyIn("SE")}, limited, *world).best, ElementsAre(0));
  GrowthOption unread = Option("b", 1, {{0, 1}});
  unread.unread = 1;
  EXPECT_THAT(JudgeGrowth(std::vector{OnlyIn("SE")}, std::vector{unread}, *world).best,
              ElementsAre(0));
}

TEST(Expansion, APodThatIsNotSteeredSteersNothing) {
  const auto world = TwoGroups();
  DecisionRequest off = OnlyIn("SE");
  off.policy.mode = Mode::kOff;
  const std::vector<GrowthOption> options = {Option("a", 0, {{0, 1}}), Option("b", 1, {{0, 1}})};
  EXPECT_THAT(JudgeGrowth(std::vector{off}, options, *world).best, ElementsAre(0, 1));
  // Beside one that is, that one's wish counts.
  const std::vector<GrowthOption> both = {Option("a", 0, {{0, 9}, {1, 1}}),
                                          Option("b", 1, {{0, 9}, {1, 1}})};
  EXPECT_THAT(JudgeGrowth(std::vector{off, Wants(Objective::kCarbon)}, both, *world).best,
              ElementsAre(0));
}

TEST(Expansion, OptionsForDifferentPodsAreComparedByPod) {
  const auto world = TwoGroups();
  const std::vector<DecisionRequest> kinds = {Wants(Objective::kCarbon), Wants(Objective::kCost)};
  const std::vector<GrowthOption> options = {Option("a", 0, {{0, 1}, {1, 1}}),
                                             Option("b", 1, {{1, 1}})};
  const Growth growth = JudgeGrowth(kinds, options, *world);
  ASSERT_FALSE(growth.best.empty());
  for (const GrowthVerdict& verdict : growth.verdicts) {
    EXPECT_GE(verdict.score, 0);
    EXPECT_LE(verdict.score, 10);
  }
}

}  // namespace
}  // namespace sobre
