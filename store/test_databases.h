#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "store/database.h"

namespace sobre {

// The connection string of a PostgreSQL server to test with, or nothing.
inline std::vector<std::string> TestServers() {
  const char* server = std::getenv("SOBRE_TEST_POSTGRES");  // NOLINT(concurrency-mt-unsafe)
  return server == nullptr ? std::vector<std::string>() : std::vector<std::string>{server};
}

// One empty database of either kind, for one test: a file of its own, or a schema of its own.
class TestDatabase {
 public:
  // `server` is empty for SQLite.
  explicit TestDatabase(std::string server) : server_(std::move(server)) {
    static int count = 0;
    name_ = "sobre_test_" + std::to_string(getpid()) + "_" + std::to_string(count++);
    if (!server_.empty()) Administer("CREATE SCHEMA " + name_);
  }
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;
  ~TestDatabase() {
    if (!server_.empty()) {
      Administer("DROP SCHEMA " + name_ + " CASCADE");
      return;
    }
    for (const char* end : {"", "-wal", "-shm"}) unlink((Where() + end).c_str());
  }

  // A path, or a connection string with a search path.
  [[nodiscard]] std::string Where() const {
    if (server_.empty()) return testing::TempDir() + "/" + name_ + ".db";
    const char* separator = server_.find('?') == std::string::npos ? "?" : "&";
    return server_ + separator + "options=-csearch_path%3D" + name_;
  }

  [[nodiscard]] std::unique_ptr<Database> Open(SqliteMode mode = SqliteMode::kReadWrite) const {
    auto database = server_.empty() ? OpenSqlite(Where(), mode) : OpenPostgres(Where());
    if (database.ok()) return *std::move(database);
    ADD_FAILURE() << database.status().message();
    return nullptr;
  }

 private:
  void Administer(const std::string& sql) {
    const auto database = OpenPostgres(server_);
    ASSERT_TRUE(database.ok()) << database.status().message();
    const Status status = database.value()->Run(sql);
    ASSERT_TRUE(status.ok()) << status.message();
  }

  std::string server_;
  std::string name_;
};

// The databases that a test is to be run on, by the name of their kind.
inline std::vector<std::string> TestServersAndSqlite() {
  std::vector<std::string> all = TestServers();
  all.insert(all.begin(), "");
  return all;
}
inline std::string TestServerName(const testing::TestParamInfo<std::string>& info) {
  return info.param.empty() ? "Sqlite" : "Postgres";
}

// An expectation that says what failed, and where it was called.
inline void ExpectOk(const Status& status, const char* file = __builtin_FILE(),
                     int line = __builtin_LINE()) {
  if (!status.ok()) ADD_FAILURE_AT(file, line) << status.message();
}

}  // namespace sobre
