#include "extender/status_pages.h"

#include "audit/digest.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "extender/explain.h"
#include "extender/signals_json.h"

namespace sobre {
namespace {

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5"><title>Sobre</title><style>
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid #8884;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.wide{overflow-x:auto}
</style></head><body>
)";

void WriteNodeTable(const Snapshot& snapshot, std::string& out) {
  constexpr std::size_t kShown = 100;
  out +=
      "<h2>Nodes</h2><div "
      "class=wide><table><tr><th>Node<th>Provider<th>Region<th>Hardware<th>Grid<th "
      "class=n>gCO2e/kWh<th class=n>PUE<th class=n>EUR/h\n";
  std::size_t shown = 0;
  for (const NodeRecord& node : snapshot.nodes()) {
    if (shown++ == kShown) break;
    const auto& intensity = node.live_intensity ? node.live_intensity : node.catalog_intensity;
    out += "<tr><td>" + EscapeHtml(node.facts->name) + "<td>" + EscapeHtml(node.facts->provider) +
           "<td>" + EscapeHtml(node.facts->region) + "<td>" +
           EscapeHtml(snapshot.hardware_classes()[static_cast<std::size_t>(node.hardware_class)]) +
           "<td>" + EscapeHtml(node.grid_zone) + "<td class=n>" +
           (intensity ? FormatSignificant(intensity->value.value(), 3) +
                            (node.live_intensity ? " live" : "")
                      : "?") +
           "<td class=n>" + FormatSignificant(node.pue.value(), 3) + "<td class=n>" +
           (node.price ? FormatSignificant(node.price->value.value(), 3) +
                             (node.price_estimated ? " estimate" : "")
                       : "?") +
           "\n";
  }
  out += "</table></div>";
  if (snapshot.nodes().size() > kShown) {
    out += "<p>The first " + std::to_string(kShown) + " of " +
           std::to_string(snapshot.nodes().size()) + " nodes; all are at /api/v1/nodes.</p>";
  }
}

// Where decisions are kept, and whether that works.
std::string RecordsText(const RecordsState& records) {
  if (!records.recorder.enabled) return "Decisions are not kept: records.directory is not set.";
  const JournalState& journal = records.recorder.journal;
  std::string text = "On record: " + std::to_string(journal.head.seq) + " entries of chain " +
                     journal.chain + ", head " + Hex(journal.head.hash).substr(0, 12) + "….";
  if (!journal.problem.empty())
    text += " Nothing can be written now, " + std::to_string(journal.backlog) +
            " entries wait: " + journal.problem + ".";
  if (journal.dropped > 0)
    text += " " + std::to_string(journal.dropped) + " were dropped since the start.";
  if (records.shipper && !records.shipper->problem.empty())
    text += " The shared database takes none, they stay on this disk: " + records.shipper->problem +
            ".";
  return text;
}

std::string Page(const WorldState& state, const std::vector<DecisionSummary>& decisions,
                 const RecordsState& records) {
  std::string out(kHead);
  out += "<h1>Sobre: euros and gCO2e per request</h1><p>" +
         std::to_string(state.snapshot->nodes().size()) + " nodes, snapshot of " +
         FormatTime(state.snapshot->time()) + ", catalogue " + state.snapshot->catalog_version() +
         "</p><p>" + EscapeHtml(RecordsText(records)) + "</p>";
  for (const std::string& note : state.snapshot->notes())
    out += "<p>Note: " + EscapeHtml(note) + "</p>";
  out +=
      "<h2>Last decisions</h2><div class=wide><table><tr><th>Time<th>Pod<th>Best node<th>Why<th "
      "class=n>Candidates\n";
  if (decisions.empty()) out += "<tr><td colspan=5>None yet: kube-scheduler has not asked.";
  for (const DecisionSummary& d : decisions) {
    const std::string pod = records.recorder.enabled
                                ? "<a href=\"api/v1/decisions/" + PercentEncode(d.uid) + "\">" +
                                      EscapeHtml(d.pod) + "</a>"
                                : EscapeHtml(d.pod);
    out += "<tr><td>" + FormatTime(d.time) + "<td>" + pod + "<td>" + EscapeHtml(d.best) + "<td>" +
           EscapeHtml(d.reason) + (d.shadow ? " (shadow: not followed)" : "") +
           (d.best_refused.empty() ? "" : "<br>Without limits: " + EscapeHtml(d.best_refused)) +
           "<td class=n>" + std::to_string(d.candidates) + "\n";
  }
  out += "</table></div>";
  WriteNodeTable(*state.snapshot, out);
  out += "</body></html>\n";
  return out;
}

void WriteDecisions(const std::vector<DecisionSummary>& decisions, std::string& out) {
  JsonWriter json(out);
  json.BeginArray();
  for (const DecisionSummary& d : decisions) {
    json.BeginObject()
        .Key("time")
        .Value(FormatTime(d.time))
        .Key("pod")
        .Value(d.pod)
        .Key("uid")
        .Value(d.uid);
    json.Key("verb").Value(d.verb).Key("best").Value(d.best).Key("reason").Value(d.reason);
    json.Key("candidates").Value(d.candidates).Key("refused").Value(d.refused);
    json.Key("bestRefused").Value(d.best_refused).Key("shadow").Value(d.shadow);
    json.Key("problems").BeginArray();
    for (const std::string& problem : d.problems) json.Value(problem);
    json.EndArray().Key("policyFrom").BeginArray();
    for (const std::string& origin : d.policy_from) json.Value(origin);
    json.EndArray().EndObject();
  }
  json.EndArray();
}

void WriteNodes(const Snapshot& snapshot, std::string& out) {
  JsonWriter json(out);
  json.BeginArray();
  for (const NodeRecord& node : snapshot.nodes()) {
    json.BeginObject()
        .Key("node")
        .Value(node.facts->name)
        .Key("provider")
        .Value(node.facts->provider);
    json.Key("region").Value(node.facts->region).Key("gridZone").Value(node.grid_zone);
    json.Key("hardwareClass")
        .Value(snapshot.hardware_classes()[static_cast<std::size_t>(node.hardware_class)]);
    json.Key("priceEstimated").Value(node.price_estimated);
    const auto number = [&](const char* key, const auto& sourced) {
      json.Key(key).Value(sourced ? std::optional(sourced->value.value()) : std::nullopt);
    };
    number("catalogueGco2ePerKwh", node.catalog_intensity);
    number("liveGco2ePerKwh", node.live_intensity);
    number("eurPerHour", node.price);
    number("listEurPerHour", node.list_price);
    json.Key("priceFrom").Value(node.price ? node.price->source : "");
    number("electricityEurPerKwh", node.electricity);
    number("measuredCpuWatts", node.measured_cpu_power);
    number("measuredGpuWatts", node.measured_gpu_power);
    number("measuredWatts", node.measured_power);
    json.Key("pue").Value(node.pue.value()).Key("wattsPerVcpu").Value(node.slope.value());
    json.Key("idleWattsPerVcpu").Value(node.idle.value());
    json.Key("powerFrom").Value(ToString(node.power_basis));
    json.Key("powerSource").Value(node.power_source).EndObject();
  }
  json.EndArray();
}

}  // namespace

