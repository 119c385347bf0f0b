#include "scoring/evidence.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

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
// Of the processors alone: those with few threads are clocked higher, each draws less of many.
constexpr double kMostWattsOfSmallProcessors = 350;
constexpr double kMostWattsPerThread = 12;
// What a known board may draw beyond its maximum for moments, and what meters are off.
constexpr double kBoardSlack = 1.15;
// By so much a whole may be below its parts, as they are not read at one moment.
constexpr double kPartsSlack = 1.1;
// A price further from what list prices make of the machine is none, or that of something else.
constexpr double kLeastShareOfEstimate = 0.1;
constexpr double kLeastShareOfEstimateOfSpot = 0.05;
constexpr double kMostOfEstimate = 10;
// How many nodes that are not there are named.
constexpr std::size_t kNamedStrangers = 3;

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
// The same in the value's own currency.
std::string UnitText(const Observation& seen) {
  const std::string text = UnitText(InfoOf(seen.signal));
  constexpr std::string_view kEuros = " EUR";
  return seen.currency.empty() || !text.starts_with(kEuros)
             ? text
             : " " + Printable(seen.currency, 8) + text.substr(kEuros.size());
}

// Whether both are of clusters that one label tells apart.
bool AreOfTwoClusters(const Observation& a, const Observation& b) {
  if (a.cluster.empty() || b.cluster.empty() || a.cluster == b.cluster) return false;
  const std::size_t end = a.cluster.find('=') + 1;
  return a.cluster.compare(0, end, b.cluster, 0, end) == 0;
}

bool Differ(const Observation& a, const Observation& b) {
  const double larger = std::max(std::abs(a.value), std::abs(b.value));
  return std::abs(a.value - b.value) > std::max(kDisagreement * larger, InfoOf(a.signal).noise);
}

bool IsOfOneTeller(const Observation& a, const Observation& b) {
  return a.source == b.source && a.rank == b.rank;
}

std::string Listed(const std::set<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : std::string(between)) + word;
  return text;
}

// The first few of all, whatever their order.
void Keep(std::set<std::string>& names, std::string name) {
  names.insert(std::move(name));
  if (names.size() > kNamedStrangers) names.erase(std::prev(names.end()));
}

// An ensemble, or a model that calls others (BLS): what its steps count are its own requests.
bool CallsOthers(std::string_view model) {
  const std::string name = ToLower(model);
  return name.find("ensemble") != std::string::npos || name.ends_with("_bls") ||
         name.ends_with("-bls");
}

