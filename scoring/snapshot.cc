#include "scoring/snapshot.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <tuple>

#include "base/text.h"

namespace sobre {
namespace {

struct SignalInfo {
  Signal signal;
  std::string_view name;
  std::string_view unit;
  // Values outside are set aside: 0 W is what an exporter on a virtual machine says for "unknown".
  double lowest;
  double highest;
};
constexpr std::array<SignalInfo, kSignalCount> kSignals = {{
    {Signal::kNodePower, "node_watts", "W", 0.1, 50'000},
    {Signal::kNodeCpuUtilization, "node_cpu_utilization", "1", 0, 1.05},
    {Signal::kNodePrice, "node_eur_per_hour", "EUR/h", 0, 10'000},
    {Signal::kGridIntensity, "grid_gco2e_per_kwh", "gCO2e/kWh", 0, 2'000},
}};

constexpr std::size_t Index(Signal signal) { return static_cast<std::size_t>(signal); }

// Clocks differ a little between machines; a value from further ahead is not believed.
constexpr Duration kToleratedClockSkew = std::chrono::minutes(2);
// A measurement that would scale the profile by more than this is taken for a fault.
constexpr double kLargestCalibration = 4.0;

std::string Subject(const Observation& seen) {
  if (!seen.node.empty()) return Printable(seen.node, 63);
  if (!seen.region.empty()) return Printable(seen.provider + " " + seen.region, 63);
  return Printable(seen.zone, 63);
}

// The newest wins; then any fixed order, so that the order of the input never matters.
bool Supersedes(const Observation& a, const Observation& b) {
  return std::tie(a.time, b.source, b.value) > std::tie(b.time, a.source, a.value);
}

}  // namespace

std::string_view ToString(Signal signal) { return kSignals[Index(signal)].name; }
std::string_view UnitOf(Signal signal) { return kSignals[Index(signal)].unit; }

std::optional<Signal> ParseSignal(std::string_view name) {
  for (const SignalInfo& info : kSignals) {
    if (info.name == name) return info.signal;
  }
  return std::nullopt;
}

std::string_view ToString(PowerBasis basis) {
  switch (basis) {
    case PowerBasis::kWorldDefault:
      return "world default";
    case PowerBasis::kProviderDefault:
      return "provider default";
    case PowerBasis::kCalibrated:
      return "calibrated";
  }
  return "";
}

class SnapshotBuilder {
 public:
  explicit SnapshotBuilder(SnapshotInput input) : input_(std::move(input)) {}

  std::shared_ptr<const Snapshot> Build() {
    snapshot_->time_ = input_.time;
    snapshot_->catalog_version_ = input_.catalog->version();
    snapshot_->notes_ = std::move(input_.problems);
    AddNodes();
    for (const Observation& seen : input_.observations) Take(seen);
    for (std::size_t i = 0; i < snapshot_->nodes_.size(); ++i) Complete(i);
    DescribeSignals();
    return snapshot_;
  }

 private:
  struct NodeSignals {
    const Observation* power = nullptr;
    const Observation* utilization = nullptr;
    const Observation* price = nullptr;
  };
  struct Examples {
    const Observation* stale = nullptr;
    const Observation* implausible = nullptr;
    const Observation* unmatched = nullptr;
  };

  void AddNodes() {
    std::sort(input_.nodes.begin(), input_.nodes.end(),
              [](const auto& a, const auto& b) { return a->name < b->name; });
    for (std::shared_ptr<const NodeFacts>& facts : input_.nodes) {
      NodeRecord& node = snapshot_->nodes_.emplace_back();
      const Published<CpuPower> cpu = input_.catalog->CpuOf(facts->provider);
      node.slope = cpu.value.full - cpu.value.idle;
      node.power_basis = cpu.exact ? PowerBasis::kProviderDefault : PowerBasis::kWorldDefault;
      node.power_source = cpu.source;
      if (const auto gpu = input_.catalog->GpuOf(facts->gpu_model)) {
        node.gpu_slope = gpu->value.full - gpu->value.idle;
      }
      Published<Pue> pue = input_.catalog->PueOf(facts->provider, facts->region);
      node.pue = pue.value;
      node.pue_source = std::move(pue.source);
      node.grid_zone = !facts->grid_zone.empty()
                           ? facts->grid_zone
                           : input_.catalog->ZoneOf(facts->provider, facts->region).value_or("");
      if (const GridRow* grid = input_.catalog->Grid(node.grid_zone)) {
        node.catalog_intensity = {grid->intensity.value, grid->intensity.source, input_.time};
      }
      if (!node.grid_zone.empty()) zones_.emplace(node.grid_zone, false);
      if (!facts->region.empty())
        regions_.emplace(std::pair(facts->provider, facts->region), false);
      node.facts = std::move(facts);
    }
    snapshot_->IndexNames();
    signals_.resize(snapshot_->nodes_.size());
  }

  // Believes one observation, or counts why not.
  void Take(const Observation& seen) {
    const SignalInfo& info = kSignals[Index(seen.signal)];
    SignalCount& count = snapshot_->counts_[Index(seen.signal)];
    Examples& examples = examples_[Index(seen.signal)];
    const auto set_aside = [&](std::int64_t& counter, const Observation*& example) {
      ++counter;
      if (example == nullptr || Subject(seen) < Subject(*example)) example = &seen;
    };
    if (!std::isfinite(seen.value) || seen.value < info.lowest || seen.value > info.highest) {
      set_aside(count.implausible, examples.implausible);
      return;
    }
    const Duration age = input_.time - seen.time;
    if (age > input_.max_age[Index(seen.signal)] || age < -kToleratedClockSkew) {
      set_aside(count.stale, examples.stale);
      return;
    }
    if (!(seen.signal == Signal::kGridIntensity ? TakeGrid(seen) : TakeNode(seen))) {
      set_aside(count.unmatched, examples.unmatched);
      return;
    }
    ++count.used;
  }

  bool TakeNode(const Observation& seen) {
    const std::int32_t index = snapshot_->Find(seen.node);
    if (index == Snapshot::kUnknownNode) return false;
    NodeSignals& signals = signals_[static_cast<std::size_t>(index)];
    const Observation*& held = seen.signal == Signal::kNodePower            ? signals.power
                               : seen.signal == Signal::kNodeCpuUtilization ? signals.utilization
                                                                            : signals.price;
    if (held == nullptr || Supersedes(seen, *held)) held = &seen;
    return true;
  }

  bool TakeGrid(const Observation& seen) {
    const Observation** held = nullptr;
    if (!seen.region.empty()) {
      const std::pair key(seen.provider, seen.region);
      if (!regions_.contains(key)) return false;
      held = &by_region_[key];
    } else {
      if (!zones_.contains(seen.zone)) return false;
      held = &by_zone_[seen.zone];
    }
    if (*held == nullptr || Supersedes(seen, **held)) *held = &seen;
    return true;
  }

  void Complete(std::size_t index) {
    NodeRecord& node = snapshot_->nodes_[index];
    const NodeSignals& signals = signals_[index];
    if (signals.price != nullptr) {
      node.price = {EurosPerHour(signals.price->value), signals.price->source, signals.price->time};
    }
    if (signals.power != nullptr) {
      node.measured_power = {Watts(signals.power->value), signals.power->source,
                             signals.power->time};
    }
    if (signals.power != nullptr && signals.utilization != nullptr) {
      Calibrate(*signals.power, *signals.utilization, node);
    }
    const Observation* grid = nullptr;
    if (const auto found = by_region_.find({node.facts->provider, node.facts->region});
        found != by_region_.end()) {
      grid = found->second;
    } else if (const auto zone = by_zone_.find(node.grid_zone); zone != by_zone_.end()) {
      grid = zone->second;
    }
    if (grid != nullptr) node.live_intensity = {GramsPerKwh(grid->value), grid->source, grid->time};
  }

  // One point on the node's own line: the measured watts at the measured load scale the profile.
  void Calibrate(const Observation& power, const Observation& utilization, NodeRecord& node) const {
    const double vcpus = static_cast<double>(node.facts->allocatable.millicpu) / 1000.0;
    const CpuPower profile = input_.catalog->CpuOf(node.facts->provider).value;
    // Accelerators draw from the same plug: no CPU line can be read off such a node.
    if (vcpus <= 0 || node.facts->allocatable.gpus > 0) return;
    const Watts expected = profile.idle * Vcpus(vcpus) +
                           (profile.full - profile.idle) * Vcpus(vcpus * utilization.value);
    if (expected <= Watts(0)) return;
    const double scale = Watts(power.value) / expected;
    if (scale > kLargestCalibration || scale < 1 / kLargestCalibration) return;
    node.slope = (profile.full - profile.idle) * scale;
    node.power_basis = PowerBasis::kCalibrated;
    node.power_source = power.source + " at the load of " + utilization.source;
  }

  void DescribeSignals() {
    for (const SignalInfo& info : kSignals) {
      const SignalCount& count = snapshot_->counts_[Index(info.signal)];
      const Examples& examples = examples_[Index(info.signal)];
      const auto note = [&](std::int64_t number, const Observation* example,
                            const std::string& why) {
        if (number == 0) return;
        snapshot_->notes_.push_back(std::string(info.name) + ": " + std::to_string(number) +
                                    (number == 1 ? " value" : " values") + " set aside, " + why +
                                    " (for example " + Subject(*example) + ")");
      };
      if (count.stale > 0) {
        const Duration age = input_.time - examples.stale->time;
        note(count.stale, examples.stale,
             age < Duration(0) ? FormatAge(-age) + " in the future"
                               : FormatAge(age) + " old, over the limit of " +
                                     FormatAge(input_.max_age[Index(info.signal)]));
      }
      if (count.implausible > 0) {
        note(count.implausible, examples.implausible,
             "implausible: " + FormatNumber(examples.implausible->value) + " " +
                 std::string(info.unit));
      }
      note(count.unmatched, examples.unmatched,
           info.signal == Signal::kGridIntensity ? "of no region that has a node"
                                                 : "of no known node");
    }
    DescribeCoverage();
  }

  void DescribeCoverage() {
    const auto& nodes = snapshot_->nodes_;
    const auto describe = [&](const char* what,
                              const std::function<bool(const NodeRecord&)>& known) {
      const auto missing =
          std::count_if(nodes.begin(), nodes.end(), [&](const NodeRecord& n) { return !known(n); });
      if (missing == 0) return;
      const auto example =
          std::find_if(nodes.begin(), nodes.end(), [&](const NodeRecord& n) { return !known(n); });
      snapshot_->notes_.push_back(std::string(what) + " unknown for " + std::to_string(missing) +
                                  " of " + std::to_string(nodes.size()) + " nodes (for example " +
                                  example->facts->name + ")");
    };
    describe("price", [](const NodeRecord& n) { return n.price.has_value(); });
    describe("grid intensity", [](const NodeRecord& n) {
      return n.catalog_intensity.has_value() || n.live_intensity.has_value();
    });
  }

  SnapshotInput input_;
  std::shared_ptr<Snapshot> snapshot_{new Snapshot};
  std::vector<NodeSignals> signals_;
  std::map<std::pair<std::string, std::string>, bool> regions_;
  std::map<std::string, bool> zones_;
  std::map<std::pair<std::string, std::string>, const Observation*> by_region_;
  std::map<std::string, const Observation*> by_zone_;
  std::array<Examples, kSignalCount> examples_;
};

std::shared_ptr<const Snapshot> Snapshot::Build(SnapshotInput input) {
  return SnapshotBuilder(std::move(input)).Build();
}

void Snapshot::IndexNames() {
  std::size_t size = 16;
  while (size < nodes_.size() * 2) size *= 2;
  slots_.assign(size, kUnknownNode);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    std::size_t slot = std::hash<std::string_view>()(nodes_[i].facts->name) & (size - 1);
    while (slots_[slot] != kUnknownNode) slot = (slot + 1) & (size - 1);
    slots_[slot] = static_cast<std::int32_t>(i);
  }
}

std::int32_t Snapshot::Find(std::string_view name) const {
  if (slots_.empty()) return kUnknownNode;
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = std::hash<std::string_view>()(name) & mask;
  while (slots_[slot] != kUnknownNode) {
    if (nodes_[static_cast<std::size_t>(slots_[slot])].facts->name == name) return slots_[slot];
    slot = (slot + 1) & mask;
  }
  return kUnknownNode;
}

}  // namespace sobre
