#include <array>
#include <atomic>
#include <iostream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "store/database.h"
#include "store/test_databases.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Somebody who listens, and is no PostgreSQL.
class Listener {
 public:
  Listener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, generic, size), 0);
    EXPECT_EQ(listen(socket_, 64), 0);
    EXPECT_EQ(getsockname(socket_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    shutdown(socket_, SHUT_RDWR);
    close(socket_);
  }
  // The next caller is shut out; false once there is nobody to come.
  bool ShutOut() {
    const int caller = accept(socket_, nullptr, nullptr);
    if (caller >= 0) close(caller);
    return caller >= 0;
  }
  void Stop() { shutdown(socket_, SHUT_RDWR); }
  [[nodiscard]] std::string Where() const {
    return "postgresql://user@127.0.0.1:" + std::to_string(port_) + "/name?sslmode=disable";
  }

 private:
  int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port_ = 0;
};

std::unique_ptr<Database> Open(const std::string& connection, const std::string& password = {}) {
  auto database = OpenPostgres(connection, password);
  EXPECT_TRUE(database.ok()) << database.status().message();
  return database.ok() ? *std::move(database) : nullptr;
}

TEST(PostgresConnection, ItsNameIsWithoutThePassword) {
  EXPECT_EQ(Open("postgresql://ann:s3cret@db.example:5433/sobre?sslmode=require")->Name(),
            "postgresql://ann@db.example:5433/sobre");
  EXPECT_EQ(Open("host=db user=ann password=s3cret dbname=sobre")->Name(),
            "postgresql://ann@db/sobre");
  EXPECT_EQ(Open("dbname=sobre", "s3cret")->Name(), "postgresql:///sobre");
}

TEST(PostgresConnection, WhatIsNoneIsSaidWithoutThePassword) {
  const Status typo = OpenPostgres("postgresql://ann@db/sobre?sslmod=require").status();
  EXPECT_EQ(typo.code(), ErrorCode::kInvalid);
  EXPECT_THAT(typo.message(), HasSubstr("\"sslmod\""));
  for (const char* connection :
       {"postgresql://ann:s3cret@db/sobre?sslmod=require", "host=db password=a s3cret",
        "postgresql://ann:s3cret@[db/sobre"}) {
    const Status status = OpenPostgres(connection).status();
    EXPECT_EQ(status.code(), ErrorCode::kInvalid) << connection;
    EXPECT_THAT(status.message(), Not(HasSubstr("s3cret")));
    EXPECT_THAT(status.message(), HasSubstr("write \"postgresql://user@host:5432/name\""));
  }
}

TEST(PostgresConnection, NobodyThereIsUnavailable) {
  std::string where;
  { where = Listener().Where(); }
  const auto database = Open(where);
  const Status status = database->Run("SELECT 1");
  EXPECT_EQ(status.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr(database->Name()));
  EXPECT_THAT(status.message(), HasSubstr("Connection refused"));
  EXPECT_EQ(database->Transact([] { return Status(); }).code(), ErrorCode::kUnavailable);
}

TEST(PostgresConnection, SomebodySilentIsGivenUp) {
  const Listener listener;
  const Status status = Open(listener.Where())->Run("SELECT 1");
  EXPECT_EQ(status.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("no connection within 5 s"));
}

TEST(PostgresConnection, IsNotTriedAgainAtOnce) {
  Listener listener;
  std::atomic<int> callers = 0;
  std::jthread door([&] {
    while (listener.ShutOut()) ++callers;
  });
  const auto database = Open(listener.Where());
  constexpr int kStatements = 10'000;
  for (int i = 0; i < kStatements; ++i)
    ASSERT_EQ(database->Run("SELECT 1").code(), ErrorCode::kUnavailable);
  listener.Stop();
  door.join();
  EXPECT_GE(callers, 1);
  EXPECT_LT(callers, kStatements / 10);
}

// These need a server.
class PostgresServer : public testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PostgresServer);
INSTANTIATE_TEST_SUITE_P(All, PostgresServer, testing::ValuesIn(TestServers()), TestServerName);

