#include "audit/known.h"

#include <algorithm>

#include "audit/digest.h"
#include "audit/read_back.h"

namespace sobre {
namespace {

using read_back::FromMs;
using read_back::kMethods;
using read_back::Parse;
using read_back::ReadAll;
using read_back::ToMs;
using read_back::Unreadable;

constexpr std::array kBases = {PowerBasis::kWorldDefault, PowerBasis::kProviderDefault,
                               PowerBasis::kInstanceType, PowerBasis::kCalibrated,
                               PowerBasis::kMeasuredJoules};
// One node in so many begins a new part.
constexpr std::uint64_t kPartNodes = 256;
constexpr int kPartPrices = 256;

void Write(const Resources& from, v1::RecordedResources* to) {
  to->set_millicpu(from.millicpu);
  to->set_memory_bytes(from.memory_bytes);
  to->set_gpus(from.gpus);
  to->set_gpu_slices(from.gpu_slices);
}

void Write(const Published<EmbodiedRow>& from, v1::RecordedEmbodied* to) {
  to->set_low_grams(from.value.total.low.value());
  to->set_mid_grams(from.value.total.mid.value());
  to->set_high_grams(from.value.total.high.value());
  to->set_lifetime_hours(from.value.lifetime.value());
  to->set_source(from.source);
}
Published<EmbodiedRow> ReadEmbodied(const v1::RecordedEmbodied& from) {
  return {EmbodiedRow{{Grams(from.low_grams()), Grams(from.mid_grams()), Grams(from.high_grams())},
                      Hours(from.lifetime_hours())},
          from.source(), true};
}

// Values that several nodes share, each once, in the order of their first use.
template <class Message>
class Shared {
 public:
  explicit Shared(google::protobuf::RepeatedPtrField<Message>* list) : list_(list) {}
  std::int32_t Place(Message&& message) {
    const auto [entry, added] =
        places_.emplace(message.SerializeAsString(), static_cast<std::int32_t>(list_->size()));
    if (added) *list_->Add() = std::move(message);
    return entry->second;
  }

 private:
  google::protobuf::RepeatedPtrField<Message>* list_;
  std::unordered_map<std::string, std::int32_t> places_;
};

class Describer {
 public:
  explicit Describer(Known& known)
      : known_(known),
        machines_(known.message.mutable_machines()),
        places_(known.message.mutable_places()),
        prices_(known.message.mutable_prices()) {}

  void Add(const NodeRecord& node) {
    v1::RecordedNode* to = known_.message.add_nodes();
    to->set_machine(machines_.Place(MachineOf(node)));
    to->set_place(places_.Place(PlaceOf(node)));
    to->set_price(prices_.Place(PriceOf(node)));
    Write(node.facts->allocatable, to->mutable_allocatable());
    to->set_cpu_price_share(node.cpu_price_share.value());
    to->set_memory_price_share(node.memory_price_share.value());
    to->set_gpu_price_share(node.gpu_price_share.value());
    to->set_name(node.facts->name);
  }

 private:
  std::int32_t TimeOf(Timestamp time) {
    const auto [entry, added] =
        times_.emplace(ToMs(time), static_cast<std::int32_t>(known_.times_ms.size()));
    if (added) known_.times_ms.push_back(ToMs(time));
    return entry->second;
  }

  template <class T, class Owner>
  void Set(const std::optional<Sourced<T>>& from, v1::RecordedValue* (Owner::*slot)(),
           Owner& owner) {
    if (!from) return;
    v1::RecordedValue* to = (owner.*slot)();
    to->set_value(from->value.value());
    to->set_source(from->source);
    to->set_method(std::string(ToString(from->method)));
    to->set_time(TimeOf(from->time));
  }

