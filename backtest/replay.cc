#include "backtest/replay.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <numeric>
#include <queue>
#include <set>
#include <span>

#include "backtest/scheduler_model.h"
#include "backtest/warnings.h"
#include "base/text.h"
#include "scoring/analysis.h"
#include "scoring/decide.h"
#include "scoring/deferral.h"
#include "scoring/limits.h"

namespace sobre::backtest {
namespace {

constexpr Duration kHour = std::chrono::hours(1);
constexpr Duration kGateCheck = std::chrono::minutes(15);
constexpr std::int64_t kForesightHours = 24;

std::size_t Index(std::int64_t value) { return static_cast<std::size_t>(value); }

// A pod of some work on a node of some pool, per hour.
struct Rates {
  Watts power;  // PUE included
  Watts added;
  GramsPerHour embodied;
  Fraction price_share;
};

// All of the world that does not depend on who places.
class World {
 public:
  explicit World(const Scenario& scenario) : scenario_(scenario) {
    std::map<std::string, std::int32_t> zones;
    for (const Pool& pool : scenario.pools) {
      auto facts = std::make_shared<NodeFacts>(pool.facts);
      facts->name = pool.name;
      pools_.push_back(std::move(facts));
      const auto next = static_cast<std::int32_t>(zones.size());
      zone_of_pool_.push_back(zones.try_emplace(pool.zone, next).first->second);
    }
    zones_ = zones.size();
    OrderNodes();
    const auto first = SnapshotAt(0, Duration(0));
    TellWhatIsAssumed(*first);
    std::vector<std::int32_t> all(pools_.size());
    std::iota(all.begin(), all.end(), 0);
    for (const Work& work : scenario.work) {
      const DecisionRequest request = RequestFor(work, Policy());
      Decision decision;
      Decide(request, *first, all, decision);
      std::vector<Rates>& rates = rates_.emplace_back();
      for (const Candidate& candidate : decision.candidates)
        rates.push_back(RatesOf(request, decision, candidate, *first));
    }
  }

  // What Sobre is told at the hour: values of `age` before as if they were of now.
  [[nodiscard]] std::shared_ptr<const Snapshot> SnapshotAt(std::int64_t hour, Duration age) const {
    SnapshotInput input;
    input.time = scenario_.start + hour * kHour;
    input.nodes = pools_;
    const std::int64_t seen = std::max<std::int64_t>(0, hour - age / kHour);
    for (const auto& [zone, series] : scenario_.intensity) {
      Observation observation = Seen(Signal::kGridIntensity, series[Index(seen)], input.time);
      observation.zone = zone;
      input.observations.push_back(observation);
      AddForecast(seen, observation, series, input.observations);
    }
    for (const Pool& pool : scenario_.pools) {
      const auto series = scenario_.price.find(pool.name);
      if (series == scenario_.price.end() && !pool.price) continue;
      const double price =
          series == scenario_.price.end() ? pool.price->value() : series->second[Index(seen)];
      Observation observation = Seen(Signal::kNodePrice, price, input.time);
      observation.node = pool.name;
      input.observations.push_back(observation);
    }
    return Snapshot::Build(std::move(input));
  }

  [[nodiscard]] static DecisionRequest RequestFor(const Work& work, const Policy& policy) {
    PodFacts pod;
    pod.namespace_name = "backtest";
    pod.name = pod.workload = work.name;
    pod.is_batch_job = work.kind == WorkKind::kJob;
    pod.requests = work.requests;
    pod.annotations = work.annotations;
    // What the scenario knows, and not what the pod says of itself.
    Annotations measured;
    if (work.requests_per_second > 0)
      measured.push_back({"requests-per-second", FormatNumber(work.requests_per_second)});
    return MakeRequest(std::move(pod), MakeNamespacePolicy("backtest", measured, policy));
  }

