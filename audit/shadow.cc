#include "audit/shadow.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "audit/record.h"
#include "base/text.h"
#include "base/told_time.h"
#include "scoring/analysis.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

constexpr std::array kKeys = {ShadowKey::kNamespace, ShadowKey::kWorkload, ShadowKey::kPolicy};
constexpr std::size_t kMostClusters = 32;
// An extender's points count tenfold in kube-scheduler.
constexpr std::int64_t kSchedulerPoints = 10;
// What the plugins of its default profile can bring together: 100 points times their weights.
constexpr std::int64_t kMostOfOthers = 1200;

bool HasLimits(const v1::RecordedPolicy& policy) {
  return policy.has_max_gco2e_per_unit() || policy.has_max_eur_per_unit() ||
         policy.has_countries() || policy.has_regions() || policy.denied_operators_size() > 0 ||
         policy.certifications_size() > 0 || !policy.max_exposure().empty() ||
         policy.unreadable_size() > 0 || policy.budgets_size() > 0;
}

std::string PolicyName(const v1::RecordedPolicy& policy) {
  std::string name = policy.objective();
  if (name == ToString(Objective::kBalanced))
    name += ", " + FormatSignificant(policy.cost_tolerance() * 100, 3) + " %";
  if (name == ToString(Objective::kPriced))
    name += ", " + FormatSignificant(policy.carbon_price_eur_per_tonne(), 3) + " EUR/t";
  if (HasLimits(policy)) name += ", limits";
  return name;
}

std::string NameFor(ShadowKey key, const v1::Record& record) {
  switch (key) {
    case ShadowKey::kNamespace:
      return record.pod().namespace_();
    case ShadowKey::kWorkload:
      return record.pod().workload();
    case ShadowKey::kPolicy:
      return PolicyName(record.policy());
  }
  return {};
}

std::optional<double> Finite(bool known, double value) {
  return known && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

void Add(std::optional<double> taken, std::optional<double> enforced, ShadowRates& rates) {
  if (!taken || !enforced) return;
  ++rates.pods;
  rates.taken += *taken;
  rates.enforced += *enforced;
}

double Saved(const ShadowRates& rates) {
  const double saved = rates.taken - rates.enforced;
  return std::isfinite(saved) ? saved : 0;
}

}  // namespace

std::string_view ToString(ShadowKey key) {
  switch (key) {
    case ShadowKey::kNamespace:
      return "namespace";
    case ShadowKey::kWorkload:
      return "workload";
    case ShadowKey::kPolicy:
      return "policy";
  }
  return "";
}

Result<std::vector<ShadowKey>> ParseShadowKeys(std::string_view text) {
  std::vector<std::string_view> names;
  names.reserve(kKeys.size());
  for (const ShadowKey key : kKeys) names.push_back(ToString(key));
  std::vector<ShadowKey> keys;
  for (const std::string_view part : Split(text, ',')) {
    const std::string_view word = Trim(part);
    const auto found = std::find(names.begin(), names.end(), word);
    if (found == names.end())
      return Status::Invalid("'" + Printable(word, 40) +
                             "' is no key; there are namespace, workload, policy" +
                             DidYouMean(word, names));
    const ShadowKey key = kKeys[static_cast<std::size_t>(found - names.begin())];
    if (std::find(keys.begin(), keys.end(), key) != keys.end())
      return Status::Invalid(std::string(word) + " stands there twice");
    keys.push_back(key);
  }
  return keys;
}

// What was known, as far as it says where nodes are.
struct ShadowJudge::Cluster {
  v1::RecordedSnapshot known;
  std::unordered_map<std::string_view, std::int32_t> place_of_node;

  [[nodiscard]] std::string RegionOf(const std::string& node) const {
    const auto found = place_of_node.find(node);
    if (found == place_of_node.end() || found->second < 0 || found->second >= known.places_size())
      return {};
    const v1::RecordedPlace& place = known.places(found->second);
    if (place.region().empty()) return place.grid_zone();
    return place.provider() + "/" + place.region();
  }
};

struct ShadowJudge::Verdict {
  std::string node;  // that the pod went to
  std::int32_t score = 0;
  bool refused = false;
  v1::RecordedFigures figures;  // report ledger, per hour
  double units_per_hour = 0;
  // How much of the best's hourly work the node does in an hour.
  double work = 1;
  std::string from;
  std::string to;
};

