#include "extender/offer_ranking.h"

#include "base/json_writer.h"
#include "base/text.h"
#include "base/text_table.h"
#include "extender/api_places.h"

namespace sobre {
namespace {

constexpr double kGib = 1024.0 * 1024 * 1024;

const std::optional<Sourced<GramsPerKwh>>& IntensityOf(const NodeRecord& node,
                                                       const Decision& decision) {
  return decision.intensity_basis == IntensityBasis::kLive ? node.live_intensity
                                                           : node.catalog_intensity;
}

std::string_view PowerFrom(const NodeRecord& node, const Decision& decision) {
  const auto hardware_class = static_cast<std::size_t>(node.hardware_class);
  return decision.work[hardware_class].measured_power ? ToString(PowerBasis::kMeasuredJoules)
                                                      : ToString(node.power_basis);
}

std::string LetterOf(const std::optional<ClassLetter>& letter) {
  return letter ? std::string(1, ToLetter(*letter)) : "";
}

void WriteSize(const Resources& size, JsonWriter& json) {
  json.Key("vcpu").Value(static_cast<double>(size.millicpu) / 1000);
  json.Key("memoryGib").Value(static_cast<double>(size.memory_bytes) / kGib);
  json.Key("gpus").Value(size.gpus);
}

template <class T>
void WriteRange(const char* key, const std::optional<Range<T>>& range, double divisor,
                JsonWriter& json) {
  json.Key(key);
  if (!range) {
    json.Null();
    return;
  }
  json.BeginObject().Key("low").Value(range->low.value() / divisor);
  json.Key("mid").Value(range->mid.value() / divisor);
  json.Key("high").Value(range->high.value() / divisor).EndObject();
}

void WriteFigures(const RankedOffer& row, JsonWriter& json) {
  const double units = row.units.value();
  json.Key("eurPerUnit").Value(row.euros ? std::optional(row.euros->value()) : std::nullopt);
  WriteRange("gco2ePerUnit", row.grams, 1, json);
  WriteRange("embodiedGco2ePerUnit", row.report.embodied, units, json);
  WriteRange("whPerUnit", row.report.power, units, json);
  json.Key("energyClass").Value(LetterOf(row.report.energy_class));
  json.Key("carbonClass").Value(LetterOf(row.report.carbon_class));
}

void WriteSources(const NodeRecord& node, const Decision& decision, JsonWriter& json) {
  const auto number = [&](const char* key, const auto& sourced) {
    json.Key(key).Value(sourced ? std::optional(sourced->value.value()) : std::nullopt);
  };
  const auto& intensity = IntensityOf(node, decision);
  number("gco2ePerKwh", intensity);
  json.Key("intensityFrom").Value(intensity ? intensity->source : std::string());
  number("marketGco2ePerKwh", node.market_intensity);
  json.Key("pue").Value(node.pue.value()).Key("pueFrom").Value(node.pue_source);
  number("eurPerHour", node.price);
  json.Key("priceFrom").Value(node.price ? node.price->source : std::string());
  json.Key("priceEstimated").Value(node.price_estimated);
  number("electricityEurPerKwh", node.electricity);
  json.Key("powerFrom").Value(PowerFrom(node, decision));
  json.Key("powerSource").Value(node.power_source);
}

void WriteOffer(const OfferRanking& ranking, const RankedOffer& row, JsonWriter& json) {
  const Offer& offer = ranking.offers[row.offer];
  const NodeRecord& node = ranking.snapshot->nodes()[row.offer];
  const Decision& decision = ranking.decision;
  json.BeginObject().Key("offer").Value(offer.facts.name);
  json.Key("provider").Value(offer.facts.provider).Key("region").Value(offer.facts.region);
  json.Key("country").Value(CountryOf(node)).Key("gridZone").Value(node.grid_zone);
  json.Key("instanceType").Value(offer.facts.instance_type);
  json.Key("gpuModel").Value(offer.facts.gpu_model);
  WriteSize(offer.facts.allocatable, json);
  json.Key("nodes").Value(offer.nodes).Key("score").Value(row.score);
  json.Key("tied").Value(row.tied).Key("onParetoFront").Value(row.on_front);
  json.Key("refused").Value(row.refusal ? row.refusal->reason : "");
  WriteFigures(row, json);
  WriteSources(node, decision, json);
  WriteJurisdiction(node, ranking.snapshot->catalog(), json);
  WriteCertifications(node, ranking.snapshot->catalog(), ranking.snapshot->time(), json);
  json.EndObject();
}

std::string GramsText(const RankedOffer& row) {
  if (!row.grams) return "?";
  return FormatSignificant(row.grams->mid.value(), 3) + " (" +
         FormatSignificant(row.grams->low.value(), 3) + " to " +
         FormatSignificant(row.grams->high.value(), 3) + ")";
}

// Of the operator, as far as a limit would believe it.
std::string ExposureText(const NodeRecord& node) {
  return node.sovereignty.exposure ? std::string(ToString(*node.sovereignty.exposure))
                                   : "not attested";
}

std::string PriceText(const NodeRecord& node) {
  if (!node.price) return "?";
  return node.price_estimated ? "estimate" : std::string(ToString(node.price->method));
}

}  // namespace

std::string OfferRankingJson(const DecisionRequest& request, const OfferRanking& ranking) {
  const Decision& decision = ranking.decision;
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("time").Value(FormatTime(ranking.snapshot->time()));
  json.Key("pod").BeginObject().Key("namespace").Value(request.pod.namespace_name);
  json.Key("name").Value(request.pod.name).Key("workload").Value(request.pod.workload);
  WriteSize(request.pod.requests, json);
  json.EndObject().Key("objective").Value(ToString(request.policy.objective));
  json.Key("rankedBy").Value(decision.ranked_by ? ToString(*decision.ranked_by) : "");
  json.Key("ledger").Value("new capacity").Key("unit").Value(ToString(decision.unit));
  json.Key("unitsPerHour").Value(decision.units.value());
  json.Key("rateFrom").Value(ToString(decision.rate_basis));
  json.Key("intensityBasis").Value(ToString(decision.intensity_basis));
  json.Key("carbonPriceEurPerTonne").Value(request.policy.carbon_price.value());
  json.Key("costTolerancePercent").Value(request.policy.cost_tolerance.value() * 100);
  json.Key("catalogue").Value(ranking.snapshot->catalog_version());
  json.Key("offers").BeginArray();
  for (const RankedOffer& row : ranking.rows) WriteOffer(ranking, row, json);
  json.EndArray().Key("notes").BeginArray();
  for (const std::string& note : ranking.notes) json.Value(note);
  json.EndArray().EndObject();
  return text;
}

std::string OfferRankingText(const DecisionRequest& request, const OfferRanking& ranking) {
  const Decision& decision = ranking.decision;
  const std::string unit(ToString(decision.unit));
  std::string text = "Pod " + Printable(request.pod.namespace_name, 63) + "/" +
                     Printable(request.pod.name, 253) + " at " +
                     FormatTime(ranking.snapshot->time()) + ": objective " +
                     std::string(ToString(request.policy.objective)) + ", per " + unit +
                     ", new capacity, " + std::string(ToString(decision.intensity_basis)) +
                     " grid intensity, catalogue " + ranking.snapshot->catalog_version() + "\n\n";
  TextTable table({"score", "offer", "country", "nodes", "g/kWh", "gCO2e (low to high)", "EUR",
                   "price from", "class", "exposure", "power from", ""});
  for (const RankedOffer& row : ranking.rows) {
    const Offer& offer = ranking.offers[row.offer];
    const NodeRecord& node = ranking.snapshot->nodes()[row.offer];
    const auto& intensity = IntensityOf(node, decision);
    table.Add({row.refusal ? "–" : std::to_string(row.score), offer.facts.name, CountryOf(node),
               std::to_string(offer.nodes),
               FigureText(intensity.has_value(), intensity ? intensity->value.value() : 0),
               GramsText(row),
               FigureText(row.euros.has_value(), row.euros.value_or(EurosPerUnit(0)).value()),
               PriceText(node), LetterOf(row.report.carbon_class), ExposureText(node),
               std::string(PowerFrom(node, decision)),
               row.refusal ? "refused: " + row.refusal->reason : ""});
  }
  text += table.Text();
  std::string ties;
  std::string front;
  for (std::size_t i = 0; i < ranking.rows.size(); ++i) {
    const RankedOffer& row = ranking.rows[i];
    const std::string& name = ranking.offers[row.offer].facts.name;
    if (row.tied && i > 0) ties += (ties.empty() ? "" : ", ") + name;
    if (row.on_front) front += (front.empty() ? "" : ", ") + name;
  }
  text += "\n";
  if (!ties.empty()) text += "Tied with the best, inside the noise: " + ties + ".\n";
  if (!front.empty()) text += "No other beats in both euros and grams: " + front + ".\n";
  for (const std::string& note : ranking.notes) text += "Note: " + note + ".\n";
  return text;
}

RunningPod RunningPodOf(const HttpRequest& request) {
  return {request.Parameter("namespace").value_or(""), request.Parameter("workload"),
          request.Parameter("pod")};
}

Result<std::string> OffersForRunning(const RunningPod& wanted, const WorldState& state) {
  const auto& [namespace_name, workload, name] = wanted;
  if (namespace_name.empty())
    return Status::Invalid("namespace: expected that of the workload or pod");
  if (workload.has_value() == name.has_value())
    return Status::Invalid("expected either a workload or a pod");
  const PodPlacement* found = nullptr;
  for (const auto& pod : state.input.pods) {
    if (pod->namespace_name != namespace_name || (workload && pod->workload != *workload) ||
        (name && pod->name != *name))
      continue;
    // The same of several replicas, whoever asks.
    if (found == nullptr || pod->name < found->name) found = pod.get();
  }
  if (found == nullptr) {
    return Status::NotFound("no pod " + (workload ? "of " + Printable(*workload, 63) + " " : "") +
                            (name ? Printable(*name, 63) + " " : "") + "runs in " +
                            Printable(namespace_name, 63));
  }
  const auto own = state.namespaces.find(namespace_name);
  const DecisionRequest request =
      MakeRequest(*found, own == state.namespaces.end() ? state.cluster_policy : own->second);
  return OfferRankingJson(request, RankOffers(request, state.input,
                                              KnownOffers(*state.snapshot, request.pod.requests)));
}

}  // namespace sobre
