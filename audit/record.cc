#include "audit/record.h"

#include <algorithm>
#include <array>

#include <google/protobuf/util/json_util.h>

#include "base/text.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

std::int64_t ToMs(Timestamp time) { return time.time_since_epoch().count(); }
Timestamp FromMs(std::int64_t ms) { return Timestamp(Duration(ms)); }

// Thrown inside this file alone: what the record holds and nobody can have meant.
struct Unreadable {
  std::string message;
};

// The enumerator that is spelt so.
template <class Enum, std::size_t kSize>
Enum Parse(std::string_view text, const std::array<Enum, kSize>& known, const char* field) {
  for (const Enum value : known)
    if (ToString(value) == text) return value;
  throw Unreadable{std::string(field) + ": '" + Printable(text, 40) + "' is not known"};
}
constexpr std::array kObjectives = {Objective::kBalanced, Objective::kCarbon, Objective::kCost,
                                    Objective::kPriced};
constexpr std::array kUnits = {FunctionalUnit::kPodHour, FunctionalUnit::kRequest,
                               FunctionalUnit::kThousandTokens, FunctionalUnit::kRun};
constexpr std::array kBounds = {Bound::kDemand, Bound::kThroughput};
constexpr std::array kModes = {Mode::kEnforce, Mode::kShadow, Mode::kOff};
constexpr std::array kBases = {PowerBasis::kWorldDefault, PowerBasis::kProviderDefault,
                               PowerBasis::kInstanceType, PowerBasis::kCalibrated,
                               PowerBasis::kMeasuredJoules};
constexpr std::array kMethods = {Method::kMeasured, Method::kEstimated, Method::kPublished,
                                 Method::kConfigured};

void Write(const Resources& from, v1::RecordedResources* to) {
  to->set_millicpu(from.millicpu);
  to->set_memory_bytes(from.memory_bytes);
  to->set_gpus(from.gpus);
  to->set_gpu_slices(from.gpu_slices);
}
Resources Read(const v1::RecordedResources& from) {
  return {from.millicpu(), from.memory_bytes(), from.gpus(), from.gpu_slices()};
}

template <class Strings>
std::vector<std::string> ReadAll(const Strings& strings) {
  return {strings.begin(), strings.end()};
}

void Write(const PodFacts& from, v1::RecordedPod* to) {
  to->set_namespace_(from.namespace_name);
  to->set_name(from.name);
  to->set_uid(from.uid);
  to->set_workload(from.workload);
  to->set_batch_job(from.is_batch_job);
  to->set_resource_claims(from.has_resource_claims);
  Write(from.requests, to->mutable_requests());
}
PodFacts Read(const v1::RecordedPod& from) {
  PodFacts pod;
  pod.namespace_name = from.namespace_();
  pod.name = from.name();
  pod.uid = from.uid();
  pod.workload = from.workload();
  pod.is_batch_job = from.batch_job();
  pod.has_resource_claims = from.resource_claims();
  pod.requests = Read(from.requests());
  return pod;
}

