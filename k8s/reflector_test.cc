#include "k8s/reflector.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>

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
  ApiAccess access;
  access.server = "http://127.0.0.1:" + std::to_string(server.port());
  Reflector::Callbacks callbacks;
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
  callbacks.on_deleted = [](std::string_view) {};
  callbacks.on_listed = [&] { changed.notify_all(); };
  callbacks.on_problem = [](const Status&) {};
  Reflector::Options options;
  options.path = "/api/v1/nodes";
  const Reflector reflector(access, options, callbacks);
  std::unique_lock lock(mutex);
  EXPECT_TRUE(
      changed.wait_for(lock, std::chrono::seconds(20), [&] { return listed.contains("b"); }));
}

}  // namespace
}  // namespace sobre
