#include "scoring/evidence.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace sobre {
namespace {

// Clocks differ a little between machines; a value from further ahead is not believed.
constexpr Duration kToleratedClockSkew = std::chrono::minutes(2);
// Two sources that differ by more than this share of the larger value disagree.
constexpr double kDisagreement = 0.3;

// What a machine can draw at all: a server idles above the first, and stays below the second.
constexpr double kLeastWattsPerVcpu = 0.05;
constexpr double kMostWattsPerVcpu = 50;
constexpr double kMostWattsOfTheRest = 500;
constexpr double kMostWattsPerGpu = 1500;
constexpr double kMostGpusPerMachine = 16;

std::string SubjectOf(const Observation& seen) {
  if (!seen.node.empty()) return Printable(seen.node, 63);
  if (!seen.workload.empty()) return Printable(seen.namespace_name + "/" + seen.workload, 63);
  if (!seen.pod.empty()) return Printable("pod " + seen.namespace_name + "/" + seen.pod, 63);
  if (!seen.model.empty()) return Printable(seen.model, 63);
  if (!seen.region.empty()) return Printable(seen.provider + " " + seen.region, 63);
  if (!seen.zone.empty()) return Printable(seen.zone, 63);
  return "one without a name";
}

// The best rank wins, then the newest, then any fixed order.
bool Supersedes(const Observation& a, const Observation& b) {
  if (a.rank != b.rank) return a.rank < b.rank;
  return std::tie(a.time, b.source, b.value, b.currency, b.method, b.of_all_replicas) >
         std::tie(b.time, a.source, a.value, a.currency, a.method, a.of_all_replicas);
}

struct Bounds {
  double lowest;
  double highest;
  [[nodiscard]] bool Hold(double value) const {
    return std::isfinite(value) && value >= lowest && value <= highest;
  }
};

// " W", and nothing for a share.
std::string UnitText(const SignalInfo& info) {
  return info.unit == "1" ? "" : " " + std::string(info.unit);
}

// "; 250 W would be plausible: is it in mW?" where another unit explains the value, or nothing.
std::string UnitHint(const SignalInfo& info, double value, const Bounds& bounds) {
  struct Mistake {
    std::string_view of_unit;
    double factor;
    std::string_view unit;
  };
  constexpr std::array<Mistake, 4> kMistakes = {{
      {"W", 1e-3, "mW"},
      {"W", 1e-6, "uW"},
      {"W", 1e3, "kW"},
      {"1", 0.01, "%"},
  }};
  for (const Mistake& mistake : kMistakes) {
    // A value of a few units in place of a fraction may be anything.
    if (mistake.of_unit != info.unit || value <= bounds.lowest / 10 ||
        !bounds.Hold(value * mistake.factor))
      continue;
    return "; " + FormatSignificant(value * mistake.factor, 3) + UnitText(info) +
           " would be plausible: is it in " + std::string(mistake.unit) + "?";
  }
  return "";
}

// As many accelerators as it may have.
double MostGpus(const NodeRecord& node) {
  if (node.PartsKnown()) return node.gpus.value();
  return std::max(kMostGpusPerMachine, static_cast<double>(node.facts->allocatable.gpus));
}

Bounds PowerBounds(Signal signal, const NodeRecord& node, const Bounds& general) {
  const double gpus = MostGpus(node);
  if (signal == Signal::kNodeGpuPower) {
    if (gpus <= 0) return general;
    return {general.lowest, kMostWattsPerGpu * std::max(1.0, gpus)};
  }
  const double vcpus = static_cast<double>(node.facts->allocatable.millicpu) / 1000.0;
  if (vcpus <= 0) return general;
  const double machine = vcpus / node.share_of_machine.value();
  return {std::max(general.lowest, kLeastWattsPerVcpu * vcpus),
          std::min(general.highest,
                   kMostWattsOfTheRest + kMostWattsPerVcpu * machine + kMostWattsPerGpu * gpus)};
}

std::string SizeOf(const NodeRecord& node) {
  std::string text =
      FormatSignificant(static_cast<double>(node.facts->allocatable.millicpu) / 1000.0, 4) +
      " vCPU";
  if (node.gpus > Gpus(0)) {
    text += " and " + FormatSignificant(node.gpus.value(), 3) + " accelerators";
  }
  return text;
}

const char* UnmatchedReason(Subject subject) {
  switch (subject) {
    case Subject::kNode:
      return "of no known node";
    case Subject::kPlace:
      return "of no region that has a node";
    case Subject::kPod:
      return "of no running pod";
    default:
      return "without a name, of no running pod, or of a hardware class that no node has";
  }
}

bool IsPower(Signal signal) {
  return signal == Signal::kNodePower || signal == Signal::kNodeCpuPower ||
         signal == Signal::kNodeGpuPower;
}

}  // namespace

