#include "net/http_server.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "net/test_client.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// Whom the tests trust, and what their servers show: made once, as making keys takes its time.
const TestAuthority& Authority() {
  static const TestAuthority authority("test-ca");
  return authority;
}

std::shared_ptr<const ServerTls> TestTls() {
  static const std::shared_ptr<const ServerTls> tls = [] {
    const TestCertificate own = Authority().Issue("server");
    const std::string folder =
        ::testing::TempDir() + "http_server_test-" + std::to_string(getpid());
    std::filesystem::create_directory(folder);
    std::ofstream(folder + "/cert.pem") << own.certificate_pem;
    std::ofstream(folder + "/key.pem") << own.key_pem;
    auto made = std::make_shared<ServerTls>(ServerTls::Options{
        .certificate_file = folder + "/cert.pem", .key_file = folder + "/key.pem"});
    EXPECT_TRUE(made->Start().ok());
    std::filesystem::remove_all(folder);
    return made;
  }();
  return tls;
}

// What holds over plain HTTP holds over TLS.
enum class Over { kPlain, kTls };

class OverBoth : public ::testing::TestWithParam<Over> {
 protected:
  static HttpServer::Options Prepared(HttpServer::Options options) {
    if (GetParam() == Over::kTls) options.tls = TestTls();
    return options;
  }
  static std::unique_ptr<RawClient> Connect(int port) {
    if (GetParam() == Over::kPlain) return std::make_unique<RawClient>(port);
    return std::make_unique<RawClient>(port, ClientTls{.ca_pem = Authority().pem()});
  }
};

std::string NameOf(const ::testing::TestParamInfo<Over>& over) {
  return over.param == Over::kPlain ? "Plain" : "Tls";
}

std::string Post(const std::string& body, const std::string& path = "/echo",
                 const std::string& type = "application/json") {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class HttpServerTest : public OverBoth {
 protected:
  void StartWith(HttpServer::Options options) {
    server_ = std::make_unique<HttpServer>(Prepared(std::move(options)));
    server_->Handle("POST", "/echo",
                    [](const HttpRequest& q, HttpResponse& r) { r.body = q.body; });
    server_->Handle("GET", "/hello", [](const HttpRequest&, HttpResponse& r) { r.body = "hello"; });
    server_->Handle("GET", "/throw",
                    [](const HttpRequest&, HttpResponse&) { throw std::runtime_error("boom"); });
    server_->Handle("GET", "/slow", [this](const HttpRequest&, HttpResponse& r) {
      in_slow_ = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      r.body = "done";
    });
    ASSERT_TRUE(server_->Start().ok());
  }
  void SetUp() override { StartWith({.max_body_bytes = 1000}); }
  // The next request on a new connection is always served.
  void ExpectAlive() const {
    const auto client = Connect(server_->port());
    ASSERT_TRUE(client->Send(Post("alive")));
    EXPECT_THAT(client->Answer(), HasSubstr("alive"));
  }
  std::string Ask(const std::string& bytes) const {
    const auto client = Connect(server_->port());
    client->Send(bytes);
    return client->Answer();
  }

  std::unique_ptr<HttpServer> server_;
  std::atomic<bool> in_slow_ = false;
};

TEST_P(HttpServerTest, KeepsAConnectionForManyRequests) {
  const auto client = Connect(server_->port());
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client->Send(Post("n" + std::to_string(i))));
    EXPECT_THAT(client->Answer(), HasSubstr("\r\n\r\nn" + std::to_string(i)));
  }
  ASSERT_TRUE(client->Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_THAT(client->Answer(), StartsWith("HTTP/1.1 200"));
}

TEST_P(HttpServerTest, ServesPipelinedRequests) {
  const auto client = Connect(server_->port());
  ASSERT_TRUE(client->Send(Post("first") + Post("second")));
  std::string both = client->Answer();
  if (both.find("second") == std::string::npos) both += client->Answer();
  EXPECT_THAT(both, HasSubstr("first"));
  EXPECT_THAT(both, HasSubstr("second"));
}

