#include "audit/journal.h"

#include <array>
#include <filesystem>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/schema.h"
#include "audit/test_case.h"
#include "audit/verify_chain.h"
#include "scoring/random_world.h"

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr Timestamp kTime = TestWorld::kTime;

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    database_ = Open();
  }
  ~JournalTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Database> Open() const {
    auto opened = OpenSqlite(folder_ + "/records.db", SqliteMode::kReadWrite);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    EXPECT_TRUE(MigrateSchema(**opened).ok());
    return *std::move(opened);
  }
  // What was distrusted of the chain before is in `distrusted_`.
  Journal OpenJournal(const Journal::Options& more = {}, Timestamp now = kTime) {
    Journal::Options options = more;
    options.name = "sobre-0";
    distrusted_.clear();
    auto journal = Journal::Open(*database_, options, now, distrusted_);
    EXPECT_TRUE(journal.ok()) << journal.status().message();
    return *std::move(journal);
  }
  std::shared_ptr<const SigningKey> MakeKey(const std::string& name) const {
    const std::string path = folder_ + "/" + name;
    EXPECT_EQ(std::system(("openssl genpkey -algorithm ed25519 -out " + path).c_str()), 0);
    Result<SigningKey> key = SigningKey::Load(path);
    EXPECT_TRUE(key.ok());
    return std::make_shared<const SigningKey>(*std::move(key));
  }
  // A decision and its outcome, on a world of its own.
  void Place(Journal& journal, unsigned seed, Timestamp time) {
    RandomWorld random(seed);
    DecisionRequest request = RequestFor(random.policy);
    request.pod.uid = "uid-" + std::to_string(seed);
    request.pod.name = "web-" + std::to_string(seed);
    const auto made = CaseFor(random.world.Snapshot(), random.names, request);
    made->answered = time;
    const Known known = Describe(made->snapshot);
    const auto written = KnownWriter().Write(known);
    v1::Record record = MakeRecord(*made, known);
    record.set_known_sha256(written.hash);
    Draft draft;
    draft.time = time;
    draft.pod_uid = request.pod.uid;
    draft.namespace_name = "shop";
    draft.pod = request.pod.name;
    draft.payload = Compress(record.SerializeAsString());
    const auto first = journal.Append({draft}, written.contents, time);
    ASSERT_TRUE(first.ok()) << first.status().message();
    v1::RecordedOutcome outcome;
    outcome.set_chain(journal.chain());
    outcome.set_seq(*first);
    outcome.set_node(record.best().node());
    draft.kind = EntryKind::kOutcome;
    draft.payload = Compress(outcome.SerializeAsString());
    ASSERT_TRUE(journal.Append({draft}, {}, time).ok());
  }
  Result<std::vector<ChainSummary>> Verify(const VerifyOptions& options = {}) {
    return VerifyChains(*database_, SnapshotInput::EmbeddedCatalog(), options);
  }
  std::string Complaint(const VerifyOptions& options = {}) {
    return Verify(options).status().message();
  }
  void Run(const std::string& sql) {
    const Status status = database_->Run(sql);
    ASSERT_TRUE(status.ok()) << status.message();
  }

  // Tests run at the same time, as processes of their own.
  std::string distrusted_;
  const std::string folder_ = testing::TempDir() + "/" +
                              testing::UnitTest::GetInstance()->current_test_info()->name() +
                              std::to_string(std::random_device()());
  std::unique_ptr<Database> database_;
};

TEST_F(JournalTest, IsVerifiedAndGoesOnAfterARestart) {
  std::string chain;
  for (int run = 0; run < 3; ++run) {
    Journal journal = OpenJournal();
    EXPECT_THAT(journal.chain(), StartsWith("sobre-0-"));
    if (run == 0) chain = journal.chain();
    EXPECT_EQ(journal.chain(), chain);
    for (unsigned i = 0; i < 5; ++i) Place(journal, static_cast<unsigned>(run) * 5 + i, kTime);
    ASSERT_TRUE(journal.Seal(kTime).ok());
    database_ = Open();
  }
  const auto summaries = Verify();
  ASSERT_TRUE(summaries.ok()) << summaries.status().message();
  ASSERT_EQ(summaries->size(), 1U);
  const ChainSummary& summary = summaries->front();
  EXPECT_EQ(summary.decisions, 15);
  EXPECT_EQ(summary.outcomes, 15);
  EXPECT_EQ(summary.seals, 3);
  EXPECT_EQ(summary.head.seq, 33);
  EXPECT_EQ(summary.other_rules, 0);
}

