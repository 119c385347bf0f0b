#include "audit/shadow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/known.h"
#include "audit/outcomes.h"
#include "audit/test_case.h"

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ShadowTest : public ::testing::Test {
 protected:
  ShadowTest() {
    world_.input().trust_node_labels = true;
    world_.Node("fr", "aws", "eu-west-3")
        .Node("fr2", "aws", "eu-west-3")
        .Node("de", "aws", "eu-central-1")
        .Node("pl", "scaleway", "pl-waw");
    for (const char* node : {"fr", "fr2", "de", "pl"}) world_.Price(node, 0.4);
    policy_.objective = Objective::kCarbon;
    policy_.mode = Mode::kShadow;
  }

  // A pod that was decided on among three nodes, and where it went; "" where it left, "?" where
  // nobody knows yet.
  Placement Placed(const std::string& node, const std::string& workload = "web") {
    const std::vector<std::string> names = {"fr", "fr2", "de"};
    DecisionRequest request = RequestFor(policy_);
    request.pod.workload = workload;
    const auto made = CaseFor(world_.Snapshot(), names, request);
    const Known known = Describe(made->snapshot);
    v1::Record record = MakeRecord(*made, known);
    const KnownWriter::Written written = writer_.Write(known);
    for (const auto& content : written.contents) contents_[content->hash] = content->bytes;
    record.set_known_sha256(written.hash);
    Placement placement;
    placement.calls.push_back({{"sobre-0", ++seq_}, record});
    if (node == "?") return placement;
    OutcomeBook book(25, [&](const Closed& closed) {
      placement.outcome = Outcome{{"sobre-0", ++seq_}, closed.outcome};
    });
    book.Decided("uid", OpenOf(*made, record, std::make_shared<Ticket>(Ticket{"sobre-0", seq_})));
    if (node.empty()) {
      book.Gone("uid");
    } else {
      book.Seen("uid", node);
    }
    return placement;
  }

  ShadowResult Judged(const std::vector<Placement>& placements) {
    ShadowRequest request;
    request.by = {ShadowKey::kWorkload, ShadowKey::kPolicy};
    ShadowJudge judge(
        request,
        [this](const std::string& hash) -> Result<std::string> {
          const auto found = contents_.find(hash);
          if (found == contents_.end()) return Status::NotFound("content is gone");
          return found->second;
        },
        SnapshotInput::EmbeddedCatalog());
    for (const Placement& placement : placements) {
      const Status status = judge.Add(placement);
      if (!status.ok()) error_ = status.message();
    }
    return judge.Finish();
  }

  TestWorld world_;
  Policy policy_;
  KnownWriter writer_;
  std::map<std::string, std::string> contents_;
  std::int64_t seq_ = 0;
  std::string error_;
};

TEST_F(ShadowTest, APodThatWouldHaveGoneElsewhere) {
  const Placement placement = Placed("de");
  const ShadowResult result = Judged({placement});
  EXPECT_EQ(error_, "");
  EXPECT_EQ(result.shadow, 1);
  EXPECT_EQ(result.total.decisions, 1);
  EXPECT_EQ(result.total.elsewhere, 1);
  EXPECT_EQ(result.total.refused, 0);
  const v1::RecordedOutcome& outcome = placement.outcome->record;
  EXPECT_EQ(result.total.grams.taken, outcome.report().gco2e());
  EXPECT_EQ(result.total.grams.enforced, outcome.best().gco2e());
  EXPECT_GT(result.total.grams.taken, 2 * result.total.grams.enforced);
  EXPECT_EQ(result.total.euros.taken, outcome.report().eur());
  ASSERT_EQ(result.flows.size(), 1U);
  EXPECT_EQ(result.flows[0].from, "aws/eu-central-1");
  EXPECT_EQ(result.flows[0].to, "aws/eu-west-3");
  EXPECT_EQ(result.flows[0].grams.taken, result.total.grams.taken);
  ASSERT_EQ(result.groups.size(), 1U);
  EXPECT_THAT(result.groups[0].names, ElementsAre("web", "carbon"));
}

TEST_F(ShadowTest, ANodeAsGoodAsTheBestStays) {
  const ShadowResult result = Judged({Placed("fr"), Placed("fr2")});
  EXPECT_EQ(result.total.decisions, 2);
  EXPECT_EQ(result.total.elsewhere, 0);
  EXPECT_EQ(result.total.grams.pods, 2);
  EXPECT_EQ(result.total.grams.taken, result.total.grams.enforced);
  EXPECT_TRUE(result.flows.empty());
}

// The cleanest node is refused, so what enforcing changes costs grams.
TEST_F(ShadowTest, ALimitSendsAPodFromTheBestScoreToTheBestThatIsAllowed) {
  policy_.limits.countries = {"DE"};
  const ShadowResult result = Judged({Placed("fr2"), Placed("de")});
  EXPECT_EQ(error_, "");
  EXPECT_EQ(result.total.decisions, 2);
  EXPECT_EQ(result.total.refused, 1);
  EXPECT_EQ(result.total.elsewhere, 1);
  EXPECT_EQ(result.total.without_place, 0);
  EXPECT_GT(result.total.grams.enforced, result.total.grams.taken);
  ASSERT_EQ(result.flows.size(), 1U);
  EXPECT_EQ(result.flows[0].to, "aws/eu-central-1");
  EXPECT_THAT(result.groups[0].names, ElementsAre("web", "carbon, limits"));
}