ShadowJudge::ShadowJudge(ShadowRequest request, Fetch fetch, std::shared_ptr<const Catalog> catalog)
    : fetch_(std::move(fetch)), catalog_(std::move(catalog)) {
  result_.request = std::move(request);
}
ShadowJudge::~ShadowJudge() = default;

Result<std::shared_ptr<const ShadowJudge::Cluster>> ShadowJudge::ClusterOf(
    const v1::Record& record) {
  const std::string& hash = record.known_sha256();
  if (const auto found = clusters_.find(hash); found != clusters_.end()) return found->second;
  Result<v1::RecordedSnapshot> known = ReadKnown(hash, fetch_);
  if (!known.ok()) return known.status();
  const auto cluster = std::make_shared<Cluster>();
  cluster->known = *std::move(known);
  for (const v1::RecordedNode& node : cluster->known.nodes())
    cluster->place_of_node.emplace(node.name(), node.place());
  if (clusters_.size() >= kMostClusters) clusters_.clear();
  clusters_.emplace(hash, cluster);
  return std::shared_ptr<const Cluster>(cluster);
}

Status ShadowJudge::Add(const Placement& placement) {
  const Status status = Judge(placement);
  return status.ok() ? status : status.WithContext("entry " + ToString(placement.decisive().id));
}

Status ShadowJudge::Judge(const Placement& placement) {
  const v1::Record& record = placement.decisive().record;
  ++result_.decisions;
  if (record.policy().mode() != ToString(Mode::kShadow)) return Status::Ok();
  ++result_.shadow;
  const Timestamp time = FromUnixMs(record.answered_ms());
  result_.first = std::min(time, result_.first.value_or(time));
  result_.last = std::max(time, result_.last.value_or(time));
  if (placement.attempt < placement.attempts) {
    ++result_.retried;
    return Status::Ok();
  }
  if (!placement.outcome) {
    ++result_.open;
    return Status::Ok();
  }
  const v1::RecordedOutcome& outcome = placement.outcome->record;
  if (outcome.node().empty()) {
    ++(outcome.unseen() ? result_.unseen : result_.left);
    return Status::Ok();
  }
  const bool has_best = !record.best().node().empty();
  const bool on_best = has_best && outcome.node() == record.best().node();
  if (!has_best && record.refused() == 0) {  // no candidate at all
    ++result_.not_asked;
    return Status::Ok();
  }
  const auto cluster = ClusterOf(record);
  if (!cluster.ok()) return cluster.status();
  Verdict verdict;
  verdict.node = outcome.node();
  verdict.from = (*cluster)->RegionOf(verdict.node);
  verdict.to = has_best ? (*cluster)->RegionOf(record.best().node()) : "";
  verdict.units_per_hour = record.units_per_hour();
  verdict.refused = !has_best;
  verdict.score = on_best || !has_best ? record.best().score() : outcome.score();
  verdict.figures = on_best ? record.best().report() : outcome.report();
  // An outcome says neither how fast its node is nor whether a limit refuses it; and nothing of it
  // at all where the pod waited for long.
  const bool throughput = record.policy().bound() == ToString(Bound::kThroughput);
  const bool silent = !on_best && (record.refused() > 0 || !outcome.has_score());
  if (!has_best || !(throughput || silent)) {
    Count(record, verdict);
    return Status::Ok();
  }
  if (record.algorithm_version() != kAlgorithmVersion ||
      record.catalog_version() != catalog_->version()) {
    ++result_.other_rules;
    return Status::Ok();
  }
  return JudgeAgain(placement, **cluster, verdict);
}