TEST_F(JournalTest, WhatWasTakenOutChangedOrPutInIsNamed) {
  Journal journal = OpenJournal();
  for (unsigned i = 0; i < 6; ++i) Place(journal, i, kTime);
  ASSERT_TRUE(journal.Seal(kTime).ok());
  ASSERT_TRUE(Verify().ok()) << Complaint();
  const std::string chain = journal.chain();
  const auto complaint_after = [&](const std::string& sql) {
    // A transaction that fails takes everything back.
    std::string complaint;
    const Status status = database_->Transact([&] {
      Run(sql);
      complaint = Complaint();
      return Status::Invalid("take it back");
    });
    EXPECT_FALSE(status.ok());
    return complaint;
  };
  EXPECT_EQ(complaint_after("DELETE FROM entries WHERE seq = 5"), chain + ":5: is missing");
  EXPECT_EQ(complaint_after("DELETE FROM entries WHERE seq BETWEEN 5 AND 7"),
            chain + ":5: is missing, and all up to 7");
  EXPECT_THAT(complaint_after("UPDATE entries SET pod = 'another' WHERE seq = 3"),
              StartsWith(chain + ":3: its hash is not that of what stands there"));
  EXPECT_THAT(complaint_after("UPDATE entries SET time_ms = time_ms + 1 WHERE seq = 4"),
              StartsWith(chain + ":4: "));
  EXPECT_THAT(complaint_after("UPDATE entries SET kind = 'gap' WHERE seq = 4"),
              StartsWith(chain + ":4: "));
  EXPECT_THAT(complaint_after("UPDATE chains SET first_seq = 3"),
              StartsWith(chain + ":3: its hash is not"));
  EXPECT_THAT(complaint_after("DELETE FROM entries WHERE seq = 1"),
              StartsWith(chain + ":1: is missing"));
  EXPECT_THAT(complaint_after("DELETE FROM contents"), HasSubstr("is not there"));
  EXPECT_THAT(complaint_after("DELETE FROM chains"), HasSubstr("where this chain begins"));
  EXPECT_TRUE(Verify().ok());
}

TEST_F(JournalTest, ACutTailOrARewrittenChainIsFoundByWhoeverKeptAHead) {
  Journal journal = OpenJournal();
  for (unsigned i = 0; i < 3; ++i) Place(journal, i, kTime);
  const Head kept = journal.head();
  VerifyOptions options;
  options.heads = {{{journal.chain(), kept.seq}, kept.hash, {}}};
  EXPECT_TRUE(Verify(options).ok()) << Complaint(options);
  Run("DELETE FROM entries WHERE seq > 4");
  EXPECT_TRUE(Verify().ok()) << "nobody else can tell";
  EXPECT_THAT(Complaint(options), HasSubstr(":6: its hash was kept, and the chain ends at 4"));
  // Written anew from there, all hashes right.
  Journal again = OpenJournal();
  Place(again, 99, kTime);
  EXPECT_TRUE(Verify().ok()) << Complaint();
  EXPECT_THAT(Complaint(options), HasSubstr(":6: the head that was kept has another hash"));
}

TEST_F(JournalTest, AFlippedByteAnywhereIsFound) {
  Journal journal = OpenJournal();
  for (unsigned i = 0; i < 10; ++i) Place(journal, i, kTime);
  ASSERT_TRUE(journal.Seal(kTime).ok());
  std::mt19937 dice(7);  // NOLINT(bugprone-random-generator-seed): the same places every time
  const auto rows = database_->Rows("SELECT seq, payload, hash FROM entries ORDER BY seq");
  ASSERT_TRUE(rows.ok());
  for (int i = 0; i < 200; ++i) {
    const SqlRow& row = (*rows)[dice() % rows->size()];
    const bool in_hash = i % 4 == 0;
    std::string bytes = Bytes(row[in_hash ? 2 : 1]);
    const std::size_t at = dice() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << dice() % 8));
    const std::array<SqlValue, 2> values = {Blob{bytes}, row[0]};
    const std::string sql = std::string("UPDATE entries SET ") + (in_hash ? "hash" : "payload") +
                            " = $1 WHERE seq = $2";
    ASSERT_TRUE(database_->Run(sql, values).ok());
    EXPECT_THAT(Complaint(), StartsWith(journal.chain() + ":" + std::to_string(Integer(row[0]))));
    const std::array<SqlValue, 2> back = {row[in_hash ? 2 : 1], row[0]};
    ASSERT_TRUE(database_->Run(sql, back).ok());
  }
  EXPECT_TRUE(Verify().ok());
}

