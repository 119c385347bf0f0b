// fuzz_seeds FOLDER: what is no text of the inputs that the corpora began with: objects, lists and
// frames as the API server sends them, records and chains as they are written, requests of the
// autoscaler.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "audit/journal.h"
#include "audit/record.h"
#include "audit/test_case.h"
#include "proto/autoscaler/expander.pb.h"
#include "proto/k8s/objects.pb.h"
#include "scoring/random_world.h"

namespace sobre {
namespace {

class Folder {
 public:
  explicit Folder(std::string path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
  }
  void Add(const std::string& bytes) {
    std::ofstream(path_ + "/seed-" + std::to_string(count_++), std::ios::binary) << bytes;
  }

 private:
  const std::string path_;
  int count_ = 0;
};

std::string Envelope(const std::string& raw) {
  k8s::wire::Unknown unknown;
  unknown.mutable_type_meta()->set_kind("List");
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

k8s::wire::Node Node() {
  k8s::wire::Node node;
  auto& meta = *node.mutable_metadata();
  meta.set_name("n1");
  meta.set_uid("u1");
  meta.set_resource_version("7");
  meta.mutable_creation_timestamp()->set_seconds(1'795'392'000);
  auto& labels = *meta.mutable_labels();
  labels["topology.kubernetes.io/region"] = "fr-par";
  labels["node.kubernetes.io/instance-type"] = "PRO2-S";
  labels["nvidia.com/gpu.replicas"] = "4";
  labels["node-restriction.kubernetes.io/sobre-certifications"] = "HDS_SecNumCloud";
  node.mutable_spec()->set_provider_id("scaleway://instance/fr-par-1/abc");
  node.mutable_spec()->set_unschedulable(true);
  auto& taint = *node.mutable_spec()->add_taints();
  taint.set_key("team");
  taint.set_effect("NoSchedule");
  auto& allocatable = *node.mutable_status()->mutable_allocatable();
  allocatable["cpu"].set_string("7910m");
  allocatable["memory"].set_string("32Gi");
  allocatable["nvidia.com/gpu"].set_string("2");
  allocatable["nvidia.com/mig-3g.20gb"].set_string("1");
  auto& address = *node.mutable_status()->add_addresses();
  address.set_type("InternalIP");
  address.set_address("10.0.0.1");
  return node;
}

k8s::wire::Pod Pod(const std::string& name, const std::string& namespace_name) {
  k8s::wire::Pod pod;
  auto& meta = *pod.mutable_metadata();
  meta.set_name(name);
  meta.set_namespace_(namespace_name);
  meta.set_uid("uid-" + name);
  meta.mutable_creation_timestamp()->set_seconds(1000);
  (*meta.mutable_labels())["team"] = "research";
  (*meta.mutable_labels())["pod-template-hash"] = "abc";
  (*meta.mutable_annotations())["sobre.dev/objective"] = "carbon";
  (*meta.mutable_annotations())["sobre.dev/allowed-countries"] = "FR,DE";
  auto& owner = *meta.add_owner_references();
  owner.set_kind("ReplicaSet");
  owner.set_name("web-abc");
  owner.set_controller(true);
  auto& spec = *pod.mutable_spec();
  spec.set_node_name("n1");
  spec.set_scheduler_name("sobre");
  (*spec.mutable_node_selector())["disk"] = "ssd";
  auto& container = *spec.add_containers();
  container.add_ports()->set_host_port(80);
  (*container.mutable_resources()->mutable_requests())["cpu"].set_string("2");
  (*container.mutable_resources()->mutable_requests())["memory"].set_string("4Gi");
  auto& init = *spec.add_init_containers();
  init.set_restart_policy("Always");
  (*init.mutable_resources()->mutable_requests())["cpu"].set_string("250m");
  (*spec.mutable_overhead())["cpu"].set_string("10m");
  (*spec.mutable_resources()->mutable_requests())["cpu"].set_string("3");
  auto& test = *spec.mutable_affinity()
                    ->mutable_node_affinity()
                    ->mutable_required()
                    ->add_terms()
                    ->add_match_expressions();
  test.set_key("zone");
  test.set_operator_("In");
  test.add_values("a");
  spec.mutable_affinity()->mutable_pod_anti_affinity()->add_required();
  spec.add_tolerations()->set_operator_("Exists");
  spec.add_volumes()->mutable_volume_source()->mutable_persistent_volume_claim();
  spec.add_topology_spread_constraints()->set_when_unsatisfiable("DoNotSchedule");
  spec.add_scheduling_gates()->set_name("sobre.dev/carbon");
  spec.add_resource_claims()->set_name("gpu");
  pod.mutable_status()->mutable_start_time()->set_seconds(1005);
  auto& ready = *pod.mutable_status()->add_conditions();
  ready.set_type("Ready");
  ready.set_status("True");
  return pod;
}

void WriteKubernetes(const std::string& path) {
  Folder folder(path);
  const std::string node = Node().SerializeAsString();
  const std::string pod = Pod("web-abc-1", "shop").SerializeAsString();
  k8s::wire::List list;
  list.mutable_metadata()->set_resource_version("7");
  list.mutable_metadata()->set_continue_("token");
  for (const std::string& item : {node, pod, std::string()}) list.add_items(item);
  const std::string page = Envelope(list.SerializeAsString());
  folder.Add('\0' + page);
  folder.Add('\0' + page + std::string("\x1a\0\x22\0", 4));
  folder.Add('\0' + page.substr(0, page.size() / 2));
  folder.Add('\1' + Frame("ADDED", node) + Frame("MODIFIED", pod) + Frame("DELETED", pod));
  folder.Add('\1' + Frame("BOOKMARK", node).substr(0, 100));
  folder.Add('\2' + node);
  folder.Add('\2' + pod);
}

v1::Record RandomRecord(unsigned seed) {
  RandomWorld random(seed);
  random.policy.bound = seed % 2 == 0 ? Bound::kDemand : Bound::kThroughput;
  random.policy.requests = UnitsPerHour(3600);
  if (seed % 3 == 0) random.policy.limits.countries = std::vector<std::string>{"DE", "FR"};
  if (seed % 5 == 0) random.policy.data_region = RegionName{"aws", "eu-west-3"};
  // Small inputs are changed in more places.
  random.names.resize(2);
  auto& nodes = random.world.input().nodes;
  nodes.resize(2);
  random.names.emplace_back("stranger");
  return SelfContained(*CaseFor(random.world.Snapshot(), random.names, RequestFor(random.policy)));
}

std::string Part(EntryKind kind, const std::string& message) {
  std::string part(1, static_cast<char>(kind));
  part += static_cast<char>(message.size() & 0xFF);
  part += static_cast<char>(message.size() >> 8 & 0xFF);
  return part + message;
}

void WriteRecords(const std::string& path, const std::string& chains) {
  Folder folder(path);
  Folder chain_folder(chains);
  for (unsigned seed = 0; seed < 12; ++seed) {
    v1::Record record = RandomRecord(seed);
    folder.Add(record.SerializeAsString());
    if (seed < 3) folder.Add(RecordJson(record));
    constexpr char kContent = 5;
    std::string chain("\1\0\0\0\0\0\0\0", 8);
    chain += Part(static_cast<EntryKind>(kContent), record.known().SerializeAsString());
    record.clear_known();
    chain += Part(EntryKind::kDecision, record.SerializeAsString());
    v1::RecordedOutcome outcome;
    outcome.set_chain("chain");
    outcome.set_seq(1);
    outcome.set_node("n0");
    chain += Part(EntryKind::kOutcome, outcome.SerializeAsString());
    v1::RecordedGap gap;
    gap.set_dropped(seed);
    chain += Part(EntryKind::kGap, gap.SerializeAsString());
    v1::RecordedSeal seal;
    seal.set_first_seq(1);
    seal.set_decisions(1);
    seal.set_outcomes(1);
    chain += Part(EntryKind::kSeal, seal.SerializeAsString());
    chain_folder.Add(chain);
  }
  v1::RecordedPruning pruning;
  pruning.set_first_seq(9);
  chain_folder.Add(std::string("\11\0\0\0\0\0\0\0", 8) +
                   Part(EntryKind::kPruning, pruning.SerializeAsString()));
}

void WriteRequests(const std::string& path) {
  Folder folder(path);
  for (const char* namespace_name : {"shop", "law"}) {
    for (const bool typed : {false, true}) {
      grpcplugin::BestOptionsRequest request;
      for (const char* group : {"a", "b"}) {
        grpcplugin::Option* option = request.add_options();
        option->set_nodegroupid(group);
        option->set_nodecount(2);
        for (const char* name : {"web-1", "web-2"}) {
          const std::string pod = Pod(name, namespace_name).SerializeAsString();
          (typed ? option->add_pod() : option->add_podbytes())->assign(pod);
        }
        (*(typed ? request.mutable_nodemap() : request.mutable_nodebytesmap()))[group] =
            Node().SerializeAsString();
      }
      folder.Add(request.SerializeAsString());
    }
  }
  grpcplugin::BestOptionsRequest small;
  small.add_options()->set_nodegroupid("a");
  folder.Add(small.SerializeAsString());
}

}  // namespace
}  // namespace sobre

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  const std::string folder = argv[1];
  sobre::WriteKubernetes(folder + "/kubernetes");
  sobre::WriteRecords(folder + "/records", folder + "/chain");
  sobre::WriteRequests(folder + "/expander");
  return 0;
}