void Write(const Policy& from, v1::RecordedPolicy* to) {
  to->set_objective(std::string(ToString(from.objective)));
  to->set_cost_tolerance(from.cost_tolerance.value());
  to->set_carbon_price_eur_per_tonne(from.carbon_price.value());
  to->set_expected_utilization(from.expected_utilization.value());
  to->set_unit(std::string(ToString(from.unit)));
  if (from.requests) to->set_requests_per_hour(from.requests->value());
  if (from.tokens) to->set_tokens_per_hour(from.tokens->value());
  to->set_bound(std::string(ToString(from.bound)));
  if (from.expected_duration) to->set_expected_duration_hours(from.expected_duration->value());
  to->set_model(from.model);
  if (from.data_region) {
    to->set_data_provider(from.data_region->provider);
    to->set_data_region(from.data_region->region);
  }
  to->set_egress_gb_per_unit(from.egress.value());
  to->set_request_source(from.request_source);
  to->set_mode(std::string(ToString(from.mode)));
  const Limits& limits = from.limits;
  if (limits.max_grams) to->set_max_gco2e_per_unit(limits.max_grams->value());
  if (limits.max_euros) to->set_max_eur_per_unit(limits.max_euros->value());
  const auto list = [](const auto& items, auto* out) {
    for (const std::string& item : items) out->Add(std::string(item));
  };
  if (limits.countries) list(*limits.countries, to->mutable_countries()->mutable_items());
  if (limits.regions) list(*limits.regions, to->mutable_regions()->mutable_items());
  list(limits.denied_operators, to->mutable_denied_operators());
  list(limits.certifications, to->mutable_certifications());
  if (limits.max_exposure) to->set_max_exposure(std::string(ToString(*limits.max_exposure)));
  list(limits.unreadable, to->mutable_unreadable());
}
Policy Read(const v1::RecordedPolicy& from) {
  Policy policy;
  policy.objective = Parse(from.objective(), kObjectives, "policy.objective");
  policy.cost_tolerance = Fraction(from.cost_tolerance());
  policy.carbon_price = EurosPerTonne(from.carbon_price_eur_per_tonne());
  policy.expected_utilization = Fraction(from.expected_utilization());
  policy.unit = Parse(from.unit(), kUnits, "policy.unit");
  if (from.has_requests_per_hour()) policy.requests = UnitsPerHour(from.requests_per_hour());
  if (from.has_tokens_per_hour()) policy.tokens = UnitsPerHour(from.tokens_per_hour());
  policy.bound = Parse(from.bound(), kBounds, "policy.bound");
  if (from.has_expected_duration_hours())
    policy.expected_duration = Hours(from.expected_duration_hours());
  policy.model = from.model();
  if (!from.data_region().empty() || !from.data_provider().empty())
    policy.data_region = RegionName{from.data_provider(), from.data_region()};
  policy.egress = GigabytesPerUnit(from.egress_gb_per_unit());
  policy.request_source = from.request_source();
  policy.mode = Parse(from.mode(), kModes, "policy.mode");
  Limits& limits = policy.limits;
  if (from.has_max_gco2e_per_unit()) limits.max_grams = GramsPerUnit(from.max_gco2e_per_unit());
  if (from.has_max_eur_per_unit()) limits.max_euros = EurosPerUnit(from.max_eur_per_unit());
  if (from.has_countries()) limits.countries = ReadAll(from.countries().items());
  if (from.has_regions()) limits.regions = ReadAll(from.regions().items());
  limits.denied_operators = ReadAll(from.denied_operators());
  limits.certifications = ReadAll(from.certifications());
  limits.max_exposure = ParseExposure(from.max_exposure());
  if (!from.max_exposure().empty() && !limits.max_exposure)
    throw Unreadable{"policy.max_exposure: '" + Printable(from.max_exposure(), 40) +
                     "' is not known"};
  limits.unreadable = ReadAll(from.unreadable());
  return policy;
}

template <class T>
void Write(const std::optional<Sourced<T>>& from, v1::RecordedNode* node,
           v1::RecordedValue* (*slot)(v1::RecordedNode*)) {
  if (!from) return;
  v1::RecordedValue* to = slot(node);
  to->set_value(from->value.value());
  to->set_source(from->source);
  to->set_time_ms(ToMs(from->time));
  to->set_method(std::string(ToString(from->method)));
}
template <class T>
void Read(bool present, const v1::RecordedValue& from, std::optional<Sourced<T>>& to) {
  if (!present) return;
  to = Sourced<T>{T(from.value()), from.source(), FromMs(from.time_ms()),
                  Parse(from.method(), kMethods, "method")};
}

void Write(const std::optional<Published<EmbodiedRow>>& from, v1::RecordedNode* node,
           v1::RecordedEmbodied* (*slot)(v1::RecordedNode*)) {
  if (!from) return;
  v1::RecordedEmbodied* to = slot(node);
  to->set_low_grams(from->value.total.low.value());
  to->set_mid_grams(from->value.total.mid.value());
  to->set_high_grams(from->value.total.high.value());
  to->set_lifetime_hours(from->value.lifetime.value());
  to->set_source(from->source);
}
Published<EmbodiedRow> Read(const v1::RecordedEmbodied& from) {
  return {EmbodiedRow{{Grams(from.low_grams()), Grams(from.mid_grams()), Grams(from.high_grams())},
                      Hours(from.lifetime_hours())},
          from.source(), true};
}

