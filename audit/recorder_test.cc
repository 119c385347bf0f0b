#include "audit/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/test_recording.h"
#include "audit/verify_chain.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

class RecorderTest : public RecordingTest {
 protected:
  [[nodiscard]] RecorderOptions Options() {
    JournalOptions journal;
    journal.open = [this](bool) -> Result<std::unique_ptr<Database>> {
      if (broken_) return Status::Unavailable("no disk");
      return Open("records");
    };
    return {journal, 25};
  }
  std::unique_ptr<Recorder> Start() {
    return std::make_unique<Recorder>(
        Options(),
        Recorder::Listener{[this](const DecisionCase&, const v1::Record*) { ++seen_; }, {}});
  }
  ChainSummary Verified() {
    const auto database = Open("records");
    EXPECT_TRUE(database.ok());
    const auto chains = VerifyChains(**database, SnapshotInput::EmbeddedCatalog(), {});
    EXPECT_TRUE(chains.ok()) << chains.status().message();
    EXPECT_EQ(chains.ok() ? chains->size() : 0, 1U);
    return chains.ok() && !chains->empty() ? chains->front() : ChainSummary();
  }

  std::atomic<bool> broken_ = false;
  std::atomic<int> seen_ = 0;
};

TEST_F(RecorderTest, EachPlacementHasOneRecordAndOneOutcome) {
  auto recorder = Start();
  for (unsigned i = 0; i < 50; ++i) Place(*recorder, i);
  ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
  EXPECT_EQ(seen_, 50);
  EXPECT_TRUE(recorder->MeanFor("uid-7"));
  recorder->PodGone("uid-7");
  recorder.reset();
  const ChainSummary summary = Verified();
  EXPECT_EQ(summary.decisions, 50);
  EXPECT_EQ(summary.outcomes, 50);
  EXPECT_EQ(summary.seals, 1);
}

TEST_F(RecorderTest, TwoCallsOfOneAttemptHaveOneOutcome) {
  auto recorder = Start();
  for (unsigned i = 0; i < 50; ++i) {
    Place(*recorder, i, false);
    Place(*recorder, i);
  }
  ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
  while (recorder->State().outcomes < 50) std::this_thread::yield();
  recorder.reset();
  EXPECT_EQ(Verified().outcomes, 50);
}

TEST_F(RecorderTest, ARestartHearsOfWhatWasOpen) {
  auto recorder = Start();
  Place(*recorder, 1, false);
  Place(*recorder, 2, false);
  Place(*recorder, 3);
  recorder.reset();
  recorder = Start();
  recorder->PodSeen("uid-1", "n1");
  recorder->PodSeen("uid-3", "n0");
  recorder->PodsListed();
  while (recorder->State().outcomes < 2) std::this_thread::yield();
  recorder.reset();
  const ChainSummary summary = Verified();
  EXPECT_EQ(summary.decisions, 3);
  EXPECT_EQ(summary.outcomes, 3);
}

TEST_F(RecorderTest, WithoutADiskDecisionsWaitAndThenAreAllWritten) {
  broken_ = true;
  auto recorder = Start();
  for (unsigned i = 0; i < 20; ++i) Place(*recorder, i);
  EXPECT_FALSE(recorder->WaitUntilWritten(std::chrono::milliseconds(300)));
  EXPECT_THAT(recorder->State().journal.problem, HasSubstr("no disk"));
  broken_ = false;
  EXPECT_TRUE(recorder->WaitUntilWritten(kLong));
  // Said a moment after the last entry is written.
  while (!recorder->State().journal.problem.empty()) std::this_thread::yield();
  recorder.reset();
  const ChainSummary summary = Verified();
  EXPECT_EQ(summary.decisions, 20);
  EXPECT_EQ(summary.outcomes, 20);
  EXPECT_EQ(summary.dropped, 0);
}

TEST_F(RecorderTest, WhatDoesNotFitIsCountedAndTheChainSaysSo) {
  broken_ = true;
  RecorderOptions options = Options();
  options.journal->most_items = 10;
  std::atomic<int> seen = 0;
  Recorder recorder(options, {[&](const DecisionCase&, const v1::Record*) { ++seen; }, {}});
  for (unsigned i = 0; i < 25; ++i) Place(recorder, i, false);
  while (seen < 25) std::this_thread::yield();
  while (recorder.State().journal.dropped < 15) std::this_thread::yield();
  broken_ = false;
  ASSERT_TRUE(recorder.WaitUntilWritten(kLong));
  const ChainSummary summary = Verified();
  EXPECT_EQ(summary.decisions, 10);
  EXPECT_EQ(summary.dropped, 15);
}

TEST_F(RecorderTest, ALockedDatabaseDelaysAndLosesNothing) {
  auto recorder = Start();
  Place(*recorder, 1);
  ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
  recorder.reset();
  {
    // Another process holds the write lock, for as long as a writer waits.
    const auto other = Open("records");
    ASSERT_TRUE(other.ok());
    const Status status = (*other)->Transact([&]() -> Status {
      recorder = Start();
      for (unsigned i = 2; i < 10; ++i) Place(*recorder, i);
      EXPECT_FALSE(recorder->WaitUntilWritten(std::chrono::milliseconds(200)));
      return Status::Ok();
    });
    ASSERT_TRUE(status.ok()) << status.message();
  }
  EXPECT_TRUE(recorder->WaitUntilWritten(kLong));
  recorder.reset();
  EXPECT_EQ(Verified().decisions, 9);
}

TEST_F(RecorderTest, ManyThreadsOffer) {
  auto recorder = Start();
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (unsigned i = 0; i < 40; ++i) Place(*recorder, t * 40 + i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(recorder->WaitUntilWritten(kLong));
  const std::uint64_t dropped = recorder->State().journal.dropped;
  recorder.reset();
  const ChainSummary summary = Verified();
  EXPECT_EQ(summary.decisions + static_cast<std::int64_t>(dropped), 160);
  EXPECT_EQ(summary.dropped, static_cast<std::int64_t>(dropped));
}

}  // namespace
}  // namespace sobre