  [[nodiscard]] const Scenario& scenario() const { return scenario_; }
  [[nodiscard]] const std::vector<NodeUse>& empty_nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<std::int32_t>& pool_of_node() const { return pool_of_node_; }
  [[nodiscard]] std::size_t zones() const { return zones_; }
  [[nodiscard]] const Rates& RatesOn(std::size_t work, std::int32_t pool) const {
    return rates_[work][Index(pool)];
  }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] const std::set<std::string>& grids() const { return grids_; }
  [[nodiscard]] GramsPerKwh IntensityOf(std::int32_t pool, std::int64_t hour) const {
    const Hourly* series = intensity_of_pool_[Index(pool)];
    return series == nullptr ? assumed_intensity_[Index(pool)]
                             : GramsPerKwh((*series)[Index(hour)]);
  }
  [[nodiscard]] GramsPerKwh MarginalOf(std::int32_t pool, std::int64_t hour) const {
    const Hourly* series = marginal_of_pool_[Index(pool)];
    return series == nullptr ? GramsPerKwh(0) : GramsPerKwh((*series)[Index(hour)]);
  }
  [[nodiscard]] EurosPerHour PriceOf(std::int32_t pool, std::int64_t hour) const {
    const Hourly* series = price_of_pool_[Index(pool)];
    return series == nullptr ? assumed_price_[Index(pool)] : EurosPerHour((*series)[Index(hour)]);
  }

 private:
  // In turns from each failure domain, as kube-scheduler lists them.
  void OrderNodes() {
    std::vector<std::deque<std::int32_t>> by_zone(zones_);
    for (std::size_t pool = 0; pool < pools_.size(); ++pool) {
      auto& zone = by_zone[Index(zone_of_pool_[pool])];
      zone.insert(zone.end(), Index(scenario_.pools[pool].nodes), static_cast<std::int32_t>(pool));
    }
    bool left = true;
    while (left) {
      left = false;
      for (auto& zone : by_zone) {
        if (zone.empty()) continue;
        left = true;
        const std::int32_t pool = zone.front();
        zone.pop_front();
        pool_of_node_.push_back(pool);
        NodeUse node;
        node.allocatable = pools_[Index(pool)]->allocatable;
        node.zone = zone_of_pool_[Index(pool)];
        nodes_.push_back(node);
      }
    }
  }

  static Observation Seen(Signal signal, double value, Timestamp time) {
    Observation observation;
    observation.signal = signal;
    observation.value = value;
    observation.time = time;
    observation.source = "backtest";
    return observation;
  }

  void AddForecast(std::int64_t seen, Observation now, const Hourly& series,
                   std::vector<Observation>& out) const {
    if (scenario_.foresight == Foresight::kNone) return;
    now.signal = Signal::kGridForecast;
    for (std::int64_t ahead = 1; ahead <= kForesightHours; ++ahead) {
      std::int64_t hour = seen + ahead;
      if (scenario_.foresight == Foresight::kYesterday) hour -= kForesightHours;
      if (hour < 0 || hour >= scenario_.hours) continue;
      now.ahead = ahead * kHour;
      now.value = series[Index(hour)];
      out.push_back(now);
    }
  }

