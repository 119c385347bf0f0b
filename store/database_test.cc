#include "store/database.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/test_databases.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

// What holds for a file and for a server alike.
class Databases : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_NE(database_, nullptr); }

  std::vector<SqlRow> Rows(const std::string& sql, std::span<const SqlValue> parameters = {}) {
    Result<std::vector<SqlRow>> rows = database_->Rows(sql, parameters);
    EXPECT_TRUE(rows.ok()) << rows.status().message();
    return rows.ok() ? *std::move(rows) : std::vector<SqlRow>();
  }
  std::int64_t Count(const std::string& table) {
    const std::vector<SqlRow> rows = Rows("SELECT count(*) FROM " + table);
    return rows.empty() ? -1 : Integer(rows.front().front());
  }
  Status Insert(std::int64_t n) {
    const SqlValue parameter = n;
    return database_->Run("INSERT INTO numbers(n) VALUES($1)", {&parameter, 1});
  }
  void MakeNumbers() {
    ExpectOk(database_->Run("CREATE TABLE numbers(n BIGINT PRIMARY KEY, other BIGINT)"));
  }

  TestDatabase place_{GetParam()};
  std::unique_ptr<Database> database_ = place_.Open();
};

INSTANTIATE_TEST_SUITE_P(All, Databases, testing::ValuesIn(TestServersAndSqlite()), TestServerName);

constexpr char kOneToLimit[] =
    "WITH RECURSIVE counted(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < $1) "
    "SELECT i FROM counted";

TEST_P(Databases, ValuesComeBackAsTheyWentIn) {
  ExpectOk(database_->Run(
      "CREATE TABLE kept(id BIGINT, i BIGINT, d DOUBLE PRECISION, t TEXT, b BYTEA)"));
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  using Limits = std::numeric_limits<double>;
  const std::vector<SqlRow> rows = {
      {1, std::int64_t{0}, 0.1, "", Blob{}},
      {2, std::numeric_limits<std::int64_t>::min(), 1.0 / 3, "é\n\"'\\ $1 🌱", Blob{every_byte}},
      {3, std::numeric_limits<std::int64_t>::max(), Limits::max(), "1", Blob{std::string(3, '\0')}},
      {4, std::int64_t{-1}, Limits::denorm_min(), "1e5", Blob{"\\x41"}},
      {5, std::int64_t{9007199254740993}, -Limits::min(), " ", Blob{"text"}},
      {6, std::int64_t{7}, 3.0, "NULL", Blob{"\\"}},
      {7, std::monostate(), std::monostate(), std::monostate(), std::monostate()},
  };
  for (const SqlRow& row : rows)
    ExpectOk(database_->Run("INSERT INTO kept(id, i, d, t, b) VALUES($1, $2, $3, $4, $5)", row));
  EXPECT_EQ(Rows("SELECT id, i, d, t, b FROM kept ORDER BY id"), rows);
  EXPECT_EQ(Rows("SELECT id FROM kept WHERE b = $1", std::vector<SqlValue>{Blob{every_byte}}),
            (std::vector<SqlRow>{{std::int64_t{2}}}));
}

TEST_P(Databases, AnyFiniteDoubleIsExact) {
  ExpectOk(database_->Run("CREATE TABLE kept(id BIGINT, d DOUBLE PRECISION)"));
  std::mt19937_64 random(1);  // NOLINT(bugprone-random-generator-seed): the same every time
  std::vector<SqlRow> rows;
  while (rows.size() < 500) {
    const auto number = std::bit_cast<double>(random());
    if (!std::isfinite(number)) continue;
    rows.push_back({static_cast<std::int64_t>(rows.size()), number});
  }
  ExpectOk(database_->Transact([&]() -> Status {
    for (const SqlRow& row : rows) {
      if (Status status = database_->Run("INSERT INTO kept(id, d) VALUES($1, $2)", row);
          !status.ok())
        return status;
    }
    return {};
  }));
  EXPECT_EQ(Rows("SELECT id, d FROM kept ORDER BY id"), rows);
}

