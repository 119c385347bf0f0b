#include "k8s/cluster_watch.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>

#include <gtest/gtest.h>

#include "base/told_time.h"
#include "k8s/wire_objects.h"
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
  (*meta.mutable_labels())["llm-d.ai/role"] = "decode";
  (*meta.mutable_annotations())["sobre.dev/model"] = "llama";
  (*meta.mutable_annotations())["other/x"] = "y";
  auto& owner = *meta.add_owner_references();
  owner.set_kind("Job");
  owner.set_name("train");
  owner.set_controller(true);
  pod.mutable_status()->mutable_start_time()->set_seconds(1005);
  auto& spec = *pod.mutable_spec();
  auto& first = *spec.add_containers();
  Request(first, "1500m", "1Gi");
  (*first.mutable_resources()->mutable_requests())["sobre.dev/limits"].set_string("1");
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
  const ClusterWatch watch(access, {{{}, "own"}, "team"}, [] {});
  const ClusterView view = WaitFor(watch, [](const ClusterView& v) { return !v.pods.empty(); });
  server.End();
  for (const CollectionState& collection : view.collections)
    EXPECT_TRUE(collection.listed) << collection.name;
  EXPECT_EQ(view.collections[2].name, "pods");
  ASSERT_EQ(view.pods.size(), 1U);
  const PodPlacement& seen = *view.pods.front();
  EXPECT_EQ(seen.uid, "uid-train-1");
  EXPECT_EQ(seen.workload, "train");
  EXPECT_TRUE(seen.is_batch_job);
  EXPECT_TRUE(seen.has_resource_claims);
  EXPECT_TRUE(seen.has_limits_marker);
  EXPECT_EQ(seen.requests.millicpu, 3010) << "the init container outweighs 2.75, plus overhead";
  EXPECT_EQ(seen.requests.memory_bytes, 2LL << 30);
  EXPECT_EQ(seen.team, "research");
  EXPECT_EQ(seen.serving_role, "decode");
  EXPECT_EQ(seen.started, Timestamp(std::chrono::seconds(1005)));
  ASSERT_EQ(seen.annotations.size(), 1U);
  EXPECT_EQ(seen.annotations[0].key, "model");
  EXPECT_EQ(view.teams.find("shop")->second, "retail");
}

