#include "scoring/limits.h"

#include <algorithm>
#include <array>
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

bool Has(const std::vector<std::string>& sorted, const std::string& name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

// "the namespace ('SE, NL', enforced) and the pod ('BE')": who says something of the limit.
std::string WhoSays(PolicyKey key, const Limits& limits) {
  std::string text;
  for (const LimitSource& source : limits.sources) {
    if (source.key != key) continue;
    text += (text.empty() ? "the " : " and the ") + std::string(ToString(source.origin)) + " ('" +
            source.text + (source.enforced ? "', enforced)" : "')");
  }
  return text;
}

std::optional<Refusal> AllowsNothing(PolicyKey key, const Limits& limits,
                                     const std::optional<std::vector<std::string>>& allowed) {
  if (!allowed || !allowed->empty()) return std::nullopt;
  const std::string who = WhoSays(key, limits);
  return Refusal{std::string(ToString(key)) + ": nothing is allowed by all" +
                     (who.empty() ? "" : " of " + who),
                 true};
}

// "; did you mean 'a', 'b' or 'c'?", or what can be done.
std::string NearestOf(std::string_view word, std::vector<std::string_view> known,
                      std::string_view table) {
  constexpr std::size_t kMost = 3;
  std::vector<std::string_view> near;
  while (near.size() < kMost) {
    const auto next = NearestName(word, known);
    if (!next) break;
    near.push_back(*next);
    std::erase(known, near.back());
  }
  if (near.empty())
    return "; a row of " + std::string(table) + " in catalog.directory makes it known";
  std::string text = "; did you mean ";
  for (std::size_t i = 0; i < near.size(); ++i)
    text += (i == 0 ? "'" : i + 1 < near.size() ? ", '" : " or '") + std::string(near[i]) + "'";
  return text + "?";
}

// What the names of one limit are, who knows them, and where more can be made known.
struct Kind {
  PolicyKey key;
  const char* what;
  const char* table;
};
constexpr std::array<Kind, 4> kNamed = {{
    {PolicyKey::kAllowedCountries, "country", "countries.csv"},
    {PolicyKey::kAllowedRegions, "region", "regions.csv"},
    {PolicyKey::kDeniedOperators, "operator", "operators.csv"},
    {PolicyKey::kRequiredCertifications, "certification", "certifications.csv"},
}};

bool IsKnown(PolicyKey key, const std::string& name, const Snapshot& snapshot) {
  const Catalog& catalog = snapshot.catalog();
  const AttestedNames& attested = snapshot.attested();
  switch (key) {
    case PolicyKey::kAllowedCountries:
      return Has(catalog.country_codes(), name) || Has(attested.countries, name);
    case PolicyKey::kAllowedRegions: {
      const std::string place = ToLower(name);
      const std::size_t slash = place.find('/');
      return catalog.KnowsRegion(place.substr(0, slash), place.substr(slash + 1)) ||
             Has(attested.regions, place);
    }
    case PolicyKey::kDeniedOperators:
      return catalog.operators().Knows(name) || Has(attested.operators, ComparableName(name));
    default: {
      const std::string scheme = ComparableName(name);
      return Has(attested.certifications, scheme) ||
             std::any_of(catalog.schemes().begin(), catalog.schemes().end(),
                         [&](const std::string& known) { return ComparableName(known) == scheme; });
    }
  }
}

std::string Nearest(const Kind& kind, const std::string& name, const Snapshot& snapshot) {
  const Catalog& catalog = snapshot.catalog();
  const AttestedNames& attested = snapshot.attested();
  std::vector<std::string> regions;
  std::vector<std::string_view> known;
  const auto add = [&](const std::vector<std::string>& names) {
    known.insert(known.end(), names.begin(), names.end());
  };
  switch (kind.key) {
    case PolicyKey::kAllowedCountries:
      add(catalog.country_codes());
      break;
    case PolicyKey::kAllowedRegions:
      for (const Catalog::Region& region : catalog.Regions())
        regions.push_back(region.provider + "/" + region.region);
      add(regions);
      add(attested.regions);
      break;
    case PolicyKey::kDeniedOperators:
      add(catalog.operators().spelt());
      break;
    default:
      add(catalog.schemes());
      break;
  }
  return NearestOf(name, std::move(known), kind.table);
}

// The names that were written; of limits that nobody is known to have said, the limits themselves.
const std::vector<std::string>& NamesIn(PolicyKey key, const Limits& limits) {
  static const std::vector<std::string> kNone;
  switch (key) {
    case PolicyKey::kAllowedCountries:
      return limits.countries ? *limits.countries : kNone;
    case PolicyKey::kAllowedRegions:
      return limits.regions ? *limits.regions : kNone;
    case PolicyKey::kDeniedOperators:
      return limits.denied_operators;
    default:
      return limits.certifications;
  }
}

// What attests a certificate where the embedded rows do not.
constexpr std::string_view kAttestIt =
    ": attest it by a row of certifications.csv in catalog.directory, or by the node's label "
    "node-restriction.kubernetes.io/sobre-certifications";

// A certificate counts through its last day. An attested label counts as long as it stands.
std::optional<Refusal> CheckCertificate(const std::string& scheme, const Sovereignty& place,
                                        const Snapshot& snapshot) {
  for (const std::string& attested : place.certifications) {
    if (ComparableName(attested) == ComparableName(scheme)) return std::nullopt;
  }
  const std::string certificate = Place(place) + ": certification " + scheme;
  if (place.region.empty()) return Refusal{certificate + " is not attested", true};
  const auto rows = snapshot.catalog().CertificationsOf(place.provider, place.region, scheme);
  if (rows.empty()) return Refusal{certificate + " is not known" + std::string(kAttestIt), true};
  std::string latest;
  for (const auto& row : rows) latest = std::max(latest, row.value.expires);
  if (latest.empty()) {
    return Refusal{certificate + " has no known date of expiry" + std::string(kAttestIt), true};
  }
  if (FormatTime(snapshot.time()).substr(0, latest.size()) > latest)
    return Refusal{certificate + " expired " + latest, true};
  return std::nullopt;
}

// Who set the budget, where it is not the pod's own.
template <class PerUnit>
std::string SetBy(const UnitBudget<PerUnit>& budget) {
  if (budget.origin == Origin::kPod) return "";
  return " (" + std::string(ToString(budget.origin)) + (budget.enforced ? ", enforced)" : ")");
}

std::optional<double> FigureOf(const ReportFigures& report,
                               const UnitBudget<GramsPerUnit>& /*of*/) {
  return report.total ? std::optional(report.total->mid.value()) : std::nullopt;
}
std::optional<double> FigureOf(const ReportFigures& report,
                               const UnitBudget<EurosPerUnit>& /*of*/) {
  return report.euros ? std::optional(report.euros->value()) : std::nullopt;
}
const char* NameOf(const UnitBudget<GramsPerUnit>& /*of*/) { return "gCO2e"; }
const char* NameOf(const UnitBudget<EurosPerUnit>& /*of*/) { return "EUR"; }
Figure CauseOf(const UnitBudget<GramsPerUnit>& /*of*/) { return Figure::kReportGrams; }
Figure CauseOf(const UnitBudget<EurosPerUnit>& /*of*/) { return Figure::kReportEuros; }

}  // namespace