TEST_F(JournalTest, WhatAGapCountsIsANumberOfEntries) {
  Journal journal = OpenJournal();
  const auto lose = [&](std::int64_t entries) {
    v1::RecordedGap gap;
    gap.set_dropped(entries);
    ASSERT_TRUE(journal.Append({DraftOf(EntryKind::kGap, kTime, gap)}, {}, kTime).ok());
  };
  constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();
  lose(kAll);
  ASSERT_TRUE(Verify().ok()) << Complaint();
  EXPECT_EQ(Verify()->front().dropped, kAll);
  lose(1);
  EXPECT_THAT(Complaint(), HasSubstr(":2: no chain can have lost 1 entries"));
}

TEST_F(JournalTest, SealsAreSigned) {
  const auto key = MakeKey("key.pem");
  const Journal::Options with_key{.name = {}, .key = key, .published = {}};
  {
    Journal journal = OpenJournal(with_key);
    Place(journal, 1, kTime);
    ASSERT_TRUE(journal.Seal(kTime).ok());
  }
  VerifyOptions options;
  options.public_key = key->public_key();
  ASSERT_TRUE(Verify(options).ok()) << Complaint(options);
  EXPECT_EQ(Verify(options)->front().signed_seals, 2) << "the first entry is one";
  options.public_key = std::string(32, 'x');
  EXPECT_THAT(Complaint(options), HasSubstr("signed by another key"));
  Journal journal = OpenJournal();
  Place(journal, 2, kTime);
  ASSERT_TRUE(journal.Seal(kTime).ok());
  options.public_key = key->public_key();
  EXPECT_THAT(Complaint(options), HasSubstr(":7: the seal is not signed"));
  // Nor is what somebody else sealed gone on with.
  EXPECT_NE(OpenJournal(with_key).chain(), journal.chain());
  EXPECT_THAT(distrusted_, HasSubstr("entry 7, is not signed by this program's key"));
}

// Half of the chain taken away by somebody who can write the file, but not sign: an entry says that
// it was pruned, its hashes are right.
TEST_F(JournalTest, AForgedPruningIsUnprovenAndNeverSealedOver) {
  const auto key = MakeKey("key.pem");
  const Journal::Options with_key{.name = {}, .key = key, .published = {}};
  Journal journal = OpenJournal(with_key);
  for (unsigned i = 0; i < 6; ++i) {
    Place(journal, i, kTime);
    ASSERT_TRUE(journal.Seal(kTime).ok());
  }
  const Head kept = journal.head();
  VerifyOptions options;
  options.public_key = key->public_key();
  options.heads = {{{journal.chain(), kept.seq}, kept.hash, 1}};
  ASSERT_TRUE(Verify(options).ok()) << Complaint(options);
  ASSERT_TRUE(ForgePruning(*database_, journal.chain(), kept, 11).ok());
  Run("UPDATE chains SET first_seq = 11, anchor = (SELECT hash FROM entries WHERE seq = 10)");
  Run("DELETE FROM entries WHERE seq < 11");
  EXPECT_THAT(Complaint(options), HasSubstr(":20: says that what came before entry 11 was pruned, "
                                            "and no seal covers it"));
  const Timestamp later = kTime + std::chrono::seconds(1);
  Journal next = OpenJournal(with_key, later);
  EXPECT_NE(next.chain(), journal.chain());
  EXPECT_THAT(distrusted_, HasSubstr("entry 20 says that older ones were pruned"));
  Place(next, 7, later);
  ASSERT_TRUE(next.Seal(later).ok());
  EXPECT_THAT(Complaint(options), HasSubstr("no seal covers it")) << "still";
  // The next start goes on with the new chain.
  EXPECT_EQ(OpenJournal(with_key).chain(), next.chain());
  EXPECT_EQ(distrusted_, "");
}

TEST_F(JournalTest, AChainThatIsNotAsItWasPublishedIsNotGoneOnWith) {
  Journal journal = OpenJournal();
  for (unsigned i = 0; i < 4; ++i) Place(journal, i, kTime);
  const PublishedHead published{{journal.chain(), journal.head().seq}, journal.head().hash, 1};
  Journal::Options options;
  options.published = [&](const std::string& chain) {
    return chain == published.id.chain ? std::optional(published) : std::nullopt;
  };
  EXPECT_EQ(OpenJournal(options).chain(), journal.chain());
  Place(journal, 4, kTime);
  EXPECT_EQ(OpenJournal(options).chain(), journal.chain()) << "it went on since";
  Run("DELETE FROM entries WHERE seq > 6");
  Journal other = OpenJournal(options);
  EXPECT_NE(other.chain(), journal.chain());
  EXPECT_THAT(distrusted_, HasSubstr(journal.chain() + ": entry 8 is not the one whose hash"));
  options.published = [](const std::string&) { return Status::Unavailable("no answer"); };
  EXPECT_EQ(Journal::Open(*database_, options, kTime, distrusted_).status().code(),
            ErrorCode::kUnavailable);
}

