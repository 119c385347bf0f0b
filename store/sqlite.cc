#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string_view>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/text.h"
#include "store/database.h"

namespace sobre {
namespace {

constexpr int kBusyMs = 5000;
constexpr std::size_t kMostStatements = 64;

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
// A statement that is not reset keeps its locks.
struct ResetStatement {
  void operator()(sqlite3_stmt* statement) const {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};
using Handle = std::unique_ptr<sqlite3, CloseDatabase>;

int Primary(int code) { return code & 0xff; }

// What went wrong at `path`, and what to do.
Status Failure(int code, const std::string& path, std::string_view detail) {
  // Of a damaged file it has the file's own bytes.
  constexpr std::size_t kMost = 1000;
  const std::string said = Printable(detail, kMost);
  const std::string why = " (" + said + ")";
  switch (Primary(code)) {
    case SQLITE_FULL:
      return Status::Unavailable(
          path + ": no space is left for it; enlarge its volume or free some" + why);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Status::Unavailable(path + ": another program has held it for " +
                                 std::to_string(kBusyMs / 1000) + " s" + why);
    case SQLITE_IOERR:
      return Status::Unavailable(path + ": its disk cannot be read or written; look into the " +
                                 "system's log (" + said + ", " + std::to_string(code) + ")");
    case SQLITE_NOMEM:
      return Status::Unavailable(path + ": out of memory");
    case SQLITE_CANTOPEN:
      return Status::Unavailable(
          path + ": cannot be opened; check that its folder is there, and who may " + "use both" +
          why);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Status::Denied(path + ": cannot be written; check who owns it, its folder and how " +
                            "its volume is mounted" + why);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Status::Damaged(path + ": the file is damaged, or is no SQLite database; move it " +
                             "away with its -wal and -shm, and put back a copy" + why);
    default:
      return Status::Invalid(path + ": " + said);
  }
}

Result<Handle> OpenHandle(const std::string& name, int flags, const std::string& path) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &raw,
                                   flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Handle handle(raw);
  if (code != SQLITE_OK)
    return Failure(code, path, raw == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(raw));
  sqlite3_busy_timeout(raw, kBusyMs);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return handle;
}

int Bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
  // The caller's values outlive the statement's run.
  if (const auto* integer = std::get_if<std::int64_t>(&value))
    return sqlite3_bind_int64(statement, index, *integer);
  if (const auto* number = std::get_if<double>(&value))
    return sqlite3_bind_double(statement, index, *number);
  if (const auto* text = std::get_if<std::string>(&value))
    return sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_STATIC,
                               SQLITE_UTF8);
  if (const auto* blob = std::get_if<Blob>(&value))
    return sqlite3_bind_blob64(statement, index, blob->bytes.data(), blob->bytes.size(),
                               SQLITE_STATIC);
  return sqlite3_bind_null(statement, index);
}

SqlValue Column(sqlite3_stmt* statement, int column) {
  const auto bytes = [&](const void* start) {
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
    return size == 0 ? std::string() : std::string(static_cast<const char*>(start), size);
  };
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return std::int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT:
      return bytes(sqlite3_column_text(statement, column));
    case SQLITE_BLOB:
      return Blob{bytes(sqlite3_column_blob(statement, column))};
    default:
      return std::monostate();
  }
}

class Sqlite final : public Database {
 public:
  Sqlite(std::string path, SqliteMode mode, Handle handle)
      : path_(std::move(path)), mode_(mode), database_(std::move(handle)) {}

  Status ForEach(const std::string& sql, std::span<const SqlValue> parameters,
                 const EachRow& each) override {
    if (running_) return Status::Invalid(path_ + ": a statement within another's rows");
    // SQLite may have rolled back by itself: what comes after must not be kept on its own.
    if (InTransaction() && failed_)
      return Status::Invalid(path_ + ": a statement before it failed in this transaction");
    bool theirs = false;
    running_ = true;
    Status status = Step(sql, parameters, each, theirs);
    running_ = false;
    if (!status.ok() && !theirs) failed_ = true;
    return status;
  }

  [[nodiscard]] std::string Name() const override { return path_; }

