#include "extender/readiness.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/reflector.h"
#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Whatever can be told of, all of it well.
class Readiness : public ::testing::Test {
 protected:
  Readiness() {
    TestWorld world;
    world.Node("a", "aws", "eu-west-3");
    state_.snapshot = world.Snapshot();
    state_.ready = true;
    state_.collections = {{"nodes", true, ""}, {"namespaces", true, ""}, {"pods", true, ""}};
    ServerState server;
    server.name = "main";
    server.round_ended = TestWorld::kTime;
    state_.servers.push_back(server);
    records_.recorder.enabled = true;
    records_.shipper.emplace();
    accounting_.emplace();
    lease_.emplace();
  }
  HttpResponse Answer() const {
    HttpResponse response;
    AnswerReadiness(ReadyParts(state_, silent_, stopping_, records_, accounting_, lease_, now_), {},
                    response);
    return response;
  }
  // The part's line.
  std::map<std::string, ReadyPart> Parts() const {
    std::map<std::string, ReadyPart> parts;
    for (const ReadyPart& part :
         ReadyParts(state_, silent_, stopping_, records_, accounting_, lease_, now_))
      parts[part.name] = part;
    return parts;
  }

  WorldState state_;
  std::optional<Duration> silent_;
  bool stopping_ = false;
  RecordsState records_;
  std::optional<AccountingStatus> accounting_;
  std::optional<LeaseState> lease_;
  Timestamp now_ = TestWorld::kTime;
};

TEST_F(Readiness, AllWell) {
  EXPECT_EQ(Answer().status, 200);
  EXPECT_EQ(Answer().body, "ok\n");
  for (const auto& [name, part] : Parts()) EXPECT_TRUE(part.ok) << name;
  EXPECT_EQ(Parts().size(), 11U);
}

TEST_F(Readiness, WhoStopsIsNotReady) {
  stopping_ = true;
  EXPECT_EQ(Answer().status, 503);
  EXPECT_THAT(Answer().body, StartsWith("not ready: serving: stopping\n[-]serving failed: stop"));
}

TEST_F(Readiness, EachCollectionIsNeededAndNamedWithItsError) {
  for (CollectionState& collection : state_.collections) {
    const CollectionState before = collection;
    state_.ready = false;
    collection.listed = false;
    EXPECT_THAT(Answer().body,
                StartsWith("not ready: " + collection.name + ": not listed yet\n[+]serving ok\n"));
    collection.problem = "status 403, no right";
    EXPECT_EQ(Answer().status, 503);
    EXPECT_THAT(Answer().body, HasSubstr("[-]" + collection.name +
                                         " failed: not listed yet: status 403, no right\n"));
    collection = before;
    state_.ready = true;
  }
}

TEST_F(Readiness, ACollectionThatWasReadAndIsNotFollowedIsToldAndStillServes) {
  state_.collections[0].problem = "connection refused";
  EXPECT_EQ(Answer().status, 200);
  EXPECT_EQ(Parts()["nodes"].says, "not followed: connection refused");
}

TEST_F(Readiness, AnApiServerThatIsNotHeardIsNeeded) {
  silent_ = std::chrono::minutes(3);
  EXPECT_EQ(Answer().status, 503);
  EXPECT_THAT(Answer().body, StartsWith("not ready: api-server: last heard 3 min ago\n"));
  EXPECT_TRUE(Parts()["nodes"].ok);
}

TEST_F(Readiness, BeforeAnythingWasBuiltTheReasonIsTold) {
  state_.collections.clear();
  state_.ready = false;
  state_.not_ready_reason = "nothing has been read yet";
  EXPECT_THAT(Answer().body, StartsWith("not ready: cluster: nothing has been read yet\n"));
  EXPECT_EQ(Answer().status, 503);
}

TEST_F(Readiness, AnOldSnapshotIsTold) {
  now_ += std::chrono::minutes(10);
  EXPECT_EQ(Answer().status, 200);
  EXPECT_FALSE(Parts()["snapshot"].ok);
  EXPECT_EQ(Parts()["snapshot"].says, "10 min old, 1 nodes");
}