std::string Setting(Database& database, const std::string& name) {
  return Text(database.Rows("SHOW " + name)->front().front());
}

TEST_P(PostgresServer, StatementsAreBoundedAndReadingHasMoreTime) {
  const auto database = Open(GetParam());
  const auto read_setting = [&] {
    std::string value;
    ExpectOk(database->ForEach("SHOW statement_timeout", {}, [&](const SqlRow& row) {
      value = Text(row.front());
      return Status();
    }));
    return value;
  };
  EXPECT_EQ(Setting(*database, "statement_timeout"), "10s");
  EXPECT_EQ(read_setting(), "10min");
  EXPECT_EQ(Setting(*database, "statement_timeout"), "10s");
  EXPECT_EQ(Setting(*database, "lock_timeout"), "5s");
  EXPECT_EQ(Setting(*database, "application_name"), "sobre");
  EXPECT_EQ(Setting(*database, "client_encoding"), "UTF8");
  // A rollback takes back what was set in it.
  std::ignore = database->Transact([&]() -> Status {
    EXPECT_EQ(read_setting(), "10min");
    return Status::Gone("");
  });
  EXPECT_EQ(Setting(*database, "statement_timeout"), "10s");
}

TEST_P(PostgresServer, AStatementThatTakesTooLongIsEnded) {
  const auto database = Open(GetParam());
  const Status status = database->Run("SELECT pg_sleep(60)");
  EXPECT_EQ(status.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("statement timeout"));
  ExpectOk(database->Run("SELECT 1"));
}

TEST_P(PostgresServer, WhatMayNotBeWrittenIsDenied) {
  const TestDatabase place(GetParam());
  const auto database = Open(place.Where() + "%20-cdefault_transaction_read_only%3Don");
  const Status status = database->Run("CREATE TABLE kept(n BIGINT)");
  EXPECT_EQ(status.code(), ErrorCode::kDenied);
  EXPECT_THAT(status.message(), HasSubstr("standby"));
}

TEST_P(PostgresServer, CopyIsNoStatementHere) {
  const TestDatabase place(GetParam());
  const auto database = place.Open();
  EXPECT_EQ(database->Run("COPY (SELECT 1) TO STDOUT").code(), ErrorCode::kInvalid);
}

TEST_P(PostgresServer, TwoThatMakeTheSameTableAreNotInEachOthersWay) {
  const TestDatabase place(GetParam());
  for (int round = 0; round < 10; ++round) {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&] {
        ExpectOk(place.Open()->Run("CREATE TABLE IF NOT EXISTS t" + std::to_string(round) +
                                   "(n BIGINT PRIMARY KEY, t TEXT)"));
      });
    }
  }
}

// For a test that does things to the server meanwhile: runs each line of the standard input on one
// connection and answers with a line "> code message". BEGIN and COMMIT enclose a transaction.
class Lines {
 public:
  explicit Lines(Database& database) : database_(database) {}
  void Answer() {
    for (std::string line; std::getline(std::cin, line) && line != "COMMIT";)
      Tell(line == "BEGIN" ? Transact() : database_.Run(line));
  }

 private:
  Status Transact() {
    return database_.Transact([&]() -> Status {
      Tell({});
      Answer();
      return {};
    });
  }
  static void Tell(const Status& status) {
    static constexpr std::array kNames = {"ok",      "invalid", "not-found", "unavailable",
                                          "timeout", "denied",  "gone",      "too-large"};
    std::cout << "> " << kNames[static_cast<std::size_t>(status.code())] << ' ' << status.message()
              << std::endl;  // NOLINT(performance-avoid-endl)
  }
  Database& database_;
};

TEST_P(PostgresServer, AnswersLines) {
  const char* password = std::getenv("SOBRE_TEST_PASSWORD");  // NOLINT(concurrency-mt-unsafe)
  const auto database = Open(GetParam(), password == nullptr ? "" : password);
  Lines(*database).Answer();
}

}  // namespace
}  // namespace sobre
