#include "extender/decision_json.h"

#include <algorithm>

#include <google/protobuf/util/json_util.h>

#include "base/json_writer.h"
#include "extender/api_policy.h"
#include "proto/sobre/v1/decision.pb.h"
#include "scoring/analysis.h"
#include "scoring/explain.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

void Set(double value, std::string_view unit, const std::string& source, Method method,
         std::optional<Timestamp> time, v1::Sourced* out) {
  out->set_value(value);
  out->set_unit(std::string(unit));
  out->set_source(source);
  out->set_method(std::string(ToString(method)));
  if (time) out->set_time(FormatTime(*time));
}

// A value that may be unknown, and then is absent.
template <class T>
void Set(const std::optional<Sourced<T>>& seen, std::string_view unit, v1::Candidate* candidate,
         v1::Sourced* (*slot)(v1::Candidate*)) {
  if (seen) Set(seen->value.value(), unit, seen->source, seen->method, seen->time, slot(candidate));
}

const std::string& NameOf(const Candidate& c, const Snapshot& snapshot) {
  return snapshot.nodes()[static_cast<std::size_t>(c.node)].facts->name;
}

template <class T>
void SetRange(const std::optional<Range<T>>& range, UnitsPerHour units,
              v1::Range* (*slot)(v1::Report*), v1::Report* report) {
  if (!range) return;
  v1::Range* out = slot(report);
  out->set_low(range->low.value() / units.value());
  out->set_mid(range->mid.value() / units.value());
  out->set_high(range->high.value() / units.value());
}

void SetReport(const ReportFigures& figures, UnitsPerHour units, v1::Report* out) {
  if (figures.power) out->set_watts(figures.power->mid.value());
  SetRange(
      figures.power, units, [](v1::Report* r) { return r->mutable_wh_per_unit(); }, out);
  SetRange(
      figures.total, units, [](v1::Report* r) { return r->mutable_gco2e_per_unit(); }, out);
  SetRange(
      figures.operational, units,
      [](v1::Report* r) { return r->mutable_operational_gco2e_per_unit(); }, out);
  SetRange(
      figures.embodied, units, [](v1::Report* r) { return r->mutable_embodied_gco2e_per_unit(); },
      out);
  if (figures.operational_market) {
    out->set_operational_market_gco2e_per_unit(figures.operational_market->value() / units.value());
  }
  if (figures.euros) out->set_eur_per_unit(figures.euros->value() / units.value());
  if (figures.energy_class) out->set_energy_class({ToLetter(*figures.energy_class)});
  if (figures.carbon_class) out->set_carbon_class({ToLetter(*figures.carbon_class)});
}

void SetPlacement(const Candidate& c, const Decision& decision, const Snapshot& snapshot,
                  v1::Placement* out) {
  const double units = c.units.value();
  const PlacementFigures& figures = c.placement;
  if (figures.power_known) {
    out->set_added_watts(figures.added_power.value());
    out->set_wh_per_unit(figures.added_power.value() / units);
  }
  if (figures.grams_known) {
    const Range<GramsPerHour> range = GramsRange(c, decision, snapshot);
    v1::Range* grams = out->mutable_gco2e_per_unit();
    grams->set_low(range.low.value() / units);
    grams->set_mid(range.mid.value() / units);
    grams->set_high(range.high.value() / units);
  }
  if (figures.euros_known) out->set_eur_per_unit(figures.euros.value() / units);
}

