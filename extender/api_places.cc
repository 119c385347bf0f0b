#include "extender/api_places.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json_writer.h"
#include "base/text.h"
#include "extender/api_answers.h"
#include "extender/offer_ranking.h"
#include "scoring/analysis.h"

namespace sobre {
namespace {

constexpr double kGib = 1024.0 * 1024 * 1024;

Resources Sum(const Resources& a, const Resources& b, std::int64_t sign) {
  return {a.millicpu + sign * b.millicpu, a.memory_bytes + sign * b.memory_bytes,
          a.gpus + sign * b.gpus, a.gpu_slices + sign * b.gpu_slices};
}

// What is left on each node, in the snapshot's order.
std::vector<Resources> FreeOn(const WorldState& state) {
  std::vector<Resources> free;
  free.reserve(state.snapshot->nodes().size());
  for (const NodeRecord& node : state.snapshot->nodes()) free.push_back(node.facts->allocatable);
  for (const auto& pod : state.input.pods) {
    const std::int32_t index = state.snapshot->Find(pod->node);
    if (index == Snapshot::kUnknownNode) continue;
    Resources& room = free[static_cast<std::size_t>(index)];
    room = Sum(room, pod->requests, -1);
  }
  return free;
}

void WriteResources(const char* key, const Resources& amount, JsonWriter& json) {
  json.Key(key).BeginObject();
  json.Key("vcpu").Value(static_cast<double>(amount.millicpu) / 1000);
  json.Key("memoryGib").Value(static_cast<double>(amount.memory_bytes) / kGib);
  json.Key("gpus").Value(amount.gpus).EndObject();
}

struct Place {
  const NodeRecord* first = nullptr;
  std::int64_t nodes = 0;
  Resources allocatable;
  Resources free;
  std::optional<double> low_price;  // euros per vCPU and hour
  std::optional<double> high_price;
  bool price_estimated = false;
};
// Whether labels that a kubelet cannot set say where the node is.
bool IsAttested(const Sovereignty& law) { return !law.region.empty() || !law.country.empty(); }

// Nodes of one region of which different things are attested are different places.
using PlaceKey = std::tuple<std::string_view, std::string_view, std::string_view, bool, std::string,
                            std::string, std::optional<Exposure>, std::vector<std::string>>;
PlaceKey KeyOf(const NodeRecord& node) {
  return {node.facts->provider,
          node.facts->region,
          node.grid_zone,
          IsAttested(node.sovereignty),
          node.sovereignty.country,
          node.sovereignty.operator_name,
          node.sovereignty.exposure,
          node.facts->attested.certifications};
}

std::map<PlaceKey, Place> PlacesOf(const WorldState& state) {
  std::map<PlaceKey, Place> places;
  const std::vector<Resources> free = FreeOn(state);
  const auto& nodes = state.snapshot->nodes();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const NodeRecord& node = nodes[i];
    Place& place = places[KeyOf(node)];
    if (place.first == nullptr) place.first = &node;
    ++place.nodes;
    place.allocatable = Sum(place.allocatable, node.facts->allocatable, 1);
    place.free = Sum(place.free, free[i], 1);
    if (!node.price || node.facts->allocatable.millicpu <= 0) continue;
    // The processors' part of the price: accelerators and memory are not paid by the vCPU.
    const double price = node.price->value.value() * node.cpu_price_share.value() * 1000 /
                         static_cast<double>(node.facts->allocatable.millicpu);
    place.low_price = std::min(place.low_price.value_or(price), price);
    place.high_price = std::max(place.high_price.value_or(price), price);
    place.price_estimated = place.price_estimated || node.price_estimated;
  }
  return places;
}

// As a limit would judge it, which takes no certificate without a last day.
std::string_view StateOf(const CertificationRow& row, std::string_view today) {
  if (row.expires.empty()) return "unknown";
  return row.expires >= today ? "valid" : "expired";
}

void WritePlace(const Place& place, const Snapshot& snapshot, Timestamp now, JsonWriter& json) {
  const NodeRecord& node = *place.first;
  const auto& intensity = node.live_intensity ? node.live_intensity : node.catalog_intensity;
  const auto number = [&](const char* key, const auto& sourced) {
    json.Key(key).Value(sourced ? std::optional(sourced->value.value()) : std::nullopt);
  };
  json.BeginObject().Key("provider").Value(node.facts->provider);
  json.Key("region").Value(node.facts->region);
  json.Key("country").Value(CountryOf(node));
  json.Key("gridZone").Value(node.grid_zone).Key("nodes").Value(place.nodes);
  number("gco2ePerKwh", intensity);
  json.Key("live").Value(node.live_intensity.has_value());
  json.Key("intensityFrom").Value(intensity ? intensity->source : std::string());
  json.Key("intensityTime").Value(node.live_intensity ? FormatTime(node.live_intensity->time) : "");
  number("catalogueGco2ePerKwh", node.catalog_intensity);
  number("marketGco2ePerKwh", node.market_intensity);
  json.Key("pue").Value(node.pue.value()).Key("pueFrom").Value(node.pue_source);
  json.Key("lowEurPerVcpuHour").Value(place.low_price);
  json.Key("highEurPerVcpuHour").Value(place.high_price);
  json.Key("priceEstimated").Value(place.price_estimated);
  number("electricityEurPerKwh", node.electricity);
  WriteResources("allocatable", place.allocatable, json);
  WriteResources("free", place.free, json);
  WriteJurisdiction(node, snapshot.catalog(), json);
  WriteCertifications(node, snapshot.catalog(), now, json);
  json.Key("forecast").BeginArray();
  for (const ForecastPoint& point : node.forecast) {
    json.BeginObject().Key("time").Value(FormatTime(point.time));
    json.Key("gco2ePerKwh").Value(point.intensity.value()).EndObject();
  }
  json.EndArray().EndObject();
}

bool Fits(const Resources& free, const Resources& wanted) {
  return free.millicpu >= wanted.millicpu && free.memory_bytes >= wanted.memory_bytes &&
         free.gpus >= wanted.gpus;
}

// One column of the ranking.
template <class Of>
void WriteColumn(const char* key, std::size_t count, const Of& of, JsonWriter& json) {
  json.Key(key).BeginArray();
  for (std::size_t i = 0; i < count; ++i) json.Value(of(i));
  json.EndArray();
}

void WriteNodeColumns(const Decision& decision, const Snapshot& snapshot,
                      const std::vector<Resources>& free, const Resources& wanted,
                      JsonWriter& json) {
  const auto& nodes = snapshot.nodes();
  const std::size_t count = nodes.size();
  const auto column = [&](const char* key, const auto& of) { WriteColumn(key, count, of, json); };
  column("node", [&](std::size_t i) { return std::string_view(nodes[i].facts->name); });
  column("provider", [&](std::size_t i) { return std::string_view(nodes[i].facts->provider); });
  column("region", [&](std::size_t i) { return std::string_view(nodes[i].facts->region); });
  column("gridZone", [&](std::size_t i) { return std::string_view(nodes[i].grid_zone); });
  column("hardwareClass", [&](std::size_t i) {
    return std::string_view(
        snapshot.hardware_classes()[static_cast<std::size_t>(nodes[i].hardware_class)]);
  });
  column("powerFrom", [&](std::size_t i) { return ToString(nodes[i].power_basis); });
  column("priceEstimated", [&](std::size_t i) { return nodes[i].price_estimated; });
  column("vcpu", [&](std::size_t i) {
    return static_cast<double>(nodes[i].facts->allocatable.millicpu) / 1000;
  });
  column("freeVcpu", [&](std::size_t i) { return static_cast<double>(free[i].millicpu) / 1000; });
  column("freeMemoryGib",
         [&](std::size_t i) { return static_cast<double>(free[i].memory_bytes) / kGib; });
  column("fits", [&](std::size_t i) { return Fits(free[i], wanted); });
  column("gco2ePerKwh", [&](std::size_t i) {
    const bool live = decision.intensity_basis == IntensityBasis::kLive;
    const auto& seen = live ? nodes[i].live_intensity : nodes[i].catalog_intensity;
    return seen ? std::optional(seen->value.value()) : std::nullopt;
  });
}

// Those that share the highest score among the nodes that can take the pod; none where nothing is
// known of any.
std::vector<std::size_t> BestWithRoom(const Decision& decision, const std::vector<Resources>& free,
                                      const Resources& wanted) {
  std::vector<std::size_t> best;
  std::int32_t highest = 1;
  for (std::size_t i = 0; i < decision.candidates.size(); ++i) {
    const std::int32_t score = decision.candidates[i].score;
    if (!Fits(free[i], wanted) || score < highest) continue;
    if (score > highest) best.clear();
    highest = score;
    best.push_back(i);
  }
  return best;
}

void WriteFigureColumns(const Decision& decision, const Snapshot& snapshot, JsonWriter& json) {
  const auto& candidates = decision.candidates;
  std::vector<Range<GramsPerHour>> grams(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (candidates[i].placement.grams_known)
      grams[i] = GramsRange(candidates[i], decision, snapshot);
  const auto column = [&](const char* key, const auto& of) {
    WriteColumn(key, candidates.size(), of, json);
  };
  const auto where = [](bool known, double value) {
    return known ? std::optional(value) : std::nullopt;
  };
  column("score", [&](std::size_t i) { return candidates[i].score; });
  column("eurPerHour", [&](std::size_t i) {
    return where(candidates[i].placement.euros_known, candidates[i].placement.euros.value());
  });
  column("watts", [&](std::size_t i) {
    return where(candidates[i].placement.power_known, candidates[i].placement.added_power.value());
  });
  const auto gram_column = [&](const char* key, GramsPerHour Range<GramsPerHour>::*part) {
    column(key, [&, part](std::size_t i) {
      return where(candidates[i].placement.grams_known, (grams[i].*part).value());
    });
  };
  gram_column("lowGco2ePerHour", &Range<GramsPerHour>::low);
  gram_column("gco2ePerHour", &Range<GramsPerHour>::mid);
  gram_column("highGco2ePerHour", &Range<GramsPerHour>::high);
}

Result<Objective> ObjectiveOf(const HttpRequest& request, Objective otherwise) {
  const auto text = request.Parameter("objective");
  if (!text) return otherwise;
  const auto objective = ParseObjective(*text);
  if (!objective)
    return Status::Invalid("objective: expected balanced, carbon, cost or priced, not '" +
                           Printable(*text, 40) + "'");
  return *objective;
}

}  // namespace

std::string CountryOf(const NodeRecord& node) {
  return node.sovereignty.country.empty() ? node.grid_zone.substr(0, 2) : node.sovereignty.country;
}

void WriteCertifications(const NodeRecord& node, const Catalog& catalog, Timestamp now,
                         JsonWriter& json) {
  const std::string today = FormatTime(now).substr(0, 10);
  json.Key("certifications").BeginArray();
  for (const auto& row : catalog.CertificationsOf(node.facts->provider, node.facts->region)) {
    json.BeginObject()
        .Key("scheme")
        .Value(row.value.scheme)
        .Key("version")
        .Value(row.value.version);
    json.Key("scope").Value(row.value.scope).Key("expires").Value(row.value.expires);
    json.Key("state").Value(StateOf(row.value, today));
    json.Key("source").Value(row.source).EndObject();
  }
  // Said of the node by labels that it cannot set itself.
  for (const std::string& scheme : node.facts->attested.certifications) {
    json.BeginObject().Key("scheme").Value(scheme).Key("version").Value("").Key("scope").Value("");
    json.Key("expires").Value("").Key("state").Value("valid");
    json.Key("source").Value("node label").EndObject();
  }
  json.EndArray();
}

void WriteJurisdiction(const NodeRecord& node, const Catalog& catalog, JsonWriter& json) {
  const Sovereignty& law = node.sovereignty;
  const bool attested = IsAttested(law);
  const auto offer = catalog.OfferOf(node.facts->provider, node.facts->region);
  std::string who = law.operator_name;
  if (who.empty() && offer) who = offer->value.operator_name;
  json.Key("operator").Value(who);
  json.Key("operatorCountry").Value(offer ? offer->value.operator_country : "");
  json.Key("parentCountry").Value(offer ? offer->value.parent_country : "");
  std::string_view exposure;
  if (law.exposure) {
    exposure = ToString(*law.exposure);
  } else if (offer && !attested) {
    exposure = ToString(offer->value.exposure);
  }
  json.Key("exposure").Value(exposure);
  json.Key("attested").Value(attested);
}

Status ApplyPolicyParameters(const HttpRequest& request, Policy& policy) {
  const auto objective = ObjectiveOf(request, policy.objective);
  if (!objective.ok()) return objective.status();
  const auto price = NumberIn(request, "carbon-price", 0, 1e6);
  if (!price.ok()) return price.status();
  const auto tolerance = NumberIn(request, "cost-tolerance", 0, 1e4);
  if (!tolerance.ok()) return tolerance.status();
  policy.objective = *objective;
  if (*price) policy.carbon_price = EurosPerTonne(**price);
  if (*tolerance) policy.cost_tolerance = Fraction(**tolerance / 100);
  return Status::Ok();
}

Result<TriedPod> TriedPodOf(const HttpRequest& request, const Policy& cluster) {
  TriedPod pod;
  pod.policy.objective = cluster.objective;
  pod.policy.carbon_price = cluster.carbon_price;
  pod.policy.cost_tolerance = cluster.cost_tolerance;
  pod.policy.expected_utilization = cluster.expected_utilization;
  pod.policy.unit = FunctionalUnit::kPodHour;
  const auto cpu = NumberIn(request, "cpu", 0.001, 1024);
  if (!cpu.ok()) return cpu.status();
  const auto memory = NumberIn(request, "memory-gib", 0.001, 65536);
  if (!memory.ok()) return memory.status();
  const auto gpus = IntegerIn(request, "gpus", 0, 64);
  if (!gpus.ok()) return gpus.status();
  if (*cpu) pod.requests.millicpu = std::llround(**cpu * 1000);
  if (*memory) pod.requests.memory_bytes = std::llround(**memory * kGib);
  if (*gpus) pod.requests.gpus = **gpus;
  const Status policy = ApplyPolicyParameters(request, pod.policy);
  return policy.ok() ? Result<TriedPod>(std::move(pod)) : policy;
}

std::string RegionsJson(const WorldState& state, Timestamp now) {
  std::string text;
  JsonWriter json(text);
  json.BeginArray();
  for (const auto& [key, place] : PlacesOf(state)) WritePlace(place, *state.snapshot, now, json);
  json.EndArray();
  return text;
}

std::string RankingJson(const WorldState& state, const TriedPod& pod) {
  const Snapshot& snapshot = *state.snapshot;
  DecisionRequest request;
  request.pod.requests = pod.requests;
  request.policy = pod.policy;
  std::vector<std::int32_t> nodes(snapshot.nodes().size());
  std::iota(nodes.begin(), nodes.end(), 0);
  Decision decision;
  Decide(request, snapshot, nodes, decision);
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("time").Value(FormatTime(snapshot.time()));
  WriteResources("pod", pod.requests, json);
  json.Key("objective").Value(ToString(pod.policy.objective));
  json.Key("carbonPriceEurPerTonne").Value(pod.policy.carbon_price.value());
  json.Key("costTolerancePercent").Value(pod.policy.cost_tolerance.value() * 100);
  json.Key("intensityBasis").Value(ToString(decision.intensity_basis));
  json.Key("nodes").BeginObject();
  const std::vector<Resources> free = FreeOn(state);
  WriteNodeColumns(decision, snapshot, free, pod.requests, json);
  WriteFigureColumns(decision, snapshot, json);
  json.EndObject().Key("paretoFront").BeginArray();
  for (const std::size_t i : ParetoFront(decision)) json.Value(i);
  json.EndArray().Key("best").BeginArray();
  for (const std::size_t i : BestWithRoom(decision, free, pod.requests)) json.Value(i);
  json.EndArray().EndObject();
  return text;
}

void AddPlacesApi(HttpServer& server, const World& world) {
  HandleJson(server, "/api/v1/regions", {"namespace", "workload", "pod"},
             [&](const HttpRequest& request) -> Result<std::string> {
               for (const char* name : {"namespace", "workload", "pod"})
                 if (request.Parameter(name))
                   return OffersForRunning(RunningPodOf(request), *world.Read());
               return RegionsJson(*world.Read(), Now());
             });
  HandleJson(server, "/api/v1/ranking",
             {"cpu", "memory-gib", "gpus", "objective", "carbon-price", "cost-tolerance"},
             [&](const HttpRequest& request) -> Result<std::string> {
               const auto state = world.Read();
               const Result<TriedPod> pod = TriedPodOf(request, state->cluster_policy.policy);
               if (!pod.ok()) return pod.status();
               return RankingJson(*state, *pod);
             });
}

}  // namespace sobre