void Write(const NodeRecord& from, v1::RecordedNode* to) {
  using N = v1::RecordedNode;
  const NodeFacts& facts = *from.facts;
  to->set_name(facts.name);
  to->set_known(true);
  to->set_provider(facts.provider);
  to->set_region(facts.region);
  to->set_instance_type(facts.instance_type);
  to->set_gpu_model(facts.gpu_model);
  to->set_gpu_replicas(facts.gpu_replicas);
  Write(facts.allocatable, to->mutable_allocatable());
  to->set_grid_zone(from.grid_zone);
  to->set_machine(from.machine);
  to->set_hardware_class(from.hardware_class);
  to->set_idle_watts_per_vcpu(from.idle.value());
  to->set_slope_watts_per_vcpu(from.slope.value());
  to->set_power_basis(std::string(ToString(from.power_basis)));
  to->set_power_source(from.power_source);
  if (from.gpu) {
    v1::RecordedGpu* gpu = to->mutable_gpu();
    gpu->set_model(from.gpu->model);
    gpu->set_idle_watts(from.gpu->idle.value());
    gpu->set_full_watts(from.gpu->full.value());
    gpu->set_slices(from.gpu->slices);
    gpu->set_source(from.gpu_source);
  }
  to->set_gpus(from.gpus.value());
  to->set_pue(from.pue.value());
  to->set_pue_exact(from.pue_exact);
  to->set_pue_source(from.pue_source);
  Write(from.catalog_intensity, to, [](N* n) { return n->mutable_catalog_intensity(); });
  Write(from.live_intensity, to, [](N* n) { return n->mutable_live_intensity(); });
  Write(from.market_intensity, to, [](N* n) { return n->mutable_market_intensity(); });
  Write(from.price, to, [](N* n) { return n->mutable_price(); });
  Write(from.list_price, to, [](N* n) { return n->mutable_list_price(); });
  to->set_price_estimated(from.price_estimated);
  Write(from.electricity, to, [](N* n) { return n->mutable_electricity(); });
  Write(from.server_embodied, to, [](N* n) { return n->mutable_server_embodied(); });
  Write(from.gpu_embodied, to, [](N* n) { return n->mutable_gpu_embodied(); });
  to->set_share_of_machine(from.share_of_machine.value());
  to->set_cpu_price_share(from.cpu_price_share.value());
  to->set_memory_price_share(from.memory_price_share.value());
  to->set_gpu_price_share(from.gpu_price_share.value());
  v1::RecordedPlace* place = to->mutable_attested();
  const Sovereignty& attested = from.sovereignty;
  place->set_provider(attested.provider);
  place->set_region(attested.region);
  place->set_country(attested.country);
  place->set_operator_(attested.operator_name);
  if (attested.exposure) place->set_exposure(std::string(ToString(*attested.exposure)));
  for (const std::string& certification : attested.certifications)
    place->add_certifications(certification);
}