std::vector<std::string> UnknownNames(const Limits& limits, const Snapshot& snapshot,
                                      std::size_t most) {
  std::vector<std::string> unknown;
  const auto check = [&](const Kind& kind, const std::vector<std::string>& names,
                         const LimitSource* source) {
    for (const std::string& name : names) {
      if (unknown.size() >= most) return;
      if (IsKnown(kind.key, name, snapshot)) continue;
      unknown.push_back((source ? std::string(ToString(source->origin)) + ": " : "") +
                        std::string(kAnnotationPrefix) + std::string(ToString(kind.key)) +
                        ": nobody knows the " + kind.what + " '" + Printable(name, 63) + "'" +
                        Nearest(kind, name, snapshot));
    }
  };
  for (const Kind& kind : kNamed) {
    bool said = false;
    for (const LimitSource& source : limits.sources) {
      if (source.key != kind.key) continue;
      said = true;
      check(kind, source.names, &source);
    }
    if (!said) check(kind, NamesIn(kind.key, limits), nullptr);
  }
  return unknown;
}

PlaceCheck::PlaceCheck(const Limits& limits, const Snapshot& snapshot)
    : limits_(limits), snapshot_(snapshot) {
  constexpr const char* kUnreadable = "a limit cannot be read: ";
  if (!limits.unreadable.empty()) {
    of_all_ = Refusal{kUnreadable + limits.unreadable.front(), true};
    return;
  }
  if (const std::vector<std::string> unknown = UnknownNames(limits, snapshot, 1);
      !unknown.empty()) {
    of_all_ = Refusal{kUnreadable + unknown.front(), true};
    return;
  }
  of_all_ = AllowsNothing(PolicyKey::kAllowedCountries, limits, limits.countries);
  if (!of_all_) of_all_ = AllowsNothing(PolicyKey::kAllowedRegions, limits, limits.regions);
  for (const std::string& name : limits.denied_operators)
    denied_.emplace_back(snapshot.catalog().operators().Meant(name), name);
}