 private:
  Status Begin() override {
    if (Status status = Run(mode_ == SqliteMode::kReadOnly ? "BEGIN" : "BEGIN IMMEDIATE");
        !status.ok())
      return status;
    failed_ = false;
    return {};
  }

  Status Commit() override { return Run("COMMIT"); }

  void Rollback() override {
    failed_ = false;
    if (sqlite3_get_autocommit(database_.get()) == 0) std::ignore = Run("ROLLBACK");
  }

  // A file that was removed or replaced goes on being written, and nobody can ever read it; a WAL
  // that was takes with it whatever is not in the file yet. This connection is of no use then.
  Status CheckFiles() {
    if (InTransaction() || mode_ == SqliteMode::kReadOnly) return {};
    int moved = 0;
    if (sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved) ==
            SQLITE_OK &&
        moved != 0)
      return Status::Unavailable(
          path_ +
          ": it was removed or replaced while it was written; what stood there is lost, and it "
          "is begun anew");
    struct stat now {};
    const bool there = ::stat((path_ + "-wal").c_str(), &now) == 0;
    // It is there from the first statement on until the last connection is closed.
    if (!wal_) {
      if (there) wal_ = now.st_ino;
      return {};
    }
    if (there && *wal_ == now.st_ino) return {};
    // Nobody else has begun another: what we can still read goes into the file.
    if (!there)
      sqlite3_wal_checkpoint_v2(database_.get(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                                nullptr);
    return Status::Unavailable(path_ +
                               "-wal: it was removed or replaced while it was written; the file "
                               "is opened anew");
  }

  // `theirs`: the error is that of `each`.
  Status Step(const std::string& sql, std::span<const SqlValue> parameters, const EachRow& each,
              bool& theirs) {
    if (Status status = CheckFiles(); !status.ok()) return status;
    if (Status status = CheckParameters(parameters); !status.ok()) return status.WithContext(path_);
    Result<sqlite3_stmt*> prepared = Prepare(sql);
    if (!prepared.ok()) return prepared.status();
    const std::unique_ptr<sqlite3_stmt, ResetStatement> statement(*prepared);
    if (Status status = BindAll(statement.get(), sql, parameters); !status.ok()) return status;
    SqlRow row(static_cast<std::size_t>(sqlite3_column_count(statement.get())));
    for (;;) {
      const int code = sqlite3_step(statement.get());
      if (code == SQLITE_DONE) return {};
      if (code != SQLITE_ROW) return Error(code, sql);
      for (std::size_t i = 0; i < row.size(); ++i)
        row[i] = Column(statement.get(), static_cast<int>(i));
      if (Status status = each(row); !status.ok()) {
        theirs = true;
        return status;
      }
    }
  }

  Result<sqlite3_stmt*> Prepare(const std::string& sql) {
    if (const auto found = statements_.find(sql); found != statements_.end())
      return found->second.get();
    sqlite3_stmt* raw = nullptr;
    const char* tail = nullptr;
    const int code = sqlite3_prepare_v3(database_.get(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT,
                                        &raw, &tail);
    std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement(raw);
    if (code != SQLITE_OK) return Error(code, sql);
    if (raw == nullptr || !Trim(tail).empty())
      return Status::Invalid(path_ + ": not one statement: " + Printable(sql));
    if (statements_.size() >= kMostStatements) statements_.clear();
    statements_.emplace(sql, std::move(statement));
    return raw;
  }

  Status BindAll(sqlite3_stmt* statement, const std::string& sql,
                 std::span<const SqlValue> parameters) {
    const auto wanted = static_cast<std::size_t>(sqlite3_bind_parameter_count(statement));
    if (wanted != parameters.size())
      return Status::Invalid(path_ + ": " + std::to_string(wanted) + " parameters wanted, " +
                             std::to_string(parameters.size()) + " given: " + Printable(sql));
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const int index =
          sqlite3_bind_parameter_index(statement, ("$" + std::to_string(i + 1)).c_str());
      if (const int code = Bind(statement, index, parameters[i]); code != SQLITE_OK)
        return Error(code, sql);
    }
    return {};
  }