// A refused candidate has no score: nobody asks for one.
void SetCandidate(const DecisionRequest& request, const Candidate& c, const Decision& decision,
                  const std::optional<Refusal>& refusal, const Snapshot& snapshot,
                  v1::Candidate* out) {
  if (refusal) {
    out->set_refused(refusal->reason);
  } else {
    out->set_score(c.score);
  }
  out->set_units_per_hour(c.units.value());
  if (c.node == Snapshot::kUnknownNode) return;
  const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(c.node)];
  const auto hardware_class = static_cast<std::size_t>(node.hardware_class);
  const ClassWork& work = decision.work[hardware_class];
  out->set_node(node.facts->name);
  out->set_provider(node.facts->provider);
  out->set_region(node.facts->region);
  out->set_grid_zone(node.grid_zone);
  out->set_hardware_class(snapshot.hardware_classes()[hardware_class]);
  out->set_within_tolerance(!refusal && c.within_tolerance);
  out->set_tie_with_best(!refusal &&
                         IsTie(c, decision.candidates[*decision.best], decision, snapshot));
  out->set_speed_assumed(work.factor_assumed);
  out->set_price_estimated(node.price_estimated);
  SetPlacement(c, decision, snapshot, out->mutable_placement());
  SetReport(Attribute(request, decision, c, snapshot), c.units, out->mutable_report());
  const bool live = decision.intensity_basis == IntensityBasis::kLive;
  if (const auto& intensity = live ? node.live_intensity : node.catalog_intensity) {
    Set(intensity->value.value(), UnitOf(Signal::kGridIntensity), intensity->source,
        intensity->method, live ? std::optional(intensity->time) : std::nullopt,
        out->mutable_grid_gco2e_per_kwh());
  }
  const PowerBasis basis = work.measured_power ? PowerBasis::kMeasuredJoules : node.power_basis;
  out->set_power_basis(std::string(ToString(basis)));
  if (node.power_error) out->set_power_error(node.power_error->value());
  Set(node.pue.value(), "1", node.pue_source, Method::kPublished, std::nullopt, out->mutable_pue());
  Set(node.slope.value(), "W", node.power_source, node.power_method, std::nullopt,
      out->mutable_watts_per_vcpu());
  if (node.gpu)
    Set(node.gpu->full.value(), "W", node.gpu_source, node.gpu_method, std::nullopt,
        out->mutable_watts_per_accelerator());
  const std::string_view euros = UnitOf(Signal::kNodePrice);
  const std::string_view watts = UnitOf(Signal::kNodePower);
  Set(node.price, euros, out, [](v1::Candidate* o) { return o->mutable_node_eur_per_hour(); });
  Set(node.list_price, euros, out,
      [](v1::Candidate* o) { return o->mutable_list_node_eur_per_hour(); });
  Set(node.electricity, UnitOf(Signal::kElectricityPrice), out,
      [](v1::Candidate* o) { return o->mutable_electricity_eur_per_kwh(); });
  Set(node.measured_power, watts, out,
      [](v1::Candidate* o) { return o->mutable_measured_node_watts(); });
  Set(node.measured_cpu_power, watts, out,
      [](v1::Candidate* o) { return o->mutable_measured_cpu_watts(); });
  Set(node.measured_gpu_power, watts, out,
      [](v1::Candidate* o) { return o->mutable_measured_gpu_watts(); });
}

// Who measured the rate that units_per_hour is.
void SetRate(const DecisionRequest& request, const Decision& decision, const Snapshot& snapshot,
             v1::Decision* out) {
  const std::string& source = decision.policy.request_source;
  const bool of_workload = decision.rate_basis == RateBasis::kWorkload;
  if (!of_workload && decision.rate_basis != RateBasis::kModel) return;
  const Measurements& measured =
      of_workload ? snapshot.OfWorkload(request.pod.namespace_name, request.pod.workload, source)
                  : snapshot.OfModel(decision.policy.model, source);
  if (measured.empty()) return;
  const Measurement& first = measured.front();
  Set(decision.units.value(), "1/h", first.source, first.method, first.time, out->mutable_rate());
}

void SetSteps(const std::vector<Step>& steps, double scale, const Decision& decision,
              const Snapshot& snapshot, google::protobuf::RepeatedPtrField<v1::Step>* out) {
  for (const Step& step : steps) {
    v1::Step* entry = out->Add();
    entry->set_from(step.from * scale);
    entry->set_node(NameOf(decision.candidates[step.winner], snapshot));
  }
}

void SetRun(const DecisionRequest& request, const Decision& decision, const Snapshot& snapshot,
            v1::Run* out) {
  const Candidate& best = decision.candidates[*decision.best];
  const RunTotals totals =
      TotalsOfRun(Attribute(request, decision, best, snapshot), Hours(1 / best.units.value()));
  if (totals.energy) out->set_energy_wh(totals.energy->value() * 1000);
  if (totals.total) {
    out->mutable_gco2e()->set_low(totals.total->low.value());
    out->mutable_gco2e()->set_mid(totals.total->mid.value());
    out->mutable_gco2e()->set_high(totals.total->high.value());
  }
  if (totals.euros) out->set_eur(totals.euros->value());
}

void SetAlternatives(const Decision& allowed, const Snapshot& snapshot, v1::Decision* out) {
  for (const std::size_t i : ParetoFront(allowed))
    out->add_pareto_front(NameOf(allowed.candidates[i], snapshot));
  SetSteps(ToleranceSteps(allowed), 100, allowed, snapshot,
           out->mutable_cost_tolerance_percent_steps());
  SetSteps(CarbonPriceSteps(allowed), 1, allowed, snapshot, out->mutable_carbon_price_steps());
}

