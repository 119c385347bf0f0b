#include "k8s/lease.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// An API server with one Lease, or none; a write needs the version that was read.
class LeaseTest : public ::testing::Test {
 protected:
  Result<HttpReply> Answer(std::string_view method, const std::string& path,
                           const std::string& body) {
    const std::string folder = "/apis/coordination.k8s.io/v1/namespaces/sobre/leases";
    if (method == "GET") {
      EXPECT_EQ(path, folder + "/keeper");
      if (!there_) return HttpReply{404, "none"};
      return HttpReply{200, R"({"metadata":{"resourceVersion":")" + std::to_string(version_) +
                                R"("},"spec":{"holderIdentity":")" + holder_ +
                                R"(","leaseDurationSeconds":)" + std::to_string(stated_) + "}}"};
    }
    const bool dry = path.ends_with("?dryRun=All");
    const std::string where = path.substr(0, path.find('?'));
    EXPECT_EQ(where, method == "POST" ? folder : folder + "/keeper");
    if (!writable_) return HttpReply{403, "no right to write leases"};
    const bool conflict =
        method == "POST" ? there_
                         : TextAfter(body, "\"resourceVersion\":\"") != std::to_string(version_);
    if (conflict) return HttpReply{409, "somebody was quicker"};
    if (!dry) Hold(TextAfter(body, "\"holderIdentity\":\""));
    return HttpReply{200, "{}"};
  }
  static std::string TextAfter(std::string_view body, std::string_view key) {
    const std::size_t at = body.find(key);
    if (at == std::string_view::npos) return "";
    const std::string_view rest = body.substr(at + key.size());
    return std::string(rest.substr(0, rest.find('"')));
  }
  void Hold(const std::string& holder) {
    there_ = true;
    holder_ = holder;
    ++version_;
  }
  void Delete() { there_ = false; }
  LeaseHold TryHold(Lease& lease, Duration at) {
    const auto held = lease.TryHold(calls_, now_, [&] { return start_ + at; });
    EXPECT_TRUE(held.ok()) << held.status().message();
    return held.ok() ? *held : LeaseHold::kOther;
  }

  bool there_ = false;
  bool writable_ = true;
  std::string holder_;
  std::int64_t stated_ = 15;  // seconds, by whoever holds it
  int version_ = 0;
  const Lease::Call calls_ = [this](std::string_view method, const std::string& path,
                                    const std::string& body) { return Answer(method, path, body); };
  Lease lease_{{"sobre", "keeper", "me", seconds(15)}};
  Lease other_{{"sobre", "keeper", "other", seconds(15)}};
  const SteadyTime start_ = SteadyTime(hours(1));
  const Timestamp now_ = Timestamp(hours(500'000));
};

TEST_F(LeaseTest, OneThatIsMissingIsMadeAndSureAfterItsDuration) {
  EXPECT_EQ(TryHold(lease_, seconds(0)), LeaseHold::kFresh);
  EXPECT_EQ(holder_, "me");
  EXPECT_EQ(TryHold(other_, seconds(1)), LeaseHold::kOther);
  EXPECT_EQ(TryHold(lease_, seconds(14)), LeaseHold::kFresh);
  EXPECT_EQ(TryHold(lease_, seconds(15)), LeaseHold::kOurs);
}

// Whoever held it believes so for as long as it last wrote: at no time do both.
TEST_F(LeaseTest, OneThatIsDeletedAgainAndAgainIsNeverHeldByTwo) {
  struct Replica {
    Lease* lease;
    Duration begins;
    Duration until{};
  };
  std::array<Replica, 2> replicas = {{{&lease_, seconds(0)}, {&other_, seconds(3)}}};
  std::map<const Lease*, int> led;
  for (int second = 0; second < 600; ++second) {
    const Duration at = seconds(second);
    // At first it is left alone, so that somebody surely holds it.
    if (second >= 60 && second % 37 == 0) Delete();
    for (Replica& replica : replicas) {
      if ((at - replica.begins).count() % 5000 != 0) continue;
      const LeaseHold hold = TryHold(*replica.lease, at);
      replica.until = hold == LeaseHold::kOurs ? at + seconds(15) : Duration(0);
      if (hold == LeaseHold::kOurs) ++led[replica.lease];
    }
    const auto holding = std::count_if(replicas.begin(), replicas.end(),
                                       [&](const Replica& r) { return at < r.until; });
    EXPECT_LE(holding, 1) << second << " s";
  }
  EXPECT_EQ(led.size(), 2U) << "each had its turn";
}

TEST_F(LeaseTest, OneThatIsOursStaysSoWhereItIsMadeAnewInTime) {
  TryHold(lease_, seconds(0));
  ASSERT_EQ(TryHold(lease_, seconds(20)), LeaseHold::kOurs);
  Delete();
  EXPECT_EQ(TryHold(lease_, seconds(25)), LeaseHold::kOurs);
  Delete();
  EXPECT_EQ(TryHold(lease_, seconds(41)), LeaseHold::kFresh)
      << "another may have held it meanwhile";
}

TEST_F(LeaseTest, AnotherHoldsItForItsDurationWhateverBecomesOfTheClock) {
  Hold("other");
  EXPECT_EQ(TryHold(lease_, seconds(0)), LeaseHold::kOther);
  EXPECT_EQ(TryHold(lease_, seconds(10)), LeaseHold::kOther);
  Hold("other");
  EXPECT_EQ(TryHold(lease_, seconds(20)), LeaseHold::kOther);
  // Its end was seen: nobody else believes to hold it.
  EXPECT_EQ(TryHold(lease_, seconds(36)), LeaseHold::kOurs);
}

TEST_F(LeaseTest, WhoeverStatesALongerTimeHasIt) {
  Hold("other");
  stated_ = 60;
  EXPECT_EQ(TryHold(lease_, seconds(0)), LeaseHold::kOther);
  EXPECT_EQ(TryHold(lease_, seconds(59)), LeaseHold::kOther);
  EXPECT_EQ(TryHold(lease_, seconds(60)), LeaseHold::kOurs);
  Hold("other");
  stated_ = 1;
  EXPECT_EQ(TryHold(lease_, seconds(100)), LeaseHold::kOther);
  EXPECT_EQ(TryHold(lease_, seconds(114)), LeaseHold::kOther) << "ours is longer";
  EXPECT_EQ(TryHold(lease_, seconds(115)), LeaseHold::kOurs);
  Hold("other");
  stated_ = std::int64_t{1} << 60;
  EXPECT_EQ(TryHold(lease_, seconds(200)), LeaseHold::kOther);
  EXPECT_EQ(TryHold(lease_, seconds(200 + 3600)), LeaseHold::kOurs) << "nobody means more";
}

// An answer that was long on its way tells of the time at which it came.
TEST_F(LeaseTest, ASlowAnswerDoesNotShortenTheOthersTime) {
  Hold("other");
  Duration at(0);
  const auto slow = [&] {
    const SteadyTime time = start_ + at;
    at += seconds(9);
    return time;
  };
  ASSERT_EQ(*lease_.TryHold(calls_, now_, slow), LeaseHold::kOther);
  EXPECT_EQ(TryHold(lease_, seconds(23)), LeaseHold::kOther) << "seen after 9 s";
  EXPECT_EQ(TryHold(lease_, seconds(24)), LeaseHold::kOurs);
}

TEST_F(LeaseTest, OneThatMayNotBeWrittenIsNobodys) {
  writable_ = false;
  for (const bool there : {false, true}) {
    if (there) Hold("");
    const auto tried = lease_.TryHold(calls_, now_, [&] { return start_; });
    ASSERT_FALSE(tried.ok());
    EXPECT_THAT(tried.status().message(), ::testing::HasSubstr("no right to write leases"));
    const auto seen = lease_.Look(calls_, now_);
    ASSERT_FALSE(seen.ok());
    EXPECT_THAT(seen.status().message(), ::testing::HasSubstr("no right to write leases"));
  }
}

TEST_F(LeaseTest, LookingChangesNothing) {
  EXPECT_EQ(*lease_.Look(calls_, now_), "");
  EXPECT_FALSE(there_);
  Hold("other");
  EXPECT_EQ(*lease_.Look(calls_, now_), "other");
  EXPECT_EQ(holder_, "other");
}

}  // namespace
}  // namespace sobre