std::optional<Refusal> PlaceCheck::Of(const NodeRecord& node) {
  if (of_all_) return of_all_;
  for (const auto& [place, refusal] : judged_)
    if (*place == node.sovereignty) return refusal;
  std::optional<Refusal> refusal = Judge(node.sovereignty);
  // A longer list takes longer to look through than a node takes to judge.
  constexpr std::size_t kMostPlaces = 32;
  if (judged_.size() < kMostPlaces) judged_.emplace_back(&node.sovereignty, refusal);
  return refusal;
}

std::optional<Refusal> PlaceCheck::CheckOperator(const Sovereignty& place) const {
  if (place.operator_name.empty())
    return Refusal{Place(place) + ": the operator is not attested", true};
  const OperatorNames& names = snapshot_.catalog().operators();
  for (const std::string& name : {place.operator_name, place.provider}) {
    if (name.empty()) continue;
    const bool of_provider = name != place.operator_name;
    const std::vector<std::string> behind = names.WithOwners(name);
    for (std::size_t i = 0; i < behind.size(); ++i) {
      for (const auto& [meant, written] : denied_) {
        if (meant != behind[i]) continue;
        return Refusal{Place(place) + (of_provider ? ": provider " : ": operator ") + name +
                           " is denied" + (i > 0 ? ", as it belongs to " + written : ""),
                       true};
      }
    }
  }
  return std::nullopt;
}

std::optional<Refusal> PlaceCheck::Judge(const Sovereignty& place) const {
  if (limits_.countries) {
    if (place.country.empty()) return Refusal{Place(place) + ": the country is not attested", true};
    if (!Has(*limits_.countries, place.country))
      return Refusal{Place(place) + ": country " + place.country + " is not allowed", true};
  }
  if (limits_.regions) {
    if (place.region.empty()) return Refusal{"its region is not attested", true};
    if (!Has(*limits_.regions, ToLower(place.provider + "/" + place.region)))
      return Refusal{Place(place) + " is not allowed", true};
  }
  if (!denied_.empty()) {
    if (auto refusal = CheckOperator(place)) return refusal;
  }
  if (limits_.max_exposure) {
    if (!place.exposure)
      return Refusal{Place(place) + ": exposure to foreign law is not attested", true};
    if (*place.exposure > *limits_.max_exposure) {
      return Refusal{Place(place) + ": exposure to foreign law is " +
                         std::string(ToString(*place.exposure)) + ", at most " +
                         std::string(ToString(*limits_.max_exposure)) + " is allowed",
                     true};
    }
  }
  for (const std::string& scheme : limits_.certifications) {
    if (auto refusal = CheckCertificate(scheme, place, snapshot_)) return refusal;
  }
  return std::nullopt;
}

