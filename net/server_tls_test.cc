#include "net/server_tls.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <unistd.h>

#include "net/http_server.h"
#include "net/test_client.h"

namespace sobre {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kAsk = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

class ServerTlsTest : public ::testing::Test {
 protected:
  ServerTlsTest()
      : folder_(::testing::TempDir() + "server_tls_test-" + std::to_string(getpid())),
        authority_("ca") {
    std::filesystem::create_directory(folder_);
    Show(authority_.Issue("first"));
  }
  ~ServerTlsTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string File(const std::string& name) const { return folder_ + "/" + name; }
  // Whole at once.
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(File("new")) << text;
    std::filesystem::rename(File("new"), File(name));
  }
  // Both at once, as Kubernetes does it: a link is swapped.
  void Show(const TestCertificate& certificate) {
    const std::string version = "version-" + std::to_string(versions_++);
    std::filesystem::create_directory(File(version));
    Write(version + "/cert.pem", certificate.certificate_pem);
    Write(version + "/key.pem", certificate.key_pem);
    std::filesystem::create_directory_symlink(version, File("new"));
    std::filesystem::rename(File("new"), File("data"));
  }
  [[nodiscard]] ServerTls::Options Options() const {
    return {.certificate_file = File("data/cert.pem"),
            .key_file = File("data/key.pem"),
            .check = std::chrono::milliseconds(20)};
  }
  void Serve(ServerTls::Options options) {
    tls_ = std::make_shared<ServerTls>(std::move(options));
    const Status status = tls_->Start();
    ASSERT_TRUE(status.ok()) << status.message();
    server_ = std::make_unique<HttpServer>(HttpServer::Options{.hosts = {"x"}, .tls = tls_});
    server_->Handle("GET", "/hello", [](const HttpRequest&, HttpResponse& r) { r.body = "hello"; });
    ASSERT_TRUE(server_->Start().ok());
  }
  [[nodiscard]] std::string WhyNot(const ServerTls::Options& options) const {
    return ServerTls(options).Start().message();
  }
  [[nodiscard]] ClientTls Trusting(TestCertificate own = {}) const {
    return {.ca_pem = authority_.pem(), .own = std::move(own)};
  }
  // Why a new client is refused, as it sees it.
  [[nodiscard]] std::string WhyRefused(const ClientTls& tls) const {
    RawClient client(server_->port(), tls);
    ERR_clear_error();
    // What it is still sending is read off: its sending must not fail before it reads why.
    EXPECT_TRUE(client.Send(std::string(1'000'000, 'x')));
    EXPECT_EQ(client.Answer(), "");
    const char* const reason = ERR_reason_error_string(ERR_peek_error());
    return reason == nullptr ? "" : reason;
  }
  // What a new client is answered; nothing where it is refused.
  [[nodiscard]] std::string Ask(const ClientTls& tls) const {
    RawClient client(server_->port(), tls);
    return client.connected() && client.Send(kAsk) ? client.Answer() : "";
  }
  void WaitForReloads(std::uint64_t done, std::uint64_t failed) const {
    while (tls_->reloads().done < done || tls_->reloads().failed < failed)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(tls_->reloads().done, done);
    EXPECT_EQ(tls_->reloads().failed, failed);
  }

  const std::string folder_;
  const TestAuthority authority_;
  int versions_ = 0;
  std::shared_ptr<ServerTls> tls_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(ServerTlsTest, SpeaksHttp11ByTls12And13) {
  Serve(Options());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    ClientTls tls = Trusting();
    tls.max_version = version;
    tls.protocols = "\x02h2\x08http/1.1";
    RawClient client(server_->port(), tls);
    ASSERT_TRUE(client.connected());
    EXPECT_EQ(SSL_version(client.ssl()), version);
    const unsigned char* protocol = nullptr;
    unsigned int length = 0;
    SSL_get0_alpn_selected(client.ssl(), &protocol, &length);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(protocol), length), "http/1.1");
    client.Send(kAsk);
    EXPECT_THAT(client.Answer(), HasSubstr("hello"));
  }
}

