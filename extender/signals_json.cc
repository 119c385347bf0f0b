#include "extender/signals_json.h"

#include <map>
#include <tuple>

#include "base/json_writer.h"

namespace sobre {
namespace {

void WriteQuery(const QueryState& query, JsonWriter& json) {
  json.BeginObject().Key("signal").Value(ToString(query.query.signal));
  json.Key("source").Value(query.query.name).Key("query").Value(query.query.query);
  json.Key("preset").Value(query.preset).Key("idle").Value(query.idle);
  json.Key("answered").Value(query.answered ? FormatTime(*query.answered) : "");
  json.Key("milliseconds").Value(query.took.count());
  json.Key("series").Value(query.series).Key("bytes").Value(query.bytes);
  json.Key("failures").Value(query.failures).Key("problem").Value(query.problem).EndObject();
}

// What is known of each place that has a node, with its forecasts.
void WritePlaces(const Snapshot& snapshot, JsonWriter& json) {
  using Place = std::tuple<std::string_view, std::string_view, std::string_view>;
  std::map<Place, const NodeRecord*> places;
  for (const NodeRecord& node : snapshot.nodes())
    places.try_emplace({node.facts->provider, node.facts->region, node.grid_zone}, &node);
  const auto number = [&](const char* key, const auto& seen) {
    json.Key(key).Value(seen ? std::optional(seen->value.value()) : std::nullopt);
  };
  json.Key("places").BeginArray();
  for (const auto& [place, node] : places) {
    json.BeginObject().Key("provider").Value(node->facts->provider);
    json.Key("region").Value(node->facts->region).Key("zone").Value(node->grid_zone);
    number("catalogueGco2ePerKwh", node->catalog_intensity);
    number("liveGco2ePerKwh", node->live_intensity);
    number("electricityEurPerKwh", node->electricity);
    json.Key("forecastGco2ePerKwh").BeginArray();
    for (const ForecastPoint& point : node->forecast) {
      json.BeginObject().Key("time").Value(FormatTime(point.time));
      json.Key("value").Value(point.intensity.value()).EndObject();
    }
    json.EndArray().Key("forecastEurPerKwh").BeginArray();
    for (const PriceForecastPoint& point : node->electricity_forecast) {
      json.BeginObject().Key("time").Value(FormatTime(point.time));
      json.Key("value").Value(point.price.value()).EndObject();
    }
    json.EndArray().EndObject();
  }
  json.EndArray();
}

// What the best source measured, by replica.
void WriteMeasurements(const char* key, const Snapshot::MeasurementsByName& all,
                       const Snapshot& snapshot, JsonWriter& json) {
  json.Key(key).BeginArray();
  const auto number = [&](const char* name, const auto& value, double factor) {
    json.Key(name).Value(value ? std::optional(value->value() * factor) : std::nullopt);
  };
  for (const auto& [name, measurements] : all) {
    if (name.find('\n') != std::string::npos) continue;
    for (const Measurement& seen : measurements) {
      const bool any = seen.hardware_class == Measurement::kAnyClass;
      json.BeginObject().Key("name").Value(name).Key("source").Value(seen.source);
      json.Key("hardwareClass")
          .Value(any ? ""
                     : snapshot.hardware_classes()[static_cast<std::size_t>(seen.hardware_class)]);
      constexpr double kPerSecond = 1.0 / 3600;
      number("requestsPerSecond", seen.requests, kPerSecond);
      number("tokensPerSecond", seen.tokens, kPerSecond);
      number("joulesPerRequest", seen.joules_per_request, 1);
      number("joulesPerToken", seen.joules_per_token, 1);
      json.EndObject();
    }
  }
  json.EndArray();
}

}  // namespace

std::string SignalsJson(const WorldState& state, const std::vector<Finding>& findings) {
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("time").Value(FormatTime(state.snapshot->time()));
  json.Key("findings").BeginArray();
  for (const Finding& finding : findings) {
    json.BeginObject().Key("severity").Value(ToString(finding.severity));
    json.Key("about").Value(finding.about).Key("text").Value(finding.text);
    json.Key("repair").Value(finding.repair).EndObject();
  }
  json.EndArray().Key("servers").BeginArray();
  for (const ServerState& server : state.servers) {
    json.BeginObject().Key("name").Value(server.name).Key("url").Value(server.url);
    json.Key("problem").Value(server.problem);
    json.Key("clockAheadSeconds").Value(static_cast<double>(server.clock_ahead.count()) / 1000);
    json.Key("presets").BeginArray();
    for (const PresetState& preset : server.presets) {
      json.BeginObject().Key("name").Value(preset.name).Key("about").Value(preset.about);
      json.Key("automatic").Value(preset.automatic).Key("found").Value(preset.found).EndObject();
    }
    json.EndArray().Key("queries").BeginArray();
    for (const QueryState& query : server.queries) WriteQuery(query, json);
    json.EndArray().EndObject();
  }
  json.EndArray().Key("signals").BeginArray();
  for (std::size_t i = 0; i < kSignalCount; ++i) {
    const SignalTally& tally = state.snapshot->tallies()[i];
    json.BeginObject().Key("signal").Value(ToString(SignalAt(i)));
    json.Key("unit").Value(UnitOf(SignalAt(i)));
    for (std::size_t fate = 0; fate < kFateCount; ++fate)
      json.Key(ToString(static_cast<Fate>(fate))).Value(tally.count[fate]);
    json.Key("disagreements").Value(tally.disagreements);
    json.Key("oldest").Value(tally.oldest ? FormatTime(*tally.oldest) : "");
    json.Key("newest").Value(tally.newest ? FormatTime(*tally.newest) : "").EndObject();
  }
  json.EndArray();
  WriteMeasurements("workloads", state.snapshot->workloads(), *state.snapshot, json);
  WriteMeasurements("models", state.snapshot->models(), *state.snapshot, json);
  WritePlaces(*state.snapshot, json);
  json.Key("calibration").BeginArray();
  for (const PowerHistory::Class& found : state.calibration) {
    json.BeginObject().Key("machine").Value(found.fit.machine);
    json.Key("boundary").Value(ToString(found.fit.boundary));
    json.Key("points").Value(found.points).Key("nodes").Value(found.nodes);
    json.Key("idleWatts").Value(found.fit.fit.idle.value());
    json.Key("fullWatts").Value(found.fit.fit.full.value());
    json.Key("error").Value(found.fit.fit.error.value());
    json.Key("used").Value(found.result.fit.has_value());
    json.Key("whyNot").Value(found.result.why_not).EndObject();
  }
  json.EndArray().Key("commitments").BeginArray();
  for (const CommitmentUse& use : state.snapshot->commitments()) {
    json.BeginObject().Key("name").Value(use.name).Key("unit").Value(use.unit);
    json.Key("committed").Value(use.committed).Key("used").Value(use.used).EndObject();
  }
  json.EndArray().EndObject();
  return text;
}

}  // namespace sobre