std::optional<Published<double>> EurosFor(const std::vector<CurrencyRate>& rates,
                                          std::string_view currency) {
  if (currency.empty() || currency == "EUR") return Published<double>{1, "", true};
  for (const CurrencyRate& rate : rates) {
    if (rate.currency == currency) {
      return Published<double>{
          rate.euros,
          ", at " + FormatNumber(rate.euros) + " EUR per " + rate.currency + " of " + rate.date,
          true};
    }
  }
  return std::nullopt;
}

Evidence::Evidence(const SnapshotInput& input, const std::vector<NodeRecord>& nodes,
                   const std::vector<std::string>& hardware_classes,
                   std::function<std::int32_t(std::string_view)> find)
    : input_(input),
      nodes_(nodes),
      hardware_classes_(hardware_classes),
      find_(std::move(find)),
      by_node_(nodes.size()) {
  IndexNames();
  for (const Observation& seen : input.observations) Take(seen);
  for (const auto& batch : input.batches)
    for (const Observation& seen : *batch) Take(seen);
  DropPodsOfUnmeasuredNodes();
  Compare();
  FinishMeasurements();
  Describe();
}

void Evidence::IndexNames() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const NodeFacts& facts = *nodes_[i].facts;
    for (const std::string& address : facts.addresses)
      addresses_.emplace(address, static_cast<std::int32_t>(i));
    if (!nodes_[i].grid_zone.empty()) zones_.insert(nodes_[i].grid_zone);
    if (!facts.region.empty()) regions_.emplace(facts.provider, facts.region);
  }
  // There may be many pods: they are indexed only where something was measured of one.
  const auto of_a_pod = [](const Observation& seen) {
    return !seen.pod.empty() || seen.of_all_replicas;
  };
  const auto any = [&](const std::vector<Observation>& batch) {
    return std::any_of(batch.begin(), batch.end(), of_a_pod);
  };
  if (!any(input_.observations) && std::none_of(input_.batches.begin(), input_.batches.end(),
                                                [&](const auto& batch) { return any(*batch); }))
    return;
  for (const auto& pod : input_.pods) {
    pods_.emplace(pod->namespace_name + "/" + pod->name, pod.get());
    ++replicas_[pod->namespace_name + "/" + pod->workload];
  }
}

// "node-1", "node-1:9100", "10.0.0.7:9100" and "[fd00::7]:9100" all name a node.
std::int32_t Evidence::NodeOf(const std::string& name) const {
  if (const std::int32_t index = find_(name); index != Snapshot::kUnknownNode) return index;
  std::string_view host = name;
  if (const std::size_t colon = host.rfind(':');
      colon != std::string_view::npos && (host.find(':') == colon || host.starts_with('[')))
    host = host.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (const auto found = addresses_.find(host); found != addresses_.end()) return found->second;
  return find_(host);
}

std::int32_t Evidence::ClassIndex(const std::string& name) const {
  const auto found = std::lower_bound(hardware_classes_.begin(), hardware_classes_.end(), name);
  if (found == hardware_classes_.end() || *found != name) return Measurement::kAnyClass;
  return static_cast<std::int32_t>(found - hardware_classes_.begin());
}

void Evidence::SetAside(const Observation& seen, Fate fate, std::string why) {
  const std::size_t what = static_cast<std::size_t>(fate);
  ++tallies_[Index(seen.signal)].count[what];
  Example& example = examples_[Index(seen.signal)][what];
  // The first by what is said of it: the order in which they came must not matter.
  if (example.seen != nullptr &&
      std::pair(SubjectOf(seen), why) >= std::pair(SubjectOf(*example.seen), example.why))
    return;
  example = {&seen, std::move(why)};
}

