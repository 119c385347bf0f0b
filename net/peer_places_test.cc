#include "net/peer_places.h"

#include <map>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

namespace sobre {
namespace {

using WhenFull = PeerPlaces::WhenFull;

PeerAddress Peer(unsigned char last) {
  sockaddr_storage address{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(0x0a000000U + last);
  return PeerAddressOf(address);
}

// Connections whose other end looks whether they can still receive.
class PeerPlacesTest : public ::testing::Test {
 protected:
  ~PeerPlacesTest() override {
    for (const auto& [ours, theirs] : pairs_) {
      ::close(ours);
      ::close(theirs);
    }
  }
  int Connection() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    pairs_[ends[0]] = ends[1];
    return ends[0];
  }
  static bool CanReceive(const PeerPlaces::Place& place) {
    pollfd waiting{place->fd, POLLRDHUP, 0};
    return ::poll(&waiting, 1, 0) == 0;
  }

  std::map<int, int> pairs_;
};

TEST(PeerAddressTest, OfBothFamilies) {
  EXPECT_EQ(ToString(Peer(7)), "10.0.0.7");
  sockaddr_storage address{};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  v6.sin6_family = AF_INET6;
  ASSERT_EQ(::inet_pton(AF_INET6, "fd00::7", &v6.sin6_addr), 1);
  EXPECT_EQ(ToString(PeerAddressOf(address)), "fd00::7");
  // A client of IPv4 at a socket of IPv6 is the same client.
  ASSERT_EQ(::inet_pton(AF_INET6, "::ffff:10.0.0.7", &v6.sin6_addr), 1);
  EXPECT_EQ(PeerAddressOf(address), Peer(7));
}

TEST_F(PeerPlacesTest, AreBoundedInSumAndByAddress) {
  PeerPlaces places({3, 2});
  const auto a = places.Take(Peer(1), Connection());
  const auto b = places.Take(Peer(1), Connection());
  EXPECT_EQ(places.Take(Peer(1), Connection()), nullptr);
  const auto c = places.Take(Peer(2), Connection());
  EXPECT_EQ(places.Take(Peer(3), Connection()), nullptr);
  EXPECT_EQ(places.taken(), 3);
  places.Give(a);
  EXPECT_NE(places.Take(Peer(3), Connection()), nullptr);
  for (const auto& place : {b, c}) EXPECT_TRUE(CanReceive(place));
}

TEST_F(PeerPlacesTest, WhoHasNotBegunGivesWay) {
  PeerPlaces places({4, 2, WhenFull::kReplace});
  const auto a = places.Take(Peer(1), Connection());
  const auto b = places.Take(Peer(1), Connection());
  const auto other = places.Take(Peer(2), Connection());
  // One's own, where one has one's share.
  const auto c = places.Take(Peer(1), Connection());
  ASSERT_NE(c, nullptr);
  EXPECT_TRUE(places.IsCut(a));
  EXPECT_FALSE(CanReceive(a));
  EXPECT_TRUE(CanReceive(b) && CanReceive(other) && CanReceive(c));
  places.Begin(b);
  const auto d = places.Take(Peer(1), Connection());
  EXPECT_TRUE(places.IsCut(c));
  EXPECT_FALSE(places.IsCut(b));
  places.Begin(d);
  EXPECT_EQ(places.Take(Peer(1), Connection()), nullptr);
  // Where all are taken, one of the address that has most.
  const auto e = places.Take(Peer(3), Connection());
  ASSERT_NE(e, nullptr);
  EXPECT_EQ(places.Take(Peer(4), Connection()), nullptr);
  const auto f = places.Take(Peer(2), Connection());
  EXPECT_EQ(f, nullptr);
  EXPECT_EQ(places.taken(), 4);
}

TEST_F(PeerPlacesTest, WhoBeganLongAgoGivesWayAtLast) {
  PeerPlaces places({2, 1, WhenFull::kReplace, Duration(0)});
  const auto a = places.Take(Peer(1), Connection());
  places.Begin(a);
  EXPECT_NE(places.Take(Peer(1), Connection()), nullptr);
  EXPECT_TRUE(places.IsCut(a));
}

TEST_F(PeerPlacesTest, AreSharedBetweenAddresses) {
  PeerPlaces places({4, 4, WhenFull::kShare});
  std::vector<PeerPlaces::Place> first;
  for (int i = 0; i < 4; ++i) first.push_back(places.Take(Peer(1), Connection()));
  EXPECT_EQ(places.Take(Peer(1), Connection()), nullptr);
  EXPECT_NE(places.Take(Peer(2), Connection()), nullptr);
  EXPECT_NE(places.Take(Peer(2), Connection()), nullptr);
  EXPECT_EQ(places.Take(Peer(2), Connection()), nullptr);
  EXPECT_TRUE(places.IsCut(first[0]) && places.IsCut(first[1]));
  EXPECT_FALSE(places.IsCut(first[2]) || places.IsCut(first[3]));
  EXPECT_NE(places.Take(Peer(3), Connection()), nullptr);
  EXPECT_NE(places.Take(Peer(4), Connection()), nullptr);
  // Each has one: nobody gives way any more.
  EXPECT_EQ(places.Take(Peer(5), Connection()), nullptr);
  EXPECT_EQ(places.taken(), 4);
}

}  // namespace
}  // namespace sobre
