#include "audit/shipper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/test_recording.h"
#include "audit/verify_chain.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

// A replica that writes to a file of its own and ships to another, which stands for the server.
class ShipperTest : public RecordingTest {
 protected:
  std::unique_ptr<Recorder> Record(const std::string& name) {
    JournalOptions journal;
    journal.open = [this, name](bool) { return Open(name); };
    journal.chain.name = name;
    return std::make_unique<Recorder>(
        RecorderOptions{journal, 25},
        Recorder::Listener{[](const DecisionCase&, const v1::Record*) {}, {}});
  }
  std::unique_ptr<Shipper> Ship(const std::string& name, Recorder& recorder,
                                Duration keep_local = std::chrono::hours(48)) {
    ShipperOptions options;
    options.open_local = [this, name] { return Open(name); };
    options.open_shared = [this]() -> Result<std::unique_ptr<Database>> {
      if (away_) return Status::Unavailable("no server");
      return Open("shared");
    };
    options.every = std::chrono::milliseconds(20);
    options.keep_local = keep_local;
    options.silent = Duration(-1);  // everybody else is silent
    options.adopt = [&recorder](auto decisions) { recorder.Adopt(std::move(decisions)); };
    options.put = [&recorder](Draft draft) { recorder.Put(std::move(draft)); };
    return std::make_unique<Shipper>(std::move(options));
  }
  // Negative where the file is locked for long.
  std::int64_t Count(const std::string& database, const std::string& where) {
    const auto rows = (*Open(database))->Rows("SELECT COUNT(*) FROM entries WHERE " + where);
    return rows.ok() ? Integer(rows->front()[0]) : -1;
  }
  Result<std::vector<ChainSummary>> Verified() {
    return VerifyChains(**Open("shared"), SnapshotInput::EmbeddedCatalog(), {});
  }