void Evidence::SetBehind(const Observation& seen, const Observation& best) {
  if (seen.source == best.source && seen.rank == best.rank) {
    SetAside(seen, Fate::kDuplicate, "said twice by " + Printable(seen.source, 63));
  } else {
    SetAside(seen, Fate::kSuperseded,
             Printable(best.source, 63) + " is believed instead of " + Printable(seen.source, 63));
  }
}

void Evidence::Use(const Observation& seen) {
  SignalTally& tally = tallies_[Index(seen.signal)];
  ++tally.count[static_cast<std::size_t>(Fate::kUsed)];
  tally.oldest = std::min(tally.oldest.value_or(seen.time), seen.time);
  tally.newest = std::max(tally.newest.value_or(seen.time), seen.time);
}

void Evidence::Take(const Observation& seen) {
  const SignalInfo& info = InfoOf(seen.signal);
  const Bounds bounds{info.lowest, info.highest};
  if (!bounds.Hold(seen.value)) {
    SetAside(seen, Fate::kImplausible,
             "implausible: " + FormatNumber(seen.value) + UnitText(info) +
                 UnitHint(info, seen.value, bounds));
    return;
  }
  if (seen.reset) {
    SetAside(seen, Fate::kReset, "their counter began anew a moment ago");
    return;
  }
  const Duration age = input_.time - seen.time;
  const Duration most = seen.max_age > Duration(0) ? seen.max_age : info.max_age;
  if (age > most || age < -kToleratedClockSkew) {
    SetAside(seen, Fate::kStale,
             age < Duration(0) ? FormatAge(-age) + " in the future"
                               : FormatAge(age) + " old, over the limit of " + FormatAge(most));
    return;
  }
  if (!EurosFor(input_.rates, seen.currency)) {
    SetAside(seen, Fate::kForeign,
             "in " + Printable(seen.currency, 8) + ", for which no rate to euros is configured");
    return;
  }
  const bool joined = info.subject == Subject::kNode    ? TakeNode(seen)
                      : info.subject == Subject::kPlace ? TakePlace(seen)
                      : info.subject == Subject::kPod   ? TakePod(seen)
                                                        : TakeMeasurement(seen);
  if (joined) return;
  if (!seen.broad && info.subject != Subject::kPlace)
    strictly_unmatched_[Index(seen.signal)] = true;
  SetAside(seen, Fate::kUnmatched, UnmatchedReason(info.subject));
}

bool Evidence::TakeNode(const Observation& seen) {
  const std::int32_t index = NodeOf(seen.node);
  if (index == Snapshot::kUnknownNode) return false;
  const auto at = static_cast<std::size_t>(index);
  if (IsPower(seen.signal)) {
    const SignalInfo& info = InfoOf(seen.signal);
    const Bounds bounds = PowerBounds(seen.signal, nodes_[at], {info.lowest, info.highest});
    if (!bounds.Hold(seen.value)) {
      SetAside(seen, Fate::kImplausible,
               "implausible for " + SizeOf(nodes_[at]) + ": " + FormatNumber(seen.value) + " W" +
                   UnitHint(info, seen.value, bounds));
      return true;
    }
  }
  const Observation*& slot = by_node_[at][Index(seen.signal)];
  if (slot == nullptr || Supersedes(seen, *slot)) slot = &seen;
  joined_.push_back({&seen, &slot});
  return true;
}

bool Evidence::TakePlace(const Observation& seen) {
  Place place{seen.signal, seen.ahead, {}, {}, {}};
  if (!seen.region.empty() && regions_.contains(std::pair(seen.provider, seen.region))) {
    place.provider = seen.provider;
    place.region = seen.region;
  } else {
    place.zone = input_.catalog->ZoneOfCode(seen.zone);
    if (!zones_.contains(place.zone)) return false;
  }
  const Observation*& slot = by_place_[place];
  if (slot == nullptr || Supersedes(seen, *slot)) slot = &seen;
  joined_.push_back({&seen, &slot});
  return true;
}

bool Evidence::TakePod(const Observation& seen) {
  const auto found = pods_.find(seen.namespace_name + "/" + seen.pod);
  if (found == pods_.end()) return false;
  const Observation*& slot = by_pod_[found->second];
  if (slot == nullptr || Supersedes(seen, *slot)) slot = &seen;
  joined_.push_back({&seen, &slot});
  return true;
}