TEST_P(Databases, LargeValuesGoBothWays) {
  ExpectOk(database_->Run("CREATE TABLE kept(b BYTEA, t TEXT)"));
  const SqlRow row = {Blob{std::string(8 << 20, '\0')}, std::string(8 << 20, 'x')};
  ExpectOk(database_->Run("INSERT INTO kept(b, t) VALUES($1, $2)", row));
  EXPECT_TRUE(Rows("SELECT b, t FROM kept") == std::vector<SqlRow>{row});
}

TEST_P(Databases, WhatIsComputedHasTheSameTypes) {
  MakeNumbers();
  ExpectOk(database_->Run("CREATE TABLE kept(d DOUBLE PRECISION)"));
  for (const std::int64_t n : {1, 2, 4}) {
    ExpectOk(Insert(n));
    const SqlValue half = static_cast<double>(n) / 2;
    ExpectOk(database_->Run("INSERT INTO kept(d) VALUES($1)", {&half, 1}));
  }
  EXPECT_EQ(
      Rows("SELECT count(*), sum(n), max(n), max(other) FROM numbers"),
      (std::vector<SqlRow>{{std::int64_t{3}, std::int64_t{7}, std::int64_t{4}, std::monostate()}}));
  EXPECT_EQ(Rows("SELECT sum(d), max(d), avg(d) * 3 FROM kept"),
            (std::vector<SqlRow>{{3.5, 2.0, 3.5}}));
  EXPECT_EQ(Integer(Rows("SELECT n > 1 FROM numbers WHERE n = 2").front().front()), 1);
  // Averages of whole numbers have different digits, but are numbers.
  EXPECT_NEAR(Number(Rows("SELECT avg(n) FROM numbers").front().front()), 7.0 / 3, 1e-9);
}

TEST_P(Databases, StatementsAreUsedAgainWithOtherValues) {
  MakeNumbers();
  const std::string insert = "INSERT INTO numbers(n, other) VALUES($1, $2)";
  for (std::int64_t n = 0; n < 100; ++n)
    ExpectOk(database_->Run(insert, SqlRow{n, n % 2 == 0 ? SqlValue(n * n) : SqlValue()}));
  EXPECT_EQ(Rows("SELECT count(*), count(other), sum(other) FROM numbers"),
            (std::vector<SqlRow>{{std::int64_t{100}, std::int64_t{50}, std::int64_t{161700}}}));
  // More than are kept.
  for (std::int64_t n = 0; n < 200; ++n) {
    const SqlValue parameter = n;
    const std::string select = "SELECT n + " + std::to_string(n) + " FROM numbers WHERE n = $1";
    EXPECT_EQ(Rows(select, {&parameter, 1}).size(), n < 100 ? 1U : 0U);
  }
  ExpectOk(database_->Run(insert, SqlRow{std::int64_t{1000}, std::monostate()}));
}

TEST_P(Databases, AConflictCanUpdate) {
  MakeNumbers();
  for (const std::int64_t other : {5, 6})
    ExpectOk(
        database_->Run("INSERT INTO numbers(n, other) VALUES($1, $2) ON CONFLICT (n) "
                       "DO UPDATE SET other = numbers.other + excluded.other",
                       SqlRow{std::int64_t{1}, other}));
  EXPECT_EQ(Rows("SELECT n, other FROM numbers"),
            (std::vector<SqlRow>{{std::int64_t{1}, std::int64_t{11}}}));
}

TEST_P(Databases, ATransactionIsAllOrNothing) {
  MakeNumbers();
  const Status status = database_->Transact([&]() -> Status {
    ExpectOk(Insert(1));
    return Status::Gone("somebody else did it");
  });
  EXPECT_EQ(status.code(), ErrorCode::kGone);
  EXPECT_EQ(Count("numbers"), 0);
  ExpectOk(database_->Transact([&] { return Insert(1); }));
  EXPECT_EQ(Count("numbers"), 1);
  // Tables too.
  EXPECT_FALSE(database_
                   ->Transact([&]() -> Status {
                     ExpectOk(database_->Run("CREATE TABLE later(n BIGINT)"));
                     return Insert(1);
                   })
                   .ok());
  EXPECT_EQ(database_->Run("SELECT * FROM later").code(), ErrorCode::kInvalid);
}