LimitCheck::LimitCheck(const Limits& limits, const DecisionRequest& request,
                       const Decision& decision, const Snapshot& snapshot)
    : limits_(limits),
      request_(request),
      decision_(decision),
      snapshot_(snapshot),
      place_(limits, snapshot) {}

std::optional<Refusal> LimitCheck::Of(const Candidate& candidate) {
  if (!limits_.Any()) return std::nullopt;
  if (candidate.node == Snapshot::kUnknownNode && limits_.unreadable.empty())
    return Refusal{"the node is not known to Sobre", false};
  static const NodeRecord kUnknown;
  const NodeRecord& node = candidate.node == Snapshot::kUnknownNode
                               ? kUnknown
                               : snapshot_.nodes()[static_cast<std::size_t>(candidate.node)];
  if (auto refusal = place_.Of(node)) return refusal;
  for (const UnitBudget<GramsPerUnit>& budget : limits_.max_grams)
    if (auto refusal = CheckBudget(budget, candidate)) return refusal;
  for (const UnitBudget<EurosPerUnit>& budget : limits_.max_euros)
    if (auto refusal = CheckBudget(budget, candidate)) return refusal;
  return std::nullopt;
}

LimitCheck::View& LimitCheck::ViewOf(FunctionalUnit unit, bool before_pod) {
  for (const auto& view : views_)
    if (view->unit == unit && view->before_pod == before_pod) return *view;
  View& view = *views_.emplace_back(std::make_unique<View>());
  view.unit = unit;
  view.before_pod = before_pod;
  view.request.pod = request_.pod;
  view.request.policy = request_.policy;
  WorkTerms& terms = view.request.policy;
  if (before_pod) terms = *request_.policy.terms_before_pod;
  terms.unit = unit;
  JudgeKinds(view.request, snapshot_, {}, view.decision);
  view.decision.intensity_basis = decision_.intensity_basis;
  return view;
}

template <class PerUnit>
std::optional<Refusal> LimitCheck::CheckBudget(const UnitBudget<PerUnit>& budget,
                                               const Candidate& candidate) {
  const Policy& policy = request_.policy;
  const auto by = [&](bool before_pod) {
    const View& view = ViewOf(budget.unit, before_pod);
    const NodeRecord& node = snapshot_.nodes()[static_cast<std::size_t>(candidate.node)];
    Candidate counted = candidate;
    counted.units = view.decision.work[static_cast<std::size_t>(node.hardware_class)].units;
    return CheckBudget(budget, before_pod, view.request, view.decision, counted);
  };
  // By what the pod says of itself, which may be dearer.
  auto refusal = budget.unit == policy.unit
                     ? CheckBudget(budget, false, request_, decision_, candidate)
                     : by(false);
  if (refusal || !budget.enforced || !policy.terms_before_pod) return refusal;
  return by(true);
}

