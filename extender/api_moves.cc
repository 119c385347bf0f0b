#include "extender/api_moves.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

constexpr std::size_t kMostShown = 500;

std::optional<double> Less(const std::optional<double>& from, const std::optional<double>& by) {
  return from && by ? std::optional(*from - *by) : std::nullopt;
}

std::string TimeOrNone(Timestamp time) {
  return time == Timestamp() ? std::string() : FormatTime(time);
}

void WriteFigures(const char* key, const std::optional<double>& grams,
                  const std::optional<double>& euros, JsonWriter& json) {
  json.Key(key).BeginObject().Key("gco2ePerHour").Value(grams).Key("eurPerHour").Value(euros);
  json.EndObject();
}

void WriteWithUnits(const char* key, const std::optional<double>& grams,
                    const std::optional<double>& euros, const std::optional<double>& units,
                    JsonWriter& json) {
  const auto per_unit = [&](const std::optional<double>& figure) {
    return figure && units && *units > 0 ? std::optional(*figure / *units) : std::nullopt;
  };
  json.Key(key).BeginObject().Key("gco2ePerHour").Value(grams).Key("eurPerHour").Value(euros);
  json.Key("gco2ePerUnit").Value(per_unit(grams)).Key("eurPerUnit").Value(per_unit(euros));
  json.Key("unitsPerHour").Value(units).EndObject();
}

void WriteMeasured(const Advice& advice, JsonWriter& json) {
  json.Key("measured");
  if (!advice.before_g && !advice.before_eur) {
    json.Null();
    return;
  }
  json.BeginObject();
  WriteFigures("before", advice.before_g, advice.before_eur, json);
  WriteFigures("after", advice.after_g, advice.after_eur, json);
  WriteFigures("saved", Less(advice.before_g, advice.after_g),
               Less(advice.before_eur, advice.after_eur), json);
  json.Key("afterHours").Value(advice.after_hours).EndObject();
}

void WriteOne(const Advice& advice, JsonWriter& json) {
  const bool move = advice.kind == AdviceKind::kMove;
  json.BeginObject().Key("id").Value(advice.id).Key("kind").Value(ToString(advice.kind));
  json.Key("state").Value(ToString(advice.state)).Key("note").Value(advice.note);
  json.Key("opened").Value(FormatTime(advice.opened));
  json.Key("changed").Value(FormatTime(advice.changed));
  json.Key("lastHeld").Value(TimeOrNone(advice.held));
  json.Key("namespace").Value(advice.namespace_name).Key("workload").Value(advice.workload);
  json.Key("from").Value(advice.from).Key("to").Value(advice.to).Key("pods").Value(advice.pods);
  json.Key("unit").Value(advice.unit).Key("rankedBy").Value(advice.ranked_by);
  const auto units = [&](double value) { return move ? std::optional(value) : std::nullopt; };
  WriteWithUnits("now", advice.now_g, advice.now_eur, units(advice.now_units), json);
  WriteWithUnits("there", advice.there_g, advice.there_eur, units(advice.there_units), json);
  WriteFigures("saved", Less(advice.now_g, advice.there_g), Less(advice.now_eur, advice.there_eur),
               json);
  json.Key("net").BeginObject().Key("gco2ePerHour").Value(advice.net_g);
  json.Key("eurPerHour").Value(advice.net_eur).EndObject();
  json.Key("cost").BeginObject().Key("gco2e").Value(advice.cost_g);
  json.Key("eur").Value(advice.cost_eur).EndObject();
  json.Key("holdsOnMean")
      .Value(!advice.holds_on_mean        ? "unknown"
             : *advice.holds_on_mean != 0 ? "yes"
                                          : "no");
  json.Key("cpu");
  if (move) {
    json.Null();
  } else {
    json.BeginObject().Key("requestedVcpus").Value(advice.requested_vcpus);
    json.Key("peakVcpus").Value(advice.peak_vcpus);
    json.Key("suggestedVcpus").Value(advice.suggested_vcpus).EndObject();
  }
  json.Key("moved").Value(advice.moved).Key("evictions").Value(advice.evictions);
  json.Key("lastEviction").Value(TimeOrNone(advice.last_eviction));
  WriteMeasured(advice, json);
  json.EndObject();
}