// Of models of one server that may be steps of one request. Where some are ensembles by name they
// count alone; of models with equal rates one does.
double RequestsOf(std::vector<std::pair<std::string_view, double>> rates) {
  const bool called = std::any_of(rates.begin(), rates.end(), [](const auto& rate) {
    return rate.second > 0 && CallsOthers(rate.first);
  });
  if (called) std::erase_if(rates, [](const auto& rate) { return !CallsOthers(rate.first); });
  std::sort(rates.begin(), rates.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  constexpr double kEqual = 1.05;
  double sum = 0;
  double last = 0;
  for (const auto& [model, rate] : rates) {
    if (rate <= last * kEqual) continue;
    sum += rate;
    last = rate;
  }
  return sum;
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
  const double vcpus = static_cast<double>(node.facts->allocatable.millicpu) / 1000.0;
  if (vcpus <= 0) return general;
  const double machine = vcpus / node.share_of_machine.value();
  const double lowest = std::max(general.lowest, kLeastWattsPerVcpu * vcpus);
  const double highest =
      signal == Signal::kNodeCpuPower
          ? kMostWattsOfSmallProcessors + kMostWattsPerThread * machine
          : kMostWattsOfTheRest + kMostWattsPerVcpu * machine + kMostWattsPerGpu * MostGpus(node);
  return {lowest, std::min(general.highest, highest)};
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

std::optional<Sourced<EurosPerHour>> EstimateOf(const SnapshotInput& input,
                                                const NodeRecord& node) {
  const auto prices = input.catalog->PricesOf(node.facts->provider);
  const Resources& size = node.facts->allocatable;
  if (!prices || size.millicpu <= 0 || !node.PartsKnown()) return std::nullopt;
  const auto vcpu = EurosFor(input.rates, prices->value.vcpu.currency);
  const auto gigabyte = EurosFor(input.rates, prices->value.gigabyte.currency);
  const auto gpu = EurosFor(input.rates, prices->value.gpu.currency);
  if (!vcpu || !gigabyte || !gpu) return std::nullopt;
  return Sourced<EurosPerHour>{
      EurosPerHour(prices->value.vcpu.amount * vcpu->value *
                       (static_cast<double>(size.millicpu) / 1000.0) +
                   prices->value.gigabyte.amount * gigabyte->value *
                       (static_cast<double>(size.memory_bytes) / 1e9) +
                   prices->value.gpu.amount * gpu->value * node.gpus.value()),
      "estimate: " + prices->source + vcpu->source, input.time, Method::kEstimated};
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
  DropAmbiguous();
  DropContradictions();
  DropWholesBelowParts();
  DropPods();
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
    if (!facts.region.empty()) regions_.emplace(facts.provider, ToLower(facts.region));
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

void Evidence::SetAside(const Observation& seen, Fate fate, std::string why, std::string hint) {
  const std::size_t what = static_cast<std::size_t>(fate);
  ++tallies_[Index(seen.signal)].count[what];
  Example& example = examples_[Index(seen.signal)][what];
  // The first by what is said of it: the order in which they came must not matter.
  if (example.seen != nullptr &&
      std::pair(SubjectOf(seen), why) >= std::pair(SubjectOf(*example.seen), example.why))
    return;
  example = {&seen, std::move(why), std::move(hint)};
}

void Evidence::SetBehind(const Observation& seen, const Observation& best) {
  if (IsOfOneTeller(seen, best)) {
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
    SetAside(seen, Fate::kImplausible, "implausible: " + FormatNumber(seen.value) + UnitText(seen),
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
  if (info.subject == Subject::kNode) {
    Strangers& strangers = strangers_[seen.signal];
    ++strangers.count;
    Keep(strangers.names, SubjectOf(seen));
    Keep(strangers.sources, Printable(seen.source, 63));
    if (!seen.cluster.empty()) Keep(strangers.clusters, Printable(seen.cluster, 63));
  }
  SetAside(seen, Fate::kUnmatched, UnmatchedReason(info.subject));
}

bool Evidence::TakeNode(const Observation& seen) {
  const std::int32_t index = NodeOf(seen.node);
  if (index == Snapshot::kUnknownNode) return false;
  const auto at = static_cast<std::size_t>(index);
  const NodeRecord& node = nodes_[at];
  if (IsPower(seen.signal)) {
    if (std::string why = WhyNotPower(seen, node); !why.empty()) {
      const SignalInfo& info = InfoOf(seen.signal);
      SetAside(
          seen, Fate::kImplausible, std::move(why),
          UnitHint(info, seen.value, PowerBounds(seen.signal, node, {info.lowest, info.highest})));
      return true;
    }
  }
  if (seen.signal == Signal::kNodePrice || seen.signal == Signal::kNodeEffectivePrice) {
    if (std::string why = WhyNotPrice(seen, node); !why.empty()) {
      SetAside(seen, Fate::kImplausible, std::move(why));
      return true;
    }
  }
  if (!seen.cluster.empty()) own_clusters_.insert(seen.cluster);
  const Observation*& slot = by_node_[at][Index(seen.signal)];
  if (slot == nullptr || Supersedes(seen, *slot)) slot = &seen;
  joined_.push_back({&seen, &slot});
  return true;
}

std::string Evidence::WhyNotPower(const Observation& seen, const NodeRecord& node) const {
  const SignalInfo& info = InfoOf(seen.signal);
  const std::string watts = ": " + FormatNumber(seen.value) + " W";
  if (seen.signal == Signal::kNodeGpuPower) {
    if (node.gpus <= Gpus(0)) return "";
    const double boards = std::max(1.0, node.gpus.value());
    const std::string of = "implausible for " + FormatSignificant(boards, 3) + " ";
    // What was calibrated is no maximum.
    const auto board = input_.catalog->GpuOf(node.facts->gpu_model);
    if (board && seen.value > kBoardSlack * board->value.full.value() * boards)
      return of + board->value.model + ", of which each draws " +
             FormatSignificant(board->value.full.value(), 3) + " W at most" + watts;
    return seen.value > kMostWattsPerGpu * boards ? of + "accelerators" + watts : "";
  }
  if (PowerBounds(seen.signal, node, {info.lowest, info.highest}).Hold(seen.value)) return "";
  const bool processors = seen.signal == Signal::kNodeCpuPower;
  return "implausible for " + std::string(processors ? "the processors of " : "") + SizeOf(node) +
         watts;
}

std::string Evidence::WhyNotPrice(const Observation& seen, const NodeRecord& node) const {
  const auto estimate = EstimateOf(input_, node);
  if (!estimate || estimate->value <= EurosPerHour(0)) return "";
  const double euros = seen.value * EurosFor(input_.rates, seen.currency)->value;
  const double share = euros / estimate->value.value();
  const bool spot = seen.spot || node.facts->spot;
  if (share >= (spot ? kLeastShareOfEstimateOfSpot : kLeastShareOfEstimate) &&
      share <= kMostOfEstimate)
    return "";
  return "implausible: " + FormatSignificant(seen.value, 4) + UnitText(seen) +
         ", where list prices of its parts make " + FormatSignificant(estimate->value.value(), 3) +
         " EUR/h";
}

bool Evidence::TakePlace(const Observation& seen) {
  Place place{seen.signal, seen.ahead, {}, {}, {}};
  if (std::string region = ToLower(seen.region);
      !region.empty() && regions_.contains(std::pair(seen.provider, region))) {
    place.provider = seen.provider;
    place.region = std::move(region);
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

template <class Judge>
bool Evidence::DropIf(Fate fate, const Judge& judge) {
  std::unordered_set<const Observation**> lost;
  std::erase_if(joined_, [&](const Joined& joined) {
    std::string why = judge(joined);
    if (why.empty()) return false;
    SetAside(*joined.seen, fate, std::move(why));
    lost.insert(joined.slot);
    return true;
  });
  if (lost.empty()) return false;
  for (const Observation** slot : lost) *slot = nullptr;
  for (const Joined& joined : joined_) {
    if (lost.contains(joined.slot) &&
        (*joined.slot == nullptr || Supersedes(*joined.seen, **joined.slot)))
      *joined.slot = joined.seen;
  }
  std::erase_if(by_pod_, [](const auto& entry) { return entry.second == nullptr; });
  std::erase_if(by_place_, [](const auto& entry) { return entry.second == nullptr; });
  return true;
}

// Nodes, or pods, of one name in two clusters: which is ours nobody can say.
void Evidence::DropAmbiguous() {
  std::unordered_map<const Observation**, std::set<std::string>> clusters;
  for (const Joined& joined : joined_) {
    if (InfoOf(joined.seen->signal).subject == Subject::kPlace ||
        !AreOfTwoClusters(*joined.seen, **joined.slot))
      continue;
    clusters[joined.slot].insert(
        {Printable(joined.seen->cluster, 63), Printable((*joined.slot)->cluster, 63)});
  }
  if (clusters.empty()) return;
  DropIf(Fate::kAmbiguous, [&](const Joined& joined) {
    const auto found = clusters.find(joined.slot);
    return found == clusters.end()
               ? std::string()
               : "of one name in several clusters: " + Listed(found->second, ", ");
  });
}

void Evidence::DropContradictions() {
  // The next best source may contradict itself too.
  while (DropContradictionsOfTheBest()) {
  }
}

// One source that says two things of one machine: of two chassis, say, of which one has others too.
bool Evidence::DropContradictionsOfTheBest() {
  struct Range {
    const Observation* best;
    double highest;
  };
  std::unordered_map<const Observation**, Range> found;
  for (const Joined& joined : joined_) {
    const Observation& best = **joined.slot;
    if (!IsPower(best.signal) || !IsOfOneTeller(*joined.seen, best) || !Differ(*joined.seen, best))
      continue;
    Range& range = found.try_emplace(joined.slot, Range{&best, best.value}).first->second;
    range.highest = std::max(range.highest, joined.seen->value);
  }
  if (found.empty()) return false;
  return DropIf(Fate::kImplausible, [&](const Joined& joined) {
    const auto slot = found.find(joined.slot);
    if (slot == found.end() || !IsOfOneTeller(*joined.seen, *slot->second.best))
      return std::string();
    return "implausible: " + Printable(joined.seen->source, 63) + " says " +
           FormatSignificant(slot->second.best->value, 4) + " and " +
           FormatSignificant(slot->second.highest, 4) + " W of one machine";
  });
}

// Processors and accelerators measure themselves; a machine's meter that says less is wrong.
std::string Evidence::BelowItsParts(const Observation& seen) const {
  if (seen.signal != Signal::kNodePower) return "";
  const auto& slots = by_node_[static_cast<std::size_t>(NodeOf(seen.node))];
  if (slots[Index(Signal::kNodePower)] != &seen) return "";
  const Observation* processors = slots[Index(Signal::kNodeCpuPower)];
  const Observation* accelerators = slots[Index(Signal::kNodeGpuPower)];
  const double parts = (processors != nullptr ? processors->value : 0) +
                       (accelerators != nullptr ? accelerators->value : 0);
  if (parts <= seen.value * kPartsSlack + InfoOf(seen.signal).noise) return "";
  return "implausible: " + FormatSignificant(seen.value, 4) + " W of a machine whose " +
         (accelerators == nullptr ? "processors"
          : processors == nullptr ? "accelerators"
                                  : "processors and accelerators") +
         " alone draw " + FormatSignificant(parts, 4) + " W";
}

void Evidence::DropWholesBelowParts() {
  // The next best may be below them too.
  while (DropIf(Fate::kImplausible,
                [&](const Joined& joined) { return BelowItsParts(*joined.seen); })) {
  }
}

// Where nothing measures the node, as on most virtual machines, exporters say 0 W of its pods, or
// what a model of theirs makes of them. No pod draws more than the processors that it runs on.
std::string Evidence::WhyNotPod(const Observation& seen) const {
  const std::int32_t index = find_(pods_.find(seen.namespace_name + "/" + seen.pod)->second->node);
  const auto measured = [&](Signal signal) -> const Observation* {
    if (index == Snapshot::kUnknownNode) return nullptr;
    const Observation* of_node = by_node_[static_cast<std::size_t>(index)][Index(signal)];
    return of_node != nullptr && of_node->method == Method::kMeasured ? of_node : nullptr;
  };
  const Observation* processors = measured(Signal::kNodeCpuPower);
  const Observation* whole = processors != nullptr ? processors : measured(Signal::kNodePower);
  if (whole == nullptr) return "of a pod on a node whose own power nobody measures";
  if (seen.value <= whole->value * kPartsSlack + InfoOf(seen.signal).noise) return "";
  return "implausible: " + FormatSignificant(seen.value, 4) + " W of a pod on a " +
         (processors != nullptr ? "node whose processors draw " : "machine that draws ") +
         FormatSignificant(whole->value, 4) + " W";
}

void Evidence::DropPods() {
  if (by_pod_.empty()) return;
  DropIf(Fate::kImplausible, [&](const Joined& joined) {
    return InfoOf(joined.seen->signal).subject == Subject::kPod ? WhyNotPod(*joined.seen)
                                                                : std::string();
  });
}

// What the pod does, as its series, its label or its name say.
Evidence::Role Evidence::RoleOf(const Observation& seen, const PodPlacement& pod) {
  for (const std::string_view said :
       {std::string_view(seen.role), std::string_view(pod.serving_role),
        std::string_view(pod.workload), std::string_view(pod.name)}) {
    const std::string text = ToLower(said);
    const bool prefill = text.find("prefill") != std::string::npos;
    const bool decode = text.find("decode") != std::string::npos;
    if (prefill != decode) return prefill ? Role::kPrefill : Role::kDecode;
    if (prefill || text == "both") return Role::kWhole;
  }
  return Role::kWhole;
}

bool Evidence::TakeMeasurement(const Observation& seen) {
  std::int32_t hardware_class =
      seen.hardware_class.empty() ? Measurement::kAnyClass : ClassIndex(seen.hardware_class);
  if (!seen.hardware_class.empty() && hardware_class == Measurement::kAnyClass) return false;
  std::string workload = seen.workload;
  Role role = Role::kWhole;
  if (!seen.pod.empty()) {
    const auto found = pods_.find(seen.namespace_name + "/" + seen.pod);
    if (found == pods_.end()) return false;
    workload = found->second->workload;
    if (const std::int32_t node = find_(found->second->node);
        seen.hardware_class.empty() && node != Snapshot::kUnknownNode)
      hardware_class = nodes_[static_cast<std::size_t>(node)].hardware_class;
    role = RoleOf(seen, *found->second);
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
      held.values.push_back({&seen, value, role});
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
  if (role != Role::kWhole) {
    Sharing& sharing = sharing_[seen.model];
    (role == Role::kPrefill ? sharing.prefill : sharing.decode)
        .insert(seen.namespace_name + "/" + seen.pod);
  }
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
    if (seen.currency != best.currency || !Differ(seen, best)) continue;
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
  const auto replica = [](const Value& value) {
    return std::tie(value.seen->namespace_name, value.seen->workload, value.seen->pod,
                    value.seen->model);
  };
  for (auto& [key, held] : held_) {
    // One replica counts once by model; of one that is told twice, the newest.
    std::sort(held.values.begin(), held.values.end(), [&](const Value& a, const Value& b) {
      if (replica(a) != replica(b)) return replica(a) < replica(b);
      return std::tie(b.seen->time, a.value) < std::tie(a.seen->time, b.value);
    });
    const bool adds =
        key.signal == Signal::kWorkloadRequests || key.signal == Signal::kWorkloadTokens;
    // Counted once, where the value was first held.
    const auto is_first = [&key = key](const Observation& seen) {
      return key.source.empty() &&
             (InfoOf(seen.signal).subject == Subject::kModel || !key.of_model);
    };
    std::vector<Value> used;
    for (auto first = held.values.begin(); first != held.values.end();) {
      const auto end = std::find_if(first, held.values.end(), [&](const Value& value) {
        return replica(value) != replica(*first);
      });
      // Not each value names its cluster.
      const auto named =
          std::find_if(first, end, [](const Value& value) { return !value.seen->cluster.empty(); });
      const auto other = std::find_if(named, end, [&](const Value& value) {
        return AreOfTwoClusters(*value.seen, *named->seen);
      });
      bool taken = false;
      for (auto at = first; at != end; ++at) {
        const Observation& seen = *at->seen;
        const auto sharing = sharing_.find(seen.model);
        if (other != end) {
          if (is_first(seen))
            SetAside(
                seen, Fate::kAmbiguous,
                "of one name in several clusters: " + Listed({Printable(named->seen->cluster, 63),
                                                              Printable(other->seen->cluster, 63)},
                                                             ", "));
        } else if (adds && at->role == Role::kPrefill && sharing->second.is_split()) {
          if (is_first(seen))
            SetAside(seen, Fate::kSuperseded,
                     "of a prefill pod, whose requests its decode pods count");
        } else if (!taken && IsOfOneTeller(seen, *held.best)) {
          taken = true;
          used.push_back(*at);
          if (is_first(seen)) Use(seen);
        } else if (is_first(seen)) {
          SetBehind(seen, *held.best);
        }
      }
      first = end;
    }
    if (!used.empty())
      measured_.emplace(key, Measured{Mean(key, used, adds), held.best->source, held.best->time,
                                      held.best->method});
  }
}

// What a replica serves of several models adds up; joules of each are a value of their own.
double Evidence::Mean(const MeasuredKey& key, const std::vector<Value>& used, bool adds) const {
  const auto replica = [](const Value& value) {
    return std::tie(value.seen->namespace_name, value.seen->workload, value.seen->pod);
  };
  double sum = 0;
  std::int64_t count = 0;
  for (auto first = used.begin(); first != used.end();) {
    const auto end = std::find_if(
        first, used.end(), [&](const Value& value) { return replica(value) != replica(*first); });
    std::vector<std::pair<std::string_view, double>> steps;
    for (auto at = first; at != end; ++at) {
      if (adds && at->seen->may_be_step) {
        steps.emplace_back(at->seen->model, at->value);
      } else {
        sum += at->value;
      }
    }
    sum += RequestsOf(std::move(steps));
    count += adds ? 1 : end - first;
    first = end;
  }
  double mean = sum / static_cast<double>(count);
  // Pods that prefill cost as much as those that decode, and have a part in each request.
  const auto sharing = key.of_model && adds ? sharing_.find(key.name) : sharing_.end();
  if (sharing != sharing_.end() && sharing->second.is_split()) {
    const auto decode = static_cast<double>(sharing->second.decode.size());
    mean *= decode / (decode + static_cast<double>(sharing->second.prefill.size()));
  }
  return mean;
}

// Where another unit explains the value: a preset knows its unit, and a source that is right about
// others has the right one.
std::string Evidence::HintOf(const Example& example) const {
  if (example.hint.empty() || example.seen->broad) return "";
  const bool right_about_others =
      std::any_of(joined_.begin(), joined_.end(), [&](const Joined& joined) {
        return joined.seen->signal == example.seen->signal &&
               IsOfOneTeller(*joined.seen, *example.seen);
      });
  return right_about_others ? "" : example.hint;
}

void Evidence::DescribeStrangers(std::size_t signal) {
  const auto found = strangers_.find(SignalAt(signal));
  if (found == strangers_.end()) return;
  const Strangers& strangers = found->second;
  std::string text = std::to_string(strangers.count) +
                     (strangers.count == 1 ? " value" : " values") + " from " +
                     Listed(strangers.sources, ", ") + " of no known node (for example " +
                     Listed(strangers.names, ", ") + ")";
  std::set<std::string> others;
  for (const std::string& cluster : strangers.clusters)
    if (!own_clusters_.contains(cluster)) others.insert(cluster);
  if (!others.empty() && !own_clusters_.empty())
    text += ", of another cluster: " + Listed(others, ", ") + " beside " +
            Printable(Listed(own_clusters_, ", "), 200);
  tallies_[signal].strangers = std::move(text);
}

void Evidence::Describe() {
  for (std::size_t i = 0; i < kSignalCount; ++i) {
    for (std::size_t fate = 0; fate < kFateCount; ++fate) {
      const Example& example = examples_[i][fate];
      if (example.seen == nullptr) continue;
      const bool unmatched = static_cast<Fate>(fate) == Fate::kUnmatched;
      // Of other clusters' nodes, or of places without a node: counted, and nothing to speak of in
      // each decision.
      if (unmatched && !strictly_unmatched_[i] && tallies_[i].of(Fate::kUsed) > 0) {
        DescribeStrangers(i);
        continue;
      }
      const auto strangers = unmatched ? strangers_.find(SignalAt(i)) : strangers_.end();
      const std::int64_t number = tallies_[i].count[fate];
      tallies_[i].said[fate] =
          std::string(ToString(SignalAt(i))) + ": " + std::to_string(number) +
          (number == 1 ? " value" : " values") + " set aside, " + example.why + HintOf(example) +
          " (for example " +
          (strangers == strangers_.end() ? SubjectOf(*example.seen)
                                         : Listed(strangers->second.names, ", ")) +
          ")";
      tallies_[i].teller[fate] = {example.seen->source, example.seen->broad};
    }
  }
}

const Observation* Evidence::OfPlace(const NodeRecord& node, Signal signal) const {
  const auto find = [&](const Place& place) {
    const auto found = by_place_.find(place);
    return found == by_place_.end() ? nullptr : found->second;
  };
  const Duration now(0);
  if (const Observation* seen =
          find({signal, now, node.facts->provider, ToLower(node.facts->region), {}}))
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
                           EqualsIgnoreCase(place.region, node.facts->region);
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
