#include "extender/api_usage.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "audit/report.h"
#include "audit/usage.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "extender/report_order.h"

namespace sobre {
namespace {

constexpr std::size_t kMostGroups = 500;
constexpr std::int64_t kMostDays = 800;
constexpr Duration kKeepWorkloads = std::chrono::seconds(15);

struct Wanted {
  ReportRequest request;
  std::int64_t days = 7;
  bool by_model = false;
  std::string team;
  std::string namespace_name;
};

Result<Wanted> WantedBy(const HttpRequest& request, Timestamp now) {
  Wanted wanted;
  const auto days = IntegerIn(request, "days", 1, kMostDays);
  if (!days.ok()) return days.status();
  wanted.days = days->value_or(wanted.days);
  wanted.request.from = BeginOfDays(now, wanted.days);
  wanted.request.to = now;
  const std::string by = request.Parameter("by").value_or("workload");
  if (by != "workload" && by != "model")
    return Status::Invalid("by: expected workload or model, not '" + Printable(by, 40) + "'");
  wanted.by_model = by == "model";
  wanted.request.by = {ReportKey::kKind, ReportKey::kModel};
  if (!wanted.by_model)
    wanted.request.by = {ReportKey::kKind, ReportKey::kModel, ReportKey::kNamespace,
                         ReportKey::kWorkload, ReportKey::kTeam};
  wanted.team = request.Parameter("team").value_or("");
  wanted.namespace_name = request.Parameter("namespace").value_or("");
  return wanted;
}

// All that the answer depends on, but the time.
std::string QuestionOf(const Wanted& wanted) {
  return std::to_string(wanted.days) + (wanted.by_model ? "m" : "w") +
         std::to_string(wanted.team.size()) + ':' + wanted.team + wanted.namespace_name;
}

// One step of a group's past.
struct Moment {
  double grams = 0;
  double euros = 0;
  double energy_kwh = 0;
  double requests = 0;
  double tokens = 0;
};
using Trend = std::map<Timestamp, Moment>;

std::vector<std::string> NamesOf(const UsageRow& row, bool by_model) {
  std::vector<std::string> names = {row.is_run ? "run" : "service", row.model};
  if (!by_model) names.insert(names.end(), {row.namespace_name, row.workload, row.team});
  return names;
}

std::map<std::vector<std::string>, Trend> TrendsOf(const std::vector<UsageRow>& rows, bool by_model,
                                                   Duration step) {
  std::map<std::vector<std::string>, Trend> trends;
  for (const UsageRow& row : rows) {
    const Timestamp begin(row.begin.time_since_epoch() / step * step);
    Moment& moment = trends[NamesOf(row, by_model)][begin];
    moment.grams += row.operational_g + row.embodied_g;
    moment.euros += row.eur;
    moment.energy_kwh += row.energy_kwh;
    moment.requests += row.requests;
    moment.tokens += row.tokens;
  }
  return trends;
}

void WriteFigures(const char* key, const std::optional<UnitFigures>& figures, JsonWriter& json) {
  json.Key(key);
  if (!figures) {
    json.Null();
    return;
  }
  json.BeginObject().Key("wattHours").Value(figures->watt_hours);
  json.Key("gco2e").Value(figures->grams).Key("eur").Value(figures->euros).EndObject();
}

void WriteTrend(const Trend& trend, JsonWriter& json) {
  json.Key("trend").BeginArray();
  for (const auto& [begin, moment] : trend) {
    json.BeginObject().Key("begin").Value(FormatTime(begin)).Key("gco2e").Value(moment.grams);
    json.Key("eur").Value(moment.euros).Key("energyKwh").Value(moment.energy_kwh);
    json.Key("requests").Value(moment.requests).Key("tokens").Value(moment.tokens).EndObject();
  }
  json.EndArray();
}

void WriteGroup(const ReportLine& line, const Trend& trend, bool by_model, double hours,
                JsonWriter& json) {
  const auto letter = [](const std::optional<ClassLetter>& of) {
    return of ? std::string(1, ToLetter(*of)) : std::string();
  };
  json.BeginObject().Key("kind").Value(line.names[0]).Key("model").Value(line.names[1]);
  json.Key("namespace").Value(by_model ? "" : line.names[2]);
  json.Key("workload").Value(by_model ? "" : line.names[3]);
  json.Key("team").Value(by_model ? "" : line.names[4]);
  json.Key("pods").Value(line.sum.pod_hours / hours).Key("podHours").Value(line.sum.pod_hours);
  json.Key("energyKwh").Value(line.energy_kwh);
  json.Key("gco2e").Value(line.total ? std::optional(line.total->mid.value()) : std::nullopt);
  json.Key("lowGco2e").Value(line.total ? std::optional(line.total->low.value()) : std::nullopt);
  json.Key("highGco2e").Value(line.total ? std::optional(line.total->high.value()) : std::nullopt);
  json.Key("marketGco2e").Value(line.market_g).Key("eur").Value(line.euros);
  json.Key("requests").Value(line.sum.requests).Key("tokens").Value(line.sum.tokens);
  WriteFigures("perRequest", line.per_request, json);
  WriteFigures("perThousandTokens", line.per_thousand_tokens, json);
  json.Key("energyClass").Value(letter(line.energy_class));
  json.Key("carbonClass").Value(letter(line.carbon_class));
  json.Key("energyUnit").Value(line.per_thousand_tokens ? "Wh/1k-tokens" : "Wh/request");
  json.Key("measuredShare").Value(line.measured_share).Key("liveShare").Value(line.live_share);
  json.Key("knownShare").Value(line.grams_known_share);
  WriteChange(line.change, json);
  WriteTrend(trend, json);
  json.EndObject();
}

std::string WorkloadsJson(const Wanted& wanted, std::vector<UsageRow> rows, const Catalog& catalog,
                          Timestamp now) {
  std::erase_if(rows, [&](const UsageRow& row) {
    return (!wanted.team.empty() && row.team != wanted.team) ||
           (!wanted.namespace_name.empty() && row.namespace_name != wanted.namespace_name) ||
           (wanted.by_model && row.model.empty());
  });
  const Report report = MakeReport(rows, std::nullopt, wanted.request, ContextFor(catalog, now));
  const auto trends = TrendsOf(rows, wanted.by_model, report.step);
  const double hours = InHours(wanted.request.to - wanted.request.from);
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("from").Value(FormatTime(wanted.request.from));
  json.Key("to").Value(FormatTime(wanted.request.to));
  json.Key("by").Value(wanted.by_model ? "model" : "workload");
  json.Key("step").Value(report.step == Duration(std::chrono::hours(1)) ? "hour" : "day");
  json.Key("workloads").BeginArray();
  const std::size_t shown = std::min(report.groups.size(), kMostGroups);
  for (std::size_t i = 0; i < shown; ++i) {
    const ReportLine& line = report.groups[i];
    const auto trend = trends.find(line.names);
    WriteGroup(line, trend == trends.end() ? Trend() : trend->second, wanted.by_model, hours, json);
  }
  json.EndArray().Key("leftOff").Value(report.groups.size() - shown);
  json.Key("notes").BeginArray();
  for (const std::string& note : ReportNotes(report)) json.Value(note);
  json.EndArray().EndObject();
  return text;
}

// A report of single pods keeps all its rows in memory, beside the service.
Status CheckSize(const ReportOrder& order, Database& database) {
  constexpr std::int64_t kMostRows = 500'000;
  if (!NeedsPods(order)) return Status::Ok();
  const Result<std::int64_t> rows =
      UsageStore(database).Count(order.request.from, order.request.to);
  if (!rows.ok()) return rows.status();
  if (*rows <= kMostRows) return Status::Ok();
  return Status::Invalid("from: " + std::to_string(*rows) +
                         " rows of pods are too many for the service; ask for a shorter time, "
                         "group by what is no pod, node or place, or call `sobre report`");
}

void AddReports(HttpServer& server, RecordReaders& readers, const Config& config) {
  server.Handle("GET", "/api/v1/reports", [&](const HttpRequest& request, HttpResponse& response) {
    const auto fail = [&](const Status& status) { FailWith(status, response); };
    const Status known = CheckParameters(request, {"period", "from", "to", "by", "format"});
    if (!known.ok()) return fail(known);
    const Timestamp now = std::chrono::floor<std::chrono::seconds>(Now());
    const Result<ReportOrder> order = ReadReportOrder(
        {request.Parameter("from"), request.Parameter("to"), request.Parameter("by"),
         request.Parameter("format").value_or("json"), request.Parameter("period")},
        "", now);
    if (!order.ok()) return fail(order.status());
    if (order->request.to - order->request.from > std::chrono::hours(24 * kMostDays))
      return fail(
          Status::Invalid("from: a report covers at most " + std::to_string(kMostDays) + " days"));
    const auto reader = readers.OpenUsage();
    if (!reader.ok()) return fail(reader.status());
    if (Status status = CheckSize(*order, **reader); !status.ok()) return fail(status);
    Result<std::string> text =
        WriteReport(*order, **reader, *config.rows, "kubernetes", now, false);
    if (!text.ok()) return fail(text.status());
    response.body = *std::move(text);
    if (order->format == "json") return;
    response.content_type = "text/plain; charset=utf-8";
    if (order->format == "text") return;
    const bool html = order->format == "html";
    response.content_type = html ? "text/html; charset=utf-8" : "text/csv; charset=utf-8";
    // To be kept: it is a page or a table of its own, not a part of the dashboard.
    response.headers.emplace_back("Content-Disposition",
                                  "attachment; filename=\"sobre-" + order->format + "-" +
                                      FormatTime(order->request.from).substr(0, 10) + "-" +
                                      FormatTime(order->request.to).substr(0, 10) +
                                      (html ? ".html" : ".csv") + "\"");
  });
}

}  // namespace

void WriteChange(const std::optional<ReportLine::Change>& change, JsonWriter& json) {
  json.Key("change");
  if (!change) {
    json.Null();
    return;
  }
  json.BeginObject().Key("gco2e").Value(change->grams);
  json.Key("gco2eShare").Value(change->grams_share).Key("eur").Value(change->euros);
  json.Key("eurShare").Value(change->euros_share).EndObject();
}

void AddUsageApi(HttpServer& server, RecordReaders& readers, const Config& config) {
  const auto kept = std::make_shared<KeptAnswers>(kKeepWorkloads);
  HandleJson(server, "/api/v1/workloads", {"days", "by", "team", "namespace"},
             [&, kept](const HttpRequest& request) -> Result<std::string> {
               const Timestamp now = Now();
               const Result<Wanted> wanted = WantedBy(request, now);
               if (!wanted.ok()) return wanted.status();
               return kept->For(QuestionOf(*wanted), now, [&]() -> Result<std::string> {
                 const auto reader = readers.OpenUsage();
                 if (!reader.ok()) return reader.status();
                 Result<std::vector<UsageRow>> rows =
                     UsageStore(**reader).ReadWorkloads(wanted->request.from, wanted->request.to);
                 if (!rows.ok()) return rows.status();
                 return WorkloadsJson(*wanted, *std::move(rows), *config.rows, now);
               });
             });
  AddReports(server, readers, config);
}

}  // namespace sobre