TEST_F(JournalTest, WhatComesAfterTheLastSealMustFollowFromIt) {
  Journal journal = OpenJournal();
  Place(journal, 1, kTime);
  ASSERT_TRUE(journal.Seal(kTime).ok());
  Place(journal, 2, kTime);
  Run("UPDATE entries SET pod = 'another' WHERE seq = 5");
  EXPECT_NE(OpenJournal().chain(), journal.chain());
  EXPECT_THAT(distrusted_, HasSubstr("entry 5 does not follow from the one before it"));
}

// Hashes can be computed by anybody.
TEST_F(JournalTest, WhereSealsAreSignedAChainWithoutOneIsNotGoneOnWith) {
  const Journal::Options with_key{.name = {}, .key = MakeKey("key.pem"), .published = {}};
  Journal journal = OpenJournal();
  Place(journal, 1, kTime);
  EXPECT_NE(OpenJournal(with_key).chain(), journal.chain());
  EXPECT_THAT(distrusted_, HasSubstr("no seal that this program signed"));
  const Timestamp later = kTime + std::chrono::seconds(1);
  Journal next = OpenJournal(with_key, later);
  EXPECT_EQ(next.entries_since_seal(), 0);
  for (unsigned i = 2; i < 4; ++i) {
    Place(next, i, later);
    ASSERT_TRUE(next.Seal(later).ok());
  }
  Run("DELETE FROM entries WHERE kind = 'outcome' AND seq = 6");
  EXPECT_NE(OpenJournal(with_key, later).chain(), next.chain());
  EXPECT_THAT(distrusted_, HasSubstr("the entry before its last seal is missing"));
}

TEST_F(JournalTest, ChainsThatWereGivenUpGoOnceTheyAreOld) {
  using std::chrono::hours;
  Journal old = OpenJournal();
  Place(old, 1, kTime);
  const Journal::Options with_key{.name = {}, .key = MakeKey("key.pem"), .published = {}};
  const Timestamp later = kTime + hours(2);
  Journal next = OpenJournal(with_key, later);
  ASSERT_NE(next.chain(), old.chain());
  Place(next, 2, later);
  EXPECT_THAT(*next.DropGivenUp({hours(24), 0}, later), IsEmpty());
  EXPECT_THAT(*next.DropGivenUp({hours(1), 0}, later), ElementsAre(old.chain()));
  const auto left = Verify();
  ASSERT_TRUE(left.ok()) << left.status().message();
  ASSERT_EQ(left->size(), 1U);
  EXPECT_EQ(left->front().chain, next.chain());
  EXPECT_EQ(left->front().decisions, 1) << "what it refers to is there still";
}

// As it looks to whoever reads it while the service prunes.
TEST_F(JournalTest, APruningThatComesWhileTheChainIsReadIsNoFault) {
  Journal journal = OpenJournal();
  using std::chrono::hours;
  for (unsigned day = 0; day < 6; ++day) {
    Place(journal, day, kTime + hours(24 * day));
    ASSERT_TRUE(journal.Seal(kTime + hours(24 * day)).ok());
  }
  ASSERT_TRUE(*journal.Prune({hours(24 * 3), 0}, kTime + hours(24 * 5)));
  v1::RecordedPruning later;
  later.set_first_seq(journal.first_seq() + 3);
  const Timestamp now = kTime + hours(24 * 6);
  ASSERT_TRUE(journal.Append({DraftOf(EntryKind::kPruning, now, later)}, {}, now).ok());
  EXPECT_TRUE(Verify().ok()) << Verify().status().message();
}