// Where nothing measures the node, as on most virtual machines, exporters say 0 W of its pods, or
// what a model of theirs makes of them.
void Evidence::DropPodsOfUnmeasuredNodes() {
  if (by_pod_.empty()) return;
  const auto measured = [&](std::int32_t node, Signal signal) {
    const Observation* seen = by_node_[static_cast<std::size_t>(node)][Index(signal)];
    return seen != nullptr && seen->method == Method::kMeasured;
  };
  std::erase_if(joined_, [&](const Joined& joined) {
    const Observation& seen = *joined.seen;
    if (InfoOf(seen.signal).subject != Subject::kPod) return false;
    const std::int32_t node = find_(pods_.find(seen.namespace_name + "/" + seen.pod)->second->node);
    if (node != Snapshot::kUnknownNode &&
        (measured(node, Signal::kNodePower) || measured(node, Signal::kNodeCpuPower)))
      return false;
    SetAside(seen, Fate::kImplausible, "of a pod on a node whose own power nobody measures");
    return true;
  });
  std::erase_if(by_pod_, [&](const auto& entry) {
    const std::int32_t node = find_(entry.first->node);
    return node == Snapshot::kUnknownNode ||
           !(measured(node, Signal::kNodePower) || measured(node, Signal::kNodeCpuPower));
  });
}

bool Evidence::TakeMeasurement(const Observation& seen) {
  std::int32_t hardware_class =
      seen.hardware_class.empty() ? Measurement::kAnyClass : ClassIndex(seen.hardware_class);
  if (!seen.hardware_class.empty() && hardware_class == Measurement::kAnyClass) return false;
  std::string workload = seen.workload;
  if (!seen.pod.empty()) {
    const auto found = pods_.find(seen.namespace_name + "/" + seen.pod);
    if (found == pods_.end()) return false;
    workload = found->second->workload;
    if (const std::int32_t node = find_(found->second->node);
        seen.hardware_class.empty() && node != Snapshot::kUnknownNode)
      hardware_class = nodes_[static_cast<std::size_t>(node)].hardware_class;
  }
  Signal signal = seen.signal;
  if (signal == Signal::kModelRequests) signal = Signal::kWorkloadRequests;
  if (signal == Signal::kModelTokens) signal = Signal::kWorkloadTokens;
  // Joules say nothing of other hardware.
  if ((signal == Signal::kWorkloadJoulesPerRequest || signal == Signal::kWorkloadJoulesPerToken) &&
      hardware_class == Measurement::kAnyClass)
    return false;
  double value = seen.value;
  const std::string of_workload = seen.namespace_name + "/" + workload;
  if (seen.of_all_replicas) {
    const auto found = replicas_.find(of_workload);
    if (found == replicas_.end()) return false;
    value /= static_cast<double>(found->second);
  }
  const auto hold = [&](bool of_model, const std::string& name) {
    for (const std::string& source : {std::string(), seen.source}) {
      Held& held = held_[{of_model, name, source, hardware_class, signal}];
      held.values.emplace_back(&seen, value);
      if (held.best == nullptr || Supersedes(seen, *held.best)) held.best = &seen;
    }
  };
  const bool named = !workload.empty() && !seen.namespace_name.empty();
  if (InfoOf(seen.signal).subject == Subject::kWorkload && named) {
    hold(false, of_workload);
  } else if (seen.model.empty()) {
    return false;
  }
  if (!seen.model.empty()) hold(true, seen.model);
  return true;
}

// Now that the best of each is known: what became of the others.
void Evidence::Compare() {
  std::array<const Observation*, kSignalCount> examples{};
  for (const Joined& joined : joined_) {
    const Observation& seen = *joined.seen;
    const Observation& best = **joined.slot;
    if (&seen == &best) {
      Use(seen);
      continue;
    }
    SetBehind(seen, best);
    const double larger = std::max(std::abs(seen.value), std::abs(best.value));
    if (seen.currency != best.currency ||
        std::abs(seen.value - best.value) <=
            std::max(kDisagreement * larger, InfoOf(seen.signal).noise))
      continue;
    SignalTally& tally = tallies_[Index(seen.signal)];
    ++tally.disagreements;
    const Observation*& example = examples[Index(seen.signal)];
    if (example != nullptr &&
        std::pair(SubjectOf(*example), example->value) <= std::pair(SubjectOf(seen), seen.value))
      continue;
    example = &seen;
    tally.disagreement = SubjectOf(seen) + ": " + Printable(best.source, 63) + " says " +
                         FormatSignificant(best.value, 3) + ", " + Printable(seen.source, 63) +
                         " says " + FormatSignificant(seen.value, 3) +
                         UnitText(InfoOf(seen.signal));
  }
}

