#include "extender/offer_file.h"

#include <utility>

#include "base/text.h"
#include "k8s/quantity.h"

namespace sobre {
namespace {

using Section = YamlSection;

constexpr double kHoursPerYear = 8760;

// Its time is that of the snapshot which it is in.
Sourced<EurosPerHour> Stated(EurosPerHour price) {
  return {price, "as stated", Timestamp(), Method::kConfigured};
}

// What was looked for and is not there, to be told after unknown keys: one may be meant by another.
class Needed {
 public:
  explicit Needed(Section& section) : section_(section) {}
  double Number(const char* key, double lowest, double highest = 1e12) {
    const std::optional<double> number = ReadNumber(section_, key, lowest, highest);
    if (!number && missing_.empty()) missing_ = key;
    return number.value_or(lowest);
  }
  std::string Text(const char* key) {
    std::string text;
    section_.Read(key, text);
    if (text.empty() && missing_.empty()) missing_ = key;
    return text;
  }
  void Done() const {
    section_.Done();
    if (!missing_.empty()) section_.FailHere(missing_ + ": is needed");
  }

 private:
  Section& section_;
  std::string missing_;
};

// One figure, or {low, mid, high}, in kilograms.
std::optional<Range<Grams>> ReadEmbodied(Section& section) {
  constexpr const char* kKey = "embodied_kgco2e";
  const YAML::Node value = section.Take(kKey);
  if (!value || value.IsNull()) return std::nullopt;
  if (value.IsScalar()) {
    const Grams grams(ReadNumber(section, kKey, 0).value_or(0) * 1000);
    return Range<Grams>{grams, grams, grams};
  }
  Section range(value, section.Path(kKey));
  Needed needed(range);
  const auto grams_of = [&](const char* key) { return Grams(needed.Number(key, 0) * 1000); };
  const Grams low = grams_of("low");
  const Grams mid = grams_of("mid");
  const Range<Grams> grams{low, mid, grams_of("high")};
  needed.Done();
  if (grams.mid < grams.low || grams.high < grams.mid)
    range.FailHere("expected low, mid and high in this order");
  return grams;
}

// Its price by the hour is the purchase over the lifetime and what it takes a year beside power.
void ReadOwn(const YAML::Node& map, const std::string& path, Offer& offer) {
  Section section(map, path);
  Needed needed(section);
  OwnMachine own;
  own.pue = Pue(needed.Number("pue", 1, 10));
  own.pue_source = "as stated";
  own.electricity = EurosPerKwh(needed.Number("electricity_eur_per_kwh", -100, 100));
  if (const auto grid = ReadNumber(section, "grid_gco2e_per_kwh", 0, 10'000))
    own.intensity = GramsPerKwh(*grid);
  if (const auto contract = ReadNumber(section, "contract_gco2e_per_kwh", 0, 10'000))
    own.market_intensity = GramsPerKwh(*contract);
  own.embodied = ReadEmbodied(section);
  own.lifetime = Hours(needed.Number("lifetime_years", 0.1, 100) * kHoursPerYear);
  own.utilization = Fraction(needed.Number("utilization", 0.001, 1));
  const auto idle = ReadNumber(section, "idle_watts", 0, 1e6);
  const auto full = ReadNumber(section, "full_watts", 0, 1e6);
  if (idle.has_value() != full.has_value() || (idle && *full < *idle))
    section.FailHere("idle_watts and full_watts go together, and the first is the smaller");
  if (idle) {
    own.idle = Watts(*idle);
    own.full = Watts(*full);
  }
  const double purchase = needed.Number("purchase_eur", 0);
  const double running = ReadNumber(section, "running_eur_per_year", 0).value_or(0);
  needed.Done();
  offer.price = Stated(EurosPerHour(purchase / own.lifetime.value() + running / kHoursPerYear));
  offer.own = own;
}

void ReadSize(Section& section, NodeFacts& facts) {
  const YAML::Node cpu = section.Scalar("cpu");
  const YAML::Node memory = section.Scalar("memory");
  section.Read("gpus", 0, 1024, facts.allocatable.gpus);
  section.Read("gpu_model", facts.gpu_model);
  const auto millicpu = cpu ? ParseMilliQuantity(cpu.Scalar()) : std::optional<std::int64_t>(0);
  const auto bytes = memory ? ParseQuantity(memory.Scalar()) : std::optional<std::int64_t>(0);
  if (!millicpu) Section::Fail(cpu, section.Path("cpu") + ": expected vCPUs, such as 16");
  if (!bytes) Section::Fail(memory, section.Path("memory") + ": expected a quantity, such as 64Gi");
  facts.allocatable.millicpu = *millicpu;
  facts.allocatable.memory_bytes = *bytes;
}

}  // namespace

std::optional<double> ReadNumber(YamlSection& section, const char* key, double lowest,
                                 double highest) {
  const YAML::Node value = section.Scalar(key);
  if (!value) return std::nullopt;
  const std::optional<double> number = ParseNumber(value.Scalar());
  if (!number || *number < lowest || *number > highest) {
    YamlSection::Fail(value, section.Path(key) + ": '" + Printable(value.Scalar(), 40) +
                                 "' is no number from " + FormatNumber(lowest) + " to " +
                                 FormatNumber(highest));
  }
  return number;
}

Offer ReadOffer(YamlSection& section) {
  Needed needed(section);
  Offer offer;
  NodeFacts& facts = offer.facts;
  facts.name = needed.Text("name");
  facts.provider = needed.Text("provider");
  facts.region = needed.Text("region");
  section.Read("grid_zone", facts.grid_zone);
  section.Read("instance_type", facts.instance_type);
  section.Read("hardware_class", facts.hardware_class);
  section.Read("spot", facts.spot);
  // Whoever writes the file names the place.
  facts.attested.provider = facts.provider;
  facts.attested.region = facts.region;
  section.Read("country", facts.attested.country);
  ReadSize(section, facts);
  if (const auto host = ReadNumber(section, "host_vcpus", 1, 1e6)) offer.host = Vcpus(*host);
  const auto price = ReadNumber(section, "eur_per_hour", 0);
  if (price) {
    offer.price = Stated(EurosPerHour(*price));
  }
  const YAML::Node own = section.Take("own");
  needed.Done();
  if ((facts.allocatable.millicpu > 0) != (facts.allocatable.memory_bytes > 0))
    section.FailHere("cpu and memory: the size of the machine has both");
  if (facts.allocatable.gpus > 0 && facts.gpu_model.empty())
    section.FailHere("gpus: also need gpu_model, such as H100");
  if (!own || own.IsNull()) return offer;
  if (price || offer.host) {
    section.FailHere(
        "own: its price is that of its purchase, and the machine is all one's own: without "
        "eur_per_hour and host_vcpus");
  }
  ReadOwn(own, section.Path("own"), offer);
  return offer;
}

Result<std::vector<Offer>> ParseOffers(std::string_view yaml, std::string_view file_name,
                                       Timestamp time) {
  std::vector<Offer> offers;
  const Status status = ReadYaml(yaml, file_name, [&](const YAML::Node& root) {
    YamlSection top(root, "");
    top.ForEach("offers", [&](YamlSection& section) {
      Offer offer = ReadOffer(section);
      if (offer.facts.allocatable.millicpu <= 0)
        section.FailHere("cpu and memory: the size of the machine is needed");
      if (offer.price) offer.price->time = time;
      for (const Offer& other : offers) {
        if (other.facts.name == offer.facts.name)
          section.FailHere("name: '" + Printable(offer.facts.name, 60) + "' stands there twice");
      }
      offers.push_back(std::move(offer));
    });
    top.Done();
    if (offers.size() < 2) top.FailHere("offers: expected two or more to compare");
  });
  if (!status.ok()) return status;
  return offers;
}

}  // namespace sobre