  void TellWhatIsAssumed(const Snapshot& snapshot) {
    for (std::size_t i = 0; i < pools_.size(); ++i) {
      const NodeRecord& node = snapshot.nodes()[i];
      grids_.insert(node.grid_zone);
      const auto intensity = scenario_.intensity.find(node.grid_zone);
      const auto marginal = scenario_.marginal.find(node.grid_zone);
      const auto price = scenario_.price.find(pools_[i]->name);
      intensity_of_pool_.push_back(intensity == scenario_.intensity.end() ? nullptr
                                                                          : &intensity->second);
      marginal_of_pool_.push_back(marginal == scenario_.marginal.end() ? nullptr
                                                                       : &marginal->second);
      price_of_pool_.push_back(price == scenario_.price.end() ? nullptr : &price->second);
      assumed_intensity_.push_back(node.catalog_intensity ? node.catalog_intensity->value
                                                          : GramsPerKwh(0));
      assumed_price_.push_back(node.price ? node.price->value : EurosPerHour(0));
      const std::string who = "pool " + Printable(pools_[i]->name, 60) + ": ";
      if (intensity == scenario_.intensity.end()) {
        notes_.push_back(who +
                         (node.catalog_intensity
                              ? "no hourly intensity of its grid; the yearly " +
                                    FormatSignificant(node.catalog_intensity->value.value(), 3) +
                                    " gCO2e/kWh of the catalogue are counted"
                              : "its grid is unknown: its grams are counted as 0"));
      }
      if (!scenario_.marginal.empty() && marginal == scenario_.marginal.end())
        notes_.push_back(who + "no marginal intensity of its grid; it is counted as 0");
      if (node.HasAccelerators() && (!node.gpu || !node.PartsKnown() || !node.gpus_unknown.empty()))
        notes_.push_back(who + "what its accelerators draw is unknown: it is counted as 0");
      if (!node.price) {
        notes_.push_back(who + "its price is unknown: its euros are counted as 0");
      } else if (node.price_estimated) {
        notes_.push_back(who + "its price is the catalogue's estimate");
      }
    }
  }

  static Rates RatesOf(const DecisionRequest& request, const Decision& decision,
                       const Candidate& candidate, const Snapshot& snapshot) {
    const ReportFigures report = Attribute(request, decision, candidate, snapshot);
    Rates rates;
    if (report.power) rates.power = report.power->mid;
    if (report.embodied) rates.embodied = report.embodied->mid;
    if (candidate.placement.power_known) rates.added = candidate.placement.added_power;
    if (const auto share = PriceShare(decision.demand, snapshot.nodes()[Index(candidate.node)]))
      rates.price_share = *share;
    return rates;
  }

  const Scenario& scenario_;
  std::vector<std::shared_ptr<const NodeFacts>> pools_;
  std::vector<std::int32_t> zone_of_pool_;
  std::size_t zones_ = 0;
  std::vector<NodeUse> nodes_;
  std::vector<std::int32_t> pool_of_node_;
  std::vector<std::vector<Rates>> rates_;  // by work and pool
  std::vector<const Hourly*> intensity_of_pool_;
  std::vector<const Hourly*> marginal_of_pool_;
  std::vector<const Hourly*> price_of_pool_;
  std::vector<GramsPerKwh> assumed_intensity_;
  std::vector<EurosPerHour> assumed_price_;
  std::vector<std::string> notes_;
  std::set<std::string> grids_;
};

struct Pod {
  std::size_t work = 0;
  Timestamp came;    // created
  Timestamp queued;  // its gate is open since
  bool counted = false;
  bool waits = false;                // found no room at once
  std::vector<std::string> regions;  // its gate opened for these alone; empty: all
};

struct End {
  Timestamp time;
  std::uint64_t sequence = 0;  // of two at one time the earlier placement's
  std::size_t work = 0;
  std::int32_t node = 0;
  friend bool operator>(const End& a, const End& b) {
    return std::tie(a.time, a.sequence) > std::tie(b.time, b.sequence);
  }
};

// One variant's cluster as its time goes by.
class Play {
 public:
  Play(const World& world, const Variant& variant)
      : world_(world),
        variant_(variant),
        random_(world.scenario().seed),
        nodes_(world.empty_nodes()) {
    const Scenario& scenario = world.scenario();
    outcome_.variant = variant.name;
    for (const Work& work : scenario.work) {
      requests_.push_back(World::RequestFor(work, variant.policy));
      if (!variant.limits) requests_.back().policy.limits = {};
    }
    nodes_of_work_.resize(scenario.work.size());
    allowed_.resize(scenario.work.size());
    on_node_.resize(nodes_.size());
    on_zone_.resize(world.zones());
    hours_.resize(Index(scenario.hours));
    for (const Pool& pool : scenario.pools) {
      Place& place = places_[pool.facts.provider + "/" + pool.facts.region];
      place.region = pool.facts.provider + "/" + pool.facts.region;
      place_of_pool_.push_back(&place);
    }
  }

