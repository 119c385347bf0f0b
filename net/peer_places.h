#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "base/mutex.h"
#include "base/time.h"

namespace sobre {

// An IP address without its port; an IPv4 address is written as IPv6 maps it.
using PeerAddress = std::array<unsigned char, 16>;
PeerAddress PeerAddressOf(const sockaddr_storage& address);
std::string ToString(const PeerAddress& peer);

// A bounded number of places for connections, of which one address may have a bounded number.
// Thread-safe.
class PeerPlaces {
 public:
  // What happens to a connection for which there is no place.
  enum class WhenFull {
    kRefuse,  // it gets none
    // It takes the place of a connection that has not begun, or that began longer than `protect`
    // ago: the oldest of its own address where that has all of its share, else of the address that
    // has most.
    kReplace,
    // It takes the place of the oldest connection of the address that has most, if that still has
    // as many as its own address then.
    kShare,
  };
  struct Options {
    int most = 0;
    int most_by_peer = 0;
    WhenFull when_full = WhenFull::kRefuse;
    Duration protect = std::chrono::hours(24);
  };
  struct Held {
    PeerAddress peer{};
    int fd = -1;
    std::chrono::steady_clock::time_point since;
    bool begun = false;
    bool cut = false;  // it has lost its place to another
  };
  using Place = std::shared_ptr<Held>;

  explicit PeerPlaces(Options options) : options_(options) {}

  // Null: there is none. A connection that loses its place can receive no more, as if its client
  // had ended it, and can still send.
  Place Take(const PeerAddress& peer, int fd);
  // The connection is being answered, and is not replaced without need.
  void Begin(const Place& place);
  // Before the descriptor is closed. Does nothing for null.
  void Give(const Place& place);
  [[nodiscard]] bool IsCut(const Place& place) const;
  // That have not lost theirs.
  [[nodiscard]] int taken() const;

 private:
  [[nodiscard]] int CountOf(const PeerAddress& peer) const SOBRE_REQUIRES(mutex_);
  [[nodiscard]] PeerAddress Greediest() const SOBRE_REQUIRES(mutex_);
  [[nodiscard]] Held* ReplacedBy(const PeerAddress& peer) const SOBRE_REQUIRES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  std::vector<Place> held_ SOBRE_GUARDED_BY(mutex_);  // the oldest first
};

}  // namespace sobre
