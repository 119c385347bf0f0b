#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/test_certificates.h"

namespace sobre {

// How a test's client speaks TLS, and to whom.
struct ClientTls {
  std::string ca_pem;
  TestCertificate own = {};  // empty: it shows none
  int min_version = TLS1_2_VERSION;
  int max_version = TLS1_3_VERSION;
  std::string protocols = {};  // of ALPN, in its wire format
};

// A client that sends exactly the bytes it is told, plain or within TLS.
class RawClient {
 public:
  // It comes from `source`, an address of this machine's.
  explicit RawClient(int port, const char* source = "127.0.0.1")
      : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, source, &address.sin_addr);
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  // In TLS 1.3 a client is connected before the server has judged its certificate.
  RawClient(int port, const ClientTls& tls, const char* source = "127.0.0.1")
      : RawClient(port, source) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context_.get(), tls.min_version);
    SSL_CTX_set_max_proto_version(context_.get(), tls.max_version);
    // Old versions are offered, for the server to refuse.
    if (tls.max_version < TLS1_2_VERSION)
      SSL_CTX_set_cipher_list(context_.get(), "ALL:@SECLEVEL=0");
    for (const TestX509& authority : ReadTestCertificates(tls.ca_pem))
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), authority.get());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    if (!tls.own.certificate_pem.empty()) {
      SSL_CTX_use_certificate(context_.get(),
                              ReadTestCertificates(tls.own.certificate_pem).front().get());
      SSL_CTX_use_PrivateKey(context_.get(), ReadTestKey(tls.own.key_pem).get());
    }
    SSL_CTX_set_alpn_protos(context_.get(),
                            reinterpret_cast<const unsigned char*>(tls.protocols.data()),
                            static_cast<unsigned int>(tls.protocols.size()));
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_);
    connected_ = connected_ && SSL_connect(ssl_.get()) == 1;
  }
  ~RawClient() { ::close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }
  // The common name of the server's certificate.
  [[nodiscard]] std::string ServerName() const {
    const TestX509 certificate(SSL_get1_peer_certificate(ssl_.get()));
    return certificate == nullptr ? std::string() : CommonNameOf(certificate.get());
  }
  bool Send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const char* const rest = bytes.data() + sent;
      const std::size_t size = bytes.size() - sent;
      std::size_t written = 0;
      if (ssl_ != nullptr) {
        if (SSL_write_ex(ssl_.get(), rest, size, &written) != 1) return false;
      } else {
        const ssize_t n = ::send(fd_, rest, size, MSG_NOSIGNAL);
        if (n <= 0) return false;
        written = static_cast<std::size_t>(n);
      }
      sent += written;
    }
    return true;
  }
  // What has come by then of an answer that may be long.
  std::string Beginning() {
    std::array<char, 4096> buffer;
    const ssize_t n = Receive(buffer.data(), buffer.size());
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
  }
  // One answer: its header and the body that Content-Length promises; what came if the peer closes.
  std::string Answer() {
    std::string bytes;
    while (true) {
      const std::size_t end = bytes.find("\r\n\r\n");
      if (end != std::string::npos) {
        const std::size_t at = bytes.find("Content-Length: ");
        const std::size_t length =
            at > end ? std::size_t{0} : static_cast<std::size_t>(std::stoul(bytes.substr(at + 16)));
        if (bytes.size() >= end + 4 + length) return bytes;
      }
      std::array<char, 65536> buffer;
      const ssize_t n = Receive(buffer.data(), buffer.size());
      if (n <= 0) return bytes;
      bytes.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }
  // In good order: within TLS it has said so.
  bool ClosedByPeer() {
    char byte = 0;
    const ssize_t n = Receive(&byte, 1);
    if (ssl_ == nullptr) return n == 0;
    return n <= 0 && SSL_get_error(ssl_.get(), static_cast<int>(n)) == SSL_ERROR_ZERO_RETURN;
  }

 private:
  ssize_t Receive(char* out, std::size_t size) {
    if (ssl_ == nullptr) return ::recv(fd_, out, size, 0);
    return SSL_read(ssl_.get(), out, static_cast<int>(size));
  }

  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  int fd_;
  bool connected_ = false;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
};

}  // namespace sobre
