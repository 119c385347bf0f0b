#include "scoring/snapshot.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "scoring/evidence.h"

namespace sobre {
namespace {

constexpr std::size_t kZoneLength = 63;
// So many are spoken of in notes; the doctor names the rest.
constexpr std::size_t kMostPlaces = 10;

}  // namespace

std::string AcceleratorKind(std::string_view model) { return "accelerator " + std::string(model); }

std::string_view ToString(PowerBoundary boundary) {
  return boundary == PowerBoundary::kWholeNode ? "whole node" : "processors";
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

namespace {

constexpr std::string_view kPartition = "-MIG-";
constexpr std::string_view kShared = "-SHARED";

bool HasIgnoringCase(std::string_view text, std::string_view part) {
  return ToLower(text).find(ToLower(part)) != std::string::npos;
}

// Whether what has the name of whole cards are slices of them.
bool IsOfSlices(const NodeFacts& facts) {
  const GpuSharing& said = facts.gpu_sharing;
  return HasIgnoringCase(facts.gpu_model, kPartition) || (said.mig_single && said.mig_slices);
}

// Why it is not known what an accelerator is that a pod asks for by name; empty where it is one
// card, or the share of one that labels say.
std::string WhyGpusAreUnknown(const NodeFacts& facts) {
  const Resources& size = facts.allocatable;
  const GpuSharing& said = facts.gpu_sharing;
  if (!size.UsesGpu()) {
    if (facts.gpu_model.empty() && said.count == 0) return {};
    return "its labels tell of accelerators, and it lists none that can be asked for by name";
  }
  if (said.of_nvidia && said.of_amd)
    return "it lists accelerators of two makers, and labels tell the model of one";
  if (size.gpus > 0 && IsOfSlices(facts))
    return "its MIG slices have the name of whole cards (strategy single)";
  if (!said.by.empty())
    return "its accelerators are divided in a way that is not counted (" + Printable(said.by) + ")";
  if (size.gpus == 0) return {};
  if (facts.gpu_replicas <= 1 && (said.shared || HasIgnoringCase(facts.gpu_model, kShared)))
    return "its accelerators are shared, and nvidia.com/gpu.replicas does not say by how many";
  if (said.count == 0) return {};
  const std::int64_t shares = said.count * facts.gpu_replicas;
  // Of whole cards some may be out of order, or divided into slices.
  const bool whole = facts.gpu_replicas <= 1 || size.gpu_slices > 0;
  if (whole ? size.gpus <= shares : size.gpus == shares) return {};
  return "it lists " + std::to_string(size.gpus) + " accelerators, where its labels say " +
         std::to_string(said.count) + " of " + std::to_string(facts.gpu_replicas) +
         (facts.gpu_replicas == 1 ? " share each" : " shares each");
}

}  // namespace

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
    const Evidence evidence(input_, snapshot_->nodes_, snapshot_->hardware_classes_,
                            [this](std::string_view name) { return snapshot_->Find(name); });
    for (std::size_t i = 0; i < snapshot_->nodes_.size(); ++i) Complete(i, evidence);
    for (const auto& [key, measured] : evidence.measured()) Keep(key, measured);
    for (const auto& [pod, seen] : evidence.of_pods()) {
      // An estimate is no better than ours.
      if (seen->method == Method::kMeasured)
        snapshot_->pod_power_.emplace(pod->namespace_name + "/" + pod->name, seen->value);
    }
    snapshot_->tallies_ = evidence.tallies();
    UseCommitments();
    DescribeSignals();
    snapshot_->profiles_ = NodeProfiles(snapshot_->nodes_);
    return snapshot_;
  }

