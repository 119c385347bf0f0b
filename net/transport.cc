#include "net/transport.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/time.h"
#include "net/server_tls.h"

namespace sobre {
namespace {

constexpr std::size_t kLingerBytes = 256U << 20;
constexpr Duration kLinger = std::chrono::seconds(2);
constexpr std::string_view kPlainHttp =
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; "
    "charset=utf-8\r\nContent-Length: 38\r\n\r\nThis port speaks TLS: ask by https://\n";

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

ssize_t ReceiveNow(int fd, char* out, std::size_t size) {
  while (true) {
    const ssize_t got = ::recv(fd, out, size, MSG_DONTWAIT);
    if (got >= 0 || errno != EINTR) return got;
  }
}

Transport::Attempt AttemptOf(ssize_t bytes, short wait_for) {
  if (bytes >= 0) return {bytes, 0};
  return {-1, WouldBlock(errno) ? wait_for : short{0}};
}

template <class NameCall>
void Name(NameCall call, int fd, std::string& ip, int& port) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (call(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return;
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    port = ntohs(v4->sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    port = ntohs(v6->sin6_port);
  }
  ip = text.data();
}

// OpenSSL's own socket BIO would wait, as the sockets do, and raise SIGPIPE.
int FdOf(BIO* bio) { return static_cast<const Transport*>(BIO_get_data(bio))->fd(); }

int BioRead(BIO* bio, char* out, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ReceiveNow(FdOf(bio), out, static_cast<std::size_t>(size));
  if (got < 0 && WouldBlock(errno)) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

int BioWrite(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  ssize_t sent = 0;
  do {
    sent = ::send(FdOf(bio), data, static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && WouldBlock(errno)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

long BioControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO* NewBio(Transport* transport) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_read(made, BioRead);
    BIO_meth_set_write(made, BioWrite);
    BIO_meth_set_ctrl(made, BioControl);
    return made;
  }();
  BIO* bio = BIO_new(method);
  BIO_set_data(bio, transport);
  BIO_set_init(bio, 1);
  return bio;
}

// One of a kind in a while: whoever fails tries again and again.
bool MayLogRefusal(TlsRefusal refusal) {
  constexpr std::int64_t kBetweenMilliseconds = 60'000;
  static std::array<std::atomic<std::int64_t>, kTlsRefusals> all{};
  std::atomic<std::int64_t>& next = all[static_cast<std::size_t>(refusal)];
  const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch() / Duration(1);
  std::int64_t due = next;
  return now >= due && next.compare_exchange_strong(due, now + kBetweenMilliseconds);
}

}  // namespace

bool WaitFor(int fd, short events, Deadline deadline) {
  while (true) {
    const auto left =
        std::chrono::ceil<Duration>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd waiting{fd, events, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

void Transport::EndWriting() { ::shutdown(fd_, SHUT_WR); }

ssize_t Transport::Receive(char* out, std::size_t size, Deadline deadline) {
  while (true) {
    const Attempt got = Read(out, size);
    if (got.bytes >= 0) return got.bytes;
    if (got.wait_for == 0 || !WaitFor(fd_, got.wait_for, deadline)) return -1;
  }
}

bool Transport::Send(std::string_view first, std::string_view second, Deadline deadline) {
  const auto part = [](std::string_view bytes) {
    return iovec{const_cast<char*>(bytes.data()), bytes.size()};
  };
  std::array<iovec, 2> parts = {part(first), part(second)};
  std::span<iovec> left(parts);
  while (true) {
    while (!left.empty() && left.front().iov_len == 0) left = left.subspan(1);
    if (left.empty()) return true;
    const Attempt sent = Write(left);
    if (sent.bytes < 0) {
      if (sent.wait_for == 0 || !WaitFor(fd_, sent.wait_for, deadline)) return false;
      continue;
    }
    auto rest = static_cast<std::size_t>(sent.bytes);
    for (iovec& some : left) {
      const std::size_t taken = std::min(some.iov_len, rest);
      some.iov_base = static_cast<char*>(some.iov_base) + taken;
      some.iov_len -= taken;
      rest -= taken;
    }
  }
}

void Transport::Linger() {
  EndWriting();
  const Deadline deadline = std::chrono::steady_clock::now() + kLinger;
  std::vector<char> unread(64U << 10);
  std::size_t left = kLingerBytes;
  while (left > 0) {
    const ssize_t got = ReceiveNow(fd_, unread.data(), unread.size());
    if (got == 0) return;
    if (got < 0) {
      if (!WouldBlock(errno) || !WaitFor(fd_, POLLIN, deadline)) return;
      continue;
    }
    left -= std::min(left, static_cast<std::size_t>(got));
  }
}

bool Transport::IsPeerGone() const {
  pollfd waiting{fd_, POLLRDHUP, 0};
  return ::poll(&waiting, 1, 0) > 0;
}

void Transport::GetPeer(std::string& ip, int& port) const { Name(::getpeername, fd_, ip, port); }
void Transport::GetLocal(std::string& ip, int& port) const { Name(::getsockname, fd_, ip, port); }

Transport::Attempt PlainTransport::Read(char* out, std::size_t size) {
  return AttemptOf(ReceiveNow(fd(), out, size), POLLIN);
}

Transport::Attempt PlainTransport::Write(std::span<const iovec> parts) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return AttemptOf(sent, POLLOUT);
}

TlsTransport::TlsTransport(int fd, std::shared_ptr<const TlsContext> context)
    : Transport(fd), context_(std::move(context)), ssl_(SSL_new(context_->ssl.get())) {
  BIO* const bio = NewBio(this);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_accept_state(ssl_);
  SSL_set_app_data(ssl_, &refused_names_);
}

TlsTransport::~TlsTransport() { SSL_free(ssl_); }

Transport::Attempt TlsTransport::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  usable_ = result == 1;
  return usable_ ? Attempt{1, 0} : Failed(result);
}

bool TlsTransport::HasAnswered() const { return BIO_number_written(SSL_get_wbio(ssl_)) > 0; }

void TlsTransport::GiveUp() {
  refusal_ = TlsRefusal::kTimeout;
  problem_ = "the client did not finish it in time";
  ++(*context_->refusals)[static_cast<std::size_t>(refusal_)];
  LogRefusal();
}

void TlsTransport::LogRefusal() const {
  if (!MayLogRefusal(refusal_)) return;
  std::string peer;
  int port = 0;
  GetPeer(peer, port);
  Log(LogLevel::kWarning, "a TLS handshake failed", {{"peer", peer}, {"error", problem_}});
}

void TlsTransport::Refuse(Deadline deadline) {
  if (peer_speaks_http_ || !problem_.empty())
    ++(*context_->refusals)[static_cast<std::size_t>(refusal_)];
  if (peer_speaks_http_) {
    PlainTransport(fd()).Send(kPlainHttp, {}, deadline);
  } else if (problem_.empty()) {
    return;
  } else {
    LogRefusal();
  }
  // Else what tells it why would be lost.
  Linger();
}

Transport::Attempt TlsTransport::Read(char* out, std::size_t size) {
  ERR_clear_error();
  std::size_t got = 0;
  const int result = SSL_read_ex(ssl_, out, size, &got);
  return result == 1 ? Attempt{static_cast<ssize_t>(got), 0} : Failed(result);
}

Transport::Attempt TlsTransport::Write(std::span<const iovec> parts) {
  ERR_clear_error();
  std::size_t sent = 0;
  const int result = SSL_write_ex(ssl_, parts.front().iov_base, parts.front().iov_len, &sent);
  return result == 1 ? Attempt{static_cast<ssize_t>(sent), 0} : Failed(result);
}

bool TlsTransport::has_pending() const { return SSL_pending(ssl_) > 0; }

void TlsTransport::EndWriting() {
  // After a failure OpenSSL must not be asked to close. Where the socket takes no more now, the
  // peer does without.
  if (std::exchange(usable_, false)) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
  }
  Transport::EndWriting();
}

Transport::Attempt TlsTransport::Failed(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return {-1, POLLIN};
    case SSL_ERROR_WANT_WRITE:
      return {-1, POLLOUT};
    case SSL_ERROR_ZERO_RETURN:
      return {0, 0};
    default:
      break;
  }
  usable_ = false;
  refusal_ = TlsRefusal::kHandshake;
  const unsigned long error = ERR_peek_error();
  if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
    const int reason = ERR_GET_REASON(error);
    peer_speaks_http_ = reason == SSL_R_HTTP_REQUEST;
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
      const long verified = SSL_get_verify_result(ssl_);
      refusal_ = RefusalOf(verified);
      problem_ = WhyClientRefused(verified, refused_names_);
    } else if (reason != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
      const char* text = ERR_reason_error_string(error);
      problem_ = text == nullptr ? "TLS error " + std::to_string(reason) : text;
      if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) refusal_ = TlsRefusal::kNoCertificate;
    }
  }
  ERR_clear_error();
  return {-1, 0};
}

}  // namespace sobre
