#include "extender/gatekeeper.h"

#include <chrono>

#include <simdjson.h>

#include "base/background.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/text.h"

namespace sobre {
namespace {

namespace dom = simdjson::dom;

constexpr Duration kStep = std::chrono::milliseconds(100);
constexpr const char* kRegionLabel = "topology.kubernetes.io/region";

void WriteRegionExpression(const std::vector<std::string>& regions, JsonWriter& json) {
  json.BeginObject().Key("key").Value(kRegionLabel).Key("operator").Value("In");
  json.Key("values").BeginArray();
  for (const std::string& region : regions) json.Value(region);
  json.EndArray().EndObject();
}

// One term as it is, with the regions among its expressions.
void WriteTerm(const dom::element& term, const std::vector<std::string>& regions,
               JsonWriter& json) {
  json.BeginObject();
  dom::object fields;
  if (term.get(fields) == simdjson::SUCCESS) {
    for (const auto& [key, value] : fields)
      if (key != "matchExpressions") json.Key(key).Raw(simdjson::minify(value));
  }
  json.Key("matchExpressions").BeginArray();
  dom::array expressions;
  if (term["matchExpressions"].get(expressions) == simdjson::SUCCESS)
    for (const dom::element expression : expressions) json.Raw(simdjson::minify(expression));
  WriteRegionExpression(regions, json);
  json.EndArray().EndObject();
}

// A merge patch: the gates that remain, and the required node affinity with the regions added.
std::string PatchFor(const dom::element& pod, std::string_view version,
                     const std::vector<std::string>& regions) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  // Whoever changed the pod meanwhile is heard first.
  json.Key("metadata").BeginObject().Key("resourceVersion").Value(version).EndObject();
  json.Key("spec").BeginObject().Key("schedulingGates").BeginArray();
  dom::array gates;
  if (pod["spec"]["schedulingGates"].get(gates) == simdjson::SUCCESS) {
    for (const dom::element gate : gates) {
      std::string_view name;
      if (gate["name"].get(name) == simdjson::SUCCESS && name == kCarbonGate) continue;
      json.Raw(simdjson::minify(gate));
    }
  }
  json.EndArray();
  if (!regions.empty()) {
    json.Key("affinity").BeginObject().Key("nodeAffinity").BeginObject();
    json.Key("requiredDuringSchedulingIgnoredDuringExecution").BeginObject();
    json.Key("nodeSelectorTerms").BeginArray();
    dom::array terms;
    bool any = false;
    if (pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
           ["nodeSelectorTerms"]
               .get(terms) == simdjson::SUCCESS) {
      for (const dom::element term : terms) {
        WriteTerm(term, regions, json);
        any = true;
      }
    }
    if (!any) {
      json.BeginObject().Key("matchExpressions").BeginArray();
      WriteRegionExpression(regions, json);
      json.EndArray().EndObject();
    }
    json.EndArray().EndObject().EndObject().EndObject();
  }
  json.EndObject().EndObject();
  return out;
}

bool HasGate(const dom::element& pod) {
  dom::array gates;
  if (pod["spec"]["schedulingGates"].get(gates) != simdjson::SUCCESS) return false;
  for (const dom::element gate : gates) {
    std::string_view name;
    if (gate["name"].get(name) == simdjson::SUCCESS && name == kCarbonGate) return true;
  }
  return false;
}

}  // namespace

Status OpenGate(ApiClient& api, const std::string& namespace_name, const std::string& pod,
                const std::vector<std::string>& regions) {
  const std::string path =
      "/api/v1/namespaces/" + PercentEncode(namespace_name) + "/pods/" + PercentEncode(pod);
  const Result<HttpReply> found = api.Call("GET", path);
  if (!found.ok()) return found.status();
  if (found->status == 404) return Status::Ok();
  if (found->status != 200) return Status::Unavailable(path + ": " + Complaint(*found));
  dom::parser parser;
  dom::element object;
  std::string_view version;
  if (parser.parse(found->body).get(object) != simdjson::SUCCESS ||
      object["metadata"]["resourceVersion"].get(version) != simdjson::SUCCESS)
    return Status::Invalid(path + ": not what the API server sends");
  if (!HasGate(object)) return Status::Ok();
  const Result<HttpReply> patched =
      api.Call("PATCH", path, PatchFor(object, version, regions), "application/merge-patch+json");
  if (!patched.ok()) return patched.status();
  if (patched->status < 300 || patched->status == 404) return Status::Ok();
  return Status::Unavailable(path + ": " + Complaint(*patched));
}

Gatekeeper::Gatekeeper(ApiAccess access, GatekeeperOptions options, World& world)
    : options_(std::move(options)),
      world_(world),
      api_(std::move(access)),
      lease_(options_.lease),
      thread_([this] { Run(); }) {}

Gatekeeper::~Gatekeeper() {
  stop_ = true;
  thread_.join();
}

void Gatekeeper::Run() {
  NameThread("gatekeeper");
  while (!stop_) {
    Check(Now());
    for (Duration slept(0); slept < options_.check && !stop_; slept += kStep)
      std::this_thread::sleep_for(kStep);
  }
}

void Gatekeeper::Check(Timestamp now) {
  const auto state = world_.Read();
  if (!state->ready) return;
  // Nobody waits: nobody need lead.
  if (state->gated.empty() && !options_.always_lead) return;
  const SteadyTime asked = std::chrono::steady_clock::now();
  const Result<bool> held = lease_.TryHold(api_, now, asked);
  const std::string problem = held.ok() ? "" : held.status().message();
  if (problem != lease_problem_ && !problem.empty())
    Log(LogLevel::kWarning, "lease: acting without", {{"error", problem}});
  lease_problem_ = problem;
  if (held.ok()) leads_ = *held;
  if (held.ok() && *held) held_until_ = asked + options_.lease.duration;
  // A gate that two replicas open opens once: better both than none.
  const bool leads = !held.ok() || *held;
  for (const auto& pod : state->gated) {
    const auto in_namespace = state->namespaces.find(pod->namespace_name);
    PodFacts facts;
    facts.annotations = pod->annotations;
    const DecisionRequest request = MakeRequest(
        std::move(facts),
        in_namespace == state->namespaces.end() ? state->cluster_policy : in_namespace->second);
    const Timestamp latest = LatestOpening(request.policy.deferral, pod->created);
    if (!leads && now < latest + options_.lease.duration) continue;
    const GateVerdict verdict = JudgeGate(request.policy, pod->created, now, *state->snapshot);
    if (verdict.open) Open(*pod, verdict);
  }
}

void Gatekeeper::Open(const GatedPod& pod, const GateVerdict& verdict) {
  static const std::vector<std::string> kAnywhere;
  Status status = OpenGate(api_, pod.namespace_name, pod.name,
                           options_.write_affinity ? verdict.regions : kAnywhere);
  // What the affinity cannot say must not keep the gate shut.
  if (!status.ok() && !verdict.regions.empty())
    status = OpenGate(api_, pod.namespace_name, pod.name, kAnywhere);
  if (!status.ok()) {
    Log(LogLevel::kWarning, "gate not opened",
        {{"pod", pod.namespace_name + "/" + pod.name}, {"error", status.message()}});
    return;
  }
  world_.Tell({pod.namespace_name, pod.name, pod.uid, "GateOpened", verdict.reason, false});
}

}  // namespace sobre
