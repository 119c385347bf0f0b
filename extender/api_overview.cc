#include "extender/api_overview.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "audit/digest.h"
#include "audit/report.h"
#include "audit/usage.h"
#include "base/json_writer.h"
#include "extender/api_usage.h"
#include "extender/diagnosis.h"
#include "extender/is_due.h"
#include "extender/report_order.h"
#include "extender/running.h"
#include "scoring/decide.h"

namespace sobre {
namespace {

// This month's sums, read anew at most so often however many ask. Thread-safe.
class MonthSoFar {
 public:
  MonthSoFar(RecordReaders& readers, const Config& config) : readers_(readers), config_(config) {}

  // Nothing where nothing is accounted for, or it cannot be read now.
  std::optional<Report> At(Timestamp now) {
    const MutexLock lock(mutex_);
    if (IsDue(read_, kFor, now)) {
      std::optional<Report> report = Read(now);
      // What could not be read just now is what it was, and is asked for again soon.
      read_ = report ? now : now - kFor + kSoon;
      if (report) report_ = std::move(report);
    }
    return report_;
  }

 private:
  static constexpr Duration kFor = std::chrono::seconds(30);
  static constexpr Duration kSoon = std::chrono::seconds(5);

  std::optional<Report> Read(Timestamp now) {
    Result<ReportOrder> order = ReadReportOrder({}, "", now);
    if (!config_.accounting.enabled || !order.ok()) return std::nullopt;
    const auto reader = readers_.Open();
    if (!reader.ok()) return std::nullopt;
    const auto rows = UsageStore(**reader).ReadWorkloads(order->request.from, order->request.to);
    if (!rows.ok() || rows->empty()) return std::nullopt;
    order->request.by.clear();
    return MakeReport(*rows, std::nullopt, order->request, ContextFor(*config_.rows, now));
  }