  [[nodiscard]] Status Error(int code, const std::string& sql) const {
    return Failure(code, path_,
                   std::string(sqlite3_errmsg(database_.get())) + ", at: " + Printable(sql));
  }

  const std::string path_;
  const SqliteMode mode_;
  const Handle database_;
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, FinalizeStatement>> statements_;
  std::optional<ino_t> wal_;  // nothing until it was seen
  bool running_ = false;
  bool failed_ = false;  // a statement of the current transaction
};

// Another program that opens the same new file can be in the way without SQLite waiting for it.
Status RunPatiently(Database& database, const std::string& sql) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBusyMs);
  for (;;) {
    Status status = database.Run(sql);
    if (status.code() != ErrorCode::kUnavailable || std::chrono::steady_clock::now() > end)
      return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Result<std::unique_ptr<Database>> OpenReadWrite(const std::string& path) {
  Result<Handle> handle = OpenHandle(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, path);
  if (!handle.ok()) return handle.status();
  const bool only_readable = sqlite3_db_readonly(handle->get(), "main") == 1;
  if (only_readable) return Failure(SQLITE_READONLY, path, "it can only be read");
  std::unique_ptr<Database> database =
      std::make_unique<Sqlite>(path, SqliteMode::kReadWrite, *std::move(handle));
  // auto_vacuum counts while the file is empty, which it is no longer once it has a WAL. Sorting in
  // memory needs no folder for temporary files.
  for (const char* pragma : {"PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA journal_mode = WAL",
                             "PRAGMA synchronous = FULL", "PRAGMA journal_size_limit = 67108864",
                             "PRAGMA temp_store = MEMORY", "PRAGMA trusted_schema = OFF",
                             "PRAGMA cell_size_check = ON"}) {
    if (Status status = RunPatiently(*database, pragma); !status.ok()) return status;
  }
  return database;
}

// Where neither the WAL nor its index can be made: the file alone, which then nobody may change.
Result<Handle> OpenImmutable(const std::string& path) {
  std::error_code ignored;
  const std::filesystem::path real = std::filesystem::canonical(path, ignored);
  const auto wal = std::filesystem::file_size(real.string() + "-wal", ignored);
  if (!ignored && wal > 0)
    return Status::Denied(path + ": its last entries are in its -wal, which cannot be read in a " +
                          "folder that cannot be written; copy both to another folder");
  return OpenHandle("file:" + PercentEncode(path) + "?immutable=1",
                    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, path);
}

Result<std::unique_ptr<Database>> OpenReadOnly(const std::string& path) {
  constexpr std::array kPragmas = {"PRAGMA temp_store = MEMORY", "PRAGMA trusted_schema = OFF",
                                   "PRAGMA cell_size_check = ON"};
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return Status::NotFound(path + ": there is no such file");
  Result<Handle> handle = OpenHandle(path, SQLITE_OPEN_READONLY, path);
  if (!handle.ok()) return handle.status();
  // Opening reads nothing yet.
  const int code =
      sqlite3_exec(handle->get(), "SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr);
  const bool alone = Primary(code) == SQLITE_CANTOPEN || Primary(code) == SQLITE_READONLY;
  if (code != SQLITE_OK && !alone) return Failure(code, path, sqlite3_errmsg(handle->get()));
  if (alone) handle = OpenImmutable(path);
  if (!handle.ok()) return handle.status();
  std::unique_ptr<Database> database =
      std::make_unique<Sqlite>(path, SqliteMode::kReadOnly, *std::move(handle));
  for (const char* pragma : kPragmas) {
    if (Status status = database->Run(pragma); !status.ok()) return status;
  }
  return database;
}

}  // namespace

Result<std::unique_ptr<Database>> OpenSqlite(const std::string& path, SqliteMode mode) {
  if (path.empty()) return Status::Invalid("the path of the database is empty");
  // SQLite gives a meaning to names such as ":memory:".
  std::error_code failed;
  const std::string absolute = std::filesystem::absolute(path, failed).string();
  if (failed) return Status::Unavailable(path + ": " + failed.message());
  return mode == SqliteMode::kReadWrite ? OpenReadWrite(absolute) : OpenReadOnly(absolute);
}

}  // namespace sobre