TEST_F(ServerTlsTest, RefusesOldVersionsAndOtherProtocols) {
  Serve(Options());
  ClientTls old = Trusting();
  old.min_version = TLS1_1_VERSION;
  old.max_version = TLS1_1_VERSION;
  EXPECT_FALSE(RawClient(server_->port(), old).connected());
  ClientTls h2 = Trusting();
  h2.protocols = "\x02h2";
  EXPECT_FALSE(RawClient(server_->port(), h2).connected());
}

TEST_F(ServerTlsTest, SendsTheWholeChain) {
  const TestAuthority other("other");
  const TestCertificate own = authority_.Issue("first");
  Show({own.certificate_pem + other.pem(), own.key_pem});
  Serve(Options());
  RawClient client(server_->port(), Trusting());
  EXPECT_EQ(client.ServerName(), "first");
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(sk_X509_num(SSL_get_peer_cert_chain(client.ssl())), 2);
}

TEST_F(ServerTlsTest, TellsAClientWithoutTlsWhatIsWrong) {
  Serve(Options());
  RawClient client(server_->port());
  client.Send("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" +
              std::string(100'000, 'x'));
  EXPECT_THAT(client.Answer(), AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("\r\n\r\nThis port "),
                                     HasSubstr("speaks TLS")));
  EXPECT_TRUE(client.ClosedByPeer());
}

TEST_F(ServerTlsTest, WhoStallsOrTalksNonsenseHoldsNobody) {
  Serve(Options());
  RawClient silent(server_->port());
  RawClient stalled(server_->port());
  stalled.Send("\x16\x03\x01\x02");
  RawClient nonsense(server_->port());
  nonsense.Send(std::string(1000, '\xff'));
  EXPECT_THAT(Ask(Trusting()), HasSubstr("hello"));
  server_->Stop();
  EXPECT_TRUE(silent.ClosedByPeer());
}

TEST_F(ServerTlsTest, KnowsItsClients) {
  Write("ca.pem", authority_.pem());
  ServerTls::Options options = Options();
  options.client_ca_file = File("ca.pem");
  Serve(options);
  EXPECT_THAT(Ask(Trusting(authority_.Issue("anybody"))), HasSubstr("hello"));
  EXPECT_EQ(Ask(Trusting()), "");
  for (int i = 0; i < 10; ++i)
    ASSERT_THAT(WhyRefused(Trusting()), HasSubstr("certificate required"));
  // Named as ours is, and signed by another.
  EXPECT_EQ(Ask(Trusting(TestAuthority("ca").Issue("anybody"))), "");
}

TEST_F(ServerTlsTest, KnowsItsClientsByName) {
  Write("ca.pem", authority_.pem());
  ServerTls::Options options = Options();
  options.client_ca_file = File("ca.pem");
  options.client_names = {"system:kube-scheduler", "scheduler.example"};
  Serve(options);
  const auto answer = [this](const std::string& common_name, const std::string& names) {
    return Ask(Trusting(authority_.Issue(common_name, names)));
  };
  EXPECT_THAT(answer("system:kube-scheduler", ""), HasSubstr("hello"));
  EXPECT_THAT(answer("x", "DNS:a.example,DNS:Scheduler.Example"), HasSubstr("hello"));
  EXPECT_EQ(answer("somebody", "DNS:a.example"), "");
  EXPECT_EQ(answer("system:kube-scheduler2", "DNS:xscheduler.example"), "");
  // A name of another kind is none of these.
  EXPECT_EQ(answer("x", "email:scheduler.example,URI:system:kube-scheduler"), "");
  // The client hears of it a moment before it is counted.
  const auto wait = [this](TlsRefusal why, std::uint64_t count) {
    while (tls_->refused(why) < count) std::this_thread::yield();
    EXPECT_EQ(tls_->refused(why), count);
  };
  wait(TlsRefusal::kName, 3);
  EXPECT_EQ(Ask(Trusting()), "");
  wait(TlsRefusal::kNoCertificate, 1);
  EXPECT_EQ(tls_->refused(TlsRefusal::kUntrusted), 0U);
}

TEST_F(ServerTlsTest, TakesChangedFilesForNewConnections) {
  Serve(Options());
  RawClient kept(server_->port(), Trusting());
  EXPECT_EQ(kept.ServerName(), "first");
  for (int i = 1; i <= 3; ++i) {
    const std::string name = "number " + std::to_string(i);
    Show(authority_.Issue(name));
    WaitForReloads(static_cast<std::uint64_t>(i), 0);
    EXPECT_EQ(RawClient(server_->port(), Trusting()).ServerName(), name);
    kept.Send(kAsk);
    EXPECT_THAT(kept.Answer(), HasSubstr("hello"));
  }
}

TEST_F(ServerTlsTest, TakesAChangedAuthorityOfClients) {
  Write("ca.pem", authority_.pem());
  ServerTls::Options options = Options();
  options.client_ca_file = File("ca.pem");
  Serve(options);
  const TestAuthority next("next");
  EXPECT_EQ(Ask(Trusting(next.Issue("x"))), "");
  Write("ca.pem", authority_.pem() + next.pem());
  WaitForReloads(1, 0);
  EXPECT_THAT(Ask(Trusting(next.Issue("x"))), HasSubstr("hello"));
  EXPECT_THAT(Ask(Trusting(authority_.Issue("x"))), HasSubstr("hello"));
}

TEST_F(ServerTlsTest, KeepsWhatWorksWhereAChangeDoesNot) {
  Serve(Options());
  const auto expect_first = [this] {
    EXPECT_EQ(RawClient(server_->port(), Trusting()).ServerName(), "first");
  };
  const TestCertificate second = authority_.Issue("second");
  Write("data/key.pem", second.key_pem);
  WaitForReloads(0, 1);
  // Told once, however often it is looked at.
  std::this_thread::sleep_for(10 * Options().check);
  WaitForReloads(0, 1);
  expect_first();
  Write("data/cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  WaitForReloads(0, 2);
  expect_first();
  std::filesystem::remove(File("data/cert.pem"));
  WaitForReloads(0, 3);
  expect_first();
  Write("data/cert.pem", second.certificate_pem);
  WaitForReloads(1, 3);
  EXPECT_EQ(RawClient(server_->port(), Trusting()).ServerName(), "second");
}

TEST_F(ServerTlsTest, SaysWhichFileIsWrong) {
  const TestCertificate own = authority_.Issue("own");
  ServerTls::Options options = Options();
  options.client_ca_file = File("ca.pem");
  EXPECT_THAT(WhyNot(options),
              AllOf(HasSubstr("client_ca_file " + File("ca.pem")), HasSubstr("cannot be read")));
  Write("ca.pem", "");
  EXPECT_THAT(WhyNot(options), AllOf(HasSubstr("client_ca_file " + File("ca.pem")),
                                     HasSubstr("holds no certificate")));
  Write("data/key.pem", "nothing");
  EXPECT_THAT(WhyNot(options), AllOf(HasSubstr("key_file " + File("data/key.pem")),
                                     HasSubstr("holds no private key")));
  Write("data/key.pem", own.key_pem);
  EXPECT_THAT(WhyNot(options), AllOf(HasSubstr("key_file " + File("data/key.pem")),
                                     HasSubstr("is not the key of the first certificate")));
  Write("data/cert.pem", own.certificate_pem + "-----BEGIN CERTIFICATE-----\nA");
  EXPECT_THAT(WhyNot(options), AllOf(HasSubstr("certificate_file " + File("data/cert.pem")),
                                     HasSubstr("cannot be read")));
  Write("data/cert.pem", own.key_pem);
  EXPECT_THAT(WhyNot(options), AllOf(HasSubstr("certificate_file " + File("data/cert.pem")),
                                     HasSubstr("holds no certificate")));
}

// A passphrase would be asked for on the terminal.
TEST_F(ServerTlsTest, AsksForNoPassphrase) {
  const TestCertificate own = authority_.Issue("own");
  const TestKey key = ReadTestKey(own.key_pem);
  std::FILE* const file = std::fopen(File("data/key.pem").c_str(), "w");
  PEM_write_PKCS8PrivateKey(file, key.get(), EVP_aes_128_cbc(), "secret", 6, nullptr, nullptr);
  std::fclose(file);
  Write("data/cert.pem", own.certificate_pem);
  EXPECT_THAT(WhyNot(Options()), HasSubstr("without a passphrase"));
}

}  // namespace
}  // namespace sobre