TEST_F(JournalTest, PruningLeavesAChainThatVerifies) {
  Journal journal = OpenJournal();
  using std::chrono::hours;
  for (int day = 0; day < 10; ++day) {
    for (unsigned i = 0; i < 3; ++i)
      Place(journal, static_cast<unsigned>(day) * 3 + i, kTime + hours(24 * day));
    ASSERT_TRUE(journal.Seal(kTime + hours(24 * day)).ok());
  }
  const std::int64_t contents =
      Integer(database_->Rows("SELECT COUNT(*) FROM contents")->front()[0]);
  const Timestamp now = kTime + hours(24 * 9);
  const Head kept = journal.head();
  EXPECT_TRUE(*journal.Prune({hours(24 * 4), 0}, now));
  EXPECT_FALSE(*journal.Prune({hours(24 * 4), 0}, now));
  auto summaries = Verify();
  ASSERT_TRUE(summaries.ok()) << summaries.status().message();
  // Seals of days 0 to 4 are older than four days; the last of them stays.
  EXPECT_EQ(summaries->front().first_seq, 35);
  EXPECT_EQ(journal.first_seq(), 35);
  EXPECT_EQ(journal.entries_since_seal(), 0) << "it is sealed with the pruning";
  EXPECT_EQ(summaries->front().decisions, 15);
  EXPECT_LT(Integer(database_->Rows("SELECT COUNT(*) FROM contents")->front()[0]), contents);
  VerifyOptions options;
  options.heads = {{{journal.chain(), kept.seq}, kept.hash, {}}};
  EXPECT_TRUE(Verify(options).ok()) << Complaint(options);
  EXPECT_FALSE(Verify(options)->front().pruning_proven);
  // As old as they had to be, and not older.
  options.keep = VerifyOptions::Keep{hours(24 * 4), false};
  EXPECT_TRUE(Verify(options).ok()) << Complaint(options);
  options.keep = VerifyOptions::Keep{hours(24 * 6), false};
  EXPECT_THAT(Complaint(options), HasSubstr("it was to be kept for longer"));
  options.keep = VerifyOptions::Keep{hours(24 * 6), true};
  EXPECT_THAT(Complaint(options), HasSubstr("it was to be kept for longer"))
      << "not for its size: the entry says so";
  options.keep.reset();
  // Published after the pruning, and from before it; from an earlier beginning than there is.
  options.heads = {{{journal.chain(), journal.head().seq}, journal.head().hash, 1}};
  EXPECT_THAT(Complaint(options), HasSubstr("later, the chain still began at entry 1"));
  options.heads.front().first_seq = 35;
  EXPECT_TRUE(Verify(options).ok()) << Complaint(options);
  options.heads.front().first_seq = 36;
  EXPECT_THAT(Complaint(options), HasSubstr(":35: the chain begins here"));
  // The same by a reader who says nothing of it.
  Run("DELETE FROM entries WHERE seq < 42");
  EXPECT_THAT(Complaint(), HasSubstr(":35: is missing"));
}

TEST_F(JournalTest, PruningBySizeTakesTheOldest) {
  Journal journal = OpenJournal();
  for (unsigned i = 0; i < 200; ++i) {
    Place(journal, i, kTime + std::chrono::hours(i));
    if (i % 10 != 9) continue;
    ASSERT_TRUE(journal.Seal(kTime + std::chrono::hours(i)).ok());
  }
  const std::int64_t size = *SizeOf(*database_);
  const Journal::Retention retention{std::chrono::hours(1'000'000), size / 2};
  for (int i = 0; i < 10 && *journal.Prune(retention, kTime + std::chrono::hours(200)); ++i) {
  }
  EXPECT_LE(*SizeOf(*database_), size / 2);
  EXPECT_GE(*SizeOf(*database_), size / 5);
  EXPECT_TRUE(Verify().ok()) << Complaint();
  VerifyOptions options;
  options.keep = VerifyOptions::Keep{std::chrono::hours(1'000'000), true};
  EXPECT_TRUE(Verify(options).ok()) << Complaint(options);
  options.keep->bounded_size = false;
  EXPECT_THAT(Complaint(options), HasSubstr("it was to be kept for longer"));
}

TEST(EntryId, BothWays) {
  EXPECT_EQ(ToString(*ParseEntryId("sobre-0-12:17")), "sobre-0-12:17");
  for (const char* text : {"", "x", ":1", "x:", "x:0", "x:-1", "x:1x"})
    EXPECT_FALSE(ParseEntryId(text)) << text;
}

TEST(PublishedHead, BothWays) {
  const std::string hash(64, 'a');
  for (const std::string& text : {"sobre-0-12:17:" + hash, "sobre-0-12:17:" + hash + ":from:3"})
    EXPECT_EQ(ToString(*ParsePublishedHead(text)), text);
  for (const std::string& text : {std::string(), "x:" + hash, "x:0:" + hash, "x:1:" + hash + "a",
                                  "x:1:" + hash + ":from:0", "x:1:" + hash + ":from:"})
    EXPECT_FALSE(ParsePublishedHead(text)) << text;
}

}  // namespace
}  // namespace sobre
