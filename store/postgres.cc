#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include <libpq-fe.h>
#include <poll.h>

#include "base/text.h"
#include "store/database.h"

namespace sobre {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kConnecting{5000};
constexpr milliseconds kBetweenConnects{1000};
// The server ends its statements first, so that it is known what became of them.
constexpr milliseconds kStatementTime{10'000};
constexpr milliseconds kStreamTime{600'000};
constexpr milliseconds kSilence{13'000};
// Rows that nobody wants any more are read to their end no longer than this.
constexpr milliseconds kDrain{1000};
constexpr std::size_t kMostPrepared = 64;

// Types by the number that they have in every PostgreSQL.
constexpr Oid kBool = 16;
constexpr Oid kBytea = 17;
constexpr Oid kInt8 = 20;
constexpr Oid kInt2 = 21;
constexpr Oid kInt4 = 23;
constexpr Oid kText = 25;
constexpr Oid kFloat4 = 700;
constexpr Oid kFloat8 = 701;
constexpr Oid kNumeric = 1700;

struct FinishConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
struct FreeMemory {
  void operator()(unsigned char* memory) const { PQfreemem(memory); }
};
using Connection = std::unique_ptr<PGconn, FinishConnection>;
using Answer = std::unique_ptr<PGresult, ClearResult>;

enum class Pace { kWhole, kStream };

// Whether any of `events` is there before `deadline`.
bool Await(int socket, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    pollfd one{socket, events, 0};
    const int ready = poll(&one, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

// The parameters of a statement in the form that libpq takes them. Not to be moved.
struct Arguments {
  explicit Arguments(std::span<const SqlValue> parameters) {
    texts.reserve(parameters.size());
    for (const SqlValue& parameter : parameters) Add(parameter);
  }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  [[nodiscard]] int Count() const { return static_cast<int>(values.size()); }

  std::vector<std::string> texts;
  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;
  std::vector<Oid> types;

 private:
  void Add(const SqlValue& parameter) {
    if (const auto* integer = std::get_if<std::int64_t>(&parameter))
      return AddText(std::to_string(*integer), kInt8);
    if (const auto* number = std::get_if<double>(&parameter))
      return AddText(FormatNumber(*number), kFloat8);
    if (const auto* text = std::get_if<std::string>(&parameter)) return Add(*text, 0, kText);
    if (const auto* blob = std::get_if<Blob>(&parameter)) return Add(blob->bytes, 1, kBytea);
    values.push_back(nullptr);
    lengths.push_back(0);
    formats.push_back(0);
    types.push_back(0);
  }
  void AddText(std::string text, Oid type) {
    texts.push_back(std::move(text));
    Add(texts.back(), 0, type);
  }
  void Add(const std::string& value, int format, Oid type) {
    values.push_back(value.c_str());
    lengths.push_back(static_cast<int>(value.size()));
    formats.push_back(format);
    types.push_back(type);
  }
};

template <class T>
std::optional<T> Parse(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

SqlValue Decode(Oid type, const char* bytes, std::size_t size) {
  const std::string_view text(bytes, size);
  if (type == kBool) return std::int64_t{text == "t"};
  if (type == kInt2 || type == kInt4 || type == kInt8 || type == kNumeric) {
    if (const auto integer = Parse<std::int64_t>(text)) return *integer;
  }
  if (type == kFloat4 || type == kFloat8 || type == kNumeric) {
    if (const auto number = Parse<double>(text)) return *number;
  }
  if (type == kBytea) {
    std::size_t length = 0;
    const auto* start = reinterpret_cast<const unsigned char*>(bytes);
    const std::unique_ptr<unsigned char, FreeMemory> plain(PQunescapeBytea(start, &length));
    return Blob{plain == nullptr ? std::string()
                                 : std::string(reinterpret_cast<const char*>(plain.get()), length)};
  }
  return std::string(text);
}

void DecodeRow(const PGresult* answer, int at, SqlRow& row) {
  row.resize(static_cast<std::size_t>(PQnfields(answer)));
  for (int column = 0; column < PQnfields(answer); ++column) {
    row[static_cast<std::size_t>(column)] =
        PQgetisnull(answer, at, column) != 0
            ? SqlValue()
            : Decode(PQftype(answer, column), PQgetvalue(answer, at, column),
                     static_cast<std::size_t>(PQgetlength(answer, at, column)));
  }
}

std::string_view Field(const PGresult* answer, int code) {
  const char* field = PQresultErrorField(answer, code);
  return field == nullptr ? std::string_view() : std::string_view(field);
}

// What an error means, by its SQLSTATE (empty: none was told, the connection failed).
Status Failure(std::string_view state, const std::string& message) {
  const std::string_view group = state.substr(0, 2);
  if (group == "28" || state == "42501")
    return Status::Denied(message + "; check the user, its password and its rights");
  if (state == "25006")
    return Status::Denied(message + "; is this a standby, rather than the primary?");
  if (group == "53") return Status::Unavailable(message + "; the server has not enough of it");
  // 08P01: a statement of ours that does not fit its parameters.
  if (state.empty() || (group == "08" && state != "08P01") || group == "40" || group == "57" ||
      group == "58" || state == "55P03" || state == "25P03")
    return Status::Unavailable(message);
  return Status::Invalid(message);
}

// Two that create the same at once, each if it is not there, can be in each other's way.
bool IsRaceToCreate(const PGresult* answer) {
  const std::string_view state = Field(answer, PG_DIAG_SQLSTATE);
  return state == "42P07" || state == "42710" ||
         (state == "23505" && Field(answer, PG_DIAG_SCHEMA_NAME) == "pg_catalog");
}

// The line about the last address that was tried, where there are several.
std::string LastAttempt(std::string_view message) {
  std::string_view last;
  for (const std::string_view line : Split(message, '\n')) {
    if (last.empty() || line.starts_with("connection to ")) last = line;
  }
  return std::string(last);
}

// libpq tells the SQLSTATE of a refused connection in its verbose message only: "FATAL:  28P01: …".
Status ConnectFailure(const PGconn* connection, const std::string& name) {
  std::string message = LastAttempt(PQerrorMessage(connection));
  std::string state;
  constexpr std::string_view kBefore = ":  ";
  constexpr std::size_t kStateLength = 5;
  if (const std::size_t at = message.find(kBefore); at != std::string::npos) {
    const std::string rest = message.substr(at + kBefore.size());
    if (rest.size() > kStateLength && rest[kStateLength] == ':') {
      state = rest.substr(0, kStateLength);
      message = message.substr(0, at + 1) + rest.substr(kStateLength + 1);
    }
  }
  if (PQconnectionNeedsPassword(connection) != 0) state = "28P01";
  return Failure(state, name + ": " + Printable(message, 400));
}

class Postgres final : public Database {
 public:
  Postgres(std::string connection, std::string password, std::string name)
      : options_(std::move(connection)), password_(std::move(password)), name_(std::move(name)) {}

  Status ForEach(const std::string& sql, std::span<const SqlValue> parameters,
                 const EachRow& each) override {
    return Guarded(sql, parameters, each, Pace::kStream);
  }

  [[nodiscard]] std::string Name() const override { return name_; }

 private:
  Status Execute(const std::string& sql, std::span<const SqlValue> parameters,
                 const EachRow& each) override {
    return Guarded(sql, parameters, each, Pace::kWhole);
  }

  Status Begin() override { return Run("BEGIN"); }

  Status Commit() override {
    if (Status status = Control("COMMIT"); !status.ok()) return status;
    // What the server makes of a COMMIT after an error.
    return command_ == "ROLLBACK"
               ? Status::Invalid(name_ + ": a statement before it failed in this transaction")
               : Status();
  }

  void Rollback() override {
    if (connection_ == nullptr) return;
    const bool open = PQtransactionStatus(connection_.get()) != PQTRANS_IDLE;
    if (open && !Control("ROLLBACK").ok()) Drop();
    // It takes back what was set in it, too.
    server_pace_.reset();
  }

  // Ends a transaction, in which nothing else may be possible any more.
  Status Control(const std::string& sql) {
    if (Status status = Connected(); !status.ok()) return status;
    deadline_ = Clock::now() + kSilence;
    return Command(sql);
  }

  Status Guarded(const std::string& sql, std::span<const SqlValue> parameters, const EachRow& each,
                 Pace pace) {
    if (running_) return Status::Invalid(name_ + ": a statement within another's rows");
    running_ = true;
    raced_ = false;
    Status status = Statement(sql, parameters, each, pace);
    if (raced_ && !InTransaction()) status = Statement(sql, parameters, each, pace);
    running_ = false;
    return status;
  }

  Status Statement(const std::string& sql, std::span<const SqlValue> parameters,
                   const EachRow& each, Pace pace) {
    if (Status status = CheckParameters(parameters); !status.ok()) return status.WithContext(name_);
    if (Status status = Connected(); !status.ok()) return status;
    deadline_ = Clock::now() + kSilence;
    if (Status status = SetPace(pace); !status.ok()) return status;
    const Arguments arguments(parameters);
    Result<std::string> prepared = std::string();
    if (arguments.Count() > 0) prepared = Prepared(sql, arguments);
    if (!prepared.ok()) return prepared.status();
    const int sent =
        arguments.Count() == 0
            ? PQsendQueryParams(connection_.get(), sql.c_str(), 0, nullptr, nullptr, nullptr,
                                nullptr, 0)
            : PQsendQueryPrepared(connection_.get(), prepared->c_str(), arguments.Count(),
                                  arguments.values.data(), arguments.lengths.data(),
                                  arguments.formats.data(), 0);
    if (sent == 0) return Lost();
    PQsetSingleRowMode(connection_.get());
    return Receive(sql, each, pace);
  }

  // Reads the answers to what was sent.
  Status Receive(const std::string& sql, const EachRow& each, Pace pace) {
    Status outcome;
    SqlRow row;
    for (;;) {
      Result<Answer> next = Next();
      // After an error of `each` only the rest is missing.
      if (!next.ok()) return outcome.ok() ? next.status() : outcome;
      const PGresult* answer = next->get();
      if (answer == nullptr) return outcome;
      const ExecStatusType kind = PQresultStatus(answer);
      if (kind == PGRES_SINGLE_TUPLE || kind == PGRES_TUPLES_OK || kind == PGRES_COMMAND_OK) {
        command_ = PQcmdStatus(next->get());
        for (int at = 0; at < PQntuples(answer) && outcome.ok(); ++at) {
          DecodeRow(answer, at, row);
          outcome = each(row);
          if (!outcome.ok()) deadline_ = Clock::now() + kDrain;
        }
        if (outcome.ok() && pace == Pace::kStream) deadline_ = Clock::now() + kSilence;
      } else if (kind == PGRES_FATAL_ERROR) {
        const Status error = AnswerError(answer, sql);
        if (outcome.ok()) outcome = error;
        if (connection_ == nullptr) return outcome;
      } else {
        Drop();
        return Status::Invalid(name_ + ": not a statement with rows: " + Printable(sql));
      }
    }
  }

  Status AnswerError(const PGresult* answer, const std::string& sql) {
    const std::string_view state = Field(answer, PG_DIAG_SQLSTATE);
    const std::string_view severity = Field(answer, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (state.empty()) return Lost();
    raced_ = IsRaceToCreate(answer);
    Status status =
        Failure(state, name_ + ": " + Printable(Field(answer, PG_DIAG_MESSAGE_PRIMARY), 400) +
                           " (" + std::string(state) + ", at: " + Printable(sql) + ")");
    // The server ends the connection with these.
    if (severity == "FATAL" || severity == "PANIC") Drop();
    return status;
  }

  // The next answer; none where there are no more. An error is a lost connection.
  Result<Answer> Next() {
    PGconn* connection = connection_.get();
    for (;;) {
      if (Clock::now() > deadline_) return Silent();
      const int unsent = PQflush(connection);
      if (unsent < 0) return Lost();
      if (unsent == 0 && PQisBusy(connection) == 0) return Answer(PQgetResult(connection));
      const short events = static_cast<short>(unsent == 0 ? POLLIN : POLLIN | POLLOUT);
      if (!Await(PQsocket(connection), events, deadline_)) return Silent();
      if (PQconsumeInput(connection) == 0) return Lost();
    }
  }

  Status Lost() {
    std::string message = PQerrorMessage(connection_.get());
    message.resize(std::min(message.size(), message.find('\n')));
    Drop();
    return Status::Unavailable(name_ + ": the connection was lost: " + Printable(message, 400));
  }

  Status Silent() {
    Drop();
    return Status::Unavailable(name_ + ": the server did not answer in time");
  }

  void Drop() {
    connection_.reset();
    prepared_.clear();
    server_pace_.reset();
  }

  // A connection that has nothing to say; a new one where the last was lost.
  Status Connected() {
    if (connection_ != nullptr && !InTransaction()) LookAlive();
    if (connection_ != nullptr) return {};
    if (InTransaction())
      return Status::Unavailable(name_ + ": the connection was lost within the transaction");
    if (next_connect_ && Clock::now() < *next_connect_)
      return problem_.ok() ? Status::Unavailable(name_ + ": the connection was lost; it is tried " +
                                                 "again in a second")
                           : problem_;
    problem_ = Connect();
    if (!problem_.ok()) Drop();
    next_connect_ = Clock::now() + kBetweenConnects;
    return problem_;
  }

  // Notices that the server has closed the connection before something is sent in vain.
  void LookAlive() {
    constexpr int kMostReads = 4;
    for (int i = 0; i < kMostReads; ++i) {
      if (!Await(PQsocket(connection_.get()), POLLIN, Clock::now())) return;
      if (PQconsumeInput(connection_.get()) == 0) return Drop();
    }
  }

  Status Connect() {
    // What stands before `dbname` is overridden by what stands in it.
    constexpr std::array kKeys = {
        "application_name", "keepalives",       "keepalives_idle", "keepalives_interval",
        "keepalives_count", "tcp_user_timeout", "dbname",          "client_encoding"};
    std::vector<const char*> keys(kKeys.begin(), kKeys.end());
    std::vector<const char*> values = {"sobre",          "1",   "30", "10", "3", "10000",
                                       options_.c_str(), "UTF8"};
    if (!password_.empty()) {
      keys.push_back("password");
      values.push_back(password_.c_str());
    }
    keys.push_back(nullptr);
    values.push_back(nullptr);
    deadline_ = Clock::now() + kConnecting;
    connection_.reset(PQconnectStartParams(keys.data(), values.data(), 1));
    PGconn* connection = connection_.get();
    if (connection == nullptr) return Status::Unavailable(name_ + ": out of memory");
    PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(
        connection, [](void*, const PGresult*) {}, nullptr);
    PostgresPollingStatusType step =
        PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (step != PGRES_POLLING_OK) {
      if (step == PGRES_POLLING_FAILED) return ConnectFailure(connection, name_);
      if (!Await(PQsocket(connection), step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_))
        return Status::Unavailable(name_ + ": no connection within " +
                                   std::to_string(kConnecting.count() / 1000) +
                                   " s; is the address right, and is the way there open?");
      step = PQconnectPoll(connection);
    }
    PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
    PQsetnonblocking(connection, 1);
    return Command(
        "SET extra_float_digits = 1; SET bytea_output = 'hex'; SET lock_timeout = '5s'; "
        "SET idle_in_transaction_session_timeout = '60s'");
  }

  // Statements of our own, without rows.
  Status Command(const std::string& sql) {
    if (PQsendQuery(connection_.get(), sql.c_str()) == 0) return Lost();
    return Receive(
        sql, [](const SqlRow&) { return Status(); }, Pace::kWhole);
  }

  // How long the server lets a statement take.
  Status SetPace(Pace pace) {
    if (server_pace_ == pace) return {};
    const milliseconds most = pace == Pace::kStream ? kStreamTime : kStatementTime;
    if (Status status = Command("SET statement_timeout = " + std::to_string(most.count()));
        !status.ok())
      return status;
    server_pace_ = pace;
    return {};
  }

  // The name under which the server has the statement, for parameters of these types.
  Result<std::string> Prepared(const std::string& sql, const Arguments& arguments) {
    const auto key = std::make_pair(sql, arguments.types);
    if (const auto found = prepared_.find(key); found != prepared_.end()) return found->second;
    if (prepared_.size() >= kMostPrepared) {
      if (Status status = Command("DEALLOCATE ALL"); !status.ok()) return status;
      prepared_.clear();
    }
    const std::string name = "s" + std::to_string(++statements_);
    if (PQsendPrepare(connection_.get(), name.c_str(), sql.c_str(), arguments.Count(),
                      arguments.types.data()) == 0)
      return Lost();
    if (Status status = Receive(
            sql, [](const SqlRow&) { return Status(); }, Pace::kWhole);
        !status.ok())
      return status;
    prepared_.emplace(key, name);
    return name;
  }

  const std::string options_;
  const std::string password_;
  const std::string name_;
  Connection connection_;
  std::optional<Clock::time_point> next_connect_;
  Status problem_;  // why the last attempt to connect failed
  std::map<std::pair<std::string, std::vector<Oid>>, std::string> prepared_;
  std::uint64_t statements_ = 0;
  std::optional<Pace> server_pace_;
  Clock::time_point deadline_;  // of the statement under way
  std::string command_;         // what the last statement was to the server
  bool running_ = false;
  bool raced_ = false;
};

bool MayHoldPassword(std::string_view connection) {
  if (connection.find("password") != std::string_view::npos) return true;
  const std::size_t scheme = connection.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view rest = connection.substr(scheme + 3);
  return rest.substr(0, rest.rfind('@')).find(':') != std::string_view::npos;
}

// "postgresql://user@host:port/name", of what `options` say.
std::string ServerName(const PQconninfoOption* options) {
  const auto value = [&](std::string_view key) {
    for (const PQconninfoOption* one = options; one->keyword != nullptr; ++one) {
      if (one->keyword == key && one->val != nullptr) return std::string(one->val);
    }
    return std::string();
  };
  std::string name = "postgresql://";
  if (const std::string user = value("user"); !user.empty()) name += user + "@";
  name += value("host").empty() ? value("hostaddr") : value("host");
  if (const std::string port = value("port"); !port.empty()) name += ":" + port;
  return name + "/" + value("dbname");
}

}  // namespace

Result<std::unique_ptr<Database>> OpenPostgres(const std::string& connection,
                                               const std::string& password) {
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(
      PQconninfoParse(connection.c_str(), &message));
  const std::string why = message == nullptr ? "out of memory" : std::string(Trim(message));
  PQfreemem(message);
  if (options == nullptr)
    return Status::Invalid(
        "no connection to a PostgreSQL server is described by this; write " +
        std::string("\"postgresql://user@host:5432/name\" or \"host=… user=… dbname=…\"") +
        (MayHoldPassword(connection) ? std::string() : " (" + why + ")"));
  std::unique_ptr<Database> database =
      std::make_unique<Postgres>(connection, password, ServerName(options.get()));
  return database;
}

}  // namespace sobre
