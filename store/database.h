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
// Text is UTF-8 without NUL bytes (kInvalid otherwise), a number is finite. All come back exactly
// as they went in; only SQLite forgets the sign of a zero.
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string, Blob>;
using SqlRow = std::vector<SqlValue>;

// One connection to a database: SQLite's file or a PostgreSQL server, which understand the same
// statements here (BIGINT, DOUBLE PRECISION, TEXT, BYTEA; INSERT … ON CONFLICT; $1, $2 …, each
// first used in that order). Errors: kUnavailable where waiting may help (no space, locked, no
// connection, not in time), kDamaged for a file that is no database, kDenied for a read-only place
// or a refused user, kInvalid for anything else, such as a damaged file. For one thread at a time.
class Database {
 public:
  virtual ~Database() = default;
  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs one statement and hands on each row as it comes, so that a result may be larger than
  // memory. An error of `each` ends it and is returned; `each` must not use this database.
  using EachRow = std::function<Status(const SqlRow&)>;
  virtual Status ForEach(const std::string& sql, std::span<const SqlValue> parameters,
                         const EachRow& each) = 0;
  Status Run(const std::string& sql, std::span<const SqlValue> parameters = {});
  Result<std::vector<SqlRow>> Rows(const std::string& sql,
                                   std::span<const SqlValue> parameters = {});
  // All of `work`, or nothing of it, also where the process dies in between. Once a statement in it
  // failed, the others fail too. Not nested. Where a server is lost while it commits, nobody can
  // know which it was: kUnavailable, so work that is done again must not count twice.
  Status Transact(const std::function<Status()>& work);
  // Where it is, for messages: a path, or a server without its password.
  [[nodiscard]] virtual std::string Name() const = 0;

 protected:
  [[nodiscard]] bool InTransaction() const { return in_transaction_; }

 private:
  // As ForEach, for a statement that is over soon and whose rows fit into memory.
  virtual Status Execute(const std::string& sql, std::span<const SqlValue> parameters,
                         const EachRow& each) {
    return ForEach(sql, parameters, each);
  }
  // Begin takes the write lock at once where there is one, so that nobody waits for it in the
  // middle.
  virtual Status Begin() = 0;
  virtual Status Commit() = 0;
  virtual void Rollback() = 0;

  bool in_transaction_ = false;
};

// kInvalid where a text among them is not UTF-8 or holds a NUL byte, which not every database can
// keep.
Status CheckParameters(std::span<const SqlValue> parameters);

// Columns of a row, where the statement says what they hold; anything else is zero or empty. A
// whole number is a Number too.
std::int64_t Integer(const SqlValue& value);
double Number(const SqlValue& value);
std::string Text(const SqlValue& value);
std::string Bytes(const SqlValue& value);

enum class SqliteMode { kReadWrite, kReadOnly };
// Creates the file where there is none (read-write). Where the file or its WAL is taken away while
// it is written, the next statement says so, once as much as can be was saved (kUnavailable): open
// it anew. WAL; a commit is on the disk when it returns; waits at most 5 s for another writer.
// kNotFound where a file that is only read is not there; it may be in a folder that cannot be
// written.
Result<std::unique_ptr<Database>> OpenSqlite(const std::string& path, SqliteMode mode);

// `connection` is libpq's: "postgresql://user@host/name?sslmode=verify-full" or "host=… dbname=…".
// Connects at the first statement (within 5 s), and again after a lost connection, at most once a
// second; until then kUnavailable. A statement takes 10 s at most; ForEach's takes 10 min, if it
// never keeps us waiting for longer than 13 s. A server that does not answer is given up
// after 13 s, and one gives us up that is silent for 60 s within a transaction. A pooler must pool
// by session. The name of a host is looked up as long as the system's resolver takes.
Result<std::unique_ptr<Database>> OpenPostgres(const std::string& connection,
                                               const std::string& password = {});

}  // namespace sobre