TEST_P(HttpServerTest, RefusesWithTheRightStatus) {
  const std::string chunked =
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  const std::string no_length =
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n";
  const std::string two_lengths =
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
      "3\r\nContent-Length: 4\r\n\r\nabcd";
  const std::string negative =
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
      "-3\r\n\r\n";
  EXPECT_THAT(Ask(chunked), StartsWith("HTTP/1.1 411"));
  EXPECT_THAT(Ask(no_length), StartsWith("HTTP/1.1 411"));
  EXPECT_THAT(Ask(two_lengths), StartsWith("HTTP/1.1 411"));
  EXPECT_THAT(Ask(negative), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask(Post(std::string(1001, 'x'))), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Ask(Post("a", "/echo", "text/plain")), StartsWith("HTTP/1.1 415"));
  EXPECT_THAT(Ask(Post("a", "/nowhere")), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask("PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"),
              StartsWith("HTTP/1.1 405"));
  const std::string wrong_method = Ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(wrong_method, StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(wrong_method, HasSubstr("Allow: POST"));
  EXPECT_THAT(wrong_method, HasSubstr("{\"error\":\"method GET is not for /echo; use POST\"}"));
  EXPECT_THAT(Ask("NONSENSE\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 500"));
  ExpectAlive();
}

TEST_P(HttpServerTest, ALargeRefusedBodyStillGetsItsAnswer) {
  const auto client = Connect(server_->port());
  client->Send(Post(std::string(8U << 20, 'x')));
  EXPECT_THAT(client->Answer(), StartsWith("HTTP/1.1 413"));
}

// The client's own wish to close skipped the reading-off, and the reset took the answer with it.
TEST_P(HttpServerTest, ALargeRefusedBodyGetsItsAnswerAlsoIfTheClientCloses) {
  for (int i = 0; i < 20; ++i) {
    const auto client = Connect(server_->port());
    EXPECT_TRUE(
        client->Send("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: "
                     "application/json\r\nContent-Length: 8388608\r\n\r\n"));
    EXPECT_TRUE(client->Send(std::string(8U << 20, 'x')));
    EXPECT_THAT(client->Answer(), StartsWith("HTTP/1.1 413"));
  }
}

TEST_P(HttpServerTest, AnUnreadBodyIsNeverTakenForARequest) {
  const auto client = Connect(server_->port());
  const std::string smuggled = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_TRUE(client->Send(Post(smuggled, "/nowhere")));
  EXPECT_THAT(client->Answer(), StartsWith("HTTP/1.1 404"));
  EXPECT_TRUE(client->ClosedByPeer());
}

TEST_P(HttpServerTest, WhereARequestEndsIsNeverInDoubt) {
  const std::string smuggled = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string length = std::to_string(smuggled.size());
  for (const std::string& header : std::vector<std::string>{
           "Content-Length: 0\r\nContent-Length: " + length, "Content-Length: +" + length,
           "Content-Length : " + length, "Content-Length: %30",
           "X: y\r\n Content-Length: " + length, "Transfer-Encoding:\r\n chunked",
           "Transfer-Encoding : chunked", "X: y\nContent-Length: " + length,
           std::string("X\0: y", 6), "no colon"}) {
    const auto client = Connect(server_->port());
    ASSERT_TRUE(
        client->Send("GET /hello HTTP/1.1\r\nHost: x\r\n" + header + "\r\n\r\n" + smuggled));
    EXPECT_THAT(client->Answer(), StartsWith("HTTP/1.1 400")) << header;
    EXPECT_TRUE(client->ClosedByPeer()) << header;
  }
  ExpectAlive();
}

TEST_P(HttpServerTest, AnEndlessHeaderIsCutOff) {
  const auto client = Connect(server_->port());
  std::string header = "GET /hello HTTP/1.1\r\n";
  for (int i = 0; i < 5000; ++i)
    header += "X-" + std::to_string(i) + ": aaaaaaaaaaaaaaaaaaaaaaaa\r\n";
  client->Send(header + "\r\n");
  EXPECT_THAT(client->Answer(), Not(HasSubstr("200 OK")));
  ExpectAlive();
}

TEST_P(HttpServerTest, TurnsAwayConnectionsOverTheBound) {
  StartWith({.max_connections = 2});
  const auto a = Connect(server_->port());
  const auto b = Connect(server_->port());
  ASSERT_TRUE(a->Send(Post("a")));
  EXPECT_THAT(a->Answer(), HasSubstr("200"));
  ASSERT_TRUE(b->Send(Post("b")));
  EXPECT_THAT(b->Answer(), HasSubstr("200"));
  const auto c = Connect(server_->port());
  // Within TLS there is nobody yet to tell it.
  if (GetParam() == Over::kPlain) {
    EXPECT_THAT(c->Answer(), StartsWith("HTTP/1.1 503"));
  } else {
    EXPECT_FALSE(c->connected());
  }
  ASSERT_TRUE(a->Send(Post("again")));
  EXPECT_THAT(a->Answer(), HasSubstr("again"));
  const HttpServer::Load load = server_->load();
  EXPECT_EQ(load.connections, 2);
  EXPECT_EQ(load.most, 2);
  EXPECT_EQ(load.accepted, 3U);
  EXPECT_EQ(load.turned_away, 1U);
}

TEST_P(HttpServerTest, AStalledRequestIsGivenUp) {
  StartWith({.request_timeout = std::chrono::milliseconds(200)});
  const auto client = Connect(server_->port());
  ASSERT_TRUE(
      client->Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: "
                   "application/json\r\nContent-Length: 10\r\n\r\nabc"));
  EXPECT_THAT(client->Answer(), AnyOf(IsEmpty(), StartsWith("HTTP/1.1 400")));
  ExpectAlive();
}

