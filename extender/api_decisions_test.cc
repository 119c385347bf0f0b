#include "extender/api_decisions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "audit/test_case.h"
#include "scoring/analysis.h"

namespace sobre {
namespace {

using simdjson::dom::element;

class DecisionsTest : public ::testing::Test {
 protected:
  DecisionsTest() {
    world_.Node("cheap", "aws", "eu-central-1").Price("cheap", 0.40);
    world_.Node("middle", "aws", "eu-west-3").Price("middle", 0.43);
    world_.Node("clean", "aws", "eu-north-1").Price("clean", 0.80);
    world_.Grid("aws", "eu-central-1", 400)
        .Grid("aws", "eu-west-3", 50)
        .Grid("aws", "eu-north-1", 10);
  }
  [[nodiscard]] Recalled Recall(const Policy& policy) const {
    const v1::Record record = SelfContained(
        *CaseFor(world_.Snapshot(), {"cheap", "middle", "clean"}, RequestFor(policy)));
    return *sobre::Recall(record, record.known(), SnapshotInput::EmbeddedCatalog());
  }
  element WhatIf(const Recalled& recalled, const Policy& policy, std::size_t rows = 100) {
    return parser_.parse(WhatIfJson("chain:1", recalled, policy, rows)).value();
  }
  static std::vector<std::string> Texts(element list) {
    std::vector<std::string> texts;
    for (const element text : list.get_array()) texts.emplace_back(std::string_view(text));
    return texts;
  }

  TestWorld world_;
  simdjson::dom::parser parser_;
};

TEST_F(DecisionsTest, TheSamePolicyGivesTheSameScores) {
  const Recalled recalled = Recall({});
  const element same = WhatIf(recalled, recalled.request.policy);
  for (const element candidate : same["candidates"].get_array())
    EXPECT_EQ(std::int64_t(candidate["score"]), std::int64_t(candidate["scoreBefore"]));
  EXPECT_EQ(Texts(same["best"]), Texts(same["bestBefore"]));
  EXPECT_EQ(Texts(same["best"]), std::vector<std::string>{"middle"});
  EXPECT_EQ(std::string_view(same["policy"]["objective"]), "balanced");
}

TEST_F(DecisionsTest, AnotherPolicyIsDecidedAnew) {
  const Recalled recalled = Recall({});
  Policy policy = recalled.request.policy;
  policy.objective = Objective::kCost;
  const element cheapest = WhatIf(recalled, policy);
  EXPECT_EQ(Texts(cheapest["best"]), std::vector<std::string>{"cheap"});
  EXPECT_EQ(Texts(cheapest["bestBefore"]), std::vector<std::string>{"middle"});
  EXPECT_EQ(std::string_view(cheapest["reason"]), "cheapest");
}

TEST_F(DecisionsTest, FromEachStepOnItsNodeWins) {
  const Recalled recalled = Recall({});
  Policy policy = recalled.request.policy;
  policy.objective = Objective::kPriced;
  const std::string steps = simdjson::minify(WhatIf(recalled, policy)["carbonPriceSteps"]);
  simdjson::dom::parser parser;
  const element list = parser.parse(steps).value();
  EXPECT_EQ(list.get_array().size(), 3U);
  for (const element step : list.get_array()) {
    policy.carbon_price = EurosPerTonne(double(step["from"]) * (1 + 1e-9));
    EXPECT_THAT(Texts(WhatIf(recalled, policy)["best"]),
                ::testing::Contains(std::string_view(step["node"])));
  }
}

TEST_F(DecisionsTest, WhatALimitRefusesStaysRefused) {
  Policy policy;
  policy.limits.denied_operators = {"Hetzner"};
  NodeFacts attested;
  attested.name = "attested";
  attested.allocatable = TestWorld::Standard();
  attested.provider = "aws";
  attested.region = "eu-west-3";
  attested.attested = {"aws", "eu-west-3", "", "", "", {}};
  world_.Node(attested).Price("attested", 0.9);
  const v1::Record record = SelfContained(
      *CaseFor(world_.Snapshot(), {"cheap", "middle", "attested"}, RequestFor(policy)));
  const Recalled recalled =
      *sobre::Recall(record, record.known(), SnapshotInput::EmbeddedCatalog());
  Policy other = recalled.request.policy;
  other.objective = Objective::kCost;
  const element what_if = WhatIf(recalled, other);
  EXPECT_EQ(Texts(what_if["best"]), std::vector<std::string>{"attested"});
  EXPECT_EQ(std::string_view(what_if["candidates"].at(0)["node"]), "attested");
  EXPECT_EQ(std::string_view(what_if["candidates"].at(0)["refused"]), "");
  EXPECT_NE(std::string_view(what_if["candidates"].at(1)["refused"]), "");
  EXPECT_EQ(what_if["carbonPriceSteps"].get_array().size(), 1U) << "alternatives are allowed ones";
}

TEST_F(DecisionsTest, RowsBoundTheCandidatesAlone) {
  const Recalled recalled = Recall({});
  const element one = WhatIf(recalled, recalled.request.policy, 1);
  EXPECT_EQ(one["candidates"].get_array().size(), 1U);
  EXPECT_EQ(one["carbonPriceSteps"].get_array().size(), 3U);
}

TEST_F(DecisionsTest, ASummaryTellsTheReportLedgerOfTheBest) {
  const auto made = CaseFor(world_.Snapshot(), {"cheap", "middle", "clean"}, RequestFor({}));
  const v1::Record record = SelfContained(*made);
  DecisionSummary summary = Summarize(*made, MeanOf(record.mean()));
  const element json = parser_.parse(SummaryJson(summary)).value();
  EXPECT_EQ(std::string_view(json["pod"]), "shop/web-1");
  EXPECT_EQ(std::string_view(json["best"]), "middle");
  EXPECT_DOUBLE_EQ(double(json["gco2ePerHour"]), record.best().report().gco2e());
  EXPECT_DOUBLE_EQ(double(json["eurPerHour"]), record.best().report().eur());
  EXPECT_DOUBLE_EQ(double(json["meanGco2ePerHour"]), record.mean().gco2e());
  EXPECT_TRUE(json["followed"].is_null());
  summary.bound = "clean";
  summary.followed = false;
  const element bound = parser_.parse(SummaryJson(summary)).value();
  EXPECT_EQ(bool(bound["followed"]), false);
  EXPECT_EQ(std::string_view(bound["bound"]), "clean");
}

}  // namespace
}  // namespace sobre