void AddStatusPages(HttpServer& server, const World& world, const Config& config,
                    const Metrics& metrics, Records& records, const Accountant* accountant,
                    const std::atomic<bool>& draining) {
  server.Handle("GET", "/healthz", [](const HttpRequest&, HttpResponse& response) {
    response.content_type = "text/plain; charset=utf-8";
    response.body = "ok\n";
  });
  server.Handle("GET", "/readyz", [&](const HttpRequest&, HttpResponse& response) {
    const auto state = world.Read();
    response.content_type = "text/plain; charset=utf-8";
    response.body = draining       ? "not ready: stopping\n"
                    : state->ready ? "ok\n"
                                   : "not ready: " + state->not_ready_reason + "\n";
    response.status = !draining && state->ready ? 200 : 503;
  });
  server.Handle("GET", "/metrics", [&, accountant](const HttpRequest&, HttpResponse& response) {
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = metrics.Serialize(*world.Read(), Now(), records.State());
    if (accountant != nullptr) response.body += accountant->Metrics();
  });
  server.Handle("GET", "/api/v1/decisions", [&](const HttpRequest&, HttpResponse& response) {
    WriteDecisions(records.recent().List(), response.body);
  });
  server.Handle(
      "GET", "/api/v1/decisions/*", [&](const HttpRequest& request, HttpResponse& response) {
        const std::string_view id = request.path.substr(request.path.rfind('/') + 1);
        const auto database = OpenToRead(config);
        if (!database.ok()) return response.Fail(404, database.status().message());
        const auto placement = FindPlacement(**database, id);
        if (!placement.ok()) return response.Fail(404, placement.status().message());
        Result<std::string> json = PlacementJson(*placement, FetchFrom(**database), config.rows);
        if (!json.ok()) return response.Fail(500, json.status().message());
        response.body = *std::move(json);
      });
  server.Handle("GET", "/api/v1/nodes", [&](const HttpRequest&, HttpResponse& response) {
    WriteNodes(*world.Read()->snapshot, response.body);
  });
  server.Handle("GET", "/api/v1/budgets", [accountant](const HttpRequest&, HttpResponse& response) {
    const AccountingStatus status =
        accountant == nullptr ? AccountingStatus{} : accountant->status();
    response.body = BudgetsJson(status.budgets, status.through);
  });
  server.Handle("GET", "/api/v1/signals", [&](const HttpRequest&, HttpResponse& response) {
    const auto state = world.Read();
    response.body = SignalsJson(*state, Diagnose(*state, config));
  });
  server.Handle("GET", "/", [&](const HttpRequest&, HttpResponse& response) {
    response.content_type = "text/html; charset=utf-8";
    response.body = Page(*world.Read(), records.recent().List(), records.State());
  });
}

}  // namespace sobre