  static v1::RecordedMachine MachineOf(const NodeRecord& from) {
    v1::RecordedMachine to;
    const NodeFacts& facts = *from.facts;
    to.set_instance_type(facts.instance_type);
    to.set_gpu_model(facts.gpu_model);
    to.set_gpu_replicas(facts.gpu_replicas);
    to.set_machine(from.machine);
    to.set_hardware_class(from.hardware_class);
    to.set_idle_watts_per_vcpu(from.idle.value());
    to.set_slope_watts_per_vcpu(from.slope.value());
    to.set_power_basis(std::string(ToString(from.power_basis)));
    to.set_power_source(from.power_source);
    to.set_power_method(std::string(ToString(from.power_method)));
    if (from.power_error) to.set_power_error(from.power_error->value());
    if (from.gpu) {
      v1::RecordedGpu* gpu = to.mutable_gpu();
      gpu->set_model(from.gpu->model);
      gpu->set_idle_watts(from.gpu->idle.value());
      gpu->set_full_watts(from.gpu->full.value());
      gpu->set_slices(from.gpu->slices);
      gpu->set_source(from.gpu_source);
      gpu->set_method(std::string(ToString(from.gpu_method)));
    }
    to.set_gpus(from.gpus.value());
    if (from.server_embodied) Write(*from.server_embodied, to.mutable_server_embodied());
    if (from.gpu_embodied) Write(*from.gpu_embodied, to.mutable_gpu_embodied());
    to.set_share_of_machine(from.share_of_machine.value());
    to.set_gpus_unknown(from.gpus_unknown);
    to.set_uncounted(from.uncounted);
    return to;
  }

  v1::RecordedPlace PlaceOf(const NodeRecord& from) {
    v1::RecordedPlace to;
    to.set_provider(from.facts->provider);
    to.set_region(from.facts->region);
    to.set_grid_zone(from.grid_zone);
    to.set_grid_of_country(from.grid_of_country);
    to.set_pue(from.pue.value());
    to.set_pue_exact(from.pue_exact);
    to.set_pue_source(from.pue_source);
    using P = v1::RecordedPlace;
    Set(from.catalog_intensity, &P::mutable_catalog_intensity, to);
    Set(from.live_intensity, &P::mutable_live_intensity, to);
    Set(from.market_intensity, &P::mutable_market_intensity, to);
    Set(from.electricity, &P::mutable_electricity, to);
    v1::RecordedSovereignty* law = to.mutable_attested();
    law->set_provider(from.sovereignty.provider);
    law->set_region(from.sovereignty.region);
    law->set_country(from.sovereignty.country);
    law->set_operator_(from.sovereignty.operator_name);
    if (from.sovereignty.exposure)
      law->set_exposure(std::string(ToString(*from.sovereignty.exposure)));
    for (const std::string& certification : from.sovereignty.certifications)
      law->add_certifications(certification);
    return to;
  }

  v1::RecordedPrice PriceOf(const NodeRecord& from) {
    v1::RecordedPrice to;
    using P = v1::RecordedPrice;
    Set(from.price, &P::mutable_price, to);
    Set(from.list_price, &P::mutable_list_price, to);
    to.set_estimated(from.price_estimated);
    return to;
  }

  Known& known_;
  Shared<v1::RecordedMachine> machines_;
  Shared<v1::RecordedPlace> places_;
  Shared<v1::RecordedPrice> prices_;
  std::unordered_map<std::int64_t, std::int32_t> times_;
};

// Whatever the standard library's hash may be: parts stay the same from one program to the next.
bool BeginsPart(const std::string& name) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return (hash >> 32) % kPartNodes == 0;
}

// Reads one message's lists; each lookup out of range is unreadable.
class PartsReader {
 public:
  PartsReader(const v1::RecordedSnapshot& message, const std::vector<std::int64_t>& times_ms)
      : message_(message), times_ms_(times_ms) {}

  Snapshot::Parts Read() {
    Snapshot::Parts parts;
    parts.hardware_classes = ReadAll(message_.hardware_classes());
    for (const v1::RecordedRate& rate : message_.rates())
      parts.rates.push_back({rate.currency(), rate.eur(), rate.date()});
    parts.nodes.reserve(static_cast<std::size_t>(message_.nodes_size()));
    for (const v1::RecordedNode& node : message_.nodes()) parts.nodes.push_back(ReadNode(node));
    return parts;
  }

 private:
  template <class List>
  const auto& At(const List& list, std::int32_t place, const char* what) const {
    if (place < 0 || place >= static_cast<std::int32_t>(list.size()))
      throw Unreadable{std::string(what) + " " + std::to_string(place) + " is not there"};
    return list[place];
  }

