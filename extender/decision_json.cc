#include "extender/decision_json.h"

#include <algorithm>

#include <google/protobuf/util/json_util.h>

#include "proto/sobre/v1/decision.pb.h"
#include "scoring/explain.h"

namespace sobre {
namespace {

void Set(double value, const std::string& source, std::optional<Timestamp> time, v1::Sourced* out) {
  out->set_value(value);
  out->set_source(source);
  if (time) out->set_time(FormatTime(*time));
}

void SetCandidate(const Candidate& c, const Decision& decision, const Snapshot& snapshot,
                  v1::Candidate* out) {
  out->set_score(c.score);
  if (c.node == Snapshot::kUnknownNode) return;
  const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(c.node)];
  out->set_node(node.facts->name);
  out->set_provider(node.facts->provider);
  out->set_region(node.facts->region);
  out->set_grid_zone(node.grid_zone);
  out->set_within_tolerance(c.within_tolerance);
  out->set_added_watts(c.added_power.value());
  if (c.grams_known) out->set_gco2e_per_unit(c.grams.value() / decision.units.value());
  if (c.euros_known) out->set_eur_per_unit(c.euros.value() / decision.units.value());
  const bool live = decision.intensity_basis == IntensityBasis::kLive;
  if (const auto& intensity = live ? node.live_intensity : node.catalog_intensity) {
    Set(intensity->value.value(), intensity->source,
        live ? std::optional(intensity->time) : std::nullopt, out->mutable_grid_gco2e_per_kwh());
  }
  Set(node.pue.value(), node.pue_source, std::nullopt, out->mutable_pue());
  Set(node.slope.value(), std::string(ToString(node.power_basis)) + ": " + node.power_source,
      std::nullopt, out->mutable_watts_per_vcpu());
  if (node.price)
    Set(node.price->value.value(), node.price->source, node.price->time,
        out->mutable_node_eur_per_hour());
  if (node.measured_power) {
    Set(node.measured_power->value.value(), node.measured_power->source, node.measured_power->time,
        out->mutable_measured_node_watts());
  }
}

}  // namespace

std::string DecisionJson(const DecisionRequest& request, const Decision& decision,
                         const Snapshot& snapshot) {
  v1::Decision out;
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
  v1::Policy* policy = out.mutable_policy();
  policy->set_objective(std::string(ToString(decision.policy.objective)));
  policy->set_cost_tolerance_percent(decision.policy.cost_tolerance.value() * 100);
  policy->set_carbon_price_eur_per_tonne(decision.policy.carbon_price.value());
  policy->set_expected_utilization(decision.policy.expected_utilization.value());
  if (decision.ranked_by) out.set_ranked_by(std::string(ToString(*decision.ranked_by)));
  out.set_intensity_basis(std::string(ToString(decision.intensity_basis)));
  out.set_ledger("placement");
  out.set_unit(std::string(ToString(decision.unit)));
  out.set_units_per_hour(decision.units.value());
  std::vector<const Candidate*> order;
  for (const Candidate& c : decision.candidates) order.push_back(&c);
  std::stable_sort(order.begin(), order.end(),
                   [](const Candidate* a, const Candidate* b) { return a->score > b->score; });
  for (const Candidate* c : order) {
    SetCandidate(*c, decision, snapshot, out.add_candidates());
    if (c->score == order.front()->score && c->node != Snapshot::kUnknownNode) {
      out.add_best(snapshot.nodes()[static_cast<std::size_t>(c->node)].facts->name);
    }
  }
  if (decision.best)
    out.set_reason(Reason(decision.candidates[*decision.best], decision, snapshot));
  for (std::string& note : Notes(request, decision, snapshot)) out.add_notes(std::move(note));
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(out, &json, options).ok()) return "{}\n";
  return json;
}

}  // namespace sobre
