#include "extender/gatekeeper.h"

#include <algorithm>
#include <chrono>

#include <simdjson.h>

#include "base/background.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/text.h"
#include "extender/metric_families.h"

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

// Whether anything but gates is left to the replica that leads.
bool LeadingMatters(const Config& config) {
  return config.AccountsByReplica() || config.moves.enabled || config.clusters.enabled;
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

GatekeeperOptions GatekeeperOptionsOf(const Config& config) {
  const Config::Deferral& deferral = config.deferral;
  GatekeeperOptions options;
  options.always_lead = LeadingMatters(config);
  options.check = deferral.check;
  options.write_affinity = deferral.write_affinity;
  options.lease.duration = deferral.lease_duration;
  options.lease.name = "sobre-gatekeeper";
  options.lease.identity = NewIdentity();
  options.lease.namespace_name = deferral.lease_namespace;
  if (options.lease.namespace_name.empty()) {
    const Result<std::string> own =
        ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace");
    options.lease.namespace_name = own.ok() ? std::string(Trim(*own)) : "kube-system";
  }
  return options;
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
    // A Lease is renewed well before its time is over.
    const Duration pause = std::max(kStep, std::min(options_.check, options_.lease.duration / 3));
    for (Duration slept(0); slept < pause && !stop_; slept += kStep)
      std::this_thread::sleep_for(kStep);
  }
}

// Where nobody can tell who has it, gates are everybody's: kFresh.
LeaseHold Gatekeeper::AskForLease(Timestamp now) {
  const SteadyTime asked = std::chrono::steady_clock::now();
  const Result<LeaseHold> held =
      lease_.TryHold(CallsOf(api_), now, [] { return std::chrono::steady_clock::now(); });
  if (held.ok())
    held_until_ = *held == LeaseHold::kOurs ? asked + options_.lease.duration : SteadyTime::min();
  LeaseState told;
  told.hold = held.ok() ? *held : LeaseHold::kFresh;
  told.problem = held.ok() ? "" : held.status().message();
  const MutexLock lock(mutex_);
  const std::string before = state_ ? state_->problem : "";
  if (told.problem != before) {
    if (told.problem.empty()) {
      Log(LogLevel::kInfo, "lease: it can be had again");
    } else {
      Log(LogLevel::kWarning,
          "lease: it cannot be had: gates open all the same, and this replica counts no usage in "
          "metrics, moves no pods and scores no clusters",
          {{"error", told.problem}});
    }
  }
  state_ = told;
  return told.hold;
}

std::optional<LeaseState> Gatekeeper::lease(SteadyTime now) const {
  std::optional<LeaseState> state;
  {
    const MutexLock lock(mutex_);
    state = state_;
  }
  // Whoever stood still for a while has lost it meanwhile.
  if (state) state->leads = holds(now);
  return state;
}

void Gatekeeper::Check(Timestamp now) {
  const auto state = world_.Read();
  if (!state->ready) return;
  // Nobody waits: nobody need lead, nor is anything told of the Lease.
  if (state->gated.empty() && !options_.always_lead) {
    const MutexLock lock(mutex_);
    state_.reset();
    return;
  }
  // A gate that two replicas open opens once: better both than none.
  bool leads = false;
  SteadyTime asked;
  const auto ask = [&](Timestamp time) {
    leads = AskForLease(time) != LeaseHold::kOther;
    asked = std::chrono::steady_clock::now();
  };
  ask(now);
  for (const auto& pod : state->gated) {
    // Many gates, or a slow API server, take longer than the Lease lasts.
    if (std::chrono::steady_clock::now() - asked >= options_.lease.duration / 3) ask(Now());
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

std::vector<Finding> DiagnoseLease(const Config& config) {
  const Result<ApiAccess> access = AccessOf(config);
  // Why not is told where the cluster is read.
  if (!access.ok()) return {};
  const GatekeeperOptions options = GatekeeperOptionsOf(config);
  const std::string name = options.lease.namespace_name + "/" + options.lease.name;
  ApiClient api(*access);
  const Result<std::string> holder = Lease(options.lease).Look(CallsOf(api), Now());
  if (!holder.ok())
    return {{LeadingMatters(config) ? Severity::kError : Severity::kWarning, "lease",
             name + " cannot be taken, so that no replica counts usage in metrics, moves pods or " +
                 "scores clusters: " + holder.status().message(),
             "let Sobre's account get, create and update leases in that namespace, as the chart's "
             "Role does; deferral.lease_namespace names another"}};
  return {{Severity::kOk, "lease",
           name + " can be taken; " +
               (holder->empty() ? "nobody holds it" : Printable(*holder, 200) + " held it last"),
           ""}};
}

std::string LeaseMetrics(const std::optional<LeaseState>& lease) {
  using prometheus::MetricType;
  MetricFamilies out;
  out.Begin("sobre_lease_failing",
            "1 while the Lease sobre-gatekeeper can neither be read nor taken.", MetricType::Gauge);
  if (lease) out.Value(lease->problem.empty() ? 0 : 1);
  out.Begin("sobre_lease_holder", "1 where this replica holds the Lease sobre-gatekeeper.",
            MetricType::Gauge);
  if (lease) out.Value(lease->leads ? 1 : 0);
  return out.Text();
}

}  // namespace sobre