  void Step(std::int64_t hour, std::shared_ptr<const Snapshot> snapshot) {
    snapshot_ = std::move(snapshot);
    for (std::vector<bool>& allowed : allowed_) allowed.clear();
    const Scenario& scenario = world_.scenario();
    const Timestamp begin = scenario.start + hour * kHour;
    for (Timestamp check = begin; check < begin + kHour; check += kGateCheck) {
      AdvanceTo(check);
      JudgeGates(check);
      // Those that come until the next look at gates.
      while (next_work_ < scenario.work.size() &&
             scenario.start + scenario.work[next_work_].arrives < check + kGateCheck) {
        const Timestamp time = scenario.start + scenario.work[next_work_].arrives;
        AdvanceTo(time);
        Arrive(next_work_++, time);
      }
    }
    AdvanceTo(begin + kHour);
  }

  Outcome Finish() {
    const Scenario& scenario = world_.scenario();
    const Timestamp end = scenario.start + scenario.hours * kHour;
    for (const Pod& pod : pending_) {
      if (pod.counted) ++outcome_.without_place;
    }
    for (const Pod& pod : gated_) {
      if (!pod.counted) continue;
      ++outcome_.without_place;
      outcome_.gated_for = outcome_.gated_for + Hours(InHours(end - pod.came));
    }
    double vcpus = 0;
    for (const NodeUse& node : nodes_)
      vcpus += static_cast<double>(node.allocatable.millicpu) / 1000;
    outcome_.hours.assign(hours_.begin() + scenario.warm_up_hours, hours_.end());
    for (const Figures& hour : outcome_.hours) outcome_.total += hour;
    const double counted = static_cast<double>(outcome_.hours.size());
    if (vcpus > 0 && counted > 0)
      outcome_.cpu_reserved = Fraction(outcome_.total.reserved.value() / vcpus / counted);
    for (auto& [region, place] : places_) outcome_.places.push_back(place);
    return std::move(outcome_);
  }

 private:
  void Arrive(std::size_t work, Timestamp time) {
    const Scenario& scenario = world_.scenario();
    for (std::int64_t i = 0; i < scenario.work[work].replicas; ++i) {
      Pod pod;
      pod.work = work;
      pod.came = pod.queued = time;
      pod.counted = time >= scenario.start + scenario.warm_up_hours * kHour;
      if (pod.counted) ++outcome_.pods;
      if (variant_.waiting && requests_[work].policy.deferral.below) {
        if (!OpenGate(pod, time)) {
          if (pod.counted) ++outcome_.gated;
          gated_.push_back(std::move(pod));
          continue;
        }
      }
      Queue(std::move(pod), time);
    }
  }

  bool OpenGate(Pod& pod, Timestamp now) const {
    GateVerdict verdict = JudgeGate(requests_[pod.work].policy, pod.came, now, *snapshot_);
    pod.regions = std::move(verdict.regions);
    return verdict.open;
  }

  void JudgeGates(Timestamp now) {
    std::vector<Pod> still;
    for (Pod& pod : gated_) {
      if (!OpenGate(pod, now)) {
        still.push_back(std::move(pod));
        continue;
      }
      if (pod.counted) outcome_.gated_for = outcome_.gated_for + Hours(InHours(now - pod.came));
      pod.queued = now;
      Queue(std::move(pod), now);
    }
    gated_ = std::move(still);
  }

  void Queue(Pod pod, Timestamp now) {
    if (TryToPlace(pod, now)) return;
    pod.waits = true;
    if (pod.counted) ++outcome_.queued;
    pending_.push_back(std::move(pod));
  }