NodeRecord Read(const v1::RecordedNode& from, std::size_t classes) {
  NodeRecord node;
  auto facts = std::make_shared<NodeFacts>();
  facts->name = from.name();
  facts->provider = from.provider();
  facts->region = from.region();
  facts->instance_type = from.instance_type();
  facts->gpu_model = from.gpu_model();
  facts->gpu_replicas = from.gpu_replicas();
  facts->allocatable = Read(from.allocatable());
  node.facts = std::move(facts);
  node.grid_zone = from.grid_zone();
  node.machine = from.machine();
  node.hardware_class = from.hardware_class();
  if (node.hardware_class < 0 || static_cast<std::size_t>(node.hardware_class) >= classes)
    throw Unreadable{"node " + Printable(from.name(), 63) + ": there is no hardware class " +
                     std::to_string(node.hardware_class)};
  node.idle = WattsPerVcpu(from.idle_watts_per_vcpu());
  node.slope = WattsPerVcpu(from.slope_watts_per_vcpu());
  node.power_basis = Parse(from.power_basis(), kBases, "power_basis");
  node.power_source = from.power_source();
  if (from.has_gpu()) {
    node.gpu = GpuPower{from.gpu().model(), Watts(from.gpu().idle_watts()),
                        Watts(from.gpu().full_watts()), from.gpu().slices()};
    node.gpu_source = from.gpu().source();
  }
  node.gpus = Gpus(from.gpus());
  node.pue = Pue(from.pue());
  node.pue_exact = from.pue_exact();
  node.pue_source = from.pue_source();
  Read(from.has_catalog_intensity(), from.catalog_intensity(), node.catalog_intensity);
  Read(from.has_live_intensity(), from.live_intensity(), node.live_intensity);
  Read(from.has_market_intensity(), from.market_intensity(), node.market_intensity);
  Read(from.has_price(), from.price(), node.price);
  Read(from.has_list_price(), from.list_price(), node.list_price);
  node.price_estimated = from.price_estimated();
  Read(from.has_electricity(), from.electricity(), node.electricity);
  if (from.has_server_embodied()) node.server_embodied = Read(from.server_embodied());
  if (from.has_gpu_embodied()) node.gpu_embodied = Read(from.gpu_embodied());
  node.share_of_machine = Fraction(from.share_of_machine());
  node.cpu_price_share = Fraction(from.cpu_price_share());
  node.memory_price_share = Fraction(from.memory_price_share());
  node.gpu_price_share = Fraction(from.gpu_price_share());
  Sovereignty& place = node.sovereignty;
  place.provider = from.attested().provider();
  place.region = from.attested().region();
  place.country = from.attested().country();
  place.operator_name = from.attested().operator_();
  place.exposure = ParseExposure(from.attested().exposure());
  place.certifications = ReadAll(from.attested().certifications());
  return node;
}

void Write(const Measurements& from, bool of_model, const std::string& asked_source,
           v1::Record* record) {
  for (const Measurement& seen : from) {
    v1::RecordedMeasurement* to = record->add_measurements();
    to->set_of_model(of_model);
    to->set_asked_source(asked_source);
    to->set_source(seen.source);
    to->set_time_ms(ToMs(seen.time));
    to->set_method(std::string(ToString(seen.method)));
    to->set_hardware_class(seen.hardware_class);
    if (seen.requests) to->set_requests_per_hour(seen.requests->value());
    if (seen.tokens) to->set_tokens_per_hour(seen.tokens->value());
    if (seen.joules_per_request) to->set_joules_per_request(seen.joules_per_request->value());
    if (seen.joules_per_token) to->set_joules_per_token(seen.joules_per_token->value());
  }
}
Measurement Read(const v1::RecordedMeasurement& from, std::size_t classes) {
  Measurement seen;
  seen.hardware_class = from.hardware_class();
  if (seen.hardware_class < Measurement::kAnyClass ||
      seen.hardware_class >= static_cast<std::int32_t>(classes))
    throw Unreadable{"measurements: there is no hardware class " +
                     std::to_string(seen.hardware_class)};
  seen.source = from.source();
  seen.time = FromMs(from.time_ms());
  seen.method = Parse(from.method(), kMethods, "measurements.method");
  if (from.has_requests_per_hour()) seen.requests = UnitsPerHour(from.requests_per_hour());
  if (from.has_tokens_per_hour()) seen.tokens = UnitsPerHour(from.tokens_per_hour());
  if (from.has_joules_per_request())
    seen.joules_per_request = JoulesPerUnit(from.joules_per_request());
  if (from.has_joules_per_token()) seen.joules_per_token = JoulesPerUnit(from.joules_per_token());
  return seen;
}

}  // namespace

