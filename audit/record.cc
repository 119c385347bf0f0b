#include "audit/record.h"

#include <algorithm>
#include <array>
#include <bit>
#include <set>

#include <google/protobuf/util/json_util.h>

#include "audit/digest.h"
#include "audit/read_back.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "scoring/analysis.h"

namespace sobre {
namespace {

using read_back::FromMs;
using read_back::kMethods;
using read_back::Parse;
using read_back::ReadAll;
using read_back::ToMs;
using read_back::Unreadable;

constexpr std::array kObjectives = {Objective::kBalanced, Objective::kCarbon, Objective::kCost,
                                    Objective::kPriced};
constexpr std::array kUnits = {FunctionalUnit::kPodHour, FunctionalUnit::kRequest,
                               FunctionalUnit::kThousandTokens, FunctionalUnit::kRun};
constexpr std::array kBounds = {Bound::kDemand, Bound::kThroughput};
constexpr std::array kModes = {Mode::kEnforce, Mode::kShadow, Mode::kOff};

void Write(const Resources& from, v1::RecordedResources* to) {
  to->set_millicpu(from.millicpu);
  to->set_memory_bytes(from.memory_bytes);
  to->set_gpus(from.gpus);
  to->set_gpu_slices(from.gpu_slices);
  for (const std::string& device : from.devices) to->add_devices(device);
}
Resources Read(const v1::RecordedResources& from) {
  return {from.millicpu(), from.memory_bytes(), from.gpus(), from.gpu_slices(),
          ReadAll(from.devices())};
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

constexpr std::array kVoices = {Origin::kDefault, Origin::kCluster, Origin::kNamespace,
                                Origin::kPod};
constexpr std::array kLimitKeys = {PolicyKey::kMaxGco2ePerUnit,  PolicyKey::kMaxEurPerUnit,
                                   PolicyKey::kAllowedCountries, PolicyKey::kAllowedRegions,
                                   PolicyKey::kDeniedOperators,  PolicyKey::kRequiredCertifications,
                                   PolicyKey::kMaxExposure};

// Of a policy, or of the work alone: both have the same fields.
template <class Message>
void WriteWork(const WorkTerms& from, Message* to) {
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
}
template <class Message>
void ReadWork(const Message& from, WorkTerms& to) {
  to.expected_utilization = Fraction(from.expected_utilization());
  to.unit = Parse(from.unit(), kUnits, "policy.unit");
  if (from.has_requests_per_hour()) to.requests = UnitsPerHour(from.requests_per_hour());
  if (from.has_tokens_per_hour()) to.tokens = UnitsPerHour(from.tokens_per_hour());
  to.bound = Parse(from.bound(), kBounds, "policy.bound");
  if (from.has_expected_duration_hours())
    to.expected_duration = Hours(from.expected_duration_hours());
  to.model = from.model();
  if (!from.data_region().empty() || !from.data_provider().empty())
    to.data_region = RegionName{from.data_provider(), from.data_region()};
  to.egress = GigabytesPerUnit(from.egress_gb_per_unit());
  to.request_source = from.request_source();
}

template <class PerUnit>
v1::RecordedBudget* Write(const UnitBudget<PerUnit>& from, v1::RecordedBudget* to) {
  to->set_unit(std::string(ToString(from.unit)));
  to->set_origin(std::string(ToString(from.origin)));
  to->set_enforced(from.enforced);
  return to;
}
template <class PerUnit>
UnitBudget<PerUnit> ReadBudget(double most, const v1::RecordedBudget& from) {
  return {PerUnit(most), Parse(from.unit(), kUnits, "policy.budgets.unit"),
          Parse(from.origin(), kVoices, "policy.budgets.origin"), from.enforced()};
}

// Of a policy, or of the enforced ones alone: both have the same fields.
template <class Message>
void WriteLimits(const Limits& from, Message* to) {
  const auto list = [](const auto& items, auto* out) {
    for (const std::string& item : items) out->Add(std::string(item));
  };
  if (from.countries) list(*from.countries, to->mutable_countries()->mutable_items());
  if (from.regions) list(*from.regions, to->mutable_regions()->mutable_items());
  list(from.denied_operators, to->mutable_denied_operators());
  list(from.certifications, to->mutable_certifications());
  if (from.max_exposure) to->set_max_exposure(std::string(ToString(*from.max_exposure)));
  list(from.unreadable, to->mutable_unreadable());
  for (const auto& budget : from.max_grams)
    Write(budget, to->add_budgets())->set_gco2e(budget.most.value());
  for (const auto& budget : from.max_euros)
    Write(budget, to->add_budgets())->set_eur(budget.most.value());
  for (const LimitSource& source : from.sources) {
    v1::RecordedLimitSource* said = to->add_sources();
    said->set_key(std::string(ToString(source.key)));
    said->set_origin(std::string(ToString(source.origin)));
    said->set_enforced(source.enforced);
    said->set_text(source.text);
    list(source.names, said->mutable_names());
  }
}
template <class Message>
void ReadLimits(const Message& from, Limits& limits) {
  if (from.has_countries()) limits.countries = ReadAll(from.countries().items());
  if (from.has_regions()) limits.regions = ReadAll(from.regions().items());
  limits.denied_operators = ReadAll(from.denied_operators());
  limits.certifications = ReadAll(from.certifications());
  limits.max_exposure = ParseExposure(from.max_exposure());
  if (!from.max_exposure().empty() && !limits.max_exposure)
    throw Unreadable{"policy.max_exposure: '" + Printable(from.max_exposure(), 40) +
                     "' is not known"};
  limits.unreadable = ReadAll(from.unreadable());
  for (const v1::RecordedBudget& budget : from.budgets()) {
    if (budget.has_gco2e())
      limits.max_grams.push_back(ReadBudget<GramsPerUnit>(budget.gco2e(), budget));
    if (budget.has_eur())
      limits.max_euros.push_back(ReadBudget<EurosPerUnit>(budget.eur(), budget));
  }
  for (const v1::RecordedLimitSource& said : from.sources()) {
    limits.sources.push_back({Parse(said.key(), kLimitKeys, "policy.sources.key"),
                              Parse(said.origin(), kVoices, "policy.sources.origin"),
                              said.enforced(), said.text(), ReadAll(said.names())});
  }
}

void Write(const Policy& from, v1::RecordedPolicy* to) {
  to->set_objective(std::string(ToString(from.objective)));
  to->set_cost_tolerance(from.cost_tolerance.value());
  to->set_carbon_price_eur_per_tonne(from.carbon_price.value());
  to->set_mode(std::string(ToString(from.mode)));
  WriteWork(from, to);
  WriteLimits(from.limits, to);
  if (from.enforced.Any()) WriteLimits(from.enforced, to->mutable_enforced());
  if (from.terms_before_pod) WriteWork(*from.terms_before_pod, to->mutable_work_before_pod());
  const Deferral& deferral = from.deferral;
  if (deferral.below) to->set_defer_below_gco2e_per_kwh(deferral.below->value());
  if (deferral.max_delay) to->set_max_delay_ms(deferral.max_delay->count());
  if (deferral.deadline) to->set_deadline_ms(ToMs(*deferral.deadline));
}
Policy Read(const v1::RecordedPolicy& from) {
  Policy policy;
  policy.objective = Parse(from.objective(), kObjectives, "policy.objective");
  policy.cost_tolerance = Fraction(from.cost_tolerance());
  policy.carbon_price = EurosPerTonne(from.carbon_price_eur_per_tonne());
  policy.mode = Parse(from.mode(), kModes, "policy.mode");
  ReadWork(from, policy);
  ReadLimits(from, policy.limits);
  if (from.has_max_gco2e_per_unit())
    policy.limits.max_grams.push_back({GramsPerUnit(from.max_gco2e_per_unit()), policy.unit});
  if (from.has_max_eur_per_unit())
    policy.limits.max_euros.push_back({EurosPerUnit(from.max_eur_per_unit()), policy.unit});
  if (from.has_enforced()) ReadLimits(from.enforced(), policy.enforced);
  if (from.has_work_before_pod())
    ReadWork(from.work_before_pod(), policy.terms_before_pod.emplace());
  if (from.has_defer_below_gco2e_per_kwh())
    policy.deferral.below = GramsPerKwh(from.defer_below_gco2e_per_kwh());
  if (from.has_max_delay_ms()) policy.deferral.max_delay = Duration(from.max_delay_ms());
  if (from.has_deadline_ms()) policy.deferral.deadline = FromMs(from.deadline_ms());
  return policy;
}

void Write(const Measurements& from, const std::string& model, const std::string& asked_source,
           v1::Record* record) {
  for (const Measurement& seen : from) {
    v1::RecordedMeasurement* to = record->add_measurements();
    to->set_of_model(!model.empty());
    to->set_model(model);
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
// By any source, and by those that are named; of the workload, and of the models that are.
void WriteMeasurements(const DecisionRequest& request, const Snapshot& snapshot,
                       v1::Record* record) {
  const Policy& policy = request.policy;
  const WorkTerms& before = policy.terms_before_pod ? *policy.terms_before_pod : policy;
  for (const std::string& source :
       std::set<std::string>{"", policy.request_source, before.request_source}) {
    Write(snapshot.OfWorkload(request.pod.namespace_name, request.pod.workload, source), "", source,
          record);
    for (const std::string& model : std::set<std::string>{policy.model, before.model})
      if (!model.empty()) Write(snapshot.OfModel(model, source), model, source, record);
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

// Candidates by their place among the known nodes, then those that are not known.
std::vector<std::size_t> Order(const Decision& decision, std::size_t nodes) {
  std::vector<std::int32_t> by_node(nodes, -1);
  std::vector<std::size_t> order;
  order.reserve(decision.candidates.size());
  for (std::size_t i = 0; i < decision.candidates.size(); ++i) {
    const std::int32_t node = decision.candidates[i].node;
    if (node != Snapshot::kUnknownNode)
      by_node[static_cast<std::size_t>(node)] = static_cast<std::int32_t>(i);
  }
  for (const std::int32_t i : by_node)
    if (i >= 0) order.push_back(static_cast<std::size_t>(i));
  for (std::size_t i = 0; i < decision.candidates.size(); ++i)
    if (decision.candidates[i].node == Snapshot::kUnknownNode) order.push_back(i);
  return order;
}

// What one more candidate adds to the digest and to the mean; each kind of node is judged once.
class Results {
 public:
  Results(const DecisionRequest& request, const Decision& decision,
          const std::vector<std::string>& unknown, const Snapshot& snapshot,
          const std::vector<std::int32_t>& alike, bool judges_limits = true)
      : request_(request),
        decision_(decision),
        unknown_(unknown),
        snapshot_(snapshot),
        limits_(request.policy.limits, request, decision, snapshot),
        enforced_(request.policy.enforced, request, decision, snapshot),
        alike_(alike),
        judges_limits_(judges_limits && request.policy.limits.Any()),
        order_(Order(decision, snapshot.nodes().size())) {
    std::int32_t kinds = 0;
    for (const std::int32_t kind : alike) kinds = std::max(kinds, kind + 1);
    kinds_.resize(static_cast<std::size_t>(kinds));
  }

  void Write(v1::Record& record) {
    std::string scores;
    std::vector<std::int32_t> passing;
    Count();
    for (const std::size_t i : order_) {
      const Candidate& candidate = decision_.candidates[i];
      scores += static_cast<char>(candidate.score);
      Kind& kind = KindOf(candidate);
      AddToDigest(candidate, kind);
      if (!kind.refusal) {
        passing.push_back(candidate.node);
      } else if (record.refused() == 0) {
        record.set_refusal(kind.refusal->reason);
        record.set_refused(1);
      } else {
        record.set_refused(record.refused() + 1);
      }
    }
    if (record.refused() == 0) {
      WriteBest(record);
    } else if (!passing.empty()) {
      // As they will be scored: among themselves.
      record.clear_refusal();
      Decision among;
      Decide(request_, snapshot_, passing, among);
      Results of_passing(request_, among, unknown_, snapshot_, alike_, false);
      of_passing.Count();
      of_passing.WriteBest(record);
    }
    record.set_scores(std::move(scores));
    AddGathered();
    record.set_results_sha256(digest_.Finish());
    if (decision_.ranked_by) record.set_ranked_by(std::string(ToString(*decision_.ranked_by)));
    record.set_intensity_basis(std::string(ToString(decision_.intensity_basis)));
    record.set_unit(std::string(ToString(decision_.unit)));
    record.set_units_per_hour(decision_.units.value());
  }

  [[nodiscard]] const std::vector<std::size_t>& order() const { return order_; }

 private:
  void Count() {
    for (const std::size_t i : order_) ++KindOf(decision_.candidates[i]).count;
  }

  void WriteBest(v1::Record& record) {
    std::optional<std::size_t> best;
    std::optional<std::size_t> runner_up;
    const auto score_of = [&](std::size_t i) { return decision_.candidates[i].score; };
    for (const std::size_t i : order_) {
      if (!best || score_of(i) > score_of(*best)) {
        runner_up = std::exchange(best, i);
      } else if (!runner_up || score_of(i) > score_of(*runner_up)) {
        runner_up = i;
      }
    }
    if (best) {
      Describe(*best, record.mutable_best());
      WriteMean(*best, record.mutable_mean());
    }
    if (runner_up) Describe(*runner_up, record.mutable_runner_up());
  }

  struct Kind {
    bool judged = false;
    std::int32_t number = -1;  // in the digest
    std::optional<Refusal> refusal;
    std::optional<Refusal> in_force;  // where a mode lifts what is not enforced
    ReportFigures report;
    std::int64_t count = 0;
    UnitsPerHour units;
  };

  Kind& KindOf(const Candidate& candidate) {
    Kind& kind =
        candidate.node == Snapshot::kUnknownNode
            ? stranger_
            : kinds_[static_cast<std::size_t>(alike_[static_cast<std::size_t>(candidate.node)])];
    if (kind.judged) return kind;
    kind.judged = true;
    kind.units = candidate.units;
    if (judges_limits_) {
      kind.refusal = limits_.Of(candidate);
      if (request_.policy.mode != Mode::kEnforce) kind.in_force = enforced_.Of(candidate);
    }
    kind.report = Attribute(request_, decision_, candidate, snapshot_);
    return kind;
  }

  void AddGathered() {
    digest_.Add(gathered_);
    gathered_.clear();
  }

  // The number of its kind in 4 bytes, lowest first, by first appearance; with the first of a kind,
  // what came out for it.
  void AddToDigest(const Candidate& candidate, Kind& kind) {
    const bool first = kind.number < 0;
    if (first) kind.number = numbers_++;
    for (int shift = 0; shift < 32; shift += 8)
      gathered_ += static_cast<char>(static_cast<std::uint32_t>(kind.number) >> shift & 0xff);
    if (!first) return;
    AddGathered();
    const PlacementFigures& figures = candidate.placement;
    const auto number = [&](bool known, double value) {
      digest_.Add(std::uint64_t{known});
      if (known) digest_.Add(std::bit_cast<std::uint64_t>(value));
    };
    digest_.Add(static_cast<std::uint64_t>(candidate.score));
    number(figures.grams_known, figures.grams.value());
    number(figures.euros_known, figures.euros.value());
    digest_.AddText(kind.refusal ? kind.refusal->reason : "");
    if (kind.in_force) digest_.AddText(kind.in_force->reason);
  }

  [[nodiscard]] const std::string& NameOf(std::size_t i) const {
    const std::int32_t node = decision_.candidates[i].node;
    if (node != Snapshot::kUnknownNode)
      return snapshot_.nodes()[static_cast<std::size_t>(node)].facts->name;
    std::size_t place = 0;
    for (std::size_t j = 0; j < i; ++j)
      if (decision_.candidates[j].node == Snapshot::kUnknownNode) ++place;
    return unknown_[place];
  }

  void Describe(std::size_t i, v1::RecordedCandidate* to) {
    const Candidate& candidate = decision_.candidates[i];
    to->set_node(NameOf(i));
    to->set_score(candidate.score);
    if (candidate.placement.grams_known) to->set_gco2e_per_hour(candidate.placement.grams.value());
    if (candidate.placement.euros_known) to->set_eur_per_hour(candidate.placement.euros.value());
    *to->mutable_report() = FiguresOf(KindOf(candidate).report);
  }

  // Kinds in the order of their numbers, so that sums are the same wherever they are made.
  void WriteMean(std::size_t best, v1::RecordedFigures* mean) const {
    Range<GramsPerHour> grams{};
    EurosPerHour euros;
    double with_grams = 0;
    double with_euros = 0;
    for (const Kind& kind : kinds_) {
      if (kind.count == 0 || kind.refusal) continue;
      const double count = static_cast<double>(kind.count);
      const double work = decision_.candidates[best].units / kind.units;
      if (kind.report.total) {
        grams = grams + *kind.report.total * (work * count);
        with_grams += count;
      }
      if (kind.report.euros) {
        euros = euros + *kind.report.euros * (work * count);
        with_euros += count;
      }
    }
    if (with_grams > 0) {
      mean->set_low_gco2e(grams.low.value() / with_grams);
      mean->set_gco2e(grams.mid.value() / with_grams);
      mean->set_high_gco2e(grams.high.value() / with_grams);
    }
    if (with_euros > 0) mean->set_eur(euros.value() / with_euros);
  }

  const DecisionRequest& request_;
  const Decision& decision_;
  const std::vector<std::string>& unknown_;
  const Snapshot& snapshot_;
  LimitCheck limits_;
  LimitCheck enforced_;
  const std::vector<std::int32_t>& alike_;
  const bool judges_limits_;
  const std::vector<std::size_t> order_;
  std::vector<Kind> kinds_;
  Kind stranger_;
  std::int32_t numbers_ = 0;
  std::string gathered_;  // of the digest
  Sha256Stream digest_;
};

void WriteCandidates(const std::vector<std::size_t>& order, const DecisionCase& made,
                     v1::Record& record) {
  const std::size_t nodes = made.snapshot->nodes().size();
  for (const std::string& name : made.unknown) record.add_unknown(name);
  if (order.size() == nodes + made.unknown.size()) {
    record.set_all_nodes(true);
    return;
  }
  std::string bits((nodes + 7) / 8, '\0');
  for (const std::size_t i : order) {
    const std::int32_t node = made.decision.candidates[i].node;
    if (node == Snapshot::kUnknownNode) continue;
    char& byte = bits[static_cast<std::size_t>(node) / 8];
    byte = static_cast<char>(byte | (1 << (node % 8)));
  }
  record.set_candidates(std::move(bits));
}

std::vector<std::int32_t> ReadCandidates(const v1::Record& record, std::size_t nodes) {
  std::vector<std::int32_t> candidates;
  const std::string& bits = record.candidates();
  if (!record.all_nodes() && bits.size() != (nodes + 7) / 8)
    throw Unreadable{"candidates: not as many as nodes"};
  for (std::size_t i = 0; i < nodes; ++i) {
    if (record.all_nodes() || ((bits[i / 8] >> (i % 8)) & 1) != 0)
      candidates.push_back(static_cast<std::int32_t>(i));
  }
  candidates.insert(candidates.end(), static_cast<std::size_t>(record.unknown_size()),
                    Snapshot::kUnknownNode);
  return candidates;
}

}  // namespace

std::vector<std::string> PolicyOrigins(const Policy& policy) {
  std::vector<std::string> origins;
  const auto add = [&](PolicyKey key, Origin origin, bool enforced) {
    origins.push_back(std::string(ToString(key)) + ": " + std::string(ToString(origin)) +
                      (enforced ? ", enforced" : ""));
  };
  for (std::size_t i = 0; i < kPolicyKeyCount; ++i) {
    const auto key = static_cast<PolicyKey>(i);
    const KeyOrigin& said = policy.origins[i];
    if (IsHardLimit(key)) {
      for (const LimitSource& source : policy.limits.sources)
        if (source.key == key) add(key, source.origin, source.enforced);
    } else if (said.origin != Origin::kDefault) {
      add(key, said.origin, said.enforced);
    }
  }
  return origins;
}

Result<Policy> PolicyOnRecord(const v1::Record& record) {
  try {
    return Read(record.policy());
  } catch (const Unreadable& unreadable) {
    return Status::Invalid(unreadable.message);
  }
}

v1::RecordedFigures FiguresOf(const ReportFigures& report) {
  v1::RecordedFigures figures;
  if (report.total) {
    figures.set_low_gco2e(report.total->low.value());
    figures.set_gco2e(report.total->mid.value());
    figures.set_high_gco2e(report.total->high.value());
  }
  if (report.euros) figures.set_eur(report.euros->value());
  return figures;
}

v1::Record MakeRecord(const DecisionCase& made, const Known& known) {
  const Snapshot& snapshot = *made.snapshot;
  v1::Record record;
  record.set_algorithm_version(kAlgorithmVersion);
  record.set_catalog_version(snapshot.catalog_version());
  record.set_time_ms(ToMs(snapshot.time()));
  record.set_answered_ms(ToMs(made.answered));
  record.set_verb(std::string(made.verb));
  Write(made.request.pod, record.mutable_pod());
  Write(made.request.policy, record.mutable_policy());
  for (const std::int64_t time : known.times_ms) record.add_times_ms(time);
  WriteMeasurements(made.request, snapshot, &record);
  for (const std::string& problem : made.request.problems) record.add_problems(problem);
  for (const std::string& origin : PolicyOrigins(made.request.policy))
    record.add_policy_from(origin);
  record.set_limits_in_scores(made.request.limits_in_scores);
  Results results(made.request, made.decision, made.unknown, snapshot, known.alike);
  WriteCandidates(results.order(), made, record);
  results.Write(record);
  return record;
}

v1::Record SelfContained(const DecisionCase& made) {
  const Known known = Describe(made.snapshot);
  v1::Record record = MakeRecord(made, known);
  *record.mutable_known() = known.message;
  return record;
}

Result<Recalled> Recall(const v1::Record& record, const v1::RecordedSnapshot& known,
                        std::shared_ptr<const Catalog> catalog) {
  try {
    Recalled recalled;
    recalled.request.pod = Read(record.pod());
    recalled.request.policy = Read(record.policy());
    recalled.request.problems = ReadAll(record.problems());
    recalled.request.limits_in_scores = record.limits_in_scores();
    const auto& times = record.times_ms_size() > 0 ? record.times_ms() : known.times_ms();
    Result<Snapshot::Parts> parts = ToParts(known, {times.begin(), times.end()});
    if (!parts.ok()) return parts.status();
    parts->time = FromMs(record.time_ms());
    parts->catalog = std::move(catalog);
    recalled.nodes = ReadCandidates(record, parts->nodes.size());
    recalled.unknown = ReadAll(record.unknown());
    const PodFacts& pod = recalled.request.pod;
    for (const v1::RecordedMeasurement& seen : record.measurements()) {
      // Older records tell of the pod's model alone.
      const std::string& model =
          seen.model().empty() ? recalled.request.policy.model : seen.model();
      const std::string name = seen.of_model() ? model : pod.namespace_name + "/" + pod.workload;
      auto& held = seen.of_model() ? parts->models : parts->workloads;
      held[Snapshot::KeyOf(name, seen.asked_source())].push_back(
          Read(seen, parts->hardware_classes.size()));
    }
    recalled.alike = AlikeOf(known);
    recalled.snapshot = Snapshot::Restore(*std::move(parts));
    Decide(recalled.request, *recalled.snapshot, recalled.nodes, recalled.decision);
    if (recalled.request.limits_in_scores) {
      LimitCheck check(recalled.request.policy.limits, recalled.request, recalled.decision,
                       *recalled.snapshot);
      std::vector<std::optional<Refusal>> refusals;
      for (const Candidate& candidate : recalled.decision.candidates)
        refusals.push_back(check.Of(candidate));
      ScoreRefusedZero(recalled.request, *recalled.snapshot, refusals, recalled.decision);
    }
    return recalled;
  } catch (const Unreadable& unreadable) {
    return Status::Invalid(unreadable.message);
  }
}

v1::Record ResultsOf(const Recalled& recalled) {
  v1::Record record;
  Results(recalled.request, recalled.decision, recalled.unknown, *recalled.snapshot, recalled.alike)
      .Write(record);
  return record;
}

std::string RecordJson(const v1::Record& record) {
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(record, &json).ok()) return "{}\n";
  return PrintableJson(json) + "\n";
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