  // Pods end, and what they leave is offered to those that wait for room.
  void AdvanceTo(Timestamp time) {
    while (!ends_.empty() && ends_.top().time <= time) {
      const End end = ends_.top();
      ends_.pop();
      Take(end.work, end.node, -1);
      auto& of_work = nodes_of_work_[end.work];
      of_work.erase(std::find(of_work.begin(), of_work.end(), end.node));
      for (auto pod = pending_.begin(); pod != pending_.end();) {
        const bool fits = IsOfItsRegions(*pod, world_.pool_of_node()[Index(end.node)]) &&
                          HasRoom(requests_[pod->work].pod.requests, nodes_[Index(end.node)]);
        pod = fits && TryToPlace(*pod, end.time) ? pending_.erase(pod) : pod + 1;
      }
    }
  }

  // By pool: whether its nodes keep the limits of the work, and its gate's regions.
  const std::vector<bool>& AllowedFor(std::size_t work) {
    std::vector<bool>& allowed = allowed_[work];
    if (!allowed.empty()) return allowed;
    const std::size_t pools = world_.scenario().pools.size();
    allowed.assign(pools, true);
    if (!requests_[work].policy.limits.Any()) return allowed;
    std::vector<std::int32_t> all(pools);
    std::iota(all.begin(), all.end(), 0);
    Decide(requests_[work], *snapshot_, all, decision_);
    LimitCheck check(requests_[work].policy.limits, requests_[work], decision_, *snapshot_);
    for (const Candidate& candidate : decision_.candidates)
      allowed[Index(candidate.node)] = !check.Of(candidate);
    return allowed;
  }

  bool IsOfItsRegions(const Pod& pod, std::int32_t pool) const {
    if (pod.regions.empty()) return true;
    const std::string& region = world_.scenario().pools[Index(pool)].facts.region;
    return std::find(pod.regions.begin(), pod.regions.end(), region) != pod.regions.end();
  }

  // Those that kube-scheduler finds, beginning where it left off.
  void FindCandidates(const Pod& pod) {
    candidates_.clear();
    const auto count = static_cast<std::int64_t>(nodes_.size());
    if (count == 0) return;
    const std::int64_t wanted = NodesToFind(count, variant_.percent_of_nodes);
    const std::vector<bool>& allowed = AllowedFor(pod.work);
    const std::size_t pools = allowed.size();
    may_use_.assign(pools, 0);
    for (std::size_t pool = 0; pool < pools; ++pool)
      may_use_[pool] =
          allowed[pool] && IsOfItsRegions(pod, static_cast<std::int32_t>(pool)) ? 1 : 0;
    const Resources& requests = requests_[pod.work].pod.requests;
    std::int64_t& node = next_start_;
    for (std::int64_t looked = 0;
         looked < count && static_cast<std::int64_t>(candidates_.size()) < wanted; ++looked) {
      if (may_use_[Index(world_.pool_of_node()[Index(node)])] != 0 &&
          HasRoom(requests, nodes_[Index(node)]))
        candidates_.push_back(static_cast<std::int32_t>(node));
      if (++node == count) node = 0;
    }
  }

  // Scores depend on the best candidate alone, and the nodes of a pool are alike: one of each pool
  // that has a candidate is asked about.
  void AddScores(std::size_t work) {
    const std::size_t pools = world_.scenario().pools.size();
    score_of_pool_.assign(pools, -1);
    asked_.clear();
    for (const std::int32_t node : candidates_) {
      const std::int32_t pool = world_.pool_of_node()[Index(node)];
      if (score_of_pool_[Index(pool)] == -1) asked_.push_back(pool);
      score_of_pool_[Index(pool)] = 0;
    }
    Decide(requests_[work], *snapshot_, asked_, decision_);
    for (const Candidate& candidate : decision_.candidates)
      score_of_pool_[Index(candidate.node)] = candidate.score;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const std::int32_t pool = world_.pool_of_node()[Index(candidates_[i])];
      scores_[i] += variant_.weight * kPointsPerStep * score_of_pool_[Index(pool)];
    }
  }

