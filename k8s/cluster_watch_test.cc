#include "k8s/cluster_watch.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

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

std::string Frame(const std::string& type, const std::string& object) {
  k8s::wire::WatchEvent event;
  event.set_type(type);
  event.mutable_object()->set_raw(Envelope(object));
  const std::string body = event.SerializeAsString();
  std::string frame(4, '\0');
  for (std::size_t i = 0; i < 4; ++i)
    frame[3 - i] = static_cast<char>(body.size() >> (8 * i) & 0xFF);
  return frame + body;
}

// Answers each collection with one list, then one watch, whose successors last until the end.
class ApiServer {
 public:
  ApiServer() {
    for (const char* path : {"/api/v1/nodes", "/api/v1/namespaces", "/api/v1/pods"}) {
      server_.Handle("GET", path, [this, path](const HttpRequest&, HttpResponse& response) {
        std::unique_lock lock(mutex_);
        const int call = ++calls_[path];
        if (call == 1) {
          k8s::wire::List list;
          list.mutable_metadata()->set_resource_version("1");
          for (const std::string& item : items[path]) list.add_items(item);
          response.body = Envelope(list.SerializeAsString());
          return;
        }
        if (call == 2 && !events[path].empty()) {
          response.body = events[path];
          return;
        }
        ended_.wait(lock, [this] { return done_; });
      });
    }
  }
  ~ApiServer() {
    End();
    server_.Stop();
  }
  ApiAccess Start() {
    EXPECT_TRUE(server_.Start().ok());
    ApiAccess access;
    access.server = "http://127.0.0.1:" + std::to_string(server_.port());
    return access;
  }
  void End() {
    const std::lock_guard lock(mutex_);
    done_ = true;
    ended_.notify_all();
  }
  std::map<std::string, std::vector<std::string>> items;
  std::map<std::string, std::string> events;

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
  std::map<std::string, int> calls_;
  HttpServer server_{HttpServer::Options{}};
};