// Allowed ones first, then by score; the first `most` of them.
void SetCandidates(const DecisionRequest& request, const Decision& all, const AfterLimits& after,
                   const Snapshot& snapshot, std::size_t most, v1::Decision* out) {
  const auto by_score = [](const Candidate* a, const Candidate* b) { return a->score > b->score; };
  const auto add = [&](const Candidate& c, const Decision& decision,
                       const std::optional<Refusal>& refusal) {
    if (static_cast<std::size_t>(out->candidates_size()) < most) {
      SetCandidate(request, c, decision, refusal, snapshot, out->add_candidates());
    } else {
      out->set_candidates_left_off(out->candidates_left_off() + 1);
    }
  };
  const Decision& allowed = after.Among(all);
  std::vector<const Candidate*> order;
  for (const Candidate& c : allowed.candidates) order.push_back(&c);
  std::stable_sort(order.begin(), order.end(), by_score);
  for (const Candidate* c : order) {
    add(*c, allowed, std::nullopt);
    if (c->node != Snapshot::kUnknownNode && c->score == order.front()->score)
      out->add_best(NameOf(*c, snapshot));
  }
  std::vector<std::size_t> refused;
  for (std::size_t i = 0; i < after.refusals.size(); ++i)
    if (after.Refuses(i)) refused.push_back(i);
  std::stable_sort(refused.begin(), refused.end(), [&](std::size_t a, std::size_t b) {
    return by_score(&all.candidates[a], &all.candidates[b]);
  });
  for (const std::size_t i : refused) add(all.candidates[i], all, after.refusals[i]);
  if (after.best_refused)
    out->set_best_refused(NameOf(all.candidates[*after.best_refused], snapshot));
  if (!order.empty()) {
    out->set_reason(Reason(*order.front(), allowed, snapshot, after.refused));
  } else if (!refused.empty()) {
    out->set_reason(NoNodeKeepsTheLimits(after.refusals));
  }
}

void SetPolicyFrom(const Policy& policy, v1::Decision* out) {
  const auto add = [&](PolicyKey key, Origin origin, bool enforced) {
    v1::PolicyOrigin* from = out->add_policy_from();
    from->set_key(std::string(ToString(key)));
    from->set_origin(std::string(ToString(origin)));
    from->set_enforced(enforced);
    return from;
  };
  for (std::size_t i = 0; i < kPolicyKeyCount; ++i) {
    const auto key = static_cast<PolicyKey>(i);
    const KeyOrigin& said = policy.origins[i];
    if (IsHardLimit(key)) {
      for (const LimitSource& source : policy.limits.sources)
        if (source.key == key) add(key, source.origin, source.enforced)->set_value(source.text);
    } else if (said.origin != Origin::kDefault) {
      add(key, said.origin, said.enforced)->set_value(PolicyValue(policy, key));
    }
  }
}

}  // namespace

void FillDecision(const DecisionRequest& request, const Decision& all, const Snapshot& snapshot,
                  std::size_t most_candidates, v1::Decision& out) {
  const AfterLimits after = ApplyLimits(request, all, snapshot);
  const Decision& allowed = after.Among(all);
  const Decision& decision = allowed.candidates.empty() ? all : allowed;
  out.set_time(FormatTime(decision.time));
  out.set_algorithm_version(kAlgorithmVersion);
  out.set_catalog_version(snapshot.catalog_version());
  v1::PodRef* pod = out.mutable_pod();
  pod->set_namespace_(request.pod.namespace_name);
  pod->set_name(request.pod.name);
  pod->set_uid(request.pod.uid);
  pod->set_millicpu(request.pod.requests.millicpu);
  pod->set_memory_bytes(request.pod.requests.memory_bytes);
  pod->set_gpus(request.pod.requests.gpus);
  pod->set_gpu_slices(request.pod.requests.gpu_slices);
  pod->set_workload(request.pod.workload);
  pod->set_batch_job(request.pod.is_batch_job);
  v1::Policy* policy = out.mutable_policy();
  policy->set_objective(std::string(ToString(decision.policy.objective)));
  policy->set_cost_tolerance_percent(decision.policy.cost_tolerance.value() * 100);
  policy->set_carbon_price_eur_per_tonne(decision.policy.carbon_price.value());
  policy->set_expected_utilization(decision.policy.expected_utilization.value());
  if (decision.ranked_by) out.set_ranked_by(std::string(ToString(*decision.ranked_by)));
  out.set_intensity_basis(std::string(ToString(decision.intensity_basis)));
  out.set_ledger(std::string(ToString(decision.ledger)));
  out.set_unit(std::string(ToString(decision.unit)));
  out.set_units_per_hour(decision.units.value());
  out.set_rate_basis(std::string(ToString(decision.rate_basis)));
  out.set_bound(std::string(ToString(decision.policy.bound)));
  SetRate(request, decision, snapshot, &out);
  SetAlternatives(allowed, snapshot, &out);
  if (allowed.unit == FunctionalUnit::kRun && allowed.best)
    SetRun(request, allowed, snapshot, out.mutable_run());
  SetPolicyFrom(decision.policy, &out);
  out.set_mode(std::string(ToString(decision.policy.mode)));
  SetCandidates(request, all, after, snapshot, most_candidates, &out);
  for (std::string& note : Notes(request, all, after, snapshot)) out.add_notes(std::move(note));
}

std::string DecisionJson(const DecisionRequest& request, const Decision& decision,
                         const Snapshot& snapshot, std::size_t most_candidates) {
  v1::Decision out;
  FillDecision(request, decision, snapshot, most_candidates, out);
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(out, &json, options).ok()) return "{}\n";
  return PrintableJson(json);
}

}  // namespace sobre