// What an API server sends of a pod that is choosy.
TEST(ClusterWatch, KeepsOfBoundPodsWhatTheirNodesMustBe) {
  k8s::wire::Pod plain = PodNamed("plain");
  plain.mutable_spec()->add_tolerations()->set_key("node.kubernetes.io/not-ready");
  k8s::wire::Pod choosy = PodNamed("choosy");
  choosy.mutable_metadata()->mutable_deletion_timestamp()->set_seconds(9);
  auto& owner = *choosy.mutable_metadata()->add_owner_references();
  owner.set_kind("DaemonSet");
  owner.set_controller(true);
  auto& ready = *choosy.mutable_status()->add_conditions();
  ready.set_type("Ready");
  ready.set_status("True");
  auto& spec = *choosy.mutable_spec();
  (*spec.mutable_node_selector())["disk"] = "ssd";
  auto& test = *spec.mutable_affinity()
                    ->mutable_node_affinity()
                    ->mutable_required()
                    ->add_terms()
                    ->add_match_fields();
  test.set_key("metadata.name");
  test.set_operator_("In");
  test.add_values("n1");
  spec.add_tolerations()->set_operator_("Exists");
  k8s::wire::Pod stateful = PodNamed("stateful");
  stateful.mutable_spec()
      ->add_volumes()
      ->mutable_volume_source()
      ->mutable_persistent_volume_claim();
  k8s::wire::Pod marked = PodNamed("marked");
  (*marked.mutable_spec()
        ->add_containers()
        ->mutable_resources()
        ->mutable_requests())["sobre.dev/limits"]
      .set_string("1");
  k8s::wire::Pod odd = PodNamed("odd");
  (*odd.mutable_spec()
        ->add_containers()
        ->mutable_resources()
        ->mutable_requests())["example.com/fpga"]
      .set_string("1");
  k8s::wire::Node node;
  node.mutable_metadata()->set_name("n1");
  (*node.mutable_metadata()->mutable_labels())["disk"] = "ssd";
  node.mutable_spec()->set_unschedulable(true);
  auto& taint = *node.mutable_spec()->add_taints();
  taint.set_key("team");
  taint.set_effect("NoSchedule");
  node.mutable_spec()->add_taints()->set_effect("PreferNoSchedule");
  ApiServer server;
  server.items["/api/v1/nodes"] = {node.SerializeAsString()};
  for (const auto& pod : {plain, choosy, stateful, marked, odd})
    server.items["/api/v1/pods"].push_back(pod.SerializeAsString());
  const ApiAccess access = server.Start();
  const ClusterWatch watch(access, {{{}, "own"}, ""}, [] {});
  const ClusterView view = WaitFor(watch, [](const ClusterView& v) { return v.pods.size() == 5; });
  server.End();
  std::map<std::string, std::shared_ptr<const PodPlacement>> pods;
  for (const auto& pod : view.pods) pods[pod->name] = pod;
  ASSERT_EQ(pods.size(), 5U);
  EXPECT_EQ(pods["plain"]->rules, nullptr);
  EXPECT_EQ(pods["plain"]->owner, PodOwner::kNobody);
  EXPECT_FALSE(pods["plain"]->ready || pods["plain"]->deleting);
  EXPECT_TRUE(pods["choosy"]->ready && pods["choosy"]->deleting);
  EXPECT_EQ(pods["choosy"]->owner, PodOwner::kDaemonSet);
  const PlacementRules expected{{{"disk", false, "In", {"ssd"}}},
                                {{{"metadata.name", true, "In", {"n1"}}}},
                                {{"", "Exists", "", ""}},
                                ""};
  ASSERT_NE(pods["choosy"]->rules, nullptr);
  EXPECT_EQ(*pods["choosy"]->rules, expected);
  ASSERT_NE(pods["stateful"]->rules, nullptr);
  EXPECT_EQ(pods["stateful"]->rules->not_judged, "its volumes");
  EXPECT_EQ(pods["marked"]->rules, nullptr);
  ASSERT_NE(pods["odd"]->rules, nullptr);
  EXPECT_EQ(pods["odd"]->rules->not_judged, "a resource that is not counted");
  ASSERT_EQ(view.nodes.size(), 1U);
  const NodeGates& gates = view.nodes[0]->gates;
  EXPECT_EQ(gates.labels.at("disk"), "ssd");
  EXPECT_TRUE(gates.unschedulable);
  EXPECT_EQ(gates.taints, std::vector<Taint>({{"team", "", "NoSchedule"}}));
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

TEST(ClusterWatch, NamespacesOptInByEitherLabel) {
  const auto space = [](const std::string& name, const std::string& label,
                        const std::string& value) {
    k8s::wire::Node object;  // of any kind: each begins with its metadata
    object.mutable_metadata()->set_name(name);
    (*object.mutable_metadata()->mutable_labels())[label] = value;
    return object.SerializeAsString();
  };
  ApiServer server;
  server.items["/api/v1/namespaces"] = {
      space("shop", "sobre.dev/placement", "enabled"), space("lab", "sobre.dev/limits", "enabled"),
      space("off", "sobre.dev/placement", "disabled"), space("other", "team", "enabled")};
  const ApiAccess access = server.Start();
  const ClusterWatch watch(access, {}, [] {});
  const ClusterView view = WaitFor(watch, [](const ClusterView&) { return true; });
  server.End();
  EXPECT_EQ(view.opted_in_namespaces, std::vector<std::string>({"lab", "shop"}));
  EXPECT_EQ(view.quiet_namespaces.size(), 4U);
}

TEST(ClusterWatch, HeartbeatsOfNodesAreNoChange) {
  k8s::wire::Node node;
  node.mutable_metadata()->set_name("n1");
  const std::string listed = node.SerializeAsString();
  node.mutable_metadata()->set_resource_version("2");
  const std::string heartbeat = node.SerializeAsString();
  node.mutable_spec()->set_unschedulable(true);
  ApiServer server;
  server.items["/api/v1/nodes"] = {listed};
  server.events["/api/v1/nodes"] = Frame("MODIFIED", heartbeat) + Frame("MODIFIED", heartbeat) +
                                   Frame("MODIFIED", node.SerializeAsString());
  const ApiAccess access = server.Start();
  std::atomic<int> changes = 0;
  const ClusterWatch watch(access, {}, [&] { ++changes; });
  const ClusterView view =
      WaitFor(watch, [](const ClusterView& v) { return v.nodes.front()->gates.unschedulable; });
  server.End();
  ASSERT_EQ(view.nodes.size(), 1U);
  EXPECT_EQ(changes, 4) << "three lists and the node that nobody should go to";
}

// Whatever the bytes are, reading them ends, and stays within them.
TEST(WireObjects, AreReadFromAnyBytes) {
  k8s::wire::Pod pod = PodNamed("web-1");
  (*pod.mutable_spec()->mutable_node_selector())["disk"] = "ssd";
  Request(*pod.mutable_spec()->add_containers(), "1", "1Gi");
  pod.mutable_status()->add_conditions()->set_type("Ready");
  const std::string whole = pod.SerializeAsString();
  EXPECT_TRUE(WatchedPodOf(whole, "team"));
  int unread = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::string_view cut = std::string_view(whole).substr(0, i);
    if (!WatchedPodOf(std::string(cut), "team")) ++unread;
    for (const char byte : {'\0', '\x7f', '\xff'}) {
      std::string broken = whole;
      broken[i] = byte;
      WatchedPodOf(broken, "team");
      PodOf(broken);
      NodeOf(broken, {{}, "own"});
      MetaOf(broken);
    }
  }
  EXPECT_GT(unread, static_cast<int>(whole.size()) / 2);
}

