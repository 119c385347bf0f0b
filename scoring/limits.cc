#include "scoring/limits.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "scoring/analysis.h"
#include "scoring/new_capacity.h"
#include "scoring/unknown.h"

namespace sobre {
namespace {

constexpr int kReasonDigits = 6;

std::string Place(const Sovereignty& place) {
  return place.region.empty() ? "its region" : "region " + place.provider + "/" + place.region;
}

std::optional<Refusal> CheckPlace(const Limits& limits, const Sovereignty& place) {
  if (limits.countries) {
    if (place.country.empty()) return Refusal{Place(place) + ": the country is not attested", true};
    if (!std::binary_search(limits.countries->begin(), limits.countries->end(), place.country))
      return Refusal{Place(place) + ": country " + place.country + " is not allowed", true};
  }
  if (limits.regions) {
    if (place.region.empty()) return Refusal{"its region is not attested", true};
    const std::string name = place.provider + "/" + place.region;
    if (std::none_of(limits.regions->begin(), limits.regions->end(),
                     [&](const std::string& allowed) { return EqualsIgnoreCase(allowed, name); }))
      return Refusal{Place(place) + " is not allowed", true};
  }
  if (!limits.denied_operators.empty()) {
    if (place.operator_name.empty())
      return Refusal{Place(place) + ": the operator is not attested", true};
    for (const std::string& name : {ToLower(place.operator_name), ToLower(place.provider)}) {
      if (std::binary_search(limits.denied_operators.begin(), limits.denied_operators.end(), name))
        return Refusal{Place(place) + ": operator " + place.operator_name + " is denied", true};
    }
  }
  if (limits.max_exposure) {
    if (!place.exposure)
      return Refusal{Place(place) + ": exposure to foreign law is not attested", true};
    if (*place.exposure > *limits.max_exposure) {
      return Refusal{Place(place) + ": exposure to foreign law is " +
                         std::string(ToString(*place.exposure)) + ", at most " +
                         std::string(ToString(*limits.max_exposure)) + " is allowed",
                     true};
    }
  }
  return std::nullopt;
}

// A certificate counts through its last day. An attested label counts as long as it stands.
std::optional<Refusal> CheckCertificate(const std::string& scheme, const Sovereignty& place,
                                        const Snapshot& snapshot) {
  for (const std::string& attested : place.certifications) {
    if (EqualsIgnoreCase(attested, scheme)) return std::nullopt;
  }
  const std::string certificate = Place(place) + ": certification " + scheme;
  if (place.region.empty()) return Refusal{certificate + " is not attested", true};
  const auto rows = snapshot.catalog().CertificationsOf(place.provider, place.region, scheme);
  if (rows.empty()) return Refusal{certificate + " is not known", true};
  std::string latest;
  for (const auto& row : rows) latest = std::max(latest, row.value.expires);
  if (latest.empty()) return Refusal{certificate + " has no known date of expiry", true};
  if (FormatTime(snapshot.time()).substr(0, latest.size()) > latest)
    return Refusal{certificate + " expired " + latest, true};
  return std::nullopt;
}

std::optional<Refusal> CheckBudget(const DecisionRequest& request, const Decision& decision,
                                   const Candidate& candidate, const Snapshot& snapshot) {
  const Limits& limits = request.policy.limits;
  if (!limits.max_grams && !limits.max_euros) return std::nullopt;
  const std::string unit(ToString(decision.unit));
  if (request.policy.unit != decision.unit && !request.pod.is_batch_job) {
    return Refusal{
        "a budget per " + std::string(ToString(request.policy.unit)) + ", but no rate is known",
        false};
  }
  const ReportFigures report = Attribute(request, decision, candidate, snapshot);
  const auto check = [&](const auto& figure, double most, const char* name,
                         Figure cause) -> std::optional<Refusal> {
    if (!figure) {
      return Refusal{std::string(name) + " per " + unit + " is unknown" +
                         Because(WhyUnknown(cause, request, decision, candidate, snapshot)),
                     false};
    }
    const double value = *figure / candidate.units.value();
    if (value <= most) return std::nullopt;
    return Refusal{FormatSignificant(value, kReasonDigits) + " " + name + " per " + unit +
                       " (report ledger) is over the budget of " +
                       FormatSignificant(most, kReasonDigits),
                   false};
  };
  if (limits.max_grams) {
    const auto grams = report.total ? std::optional(report.total->mid.value()) : std::nullopt;
    if (auto refusal = check(grams, limits.max_grams->value(), "gCO2e", Figure::kReportGrams))
      return refusal;
  }
  if (limits.max_euros) {
    const auto euros = report.euros ? std::optional(report.euros->value()) : std::nullopt;
    if (auto refusal = check(euros, limits.max_euros->value(), "EUR", Figure::kReportEuros))
      return refusal;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> CheckPlaceLimits(const Limits& limits, const NodeRecord& node,
                                        const Snapshot& snapshot) {
  if (auto refusal = CheckPlace(limits, node.sovereignty)) return refusal;
  for (const std::string& scheme : limits.certifications) {
    if (auto refusal = CheckCertificate(scheme, node.sovereignty, snapshot)) return refusal;
  }
  return std::nullopt;
}

std::optional<Refusal> CheckLimits(const DecisionRequest& request, const Decision& decision,
                                   const Candidate& candidate, const Snapshot& snapshot) {
  const Limits& limits = request.policy.limits;
  if (!limits.unreadable.empty())
    return Refusal{"a limit cannot be read: " + limits.unreadable.front(), true};
  if (!limits.Any()) return std::nullopt;
  if (candidate.node == Snapshot::kUnknownNode)
    return Refusal{"the node is not known to Sobre", false};
  const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(candidate.node)];
  if (auto refusal = CheckPlaceLimits(limits, node, snapshot)) return refusal;
  return CheckBudget(request, decision, candidate, snapshot);
}

AfterLimits ApplyLimits(const DecisionRequest& request, const Decision& all,
                        const Snapshot& snapshot) {
  std::vector<std::optional<Refusal>> refusals;
  if (!request.policy.limits.Any()) return {};
  refusals.reserve(all.candidates.size());
  for (const Candidate& candidate : all.candidates)
    refusals.push_back(CheckLimits(request, all, candidate, snapshot));
  return ApplyLimits(request, all, snapshot, std::move(refusals));
}

AfterLimits ApplyLimits(const DecisionRequest& request, const Decision& all,
                        const Snapshot& snapshot, std::vector<std::optional<Refusal>> refusals) {
  AfterLimits after;
  std::vector<std::int32_t> passing;
  std::int32_t best_allowed = -1;
  for (std::size_t i = 0; i < refusals.size(); ++i) {
    const Candidate& candidate = all.candidates[i];
    if (!refusals[i]) {
      passing.push_back(candidate.node);
      best_allowed = std::max(best_allowed, candidate.score);
      continue;
    }
    ++after.refused;
    if (candidate.node == Snapshot::kUnknownNode) continue;
    if (!after.best_refused || candidate.score > all.candidates[*after.best_refused].score)
      after.best_refused = i;
  }
  if (after.refused == 0) return {};
  if (after.best_refused && all.candidates[*after.best_refused].score <= best_allowed)
    after.best_refused.reset();
  after.refusals = std::move(refusals);
  (all.ledger == RankedLedger::kNewCapacity ? DecideOnNew : Decide)(request, snapshot, passing,
                                                                    after.again.emplace());
  return after;
}

std::vector<RefusedGroup> GroupRefusals(const std::vector<std::optional<Refusal>>& refusals) {
  std::vector<RefusedGroup> groups;
  std::map<std::string_view, std::size_t> group_of;
  for (std::size_t i = 0; i < refusals.size(); ++i) {
    if (!refusals[i]) continue;
    const auto [at, is_new] = group_of.try_emplace(refusals[i]->reason, groups.size());
    if (is_new) groups.push_back({refusals[i]->reason, {}});
    groups[at->second].candidates.push_back(i);
  }
  std::stable_sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
    return a.candidates.size() > b.candidates.size();
  });
  return groups;
}

std::string NoNodeKeepsTheLimits(const std::vector<std::optional<Refusal>>& refusals) {
  constexpr std::size_t kMost = 3;
  const std::vector<RefusedGroup> groups = GroupRefusals(refusals);
  std::string text = "no node keeps the limits";
  for (std::size_t i = 0; i < std::min(groups.size(), kMost); ++i) {
    const std::size_t count = groups[i].candidates.size();
    text += (i == 0 ? ": " : "; ") + groups[i].reason;
    if (groups.size() > 1)
      text += " (" + std::to_string(count) + (count == 1 ? " node)" : " nodes)");
  }
  if (groups.size() > kMost)
    text += "; and " + std::to_string(groups.size() - kMost) + " other reasons";
  return text;
}

Decision WithoutRefused(const Decision& decision,
                        const std::vector<std::optional<Refusal>>& refusals) {
  Decision allowed = decision;
  allowed.candidates.clear();
  // They tell of all.
  allowed.placed.clear();
  allowed.kinds.clear();
  allowed.best.reset();
  for (std::size_t i = 0; i < decision.candidates.size(); ++i) {
    if (refusals[i]) continue;
    allowed.candidates.push_back(decision.candidates[i]);
    const std::size_t last = allowed.candidates.size() - 1;
    if (!allowed.best || allowed.candidates[last].score > allowed.candidates[*allowed.best].score)
      allowed.best = last;
  }
  return allowed;
}

}  // namespace sobre
