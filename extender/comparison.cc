#include "extender/comparison.h"

#include "base/json_writer.h"
#include "base/text.h"
#include "base/text_table.h"

namespace sobre {
namespace {

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

// For a terminal as well.
std::string NameOf(const Comparison& comparison, std::size_t offer) {
  constexpr std::size_t kMost = 100;
  return Printable(comparison.ranking.offers[offer].facts.name, kMost);
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
