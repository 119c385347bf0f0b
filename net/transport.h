#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <sys/types.h>
#include <sys/uio.h>

struct ssl_st;

namespace sobre {

using Deadline = std::chrono::steady_clock::time_point;

// False when the time is up; true also where the descriptor is broken: the next call tells.
bool WaitFor(int fd, short events, Deadline deadline);

// The bytes of an accepted connection, whose descriptor belongs to the caller. For one thread.
class Transport {
 public:
  // What trying without waiting came to.
  struct Attempt {
    ssize_t bytes = -1;  // 0: the peer sends no more
    short wait_for = 0;  // of poll(), where bytes is -1; 0: the connection is broken
  };

  explicit Transport(int fd) : fd_(fd) {}
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  virtual Attempt Read(char* out, std::size_t size) = 0;
  // Of the first parts as much as goes.
  virtual Attempt Write(std::span<const iovec> parts) = 0;
  // Bytes that were taken off the socket and not read: poll() does not tell of them.
  [[nodiscard]] virtual bool has_pending() const { return false; }
  // Says that no more will come.
  virtual void EndWriting();

  // As Read(), waiting: more than 0, or the end (0), or broken or too late (-1).
  ssize_t Receive(char* out, std::size_t size, Deadline deadline);
  // All of both.
  bool Send(std::string_view first, std::string_view second, Deadline deadline);
  // Ends writing, and reads off for a moment what the peer is still sending: closing on unread
  // bytes would make the kernel reset the connection and take the answer with it.
  void Linger();
  [[nodiscard]] bool IsPeerGone() const;
  void GetPeer(std::string& ip, int& port) const;
  void GetLocal(std::string& ip, int& port) const;

 private:
  const int fd_;
};

class PlainTransport final : public Transport {
 public:
  using Transport::Transport;
  Attempt Read(char* out, std::size_t size) override;
  Attempt Write(std::span<const iovec> parts) override;
};

struct TlsContext;
enum class TlsRefusal : std::uint8_t;

class TlsTransport final : public Transport {
 public:
  TlsTransport(int fd, std::shared_ptr<const TlsContext> context);
  ~TlsTransport() override;

  // First of all, until bytes is over 0.
  Attempt Handshake();
  // The client's first message came whole, and was answered.
  [[nodiscard]] bool HasAnswered() const;
  // Counts, and tells the log, that the client was cut off before the handshake's end.
  void GiveUp();
  // After a handshake that failed: tells the peer why, and the log, where there is something to
  // tell.
  void Refuse(Deadline deadline);

  Attempt Read(char* out, std::size_t size) override;
  Attempt Write(std::span<const iovec> parts) override;
  [[nodiscard]] bool has_pending() const override;
  void EndWriting() override;

 private:
  // What a call of OpenSSL that did not succeed asks for.
  Attempt Failed(int result);
  void LogRefusal() const;

  const std::shared_ptr<const TlsContext> context_;  // its callbacks are still called
  ssl_st* const ssl_;
  bool usable_ = false;  // the handshake is done and nothing has failed since
  bool peer_speaks_http_ = false;
  std::string problem_;  // why it broke, for a person; empty where the peer just left
  TlsRefusal refusal_{};
  std::string refused_names_;  // of a certificate that has none of the names that it should
};

}  // namespace sobre
