#include "net/peer_places.h"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace sobre {

PeerAddress PeerAddressOf(const sockaddr_storage& address) {
  PeerAddress peer{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address).sin_addr;
    constexpr std::size_t kMapped = 10;
    peer[kMapped] = peer[kMapped + 1] = 0xff;
    std::memcpy(&peer[kMapped + 2], &v4, sizeof v4);
  } else if (address.ss_family == AF_INET6) {
    std::memcpy(peer.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr,
                peer.size());
  }
  return peer;
}

std::string ToString(const PeerAddress& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET6, peer.data(), text.data(), text.size());
  const std::string address = text.data();
  constexpr std::string_view kMapped = "::ffff:";
  return address.starts_with(kMapped) && address.find('.') != std::string::npos
             ? address.substr(kMapped.size())
             : address;
}

PeerPlaces::Place PeerPlaces::Take(const PeerAddress& peer, int fd) {
  const MutexLock lock(mutex_);
  const auto total =
      std::count_if(held_.begin(), held_.end(), [](const Place& p) { return !p->cut; });
  if (total >= options_.most || CountOf(peer) >= options_.most_by_peer) {
    Held* const replaced = ReplacedBy(peer);
    if (replaced == nullptr) return nullptr;
    replaced->cut = true;
    ::shutdown(replaced->fd, SHUT_RD);
  }
  auto place = std::make_shared<Held>();
  place->peer = peer;
  place->fd = fd;
  place->since = std::chrono::steady_clock::now();
  held_.push_back(place);
  return place;
}

void PeerPlaces::Begin(const Place& place) {
  const MutexLock lock(mutex_);
  place->begun = true;
}

void PeerPlaces::Give(const Place& place) {
  const MutexLock lock(mutex_);
  std::erase(held_, place);
}

bool PeerPlaces::IsCut(const Place& place) const {
  const MutexLock lock(mutex_);
  return place->cut;
}

int PeerPlaces::taken() const {
  const MutexLock lock(mutex_);
  return static_cast<int>(
      std::count_if(held_.begin(), held_.end(), [](const Place& p) { return !p->cut; }));
}

int PeerPlaces::CountOf(const PeerAddress& peer) const {
  return static_cast<int>(std::count_if(
      held_.begin(), held_.end(), [&](const Place& p) { return !p->cut && p->peer == peer; }));
}

PeerAddress PeerPlaces::Greediest() const {
  PeerAddress greediest{};
  int most = 0;
  for (const Place& place : held_) {
    const int count = CountOf(place->peer);
    if (count > most) {
      most = count;
      greediest = place->peer;
    }
  }
  return greediest;
}

PeerPlaces::Held* PeerPlaces::ReplacedBy(const PeerAddress& peer) const {
  if (options_.when_full == WhenFull::kRefuse) return nullptr;
  const int own = CountOf(peer);
  const bool shares = options_.when_full == WhenFull::kShare;
  const PeerAddress from = own >= options_.most_by_peer ? peer : Greediest();
  if (shares && CountOf(from) < own + 2) return nullptr;
  const auto now = std::chrono::steady_clock::now();
  Held* oldest = nullptr;
  for (const Place& place : held_) {
    if (place->cut || place->peer != from) continue;
    if (shares || !place->begun) return place.get();
    if (oldest == nullptr && now - place->since >= options_.protect) oldest = place.get();
  }
  return oldest;
}

}  // namespace sobre
