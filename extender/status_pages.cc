#include "extender/status_pages.h"

#include <chrono>

#include "base/json_writer.h"
#include "extender/api_backtests.h"
#include "extender/api_decisions.h"
#include "extender/api_labels.h"
#include "extender/api_moves.h"
#include "extender/api_overview.h"
#include "extender/api_places.h"
#include "extender/api_policy.h"
#include "extender/api_usage.h"
#include "extender/gatekeeper.h"
#include "extender/page.h"
#include "extender/process_page.h"
#include "extender/readiness.h"
#include "extender/signals_json.h"

namespace sobre {
namespace {

std::string NodesJson(const Snapshot& snapshot) {
  std::string text;
  JsonWriter json(text);
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
  return text;
}

}  // namespace

void AddStatusPages(HttpServer& server, const World& world, const Config& config,
                    const Metrics& metrics, Records& records, RecordReaders& readers,
                    const Accountant* accountant, const Mover* mover, const ClusterScorer* clusters,
                    Access* access, std::vector<const HttpServer*> servers,
                    const std::atomic<bool>& draining) {
  server.Handle("GET", "/healthz", [](const HttpRequest&, HttpResponse& response) {
    response.content_type = "text/plain; charset=utf-8";
    response.body = "ok\n";
  });
  const auto accounting = [accountant] {
    return accountant == nullptr ? std::nullopt : std::optional(accountant->status());
  };
  server.Handle("GET", "/readyz",
                [&, accounting, access](const HttpRequest& request, HttpResponse& response) {
                  const auto state = world.Read();
                  std::vector<ReadyPart> parts =
                      ReadyParts(*state, SilentFor(*state, std::chrono::steady_clock::now()),
                                 draining, records.State(), accounting(), world.Lease(), Now());
                  if (access != nullptr && !access->MaySeeAll(request, Now()))
                    parts = ForStrangers(parts);
                  AnswerReadiness(parts, request, response);
                });
  server.Handle("GET", "/debug/process",
                [&, servers = std::move(servers)](const HttpRequest&, HttpResponse& response) {
                  ProcessPage page;
                  page.records = records.State();
                  page.snapshots = InstanceCount<WorldState>::alive();
                  for (const HttpServer* each : servers)
                    page.servers.emplace_back(each->name(), each->load());
                  response.content_type = "text/plain; charset=utf-8";
                  response.body = page.Text();
                });
  server.Handle("GET", "/metrics",
                [&, accountant, mover, clusters](const HttpRequest&, HttpResponse& response) {
                  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
                  response.body = metrics.Serialize(*world.Read(), Now(), records.State());
                  response.body += LeaseMetrics(world.Lease());
                  if (accountant != nullptr) response.body += accountant->Metrics();
                  if (mover != nullptr) response.body += MovesMetrics(mover->status());
                  if (clusters != nullptr) response.body += ClusterMetrics(clusters->status());
                });
  HandleJson(server, "/api/v1/nodes", {}, [&](const HttpRequest&) -> Result<std::string> {
    return NodesJson(*world.Read()->snapshot);
  });
  HandleJson(server, "/api/v1/budgets", {},
             [accountant](const HttpRequest&) -> Result<std::string> {
               const AccountingStatus status =
                   accountant == nullptr ? AccountingStatus{} : accountant->status();
               return BudgetsJson(status.budgets, status.through);
             });
  HandleJson(server, "/api/v1/signals", {}, [&](const HttpRequest&) -> Result<std::string> {
    const auto state = world.Read();
    return SignalsJson(*state, Diagnose(*state, config));
  });
  AddOverviewApi(server, world, config, metrics, records, readers);
  AddDecisionsApi(server, records.recent(), readers, config);
  AddPlacesApi(server, world);
  AddPolicyApi(server, world);
  AddMovesApi(server, mover, config);
  AddBacktestsApi(server, config);
  AddUsageApi(server, readers, config);
  AddLabels(server, readers, config);
  AddPage(server);
}

}  // namespace sobre
