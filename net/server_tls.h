#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/time.h"
#include "net/certificates.h"

struct ssl_ctx_st;

namespace sobre {

// Why a connection did not come about.
enum class TlsRefusal : std::uint8_t {
  kNoCertificate,  // the client showed none
  kUntrusted,      // what it showed is not of client_ca_file, or has ended, or is not for clients
  kName,           // it has none of client_names
  kHandshake,      // all else: no TLS at all, or the client did not like us
  kTimeout,        // it did not finish in time, or others waited for its place
};
inline constexpr std::size_t kTlsRefusals = 5;
std::string_view ToString(TlsRefusal refusal);
using TlsRefusalCounts = std::array<std::atomic<std::uint64_t>, kTlsRefusals>;

// What connections are accepted with, made of the files as they were at one moment. Immutable.
struct TlsContext {
  std::shared_ptr<ssl_ctx_st> ssl;
  std::vector<std::string> client_names;
  CertificateExpiry certificate;
  std::optional<CertificateExpiry> client_ca;
  std::shared_ptr<TlsRefusalCounts> refusals;
};
// Of a client's certificate of which OpenSSL says this: why it was refused, and in words. Its names
// are those that it was refused for.
TlsRefusal RefusalOf(long verify_result);
std::string WhyClientRefused(long verify_result, std::string_view names);

// The certificates of a server: read from files, and again as those change. Connections that are
// open keep what they began with.
//
//   auto tls = std::make_shared<ServerTls>(options);
//   if (Status status = tls->Start(); !status.ok()) …
//   HttpServer server({.tls = tls});
class ServerTls {
 public:
  struct Options {
    std::string certificate_file;  // PEM: the server's own certificate, then its chain
    std::string key_file;          // PEM, without a passphrase
    // Whoever signs clients' certificates, PEM; empty: clients show none.
    std::string client_ca_file = {};
    // DNS names or common names, one of which a client's certificate must have; none: any will do.
    std::vector<std::string> client_names = {};
    // How often the files are looked at. A change counts once it has stood for that long: files are
    // written one after the other.
    Duration check = std::chrono::seconds(5);
  };
  struct Reloads {
    std::uint64_t done = 0;
    std::uint64_t failed = 0;  // changes that could not be used: what was there before still is
  };

  explicit ServerTls(Options options);
  ~ServerTls();
  ServerTls(const ServerTls&) = delete;
  ServerTls& operator=(const ServerTls&) = delete;

  // Reads the files, then follows them in a thread of its own. An error says which file is wrong.
  Status Start();
  // For a new connection; never null once started. Any thread.
  [[nodiscard]] std::shared_ptr<const TlsContext> context() const;
  [[nodiscard]] Reloads reloads() const;
  // Since the start; any thread.
  [[nodiscard]] std::uint64_t refused(TlsRefusal why) const {
    return (*refusals_)[static_cast<std::size_t>(why)];
  }

 private:
  // The texts of the files: certificate, key, client's authority. Nothing: it cannot be read.
  using Texts = std::array<std::optional<std::string>, 3>;

  [[nodiscard]] Texts ReadTexts() const;
  [[nodiscard]] Result<std::shared_ptr<const TlsContext>> Make(const Texts& texts) const;
  void Follow(Texts judged);
  void Take(const Texts& texts);

  const Options options_;
  const std::shared_ptr<TlsRefusalCounts> refusals_ = std::make_shared<TlsRefusalCounts>();
  mutable Mutex mutex_;
  ConditionVariable wake_;
  bool stop_ SOBRE_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const TlsContext> context_ SOBRE_GUARDED_BY(mutex_);
  Reloads reloads_ SOBRE_GUARDED_BY(mutex_);
  std::thread follower_;
};

}  // namespace sobre