TEST_F(Readiness, APrometheusThatIsAwayIsToldAndNotNeeded) {
  state_.servers[0].problem = "http://prometheus:9090: connection refused";
  EXPECT_EQ(Answer().body, "ok\n");
  const ReadyPart part = Parts()["prometheus/main"];
  EXPECT_FALSE(part.ok);
  EXPECT_FALSE(part.needed);
  EXPECT_THAT(part.says, HasSubstr("connection refused"));
}

TEST_F(Readiness, RecordsThatFailAreToldAndNotNeeded) {
  records_.recorder.journal.problem = "disk is full";
  records_.shipper->problem = "no such host";
  accounting_->problem = "locked";
  EXPECT_EQ(Answer().status, 200);
  EXPECT_EQ(Parts()["records"].says, "disk is full");
  EXPECT_EQ(Parts()["shared-records"].says, "no such host");
  EXPECT_EQ(Parts()["accounting"].says, "locked");
}

TEST_F(Readiness, ALeaseThatCannotBeHadIsToldAndNotNeeded) {
  EXPECT_EQ(Parts()["lease"].says, "another replica leads");
  lease_->hold = LeaseHold::kFresh;
  EXPECT_EQ(Parts()["lease"].says, "not held for long enough to lead");
  lease_->hold = LeaseHold::kOurs;
  EXPECT_EQ(Parts()["lease"].says, "not held for long enough to lead")
      << "it was, and is no longer";
  lease_->leads = true;
  EXPECT_EQ(Parts()["lease"].says, "this replica leads");
  lease_->problem = "lease sobre-gatekeeper: status 403: no right to create leases";
  EXPECT_EQ(Answer().status, 200);
  EXPECT_FALSE(Parts()["lease"].ok);
  EXPECT_THAT(Parts()["lease"].says, HasSubstr("no right to create leases"));
}

TEST_F(Readiness, WhatIsSwitchedOffIsNoPart) {
  lease_.reset();
  records_ = {};
  accounting_.reset();
  state_.collections.clear();
  state_.servers.clear();
  EXPECT_EQ(Parts().size(), 2U) << "serving and snapshot";
  EXPECT_EQ(Answer().body, "ok\n");
}

TEST_F(Readiness, SomebodyElsesTextIsBoundedAndInOneLine) {
  state_.servers[0].problem = "bad\n[-]nodes failed\r\x1b[31m" + std::string(1 << 20, 'x');
  const std::string says = Parts()["prometheus/main"].says;
  EXPECT_LE(says.size(), 300U);
  EXPECT_THAT(says, Not(HasSubstr("\n")));
  EXPECT_THAT(says, Not(HasSubstr("\x1b")));
}

TEST_F(Readiness, StrangersHearWhichPartsAreWell) {
  state_.collections[0].listed = false;
  state_.collections[0].problem = "https://10.96.0.1: status 403";
  state_.servers[0].problem = "http://prometheus:9090: connection refused";
  records_.shipper->problem = "db.example: no such host";
  HttpResponse response;
  AnswerReadiness(
      ForStrangers(ReadyParts(state_, silent_, stopping_, records_, accounting_, lease_, now_)), {},
      response);
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(
      response.body,
      "not ready: nodes\n[+]serving ok\n[-]nodes failed\n[+]namespaces ok\n[+]pods ok\n"
      "[+]api-server ok\n[+]snapshot ok\n[!]prometheus failed, not needed\n[+]records ok\n"
      "[!]shared-records failed, not needed\n[+]accounting ok\n[+]lease ok\nreadyz check failed\n");
}

// Away, tried again late, and heard once the first watch has ended and the world is built.
TEST(Silence, AnApiServerMayBeAwayForHalfAMinute) {
  const Reflector::Options options;
  const Duration until_built = std::chrono::seconds(5);
  EXPECT_LE(options.watch + std::chrono::seconds(30) + options.backoff_most * 3 / 2 +
                options.watch_after_failure + until_built,
            kMostViewAge);
}

}  // namespace
}  // namespace sobre