TEST(WireObjects, ATimeThatNoClockShowsDoesNotOverflow) {
  k8s::wire::Pod pod = PodNamed("web-1");
  pod.mutable_metadata()->mutable_creation_timestamp()->set_seconds(std::int64_t{1} << 62);
  pod.mutable_status()->mutable_start_time()->set_seconds(-(std::int64_t{1} << 62));
  const auto seen = WatchedPodOf(pod.SerializeAsString(), "");
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->created, kLatestTime);
  EXPECT_EQ(seen->placement.started, kEarliestTime);
}

TEST(WireObjects, AcceleratorsBeyondAllMachinesStayThere) {
  k8s::wire::Node node;
  node.mutable_metadata()->set_name("n1");
  auto& allocatable = *node.mutable_status()->mutable_allocatable();
  for (const char* kind : {"nvidia.com/gpu", "nvidia.com/gpu.shared", "amd.com/gpu"})
    allocatable[kind].set_string("9Ei");
  const auto seen = NodeOf(node.SerializeAsString(), {{}, "own"});
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->allocatable.gpus, 0) << "9Ei is no 64-bit number";
  for (const char* kind : {"nvidia.com/gpu", "nvidia.com/gpu.shared", "amd.com/gpu"})
    allocatable[kind].set_string("7Ei");
  EXPECT_EQ(NodeOf(node.SerializeAsString(), {{}, "own"})->allocatable.gpus,
            std::numeric_limits<std::int64_t>::max());
}

TEST(ClusterWatch, BindingsAreCountedByAFewSchedulers) {
  ApiServer server;
  std::string events;
  for (int i = 0; i < 15; ++i) {
    k8s::wire::Pod pod = PodNamed("pod-" + std::to_string(i));
    pod.mutable_spec()->set_scheduler_name(i == 0  ? "<img>\x1b[2J" + std::string(1000, 'x')
                                           : i < 3 ? "sobre"
                                                   : "scheduler-" + std::to_string(i));
    events += Frame("ADDED", pod.SerializeAsString());
  }
  server.items["/api/v1/pods"] = {};
  server.events["/api/v1/pods"] = events;
  const ApiAccess access = server.Start();
  const ClusterWatch watch(access, {}, [] {});
  const ClusterView view = WaitFor(watch, [](const ClusterView& v) { return v.bindings == 15; });
  server.End();
  EXPECT_EQ(view.bindings_by_scheduler.size(), kOwnSchedulers + 1);
  EXPECT_EQ(view.bindings_by_scheduler.at("sobre"), 2);
  EXPECT_EQ(view.bindings_by_scheduler.at("other"), 4);
}

}  // namespace
}  // namespace sobre