template <class PerUnit>
std::optional<Refusal> LimitCheck::CheckBudget(const UnitBudget<PerUnit>& budget, bool before_pod,
                                               const DecisionRequest& request,
                                               const Decision& decision,
                                               const Candidate& candidate) const {
  if (budget.unit != decision.unit && !request.pod.is_batch_job) {
    return Refusal{"a budget per " + std::string(ToString(budget.unit)) + SetBy(budget) +
                       ", but no rate is known" +
                       (before_pod ? " that counts: what the pod states does not" : ""),
                   false};
  }
  const std::string unit(ToString(decision.unit));
  const std::string name = NameOf(budget);
  const ReportFigures report = Attribute(request, decision, candidate, snapshot_);
  const std::optional<double> figure = FigureOf(report, budget);
  if (!figure) {
    return Refusal{name + " per " + unit + " is unknown" +
                       Because(WhyUnknown(CauseOf(budget), decision, candidate, snapshot_)),
                   false};
  }
  const double value = *figure / candidate.units.value();
  if (value <= budget.most.value()) return std::nullopt;
  return Refusal{FormatSignificant(value, kReasonDigits) + " " + name + " per " + unit +
                     " (report ledger" + (before_pod ? ", without what the pod states" : "") +
                     ") is over the budget of " +
                     FormatSignificant(budget.most.value(), kReasonDigits) + SetBy(budget),
                 false};
}

std::optional<Refusal> CheckPlaceLimits(const Limits& limits, const NodeRecord& node,
                                        const Snapshot& snapshot) {
  return PlaceCheck(limits, snapshot).Of(node);
}

std::optional<Refusal> CheckLimits(const DecisionRequest& request, const Decision& decision,
                                   const Candidate& candidate, const Snapshot& snapshot) {
  const Limits& limits = request.policy.limits;
  if (!limits.Any()) return std::nullopt;
  return LimitCheck(limits, request, decision, snapshot).Of(candidate);
}

void ScoreRefusedZero(const DecisionRequest& request, const Snapshot& snapshot,
                      const std::vector<std::optional<Refusal>>& refusals, Decision& decision) {
  std::vector<std::int32_t> passing;
  for (std::size_t i = 0; i < refusals.size(); ++i)
    if (!refusals[i]) passing.push_back(decision.placed[i].node);
  if (passing.size() == refusals.size()) return;
  Decision among;
  JudgeKinds(request, snapshot, passing, among);
  const std::vector<Placed> all = std::move(decision.placed);
  const std::vector<Candidate> kinds = std::move(decision.kinds);
  const std::int64_t unknown = decision.unknown_candidates;
  std::swap(decision, among);
  decision.unknown_candidates = unknown;
  if (passing.empty()) {
    decision.ranked_by = among.ranked_by;
    decision.intensity_basis = among.intensity_basis;
  }
  const std::vector<Placed> allowed = std::move(decision.placed);
  decision.placed.clear();
  // Of each kind that a refused candidate is of, one without a score.
  std::vector<std::int32_t> without(kinds.size(), -1);
  std::size_t next = 0;
  for (std::size_t i = 0; i < refusals.size(); ++i) {
    if (!refusals[i]) {
      decision.placed.push_back(allowed[next++]);
      continue;
    }
    std::int32_t& twin = without[static_cast<std::size_t>(all[i].kind)];
    if (twin < 0) {
      twin = static_cast<std::int32_t>(decision.kinds.size());
      Candidate& copy = decision.kinds.emplace_back(kinds[static_cast<std::size_t>(all[i].kind)]);
      copy.score = 0;
      copy.within_tolerance = false;
      decision.score_of_kind.push_back(0);
    }
    decision.placed.push_back({all[i].node, twin});
  }
  decision.best.reset();
  for (std::size_t i = 0; i < refusals.size(); ++i) {
    if (!refusals[i] && (!decision.best || decision.ScoreOf(i) > decision.ScoreOf(*decision.best)))
      decision.best = i;
  }
  if (!among.candidates.empty()) WriteOut(decision, decision.candidates);
}

AfterLimits ApplyLimits(const DecisionRequest& request, const Decision& all,
                        const Snapshot& snapshot) {
  std::vector<std::optional<Refusal>> refusals;
  if (!request.policy.limits.Any()) return {};
  refusals.reserve(all.candidates.size());
  LimitCheck check(request.policy.limits, request, all, snapshot);
  for (const Candidate& candidate : all.candidates) refusals.push_back(check.Of(candidate));
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
