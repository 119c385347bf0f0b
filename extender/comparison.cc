#include "extender/comparison.h"

#include "base/json_writer.h"
#include "base/text.h"
#include "extender/text_table.h"
#include "k8s/quantity.h"
#include "signals/yaml_section.h"

namespace sobre {
namespace {

using Section = YamlSection;

constexpr double kHoursPerYear = 8760;

std::optional<double> ReadNumber(Section& section, const char* key, double lowest,
                                 double highest = 1e12) {
  const YAML::Node value = section.Scalar(key);
  if (!value) return std::nullopt;
  const std::optional<double> number = ParseNumber(value.Scalar());
  if (!number || *number < lowest || *number > highest) {
    Section::Fail(value, section.Path(key) + ": '" + Printable(value.Scalar(), 40) +
                             "' is no number from " + FormatNumber(lowest) + " to " +
                             FormatNumber(highest));
  }
  return number;
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
void ReadOwn(const YAML::Node& map, const std::string& path, Timestamp time, Offer& offer) {
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
  offer.price =
      Sourced<EurosPerHour>{EurosPerHour(purchase / own.lifetime.value() + running / kHoursPerYear),
                            "as stated", time, Method::kConfigured};
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

Offer ReadOffer(Section& section, Timestamp time) {
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
    offer.price =
        Sourced<EurosPerHour>{EurosPerHour(*price), "as stated", time, Method::kConfigured};
  }
  const YAML::Node own = section.Take("own");
  needed.Done();
  if (facts.allocatable.millicpu <= 0 || facts.allocatable.memory_bytes <= 0)
    section.FailHere("cpu and memory: the size of the machine is needed");
  if (facts.allocatable.gpus > 0 && facts.gpu_model.empty())
    section.FailHere("gpus: also need gpu_model, such as H100");
  if (!own || own.IsNull()) return offer;
  if (price || offer.host) {
    section.FailHere(
        "own: its price is that of its purchase, and the machine is all one's own: without "
        "eur_per_hour and host_vcpus");
  }
  ReadOwn(own, section.Path("own"), time, offer);
  return offer;
}

template <class T>
void WriteRange(const char* key, const std::optional<Range<T>>& range, JsonWriter& json) {
  json.Key(key);
  if (!range) {
    json.Null();
    return;
  }
  json.BeginObject().Key("low").Value(range->low.value()).Key("mid").Value(range->mid.value());
  json.Key("high").Value(range->high.value()).EndObject();
}

void WriteFigures(const char* key, const UnitFigures& figures, JsonWriter& json) {
  json.Key(key).BeginObject();
  WriteRange("eur", figures.euros, json);
  WriteRange("gco2e", figures.grams, json);
  json.EndObject();
}

// Null where it is not known; a bound or the middle is null where there is none.
void WriteBreakEven(const char* key, const BreakEven& found, JsonWriter& json) {
  json.Key(key);
  if (!found.known) {
    json.Null();
    return;
  }
  json.BeginObject().Key("low").Value(found.low).Key("mid").Value(found.mid);
  json.Key("high").Value(found.high).EndObject();
}

std::optional<double> NumberOf(const auto& unit) {
  return unit ? std::optional(unit->value()) : std::nullopt;
}

const std::string& NameOf(const Comparison& comparison, std::size_t offer) {
  return comparison.ranking.offers[offer].facts.name;
}

std::string PercentText(double share) { return FormatSignificant(share * 100, 3) + " %"; }

template <class T>
std::string RangeText(const std::optional<Range<T>>& range) {
  if (!range) return "?";
  return FormatSignificant(range->mid.value(), 4) + " (" +
         FormatSignificant(range->low.value(), 4) + " to " +
         FormatSignificant(range->high.value(), 4) + ")";
}

std::string UseText(const BreakEven& found, const char* better) {
  if (!found.known) return std::string(better) + ": a figure is missing";
  if (!found.mid) {
    return "not " + std::string(better) + " at any use" +
           (found.low ? " (at the bounds in its favour from " + PercentText(*found.low) + ")" : "");
  }
  std::string text = std::string(better) + " from " + PercentText(*found.mid) + " use on (";
  text += found.low ? PercentText(*found.low) : std::string("never");
  return text + " to " + (found.high ? PercentText(*found.high) : std::string("never")) + ")";
}

std::string CarbonPriceText(const Comparison& comparison, const ComparedPair& pair) {
  const BreakEven& found = pair.carbon_price;
  if (!found.known) return "break-even carbon price: a figure is missing";
  if (pair.better_in_both)
    return "no break-even carbon price: " + NameOf(comparison, *pair.better_in_both) +
           " is better in both euros and grams";
  if (!found.mid) return "no break-even carbon price: both are equal";
  const auto& reference = comparison.offers[pair.reference].total;
  const auto& other = comparison.offers[pair.other].total;
  const std::size_t cleaner = reference.grams->mid < other.grams->mid ? pair.reference : pair.other;
  std::string text = "break-even carbon price " + FormatSignificant(*found.mid, 4) + " EUR/t (";
  text += FormatSignificant(found.low.value_or(0), 4) + " to ";
  text += found.high ? FormatSignificant(*found.high, 4) : std::string("none");
  return text + "): above it " + NameOf(comparison, cleaner) + " is better";
}

}  // namespace

Result<std::vector<Offer>> ParseOffers(std::string_view yaml, std::string_view file_name,
                                       Timestamp time) {
  std::vector<Offer> offers;
  const Status status = ReadYaml(yaml, file_name, [&](const YAML::Node& root) {
    Section top(root, "");
    top.ForEach("offers", [&](Section& section) {
      Offer offer = ReadOffer(section, time);
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

std::string ComparisonJson(const DecisionRequest& request, const Comparison& comparison) {
  const OfferRanking& ranking = comparison.ranking;
  const Decision& decision = ranking.decision;
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("time").Value(FormatTime(ranking.snapshot->time()));
  json.Key("unit").Value(ToString(decision.unit));
  json.Key("unitsPerHour").Value(decision.units.value());
  json.Key("intensityBasis").Value(ToString(decision.intensity_basis));
  json.Key("carbonPriceEurPerTonne").Value(request.policy.carbon_price.value());
  json.Key("catalogue").Value(ranking.snapshot->catalog_version());
  json.Key("offers").BeginArray();
  for (std::size_t i = 0; i < comparison.offers.size(); ++i) {
    const ComparedOffer& offer = comparison.offers[i];
    json.BeginObject().Key("offer").Value(NameOf(comparison, i));
    json.Key("own").Value(ranking.offers[i].own.has_value());
    json.Key("utilization").Value(offer.utilization.value());
    WriteRange("eurPerUnit", offer.total.euros, json);
    WriteRange("gco2ePerUnit", offer.total.grams, json);
    json.Key("marketGco2ePerUnit").Value(NumberOf(offer.market_grams));
    json.Key("pricedEurPerUnit").Value(NumberOf(offer.priced));
    WriteFigures("fixedAtFullUse", offer.fixed, json);
    WriteFigures("addedByWork", offer.added, json);
    json.Key("refused").Value(offer.refusal ? offer.refusal->reason : "").EndObject();
  }
  json.EndArray().Key("pairs").BeginArray();
  for (const ComparedPair& pair : comparison.pairs) {
    json.BeginObject().Key("offer").Value(NameOf(comparison, pair.reference));
    json.Key("against").Value(NameOf(comparison, pair.other));
    WriteBreakEven("breakEvenUtilizationEur", pair.use_for_euros, json);
    WriteBreakEven("breakEvenUtilizationGco2e", pair.use_for_grams, json);
    WriteBreakEven("breakEvenCarbonPriceEurPerTonne", pair.carbon_price, json);
    json.Key("betterInBoth")
        .Value(pair.better_in_both ? NameOf(comparison, *pair.better_in_both) : "")
        .EndObject();
  }
  json.EndArray().Key("notes").BeginArray();
  for (const std::string& note : ranking.notes) json.Value(note);
  json.EndArray().EndObject();
  return text;
}

std::string ComparisonText(const DecisionRequest& request, const Comparison& comparison) {
  const OfferRanking& ranking = comparison.ranking;
  const Decision& decision = ranking.decision;
  std::string text =
      "Pod " + Printable(request.pod.namespace_name, 63) + "/" + Printable(request.pod.name, 253) +
      " at " + FormatTime(ranking.snapshot->time()) + ": per " +
      std::string(ToString(decision.unit)) + ", new capacity, " +
      std::string(ToString(decision.intensity_basis)) + " grid intensity, carbon price " +
      FormatNumber(request.policy.carbon_price.value()) + " EUR/t, catalogue " +
      ranking.snapshot->catalog_version() + "\n\n";
  TextTable table({"offer", "use", "EUR (low to high)", "gCO2e (low to high)", "gCO2e by contract",
                   "EUR with carbon", ""});
  for (std::size_t i = 0; i < comparison.offers.size(); ++i) {
    const ComparedOffer& offer = comparison.offers[i];
    const auto figure = [](const auto& unit) {
      return unit ? FormatSignificant(unit->value(), 4) : std::string("–");
    };
    table.Add({NameOf(comparison, i),
               ranking.offers[i].own ? PercentText(offer.utilization.value()) : "–",
               RangeText(offer.total.euros), RangeText(offer.total.grams),
               figure(offer.market_grams), figure(offer.priced),
               offer.refusal ? "refused: " + offer.refusal->reason : ""});
  }
  text += table.Text();
  for (const ComparedPair& pair : comparison.pairs) {
    text += "\n" + NameOf(comparison, pair.reference) + " against " +
            NameOf(comparison, pair.other) + ":\n";
    if (ranking.offers[pair.reference].own) {
      text += "  " + UseText(pair.use_for_euros, "cheaper") + "\n";
      text += "  " + UseText(pair.use_for_grams, "cleaner") + "\n";
    }
    text += "  " + CarbonPriceText(comparison, pair) + "\n";
  }
  text += ranking.notes.empty() ? "" : "\n";
  for (const std::string& note : ranking.notes) text += "Note: " + note + ".\n";
  return text;
}

}  // namespace sobre
