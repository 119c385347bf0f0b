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

}  // namespace

struct UsageAccumulator::Piece {
  const Snapshot& snapshot;
  const std::shared_ptr<const PodPlacement>& pod;
  const std::string& team;
  const PodRates& rates;
  const std::optional<MeanOfCandidates>& mean;
  Timestamp hour;
  Duration length;
};

UsageAccumulator::UsageAccumulator(Options options, Counterfactuals counterfactuals)
    : options_(options), counterfactuals_(std::move(counterfactuals)) {}

void UsageAccumulator::Start(Timestamp through) {
  sums_ = {};
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
      Add({*state.snapshot, pod,
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

// Of what the pod runs on.
UsageAccumulator::Place UsageAccumulator::PlaceOf(const Snapshot& snapshot,
                                                  const std::string& name) {
  Place place;
  place.node = name;
  const std::int32_t index = snapshot.Find(name);
  if (index == Snapshot::kUnknownNode) return place;
  const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(index)];
  place.provider = node.facts->provider;
  place.region = node.facts->region;
  // A bidding zone begins with its country.
  place.country = !node.facts->attested.country.empty() ? node.facts->attested.country
                                                        : node.grid_zone.substr(0, 2);
  place.hardware_class = snapshot.hardware_classes()[static_cast<std::size_t>(node.hardware_class)];
  return place;
}

UsageFigures* UsageAccumulator::FiguresFor(const Piece& piece) {
  const PodPlacement& pod = *piece.pod;
  const std::string& model = piece.rates.model;
  const auto same = [&](const Kept& kept) {
    return kept.hour == piece.hour && kept.is_run == piece.rates.is_run &&
           kept.pod->uid == pod.uid && kept.pod->namespace_name == pod.namespace_name &&
           kept.pod->node == pod.node && kept.pod->workload == pod.workload &&
           *kept.team == piece.team && *kept.model == model;
  };
  const std::hash<std::string> hash;
  const std::size_t key = hash(pod.uid) ^ hash(pod.node) * 31 ^ hash(model) * 7 ^
                          static_cast<std::size_t>(piece.hour.time_since_epoch().count());
  const auto [first, last] = sums_.kept.equal_range(key);
  const auto found =
      std::find_if(first, last, [&](const auto& entry) { return same(entry.second); });
  if (found != last) return &found->second.figures;
  if (sums_.kept.size() >= options_.most_rows) return nullptr;
  Kept kept;
  kept.hour = piece.hour;
  kept.pod = piece.pod;
  kept.team = &*sums_.texts.insert(piece.team).first;
  kept.model = &*sums_.texts.insert(model).first;
  kept.place = &*sums_.places.insert(PlaceOf(piece.snapshot, pod.node)).first;
  kept.is_run = piece.rates.is_run;
  return &sums_.kept.emplace(key, std::move(kept))->second.figures;
}

void UsageAccumulator::Add(const Piece& piece) {
  UsageFigures* found = FiguresFor(piece);
  if (found == nullptr) {
    ++dropped_;
    return;
  }
  UsageFigures& row = *found;
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
  batch.from_ = std::exchange(from_, to);
  batch.to_ = to;
  // Nodes of sets and maps stay where they are as these are moved.
  batch.sums_ = std::exchange(sums_, {});
  return batch;
}

UsageRows UsageAccumulator::Batch::Rows() const {
  return [this](const TakeUsage& take) {
    UsageRow row;
    row.length = kHour;
    for (const auto& [key, kept] : sums_.kept) {
      static_cast<UsageFigures&>(row) = kept.figures;
      row.begin = kept.hour;
      row.namespace_name = kept.pod->namespace_name;
      row.pod = kept.pod->name;
      row.pod_uid = kept.pod->uid;
      row.workload = kept.pod->workload;
      row.team = *kept.team;
      // An annotation may hold what no database takes.
      row.model = Printable(*kept.model);
      row.is_run = kept.is_run;
      row.node = kept.place->node;
      row.provider = kept.place->provider;
      row.region = kept.place->region;
      row.country = kept.place->country;
      row.hardware_class = kept.place->hardware_class;
      take(row);
    }
  };
}

}  // namespace sobre