  template <class T>
  void Set(bool present, const v1::RecordedValue& from, std::optional<Sourced<T>>& to) const {
    if (!present) return;
    if (from.time() < 0 || static_cast<std::size_t>(from.time()) >= times_ms_.size())
      throw Unreadable{"time " + std::to_string(from.time()) + " is not there"};
    to = Sourced<T>{T(from.value()), from.source(),
                    FromMs(times_ms_[static_cast<std::size_t>(from.time())]),
                    Parse(from.method(), kMethods, "method")};
  }

  NodeRecord ReadNode(const v1::RecordedNode& from) const {
    NodeRecord node;
    auto facts = std::make_shared<NodeFacts>();
    facts->name = from.name();
    facts->allocatable = {from.allocatable().millicpu(),
                          from.allocatable().memory_bytes(),
                          from.allocatable().gpus(),
                          from.allocatable().gpu_slices(),
                          {}};
    node.cpu_price_share = Fraction(from.cpu_price_share());
    node.memory_price_share = Fraction(from.memory_price_share());
    node.gpu_price_share = Fraction(from.gpu_price_share());
    ReadMachine(At(message_.machines(), from.machine(), "machine"), *facts, node);
    ReadPlace(At(message_.places(), from.place(), "place"), *facts, node);
    const v1::RecordedPrice& price = At(message_.prices(), from.price(), "price");
    Set(price.has_price(), price.price(), node.price);
    Set(price.has_list_price(), price.list_price(), node.list_price);
    node.price_estimated = price.estimated();
    node.facts = std::move(facts);
    return node;
  }

  void ReadMachine(const v1::RecordedMachine& from, NodeFacts& facts, NodeRecord& node) const {
    facts.instance_type = from.instance_type();
    facts.gpu_model = from.gpu_model();
    facts.gpu_replicas = from.gpu_replicas();
    node.machine = from.machine();
    node.hardware_class = from.hardware_class();
    At(message_.hardware_classes(), node.hardware_class, "hardware class");
    node.idle = WattsPerVcpu(from.idle_watts_per_vcpu());
    node.slope = WattsPerVcpu(from.slope_watts_per_vcpu());
    node.power_basis = Parse(from.power_basis(), kBases, "power_basis");
    node.power_source = from.power_source();
    node.power_method = Parse(from.power_method(), kMethods, "power_method");
    if (from.has_power_error()) node.power_error = Fraction(from.power_error());
    if (from.has_gpu()) {
      node.gpu = GpuPower{from.gpu().model(), Watts(from.gpu().idle_watts()),
                          Watts(from.gpu().full_watts()), from.gpu().slices()};
      node.gpu_source = from.gpu().source();
      node.gpu_method = Parse(from.gpu().method(), kMethods, "gpu.method");
    }
    node.gpus = Gpus(from.gpus());
    if (from.has_server_embodied()) node.server_embodied = ReadEmbodied(from.server_embodied());
    if (from.has_gpu_embodied()) node.gpu_embodied = ReadEmbodied(from.gpu_embodied());
    node.share_of_machine = Fraction(from.share_of_machine());
    node.gpus_unknown = from.gpus_unknown();
    node.uncounted = from.uncounted();
  }

  void ReadPlace(const v1::RecordedPlace& from, NodeFacts& facts, NodeRecord& node) const {
    facts.provider = from.provider();
    facts.region = from.region();
    node.grid_zone = from.grid_zone();
    node.grid_of_country = from.grid_of_country();
    node.pue = Pue(from.pue());
    node.pue_exact = from.pue_exact();
    node.pue_source = from.pue_source();
    Set(from.has_catalog_intensity(), from.catalog_intensity(), node.catalog_intensity);
    Set(from.has_live_intensity(), from.live_intensity(), node.live_intensity);
    Set(from.has_market_intensity(), from.market_intensity(), node.market_intensity);
    Set(from.has_electricity(), from.electricity(), node.electricity);
    Sovereignty& law = node.sovereignty;
    law.provider = from.attested().provider();
    law.region = from.attested().region();
    law.country = from.attested().country();
    law.operator_name = from.attested().operator_();
    law.exposure = ParseExposure(from.attested().exposure());
    law.certifications = ReadAll(from.attested().certifications());
  }

  const v1::RecordedSnapshot& message_;
  const std::vector<std::int64_t>& times_ms_;
};

}  // namespace