  static bool Eventually(const std::function<bool()>& check) {
    const auto deadline = std::chrono::steady_clock::now() + kLong;
    while (!check() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return check();
  }

  std::atomic<bool> away_ = false;
};

TEST_F(ShipperTest, EverythingArrivesInOrderAlsoAfterTheServerWasAway) {
  auto recorder = Record("a");
  auto shipper = Ship("a", *recorder);
  for (unsigned i = 0; i < 30; ++i) Place(*recorder, i);
  ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
  away_ = true;
  for (unsigned i = 30; i < 40; ++i) Place(*recorder, i);
  ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
  away_ = false;
  shipper->Detach();
  recorder.reset();
  shipper.reset();
  const auto chains = Verified();
  ASSERT_TRUE(chains.ok()) << chains.status().message();
  ASSERT_EQ(chains->size(), 1U);
  EXPECT_EQ(chains->front().decisions, 40);
  EXPECT_EQ(chains->front().outcomes, 40);
  EXPECT_EQ(chains->front().seals, 1);
}

TEST_F(ShipperTest, WhatHasArrivedAndIsSealedLeavesTheOwnDisk) {
  for (unsigned run = 0; run < 3; ++run) {
    auto recorder = Record("a");
    auto shipper = Ship("a", *recorder, Duration(0));
    for (unsigned i = 0; i < 10; ++i) Place(*recorder, run * 10 + i);
    ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
    shipper->Detach();
    recorder.reset();
  }
  const auto chains = Verified();
  ASSERT_TRUE(chains.ok()) << chains.status().message();
  EXPECT_EQ(chains->front().decisions, 30);
  EXPECT_LT(Count("a", "1 = 1"), 30);
}

// Somebody who can write the own disk deletes nothing that is shared.
TEST_F(ShipperTest, APruningThatNoSealCoversIsNotFollowed) {
  auto recorder = Record("a");
  auto shipper = Ship("a", *recorder);
  for (unsigned i = 0; i < 30; ++i) Place(*recorder, i);
  ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
  recorder.reset();
  const auto arrived = [this] { return Count("shared", "kind = 'decision'") == 30; };
  ASSERT_TRUE(Eventually(arrived));
  const auto own = Open("a");
  const SqlRow last =
      (*(*own)->Rows("SELECT chain, seq, hash FROM entries ORDER BY seq DESC LIMIT 1"))[0];
  ASSERT_TRUE(ForgePruning(**own, Text(last[0]), {Integer(last[1]), Bytes(last[2])}, 20).ok());
  ASSERT_TRUE(Eventually([&] { return Count("shared", "kind = 'pruning'") == 1; }));
  shipper.reset();
  const auto chains = (*Open("shared"))->Rows("SELECT first_seq FROM chains");
  EXPECT_EQ(Integer(chains->front()[0]), 1);
  EXPECT_TRUE(arrived());
}

TEST_F(ShipperTest, AnotherReplicaHearsOfThePodsOfOneThatIsGone) {
  {
    auto recorder = Record("gone");
    auto shipper = Ship("gone", *recorder);
    for (unsigned i = 0; i < 5; ++i) Place(*recorder, i, false);
    ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
    shipper->Detach();
  }
  ASSERT_EQ(Count("shared", "kind = 'outcome'"), 0);
  auto recorder = Record("here");
  for (unsigned i = 0; i < 5; ++i)
    if (i != 3) recorder->PodSeen("uid-" + std::to_string(i), "n1");
  recorder->PodsListed();
  auto shipper = Ship("here", *recorder);
  while (recorder->State().outcomes < 5) std::this_thread::yield();
  shipper->Detach();
  recorder.reset();
  shipper.reset();
  EXPECT_EQ(Count("shared", "kind = 'outcome'"), 5);
  EXPECT_TRUE(Verified().ok()) << Verified().status().message();
}

// As after a failover to a server that lagged behind: connections are made anew, or by a pooler,
// and no statement fails.
TEST_F(ShipperTest, WhatTheSharedDatabaseForgotComesAgainThoughNothingFailed) {
  auto recorder = Record("a");
  auto shipper = Ship("a", *recorder);
  const auto all_arrived = [&] {
    return Eventually([&] {
      const std::int64_t own = Count("a", "1 = 1");
      return own >= 0 && Count("shared", "1 = 1") >= own;
    });
  };
  for (unsigned i = 0; i < 10; ++i) Place(*recorder, i);
  ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
  ASSERT_TRUE(all_arrived());
  {
    const auto shared = Open("shared");
    ASSERT_TRUE((*shared)
                    ->Transact([&] {
                      const Status done = (*shared)->Run("DELETE FROM entries");
                      return done.ok() ? (*shared)->Run("DELETE FROM contents") : done;
                    })
                    .ok());
  }
  for (unsigned i = 10; i < 15; ++i) Place(*recorder, i);
  ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
  ASSERT_TRUE(all_arrived());
  shipper->Detach();
  recorder.reset();
  shipper.reset();
  const auto chains = Verified();
  ASSERT_TRUE(chains.ok()) << chains.status().message();
  EXPECT_EQ(chains->front().decisions, 15);
}

TEST_F(ShipperTest, ASharedDatabaseThatLostItsTailIsNotWrittenOn) {
  {
    auto recorder = Record("a");
    auto shipper = Ship("a", *recorder, Duration(0));
    for (unsigned i = 0; i < 10; ++i) Place(*recorder, i);
    ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
    shipper->Detach();
    recorder.reset();
  }
  {
    auto recorder = Record("a");
    auto shipper = Ship("a", *recorder, Duration(0));
    shipper->Detach();
  }
  ASSERT_TRUE((*Open("shared"))->Run("DELETE FROM entries WHERE seq > 5").ok());
  auto recorder = Record("a");
  Place(*recorder, 50);
  ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
  auto shipper = Ship("a", *recorder);
  while (shipper->State().problem.empty()) std::this_thread::yield();
  EXPECT_THAT(shipper->State().problem, HasSubstr("the shared database ends at entry 5"));
  EXPECT_EQ(Count("shared", "seq > 5"), 0);
  shipper->Detach();
}

}  // namespace
}  // namespace sobre
