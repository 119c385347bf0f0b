#include "extender/demo_world.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/json_writer.h"
#include "base/text.h"
#include "scoring/place_history.h"
#include "scoring/policy_keys.h"

namespace sobre {
namespace {

struct DemoRegion {
  const char* provider;
  const char* region;
  double eur_per_hour;  // of a node of 16 vCPU and 64 GiB, in the order of list prices
  double grams_by_night;
  double grams_by_day;
};
constexpr std::array<DemoRegion, 6> kRegions = {{
    {"scaleway", "fr-par", 0.78, 48, 62},
    {"scaleway", "pl-waw", 0.75, 690, 610},
    {"ovhcloud", "GRA9", 0.79, 48, 62},
    {"aws", "eu-central-1", 0.86, 420, 300},
    {"aws", "eu-north-1", 0.80, 32, 44},
    {"gcp", "europe-west1", 0.82, 150, 120},
}};

constexpr std::size_t kArriving = 8;
constexpr std::array<DemoWorkload, 13> kWorkloads = {{
    {"shop", "checkout", "shop", "balanced", 2, 4, 0.05, 0, "", "", 6},
    {"shop", "search", "shop", "balanced", 4, 16, 12, 0, "", "", 5},
    {"shop", "image-resize", "shop", "priced", 2, 4, 0.3, 0, "", "", 4},
    {"ai", "chat", "research", "carbon", 8, 32, 0.06, 18, "llama-3.1-8b", "", 3},
    {"ai", "embeddings", "research", "carbon", 4, 8, 20, 0, "bge-m3", "", 2},
    {"finance", "payroll", "finance", "balanced", 2, 8, 0.006, 0, "", "FR", 1},
    {"finance", "report", "finance", "cost", 1, 2, 0.0008, 0, "", "", 1},
    {"media", "transcode", "media", "cost", 8, 16, 0, 0, "", "", 1},
    // Placed before anybody asked.
    {"media", "thumbnails", "media", "carbon", 2, 4, 0.4, 0, "", "", 2, "eu-central-1"},
    {"media", "mailer", "media", "carbon", 1, 2, 0.1, 0, "", "", 2, "pl-waw"},
    {"ai", "ranker", "research", "carbon", 4, 16, 5, 0, "", "", 2, "eu-central-1", "auto"},
    {"media", "archive", "media", "balanced", 2, 8, 0.02, 0, "", "", 1, "pl-waw", "never"},
    {"media", "console", "media", "cost", 4, 16, 0.05, 0, "", "", 2, "fr-par", "", 0.03},
}};

Resources RequestsOf(const DemoWorkload& workload) {
  return {1000 * workload.vcpus, workload.memory_gib << 30, 0, 0};
}

// 0 by night, 1 at noon.
double Daylight(double hour) { return 1.0 - std::abs(hour - 12.0) / 12.0; }

// The load over the day, its mean 1.
double LoadAt(double hour) { return 0.4 + 1.2 * Daylight(hour); }

Observation See(Signal signal, double value, Timestamp time) {
  Observation seen;
  seen.signal = signal;
  seen.value = value;
  seen.time = time;
  seen.source = "demo";
  return seen;
}

Annotations AnnotationsOf(const DemoWorkload& workload) {
  Annotations annotations = {{"objective", workload.objective}};
  const auto add = [&](const char* key, const std::string& value) {
    annotations.push_back({key, value});
  };
  if (workload.requests_per_second > 0)
    add("requests-per-second", FormatNumber(workload.requests_per_second));
  if (workload.tokens_per_second > 0) {
    add("tokens-per-second", FormatNumber(workload.tokens_per_second));
    add("unit", "1k-tokens");
  }
  if (*workload.model != '\0') add("model", workload.model);
  if (*workload.countries != '\0') add("allowed-countries", workload.countries);
  if (*workload.move != '\0') add("move", workload.move);
  if (workload.requests_per_second <= 0) add("expected-duration", "2h");
  return annotations;
}

// Grids, prices and what the workloads serve.
void Observe(double hour, SnapshotInput& input) {
  for (const auto& node : input.nodes) {
    for (const DemoRegion& region : kRegions) {
      if (node->provider != region.provider || node->region != region.region) continue;
      Observation price = See(Signal::kNodePrice, region.eur_per_hour, input.time);
      price.node = node->name;
      input.observations.push_back(std::move(price));
    }
  }
  for (const DemoRegion& region : kRegions) {
    const double grams =
        region.grams_by_night + (region.grams_by_day - region.grams_by_night) * Daylight(hour);
    Observation grid = See(Signal::kGridIntensity, grams, input.time);
    grid.provider = region.provider;
    grid.region = region.region;
    input.observations.push_back(std::move(grid));
  }
  for (const DemoWorkload& workload : kWorkloads) {
    const auto rate = [&](Signal signal, double mean) {
      if (mean <= 0) return;
      Observation seen = See(signal, mean * LoadAt(hour), input.time);
      seen.namespace_name = workload.namespace_name;
      seen.workload = workload.name;
      input.observations.push_back(std::move(seen));
    };
    rate(Signal::kWorkloadRequests, workload.requests_per_second);
    rate(Signal::kWorkloadTokens, workload.tokens_per_second);
  }
}

double BusyOf(const PodPlacement& pod) {
  for (const DemoWorkload& workload : kWorkloads)
    if (pod.namespace_name == workload.namespace_name && pod.workload == workload.name)
      return workload.busy;
  return 0;
}

// One region has meters for nodes and for what pods draw, the others have none.
void Meter(double hour, SnapshotInput& input) {
  constexpr double kIdleWatts = 11;
  constexpr double kWattsPerBusyVcpu = 2.5;
  std::map<std::string_view, double> watts;
  for (const auto& node : input.nodes) {
    if (node->region == "fr-par") watts[node->name] = kIdleWatts;
  }
  for (const auto& pod : input.pods) {
    const auto metered = watts.find(pod->node);
    if (metered == watts.end()) continue;
    const double vcpus = static_cast<double>(pod->requests.millicpu) / 1000;
    Observation power =
        See(Signal::kPodPower, vcpus * kWattsPerBusyVcpu * BusyOf(*pod) * LoadAt(hour), input.time);
    power.namespace_name = pod->namespace_name;
    power.pod = pod->name;
    metered->second += power.value;
    input.observations.push_back(std::move(power));
  }
  const auto add = [&input](std::string_view node, Signal signal, double value) {
    Observation power = See(signal, value, input.time);
    power.node = node;
    input.observations.push_back(std::move(power));
  };
  for (const auto& [node, value] : watts) {
    add(node, Signal::kNodePower, value);
    add(node, Signal::kNodeCpuPower, value * 0.7);
  }
}

// As the admission policy marks pods.
bool HasLimits(const Annotations& annotations) {
  return std::any_of(annotations.begin(), annotations.end(), [](const Annotation& annotation) {
    return std::any_of(KnownKeys().begin(), KnownKeys().end(), [&](const KnownKey& key) {
      return key.kind == KeyKind::kLimit && key.name == annotation.key;
    });
  });
}

}  // namespace

DemoWorld::DemoWorld(std::vector<NodeFacts> nodes) {
  for (NodeFacts& node : nodes) {
    free_[node.name] = node.allocatable;
    nodes_.push_back(std::make_shared<const NodeFacts>(std::move(node)));
  }
}

std::span<const DemoWorkload> DemoWorld::Workloads() { return kWorkloads; }
std::span<const DemoWorkload> DemoWorld::Arriving() { return Workloads().first(kArriving); }
std::size_t DemoWorld::RegionCount() { return kRegions.size(); }

std::shared_ptr<const WorldState> DemoWorld::StateAt(double hour, Timestamp now) const {
  SnapshotInput input;
  input.time = now;
  input.nodes = nodes_;
  input.pods.assign(running_.begin(), running_.end());
  // Nobody sets labels here but we.
  input.trust_node_labels = true;
  Observe(hour, input);
  Meter(hour, input);
  auto state = std::make_shared<WorldState>(*MakeState(std::move(input)));
  state->watched_pods = static_cast<std::int64_t>(running_.size());
  state->bindings = state->watched_pods;
  for (const DemoWorkload& workload : kWorkloads)
    state->teams[workload.namespace_name] = workload.team;
  return state;
}

std::string DemoWorld::ExtenderArgs(const DemoWorkload& workload, const std::string& name,
                                    const std::string& uid,
                                    const std::vector<std::string>& nodes) const {
  std::string body;
  JsonWriter json(body);
  json.BeginObject().Key("Pod").BeginObject().Key("metadata").BeginObject();
  json.Key("name").Value(name).Key("namespace").Value(workload.namespace_name);
  json.Key("uid").Value(uid).Key("annotations").BeginObject();
  for (const Annotation& annotation : AnnotationsOf(workload))
    json.Key(std::string(kAnnotationPrefix) + annotation.key).Value(annotation.value);
  const bool is_batch_job = workload.requests_per_second <= 0;
  json.EndObject().Key("ownerReferences").BeginArray().BeginObject();
  json.Key("kind").Value(is_batch_job ? "Job" : "StatefulSet").Key("name").Value(workload.name);
  json.Key("controller").Value(true).EndObject().EndArray().EndObject();
  json.Key("spec").BeginObject().Key("containers").BeginArray().BeginObject();
  json.Key("name").Value("app").Key("resources").BeginObject().Key("requests").BeginObject();
  json.Key("cpu").Value(std::to_string(workload.vcpus));
  json.Key("memory").Value(std::to_string(workload.memory_gib) + "Gi");
  if (HasLimits(AnnotationsOf(workload))) json.Key(kLimitsMarker).Value("1");
  json.EndObject().EndObject().EndObject().EndArray().EndObject().EndObject();
  json.Key("Nodes").Null().Key("NodeNames").BeginArray();
  for (const std::string& node : nodes) json.Value(node);
  json.EndArray().EndObject();
  return body;
}

std::vector<std::string> DemoWorld::NodesWithRoom(const DemoWorkload& workload) const {
  const Resources wanted = RequestsOf(workload);
  std::vector<std::string> fitting;
  for (const auto& [node, room] : free_) {
    if (room.millicpu >= wanted.millicpu && room.memory_bytes >= wanted.memory_bytes)
      fitting.push_back(node);
  }
  return fitting;
}

std::optional<std::string> DemoWorld::RoomIn(std::string_view region,
                                             const DemoWorkload& workload) const {
  const std::vector<std::string> fitting = NodesWithRoom(workload);
  std::optional<std::string> best;
  for (const auto& node : nodes_) {
    if (node->region != region && PlaceOf(*node) != region) continue;
    if (std::find(fitting.begin(), fitting.end(), node->name) == fitting.end()) continue;
    if (!best || free_.at(node->name).millicpu > free_.at(*best).millicpu) best = node->name;
  }
  return best;
}

void DemoWorld::Move(const DemoWorkload& workload, std::string_view region, Timestamp now) {
  for (auto& pod : running_) {
    if (pod->namespace_name != workload.namespace_name || pod->workload != workload.name) continue;
    const auto node = RoomIn(region, workload);
    if (!node) return;
    auto moved = std::make_shared<PodPlacement>(*pod);
    moved->name += "-moved";
    moved->uid += "-moved";
    moved->node = *node;
    moved->started = now;
    Take(pod->node, pod->requests, -1);
    Take(*node, pod->requests, 1);
    pod = std::move(moved);
  }
}

void DemoWorld::Run(const DemoWorkload& workload, const std::string& name, const std::string& uid,
                    const std::string& node, Timestamp started) {
  auto pod = std::make_shared<PodPlacement>();
  pod->namespace_name = workload.namespace_name;
  pod->name = name;
  pod->uid = uid;
  pod->workload = workload.name;
  pod->is_batch_job = workload.requests_per_second <= 0;
  pod->owner = PodOwner::kController;
  pod->ready = true;
  pod->requests = RequestsOf(workload);
  pod->annotations = AnnotationsOf(workload);
  pod->has_limits_marker = HasLimits(pod->annotations);
  pod->node = node;
  pod->started = started;
  Take(node, pod->requests, 1);
  running_.push_back(std::move(pod));
}

std::optional<std::string> DemoWorld::FinishOldest() {
  if (running_.size() <= standing_) return std::nullopt;
  const auto oldest = running_.begin() + static_cast<std::ptrdiff_t>(standing_);
  const std::string uid = (*oldest)->uid;
  Take((*oldest)->node, (*oldest)->requests, -1);
  running_.erase(oldest);
  return uid;
}

void DemoWorld::KeepAll(Timestamp started) {
  for (auto& pod : running_) {
    auto standing = std::make_shared<PodPlacement>(*pod);
    standing->started = started;
    pod = std::move(standing);
  }
  standing_ = running_.size();
}

void DemoWorld::Take(const std::string& node, const Resources& amount, std::int64_t sign) {
  Resources& room = free_[node];
  room.millicpu -= sign * amount.millicpu;
  room.memory_bytes -= sign * amount.memory_bytes;
}

}  // namespace sobre
