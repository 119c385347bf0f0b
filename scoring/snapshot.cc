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
    {Signal::kNodePrice, "node_price_per_hour", "EUR/h", 0, 10'000},
    {Signal::kGridIntensity, "grid_gco2e_per_kwh", "gCO2e/kWh", 0, 2'000},
    {Signal::kElectricityPrice, "electricity_price_per_kwh", "EUR/kWh", -10, 10},
    {Signal::kWorkloadRequests, "workload_requests_per_second", "1/s", 1e-9, 1e9},
    {Signal::kWorkloadTokens, "workload_tokens_per_second", "1/s", 1e-9, 1e9},
    {Signal::kModelRequests, "model_requests_per_second", "1/s", 1e-9, 1e9},
    {Signal::kModelTokens, "model_tokens_per_second", "1/s", 1e-9, 1e9},
    {Signal::kWorkloadJoulesPerRequest, "workload_joules_per_request", "J", 0, 1e9},
    {Signal::kWorkloadJoulesPerToken, "workload_joules_per_token", "J", 0, 1e9},
    {Signal::kGridForecast, "grid_forecast_gco2e_per_kwh", "gCO2e/kWh", 0, 2'000},
}};

constexpr std::size_t Index(Signal signal) { return static_cast<std::size_t>(signal); }

// Clocks differ a little between machines; a value from further ahead is not believed.
constexpr Duration kToleratedClockSkew = std::chrono::minutes(2);
// A measurement that would scale the profile by more than this is taken for a fault.
constexpr double kLargestCalibration = 4.0;

std::string Subject(const Observation& seen) {
  if (!seen.node.empty()) return Printable(seen.node, 63);
  if (!seen.workload.empty()) return Printable(seen.namespace_name + "/" + seen.workload, 63);
  if (!seen.model.empty()) return Printable(seen.model, 63);
  if (!seen.region.empty()) return Printable(seen.provider + " " + seen.region, 63);
  return Printable(seen.zone, 63);
}

// The key of what one source measured.
std::string OfSource(std::string_view name, std::string_view source) {
  return std::string(name) + "\n" + std::string(source);
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

std::string SignalNames() {
  std::string names;
  for (const SignalInfo& info : kSignals)
    names += (names.empty() ? "" : ", ") + std::string(info.name);
  return names;
}

std::string_view ToString(PowerBasis basis) {
  switch (basis) {
    case PowerBasis::kWorldDefault:
      return "world default";
    case PowerBasis::kProviderDefault:
      return "provider default";
    case PowerBasis::kInstanceType:
      return "instance type";
    case PowerBasis::kCalibrated:
      return "calibrated";
    case PowerBasis::kMeasuredJoules:
      return "measured joules";
  }
  return "";
}

class SnapshotBuilder {
 public:
  explicit SnapshotBuilder(SnapshotInput input) : input_(std::move(input)) {}

  std::shared_ptr<const Snapshot> Build() {
    snapshot_->time_ = input_.time;
    snapshot_->catalog_ = input_.catalog;
    snapshot_->catalog_version_ = input_.catalog->version();
    snapshot_->rates_ = input_.rates;
    snapshot_->notes_ = std::move(input_.problems);
    AddNodes();
    for (const Observation& seen : input_.observations) Take(seen);
    for (std::size_t i = 0; i < snapshot_->nodes_.size(); ++i) Complete(i);
    for (auto& [key, held] : measured_) Keep(key, held);
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
    const Observation* foreign = nullptr;
    const Observation* unmatched = nullptr;
  };

  void AddNodes() {
    std::sort(input_.nodes.begin(), input_.nodes.end(),
              [](const auto& a, const auto& b) { return a->name < b->name; });
    std::vector<std::string> classes;
    for (std::shared_ptr<const NodeFacts>& facts : input_.nodes) {
      NodeRecord& node = snapshot_->nodes_.emplace_back();
      node.facts = std::move(facts);
      classes.push_back(AddHardware(node));
      AddPlace(node);
    }
    auto& known = snapshot_->hardware_classes_;
    known = classes;
    std::sort(known.begin(), known.end());
    known.erase(std::unique(known.begin(), known.end()), known.end());
    for (std::size_t i = 0; i < classes.size(); ++i)
      snapshot_->nodes_[i].hardware_class = ClassIndex(classes[i]);
    snapshot_->IndexNames();
    signals_.resize(snapshot_->nodes_.size());
  }

  [[nodiscard]] std::int32_t ClassIndex(const std::string& name) const {
    const auto& known = snapshot_->hardware_classes_;
    const auto found = std::lower_bound(known.begin(), known.end(), name);
    if (found == known.end() || *found != name) return Measurement::kAnyClass;
    return static_cast<std::int32_t>(found - known.begin());
  }

  // Power, embodied emissions and price weights; returns the hardware class.
  std::string AddHardware(NodeRecord& node) const {
    const NodeFacts& facts = *node.facts;
    auto [host, match] = input_.catalog->HostOf(facts.provider, facts.instance_type);
    node.idle = host.value.idle;
    node.slope = host.value.full - host.value.idle;
    node.power_basis = match == ProfileMatch::kInstanceType ? PowerBasis::kInstanceType
                       : match == ProfileMatch::kProvider   ? PowerBasis::kProviderDefault
                                                            : PowerBasis::kWorldDefault;
    node.power_source = std::move(host.source);
    const double vcpus = static_cast<double>(facts.allocatable.millicpu) / 1000.0;
    const double gigabytes = static_cast<double>(facts.allocatable.memory_bytes) / 1e9;
    if (const double machine = host.value.host_vcpus.value(); machine > vcpus)
      node.share_of_machine = Fraction(vcpus / machine);
    auto gpu = input_.catalog->GpuOf(facts.gpu_model);
    const std::int64_t slices = gpu ? gpu->value.slices : 7;
    node.gpus =
        Gpus(static_cast<double>(facts.allocatable.gpus) /
                 static_cast<double>(std::max<std::int64_t>(facts.gpu_replicas, 1)) +
             static_cast<double>(facts.allocatable.gpu_slices) / static_cast<double>(slices));
    std::string hardware_class = !facts.hardware_class.empty() ? facts.hardware_class
                                 : gpu                         ? gpu->value.model
                                 : !facts.gpu_model.empty()    ? facts.gpu_model
                                                               : host.value.processor;
    if (gpu) {
      node.gpu_embodied = input_.catalog->EmbodiedOf(gpu->value.model);
      node.gpu = std::move(gpu->value);
    }
    constexpr double kLargeMemoryGigabytesPerVcpu = 12;
    const bool large_memory = gigabytes > vcpus * kLargeMemoryGigabytesPerVcpu;
    node.server_embodied = input_.catalog->EmbodiedOf(node.gpus > Gpus(0) ? "server-large-compute"
                                                      : large_memory      ? "server-large-memory"
                                                                          : "server");
    // The proportions of list prices, whatever their currency.
    if (const auto prices = input_.catalog->PricesOf(facts.provider)) {
      const double cpu = prices->value.vcpu.amount * vcpus;
      const double memory = prices->value.gigabyte.amount * gigabytes;
      const double all = cpu + memory + prices->value.gpu.amount * node.gpus.value();
      if (all > 0) {
        node.cpu_price_share = Fraction(cpu / all);
        node.memory_price_share = Fraction(memory / all);
        node.gpu_price_share = Fraction(prices->value.gpu.amount * node.gpus.value() / all);
      }
    }
    return hardware_class;
  }

  void AddPlace(NodeRecord& node) {
    const NodeFacts& facts = *node.facts;
    const Catalog& catalog = *input_.catalog;
    Published<Pue> pue = catalog.PueOf(facts.provider, facts.region);
    node.pue = pue.value;
    node.pue_exact = pue.exact;
    node.pue_source = std::move(pue.source);
    node.grid_zone = !facts.grid_zone.empty()
                         ? facts.grid_zone
                         : catalog.ZoneOf(facts.provider, facts.region).value_or("");
    if (const GridRow* grid = catalog.Grid(node.grid_zone))
      node.catalog_intensity = {grid->intensity.value, grid->intensity.source, input_.time};
    if (const auto market = catalog.MarketOf(facts.provider, facts.region))
      node.market_intensity = {market->value, market->source, input_.time};
    if (const auto price = catalog.ElectricityOf(facts.provider, facts.region))
      node.electricity = {price->value, price->source, input_.time};
    AddSovereignty(node);
    if (!node.grid_zone.empty()) zones_.emplace(node.grid_zone, false);
    if (!facts.region.empty()) regions_.emplace(std::pair(facts.provider, facts.region), false);
  }

  void AddSovereignty(NodeRecord& node) const {
    const NodeFacts& facts = *node.facts;
    const AttestedFacts& attested = facts.attested;
    Sovereignty& place = node.sovereignty;
    const bool trusted = input_.trust_node_labels;
    place.provider = !attested.provider.empty() || !trusted ? attested.provider : facts.provider;
    place.region = !attested.region.empty() || !trusted ? attested.region : facts.region;
    place.country = attested.country;
    place.operator_name = attested.operator_name;
    place.exposure = ParseExposure(attested.exposure);
    place.certifications = attested.certifications;
    if (place.region.empty() || place.provider.empty()) return;
    if (place.country.empty()) {
      // A bidding zone begins with its country.
      place.country =
          input_.catalog->ZoneOf(place.provider, place.region).value_or("").substr(0, 2);
    }
    const auto offer = input_.catalog->OfferOf(place.provider, place.region);
    if (!offer) return;
    if (place.operator_name.empty()) place.operator_name = offer->value.operator_name;
    if (!place.exposure && attested.exposure.empty()) place.exposure = offer->value.exposure;
  }

  // Euros for one unit of the currency, and how that is known.
  [[nodiscard]] std::optional<Published<double>> EurosFor(const std::string& currency) const {
    if (currency.empty() || currency == "EUR") return Published<double>{1, "", true};
    for (const CurrencyRate& rate : input_.rates) {
      if (rate.currency == currency) {
        return Published<double>{
            rate.euros,
            ", at " + FormatNumber(rate.euros) + " EUR per " + currency + " of " + rate.date, true};
      }
    }
    return std::nullopt;
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
    if (!EurosFor(seen.currency)) {
      set_aside(count.foreign, examples.foreign);
      return;
    }
    if (!TakeAny(seen)) {
      set_aside(count.unmatched, examples.unmatched);
      return;
    }
    ++count.used;
  }

  bool TakeAny(const Observation& seen) {
    switch (seen.signal) {
      case Signal::kNodePower:
      case Signal::kNodeCpuUtilization:
      case Signal::kNodePrice:
        return TakeNode(seen);
      case Signal::kGridIntensity:
        return TakePlace(seen, grid_);
      case Signal::kElectricityPrice:
        return TakePlace(seen, electricity_);
      case Signal::kGridForecast:
        return TakePlace(seen, forecasts_[seen.ahead]);
      default:
        return TakeMeasurement(seen);
    }
  }

  // Of a workload or a model, on a hardware class that some node has.
  bool TakeMeasurement(const Observation& seen) {
    const std::int32_t index =
        seen.hardware_class.empty() ? Measurement::kAnyClass : ClassIndex(seen.hardware_class);
    if (!seen.hardware_class.empty() && index == Measurement::kAnyClass) return false;
    // Joules say nothing of other hardware.
    if ((seen.signal == Signal::kWorkloadJoulesPerRequest ||
         seen.signal == Signal::kWorkloadJoulesPerToken) &&
        index == Measurement::kAnyClass)
      return false;
    const bool of_model =
        seen.signal == Signal::kModelRequests || seen.signal == Signal::kModelTokens;
    if (of_model ? seen.model.empty() : seen.workload.empty() || seen.namespace_name.empty())
      return false;
    const std::string name = of_model ? seen.model : seen.namespace_name + "/" + seen.workload;
    for (const std::string& key : {name, OfSource(name, seen.source)}) {
      const Observation*& held = measured_[{of_model, key, index, seen.signal}];
      if (held == nullptr || Supersedes(seen, *held)) held = &seen;
    }
    return true;
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

  struct ByPlace {
    std::map<std::pair<std::string, std::string>, const Observation*> region;
    std::map<std::string, const Observation*> zone;

    [[nodiscard]] const Observation* Find(const NodeRecord& node) const {
      if (const auto found = region.find({node.facts->provider, node.facts->region});
          found != region.end())
        return found->second;
      const auto found = zone.find(node.grid_zone);
      return found == zone.end() ? nullptr : found->second;
    }
  };

  bool TakePlace(const Observation& seen, ByPlace& places) {
    const Observation** held = nullptr;
    if (!seen.region.empty()) {
      const std::pair key(seen.provider, seen.region);
      if (!regions_.contains(key)) return false;
      held = &places.region[key];
    } else {
      if (!zones_.contains(seen.zone)) return false;
      held = &places.zone[seen.zone];
    }
    if (*held == nullptr || Supersedes(seen, **held)) *held = &seen;
    return true;
  }

  void Complete(std::size_t index) {
    NodeRecord& node = snapshot_->nodes_[index];
    const NodeSignals& signals = signals_[index];
    if (signals.price != nullptr) {
      const auto rate = EurosFor(signals.price->currency);
      node.price = {EurosPerHour(signals.price->value * rate->value),
                    signals.price->source + rate->source, signals.price->time};
    } else {
      EstimatePrice(node);
    }
    if (signals.power != nullptr) {
      node.measured_power = {Watts(signals.power->value), signals.power->source,
                             signals.power->time};
    }
    if (signals.power != nullptr && signals.utilization != nullptr) {
      Calibrate(*signals.power, *signals.utilization, node);
    }
    if (const Observation* grid = grid_.Find(node))
      node.live_intensity = {GramsPerKwh(grid->value), grid->source, grid->time};
    for (const auto& [ahead, places] : forecasts_) {
      if (const Observation* seen = places.Find(node))
        node.forecast.push_back({seen->time + ahead, GramsPerKwh(seen->value)});
    }
    if (const Observation* price = electricity_.Find(node)) {
      const auto rate = EurosFor(price->currency);
      node.electricity = {EurosPerKwh(price->value * rate->value), price->source + rate->source,
                          price->time};
    }
  }

  // From list prices of the parts, where their currency can be converted.
  void EstimatePrice(NodeRecord& node) const {
    const auto prices = input_.catalog->PricesOf(node.facts->provider);
    if (!prices || node.facts->allocatable.millicpu <= 0) return;
    const auto vcpu = EurosFor(prices->value.vcpu.currency);
    const auto gigabyte = EurosFor(prices->value.gigabyte.currency);
    const auto gpu = EurosFor(prices->value.gpu.currency);
    if (!vcpu || !gigabyte || !gpu) return;
    const Resources& size = node.facts->allocatable;
    node.price = {EurosPerHour(prices->value.vcpu.amount * vcpu->value *
                                   (static_cast<double>(size.millicpu) / 1000.0) +
                               prices->value.gigabyte.amount * gigabyte->value *
                                   (static_cast<double>(size.memory_bytes) / 1e9) +
                               prices->value.gpu.amount * gpu->value * node.gpus.value()),
                  "estimate: " + prices->source + vcpu->source, input_.time};
    node.price_estimated = true;
  }

  struct MeasuredKey {
    bool of_model;
    std::string name;
    std::int32_t hardware_class;
    Signal signal;
    auto operator<=>(const MeasuredKey&) const = default;
  };

  // Keys come in order, so the values of one class follow each other.
  void Keep(const MeasuredKey& key, const Observation* seen) {
    Measurements& measurements =
        (key.of_model ? snapshot_->models_ : snapshot_->workloads_)[key.name];
    if (measurements.empty() || measurements.back().hardware_class != key.hardware_class) {
      measurements.emplace_back().hardware_class = key.hardware_class;
      measurements.back().source = seen->source;
    }
    Measurement& of_class = measurements.back();
    switch (key.signal) {
      case Signal::kWorkloadRequests:
      case Signal::kModelRequests:
        of_class.requests = UnitsPerHour(seen->value * 3600);
        break;
      case Signal::kWorkloadTokens:
      case Signal::kModelTokens:
        of_class.tokens = UnitsPerHour(seen->value * 3600);
        break;
      case Signal::kWorkloadJoulesPerRequest:
        of_class.joules_per_request = JoulesPerUnit(seen->value);
        break;
      case Signal::kWorkloadJoulesPerToken:
        of_class.joules_per_token = JoulesPerUnit(seen->value);
        break;
      default:
        break;
    }
  }

  // One point on the node's own line: the measured watts at the measured load scale the profile.
  static void Calibrate(const Observation& power, const Observation& utilization,
                        NodeRecord& node) {
    const double vcpus = static_cast<double>(node.facts->allocatable.millicpu) / 1000.0;
    // Accelerators draw from the same plug: no CPU line can be read off such a node.
    if (vcpus <= 0 || node.facts->allocatable.UsesGpu()) return;
    const Watts expected = node.idle * Vcpus(vcpus) + node.slope * Vcpus(vcpus * utilization.value);
    if (expected <= Watts(0)) return;
    const double scale = Watts(power.value) / expected;
    if (scale > kLargestCalibration || scale < 1 / kLargestCalibration) return;
    node.slope = node.slope * scale;
    node.idle = node.idle * scale;
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
      if (count.foreign > 0) {
        note(count.foreign, examples.foreign,
             "in " + Printable(examples.foreign->currency, 8) +
                 ", for which no rate to euros is configured");
      }
      note(count.unmatched, examples.unmatched, UnmatchedReason(info.signal));
    }
    DescribeCoverage();
  }

  static const char* UnmatchedReason(Signal signal) {
    switch (signal) {
      case Signal::kNodePower:
      case Signal::kNodeCpuUtilization:
      case Signal::kNodePrice:
        return "of no known node";
      case Signal::kGridIntensity:
      case Signal::kElectricityPrice:
      case Signal::kGridForecast:
        return "of no region that has a node";
      default:
        return "without a name, or of a hardware class that no node has";
    }
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
    const auto estimated = std::count_if(nodes.begin(), nodes.end(),
                                         [](const NodeRecord& n) { return n.price_estimated; });
    if (estimated > 0) {
      const auto example = std::find_if(nodes.begin(), nodes.end(),
                                        [](const NodeRecord& n) { return n.price_estimated; });
      snapshot_->notes_.push_back("price estimated for " + std::to_string(estimated) + " of " +
                                  std::to_string(nodes.size()) + " nodes (for example " +
                                  example->facts->name + ": " + example->price->source + ")");
    }
    describe("grid intensity", [](const NodeRecord& n) {
      return n.catalog_intensity.has_value() || n.live_intensity.has_value();
    });
  }

  SnapshotInput input_;
  std::shared_ptr<Snapshot> snapshot_{new Snapshot};
  std::vector<NodeSignals> signals_;
  std::map<std::pair<std::string, std::string>, bool> regions_;
  std::map<std::string, bool> zones_;
  ByPlace grid_;
  ByPlace electricity_;
  std::map<Duration, ByPlace> forecasts_;
  std::map<MeasuredKey, const Observation*> measured_;
  std::array<Examples, kSignalCount> examples_;
};

std::shared_ptr<const Snapshot> Snapshot::Build(SnapshotInput input) {
  return SnapshotBuilder(std::move(input)).Build();
}

namespace {

const Measurements& FindIn(const std::map<std::string, Measurements, std::less<>>& all,
                           std::string_view key) {
  static const Measurements kNone;
  const auto found = all.find(key);
  return found == all.end() ? kNone : found->second;
}

}  // namespace

const Measurements& Snapshot::OfWorkload(std::string_view namespace_name, std::string_view workload,
                                         std::string_view source) const {
  if (workloads_.empty()) return FindIn(workloads_, {});
  const std::string name = std::string(namespace_name) + "/" + std::string(workload);
  return FindIn(workloads_, source.empty() ? name : OfSource(name, source));
}

std::optional<double> Snapshot::EurosFor(std::string_view currency) const {
  if (currency.empty() || currency == "EUR") return 1;
  for (const CurrencyRate& rate : rates_) {
    if (rate.currency == currency) return rate.euros;
  }
  return std::nullopt;
}

const Measurements& Snapshot::OfModel(std::string_view model, std::string_view source) const {
  return source.empty() ? FindIn(models_, model) : FindIn(models_, OfSource(model, source));
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