Known Describe(std::shared_ptr<const Snapshot> snapshot) {
  Known known;
  for (const std::string& name : snapshot->hardware_classes())
    known.message.add_hardware_classes(name);
  for (const CurrencyRate& rate : snapshot->rates()) {
    v1::RecordedRate* to = known.message.add_rates();
    to->set_currency(rate.currency);
    to->set_eur(rate.euros);
    to->set_date(rate.date);
  }
  Describer describer(known);
  for (const NodeRecord& node : snapshot->nodes()) describer.Add(node);
  known.alike = AlikeOf(known.message);
  known.snapshot = std::move(snapshot);
  return known;
}

std::vector<std::int32_t> AlikeOf(const v1::RecordedSnapshot& message) {
  std::vector<std::int32_t> alike;
  std::unordered_map<std::string, std::int32_t> kinds;
  for (v1::RecordedNode node : message.nodes()) {
    node.clear_name();
    const auto next = static_cast<std::int32_t>(kinds.size());
    alike.push_back(kinds.emplace(node.SerializeAsString(), next).first->second);
  }
  return alike;
}

std::shared_ptr<const Content> KnownWriter::Store(const std::string& bytes) {
  const std::string key = Sha256(bytes);
  if (const auto found = written_.find(key); found != written_.end()) return found->second;
  std::shared_ptr<const Content> content;
  if (const auto found = written_before_.find(key); found != written_before_.end()) {
    content = found->second;
  } else {
    std::string packed = Compress(bytes);
    std::string hash = Sha256(packed);
    content = std::make_shared<const Content>(Content{std::move(hash), std::move(packed)});
  }
  return written_.emplace(key, std::move(content)).first->second;
}

KnownWriter::Written KnownWriter::Write(const Known& known) {
  // What this snapshot and the one before it used is kept.
  written_before_ = std::exchange(written_, {});
  Written written;
  v1::RecordedSnapshot rest;
  *rest.mutable_hardware_classes() = known.message.hardware_classes();
  *rest.mutable_rates() = known.message.rates();
  *rest.mutable_machines() = known.message.machines();
  *rest.mutable_places() = known.message.places();
  v1::RecordedSnapshot part;
  const auto close = [&] {
    written.contents.push_back(Store(part.SerializeAsString()));
    rest.add_parts(written.contents.back()->hash);
    part.Clear();
  };
  for (const v1::RecordedNode& node : known.message.nodes()) {
    if (part.nodes_size() > 0 && BeginsPart(node.name())) close();
    *part.add_nodes() = node;
  }
  if (part.nodes_size() > 0) close();
  for (const v1::RecordedPrice& price : known.message.prices()) {
    *part.add_prices() = price;
    if (part.prices_size() == kPartPrices) close();
  }
  if (part.prices_size() > 0) close();
  written.contents.push_back(Store(rest.SerializeAsString()));
  written.hash = written.contents.back()->hash;
  return written;
}

Result<v1::RecordedSnapshot> ReadKnown(const std::string& hash, const Fetch& fetch) {
  v1::RecordedSnapshot message;
  const auto take = [&](const std::string& of) -> Status {
    const Result<std::string> bytes = fetch(of);
    if (!bytes.ok()) return bytes.status();
    if (Sha256(*bytes) != of)
      return Status::Invalid("content " + Hex(of).substr(0, 16) + "… was changed");
    const Result<std::string> plain = Decompress(*bytes);
    if (!plain.ok() || !message.MergeFromString(*plain))
      return Status::Invalid("content " + Hex(of).substr(0, 16) + "… cannot be read");
    return Status::Ok();
  };
  if (Status status = take(hash); !status.ok()) return status;
  const std::vector<std::string> parts = ReadAll(message.parts());
  for (const std::string& part : parts)
    if (Status status = take(part); !status.ok()) return status;
  message.clear_parts();
  return message;
}

Result<Snapshot::Parts> ToParts(const v1::RecordedSnapshot& message,
                                const std::vector<std::int64_t>& times_ms) {
  try {
    return PartsReader(message, times_ms).Read();
  } catch (const Unreadable& unreadable) {
    return Status::Invalid("what was known: " + unreadable.message);
  }
}

}  // namespace sobre
