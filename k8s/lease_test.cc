#include "k8s/lease.h"

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include <gtest/gtest.h>

#include "net/http_server.h"

namespace sobre {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// An API server with one Lease, which takes what it is given.
class LeaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    constexpr const char* kFolder = "/apis/coordination.k8s.io/v1/namespaces/sobre/leases";
    server_.Handle("GET", std::string(kFolder) + "/keeper",
                   [this](const HttpRequest&, HttpResponse& r) {
                     const std::lock_guard lock(mutex_);
                     if (holder_.empty()) return r.Fail(404, "none");
                     r.body = R"({"metadata":{"resourceVersion":")" + std::to_string(version_) +
                              R"("},"spec":{"holderIdentity":")" + holder_ + "\"}}";
                   });
    server_.Handle("POST", kFolder, [this](const HttpRequest& q, HttpResponse& r) {
      constexpr std::string_view kKey = "\"holderIdentity\":\"";
      const std::size_t at = q.body.find(kKey);
      ASSERT_NE(at, std::string_view::npos);
      const std::string_view rest = q.body.substr(at + kKey.size());
      Hold(std::string(rest.substr(0, rest.find('"'))));
      r.body = "{}";
    });
    ASSERT_TRUE(server_.Start().ok());
    ApiAccess access;
    access.server = "http://127.0.0.1:" + std::to_string(server_.port());
    api_ = std::make_unique<ApiClient>(access);
  }
  void Hold(const std::string& holder) {
    const std::lock_guard lock(mutex_);
    holder_ = holder;
    ++version_;
  }

  std::mutex mutex_;
  std::string holder_;
  int version_ = 0;
  HttpServer server_{HttpServer::Options{}};
  std::unique_ptr<ApiClient> api_;
  Lease lease_{{"sobre", "keeper", "me", seconds(15)}};
  const SteadyTime start_ = SteadyTime(hours(1));
  const Timestamp now_ = Timestamp(hours(500'000));
};

TEST_F(LeaseTest, AFreeOneIsTaken) {
  const auto held = lease_.TryHold(*api_, now_, start_);
  ASSERT_TRUE(held.ok()) << held.status().message();
  EXPECT_TRUE(*held);
  EXPECT_EQ(holder_, "me");
}

TEST_F(LeaseTest, AnotherHoldsItForItsDurationWhateverBecomesOfTheClock) {
  Hold("other");
  EXPECT_FALSE(*lease_.TryHold(*api_, now_, start_));
  // Set ahead: not over yet.
  EXPECT_FALSE(*lease_.TryHold(*api_, now_ + hours(1), start_ + seconds(10)));
  Hold("other");
  EXPECT_FALSE(*lease_.TryHold(*api_, now_ + hours(2), start_ + seconds(20)));
  // Set back: over all the same. There is no PUT on this server, so trying to take it says so.
  const auto tried = lease_.TryHold(*api_, now_ - hours(3), start_ + seconds(36));
  EXPECT_FALSE(tried.ok());
}

}  // namespace
}  // namespace sobre