Status ShadowJudge::JudgeAgain(const Placement& placement, const Cluster& cluster,
                               Verdict& verdict) {
  const v1::Record& record = placement.decisive().record;
  const Result<Recalled> recalled = Recall(record, cluster.known, catalog_);
  if (!recalled.ok()) return recalled.status();
  const Decision& all = recalled->decision;
  const AfterLimits after = ApplyLimits(recalled->request, all, *recalled->snapshot);
  const auto find = [&](const std::string& node, const Decision& decision) -> const Candidate* {
    const std::int32_t index = recalled->snapshot->Find(node);
    if (index == Snapshot::kUnknownNode) return nullptr;
    const auto found = std::find_if(decision.candidates.begin(), decision.candidates.end(),
                                    [index](const Candidate& c) { return c.node == index; });
    return found == decision.candidates.end() ? nullptr : &*found;
  };
  const Candidate* best = find(record.best().node(), after.Among(all));
  const Candidate* went = find(verdict.node, after.Among(all));
  verdict.refused = went == nullptr;
  if (verdict.refused) went = find(verdict.node, all);
  if (went == nullptr || best == nullptr) {
    ++result_.not_asked;
    return Status::Ok();
  }
  verdict.score = verdict.refused ? 0 : went->score;
  verdict.figures = FiguresOf(Attribute(recalled->request, verdict.refused ? all : after.Among(all),
                                        *went, *recalled->snapshot));
  verdict.units_per_hour = went->units.value();
  if (best->units.value() > 0) verdict.work = went->units / best->units;
  Count(record, verdict);
  return Status::Ok();
}

void ShadowJudge::Count(const v1::Record& record, const Verdict& verdict) {
  const v1::RecordedCandidate& best = record.best();
  const bool waits = best.node().empty();
  const bool moves =
      !waits && verdict.node != best.node() && (verdict.refused || verdict.score < best.score());
  const std::int64_t lead = std::int64_t{best.score()} - verdict.score;
  const bool narrow = moves && !verdict.refused &&
                      lead * kSchedulerPoints * result_.request.extender_weight <= kMostOfOthers;
  const auto grams = Finite(verdict.figures.has_gco2e(), verdict.figures.gco2e());
  const auto euros = Finite(verdict.figures.has_eur(), verdict.figures.eur());
  std::optional<double> enforced_grams = grams;
  std::optional<double> enforced_euros = euros;
  if (moves) {
    const v1::RecordedFigures& report = best.report();
    enforced_grams = Finite(report.has_gco2e(), report.gco2e() * verdict.work);
    enforced_euros = Finite(report.has_eur(), report.eur() * verdict.work);
  }
  const bool grams_known = !waits && grams && enforced_grams;
  const bool euros_known = !waits && euros && enforced_euros;
  std::vector<std::string> names;
  names.reserve(result_.request.by.size());
  for (const ShadowKey key : result_.request.by) names.push_back(NameFor(key, record));
  ShadowLine& group = groups_[names];
  group.names = std::move(names);
  for (ShadowLine* line : {&group, &result_.total}) {
    if (line->decisions == 0) line->unit = record.unit();
    if (line->unit != record.unit()) line->unit.clear();
    ++line->decisions;
    line->elsewhere += moves ? 1 : 0;
    line->narrow += narrow ? 1 : 0;
    line->without_place += waits ? 1 : 0;
    line->refused += verdict.refused ? 1 : 0;
    if (grams_known) {
      sobre::Add(grams, enforced_grams, line->grams);
      line->units_per_hour += verdict.units_per_hour;
    }
    if (euros_known) {
      sobre::Add(euros, enforced_euros, line->euros);
      line->euro_units_per_hour += verdict.units_per_hour;
    }
  }
  if (!moves) return;
  ShadowFlow& flow = flows_[{verdict.from, verdict.to}];
  flow.from = verdict.from;
  flow.to = verdict.to;
  ++flow.pods;
  sobre::Add(grams, enforced_grams, flow.grams);
  sobre::Add(euros, enforced_euros, flow.euros);
}

ShadowResult ShadowJudge::Finish() const {
  ShadowResult result = result_;
  for (const auto& [names, line] : groups_) result.groups.push_back(line);
  std::stable_sort(
      result.groups.begin(), result.groups.end(),
      [](const ShadowLine& a, const ShadowLine& b) { return Saved(a.grams) > Saved(b.grams); });
  for (const auto& [places, flow] : flows_) result.flows.push_back(flow);
  std::stable_sort(result.flows.begin(), result.flows.end(),
                   [](const ShadowFlow& a, const ShadowFlow& b) { return a.pods > b.pods; });
  return result;
}

Result<ShadowResult> ReadShadow(Database& database, const ShadowRequest& request,
                                const std::shared_ptr<const Catalog>& catalog) {
  ShadowJudge judge(request, FetchFrom(database), catalog);
  const Status status =
      ForEachPlacement(database, request.from, request.to,
                       [&](const Placement& placement) { return judge.Add(placement); });
  if (!status.ok()) return status;
  return judge.Finish();
}

}  // namespace sobre
