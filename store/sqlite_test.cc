#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "store/database.h"
#include "store/test_databases.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// A folder of the test's own, which goes with it.
class SqliteFile : public testing::Test {
 protected:
  SqliteFile() {
    std::string pattern = testing::TempDir() + "/sobre_sqlite_XXXXXX";
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/sobre.db";
  }
  ~SqliteFile() override {
    chmod(folder_.c_str(), 0700);
    fs::remove_all(folder_);
  }

  [[nodiscard]] std::unique_ptr<Database> Open(SqliteMode mode = SqliteMode::kReadWrite) const {
    auto database = OpenSqlite(path_, mode);
    EXPECT_TRUE(database.ok()) << database.status().message();
    return database.ok() ? *std::move(database) : nullptr;
  }
  [[nodiscard]] Status OpenStatus(SqliteMode mode = SqliteMode::kReadWrite) const {
    return OpenSqlite(path_, mode).status();
  }
  // A file with a table of so many rows of 1000 bytes, without a WAL.
  void Make(std::int64_t rows = 1) const {
    const auto database = Open();
    ExpectOk(database->Run("CREATE TABLE kept(n BIGINT PRIMARY KEY, b BYTEA)"));
    ExpectOk(database->Transact([&]() -> Status {
      for (std::int64_t n = 0; n < rows; ++n) ExpectOk(Insert(*database, n));
      return {};
    }));
  }
  static Status Insert(Database& database, std::int64_t n) {
    return database.Run("INSERT INTO kept(n, b) VALUES($1, $2)",
                        SqlRow{n, Blob{std::string(1000, '\0')}});
  }
  static std::int64_t Count(Database& database) {
    const auto rows = database.Rows("SELECT count(*) FROM kept");
    return rows.ok() ? Integer(rows->front().front()) : -1;
  }
  static std::string Setting(Database& database, const std::string& name) {
    const SqlValue value = database.Rows("PRAGMA " + name)->front().front();
    return std::holds_alternative<std::string>(value) ? Text(value)
                                                      : std::to_string(Integer(value));
  }
  // In a process of its own without root's rights; whether `check` held there.
  static bool AsNobody(const std::function<bool()>& check) {
    const pid_t child = fork();
    if (child == 0) {
      constexpr uid_t kNobody = 65534;
      const bool dropped = geteuid() != 0 || (setgid(kNobody) == 0 && setuid(kNobody) == 0);
      _exit(dropped && check() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  std::string folder_;
  std::string path_;
};

TEST_F(SqliteFile, IsMadeToBeSafeAndToShrink) {
  const auto database = Open();
  EXPECT_EQ(database->Name(), path_);
  EXPECT_EQ(Setting(*database, "journal_mode"), "wal");
  EXPECT_EQ(Setting(*database, "synchronous"), "2");
  EXPECT_EQ(Setting(*database, "auto_vacuum"), "2");
  EXPECT_EQ(Setting(*database, "busy_timeout"), "5000");
  ExpectOk(database->Run("CREATE TABLE kept(n BIGINT PRIMARY KEY, b BYTEA)"));
  for (std::int64_t n = 0; n < 100; ++n) ExpectOk(Insert(*database, n));
  ExpectOk(database->Run("DELETE FROM kept"));
  EXPECT_NE(Setting(*database, "freelist_count"), "0");
  ExpectOk(database->Run("PRAGMA incremental_vacuum"));
  EXPECT_EQ(Setting(*database, "freelist_count"), "0");
}

TEST_F(SqliteFile, ManyMayMakeItAtOnce) {
  for (int round = 0; round < 10; ++round) {
    path_ = folder_ + "/" + std::to_string(round);
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 6; ++thread) {
      threads.emplace_back([&] {
        const auto database = Open();
        if (database == nullptr) return;
        EXPECT_EQ(Setting(*database, "journal_mode"), "wal");
        ExpectOk(database->Run("CREATE TABLE IF NOT EXISTS kept(n BIGINT)"));
      });
    }
    threads.clear();
    EXPECT_EQ(Setting(*Open(), "auto_vacuum"), "2");
  }
}

TEST_F(SqliteFile, AnyNameIsAPath) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  for (const std::string name : {":memory:", "file:a?mode=memory", "é %20#.db"}) {
    const auto database = OpenSqlite(name, SqliteMode::kReadWrite);
    ASSERT_TRUE(database.ok()) << database.status().message();
    ExpectOk(database.value()->Run("CREATE TABLE kept(n BIGINT)"));
    EXPECT_TRUE(fs::exists(fs::path(folder_) / name)) << name;
  }
  fs::current_path(before);
  EXPECT_EQ(OpenSqlite("", SqliteMode::kReadWrite).status().code(), ErrorCode::kInvalid);
}

TEST_F(SqliteFile, AnotherWriterIsWaitedForAndThenNamed) {
  Make();
  const auto database = Open();
  const auto other = Open();
  ExpectOk(database->Transact([&]() -> Status {
    const Status status = other->Transact([] { return Status(); });
    EXPECT_EQ(status.code(), ErrorCode::kUnavailable);
    EXPECT_THAT(status.message(), HasSubstr(path_ + ": another program has held it for 5 s"));
    EXPECT_EQ(Count(*other), 1);  // reading goes on
    return {};
  }));
  ExpectOk(Insert(*other, 1));
}

TEST_F(SqliteFile, IsNotMadeWhereItIsOnlyRead) {
  const Status status = OpenStatus(SqliteMode::kReadOnly);
  EXPECT_EQ(status.code(), ErrorCode::kNotFound);
  EXPECT_EQ(status.message(), path_ + ": there is no such file");
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(SqliteFile, IsNotChangedWhereItIsOnlyRead) {
  Make();
  const std::string before = *ReadFile(path_);
  const auto database = Open(SqliteMode::kReadOnly);
  EXPECT_EQ(Count(*database), 1);
  EXPECT_EQ(Insert(*database, 2).code(), ErrorCode::kDenied);
  ExpectOk(database->Transact([&] { return Count(*database) == 1 ? Status() : Status::Gone(""); }));
  EXPECT_EQ(database->Transact([&] { return Insert(*database, 2); }).code(), ErrorCode::kDenied);
  EXPECT_EQ(*ReadFile(path_), before);
  // One that writes meanwhile is seen.
  const auto writer = Open();
  ExpectOk(Insert(*writer, 2));
  EXPECT_EQ(Count(*database), 2);
}

TEST_F(SqliteFile, IsReadInAFolderThatCannotBeWritten) {
  Make();
  chmod(path_.c_str(), 0444);
  chmod(folder_.c_str(), 0555);
  EXPECT_TRUE(AsNobody([&] {
    const auto database = OpenSqlite(path_, SqliteMode::kReadOnly);
    return database.ok() && Count(**database) == 1 &&
           Insert(**database, 2).code() == ErrorCode::kDenied;
  }));
  EXPECT_TRUE(AsNobody([&] {
    const Status status = OpenStatus();
    return status.code() == ErrorCode::kDenied &&
           status.message().starts_with(path_ + ": cannot be written; check who owns it");
  }));
}

TEST_F(SqliteFile, IsNotReadWithoutItsLastEntries) {
  // A writer that died leaves its WAL.
  Make();
  const pid_t child = fork();
  if (child == 0) {
    const auto database = Open();
    _exit(Insert(*database, 1).ok() ? 0 : 1);
  }
  int exit = 1;
  waitpid(child, &exit, 0);
  ASSERT_EQ(exit, 0);
  ASSERT_TRUE(fs::exists(path_ + "-wal"));
  fs::remove(path_ + "-shm");
  for (const char* end : {"", "-wal"}) chmod((path_ + end).c_str(), 0444);
  chmod(folder_.c_str(), 0555);
  EXPECT_TRUE(AsNobody([&] {
    const Status status = OpenStatus(SqliteMode::kReadOnly);
    return status.code() == ErrorCode::kDenied &&
           status.message().find("its last entries are in its -wal") != std::string::npos;
  }));
}

TEST_F(SqliteFile, AFolderThatIsNotThereIsSaid) {
  path_ = folder_ + "/none/sobre.db";
  const Status status = OpenStatus();
  EXPECT_EQ(status.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr(path_ + ": cannot be opened; check that its folder"));
}

TEST_F(SqliteFile, GoesOnAfterItsDiskWasFull) {
  Make();
  const auto database = Open();
  ExpectOk(database->Run("PRAGMA max_page_count = 20"));
  std::int64_t n = 1;
  Status status;
  while (status.ok() && n < 1000) status = Insert(*database, n++);
  EXPECT_EQ(status.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr(path_ + ": no space is left for it"));
  const std::int64_t kept = Count(*database);
  EXPECT_EQ(kept, n - 1);
  // Nothing of a transaction that found no space, also of what came after it.
  status = database->Transact([&]() -> Status {
    ExpectOk(database->Run("DELETE FROM kept WHERE n = 0"));
    for (std::int64_t i = 0; i < 20; ++i) std::ignore = Insert(*database, n + i);
    EXPECT_FALSE(database->Run("DELETE FROM kept").ok());
    return {};
  });
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(Count(*database), kept);
  ExpectOk(database->Run("PRAGMA max_page_count = 1000"));
  ExpectOk(database->Transact([&] { return Insert(*database, n); }));
  EXPECT_EQ(Count(*database), kept + 1);
}

TEST_F(SqliteFile, DamageIsCalledDamage) {
  Make(200);
  // No header of a database.
  std::ofstream(folder_ + "/other.db") << std::string(8192, 'x');
  for (const SqliteMode mode : {SqliteMode::kReadWrite, SqliteMode::kReadOnly}) {
    const Status status = OpenSqlite(folder_ + "/other.db", mode).status();
    EXPECT_EQ(status.code(), ErrorCode::kDamaged);
    EXPECT_THAT(status.message(), HasSubstr("other.db: the file is damaged"));
  }
  // A name in its schema: what is said stays text.
  {
    ExpectOk(Open()->Run("CREATE INDEX by_b ON kept(b)"));
    fs::copy_file(path_, folder_ + "/named.db");
    std::ifstream in(folder_ + "/named.db", std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const std::string index = "ON kept(b";
    const std::size_t name = bytes.find(index);
    ASSERT_NE(name, std::string::npos);
    bytes[name + index.size() - 1] = '\xA0';
    std::ofstream(folder_ + "/named.db", std::ios::binary) << bytes;
    const std::string said =
        OpenSqlite(folder_ + "/named.db", SqliteMode::kReadOnly).status().message();
    EXPECT_THAT(said, HasSubstr("the file is damaged"));
    EXPECT_EQ(said.find('\xA0'), std::string::npos) << said;
  }
  // Overwritten in the middle: found when it is read.
  const auto size = static_cast<std::streamoff>(fs::file_size(path_));
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(8192);
    file << std::string(static_cast<std::size_t>(size - 8192), '\xA5');
  }
  const auto database = Open();
  const Status status = database->Run("SELECT b FROM kept");
  EXPECT_EQ(status.code(), ErrorCode::kDamaged);
  EXPECT_THAT(status.message(), HasSubstr(path_ + ": the file is damaged"));
}

TEST_F(SqliteFile, AKilledProcessLosesNothingThatWasCommitted) {
  Make(0);
  for (std::int64_t round = 0; round < 5; ++round) {
    std::array<int, 2> pipe_ends{};
    ASSERT_EQ(pipe(pipe_ends.data()), 0);
    const pid_t child = fork();
    if (child == 0) {
      const auto database = Open();
      // Tells each row that is committed, until it is killed within a transaction.
      for (std::int64_t i = 0; i < 10; ++i) {
        if (!Insert(*database, round * 10 + i).ok()) _exit(1);
        if (write(pipe_ends[1], "x", 1) != 1) _exit(1);
      }
      std::ignore = database->Transact([&]() -> Status {
        std::ignore = Insert(*database, 1000);
        kill(getpid(), SIGKILL);
        return {};
      });
      _exit(1);
    }
    close(pipe_ends[1]);
    std::int64_t told = 0;
    for (char byte = 0; read(pipe_ends[0], &byte, 1) == 1;) ++told;
    close(pipe_ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(told, 10);
    EXPECT_EQ(Count(*Open()), (round + 1) * 10);
  }
}

}  // namespace
}  // namespace sobre