bool IsWanted(const Advice& advice, const AdviceFilter& filter) {
  const auto is = [](const std::optional<std::string>& wanted, std::string_view value) {
    return !wanted || *wanted == value;
  };
  return is(filter.state, ToString(advice.state)) && is(filter.kind, ToString(advice.kind)) &&
         is(filter.namespace_name, advice.namespace_name) && is(filter.workload, advice.workload) &&
         is(filter.id, advice.id);
}

// A name that no advice can have would silently find nothing.
Status CheckNames(const AdviceFilter& filter) {
  const std::string kind = filter.kind.value_or("move");
  if (kind != ToString(AdviceKind::kMove) && kind != ToString(AdviceKind::kRightsizing))
    return Status::Invalid("kind: expected move or rightsizing, not '" + Printable(kind, 40) + "'");
  const std::string state = filter.state.value_or("open");
  std::string known;
  for (std::size_t i = 0; i < kAdviceStateCount; ++i) {
    const std::string_view name = ToString(static_cast<AdviceState>(i));
    if (state == name) return Status::Ok();
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  return Status::Invalid("state: expected one of " + known + ", not '" + Printable(state, 40) +
                         "'");
}

}  // namespace

std::string RecommendationsJson(const MovesStatus& status, const Config& config,
                                const AdviceFilter& filter, Timestamp now) {
  const Config::Moves& moves = config.moves;
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("time").Value(FormatTime(now)).Key("enabled").Value(moves.enabled);
  json.Key("evicts").Value(moves.evict);
  json.Key("maxEvictionsPerHour").Value(moves.max_evictions_per_hour);
  json.Key("minHoursBetween").Value(InHours(moves.min_time_between));
  json.Key("windowHours").Value(InHours(moves.window));
  json.Key("measureHours").Value(InHours(moves.measure));
  json.Key("counts").BeginObject();
  std::array<std::int64_t, kAdviceStateCount> counts{};
  for (const Advice& advice : status.advice) {
    // Whoever may see one namespace must not learn how many there are in others.
    if (!filter.namespace_name || *filter.namespace_name == advice.namespace_name)
      ++counts[static_cast<std::size_t>(advice.state)];
  }
  for (std::size_t i = 0; i < kAdviceStateCount; ++i)
    json.Key(ToString(static_cast<AdviceState>(i))).Value(counts[i]);
  json.EndObject().Key("recommendations").BeginArray();
  std::size_t wanted = 0;
  for (auto advice = status.advice.rbegin(); advice != status.advice.rend(); ++advice) {
    if (!IsWanted(*advice, filter)) continue;
    if (wanted++ < kMostShown) WriteOne(*advice, json);
  }
  json.EndArray().Key("leftOff").Value(wanted - std::min(wanted, kMostShown));
  json.Key("problem").Value(status.problem).EndObject();
  return text;
}

void AddMovesApi(HttpServer& server, const Mover* mover, const Config& config) {
  HandleJson(server, "/api/v1/recommendations", {"state", "kind", "namespace", "workload", "id"},
             [mover, &config](const HttpRequest& request) -> Result<std::string> {
               const AdviceFilter filter{request.Parameter("state"), request.Parameter("kind"),
                                         request.Parameter("namespace"),
                                         request.Parameter("workload"), request.Parameter("id")};
               if (Status known = CheckNames(filter); !known.ok()) return known;
               return RecommendationsJson(mover == nullptr ? MovesStatus() : mover->status(),
                                          config, filter, Now());
             });
}

}  // namespace sobre
