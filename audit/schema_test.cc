#include "audit/schema.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/test_databases.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

class Schema : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_NE(database_, nullptr); }

  TestDatabase place_{GetParam()};
  std::unique_ptr<Database> database_ = place_.Open();
};

INSTANTIATE_TEST_SUITE_P(All, Schema, testing::ValuesIn(TestServersAndSqlite()), TestServerName);

TEST_P(Schema, ReadersWaitUntilItIsMade) {
  EXPECT_EQ(CheckSchema(*database_).code(), ErrorCode::kUnavailable);
  ExpectOk(
      database_->Run("CREATE TABLE schema_version(id BIGINT PRIMARY KEY, step BIGINT NOT NULL)"));
  EXPECT_EQ(CheckSchema(*database_).code(), ErrorCode::kUnavailable);
  ExpectOk(database_->Run("INSERT INTO schema_version(id, step) VALUES(1, 3)"));
  EXPECT_EQ(CheckSchema(*database_).code(), ErrorCode::kUnavailable);
  ExpectOk(database_->Run("DROP TABLE schema_version"));
  ExpectOk(MigrateSchema(*database_));
  ExpectOk(CheckSchema(*database_));
}

TEST_P(Schema, IsMadeOnceAndKeptAfterwards) {
  ExpectOk(MigrateSchema(*database_));
  ExpectOk(
      database_->Run("INSERT INTO entries(chain, seq, kind, time_ms, pod_uid, namespace, pod, "
                     "payload, hash) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                     SqlRow{"a", 1, "decision", 5, "u", "n", "p", Blob{"x"}, Blob{"y"}}));
  const auto before = database_->Rows("SELECT step FROM schema_version");
  ExpectOk(MigrateSchema(*database_));
  EXPECT_EQ(*database_->Rows("SELECT step FROM schema_version"), *before);
  EXPECT_EQ(database_->Rows("SELECT chain FROM entries")->size(), 1U);
  for (const char* table :
       {"contents", "chains", "outcome_claims", "usage", "accounting", "advice", "place_intensity"})
    ExpectOk(database_->Run(std::string("SELECT * FROM ") + table));
}

TEST_P(Schema, OfANewerProgramIsLeftAlone) {
  ExpectOk(MigrateSchema(*database_));
  ExpectOk(database_->Run("UPDATE schema_version SET step = 1000"));
  const Status status = MigrateSchema(*database_);
  EXPECT_EQ(status.code(), ErrorCode::kDenied);
  EXPECT_THAT(status.message(), HasSubstr("of a newer version (1000; this program knows "));
  EXPECT_EQ(Integer(database_->Rows("SELECT step FROM schema_version")->front().front()), 1000);
}

TEST_P(Schema, ThatCannotBeMadeWholeIsNotMadeInPart) {
  // The last table's name is taken.
  ExpectOk(database_->Run("CREATE TABLE accounting(other BIGINT)"));
  EXPECT_EQ(MigrateSchema(*database_).code(), ErrorCode::kInvalid);
  EXPECT_FALSE(database_->Run("SELECT * FROM entries").ok());
  ExpectOk(database_->Run("DROP TABLE accounting"));
  ExpectOk(MigrateSchema(*database_));
  ExpectOk(database_->Run("SELECT * FROM entries"));
}

TEST_P(Schema, IsMadeOnceByReplicasThatStartTogether) {
  std::vector<std::jthread> replicas;
  for (int i = 0; i < 4; ++i)
    replicas.emplace_back([&] { ExpectOk(MigrateSchema(*place_.Open())); });
  replicas.clear();
  ExpectOk(database_->Run("SELECT * FROM entries"));
  EXPECT_EQ(database_->Rows("SELECT step FROM schema_version")->size(), 1U);
}

}  // namespace
}  // namespace sobre