void Evidence::FinishMeasurements() {
  for (auto& [key, held] : held_) {
    // One replica counts once; of one that is told twice, the newest.
    const auto replica = [](const Observation& seen) {
      return std::tie(seen.namespace_name, seen.workload, seen.pod);
    };
    std::sort(held.values.begin(), held.values.end(), [&](const auto& a, const auto& b) {
      const auto whose = [&](const Observation& seen) {
        return std::tuple_cat(replica(seen), std::tie(seen.model));
      };
      if (whose(*a.first) != whose(*b.first)) return whose(*a.first) < whose(*b.first);
      return std::tie(b.first->time, a.second) < std::tie(a.first->time, b.second);
    });
    // What a replica serves of several models adds up; joules of each are a value of their own.
    const bool adds =
        key.signal == Signal::kWorkloadRequests || key.signal == Signal::kWorkloadTokens;
    double sum = 0;
    std::int64_t count = 0;
    const Observation* last = nullptr;
    for (const auto& [seen, value] : held.values) {
      const bool believed = seen->source == held.best->source && seen->rank == held.best->rank;
      const bool same = believed && last != nullptr && replica(*last) == replica(*seen);
      const bool used = believed && !(same && last->model == seen->model);
      if (used) {
        last = seen;
        sum += value;
        if (!same || !adds) ++count;
      }
      // Counted once, where the value was first held.
      const bool first_key =
          key.source.empty() && (InfoOf(seen->signal).subject == Subject::kModel || !key.of_model);
      if (!first_key) continue;
      if (used) {
        Use(*seen);
      } else {
        SetBehind(*seen, *held.best);
      }
    }
    measured_.emplace(key, Measured{sum / static_cast<double>(count), held.best->source,
                                    held.best->time, held.best->method});
  }
}

void Evidence::Describe() {
  for (std::size_t i = 0; i < kSignalCount; ++i) {
    for (std::size_t fate = 0; fate < kFateCount; ++fate) {
      const Example& example = examples_[i][fate];
      if (example.seen == nullptr) continue;
      // Of other clusters' nodes, or of places without a node: counted, and nothing to speak of.
      if (static_cast<Fate>(fate) == Fate::kUnmatched && !strictly_unmatched_[i] &&
          tallies_[i].of(Fate::kUsed) > 0)
        continue;
      const std::int64_t number = tallies_[i].count[fate];
      tallies_[i].said[fate] = std::string(ToString(SignalAt(i))) + ": " + std::to_string(number) +
                               (number == 1 ? " value" : " values") + " set aside, " + example.why +
                               " (for example " + SubjectOf(*example.seen) + ")";
    }
  }
}

const Observation* Evidence::OfPlace(const NodeRecord& node, Signal signal) const {
  const auto find = [&](const Place& place) {
    const auto found = by_place_.find(place);
    return found == by_place_.end() ? nullptr : found->second;
  };
  const Duration now(0);
  if (const Observation* seen = find({signal, now, node.facts->provider, node.facts->region, {}}))
    return seen;
  return find({signal, now, {}, {}, node.grid_zone});
}

std::vector<const Observation*> Evidence::ForecastsOf(const NodeRecord& node, Signal signal) const {
  std::map<Timestamp, const Observation*> by_time;
  const Place first{signal, Duration::min(), {}, {}, {}};
  for (auto at = by_place_.lower_bound(first); at != by_place_.end() && at->first.signal == signal;
       ++at) {
    const Place& place = at->first;
    const bool of_region = !place.region.empty() && place.provider == node.facts->provider &&
                           place.region == node.facts->region;
    const bool of_zone = place.region.empty() && place.zone == node.grid_zone;
    const Timestamp when = at->second->time + place.ahead;
    // What is said of the region itself has precedence.
    if (of_region) by_time[when] = at->second;
    if (of_zone) by_time.emplace(when, at->second);
  }
  std::vector<const Observation*> forecasts;
  forecasts.reserve(by_time.size());
  for (const auto& [when, seen] : by_time) forecasts.push_back(seen);
  return forecasts;
}

}  // namespace sobre
