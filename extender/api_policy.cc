#include "extender/api_policy.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/json_writer.h"
#include "base/text.h"
#include "extender/api_answers.h"
#include "scoring/deferral.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

std::string Joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

// Of what is allowed.
std::string JoinedOrNone(const std::vector<std::string>& items) {
  return items.empty() ? "none" : Joined(items);
}

// Without what the way through another unit added.
std::string Plain(double value) { return FormatSignificant(value, 9); }

template <class T>
std::string NumberOrNothing(const std::optional<T>& value, double factor = 1) {
  return value ? Plain(value->value() * factor) : std::string();
}

std::string DurationText(Duration duration) { return Plain(InHours(duration)) + "h"; }

// The tightest; of several units, each.
template <class PerUnit>
std::string BudgetValue(const std::vector<UnitBudget<PerUnit>>& budgets) {
  std::map<FunctionalUnit, double> tightest;
  for (const UnitBudget<PerUnit>& budget : budgets) {
    const auto [held, first] = tightest.try_emplace(budget.unit, budget.most.value());
    if (!first) held->second = std::min(held->second, budget.most.value());
  }
  std::string text;
  for (const auto& [unit, most] : tightest) {
    text += (text.empty() ? "" : ", ") + Plain(most);
    if (tightest.size() > 1) text += " per " + std::string(ToString(unit));
  }
  return text;
}

std::string LimitValue(const Limits& limits, PolicyKey key) {
  switch (key) {
    case PolicyKey::kMaxGco2ePerUnit:
      return BudgetValue(limits.max_grams);
    case PolicyKey::kMaxEurPerUnit:
      return BudgetValue(limits.max_euros);
    case PolicyKey::kAllowedCountries:
      return limits.countries ? JoinedOrNone(*limits.countries) : "";
    case PolicyKey::kAllowedRegions:
      return limits.regions ? JoinedOrNone(*limits.regions) : "";
    case PolicyKey::kDeniedOperators:
      return Joined(limits.denied_operators);
    case PolicyKey::kRequiredCertifications:
      return Joined(limits.certifications);
    case PolicyKey::kMaxExposure:
      return limits.max_exposure ? std::string(ToString(*limits.max_exposure)) : "";
    default:
      return {};
  }
}

std::string DeferralValue(const Deferral& deferral, PolicyKey key) {
  switch (key) {
    case PolicyKey::kDeferBelowGco2ePerKwh:
      return NumberOrNothing(deferral.below);
    case PolicyKey::kMaxDelay:
      return deferral.max_delay ? DurationText(*deferral.max_delay) : "";
    case PolicyKey::kDeadline:
      return deferral.deadline ? FormatTime(*deferral.deadline) : "";
    default:
      return {};
  }
}

void WriteEntries(const Policy& policy, Origin least, JsonWriter& json) {
  json.BeginArray();
  for (std::size_t i = 0; i < kPolicyKeyCount; ++i) {
    const auto key = static_cast<PolicyKey>(i);
    const KeyOrigin& said = policy.OriginOf(key);
    const std::string value = PolicyValue(policy, key);
    if (said.origin < least || (value.empty() && said.origin == Origin::kDefault)) continue;
    json.BeginObject().Key("key").Value(ToString(key)).Key("value").Value(value);
    json.Key("origin").Value(ToString(said.origin)).Key("enforced").Value(said.enforced);
    json.Key("hard").Value(IsHardLimit(key)).Key("sources").BeginArray();
    for (const LimitSource& source : policy.limits.sources) {
      if (source.key != key) continue;
      json.BeginObject().Key("origin").Value(ToString(source.origin));
      json.Key("value").Value(source.text).Key("enforced").Value(source.enforced).EndObject();
    }
    json.EndArray().EndObject();
  }
  json.EndArray();
}

void WriteNamespaces(const WorldState& state, const std::optional<std::string>& only,
                     JsonWriter& json) {
  json.Key("namespaces").BeginArray();
  for (const auto& [name, own] : state.namespaces) {
    if (only && name != *only) continue;
    const auto team = state.teams.find(name);
    json.BeginObject().Key("namespace").Value(name);
    json.Key("team").Value(team == state.teams.end() ? "" : team->second).Key("entries");
    WriteEntries(own.policy, Origin::kNamespace, json);
    json.Key("problems").BeginArray();
    for (const std::string& problem : own.problems) json.Value(problem);
    for (const std::string& unknown : UnknownNames(own.policy.limits, *state.snapshot))
      json.Value(unknown);
    json.EndArray().EndObject();
  }
  json.EndArray();
}

