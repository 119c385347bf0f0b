#include "extender/usage_accumulator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.h"

namespace sobre {
namespace {

constexpr Duration kHour = std::chrono::hours(1);
// Beyond what a cluster takes in an hour, of anything: somebody's annotation says so.
constexpr double kMost = 1e15;

void Add(double per_hour, double hours, double& sum) {
  if (std::isfinite(per_hour) && std::abs(per_hour) < kMost) sum += per_hour * hours;
}
template <class T>
void Add(const std::optional<T>& per_hour, double hours, double& sum) {
  if (per_hour) Add(per_hour->value(), hours, sum);
}

void AddRange(const std::optional<Range<GramsPerHour>>& per_hour, double hours, double& low,
              double& mid, double& high) {
  if (!per_hour) return;
  Add(per_hour->low.value(), hours, low);
  Add(per_hour->mid.value(), hours, mid);
  Add(per_hour->high.value(), hours, high);
}

// Names of what the pod runs on.
void NamePlace(const Snapshot& snapshot, const std::string& name, UsageRow& row) {
  row.node = name;
  const std::int32_t index = snapshot.Find(name);
  if (index == Snapshot::kUnknownNode) return;
  const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(index)];
  row.provider = node.facts->provider;
  row.region = node.facts->region;
  // A bidding zone begins with its country.
  row.country = !node.facts->attested.country.empty() ? node.facts->attested.country
                                                      : node.grid_zone.substr(0, 2);
  row.hardware_class = snapshot.hardware_classes()[static_cast<std::size_t>(node.hardware_class)];
}

}  // namespace

struct UsageAccumulator::Piece {
  const Snapshot& snapshot;
  const PodPlacement& pod;
  const std::string& team;
  const PodRates& rates;
  const std::optional<MeanOfCandidates>& mean;
  Timestamp hour;
  Duration length;
};

UsageAccumulator::UsageAccumulator(Options options, Counterfactuals counterfactuals)
    : options_(options), counterfactuals_(std::move(counterfactuals)) {}

void UsageAccumulator::Start(Timestamp through) {
  rows_.clear();
  last_ = through;
  from_ = through;
}

void UsageAccumulator::Tick(const WorldState& state, Timestamp now) {
  if (!last_) Start(now);
  const Duration step = now - *last_;
  if (step > options_.bridge || step < -options_.bridge) {
    gap_ += std::max(step, Duration(0));
    last_ = now;
    return;
  }
  if (step <= Duration(0)) return;
  const Timestamp begin = std::exchange(*last_, now);
  Attribution attribution(*state.snapshot);
  running_ = {};
  static const std::string kNoTeam;
  for (const std::shared_ptr<const PodPlacement>& pod : state.input.pods) {
    Timestamp at = std::max(begin, pod->started);
    if (at >= now) continue;
    const auto own = state.namespaces.find(pod->namespace_name);
    const NamespacePolicy& policy =
        own == state.namespaces.end() ? state.cluster_policy : own->second;
    const auto team = state.teams.find(pod->namespace_name);
    const auto mean = counterfactuals_ ? counterfactuals_(pod->uid) : std::nullopt;
    const PodRates& rates = attribution.RatesOf(*pod, policy);
    AddToRunning(rates);
    while (at < now) {
      const Timestamp hour = std::chrono::floor<std::chrono::hours>(at);
      const Timestamp end = std::min(now, hour + kHour);
      Add({*state.snapshot, *pod,
           !pod->team.empty()          ? pod->team
           : team == state.teams.end() ? kNoTeam
                                       : team->second,
           rates, mean, hour, end - at});
      at = end;
    }
  }
}

void UsageAccumulator::AddToRunning(const PodRates& rates) {
  ++running_.pods;
  sobre::Add(rates.power, 1, running_.watts);
  if (rates.operational) sobre::Add(rates.operational->mid.value(), 1, running_.grams_per_hour);
  if (rates.embodied) sobre::Add(rates.embodied->mid.value(), 1, running_.grams_per_hour);
  sobre::Add(rates.euros, 1, running_.eur_per_hour);
}

