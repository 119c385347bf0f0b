#include "audit/outcomes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/test_case.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

class OutcomesTest : public ::testing::Test {
 protected:
  OutcomesTest() {
    world_.Node("fr", "aws", "eu-west-3")
        .Node("fr2", "aws", "eu-west-3")
        .Node("de", "aws", "eu-central-1")
        .Node("pl", "scaleway", "pl-waw");
    for (const char* node : {"fr", "fr2", "de", "pl"}) world_.Price(node, 0.4);
  }
  void Decide(const std::string& uid, const std::vector<std::string>& names = {"fr", "fr2", "de"}) {
    DecisionRequest request = RequestFor(policy_);
    request.pod.uid = uid;
    const auto made = CaseFor(world_.Snapshot(), names, request);
    book_.Decided(uid, OpenOf(*made, SelfContained(*made), Numbered(++seq_)));
  }
  static std::shared_ptr<Ticket> Numbered(std::int64_t seq) {
    return std::make_shared<Ticket>(Ticket{"sobre-0", seq});
  }

  TestWorld world_;
  Policy policy_;
  std::int64_t seq_ = 0;
  std::vector<Closed> closed_;
  OutcomeBook book_{25, [this](Closed closed) { closed_.push_back(std::move(closed)); }};
};

TEST_F(OutcomesTest, OnTheBestNode) {
  Decide("a");
  book_.Seen("a", "");
  EXPECT_TRUE(closed_.empty());
  book_.Seen("a", "fr");
  book_.Seen("a", "fr");
  ASSERT_EQ(closed_.size(), 1U);
  const v1::RecordedOutcome& outcome = closed_[0].outcome;
  EXPECT_EQ(outcome.node(), "fr");
  EXPECT_EQ(outcome.why(), "");
  EXPECT_EQ(outcome.score(), 10);
  EXPECT_GT(outcome.report().gco2e(), 0);
  EXPECT_GT(outcome.mean().gco2e(), outcome.report().gco2e());
  EXPECT_TRUE(closed_[0].agreed);
  EXPECT_EQ(book_.open(), 0U);
}

TEST_F(OutcomesTest, OnAnother) {
  Decide("tie");
  book_.Seen("tie", "fr2");
  EXPECT_EQ(closed_.back().outcome.why(), "as good: both score 10");
  EXPECT_TRUE(closed_.back().agreed);
  Decide("worse");
  book_.Seen("worse", "de");
  const v1::RecordedOutcome& worse = closed_.back().outcome;
  EXPECT_EQ(worse.best_score(), 10);
  EXPECT_THAT(worse.why(), HasSubstr("its other scores in kube-scheduler are at least " +
                                     std::to_string((10 - worse.score()) * 250) + " points above"));
  EXPECT_GT(worse.report().gco2e(), worse.best().gco2e());
  EXPECT_FALSE(closed_.back().agreed);
  Decide("elsewhere");
  book_.Seen("elsewhere", "pl");
  EXPECT_THAT(closed_.back().outcome.why(), HasSubstr("did not ask about it"));
  policy_.mode = Mode::kShadow;
  Decide("shadow");
  book_.Seen("shadow", "de");
  EXPECT_THAT(closed_.back().outcome.why(), HasSubstr("shadow mode"));
}

TEST_F(OutcomesTest, ACertificateCountsAsItDoesForTheLimit) {
  world_.input().trust_node_labels = true;
  world_.Node("s3ns", "s3ns", "u-france-east1").Price("s3ns", 0.4);
  policy_.limits.certifications = {"secnumcloud"};
  Decide("kept", {"s3ns", "fr"});
  book_.Seen("kept", "s3ns");
  EXPECT_TRUE(closed_.back().outcome.certified()) << "by the catalogue";
  Decide("broken", {"s3ns", "fr"});
  book_.Seen("broken", "fr");
  EXPECT_FALSE(closed_.back().outcome.certified());
  EXPECT_EQ(closed_.back().outcome.certifications_size(), 1);
}

TEST_F(OutcomesTest, TheLastDecisionOfAPodCounts) {
  Decide("a");
  Decide("a", {"de", "pl"});
  book_.Seen("a", "de");
  ASSERT_EQ(closed_.size(), 1U);
  EXPECT_EQ(closed_[0].ticket->seq, 2);
}

TEST_F(OutcomesTest, TheWatchMayBeAhead) {
  book_.Seen("a", "fr");
  EXPECT_TRUE(closed_.empty());
  Decide("a");
  ASSERT_EQ(closed_.size(), 1U);
  EXPECT_EQ(closed_[0].outcome.node(), "fr");
}

TEST_F(OutcomesTest, APodThatLeaves) {
  Decide("a");
  book_.Seen("a", "");
  book_.Gone("a");
  ASSERT_EQ(closed_.size(), 1U);
  EXPECT_EQ(closed_[0].outcome.node(), "");
  EXPECT_THAT(closed_[0].outcome.why(), HasSubstr("left before it was bound"));
  EXPECT_FALSE(closed_[0].agreed);
}

TEST_F(OutcomesTest, AfterARestart) {
  policy_.limits.certifications = {"SecNumCloud"};
  const auto record = SelfContained(*CaseFor(world_.Snapshot(), {"fr", "de"}, RequestFor(policy_)));
  for (const char* uid : {"bound", "pending", "gone"})
    book_.Restore(uid, OpenOf(record, {"sobre-0", 5}));
  book_.Seen("bound", "fr");
  book_.Seen("pending", "");
  book_.AllKnown();
  ASSERT_EQ(closed_.size(), 2U);
  EXPECT_EQ(closed_[0].outcome.node(), "fr");
  EXPECT_EQ(closed_[1].outcome.pod_uid(), "gone");
  EXPECT_THAT(closed_[1].outcome.why(), HasSubstr("gone when somebody looked again"));
  // A newer decision is not overwritten by what is read back.
  Decide("pending");
  book_.Restore("pending", OpenOf(record, {"sobre-0", 5}));
  EXPECT_EQ(book_.open(), 1U);
}

TEST_F(OutcomesTest, OldOnesLetGoOfTheirSnapshots) {
  Decide("a");
  book_.Age(TestWorld::kTime + std::chrono::minutes(3));
  book_.Seen("a", "de");
  EXPECT_THAT(closed_.at(0).outcome.why(), HasSubstr("waited for long"));
}

// Each decision has a snapshot of its own, all of the same time.
TEST_F(OutcomesTest, ManySnapshotsAreNotKept) {
  for (int i = 0; i < 10'000; ++i) world_.Node("n" + std::to_string(i), "aws", "eu-west-3");
  for (int i = 0; i < 6; ++i) Decide("p" + std::to_string(i));
  book_.Age(TestWorld::kTime + std::chrono::seconds(1));
  std::int64_t forgotten = 0;
  for (int i = 0; i < 6; ++i) {
    book_.Seen("p" + std::to_string(i), "fr2");
    forgotten += closed_.back().outcome.why() == "as good: both score 10" ? 0 : 1;
  }
  EXPECT_EQ(forgotten, 3) << "three times 10,004 nodes are kept";
}

}  // namespace
}  // namespace sobre