TEST_P(HttpServerTest, AHandshakeWhereNoneIsExpectedIsRefusedAtOnce) {
  // Bytes without the end of a line: the client is less patient than request_timeout.
  EXPECT_THAT(Ask("\x16\x03\x01"), StartsWith("HTTP/1.1 400"));
  ExpectAlive();
}

TEST_P(HttpServerTest, StopsInOrder) {
  const auto idle = Connect(server_->port());
  ASSERT_TRUE(idle->Send(Post("x")));
  EXPECT_THAT(idle->Answer(), HasSubstr("200"));
  const auto busy = Connect(server_->port());
  ASSERT_TRUE(busy->Send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"));
  while (!in_slow_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  server_->Stop();
  const std::string answer = busy->Answer();
  EXPECT_THAT(answer, HasSubstr("done"));
  EXPECT_TRUE(idle->ClosedByPeer());
  EXPECT_FALSE(Connect(server_->port())->connected());
}

TEST_P(HttpServerTest, WhoHasJustConnectedIsServedAlsoWhenTheServerStops) {
  StartWith({.last_call = std::chrono::seconds(60)});
  const auto client = Connect(server_->port());
  // Accepted, as connections are accepted in their order.
  ExpectAlive();
  std::thread stopping([this] { server_->Stop(); });
  while (RawClient(server_->port()).connected()) {
  }
  EXPECT_TRUE(client->Send(Post("late")));
  const std::string answer = client->Answer();
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_THAT(answer, HasSubstr("late"));
  EXPECT_TRUE(client->ClosedByPeer());
  stopping.join();
}

TEST_P(HttpServerTest, LargeBodiesPassBothWays) {
  StartWith({.max_body_bytes = 16U << 20});
  std::string body(8U << 20, 'x');
  for (std::size_t i = 0; i < body.size(); i += 1000) body[i] = static_cast<char>('a' + i % 23);
  const auto client = Connect(server_->port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client->Send(Post(body)));
    const std::string answer = client->Answer();
    EXPECT_TRUE(answer.ends_with(body)) << answer.size();
  }
}

TEST_P(HttpServerTest, AClientThatLeavesHurtsNobody) {
  StartWith({.max_body_bytes = 16U << 20});
  for (int i = 0; i < 20; ++i) {
    const auto client = Connect(server_->port());
    // It does not wait for the answer, which no socket's buffer holds.
    ASSERT_TRUE(client->Send(Post(std::string(8U << 20, 'x'))));
  }
  ExpectAlive();
}

TEST_P(HttpServerTest, WhileDrainingAnswersCloseTheirConnections) {
  server_->Drain();
  const auto client = Connect(server_->port());
  ASSERT_TRUE(client->Send(Post("x")));
  EXPECT_THAT(client->Answer(), HasSubstr("Connection: close"));
  EXPECT_TRUE(client->ClosedByPeer());
}

INSTANTIATE_TEST_SUITE_P(Over, HttpServerTest, ::testing::Values(Over::kPlain, Over::kTls), NameOf);

TEST(HttpServer, SaysWhyItCannotListen) {
  HttpServer first({.address = "127.0.0.1:0"});
  ASSERT_TRUE(first.Start().ok());
  HttpServer second({.address = "127.0.0.1:" + std::to_string(first.port())});
  EXPECT_THAT(second.Start().message(), HasSubstr("cannot listen on 127.0.0.1:"));
  EXPECT_THAT(HttpServer({.address = "nonsense"}).Start().message(),
              HasSubstr("expected host:port"));
}

class HttpAnswers : public OverBoth {
 protected:
  HttpAnswers()
      : server_(Prepared({.max_streams = 2, .compress = true, .headers = {{"X-Always", "yes"}}})) {
    server_.Handle("GET", "/query", [](const HttpRequest& q, HttpResponse& r) {
      r.body = q.Parameter("a").value_or("none") + "|" + std::to_string(q.ParameterNames().size()) +
               "|" + q.Header("X-Mine").value_or("none");
    });
    server_.Handle("GET", "/tree/*", [](const HttpRequest& q, HttpResponse& r) {
      r.body = "tree " + std::string(q.path);
    });
    server_.Handle("GET", "/tree/near/*",
                   [](const HttpRequest&, HttpResponse& r) { r.body = "near"; });
    server_.Handle("GET", "/long",
                   [](const HttpRequest&, HttpResponse& r) { r.body = std::string(50'000, 'x'); });
    server_.Handle("GET", "/picture", [](const HttpRequest&, HttpResponse& r) {
      r.content_type = "image/png";
      r.body = std::string(50'000, 'x');
    });
    server_.Handle("GET", "/parts", [this](const HttpRequest&, HttpResponse& r) {
      r.content_type = "text/event-stream";
      r.next_part = [this, n = 0](std::string& out) mutable {
        if (n < 3) out = "part " + std::to_string(n++) + ";";
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return n < 3 || !end_;
      };
    });
  }
  void SetUp() override { ASSERT_TRUE(server_.Start().ok()); }
  [[nodiscard]] std::string Get(const std::string& path, const std::string& header = "") const {
    const auto client = Connect(server_.port());
    client->Send("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + header + "\r\n");
    return client->Answer();
  }
  // A client that has seen the first part of an answer.
  [[nodiscard]] std::unique_ptr<RawClient> Follow() const {
    auto client = Connect(server_.port());
    client->Send("GET /parts HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(client->Answer(), HasSubstr("200 OK"));
    return client;
  }

  HttpServer server_;
  std::atomic<bool> end_ = false;
};

TEST_P(HttpAnswers, ReadTheQueryAndHeaders) {
  EXPECT_THAT(Get("/query?a=b%2Fc+d&z=1", "X-Mine: 7\r\n"), HasSubstr("b/c d|2|7"));
  EXPECT_THAT(Get("/query"), HasSubstr("none|0|none"));
}

TEST_P(HttpAnswers, HaveTheNearestFoldersHandler) {
  EXPECT_THAT(Get("/tree/a"), HasSubstr("tree /tree/a"));
  EXPECT_THAT(Get("/tree/a/b/c.svg"), HasSubstr("tree /tree/a/b/c.svg"));
  EXPECT_THAT(Get("/tree/near/x/y"), HasSubstr("near"));
  EXPECT_THAT(Get("/other/a"), HasSubstr("404"));
}

TEST_P(HttpAnswers, APathMayBeAsLongAsTheLibraryReads) {
  const std::string name(8000, 'x');
  EXPECT_THAT(Get("/tree/" + name), HasSubstr("tree /tree/" + name));
  EXPECT_THAT(Get("/tree/" + std::string(100'000, 'x')), Not(HasSubstr("200 OK")));
  EXPECT_THAT(Get("/tree/a"), HasSubstr("tree /tree/a"));
}

TEST_P(HttpAnswers, CarryTheServersHeadersAlsoWhenTheyRefuse) {
  EXPECT_THAT(Get("/query"), HasSubstr("X-Always: yes"));
  EXPECT_THAT(Get("/nowhere"), HasSubstr("X-Always: yes"));
}

TEST_P(HttpAnswers, AreGzippedForThoseWhoAcceptIt) {
  const std::string small = Get("/long", "Accept-Encoding: br, gzip\r\n");
  EXPECT_THAT(small, HasSubstr("Content-Encoding: gzip"));
  EXPECT_LT(small.size(), 1000U);
  const std::string plain = Get("/long");
  EXPECT_THAT(plain, ::testing::Not(HasSubstr("Content-Encoding")));
  EXPECT_GT(plain.size(), 50'000U);
  EXPECT_THAT(Get("/picture", "Accept-Encoding: gzip\r\n"),
              ::testing::Not(HasSubstr("Content-Encoding")));
}

TEST_P(HttpAnswers, AreWholeWhateverRangeIsAskedFor) {
  std::string ranges = "Range: bytes=0-";
  for (int i = 0; i < 2000; ++i) ranges += ",0-";
  const std::string answer = Get("/long", ranges + "\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 50000\r\n"));
  EXPECT_THAT(Get("/long", "Range: bytes=0-9\r\n"), HasSubstr("Content-Length: 50000\r\n"));
}

TEST_P(HttpAnswers, AreNotGzippedForThoseWhoRefuseIt) {
  EXPECT_THAT(Get("/long", "Accept-Encoding: gzip;q=0, br\r\n"),
              ::testing::Not(HasSubstr("Content-Encoding")));
  EXPECT_THAT(Get("/long", "Accept-Encoding: deflate, GZIP;q=0.5\r\n"),
              HasSubstr("Content-Encoding: gzip"));
}

TEST_P(HttpAnswers, ARefusalOfAPathKeepsTheConnection) {
  const auto client = Connect(server_.port());
  for (int i = 0; i < 3; ++i) {
    client->Send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(client->Answer(), HasSubstr("404"));
  }
}

TEST_P(HttpAnswers, MayComeInParts) {
  end_ = true;
  const auto client = Connect(server_.port());
  client->Send("GET /parts HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string all;
  for (std::string more = client->Answer(); !more.empty(); more = client->Answer()) all += more;
  EXPECT_THAT(all, HasSubstr("part 0;"));
  EXPECT_THAT(all, HasSubstr("part 2;"));
  EXPECT_THAT(all, ::testing::EndsWith("0\r\n\r\n"));
}

TEST_P(HttpAnswers, InPartsAreBounded) {
  auto first = Follow();
  auto second = Follow();
  EXPECT_THAT(Get("/parts"), HasSubstr("503"));
  EXPECT_THAT(Get("/query"), HasSubstr("200"));
  second.reset();
  // The place is free as soon as the server has noticed.
  std::string answer = "503";
  while (answer.find("503") != std::string::npos) {
    const auto client = Connect(server_.port());
    client->Send("GET /parts HTTP/1.1\r\nHost: x\r\n\r\n");
    answer = client->Answer();
  }
  EXPECT_THAT(answer, HasSubstr("200 OK"));
}

TEST_P(HttpAnswers, InPartsEndWhenTheServerStops) {
  auto client = Follow();
  std::thread stopping([this] { server_.Stop(); });
  std::string all;
  for (std::string more = client->Answer(); !more.empty(); more = client->Answer()) all += more;
  client.reset();
  stopping.join();
  EXPECT_THAT(all, ::testing::EndsWith("0\r\n\r\n"));
}

INSTANTIATE_TEST_SUITE_P(Over, HttpAnswers, ::testing::Values(Over::kPlain, Over::kTls), NameOf);

}  // namespace
}  // namespace sobre
