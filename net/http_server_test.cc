#include "net/http_server.h"

#include <array>
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

// Whether `holds()` comes true.
template <class Check>
bool Eventually(const Check& holds) {
  for (int i = 0; i < 6000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

// What holds over plain HTTP holds over TLS.
enum class Over { kPlain, kTls };

class OverBoth : public ::testing::TestWithParam<Over> {
 protected:
  static HttpServer::Options Prepared(HttpServer::Options options) {
    if (GetParam() == Over::kTls) options.tls = TestTls();
    options.hosts.emplace_back("x");
    return options;
  }
  static std::unique_ptr<RawClient> Connect(int port, const char* source = "127.0.0.1") {
    if (GetParam() == Over::kPlain) return std::make_unique<RawClient>(port, source);
    return std::make_unique<RawClient>(port, ClientTls{.ca_pem = Authority().pem()}, source);
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
  EXPECT_THAT(c->Answer(), StartsWith("HTTP/1.1 503"));
  ASSERT_TRUE(a->Send(Post("again")));
  EXPECT_THAT(a->Answer(), HasSubstr("again"));
  const HttpServer::Load load = server_->load();
  EXPECT_EQ(load.connections, 2);
  EXPECT_EQ(load.most, 2);
  EXPECT_EQ(load.accepted, 3U);
  EXPECT_EQ(load.turned_away, 1U);
}

TEST_P(HttpServerTest, AnAddressHasABoundedPartOfTheConnections) {
  StartWith({.max_connections = 4, .max_by_peer = 2});
  const std::string hello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
  std::vector<std::unique_ptr<RawClient>> held;
  for (int i = 0; i < 2; ++i) {
    held.push_back(Connect(server_->port(), "127.0.0.2"));
    ASSERT_TRUE(held.back()->Send(hello));
    EXPECT_THAT(held.back()->Answer(), StartsWith("HTTP/1.1 200"));
  }
  EXPECT_THAT(Connect(server_->port(), "127.0.0.2")->Answer(), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(Ask(hello), StartsWith("HTTP/1.1 200"));
  for (const auto& client : held) {
    ASSERT_TRUE(client->Send(hello));
    EXPECT_THAT(client->Answer(), StartsWith("HTTP/1.1 200"));
  }
}

TEST_P(HttpServerTest, AnswersToTheNamesThatItHasAlone) {
  const auto asked_as = [this](const std::string& host) {
    return Ask("GET /hello HTTP/1.1\r\n" + host + "\r\n");
  };
  for (const char* host : {"127.0.0.1", "127.0.0.1:8091", "10.1.2.3", "[::1]", "[fd00::7]:80",
                           "localhost", "LocalHost:1", "x", "X:80", "x.", "x:"})
    EXPECT_THAT(asked_as(std::string("Host: ") + host + "\r\n"), StartsWith("HTTP/1.1 200"))
        << host;
  std::array<char, 256> machine{};
  ASSERT_EQ(::gethostname(machine.data(), machine.size() - 1), 0);
  EXPECT_THAT(asked_as(std::string("Host: ") + machine.data() + "\r\n"),
              StartsWith("HTTP/1.1 200"));
  for (const char* host : {"evil.example", "evil.example:80", "x.evil.example",
                           "localhost.evil.example", "127.0.0.1.evil.example", "1.2.3", "127.1",
                           "2130706433", "0x7f.0.0.1", "%6cocalhost_", "a-x", "xx"}) {
    const std::string answer = asked_as(std::string("Host: ") + host + "\r\n");
    const bool name = std::string_view(host).find('%') == std::string_view::npos;
    EXPECT_THAT(answer, StartsWith(name ? "HTTP/1.1 421" : "HTTP/1.1 400")) << host;
    EXPECT_EQ(answer.find("is not a name of this server") != std::string::npos, name) << host;
  }
  for (const char* hosts :
       {"", "Host: x\r\nHost: x\r\n", "Host: x\r\nhost: evil.example\r\n", "Host:\r\n",
        "Host: x y\r\n", "Host: x/\r\n", "Host: x:y\r\n", "Host: a@x\r\n", "Host: [::1\r\n",
        "Host: [::1].x\r\n", "Host: x:80:90\r\n", "Host: x,x\r\n", "Host: [127.0.0.1]\r\n"})
    EXPECT_THAT(asked_as(hosts), StartsWith("HTTP/1.1 400")) << hosts;
  EXPECT_THAT(Ask("GET /hello HTTP/1.0\r\n\r\n"), HasSubstr(" 200 OK"));
  EXPECT_THAT(Ask("GET /hello HTTP/1.0\r\nHost: evil.example\r\n\r\n"), HasSubstr(" 421 "));
  const auto client = Connect(server_->port());
  ASSERT_TRUE(
      client->Send("POST /echo HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\n"
                   "Content-Length: 2\r\n\r\n{}"));
  EXPECT_THAT(client->Answer(), StartsWith("HTTP/1.1 421"));
  EXPECT_TRUE(client->ClosedByPeer());
}

TEST_P(HttpServerTest, RefusesARequestLineThatTwoReadersReadDifferently) {
  for (const char* line :
       {"GET  /hello HTTP/1.1", "GET /hello  HTTP/1.1", " GET /hello HTTP/1.1",
        "GET /hello HTTP/1.1 ", "GET\t/hello HTTP/1.1", "GET /hello\tHTTP/1.1",
        "GET /hello HTTP/1.1\t", "GET /hello /hello HTTP/1.1", "GET /hello\x01 HTTP/1.1",
        "GET /hello\x0b HTTP/1.1", "GET /hell\xc3\xb6 HTTP/1.1", "GET /hello HTTP/1.2",
        "GET /hello http/1.1", "GET /hello HTTP/2.0", "GET /hello", "G(T /hello HTTP/1.1"}) {
    EXPECT_THAT(Ask(std::string(line) + "\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 400")) << line;
  }
  ExpectAlive();
}

TEST_P(HttpServerTest, WhatAHeaderMayStateOnceItStatesOnce) {
  for (const char* field : {"Authorization: Bearer ", "authorization: ", "Content-Type: text/"})
    EXPECT_THAT(Ask(std::string("GET /hello HTTP/1.1\r\nHost: x\r\n") + field + "a\r\n" + field +
                    "b\r\n\r\n"),
                StartsWith("HTTP/1.1 400"))
        << field;
}

TEST_P(HttpServerTest, ABodyIsUtf8) {
  for (const char* type : {"application/json", "Application/JSON", "application/json;charset=utf-8",
                           "application/json ; Charset=\"UTF-8\"", "application/json; v=1"})
    EXPECT_THAT(Ask(Post("a", "/echo", type)), StartsWith("HTTP/1.1 200")) << type;
  for (const char* type :
       {"application/json; charset=utf-16", "application/json;charset=utf-8;charset=utf-16",
        "application/json; charset",
        "application/json; charset=", "application/json; CHARSET=latin1",
        "application/json; charset=\"utf-7\"", "application%2Fjson", "application/jsonx", ""})
    EXPECT_THAT(Ask(Post("a", "/echo", type)), StartsWith("HTTP/1.1 415")) << type;
}

TEST_P(HttpServerTest, LargeBodiesAreBoundedInSum) {
  StartWith({.max_body_bytes = 4U << 20, .max_large_bytes = 1U << 20});
  const std::string large(900U << 10, 'x');
  std::string answer;
  const auto is_answered = [&](const char* status) {
    answer = Ask(Post(large));
    return answer.starts_with(status);
  };
  EXPECT_TRUE(is_answered("HTTP/1.1 200"));
  // What has come counts, not what is announced.
  std::unique_ptr<RawClient> announces;
  const auto announce = [&] {
    announces = Connect(server_->port());
    return announces->Send(
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Content-Length: 4000000\r\n\r\n");
  };
  ASSERT_TRUE(announce());
  EXPECT_TRUE(Eventually([&] { return is_answered("HTTP/1.1 200"); }));
  // Of two bodies that come at once, either may be the one without room.
  EXPECT_TRUE(Eventually(
      [&] { return announce() && announces->Send(large) && is_answered("HTTP/1.1 503"); }));
  EXPECT_THAT(answer.substr(0, 500), HasSubstr("Retry-After: 1"));
  // Small ones have room of their own.
  EXPECT_THAT(Ask(Post(std::string(kKeptBodyBytes, 'x'))), StartsWith("HTTP/1.1 200"));
  announces.reset();
  EXPECT_TRUE(Eventually([&] { return is_answered("HTTP/1.1 200"); }));
  EXPECT_THAT(Ask(Post(std::string(3U << 20, 'x'))), StartsWith("HTTP/1.1 503"));
}

TEST_P(HttpServerTest, WhatTheServerItselfRefusesIsCountedByStatus) {
  StartWith({.max_body_bytes = 100});
  EXPECT_THAT(Ask(Post(std::string(101, 'x'))), StartsWith("HTTP/1.1 413"));
  for (int i = 0; i < 2; ++i)
    EXPECT_THAT(Ask("GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
                StartsWith("HTTP/1.1 421"));
  EXPECT_THAT(Ask(Post("x")), StartsWith("HTTP/1.1 200"));
  std::map<int, std::uint64_t> refused = server_->load().refused;
  EXPECT_EQ(refused[413], 1U);
  EXPECT_EQ(refused[421], 2U);
  EXPECT_EQ(refused[503], 0U) << "those that are always told";
  EXPECT_EQ(refused.size(), 9U);
}

TEST_P(HttpServerTest, LargeAnswersAreBoundedWithThem) {
  server_ = std::make_unique<HttpServer>(Prepared({.max_large_bytes = 1U << 20}));
  server_->Handle("POST", "/blow", [](const HttpRequest& q, HttpResponse& r) {
    r.body = std::string(std::stoul(std::string(q.body)), 'x');
  });
  ASSERT_TRUE(server_->Start().ok());
  EXPECT_THAT(Ask(Post("1000000", "/blow")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Ask(Post("2000000", "/blow")), StartsWith("HTTP/1.1 503"));
  EXPECT_TRUE(
      Eventually([&] { return Ask(Post("1000000", "/blow")).starts_with("HTTP/1.1 200"); }));
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

// Clients that connect, begin something, and leave it at that.
std::vector<std::unique_ptr<RawClient>> Dawdlers(int port, int count, const std::string& beginning,
                                                 const char* source) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<RawClient>(port, source));
    clients.back()->Send(beginning);
  }
  return clients;
}

TEST(HttpServerReserve, AnswersReservedPathsWhereNoConnectionIsLeft) {
  HttpServer server(
      {.hosts = {"x"}, .max_connections = 4, .max_by_peer = 2, .reserved = {"/healthz"}});
  for (const char* path : {"/healthz", "/other"})
    server.Handle("GET", path, [](const HttpRequest&, HttpResponse& r) { r.body = "here"; });
  ASSERT_TRUE(server.Start().ok());
  const auto get = [&](const char* path, const char* source) {
    RawClient client(server.port(), source);
    client.Send(std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return client.Answer();
  };
  // Of those that came later, too, none keeps a probe out, whether it comes from their address or
  // not.
  const auto first = Dawdlers(server.port(), 40, "GET /healthz HTTP/1.1\r\nHo", "127.0.0.2");
  const auto second = Dawdlers(server.port(), 40, "", "127.0.0.3");
  for (const char* source : {"127.0.0.1", "127.0.0.2", "127.0.0.3"}) {
    for (int i = 0; i < 30; ++i) {
      const std::string answer = get("/healthz", source);
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 200")) << source;
      EXPECT_THAT(answer, HasSubstr("Connection: close"));
    }
    const std::string refused = get("/other", source);
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 503")) << source;
    EXPECT_THAT(refused, HasSubstr("Retry-After: 1"));
  }
  EXPECT_EQ(server.load().connections, 4);
  EXPECT_EQ(server.load().accepted, 80U + 3U * 31U);
}

// What is refused with a body on its way is waited for, but not at the cost of a probe.
TEST(HttpServerReserve, WhoAsksForSomethingElseKeepsNoProbeOut) {
  HttpServer server({.hosts = {"x"}, .max_connections = 1, .reserved = {"/healthz"}});
  server.Handle("GET", "/healthz", [](const HttpRequest&, HttpResponse& r) { r.body = "here"; });
  ASSERT_TRUE(server.Start().ok());
  const auto held = Dawdlers(server.port(), 1, "GET ", "127.0.0.1");
  const std::string other = "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";
  for (int i = 0; i < 5; ++i) {
    const auto first = Dawdlers(server.port(), 10, other, "127.0.0.2");
    const auto second = Dawdlers(server.port(), 10, other, "127.0.0.3");
    for (const char* source : {"127.0.0.1", "127.0.0.2", "127.0.0.4"}) {
      RawClient client(server.port(), source);
      client.Send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
      EXPECT_THAT(client.Answer(), StartsWith("HTTP/1.1 200")) << source;
    }
  }
}

TEST(HttpServerReserve, WhoGetsNoPlaceIsToldSo) {
  HttpServer server({.max_connections = 1, .reserved = {"/healthz"}});
  ASSERT_TRUE(server.Start().ok());
  const auto held = Dawdlers(server.port(), 1, "GET ", "127.0.0.1");
  const auto over = Dawdlers(server.port(), 40, "", "127.0.0.2");
  // Each was cut off by a later one, or after two seconds.
  for (const auto& client : over) EXPECT_THAT(client->Answer(), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(server.load().turned_away, 40U);
}

TEST(HttpServer, AnswersThatNobodyReadsAreBoundedInSum) {
  HttpServer server({.max_large_bytes = 1U << 20, .max_connections = 8});
  server.Handle("GET", "/large",
                [](const HttpRequest&, HttpResponse& r) { r.body.assign(20U << 20, 'x'); });
  server.Handle("GET", "/small", [](const HttpRequest&, HttpResponse& r) { r.body = "here"; });
  ASSERT_TRUE(server.Start().ok());
  const auto get = [&](const char* path) {
    return std::string("GET ") + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  };
  {
    // Nothing else is under way: it goes out, however large it is.
    RawClient idle(server.port());
    idle.Send(get("/large"));
    EXPECT_THAT(idle.Beginning(), StartsWith("HTTP/1.1 200"));
    RawClient other(server.port());
    other.Send(get("/large"));
    EXPECT_THAT(other.Answer(), StartsWith("HTTP/1.1 503"));
    RawClient small(server.port());
    small.Send(get("/small"));
    EXPECT_THAT(small.Answer(), StartsWith("HTTP/1.1 200"));
  }
  ASSERT_TRUE(Eventually([&] {
    RawClient next(server.port());
    next.Send(get("/large"));
    return next.Beginning().starts_with("HTTP/1.1 200");
  })) << "what was held is given back";
}

TEST(HttpServerHandshakes, TakeNoConnectionsAndKeepNobodyOut) {
  HttpServer server({.hosts = {"x"}, .max_connections = 16, .tls = TestTls()});
  server.Handle("GET", "/hello", [](const HttpRequest&, HttpResponse& r) { r.body = "hello"; });
  ASSERT_TRUE(server.Start().ok());
  const std::uint64_t before = TestTls()->refused(TlsRefusal::kTimeout);
  const std::string part("\x16\x03\x01\x01\x00\x01", 6);
  const auto stranger = Dawdlers(server.port(), 60, part, "127.0.0.2");
  const auto neighbour = Dawdlers(server.port(), 60, part, "127.0.0.1");
  for (int i = 0; i < 40; ++i) {
    RawClient client(server.port(), ClientTls{.ca_pem = Authority().pem()});
    ASSERT_TRUE(client.connected());
    client.Send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(client.Answer(), StartsWith("HTTP/1.1 200"));
  }
  // All but those that have places to the end are cut off at once.
  EXPECT_TRUE(
      Eventually([&] { return TestTls()->refused(TlsRefusal::kTimeout) - before >= 120 - 32; }));
}

TEST(HttpServerHandshakes, EndInTimeAndAreCounted) {
  HttpServer server({.handshake_timeout = std::chrono::milliseconds(50), .tls = TestTls()});
  ASSERT_TRUE(server.Start().ok());
  const std::uint64_t before = TestTls()->refused(TlsRefusal::kTimeout);
  const auto silent = Dawdlers(server.port(), 3, "", "127.0.0.1");
  for (const auto& client : silent) EXPECT_TRUE(client->ClosedByPeer());
  EXPECT_TRUE(Eventually([&] { return TestTls()->refused(TlsRefusal::kTimeout) - before == 3; }));
  EXPECT_EQ(server.load().turned_away, 0U);
}

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
  [[nodiscard]] std::unique_ptr<RawClient> Follow(const char* source = "127.0.0.1") const {
    auto client = Connect(server_.port(), source);
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

TEST_P(HttpAnswers, SeeAHeaderAsItCame) {
  EXPECT_THAT(Get("/query", "X-Mine: r%6Fot%0d%0a+\r\n"), HasSubstr("|r%6Fot%0d%0a+"));
  EXPECT_THAT(Get("/query", "x-mINE:\t a  b \t\r\nX-Mine: c\r\n"), HasSubstr("|a  b"));
  EXPECT_THAT(Get("/query", "X-Mine:\r\n"), ::testing::EndsWith("|0|"));
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

TEST_P(HttpAnswers, InPartsAreSharedBetweenAddresses) {
  const auto oldest = Follow();
  const auto second = Follow();
  const auto other = Follow("127.0.0.2");
  std::string rest;
  for (std::string more = oldest->Answer(); !more.empty(); more = oldest->Answer()) rest += more;
  EXPECT_THAT(rest, ::testing::EndsWith("0\r\n\r\n"));
  // Now each has as many.
  EXPECT_THAT(Get("/parts"), HasSubstr("503"));
  EXPECT_EQ(server_.load().streams, 2);
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