// Until `ready` holds of the view, or a time that no machine needs.
template <class Ready>
ClusterView WaitFor(const ClusterWatch& watch, const Ready& ready) {
  for (int i = 0; i < 2000; ++i) {
    ClusterView view = watch.View();
    if (view.listed && ready(view)) return view;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return {};
}

k8s::wire::Pod PodNamed(const std::string& name) {
  k8s::wire::Pod pod;
  auto& meta = *pod.mutable_metadata();
  meta.set_name(name);
  meta.set_namespace_("shop");
  meta.set_uid("uid-" + name);
  meta.mutable_creation_timestamp()->set_seconds(1000);
  pod.mutable_spec()->set_node_name("n1");
  return pod;
}

void Request(k8s::wire::Container& container, const std::string& cpu, const std::string& memory) {
  auto& requests = *container.mutable_resources()->mutable_requests();
  requests["cpu"].set_string(cpu);
  requests["memory"].set_string(memory);
}

TEST(ClusterWatch, KeepsOfBoundPodsWhatUsageIsCountedFrom) {
  k8s::wire::Pod pod = PodNamed("train-1");
  auto& meta = *pod.mutable_metadata();
  (*meta.mutable_labels())["team"] = "research";
  (*meta.mutable_annotations())["sobre.dev/model"] = "llama";
  (*meta.mutable_annotations())["other/x"] = "y";
  auto& owner = *meta.add_owner_references();
  owner.set_kind("Job");
  owner.set_name("train");
  owner.set_controller(true);
  pod.mutable_status()->mutable_start_time()->set_seconds(1005);
  auto& spec = *pod.mutable_spec();
  Request(*spec.add_containers(), "1500m", "1Gi");
  Request(*spec.add_containers(), "1", "1Gi");
  auto& init = *spec.add_init_containers();
  Request(init, "3", "0");
  auto& sidecar = *spec.add_init_containers();
  Request(sidecar, "250m", "0");
  sidecar.set_restart_policy("Always");
  (*spec.mutable_overhead())["cpu"].set_string("10m");
  spec.add_resource_claims()->set_name("gpu");
  k8s::wire::Namespace shop;
  shop.mutable_metadata()->set_name("shop");
  (*shop.mutable_metadata()->mutable_labels())["team"] = "retail";
  ApiServer server;
  server.items["/api/v1/pods"] = {pod.SerializeAsString()};
  server.items["/api/v1/namespaces"] = {shop.SerializeAsString()};
  const ApiAccess access = server.Start();
  const ClusterWatch watch(access, {"own", "team"}, [] {});
  const ClusterView view = WaitFor(watch, [](const ClusterView& v) { return !v.pods.empty(); });
  server.End();
  ASSERT_EQ(view.pods.size(), 1U);
  const PodPlacement& seen = *view.pods.front();
  EXPECT_EQ(seen.uid, "uid-train-1");
  EXPECT_EQ(seen.workload, "train");
  EXPECT_TRUE(seen.is_batch_job);
  EXPECT_TRUE(seen.has_resource_claims);
  EXPECT_EQ(seen.requests.millicpu, 3010) << "the init container outweighs 2.75, plus overhead";
  EXPECT_EQ(seen.requests.memory_bytes, 2LL << 30);
  EXPECT_EQ(seen.team, "research");
  EXPECT_EQ(seen.started, Timestamp(std::chrono::seconds(1005)));
  ASSERT_EQ(seen.annotations.size(), 1U);
  EXPECT_EQ(seen.annotations[0].key, "model");
  EXPECT_EQ(view.teams.find("shop")->second, "retail");
}

TEST(ClusterWatch, PodsThatFinishLeaveAndOthersAreBroughtUpToDate) {
  k8s::wire::Pod web = PodNamed("web-1");
  const std::string listed = web.SerializeAsString();
  web.mutable_status()->mutable_start_time()->set_seconds(1009);
  // The API server tells of an object that no longer matches the field selector as deleted.
  k8s::wire::Pod job = PodNamed("job-1");
  const std::string running = job.SerializeAsString();
  job.mutable_status()->set_phase("Succeeded");
  ApiServer server;
  server.items["/api/v1/pods"] = {listed, running};
  server.events["/api/v1/pods"] =
      Frame("MODIFIED", web.SerializeAsString()) + Frame("DELETED", job.SerializeAsString());
  const ApiAccess access = server.Start();
  const ClusterWatch watch(access, {}, [] {});
  const ClusterView view = WaitFor(watch, [](const ClusterView& v) {
    return v.pods.size() == 1 && v.pods.front()->started == Timestamp(std::chrono::seconds(1009));
  });
  server.End();
  ASSERT_EQ(view.pods.size(), 1U);
  EXPECT_EQ(view.pods.front()->name, "web-1");
  EXPECT_EQ(view.bindings, 0) << "both had a node when they were listed";
}

TEST(ClusterWatch, BindingsAreCountedByAFewSchedulers) {
  ApiServer server;
  std::string events;
  for (int i = 0; i < 15; ++i) {
    k8s::wire::Pod pod = PodNamed("pod-" + std::to_string(i));
    pod.mutable_spec()->set_scheduler_name(i < 3 ? "sobre" : "scheduler-" + std::to_string(i));
    events += Frame("ADDED", pod.SerializeAsString());
  }
  server.items["/api/v1/pods"] = {};
  server.events["/api/v1/pods"] = events;
  const ApiAccess access = server.Start();
  const ClusterWatch watch(access, {}, [] {});
  const ClusterView view = WaitFor(watch, [](const ClusterView& v) { return v.bindings == 15; });
  server.End();
  EXPECT_EQ(view.bindings_by_scheduler.size(), kOwnSchedulers + 1);
  EXPECT_EQ(view.bindings_by_scheduler.at("sobre"), 3);
  EXPECT_EQ(view.bindings_by_scheduler.at("other"), 3);
}

}  // namespace
}  // namespace sobre