  RecordReaders& readers_;
  const Config& config_;
  Mutex mutex_;  // held while it reads, so that one reads for all
  std::optional<Timestamp> read_ SOBRE_GUARDED_BY(mutex_);
  std::optional<Report> report_ SOBRE_GUARDED_BY(mutex_);
};

void WriteDecisions(const Metrics::Decisions& decisions, JsonWriter& json) {
  json.Key("decisions").BeginObject().Key("total").Value(decisions.made);
  json.Key("unranked").Value(decisions.unranked);
  json.Key("annotationProblems").Value(decisions.annotation_problems);
  json.Key("refusedNodes").Value(decisions.refused_nodes).EndObject();
}

void WriteRecords(const RecordsState& state, JsonWriter& json) {
  const RecorderState& records = state.recorder;
  const JournalState& journal = records.journal;
  json.Key("records").BeginObject().Key("enabled").Value(records.enabled);
  json.Key("chain").Value(journal.chain).Key("entries").Value(journal.head.seq);
  json.Key("headHash").Value(records.enabled ? Hex(journal.head.hash) : std::string());
  json.Key("backlog").Value(journal.backlog).Key("dropped").Value(journal.dropped);
  json.Key("problem").Value(journal.problem);
  json.Key("shippingProblem").Value(state.shipper ? state.shipper->problem : std::string());
  json.Key("outcomes").Value(records.outcomes).Key("followed").Value(records.agreed);
  json.Key("open").Value(records.open_decisions).EndObject();
}

void WriteRunning(const RunningTotals& running, JsonWriter& json) {
  const auto grams = [&](GramsPerHour Range<GramsPerHour>::*part) {
    return running.grams ? std::optional(((*running.grams).*part).value()) : std::nullopt;
  };
  json.Key("running").BeginObject().Key("time").Value(FormatTime(running.time));
  json.Key("pods").Value(running.pods).Key("knownPods").Value(running.known_pods);
  json.Key("eurPerHour").Value(running.eur_per_hour);
  json.Key("gco2ePerHour").Value(grams(&Range<GramsPerHour>::mid));
  json.Key("lowGco2ePerHour").Value(grams(&Range<GramsPerHour>::low));
  json.Key("highGco2ePerHour").Value(grams(&Range<GramsPerHour>::high));
  json.Key("watts").Value(running.watts).Key("requestsPerHour").Value(running.requests_per_hour);
  json.Key("eurPerRequest").Value(running.eur_per_request);
  json.Key("gco2ePerRequest").Value(running.gco2e_per_request);
  json.Key("wattHoursPerRequest").Value(running.watt_hours_per_request);
  json.Key("measuredShare").Value(running.measured_share);
  json.Key("liveShare").Value(running.live_share).EndObject();
}

void WriteAccounted(const std::optional<Report>& report, JsonWriter& json) {
  json.Key("accounted");
  if (!report) {
    json.Null();
    return;
  }
  const ReportLine& total = report->total;
  json.BeginObject().Key("from").Value(FormatTime(report->request.from));
  json.Key("to").Value(FormatTime(report->request.to));
  json.Key("gco2e").Value(total.total ? std::optional(total.total->mid.value()) : std::nullopt);
  json.Key("eur").Value(total.euros).Key("energyKwh").Value(total.energy_kwh);
  json.Key("requests").Value(total.sum.requests);
  WriteChange(total.change, json);
  json.Key("measuredShare").Value(total.measured_share);
  json.Key("liveShare").Value(total.live_share).EndObject();
}

void WriteSignals(const Snapshot& snapshot, JsonWriter& json) {
  json.Key("signals").BeginArray();
  for (std::size_t i = 0; i < kSignalCount; ++i) {
    const SignalTally& tally = snapshot.tallies()[i];
    std::int64_t all = 0;
    for (const std::int64_t count : tally.count) all += count;
    json.BeginObject().Key("signal").Value(ToString(SignalAt(i)));
    json.Key("unit").Value(UnitOf(SignalAt(i))).Key("used").Value(tally.of(Fate::kUsed));
    json.Key("stale").Value(tally.of(Fate::kStale));
    json.Key("other").Value(all - tally.of(Fate::kUsed) - tally.of(Fate::kStale));
    json.Key("newest").Value(tally.newest ? FormatTime(*tally.newest) : "").EndObject();
  }
  json.EndArray();
}

void WriteFindings(const std::vector<Finding>& findings, JsonWriter& json) {
  json.Key("findings").BeginObject();
  for (const Severity severity : {Severity::kError, Severity::kWarning, Severity::kNote}) {
    const auto count = std::count_if(findings.begin(), findings.end(),
                                     [&](const Finding& f) { return f.severity == severity; });
    json.Key(ToString(severity)).Value(count);
  }
  json.EndObject();
}

std::size_t CountPlaces(const Snapshot& snapshot) {
  std::set<std::pair<std::string_view, std::string_view>> places;
  for (const NodeRecord& node : snapshot.nodes())
    places.emplace(node.facts->provider, node.facts->region);
  return places.size();
}

}  // namespace

void AddOverviewApi(HttpServer& server, const World& world, const Config& config,
                    const Metrics& metrics, const Records& records, RecordReaders& readers) {
  const auto running = std::make_shared<RunningView>();
  const auto month = std::make_shared<MonthSoFar>(readers, config);
  HandleJson(server, "/api/v1/overview", {},
             [&, running, month](const HttpRequest&) -> Result<std::string> {
               const Timestamp now = Now();
               // Before the state is looked at: whoever waits for the database holds none.
               const std::optional<Report> accounted = month->At(now);
               const auto state = world.Read();
               const Snapshot& snapshot = *state->snapshot;
               std::string text;
               JsonWriter json(text);
               json.BeginObject().Key("time").Value(FormatTime(now));
               json.Key("version").Value(SOBRE_VERSION).Key("algorithm").Value(kAlgorithmVersion);
               json.Key("catalogue").Value(snapshot.catalog_version());
               json.Key("ready").Value(state->ready).Key("notReady").Value(state->not_ready_reason);
               json.Key("nodes").Value(snapshot.nodes().size());
               json.Key("places").Value(CountPlaces(snapshot));
               json.Key("watchedPods").Value(state->watched_pods);
               json.Key("bindings").Value(state->bindings);
               json.Key("snapshotTime").Value(FormatTime(snapshot.time()));
               WriteDecisions(metrics.decisions(), json);
               WriteRecords(records.State(), json);
               WriteRunning(running->At(*state, now), json);
               WriteAccounted(accounted, json);
               WriteSignals(snapshot, json);
               WriteFindings(Diagnose(*state, config), json);
               json.Key("notes").BeginArray();
               for (const std::string& note : snapshot.notes()) json.Value(note);
               json.EndArray().EndObject();
               return text;
             });
}

}  // namespace sobre