void WriteGates(const WorldState& state, Timestamp now, const std::optional<std::string>& only,
                JsonWriter& json) {
  constexpr std::size_t kMostGates = 200;
  std::vector<std::shared_ptr<const GatedPod>> gated;
  for (const auto& pod : state.gated)
    if (!only || pod->namespace_name == *only) gated.push_back(pod);
  json.Key("gatesLeftOff").Value(gated.size() - std::min(gated.size(), kMostGates));
  json.Key("gates").BeginArray();
  for (std::size_t i = 0; i < std::min(gated.size(), kMostGates); ++i) {
    const auto& pod = gated[i];
    const auto own = state.namespaces.find(pod->namespace_name);
    PodFacts facts;
    facts.namespace_name = pod->namespace_name;
    facts.name = pod->name;
    facts.annotations = pod->annotations;
    const DecisionRequest request = MakeRequest(
        std::move(facts), own == state.namespaces.end() ? state.cluster_policy : own->second);
    const GateVerdict verdict = JudgeGate(request.policy, pod->created, now, *state.snapshot);
    const std::string below = NumberOrNothing(request.policy.deferral.below);
    json.BeginObject().Key("namespace").Value(pod->namespace_name).Key("pod").Value(pod->name);
    json.Key("since").Value(FormatTime(pod->created));
    json.Key("until").Value(FormatTime(LatestOpening(request.policy.deferral, pod->created)));
    json.Key("condition").Value(below.empty() ? "" : "below " + below + " gCO2e/kWh");
    json.Key("state").Value(verdict.reason).EndObject();
  }
  json.EndArray();
}

}  // namespace

std::string PolicyValue(const Policy& policy, PolicyKey key) {
  constexpr double kPerSecond = 1.0 / 3600;
  switch (key) {
    case PolicyKey::kObjective:
      return std::string(ToString(policy.objective));
    case PolicyKey::kCostTolerance:
      return Plain(policy.cost_tolerance.value() * 100);
    case PolicyKey::kCarbonPrice:
      return FormatNumber(policy.carbon_price.value());
    case PolicyKey::kUnit:
      return std::string(ToString(policy.unit));
    case PolicyKey::kRequestsPerSecond:
      return NumberOrNothing(policy.requests, kPerSecond);
    case PolicyKey::kTokensPerSecond:
      return NumberOrNothing(policy.tokens, kPerSecond);
    case PolicyKey::kRequestSource:
      return policy.request_source;
    case PolicyKey::kBound:
      return std::string(ToString(policy.bound));
    case PolicyKey::kDataRegion:
      return policy.data_region ? policy.data_region->provider + "/" + policy.data_region->region
                                : "";
    case PolicyKey::kEgressGbPerUnit:
      return policy.egress.value() > 0 ? FormatNumber(policy.egress.value()) : "";
    case PolicyKey::kModel:
      return policy.model;
    case PolicyKey::kExpectedUtilization:
      return FormatNumber(policy.expected_utilization.value());
    case PolicyKey::kExpectedDuration:
      return policy.expected_duration ? Plain(policy.expected_duration->value()) + "h" : "";
    case PolicyKey::kMode:
      return std::string(ToString(policy.mode));
    case PolicyKey::kDeferBelowGco2ePerKwh:
    case PolicyKey::kMaxDelay:
    case PolicyKey::kDeadline:
      return DeferralValue(policy.deferral, key);
    default:
      return LimitValue(policy.limits, key);
  }
}

std::string PolicyJson(const WorldState& state, Timestamp now,
                       const std::optional<std::string>& only) {
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("mode").Value(ToString(state.cluster_policy.policy.mode));
  json.Key("cluster");
  WriteEntries(state.cluster_policy.policy, Origin::kDefault, json);
  WriteNamespaces(state, only, json);
  WriteGates(state, now, only, json);
  json.EndObject();
  return text;
}

void AddPolicyApi(HttpServer& server, const World& world) {
  HandleJson(server, "/api/v1/policy", {"namespace"},
             [&](const HttpRequest& request) -> Result<std::string> {
               return PolicyJson(*world.Read(), Now(), request.Parameter("namespace"));
             });
}

}  // namespace sobre
