#include "extender/readiness.h"

#include <algorithm>

#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

constexpr std::size_t kMaxWords = 200;
// What SobreSnapshotStale calls old.
constexpr Duration kOld = std::chrono::minutes(2);

std::string Words(std::string_view text) { return Printable(text, kMaxWords); }

std::string_view Words(const LeaseState& lease) {
  if (lease.leads) return "this replica leads";
  return lease.hold == LeaseHold::kOther ? "another replica leads"
                                         : "not held for long enough to lead";
}

class Parts {
 public:
  void Need(std::string name, bool ok, std::string_view says) {
    parts_.push_back({std::move(name), ok, true, Words(says)});
  }
  // `problem` is empty where all is well.
  void Want(std::string name, const std::string& problem, std::string_view says = {}) {
    parts_.push_back({std::move(name), problem.empty(), false,
                      Words(problem.empty() ? says : std::string_view(problem))});
  }
  std::vector<ReadyPart> Take() { return std::move(parts_); }

 private:
  std::vector<ReadyPart> parts_;
};

void AddCluster(const WorldState& state, Parts& parts) {
  for (const CollectionState& collection : state.collections) {
    if (!collection.listed) {
      parts.Need(collection.name, false,
                 "not listed yet" + (collection.problem.empty() ? "" : ": " + collection.problem));
    } else {
      // What was read stays, and grows old.
      parts.Need(collection.name, true,
                 collection.problem.empty() ? "" : "not followed: " + collection.problem);
    }
  }
  const bool told = std::any_of(state.collections.begin(), state.collections.end(),
                                [](const CollectionState& c) { return !c.listed; });
  if (!state.ready && !told) parts.Need("cluster", false, state.not_ready_reason);
}

void AddRecords(const RecordsState& records, Parts& parts) {
  if (!records.recorder.enabled) return;
  const JournalState& journal = records.recorder.journal;
  parts.Want("records", journal.problem,
             std::to_string(journal.backlog) + " wait to be written" +
                 (journal.distrusted.empty() ? "" : "; not gone on with: " + journal.distrusted));
  if (records.shipper) parts.Want("shared-records", records.shipper->problem);
}

std::string_view Mark(const ReadyPart& part) {
  if (part.ok) return "[+]";
  return part.needed ? "[-]" : "[!]";
}

std::string Text(const std::vector<ReadyPart>& parts, bool ready) {
  std::string text;
  for (const ReadyPart& part : parts) {
    text += Mark(part);
    text += part.name;
    text += part.ok ? " ok" : part.needed ? " failed" : " failed, not needed";
    if (!part.says.empty()) text += ": " + part.says;
    text += '\n';
  }
  return text + (ready ? "readyz check passed\n" : "readyz check failed\n");
}

std::string Json(const std::vector<ReadyPart>& parts, bool ready) {
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("ready").Value(ready).Key("parts").BeginArray();
  for (const ReadyPart& part : parts) {
    json.BeginObject().Key("name").Value(part.name).Key("ok").Value(part.ok);
    json.Key("needed").Value(part.needed).Key("says").Value(part.says).EndObject();
  }
  json.EndArray().EndObject();
  return text + "\n";
}

}  // namespace

std::vector<ReadyPart> ReadyParts(const WorldState& state, std::optional<Duration> silent,
                                  bool stopping, const RecordsState& records,
                                  const std::optional<AccountingStatus>& accounting,
                                  const std::optional<LeaseState>& lease, Timestamp now) {
  Parts parts;
  parts.Need("serving", !stopping, stopping ? "stopping" : "");
  AddCluster(state, parts);
  if (state.ready && !state.collections.empty())
    parts.Need("api-server", !silent, silent ? "last heard " + FormatAge(*silent) + " ago" : "");
  const Duration age = std::max(now - state.snapshot->time(), Duration(0));
  const std::string made =
      FormatAge(age) + " old, " + std::to_string(state.snapshot->nodes().size()) + " nodes";
  if (state.ready) parts.Want("snapshot", age > kOld ? made : "", made);
  for (const ServerState& server : state.servers) {
    parts.Want("prometheus/" + Printable(server.name, 40), server.problem,
               server.round_ended ? "" : "not asked for everything yet");
  }
  AddRecords(records, parts);
  if (accounting) parts.Want("accounting", accounting->problem);
  if (lease) parts.Want("lease", lease->problem, Words(*lease));
  return parts.Take();
}

std::vector<ReadyPart> ForStrangers(const std::vector<ReadyPart>& parts) {
  std::vector<ReadyPart> told;
  for (const ReadyPart& part : parts) {
    // "prometheus/main"
    std::string kind = part.name.substr(0, part.name.find('/'));
    told.push_back({std::move(kind), part.ok, part.needed, ""});
  }
  return told;
}

void AnswerReadiness(const std::vector<ReadyPart>& parts, const HttpRequest& request,
                     HttpResponse& response) {
  std::string missing;
  for (const ReadyPart& part : parts) {
    if (part.ok || !part.needed) continue;
    missing += (missing.empty() ? "" : "; ") + part.name;
    if (!part.says.empty() && part.says != part.name) missing += ": " + part.says;
  }
  const bool ready = missing.empty();
  response.status = ready ? 200 : 503;
  if (request.Header("Accept").value_or("").starts_with("application/json")) {
    response.body = Json(parts, ready);
    return;
  }
  response.content_type = "text/plain; charset=utf-8";
  const bool verbose = request.Parameter("verbose").has_value();
  if (!verbose) response.body = ready ? "ok\n" : "not ready: " + missing + "\n";
  if (verbose || !ready) response.body += Text(parts, ready);
}

}  // namespace sobre
