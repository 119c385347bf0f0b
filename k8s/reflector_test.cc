#include "k8s/reflector.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "net/http_server.h"
#include "proto/k8s/objects.pb.h"

namespace sobre {
namespace {

std::string Envelope(const std::string& raw) {
  k8s::wire::Unknown unknown;
  unknown.set_raw(raw);
  return std::string("k8s\0", 4) + unknown.SerializeAsString();
}

std::string NodeNamed(const std::string& name, const std::string& version) {
  k8s::wire::Node node;
  node.mutable_metadata()->set_name(name);
  node.mutable_metadata()->set_resource_version(version);
  return node.SerializeAsString();
}

ApiAccess AccessTo(const HttpServer& server) {
  ApiAccess access;
  access.server = "http://127.0.0.1:" + std::to_string(server.port());
  return access;
}

// Callbacks that do nothing.
Reflector::Callbacks Unheard() {
  Reflector::Callbacks callbacks;
  callbacks.on_list = [] {};
  callbacks.on_object = [](std::string_view) {};
  callbacks.on_deleted = [](std::string_view) {};
  callbacks.on_listed = [] {};
  callbacks.on_problem = [](const Status&) {};
  return callbacks;
}

// An API server that answers lists with what it holds, and each watch with 410 Gone.
TEST(Reflector, ListsAgainWhenTheServerForgotItsPlace) {
  std::mutex mutex;
  std::condition_variable changed;
  int lists = 0;
  std::set<std::string> listed;
  HttpServer server{HttpServer::Options{}};
  server.Handle("GET", "/api/v1/nodes", [&](const HttpRequest&, HttpResponse& response) {
    // The path is the same for list and watch: every second call is the watch.
    const std::lock_guard lock(mutex);
    if (++lists % 2 == 0) {
      response.Fail(410, "gone");
      return;
    }
    k8s::wire::List list;
    list.mutable_metadata()->set_resource_version(std::to_string(lists));
    list.add_items(NodeNamed("a", "1"));
    if (lists > 2) list.add_items(NodeNamed("b", "2"));
    response.body = Envelope(list.SerializeAsString());
  });
  ASSERT_TRUE(server.Start().ok());
  Reflector::Callbacks callbacks = Unheard();
  callbacks.on_list = [&] {
    const std::lock_guard lock(mutex);
    listed.clear();
  };
  callbacks.on_object = [&](std::string_view raw) {
    k8s::wire::Node node;
    ASSERT_TRUE(node.ParseFromArray(raw.data(), static_cast<int>(raw.size())));
    const std::lock_guard lock(mutex);
    listed.insert(node.metadata().name());
  };
  callbacks.on_listed = [&] { changed.notify_all(); };
  Reflector::Options options;
  options.path = "/api/v1/nodes";
  const Reflector reflector(AccessTo(server), options, callbacks);
  std::unique_lock lock(mutex);
  EXPECT_TRUE(
      changed.wait_for(lock, std::chrono::seconds(20), [&] { return listed.contains("b"); }));
}

TEST(Reflector, AServerThatForgetsEachPlaceIsAskedWithPauses) {
  std::atomic<int> lists = 0;
  HttpServer server{HttpServer::Options{}};
  server.Handle("GET", "/api/v1/nodes", [&](const HttpRequest& request, HttpResponse& response) {
    if (request.Parameter("watch")) {
      response.Fail(410, "gone");
      return;
    }
    ++lists;
    k8s::wire::List list;
    list.mutable_metadata()->set_resource_version("1");
    response.body = Envelope(list.SerializeAsString());
  });
  ASSERT_TRUE(server.Start().ok());
  Reflector::Options options;
  options.path = "/api/v1/nodes";
  {
    const Reflector reflector(AccessTo(server), options, Unheard());
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  EXPECT_GE(lists, 2) << "the first time at once";
  EXPECT_LE(lists, 4);
}

// What an API server may do to a watch, and what the reflector holds to have heard.
class WatchTest : public ::testing::Test {
 protected:
  // `parts` is asked for each watch's bytes, as HttpResponse::next_part is.
  void Follow(std::function<bool(std::string&)> parts) {
    server_.Handle("GET", "/api/v1/nodes", [this, parts](const HttpRequest& q, HttpResponse& r) {
      const std::lock_guard lock(mutex_);
      if (q.Parameter("watch")) {
        seconds_.push_back(q.Parameter("timeoutSeconds").value_or(""));
        if (++watches_ == failing_) {
          r.Fail(500, "no");
        } else {
          r.next_part = parts;
        }
        return;
      }
      k8s::wire::List list;
      list.mutable_metadata()->set_resource_version("1");
      r.body = Envelope(list.SerializeAsString());
    });
    ASSERT_TRUE(server_.Start().ok());
    Reflector::Callbacks callbacks = Unheard();
    callbacks.on_heard = [this](SteadyTime when) {
      const std::lock_guard lock(mutex_);
      heard_.push_back(when);
      changed_.notify_all();
    };
    reflector_ = std::make_unique<Reflector>(AccessTo(server_), options_, callbacks);
  }
  std::vector<SteadyTime> Heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  int Watches() {
    const std::lock_guard lock(mutex_);
    return watches_;
  }

  Reflector::Options options_ = [] {
    Reflector::Options options;
    options.path = "/api/v1/nodes";
    options.watch = std::chrono::seconds(1);
    options.watch_after_failure = std::chrono::seconds(1);
    options.watch_grace = std::chrono::seconds(1);
    options.backoff_least = std::chrono::milliseconds(10);
    return options;
  }();
  int failing_ = 0;  // the watch of this number is answered 500
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<SteadyTime> heard_;
  std::vector<std::string> seconds_;  // that each watch was asked to last
  int watches_ = 0;
  HttpServer server_{HttpServer::Options{}};
  std::unique_ptr<Reflector> reflector_;
};

TEST_F(WatchTest, OneThatStaysSilentIsCutAndNothingWasHeard) {
  Follow([](std::string&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return true;
  });
  while (Watches() < 3) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(Heard().size(), 1) << "the list alone";
}

TEST_F(WatchTest, OneThatDripsIsCutToo) {
  // Of a frame of 1,000 bytes.
  Follow([sent = std::size_t{0}](std::string& out) mutable {
    constexpr std::string_view kHead("\0\0\x03\xe8", 4);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    out += sent < kHead.size() ? kHead[sent] : 'x';
    ++sent;
    return true;
  });
  while (Watches() < 3) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(Heard().size(), 1);
}

TEST_F(WatchTest, OneThatEndsInTimeToldAllUntilThen) {
  const SteadyTime start = std::chrono::steady_clock::now();
  // The server ends each a little after a second.
  Follow([parts = 0](std::string&) mutable {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return ++parts < 55;
  });
  while (Heard().size() < 3) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::vector<SteadyTime> heard = Heard();
  EXPECT_GE(heard[1] - start, std::chrono::seconds(1));
  EXPECT_GE(heard[2] - heard[1], std::chrono::seconds(1));
  EXPECT_LE(heard[2], std::chrono::steady_clock::now());
}

TEST_F(WatchTest, AfterAFailureTheFirstIsShort) {
  options_.watch = std::chrono::seconds(3);
  failing_ = 2;
  Follow([](std::string&) { return false; });
  while (Watches() < 5) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::lock_guard lock(mutex_);
  seconds_.resize(5);
  EXPECT_EQ(seconds_, (std::vector<std::string>{"3", "3", "1", "3", "3"}));
}

}  // namespace
}  // namespace sobre