  void AddSpread(std::size_t work) {
    // The first of them finds all nodes alike.
    if (nodes_of_work_[work].empty()) return;
    for (const std::int32_t node : nodes_of_work_[work]) {
      ++on_node_[Index(node)];
      ++on_zone_[Index(nodes_[Index(node)].zone)];
    }
    TopologySpread(candidates_, nodes_, on_node_, on_zone_, spread_);
    for (const std::int32_t node : nodes_of_work_[work]) {
      on_node_[Index(node)] = 0;
      on_zone_[Index(nodes_[Index(node)].zone)] = 0;
    }
    for (std::size_t i = 0; i < scores_.size(); ++i) scores_[i] += kSpreadWeight * spread_[i];
  }

  // The last to be added, as it takes the longest: who is further behind than it can bring comes
  // first in no case.
  void AddFitAndBalance(const Resources& requests) {
    constexpr std::int64_t kMost = (kFitWeight + kBalanceWeight) * kMaxNodeScore;
    const std::int64_t least = *std::max_element(scores_.begin(), scores_.end()) - kMost;
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      if (scores_[i] < least) continue;
      const NodeUse& node = nodes_[Index(candidates_[i])];
      scores_[i] += kFitWeight * LeastAllocated(requests, node) +
                    kBalanceWeight * BalancedAllocation(requests, node);
    }
  }

  bool TryToPlace(const Pod& pod, Timestamp now) {
    FindCandidates(pod);
    if (candidates_.empty()) return false;
    scores_.assign(candidates_.size(), 0);
    const Work& work = world_.scenario().work[pod.work];
    if (work.kind == WorkKind::kService) AddSpread(pod.work);
    if (variant_.sobre) AddScores(pod.work);
    AddFitAndBalance(requests_[pod.work].pod.requests);
    const std::int32_t node = candidates_[PickHighest(scores_, random_)];
    Take(pod.work, node, 1);
    nodes_of_work_[pod.work].push_back(node);
    ends_.push({now + work.runs, sequence_++, pod.work, node});
    Account(pod.work, node, now, now + work.runs);
    if (pod.counted) {
      ++outcome_.placed;
      ++place_of_pool_[Index(world_.pool_of_node()[Index(node)])]->pods;
      if (pod.waits) outcome_.queued_for = outcome_.queued_for + Hours(InHours(now - pod.queued));
    }
    return true;
  }

  void Take(std::size_t work, std::int32_t node, std::int64_t sign) {
    const auto add = [sign](Resources& sum, const Resources& part) {
      sum.millicpu += sign * part.millicpu;
      sum.memory_bytes += sign * part.memory_bytes;
      sum.gpus += sign * part.gpus;
      sum.gpu_slices += sign * part.gpu_slices;
    };
    NodeUse& use = nodes_[Index(node)];
    const Resources& requests = requests_[work].pod.requests;
    add(use.requested, requests);
    add(use.nonzero, NonZero(requests));
    use.pods += sign;
  }

  // What the pod takes in each hour that it runs, as the hour was.
  void Account(std::size_t work_index, std::int32_t node, Timestamp from, Timestamp to) {
    const Scenario& scenario = world_.scenario();
    const Work& work = scenario.work[work_index];
    const std::int32_t pool = world_.pool_of_node()[Index(node)];
    const Rates& rates = world_.RatesOn(work_index, pool);
    Place& place = *place_of_pool_[Index(pool)];
    const auto first = static_cast<std::int64_t>((from - scenario.start) / kHour);
    for (std::int64_t hour = first; hour < scenario.hours; ++hour) {
      const Timestamp begin = scenario.start + hour * kHour;
      if (begin >= to) break;
      const Hours ran(InHours(std::min(to, begin + kHour) - std::max(from, begin)));
      Figures part;
      part.energy = rates.power * ran;
      part.operational = part.energy * world_.IntensityOf(pool, hour);
      part.embodied = rates.embodied * ran;
      const KilowattHours added = rates.added * ran;
      part.added = added * world_.IntensityOf(pool, hour);
      part.marginal = added * world_.MarginalOf(pool, hour);
      part.euros = world_.PriceOf(pool, hour) * rates.price_share * ran;
      part.reserved = VcpuHours(static_cast<double>(work.requests.millicpu) / 1000 * ran.value());
      if (work.kind == WorkKind::kService && work.requests_per_second > 0) {
        part.requests = Units(work.requests_per_second * 3600 * ran.value());
        part.grams_of_requests = part.grams();
        part.euros_of_requests = part.euros;
      }
      hours_[Index(hour)] += part;
      if (hour < scenario.warm_up_hours) continue;
      place.reserved = place.reserved + part.reserved;
      place.grams = place.grams + part.grams();
    }
  }

  const World& world_;
  const Variant& variant_;
  Random random_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<NodeUse> nodes_;
  std::vector<DecisionRequest> requests_;                 // by work
  std::vector<std::vector<std::int32_t>> nodes_of_work_;  // where its pods run
  std::vector<std::vector<bool>> allowed_;                // by work and pool; empty: not judged yet
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
  std::uint64_t sequence_ = 0;
  std::size_t next_work_ = 0;
  std::int64_t next_start_ = 0;
  std::vector<Pod> gated_;
  std::vector<Pod> pending_;  // in the order in which they came
  std::vector<Figures> hours_;
  std::map<std::string, Place> places_;
  std::vector<Place*> place_of_pool_;
  Outcome outcome_;
  // Room to work in.
  Decision decision_;
  std::vector<char> may_use_;  // by pool; read for every node, and a byte is read faster than a bit
  std::vector<std::int32_t> candidates_;
  std::vector<std::int32_t> asked_;
  std::vector<std::int64_t> score_of_pool_;
  std::vector<std::int64_t> scores_;
  std::vector<std::int64_t> spread_;
  std::vector<std::int32_t> on_node_;
  std::vector<std::int32_t> on_zone_;
};

}  // namespace

