#include "grpc/growth_request.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>

#include "base/text.h"
#include "k8s/wire_objects.h"
#include "scoring/offers.h"

namespace sobre {
namespace {

constexpr std::size_t kMostProblems = 5;
constexpr std::size_t kNameLength = 100;

// All of a pod that a decision reads: pods of the same key are decided alike.
std::string KeyOf(const PodFacts& pod) {
  std::string key = pod.namespace_name + '\n' + pod.workload + '\n';
  for (const std::int64_t amount : {pod.requests.millicpu, pod.requests.memory_bytes,
                                    pod.requests.gpus, pod.requests.gpu_slices})
    key += std::to_string(amount) + ' ';
  for (const std::string& device : pod.requests.devices) key += device + ' ';
  key += pod.is_batch_job ? 'j' : '-';
  key += pod.has_resource_claims ? 'c' : '-';
  for (const Annotation& annotation : pod.annotations)
    key += '\n' + annotation.key + '=' + annotation.value;
  return key;
}

const NamespacePolicy& PolicyOf(const std::string& name, const WorldState& state) {
  const auto found = state.namespaces.find(name);
  return found == state.namespaces.end() ? state.cluster_policy : found->second;
}

// A machine that is not there yet costs what those that are alike do.
void AddPrice(const NodeFacts& facts, const std::map<std::string, Sourced<EurosPerHour>>& prices,
              SnapshotInput& input) {
  const auto price = prices.find(MachineKindOf(facts));
  if (price == prices.end()) return;
  Observation observation;
  observation.signal = Signal::kNodeEffectivePrice;
  observation.method = price->second.method;
  observation.node = facts.name;
  observation.value = price->second.value.value();
  observation.time = input.time;
  observation.source = price->second.source;
  input.observations.push_back(std::move(observation));
}

// Gathers pods into kinds.
class Kinds {
 public:
  static constexpr std::size_t kUnreadable = SIZE_MAX;

  Kinds(const WorldState& state, std::vector<DecisionRequest>& kinds)
      : state_(state), kinds_(kinds) {}

  std::size_t Of(std::string_view bytes) {
    // The autoscaler repeats a pod in every option that would take it.
    const auto [seen, is_new] = by_bytes_.try_emplace(bytes, kUnreadable);
    if (!is_new) return seen->second;
    std::optional<PodFacts> pod = PodOf(bytes);
    if (!pod) return kUnreadable;
    const auto [kind, fresh] = by_key_.try_emplace(KeyOf(*pod), kinds_.size());
    if (fresh) {
      const NamespacePolicy& base = PolicyOf(pod->namespace_name, state_);
      kinds_.push_back(MakeRequest(*std::move(pod), base));
    }
    return seen->second = kind->second;
  }

 private:
  const WorldState& state_;
  std::vector<DecisionRequest>& kinds_;
  std::unordered_map<std::string_view, std::size_t> by_bytes_;
  std::unordered_map<std::string, std::size_t> by_key_;
};

// A template's bytes, from whichever field has them.
const std::string* TemplateOf(const std::string& group,
                              const grpcplugin::BestOptionsRequest& request) {
  for (const auto* map : {&request.nodebytesmap(), &request.nodemap()}) {
    const auto found = map->find(group);
    if (found != map->end() && !found->second.empty()) return &found->second;
  }
  return nullptr;
}

}  // namespace

GrowthRequest ReadGrowthRequest(const grpcplugin::BestOptionsRequest& request,
                                const WorldState& state, const NodeOrigins& origins) {
  GrowthRequest read;
  const auto tell = [&](std::string problem) {
    if (read.problems.size() < kMostProblems) read.problems.push_back(std::move(problem));
  };
  SnapshotInput input = state.input;
  std::vector<std::string> names;  // of each option's template; empty: unknown
  const auto prices = StatedPrices(*state.snapshot);
  Kinds kinds(state, read.kinds);
  for (const grpcplugin::Option& wire : request.options()) {
    const std::string group = Printable(wire.nodegroupid(), kNameLength);
    GrowthOption& option = read.options.emplace_back();
    option.group = wire.nodegroupid();
    option.machines = std::max(wire.nodecount(), 1);
    const std::string* bytes = TemplateOf(wire.nodegroupid(), request);
    names.emplace_back();
    if (bytes == nullptr) {
      tell(group + ": no template of its nodes");
    } else if (std::optional<NodeFacts> node = NodeOf(*bytes, origins); !node) {
      tell(group + ": the template of its nodes is no v1.Node");
    } else {
      auto facts = std::make_shared<NodeFacts>(*std::move(node));
      // No name that a node of the cluster could have.
      facts->name = "growth/" + std::to_string(read.options.size()) + "/" + facts->name;
      names.back() = facts->name;
      AddPrice(*facts, prices, input);
      input.nodes.push_back(std::move(facts));
    }
    // 1.34 sends both: the same pods.
    const auto& pods = wire.podbytes().empty() ? wire.pod() : wire.podbytes();
    std::unordered_map<std::size_t, std::size_t> places;
    for (const std::string& pod : pods) {
      const std::size_t kind = kinds.Of(pod);
      if (kind == Kinds::kUnreadable) {
        ++option.unread;
        tell(group + ": one of its pods is no v1.Pod");
        continue;
      }
      const auto [place, is_new] = places.try_emplace(kind, option.pods.size());
      if (is_new) option.pods.push_back({kind, 0});
      ++option.pods[place->second].count;
    }
  }
  read.snapshot = Snapshot::Build(std::move(input));
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!names[i].empty()) read.options[i].node = read.snapshot->Find(names[i]);
  }
  return read;
}

}  // namespace sobre