 private:
  void AddNodes() {
    std::sort(input_.nodes.begin(), input_.nodes.end(),
              [](const auto& a, const auto& b) { return a->name < b->name; });
    std::vector<std::string> classes;
    classes.reserve(input_.nodes.size());
    snapshot_->nodes_.reserve(input_.nodes.size());
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
    snapshot_->IndexAttested();
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
    node.machine = !facts.hardware_class.empty()  ? facts.hardware_class
                   : !facts.instance_type.empty() ? facts.provider + "/" + facts.instance_type
                                                  : host.value.processor;
    UseHostFit(node);
    const double vcpus = static_cast<double>(facts.allocatable.millicpu) / 1000.0;
    const double gigabytes = static_cast<double>(facts.allocatable.memory_bytes) / 1e9;
    const MachineKind kind = KindOf(facts, host.value);
    if (const double machine = host.value.host_vcpus.value();
        machine > vcpus && kind == MachineKind::kVirtual)
      node.share_of_machine = Fraction(vcpus / machine);
    auto gpu = input_.catalog->GpuOf(facts.gpu_model);
    CountGpus(gpu ? gpu->value.slices : 0, node);
    // What is shared in a way that nobody knows is not as fast as the card.
    const bool is_card = gpu && (node.gpus_unknown.empty() || !facts.allocatable.UsesGpu());
    std::string hardware_class = !facts.hardware_class.empty() ? facts.hardware_class
                                 : is_card                     ? gpu->value.model
                                 : !facts.gpu_model.empty()    ? facts.gpu_model
                                                               : host.value.processor;
    if (gpu) {
      node.gpu_embodied = input_.catalog->EmbodiedOf(gpu->value.model);
      node.gpu = std::move(gpu->value);
      node.gpu_source = std::move(gpu->source);
      UseGpuFit(node);
    }
    constexpr double kLargeMemoryGigabytesPerVcpu = 12;
    const bool large_memory = gigabytes > vcpus * kLargeMemoryGigabytesPerVcpu;
    node.server_embodied =
        input_.catalog->EmbodiedOf(node.HasAccelerators() ? "server-large-compute"
                                   : large_memory         ? "server-large-memory"
                                                          : "server");
    // A server or a small part of one: a figure of either would be wrong for the other.
    if (kind == MachineKind::kUnclear) node.server_embodied.reset();
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

  // Rows of a provider are of virtual machines, as long as nothing tells that this is none.
  [[nodiscard]] MachineKind KindOf(const NodeFacts& facts, const HostProfile& host) const {
    if (facts.machine_kind == MachineKind::kServer || facts.machine_kind == MachineKind::kVirtual)
      return facts.machine_kind;
    if (!host.of_any_provider) return MachineKind::kVirtual;
    if (facts.machine_kind == MachineKind::kNotTold &&
        input_.catalog->RentsVirtualMachines(facts.provider))
      return MachineKind::kVirtual;
    return facts.machine_kind;
  }

  void CountGpus(std::int64_t slices, NodeRecord& node) const {
    const NodeFacts& facts = *node.facts;
    const Resources& size = facts.allocatable;
    node.gpus_unknown = WhyGpusAreUnknown(facts);
    if (node.gpus_unknown.empty() && size.gpu_slices > 0 && slices == 0)
      node.gpus_unknown = "its model is unknown, and so into how many slices it is divided";
    if (node.gpus_unknown.empty()) {
      node.gpus = Gpus(static_cast<double>(size.gpus) /
                       static_cast<double>(std::max<std::int64_t>(facts.gpu_replicas, 1)));
      if (size.gpu_slices > 0)
        node.gpus =
            node.gpus + Gpus(static_cast<double>(size.gpu_slices) / static_cast<double>(slices));
    } else if (!IsOfSlices(facts)) {
      // Where slices have the name of cards, feature discovery counts them.
      node.gpus = Gpus(static_cast<double>(facts.gpu_sharing.count));
    }
    for (const std::string& device : size.devices) {
      if (input_.catalog->DrawsNothing(device) == false)
        (node.uncounted += node.uncounted.empty() ? "" : ", ") += device;
    }
  }

  [[nodiscard]] const ClassFit* FitOf(const std::string& machine, PowerBoundary boundary) const {
    for (const ClassFit& fit : input_.fits) {
      if (fit.machine == machine && fit.boundary == boundary) return &fit;
    }
    return nullptr;
  }

  // A line through measured points has precedence over any profile.
  void UseHostFit(NodeRecord& node) const {
    const ClassFit* fit = FitOf(node.machine, PowerBoundary::kWholeNode);
    if (fit == nullptr) fit = FitOf(node.machine, PowerBoundary::kProcessors);
    if (fit == nullptr) return;
    const WattsPerVcpu idle(fit->fit.idle.value());
    // What the processors measure leaves out is in the profile's idle power.
    node.idle = fit->boundary == PowerBoundary::kWholeNode ? idle : std::max(idle, node.idle);
    node.slope = WattsPerVcpu((fit->fit.full - fit->fit.idle).value());
    node.power_basis = PowerBasis::kCalibrated;
    node.power_method = Method::kMeasured;
    node.power_error = fit->fit.error;
    node.power_source = SourceOf(*fit);
  }

  void UseGpuFit(NodeRecord& node) const {
    const ClassFit* fit = FitOf(AcceleratorKind(node.gpu->model), PowerBoundary::kWholeNode);
    if (fit == nullptr) return;
    node.gpu->idle = fit->fit.idle;
    node.gpu->full = fit->fit.full;
    node.gpu_method = Method::kMeasured;
    node.gpu_source = SourceOf(*fit);
  }

  static std::string SourceOf(const ClassFit& fit) {
    return fit.source + ", line through " + std::to_string(fit.fit.points) + " points of " +
           fit.machine + " (within " + FormatSignificant(fit.fit.error.value() * 100, 2) + " %)" +
           (fit.boundary == PowerBoundary::kProcessors ? ", processors alone" : "");
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
    if (const GridRow* grid = catalog.Grid(node.grid_zone)) {
      node.grid_of_country = grid->zone != node.grid_zone;
      node.catalog_intensity = {grid->intensity.value, grid->intensity.source, input_.time};
      if (node.grid_of_country)
        node.catalog_intensity->source += ", mean of " + grid->zone + " for want of a row of " +
                                          Printable(node.grid_zone, kZoneLength);
    }
    if (const auto market = catalog.MarketOf(facts.provider, facts.region))
      node.market_intensity = {market->value, market->source, input_.time, Method::kConfigured};
    if (const auto price = catalog.ElectricityOf(facts.provider, facts.region))
      node.electricity = {price->value, price->source, input_.time, Method::kConfigured};
    AddSovereignty(node);
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

  // In euros; the currency was seen to have a rate.
  template <class Price>
  [[nodiscard]] Sourced<Price> InEuros(const Observation& seen) const {
    const auto rate = EurosFor(input_.rates, seen.currency);
    return {Price(seen.value * rate->value), seen.source + rate->source, seen.time, seen.method};
  }

  void Complete(std::size_t index, const Evidence& evidence) {
    NodeRecord& node = snapshot_->nodes_[index];
    const auto of_node = [&](Signal signal) { return evidence.OfNode(index, signal); };
    const auto watts = [](const Observation* seen) {
      return seen == nullptr ? std::nullopt
                             : std::optional(Sourced<Watts>{Watts(seen->value), seen->source,
                                                            seen->time, seen->method});
    };
    CompletePrice(evidence, index, node);
    node.measured_power = watts(of_node(Signal::kNodePower));
    node.measured_cpu_power = watts(of_node(Signal::kNodeCpuPower));
    node.measured_gpu_power = watts(of_node(Signal::kNodeGpuPower));
    AddHostLoad(of_node(Signal::kNodeCpuUtilization), node);
    AddGpuLoad(of_node(Signal::kNodeGpuUtilization), node);
    if (const Observation* grid = evidence.OfPlace(node, Signal::kGridIntensity))
      node.live_intensity = {GramsPerKwh(grid->value), grid->source, grid->time, grid->method};
    if (const Observation* price = evidence.OfPlace(node, Signal::kElectricityPrice))
      node.electricity = InEuros<EurosPerKwh>(*price);
    const Forecasts& forecasts = ForecastsOf(node, evidence);
    node.forecast = forecasts.intensity;
    node.electricity_forecast = forecasts.price;
  }

  struct Forecasts {
    std::vector<ForecastPoint> intensity;
    std::vector<PriceForecastPoint> price;
  };
  // The same for all nodes of a place.
  const Forecasts& ForecastsOf(const NodeRecord& node, const Evidence& evidence) {
    const auto [entry, added] =
        forecasts_.try_emplace({node.facts->provider, node.facts->region, node.grid_zone});
    Forecasts& forecasts = entry->second;
    if (!added) return forecasts;
    for (const Observation* seen : evidence.ForecastsOf(node, Signal::kGridForecast))
      forecasts.intensity.push_back({seen->time + seen->ahead, GramsPerKwh(seen->value)});
    for (const Observation* seen : evidence.ForecastsOf(node, Signal::kElectricityForecast)) {
      forecasts.price.push_back({seen->time + seen->ahead, InEuros<EurosPerKwh>(*seen).value});
    }
    return forecasts;
  }

  // What a node of that type that is no spot node costs, as the same source tells.
  void NoteListPrices(const Evidence& evidence) {
    if (std::exchange(list_prices_noted_, true)) return;
    for (std::size_t i = 0; i < snapshot_->nodes_.size(); ++i) {
      const NodeFacts& facts = *snapshot_->nodes_[i].facts;
      const Observation* seen = evidence.OfNode(i, Signal::kNodePrice);
      if (seen == nullptr || seen->spot || facts.spot || facts.instance_type.empty()) continue;
      list_prices_.try_emplace({facts.provider, facts.region, facts.instance_type, seen->source},
                               InEuros<EurosPerHour>(*seen).value);
    }
  }

  // Whether a spot node's price is that which is paid, so that no discount comes off once more.
  // What a source says of that may be wrong: the price itself is held against what the machine
  // costs otherwise.
  [[nodiscard]] bool IsSpotPrice(const Observation& told, const NodeRecord& node, Fraction discount,
                                 const Evidence& evidence) {
    NoteListPrices(evidence);
    const NodeFacts& facts = *node.facts;
    const auto peer =
        list_prices_.find({facts.provider, facts.region, facts.instance_type, told.source});
    std::optional<EurosPerHour> list;
    if (peer != list_prices_.end()) {
      list = peer->second;
    } else if (const auto estimate = EstimateOf(input_, node);
               estimate && !(told.spot && node.gpus > Gpus(0))) {
      // Accelerators differ too much in price for an estimate to refute anybody.
      list = estimate->value;
    }
    if (!list || *list <= EurosPerHour(0)) return told.spot;
    // Nearer to the discounted price than to the whole one; where the source says that it is a spot
    // price, all that is clearly below the whole one.
    constexpr double kClearlyBelow = 0.9;
    const double share = told.value * EurosFor(input_.rates, told.currency)->value / list->value();
    return share < (told.spot ? kClearlyBelow : std::sqrt(1 - discount.value()));
  }

  // What is paid: as told, else the list price after the pool's discount, else an estimate.
  void CompletePrice(const Evidence& evidence, std::size_t index, NodeRecord& node) {
    const Observation* list = evidence.OfNode(index, Signal::kNodePrice);
    const Observation* effective = evidence.OfNode(index, Signal::kNodeEffectivePrice);
    if (list != nullptr) {
      node.list_price = InEuros<EurosPerHour>(*list);
    } else if (effective == nullptr) {
      EstimatePrice(node);
    }
    if (effective != nullptr) {
      node.price = InEuros<EurosPerHour>(*effective);
      return;
    }
    node.price = node.list_price;
    if (!node.price) return;
    const NodeFacts& facts = *node.facts;
    const auto discount = input_.catalog->DiscountOf(facts.provider, facts.region,
                                                     facts.instance_type, facts.pool, facts.spot);
    if (!discount) return;
    if (list != nullptr && discount->value.kind == "spot" &&
        IsSpotPrice(*list, node, discount->value.share, evidence)) {
      node.price->source += ", a spot price already";
      return;
    }
    node.price->value = node.price->value * (1 - discount->value.share.value());
    node.price->source += ", " + discount->value.kind + " " +
                          FormatSignificant(discount->value.share.value() * 100, 3) +
                          " % off: " + discount->source;
    node.price->method = Method::kConfigured;
  }

  // Differences of clocks make a share a little less than none, or more than all.
  static Fraction LoadOf(const Observation& utilization) {
    return Fraction(std::clamp(utilization.value, 0.0, 1.0));
  }

  // The processors' watts are what the platform measures without accelerators, else what the
  // processors measure themselves.
  static void AddHostLoad(const Observation* utilization, NodeRecord& node) {
    const double vcpus = static_cast<double>(node.facts->allocatable.millicpu) / 1000.0;
    if (utilization == nullptr || vcpus <= 0) return;
    const bool has_gpus = node.HasAccelerators();
    const auto& gpus = node.measured_gpu_power;
    const bool whole =
        node.measured_power && (!has_gpus || (gpus && gpus->method == Method::kMeasured));
    const auto& measured = whole ? node.measured_power : node.measured_cpu_power;
    // What was estimated by a model fits that model, not the machine.
    if (!measured || measured->method != Method::kMeasured) return;
    Watts power = measured->value;
    if (whole && has_gpus) power = power - gpus->value;
    if (power <= Watts(0)) return;
    node.host_load = {{LoadOf(*utilization), power / vcpus},
                      whole ? PowerBoundary::kWholeNode : PowerBoundary::kProcessors,
                      std::min(measured->time, utilization->time),
                      measured->source};
  }

  static void AddGpuLoad(const Observation* utilization, NodeRecord& node) {
    const auto& measured = node.measured_gpu_power;
    if (utilization == nullptr || !measured || node.gpus <= Gpus(0) ||
        measured->method != Method::kMeasured)
      return;
    node.gpu_load = {{LoadOf(*utilization), measured->value / node.gpus.value()},
                     PowerBoundary::kWholeNode,
                     std::min(measured->time, utilization->time),
                     measured->source};
  }

  // Each node counts to the first commitment that covers it and has room.
  void UseCommitments() {
    for (const CommitmentRow& row : input_.catalog->commitments())
      snapshot_->commitments_.push_back({row.name, row.unit, row.committed, 0});
    for (const NodeRecord& node : snapshot_->nodes_) {
      const NodeFacts& facts = *node.facts;
      for (std::size_t i = 0; i < snapshot_->commitments_.size(); ++i) {
        CommitmentUse& use = snapshot_->commitments_[i];
        const double left = use.committed - use.used;
        if (left <= 0 || !input_.catalog->commitments()[i].Covers(facts.provider, facts.region,
                                                                  facts.instance_type, facts.pool))
          continue;
        const double size =
            use.unit == "vcpu" ? static_cast<double>(facts.allocatable.millicpu) / 1000.0 : 1;
        use.used += std::min(size, left);
        break;
      }
    }
  }

  void EstimatePrice(NodeRecord& node) const {
    node.list_price = EstimateOf(input_, node);
    node.price_estimated = node.list_price.has_value();
  }

  // Keys come in order, so the values of one class follow each other.
  void Keep(const Evidence::MeasuredKey& key, const Evidence::Measured& seen) {
    Measurements& measurements =
        (key.of_model ? snapshot_->models_
                      : snapshot_->workloads_)[Snapshot::KeyOf(key.name, key.source)];
    if (measurements.empty() || measurements.back().hardware_class != key.hardware_class) {
      measurements.emplace_back().hardware_class = key.hardware_class;
      measurements.back().source = seen.source;
      measurements.back().time = seen.time;
      measurements.back().method = seen.method;
    }
    Measurement& of_class = measurements.back();
    // A replica that stands idle has no rate to count by.
    if (seen.mean <= 0) return;
    switch (key.signal) {
      case Signal::kWorkloadRequests:
        of_class.requests = UnitsPerHour(seen.mean * 3600);
        break;
      case Signal::kWorkloadTokens:
        of_class.tokens = UnitsPerHour(seen.mean * 3600);
        break;
      case Signal::kWorkloadJoulesPerRequest:
        of_class.joules_per_request = JoulesPerUnit(seen.mean);
        break;
      case Signal::kWorkloadJoulesPerToken:
        of_class.joules_per_token = JoulesPerUnit(seen.mean);
        break;
      default:
        break;
    }
  }

  void DescribeSignals() {
    for (std::size_t i = 0; i < kSignalCount; ++i) {
      const SignalTally& tally = snapshot_->tallies_[i];
      for (std::size_t fate = 0; fate < kFateCount; ++fate) {
        // That another source is believed is as it should be.
        if (!tally.said[fate].empty() && static_cast<Fate>(fate) != Fate::kSuperseded)
          snapshot_->notes_.push_back(tally.said[fate]);
      }
      if (tally.disagreements > 0) {
        snapshot_->notes_.push_back(std::string(ToString(SignalAt(i))) +
                                    ": sources disagree by over 30 % about " +
                                    std::to_string(tally.disagreements) +
                                    (tally.disagreements == 1 ? " value" : " values") +
                                    " (for example " + tally.disagreement + ")");
      }
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
    DescribePlaces();
  }

  // What is known of places and machines, but not as well as it looks.
  void DescribePlaces() {
    const auto& nodes = snapshot_->nodes_;
    // Counts by what is to be said, with the first node of each.
    std::map<std::string, std::pair<std::int64_t, const NodeRecord*>> said;
    const auto say = [&](std::string what, const NodeRecord& node) {
      ++said.try_emplace(std::move(what), 0, &node).first->second.first;
    };
    for (const NodeRecord& node : nodes) {
      if (!node.facts->provider_doubt.empty())
        say("provider unknown, as " + node.facts->provider_doubt + ",", node);
      if (node.grid_of_country && !node.live_intensity)
        say("grid intensity of " + Printable(node.grid_zone, kZoneLength) +
                " not known: the mean of its country stands in",
            node);
      if (node.facts->machine_kind == MachineKind::kUnclear && !node.server_embodied)
        say("embodied emissions unknown, as nothing tells whether it is a server or a virtual "
            "machine,",
            node);
    }
    std::size_t left = kMostPlaces;
    for (const auto& [what, where] : said) {
      if (left-- == 0) break;
      snapshot_->notes_.push_back(what + " for " + std::to_string(where.first) + " of " +
                                  std::to_string(nodes.size()) + " nodes (for example " +
                                  where.second->facts->name + ")");
    }
  }

  SnapshotInput input_;
  std::shared_ptr<Snapshot> snapshot_{new Snapshot};
  std::map<std::tuple<std::string, std::string, std::string>, Forecasts> forecasts_;
  // By provider, region, instance type and source.
  std::map<std::tuple<std::string, std::string, std::string, std::string>, EurosPerHour>
      list_prices_;
  bool list_prices_noted_ = false;
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
  return FindIn(workloads_, source.empty() ? name : KeyOf(name, source));
}

std::optional<Watts> Snapshot::PowerOfPod(std::string_view namespace_name,
                                          std::string_view pod) const {
  if (pod_power_.empty()) return std::nullopt;
  const auto found = pod_power_.find(std::string(namespace_name) + "/" + std::string(pod));
  return found == pod_power_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<double> Snapshot::EurosFor(std::string_view currency) const {
  const auto rate = sobre::EurosFor(rates_, currency);
  return rate ? std::optional(rate->value) : std::nullopt;
}

const Measurements& Snapshot::OfModel(std::string_view model, std::string_view source) const {
  return source.empty() ? FindIn(models_, model) : FindIn(models_, KeyOf(model, source));
}

std::string Snapshot::KeyOf(std::string_view name, std::string_view source) {
  std::string key(name);
  if (!source.empty()) (key += '\n') += source;
  return key;
}

std::shared_ptr<const Snapshot> Snapshot::Restore(Parts parts) {
  const std::shared_ptr<Snapshot> snapshot(new Snapshot);
  snapshot->time_ = parts.time;
  snapshot->nodes_ = std::move(parts.nodes);
  snapshot->hardware_classes_ = std::move(parts.hardware_classes);
  snapshot->rates_ = std::move(parts.rates);
  snapshot->workloads_ = std::move(parts.workloads);
  snapshot->models_ = std::move(parts.models);
  snapshot->catalog_ = std::move(parts.catalog);
  snapshot->catalog_version_ = snapshot->catalog_->version();
  snapshot->IndexNames();
  snapshot->IndexAttested();
  snapshot->profiles_ = NodeProfiles(snapshot->nodes_);
  return snapshot;
}

void Snapshot::IndexNames() {
  names_.Reset(nodes_.size());
  for (const NodeRecord& node : nodes_) names_.Add(node.facts->name);
}

void Snapshot::IndexAttested() {
  // Neighbours in the order of names are mostly alike.
  const Sovereignty* before = nullptr;
  for (const NodeRecord& node : nodes_) {
    const Sovereignty& place = node.sovereignty;
    if (before != nullptr && *before == place) continue;
    before = &place;
    for (const std::string* name : {&place.operator_name, &place.provider})
      if (!name->empty()) attested_.operators.push_back(ComparableName(*name));
    for (const std::string& scheme : place.certifications)
      attested_.certifications.push_back(ComparableName(scheme));
    if (!place.country.empty()) attested_.countries.push_back(place.country);
    if (!place.region.empty())
      attested_.regions.push_back(ToLower(place.provider + "/" + place.region));
  }
  for (std::vector<std::string>* names : {&attested_.operators, &attested_.certifications,
                                          &attested_.countries, &attested_.regions}) {
    std::sort(names->begin(), names->end());
    names->erase(std::unique(names->begin(), names->end()), names->end());
  }
}

}  // namespace sobre