Figures& Figures::operator+=(const Figures& other) {
  energy = energy + other.energy;
  operational = operational + other.operational;
  embodied = embodied + other.embodied;
  added = added + other.added;
  marginal = marginal + other.marginal;
  euros = euros + other.euros;
  reserved = reserved + other.reserved;
  requests = requests + other.requests;
  grams_of_requests = grams_of_requests + other.grams_of_requests;
  euros_of_requests = euros_of_requests + other.euros_of_requests;
  return *this;
}

Backtest Replay(const Scenario& scenario,
                const std::function<void(std::int64_t done, std::int64_t of)>& progress) {
  const World world(scenario);
  std::deque<Play> plays;
  for (const Variant& variant : scenario.variants) plays.emplace_back(world, variant);
  for (std::int64_t hour = 0; hour < scenario.hours; ++hour) {
    std::map<Duration, std::shared_ptr<const Snapshot>> by_age;
    for (std::size_t i = 0; i < plays.size(); ++i) {
      auto& snapshot = by_age[scenario.variants[i].signal_age];
      if (!snapshot) snapshot = world.SnapshotAt(hour, scenario.variants[i].signal_age);
      plays[i].Step(hour, snapshot);
    }
    if (progress) progress(hour + 1, scenario.hours);
  }
  Backtest backtest;
  backtest.notes = world.notes();
  for (Play& play : plays) backtest.outcomes.push_back(play.Finish());
  backtest.warnings = WarningsAbout(scenario, world.grids(), backtest.outcomes);
  return backtest;
}

}  // namespace sobre::backtest