v1::Record MakeRecord(const DecisionRequest& request, const Decision& decision,
                      const std::vector<std::string>& names, const Snapshot& snapshot) {
  v1::Record record;
  record.set_algorithm_version(kAlgorithmVersion);
  record.set_catalog_version(snapshot.catalog_version());
  record.set_time_ms(ToMs(snapshot.time()));
  Write(request.pod, record.mutable_pod());
  Write(request.policy, record.mutable_policy());
  for (std::size_t i = 0; i < decision.candidates.size(); ++i) {
    const Candidate& candidate = decision.candidates[i];
    v1::RecordedNode* node = record.add_nodes();
    v1::RecordedScore* score = record.add_scores();
    score->set_score(candidate.score);
    if (candidate.placement.grams_known)
      score->set_gco2e_per_hour(candidate.placement.grams.value());
    if (candidate.placement.euros_known) score->set_eur_per_hour(candidate.placement.euros.value());
    if (const auto refusal = CheckLimits(request, decision, candidate, snapshot))
      score->set_refused(refusal->reason);
    if (candidate.node == Snapshot::kUnknownNode) {
      node->set_name(names[i]);
    } else {
      Write(snapshot.nodes()[static_cast<std::size_t>(candidate.node)], node);
    }
  }
  for (const std::string& name : snapshot.hardware_classes()) record.add_hardware_classes(name);
  for (const CurrencyRate& rate : snapshot.rates()) {
    v1::RecordedRate* to = record.add_rates();
    to->set_currency(rate.currency);
    to->set_eur(rate.euros);
    to->set_date(rate.date);
  }
  const std::string& asked = request.policy.request_source;
  for (const std::string& source :
       asked.empty() ? std::vector<std::string>{""} : std::vector<std::string>{"", asked}) {
    Write(snapshot.OfWorkload(request.pod.namespace_name, request.pod.workload, source), false,
          source, &record);
    if (!request.policy.model.empty())
      Write(snapshot.OfModel(request.policy.model, source), true, source, &record);
  }
  if (decision.ranked_by) record.set_ranked_by(std::string(ToString(*decision.ranked_by)));
  record.set_intensity_basis(std::string(ToString(decision.intensity_basis)));
  record.set_unit(std::string(ToString(decision.unit)));
  record.set_units_per_hour(decision.units.value());
  return record;
}

Result<Recalled> Recall(const v1::Record& record, std::shared_ptr<const Catalog> catalog) {
  try {
    Recalled recalled;
    recalled.request.pod = Read(record.pod());
    recalled.request.policy = Read(record.policy());
    Snapshot::Parts parts;
    parts.time = FromMs(record.time_ms());
    parts.catalog = std::move(catalog);
    parts.hardware_classes = ReadAll(record.hardware_classes());
    for (const v1::RecordedRate& rate : record.rates())
      parts.rates.push_back({rate.currency(), rate.eur(), rate.date()});
    for (const v1::RecordedNode& node : record.nodes()) {
      if (!node.known()) {
        recalled.nodes.push_back(Snapshot::kUnknownNode);
        continue;
      }
      recalled.nodes.push_back(static_cast<std::int32_t>(parts.nodes.size()));
      parts.nodes.push_back(Read(node, parts.hardware_classes.size()));
    }
    const PodFacts& pod = recalled.request.pod;
    for (const v1::RecordedMeasurement& seen : record.measurements()) {
      const std::string name =
          seen.of_model() ? recalled.request.policy.model : pod.namespace_name + "/" + pod.workload;
      (seen.of_model() ? parts.models : parts.workloads)[Snapshot::KeyOf(name, seen.asked_source())]
          .push_back(Read(seen, parts.hardware_classes.size()));
    }
    recalled.snapshot = Snapshot::Restore(std::move(parts));
    return recalled;
  } catch (const Unreadable& unreadable) {
    return Status::Invalid(unreadable.message);
  }
}

std::string RecordJson(const v1::Record& record) {
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(record, &json).ok()) return "{}\n";
  json += '\n';
  return json;
}

Result<v1::Record> ParseRecord(std::string_view json) {
  v1::Record record;
  const auto status = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(json.data(), json.size()), &record);
  if (!status.ok())
    return Status::Invalid("not a record: " + Printable(std::string(status.message()), 200));
  return record;
}

}  // namespace sobre