UsageRow* UsageAccumulator::RowFor(const Piece& piece) {
  const PodPlacement& pod = piece.pod;
  key_.clear();
  for (const std::string& part :
       {std::cref(pod.uid), std::cref(pod.namespace_name), std::cref(pod.node),
        std::cref(pod.workload), std::cref(piece.team), std::cref(piece.rates.model)})
    (key_ += part) += '\0';
  key_ += std::to_string(piece.hour.time_since_epoch().count());
  key_ += piece.rates.is_run ? 'r' : ' ';
  const auto found = rows_.find(key_);
  if (found != rows_.end()) return &found->second;
  if (rows_.size() >= options_.most_rows) return nullptr;
  UsageRow& row = rows_[key_];
  row.begin = piece.hour;
  row.length = kHour;
  row.namespace_name = pod.namespace_name;
  row.pod = pod.name;
  row.pod_uid = pod.uid;
  row.workload = pod.workload;
  row.team = piece.team;
  // An annotation may hold what no database takes.
  row.model = Printable(piece.rates.model);
  row.is_run = piece.rates.is_run;
  NamePlace(piece.snapshot, pod.node, row);
  return &row;
}

void UsageAccumulator::Add(const Piece& piece) {
  UsageRow* found = RowFor(piece);
  if (found == nullptr) {
    ++dropped_;
    return;
  }
  UsageRow& row = *found;
  const PodRates& rates = piece.rates;
  const double hours = InHours(piece.length);
  row.pod_hours += hours;
  sobre::Add(rates.vcpus.value(), hours, row.vcpu_hours);
  sobre::Add(rates.memory.value(), hours, row.memory_gb_hours);
  sobre::Add(rates.gpus.value(), hours, row.gpu_hours);
  if (rates.power) {
    const double kilowatts = rates.power->value() / 1000;
    sobre::Add(kilowatts, hours, row.energy_kwh);
    if (rates.power_measured) sobre::Add(kilowatts, hours, row.measured_kwh);
    row.energy_known_hours += hours;
  }
  AddRange(rates.operational, hours, row.operational_low_g, row.operational_g,
           row.operational_high_g);
  if (rates.operational && rates.live_intensity)
    sobre::Add(rates.operational->mid.value(), hours, row.live_g);
  sobre::Add(rates.market, hours, row.market_g);
  AddRange(rates.embodied, hours, row.embodied_low_g, row.embodied_g, row.embodied_high_g);
  if (rates.operational && rates.embodied) row.grams_known_hours += hours;
  sobre::Add(rates.euros, hours, row.eur);
  sobre::Add(rates.list_euros, hours, row.list_eur);
  if (rates.euros) row.eur_known_hours += hours;
  sobre::Add(rates.requests, hours, row.requests);
  sobre::Add(rates.tokens, hours, row.tokens);
  if (!piece.mean) return;
  if (piece.mean->gco2e_per_hour && rates.operational && rates.embodied) {
    sobre::Add(*piece.mean->gco2e_per_hour, hours, row.mean_candidate_g);
    sobre::Add((rates.operational->mid + rates.embodied->mid).value(), hours, row.compared_g);
  }
  if (piece.mean->eur_per_hour && rates.euros) {
    sobre::Add(*piece.mean->eur_per_hour, hours, row.mean_candidate_eur);
    sobre::Add(rates.euros->value(), hours, row.compared_eur);
  }
}

UsageAccumulator::Batch UsageAccumulator::Take() {
  Batch batch;
  const Timestamp to = last_.value_or(from_);
  batch.from = std::exchange(from_, to);
  batch.to = to;
  batch.rows.reserve(rows_.size());
  for (auto& [key, row] : rows_) batch.rows.push_back(std::move(row));
  rows_.clear();
  return batch;
}

}  // namespace sobre
