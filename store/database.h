#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"

namespace sobre {

// A value of SQL, as a parameter or in a row.
struct Blob {
  std::string bytes;
  friend bool operator==(const Blob&, const Blob&) = default;
};
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string, Blob>;
using SqlRow = std::vector<SqlValue>;

// One connection to a database: SQLite's file or a PostgreSQL server, which understand the same
// statements here (BIGINT, DOUBLE PRECISION, TEXT, BYTEA; INSERT … ON CONFLICT; $1, $2 …, each
// first used in that order). Errors: kUnavailable where waiting may help (no space, locked, no
// connection), kDenied for a read-only place, kInvalid for anything else. For one thread at a time.
class Database {
 public:
  virtual ~Database() = default;
  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs one statement and hands on each row as it comes. An error of `each` ends it and is
  // returned.
  using EachRow = std::function<Status(const SqlRow&)>;
  virtual Status ForEach(const std::string& sql, std::span<const SqlValue> parameters,
                         const EachRow& each) = 0;
  Status Run(const std::string& sql, std::span<const SqlValue> parameters = {});
  Result<std::vector<SqlRow>> Rows(const std::string& sql,
                                   std::span<const SqlValue> parameters = {});
  // All of `work`, or nothing of it, also where the process dies in between. Not nested.
  Status Transact(const std::function<Status()>& work);
  // Where it is, for messages: a path, or a server without its password.
  [[nodiscard]] virtual std::string Name() const = 0;

 private:
  // Begin takes the write lock at once, so that nobody waits for it in the middle.
  virtual Status Begin() = 0;
  virtual Status Commit() = 0;
  virtual void Rollback() = 0;
};

// Columns of a row, where the statement says what they hold; anything else is zero or empty.
std::int64_t Integer(const SqlValue& value);
double Number(const SqlValue& value);
std::string Text(const SqlValue& value);
std::string Bytes(const SqlValue& value);

enum class SqliteMode { kReadWrite, kReadOnly };
// Creates the file where there is none (read-write). WAL; a commit is on the disk when it returns;
// waits at most 5 s for another writer.
Result<std::unique_ptr<Database>> OpenSqlite(const std::string& path, SqliteMode mode);

// `connection` is libpq's: "postgresql://user@host/name?sslmode=verify-full" or "host=… dbname=…".
// Connects at the first statement, and again after a lost connection, at most once a second;
// until then kUnavailable. A statement takes 10 s at most.
Result<std::unique_ptr<Database>> OpenPostgres(const std::string& connection,
                                               const std::string& password = {});

}  // namespace sobre