TEST_P(Databases, AfterAFailedStatementNothingOfATransactionIsKept) {
  MakeNumbers();
  ExpectOk(Insert(1));
  const Status status = database_->Transact([&]() -> Status {
    ExpectOk(Insert(2));
    EXPECT_EQ(Insert(1).code(), ErrorCode::kInvalid);
    EXPECT_FALSE(Insert(3).ok());
    return {};
  });
  EXPECT_EQ(status.code(), ErrorCode::kInvalid);
  EXPECT_THAT(status.message(), HasSubstr("a statement before it failed"));
  EXPECT_EQ(Count("numbers"), 1);
  ExpectOk(database_->Transact([&] { return Insert(2); }));
  EXPECT_EQ(Count("numbers"), 2);
}

TEST_P(Databases, TransactionsAreNotNested) {
  MakeNumbers();
  ExpectOk(database_->Transact([&]() -> Status {
    ExpectOk(Insert(1));
    EXPECT_EQ(database_->Transact([] { return Status(); }).code(), ErrorCode::kInvalid);
    return Insert(2);
  }));
  EXPECT_EQ(Count("numbers"), 2);
}

TEST_P(Databases, RowsComeOneByOneUntilTheirReaderEnds) {
  const SqlValue many = std::int64_t{100'000};
  std::int64_t sum = 0;
  ExpectOk(database_->ForEach(kOneToLimit, {&many, 1}, [&](const SqlRow& row) {
    sum += Integer(row.front());
    return Status();
  }));
  EXPECT_EQ(sum, std::int64_t{100'000} * 100'001 / 2);
  // Also where there is no end to the rows.
  for (const std::int64_t limit : {20'000, 2'000'000'000}) {
    std::int64_t seen = 0;
    const SqlValue parameter = limit;
    const Status status = database_->ForEach(kOneToLimit, {&parameter, 1}, [&](const SqlRow&) {
      return ++seen < 10 ? Status() : Status::TooLarge("enough");
    });
    EXPECT_EQ(status.message(), "enough");
    EXPECT_EQ(seen, 10);
  }
}

TEST_P(Databases, AReaderThatEndsDoesNotEndTheTransaction) {
  MakeNumbers();
  ExpectOk(database_->Transact([&]() -> Status {
    ExpectOk(Insert(1));
    ExpectOk(Insert(2));
    std::ignore = database_->ForEach("SELECT n FROM numbers", {},
                                     [](const SqlRow&) { return Status::Gone("found"); });
    return Insert(3);
  }));
  EXPECT_EQ(Count("numbers"), 3);
}

TEST_P(Databases, AReaderDoesNotUseTheDatabase) {
  MakeNumbers();
  ExpectOk(Insert(1));
  const Status status =
      database_->ForEach("SELECT n FROM numbers", {}, [&](const SqlRow&) { return Insert(2); });
  EXPECT_EQ(status.code(), ErrorCode::kInvalid);
  EXPECT_THAT(status.message(), HasSubstr("within another's rows"));
  ExpectOk(Insert(2));
}

TEST_P(Databases, AWrongStatementIsNamedAndHarmsNothing) {
  MakeNumbers();
  const SqlRow one = {std::int64_t{1}};
  for (const auto& [sql, parameters] : std::vector<std::pair<std::string, SqlRow>>{
           {"SELEKT 1", {}},
           {"SELECT n FROM nowhere", {}},
           {"", {}},
           {"SELECT 1; SELECT 2", {}},
           {"INSERT INTO numbers(n) VALUES($1)", {}},
           {"INSERT INTO numbers(n) VALUES(1)", one},
           {"INSERT INTO numbers(n, other) VALUES($1, $2)", one}}) {
    // PostgreSQL minds neither an empty statement nor a parameter too many.
    const bool only_sqlite = sql.empty() || sql.ends_with("VALUES(1)");
    if (only_sqlite && !GetParam().empty()) continue;
    const Status status = database_->Run(sql, parameters);
    EXPECT_EQ(status.code(), ErrorCode::kInvalid) << sql << ": " << status.message();
    EXPECT_THAT(status.message(), HasSubstr(sql));
    EXPECT_THAT(status.message(), HasSubstr(database_->Name()));
  }
  ExpectOk(Insert(1));
}

TEST_P(Databases, WhatIsNoTextIsNotStored) {
  ExpectOk(database_->Run("CREATE TABLE kept(t TEXT)"));
  for (const std::string& text : {std::string("a\0b", 3), std::string("\xC3"), std::string(1, 0)}) {
    const SqlValue parameter = text;
    const Status status = database_->Run("INSERT INTO kept(t) VALUES($1)", {&parameter, 1});
    EXPECT_EQ(status.code(), ErrorCode::kInvalid);
    EXPECT_THAT(status.message(), HasSubstr("the text for $1 is not UTF-8 or holds a NUL byte"));
  }
  EXPECT_EQ(Count("kept"), 0);
}

TEST_P(Databases, OthersSeeWhatIsCommittedOnly) {
  MakeNumbers();
  const auto other = place_.Open();
  const auto seen = [&] { return Integer(other->Rows("SELECT count(*) FROM numbers")->at(0)[0]); };
  ExpectOk(database_->Transact([&]() -> Status {
    ExpectOk(Insert(1));
    EXPECT_EQ(seen(), 0);
    return {};
  }));
  EXPECT_EQ(seen(), 1);
  // Opened again, it is still there.
  database_.reset();
  database_ = place_.Open();
  EXPECT_EQ(Count("numbers"), 1);
}

TEST_P(Databases, WritersWaitForOneAnother) {
  MakeNumbers();
  ExpectOk(database_->Run("INSERT INTO numbers(n, other) VALUES(1, 0)"));
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&] {
      const auto own = place_.Open();
      for (int i = 0; i < 30; ++i) {
        ExpectOk(own->Transact(
            [&] { return own->Run("UPDATE numbers SET other = other + 1 WHERE n = 1"); }));
      }
    });
  }
  threads.clear();
  EXPECT_EQ(Rows("SELECT other FROM numbers"), (std::vector<SqlRow>{{std::int64_t{90}}}));
}

