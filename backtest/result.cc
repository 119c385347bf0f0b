#include "backtest/result.h"

#include <optional>
#include <vector>

#include "backtest/warnings.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "base/text_table.h"

namespace sobre::backtest {
namespace {

std::string Figure(std::optional<double> value) {
  return value ? FormatSignificant(*value, 3) : "-";
}

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

std::string Share(VcpuHours part, VcpuHours whole) {
  if (whole <= VcpuHours(0)) return "-";
  return FormatSignificant(100 * (part / whole), 3) + " %";
}

void AddFigures(JsonWriter& json, const Figures& figures) {
  json.Key("energy_kwh").Value(figures.energy.value());
  json.Key("operational_gco2e").Value(figures.operational.value());
  json.Key("embodied_gco2e").Value(figures.embodied.value());
  json.Key("added_gco2e").Value(figures.added.value());
  json.Key("marginal_gco2e").Value(figures.marginal.value());
  json.Key("eur").Value(figures.euros.value());
  json.Key("vcpu_hours").Value(figures.reserved.value());
  json.Key("requests").Value(figures.requests.value());
}

void AddTexts(JsonWriter& json, std::string_view key, const std::vector<std::string>& texts) {
  json.Key(key).BeginArray();
  for (const std::string& text : texts) json.Value(text);
  json.EndArray();
}

void AddOutcome(JsonWriter& json, const Variant& variant, const Outcome& outcome) {
  json.BeginObject().Key("policy").Value(outcome.variant);
  json.Key("sobre").Value(variant.sobre);
  json.Key("objective").Value(variant.sobre ? ToString(variant.policy.objective) : "");
  json.Key("carbon_price_eur_per_tonne").Value(variant.policy.carbon_price.value());
  json.Key("total").BeginObject();
  AddFigures(json, outcome.total);
  json.Key("gco2e_per_vcpu_hour").Value(GramsPerVcpuHour(outcome.total));
  json.Key("eur_per_vcpu_hour").Value(EurosPerVcpuHour(outcome.total));
  json.Key("gco2e_per_1k_requests").Value(GramsPerThousandRequests(outcome.total));
  json.Key("eur_per_1k_requests").Value(EurosPerThousandRequests(outcome.total));
  json.EndObject();
  json.Key("pods").Value(outcome.pods);
  json.Key("placed").Value(outcome.placed);
  json.Key("gated").Value(outcome.gated);
  json.Key("gated_hours").Value(outcome.gated_for.value());
  json.Key("queued").Value(outcome.queued);
  json.Key("queued_hours").Value(outcome.queued_for.value());
  json.Key("without_place").Value(outcome.without_place);
  json.Key("cpu_reserved").Value(outcome.cpu_reserved.value());
  json.Key("places").BeginArray();
  for (const Place& place : outcome.places) {
    json.BeginObject().Key("region").Value(place.region).Key("pods").Value(place.pods);
    json.Key("vcpu_hours").Value(place.reserved.value());
    json.Key("gco2e").Value(place.grams.value()).EndObject();
  }
  json.EndArray().Key("hours").BeginArray();
  for (const Figures& hour : outcome.hours) {
    json.BeginObject();
    AddFigures(json, hour);
    json.EndObject();
  }
  json.EndArray().EndObject();
}

}  // namespace

std::string MeanHoursText(Hours together, std::int64_t count) {
  if (count == 0) return "";
  return FormatSignificant(together.value() / static_cast<double>(count), 2) + " h";
}

std::string ResultText(const Scenario& scenario, const Backtest& backtest) {
  std::string text = Printable(scenario.name, 200) + "\n" + FormatTime(scenario.start) + ", " +
                     std::to_string(scenario.hours) + " hours, the first " +
                     std::to_string(scenario.warm_up_hours) + " not counted; seed " +
                     std::to_string(scenario.seed) + "\n\n";
  const Outcome& base = backtest.outcomes.front();
  TextTable table({"policy", "gCO2e/vCPU·h", "", "EUR/vCPU·h", "", "gCO2e/1k requests", "pods",
                   "behind gate", "for", "queued", "no place", "CPU"});
  for (const Outcome& outcome : backtest.outcomes) {
    const auto grams = GramsPerVcpuHour(outcome.total);
    const auto euros = EurosPerVcpuHour(outcome.total);
    table.Add({Printable(outcome.variant, 60), Figure(grams),
               OrDash(ChangeText(grams, GramsPerVcpuHour(base.total))), Figure(euros),
               OrDash(ChangeText(euros, EurosPerVcpuHour(base.total))),
               Figure(GramsPerThousandRequests(outcome.total)), std::to_string(outcome.placed),
               std::to_string(outcome.gated),
               OrDash(MeanHoursText(outcome.gated_for, outcome.gated)),
               std::to_string(outcome.queued), std::to_string(outcome.without_place),
               FormatSignificant(100 * outcome.cpu_reserved.value(), 3) + " %"});
  }
  text += table.Text() + "\nWhere their vCPU-hours ran:\n";
  std::vector<std::string> heads = {"policy"};
  for (const Place& place : base.places) heads.push_back(Printable(place.region, 60));
  TextTable places(heads);
  for (const Outcome& outcome : backtest.outcomes) {
    std::vector<std::string> cells = {Printable(outcome.variant, 60)};
    for (const Place& place : outcome.places)
      cells.push_back(Share(place.reserved, outcome.total.reserved));
    places.Add(std::move(cells));
  }
  text += places.Text();
  for (const auto& [head, sentences] :
       {std::pair{"\nWarnings:\n", &backtest.warnings}, std::pair{"\nNotes:\n", &backtest.notes}}) {
    if (!sentences->empty()) text += head;
    for (const std::string& sentence : *sentences) text += "- " + sentence + "\n";
  }
  return text;
}

std::string ResultJson(const Scenario& scenario, const Backtest& backtest) {
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("scenario").Value(scenario.name);
  json.Key("start").Value(FormatTime(scenario.start));
  json.Key("counted_from")
      .Value(FormatTime(scenario.start + std::chrono::hours(scenario.warm_up_hours)));
  json.Key("hours").Value(scenario.hours - scenario.warm_up_hours);
  json.Key("seed").Value(scenario.seed);
  json.Key("policies").BeginArray();
  for (std::size_t i = 0; i < backtest.outcomes.size(); ++i)
    AddOutcome(json, scenario.variants[i], backtest.outcomes[i]);
  json.EndArray();
  AddTexts(json, "warnings", backtest.warnings);
  AddTexts(json, "notes", backtest.notes);
  json.EndObject();
  return text + "\n";
}

}  // namespace sobre::backtest