TEST_F(ShadowTest, APodThatNoNodeIsAllowedForWouldHaveWaited) {
  policy_.limits.countries = {"IT"};
  const ShadowResult result = Judged({Placed("fr")});
  EXPECT_EQ(result.total.without_place, 1);
  EXPECT_EQ(result.total.refused, 1);
  EXPECT_EQ(result.total.elsewhere, 0);
  EXPECT_EQ(result.total.grams.pods, 0);
  EXPECT_THAT(ShadowText(result), HasSubstr("they would have waited"));
}

TEST_F(ShadowTest, WorkIsCountedInItsUnit) {
  policy_.requests = UnitsPerHour(7200);
  const ShadowResult one = Judged({Placed("de")});
  EXPECT_EQ(one.total.unit, "request");
  EXPECT_EQ(one.total.units_per_hour, 7200);
  EXPECT_THAT(ShadowText(one), HasSubstr(" / request"));
  const Placement first = Placed("de");
  policy_.requests.reset();
  EXPECT_EQ(Judged({first, Placed("de")}).total.unit, "") << "a mixture has none";
}

// Made again as its record says, where the outcome does not tell enough.
TEST_F(ShadowTest, AnOutcomeThatSaysLittleIsMadeAgain) {
  const Placement whole = Placed("de");
  Placement bare = whole;
  bare.outcome->record.clear_score();
  bare.outcome->record.clear_report();
  EXPECT_EQ(Judged({bare}).total.grams.taken, Judged({whole}).total.grams.taken);
  policy_.bound = Bound::kThroughput;
  const Placement throughput = Placed("de");
  const ShadowResult result = Judged({throughput});
  EXPECT_EQ(error_, "");
  EXPECT_EQ(result.total.grams.taken, throughput.outcome->record.report().gco2e());
  bare.calls[0].record.set_catalog_version("another");
  EXPECT_EQ(Judged({bare}).other_rules, 1);
  bare = whole;
  bare.outcome->record.clear_score();
  bare.outcome->record.set_node("pl");
  EXPECT_EQ(Judged({bare}).not_asked, 1);
}

TEST_F(ShadowTest, EveryDecisionIsInOneCount) {
  std::vector<Placement> all = {Placed("de"), Placed("?"), Placed("")};
  all.push_back(Placed(""));
  all.back().outcome->record.set_unseen(true);
  all.push_back(Placed("?"));
  all.back().attempts = 2;
  policy_.mode = Mode::kEnforce;
  all.push_back(Placed("de"));
  const ShadowResult result = Judged(all);
  EXPECT_EQ(result.decisions, 6);
  EXPECT_EQ(result.shadow, 5);
  EXPECT_EQ(result.open, 1);
  EXPECT_EQ(result.left, 1);
  EXPECT_EQ(result.unseen, 1);
  EXPECT_EQ(result.retried, 1);
  EXPECT_EQ(result.total.decisions, 1);
}

TEST_F(ShadowTest, WhatCannotBeReadIsNamed) {
  Placement placement = Placed("de");
  placement.calls[0].record.set_known_sha256(std::string(32, 'x'));
  Judged({placement});
  EXPECT_THAT(error_, HasSubstr("entry sobre-0:1: "));
  EXPECT_THAT(error_, HasSubstr("gone"));
  error_.clear();
  placement = Placed("de");
  placement.outcome->record.clear_score();
  placement.calls[0].record.mutable_policy()->set_objective("greed");
  Judged({placement});
  EXPECT_THAT(error_, HasSubstr("greed"));
}

TEST_F(ShadowTest, HostileNamesAndFiguresStayText) {
  Placement placement = Placed("de", "<img src=x>\x1b[2J");
  placement.outcome->record.mutable_report()->set_gco2e(std::numeric_limits<double>::infinity());
  const ShadowResult result = Judged({placement});
  EXPECT_EQ(result.total.elsewhere, 1);
  EXPECT_EQ(result.total.grams.pods, 0);
  EXPECT_EQ(result.total.euros.pods, 1);
  EXPECT_THAT(ShadowHtml(result), Not(HasSubstr("<img")));
  EXPECT_THAT(ShadowHtml(result), HasSubstr("&lt;img src=x&gt;"));
  EXPECT_THAT(ShadowText(result), Not(HasSubstr("\x1b")));
}

TEST(ParseShadowKeys, NamesWhatIsNoKey) {
  EXPECT_THAT(*ParseShadowKeys("policy, namespace"),
              ElementsAre(ShadowKey::kPolicy, ShadowKey::kNamespace));
  EXPECT_THAT(ParseShadowKeys("node").status().message(), HasSubstr("'node' is no key"));
  EXPECT_THAT(ParseShadowKeys("policy,policy").status().message(), HasSubstr("twice"));
}

}  // namespace
}  // namespace sobre