TEST_P(Databases, OneThatWaitsTooLongIsToldSo) {
  MakeNumbers();
  ExpectOk(Insert(1));
  const auto other = place_.Open();
  const auto change = [](Database& database) {
    return database.Run("UPDATE numbers SET other = 2 WHERE n = 1");
  };
  ExpectOk(database_->Transact([&]() -> Status {
    ExpectOk(change(*database_));
    EXPECT_EQ(change(*other).code(), ErrorCode::kUnavailable);
    return {};
  }));
  ExpectOk(change(*other));
}

TEST(SqlValues, AnythingElseIsZeroOrEmpty) {
  EXPECT_EQ(Integer(SqlValue(7)), 7);
  EXPECT_EQ(Integer(SqlValue(7.5)), 0);
  EXPECT_EQ(Number(SqlValue(7.5)), 7.5);
  EXPECT_EQ(Number(SqlValue(7)), 7);
  EXPECT_EQ(Number(SqlValue("7")), 0);
  EXPECT_EQ(Text(SqlValue("7")), "7");
  EXPECT_EQ(Text(SqlValue(Blob{"7"})), "");
  EXPECT_EQ(Bytes(SqlValue(Blob{"7"})), "7");
  EXPECT_EQ(Bytes(SqlValue()), "");
}

}  // namespace
}  // namespace sobre
