#include "extender/explain.h"

#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include "audit/verify.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "extender/api_policy.h"
#include "extender/command_line.h"
#include "extender/config.h"
#include "extender/decision_json.h"
#include "extender/offline.h"
#include "extender/records.h"
#include "scoring/explain.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

constexpr std::array<Option, 6> kOptions = {{
    {"POD|DECISION", "",
     "\"namespace/name\", a name, a uid, or a decision's id such as sobre-0-1f2e3d4c:17", true},
    {"--config", "FILE", "the service's configuration: where its records are"},
    {"--format", "text|json|record", "record: one line that `sobre verify --in` can make again"},
    {"--rows", "N", "how many candidates to show; 30 if left out"},
    {"--db", "FILE", "the records' file, instead of the configuration's"},
    {"--help", "", "this text"},
}};
constexpr std::int64_t kRows = 30;

// A record made again, and whether that is what it says.
struct Again {
  Status check;
  std::optional<Recalled> recalled;
  v1::RecordedSnapshot known;
};

Again Remake(const v1::Record& record, const Fetch& fetch,
             const std::shared_ptr<const Catalog>& catalog) {
  Again again;
  Result<v1::RecordedSnapshot> known = ReadKnown(record.known_sha256(), fetch);
  if (!known.ok()) {
    again.check = known.status();
    return again;
  }
  again.known = *std::move(known);
  again.check = Verify(record, again.known, catalog);
  if (again.check.code() == ErrorCode::kNotFound) return again;
  Result<Recalled> recalled = Recall(record, again.known, catalog);
  if (recalled.ok()) again.recalled = *std::move(recalled);
  return again;
}

// What was said of one key of the policy.
struct PolicySaid {
  std::string key;
  std::string value;
  std::string origin;  // "namespace, enforced"
};

std::string Difference(double a, double b, const char* unit) {
  const double change = a - b;
  constexpr double kRounding = 5e-4;
  if (std::abs(change) <= std::abs(b) * kRounding) return std::string("no change in ") + unit;
  std::string text = (change < 0 ? "−" : "+") + FormatSignificant(std::abs(change), 3) + " " + unit;
  if (b != 0)
    text += " (" + std::string(change < 0 ? "−" : "+") +
            FormatSignificant(std::abs(change / b) * 100, 3) + " %)";
  return text;
}

// What the pod takes on its node against what the mean of the candidates would have taken.
std::string Against(const v1::RecordedFigures& taken, const v1::RecordedFigures& other,
                    const std::string& what) {
  std::string text;
  if (taken.has_gco2e() && other.has_gco2e()) {
    text += Difference(taken.gco2e(), other.gco2e(), "gCO2e") + " and ";
  }
  if (taken.has_eur() && other.has_eur()) {
    text += Difference(taken.eur(), other.eur(), "EUR");
  } else if (!text.empty()) {
    text += "unknown euros";
  }
  if (text.empty()) return {};
  text += " an hour against " + what;
  if (taken.has_gco2e() && other.has_gco2e() && taken.gco2e() != other.gco2e())
    text += "; both are uncertain: " + FormatSignificant(taken.low_gco2e(), 3) + " to " +
            FormatSignificant(taken.high_gco2e(), 3) + " and " +
            FormatSignificant(other.low_gco2e(), 3) + " to " +
            FormatSignificant(other.high_gco2e(), 3) + " gCO2e";
  return text;
}

// The same against the mean of the candidates of the call that decided.
std::string AgainstTheMean(const Placement& placement, const v1::RecordedFigures& taken) {
  const v1::Record& record = placement.decisive().record;
  if (record.best().node().empty() || !placement.outcome) return {};
  if (static_cast<std::int64_t>(record.scores().size()) - record.refused() == 1)
    return "the only candidate that was not refused: there is no mean to compare with";
  return Against(taken, record.mean(), "the mean of the candidates that were not refused");
}

std::string OutcomeText(const Placement& placement) {
  const v1::Record& record = placement.decisive().record;
  const std::string best = record.best().node();
  if (!placement.outcome) return "no node yet";
  const v1::RecordedOutcome& outcome = placement.outcome->record;
  if (outcome.node().empty()) return "never bound: " + outcome.why();
  if (outcome.node() == best) return "bound to " + best + ", the best";
  if (best.empty()) return "bound to " + outcome.node();
  if (outcome.has_score() && outcome.score() == outcome.best_score())
    return "bound to " + outcome.node() + ", as good as " + best + ": both score " +
           std::to_string(outcome.score());
  return "we preferred " + best + ", kube-scheduler took " + outcome.node() +
         (outcome.why().empty() ? "" : ": " + outcome.why());
}

// Report figures of where the pod runs; nothing where that is not known.
const v1::RecordedFigures& Taken(const Placement& placement) {
  return placement.outcome ? placement.outcome->record.report()
                           : v1::RecordedFigures::default_instance();
}

std::string CallsText(const Placement& placement) {
  std::string text;
  for (const Call& call : placement.calls) {
    text += (text.empty() ? "" : ", ") + call.record.verb() + " " + ToString(call.id) + " at " +
            FormatTime(Timestamp(Duration(call.record.answered_ms())));
    if (call.record.refused() > 0)
      text += " (" + std::to_string(call.record.refused()) + " refused)";
  }
  return text;
}

// What would have to change for others to win: one of each score below the best, the nearest first.
std::vector<std::string> Alternatives(const Recalled& recalled, const v1::Record& record) {
  constexpr std::size_t kMost = 3;
  const Snapshot& snapshot = *recalled.snapshot;
  const AfterLimits after = ApplyLimits(recalled.request, recalled.decision, snapshot);
  const Decision& decision = after.Among(recalled.decision);
  const Candidate* best = nullptr;
  std::map<std::int32_t, std::vector<const Candidate*>, std::greater<>> by_score;
  for (const Candidate& candidate : decision.candidates) {
    if (candidate.node != Snapshot::kUnknownNode &&
        snapshot.nodes()[static_cast<std::size_t>(candidate.node)].facts->name ==
            record.best().node())
      best = &candidate;
    by_score[candidate.score].push_back(&candidate);
  }
  std::vector<std::string> changes;
  for (const auto& [score, candidates] : by_score) {
    if (best == nullptr || score >= best->score || changes.size() == kMost) continue;
    for (const Candidate* candidate : candidates) {
      std::string change = WhatWouldChange(*candidate, *best, decision, snapshot);
      if (change.empty()) continue;
      changes.push_back(std::move(change));
      break;
    }
  }
  return changes;
}

void AddInputs(const Recalled& recalled, const Placement& placement, std::string& text) {
  const v1::Record& record = placement.decisive().record;
  std::vector<std::string> names = {record.best().node(), record.runner_up().node()};
  if (placement.outcome) names.push_back(placement.outcome->record.node());
  std::set<std::string> done;
  for (const std::string& name : names) {
    const std::int32_t index = recalled.snapshot->Find(name);
    if (name.empty() || index == Snapshot::kUnknownNode || !done.insert(name).second) continue;
    text +=
        "\nWhat was known of " + Printable(name, 253) + "\n" +
        InputsText(recalled.snapshot->nodes()[static_cast<std::size_t>(index)], recalled.decision);
  }
}

void WriteFigures(JsonWriter& json, const v1::RecordedFigures& figures) {
  const auto number = [&](const char* key, bool known, double value) {
    json.Key(key).Value(known ? std::optional(value) : std::nullopt);
  };
  json.BeginObject();
  number("lowGco2ePerHour", figures.has_low_gco2e(), figures.low_gco2e());
  number("gco2ePerHour", figures.has_gco2e(), figures.gco2e());
  number("highGco2ePerHour", figures.has_high_gco2e(), figures.high_gco2e());
  number("eurPerHour", figures.has_eur(), figures.eur());
  json.EndObject();
}

void WriteRefusedNode(const Candidate& candidate, const Refusal& refusal,
                      const std::string& unknown, const Snapshot& snapshot, JsonWriter& json) {
  const bool known = candidate.node != Snapshot::kUnknownNode;
  const NodeFacts* facts =
      known ? snapshot.nodes()[static_cast<std::size_t>(candidate.node)].facts.get() : nullptr;
  const PlacementFigures& figures = candidate.placement;
  const double units = candidate.units.value();
  json.BeginObject().Key("node").Value(known ? facts->name : unknown);
  json.Key("provider").Value(known ? facts->provider : std::string());
  json.Key("region").Value(known ? facts->region : std::string());
  json.Key("reason").Value(refusal.reason);
  json.Key("eurPerUnit")
      .Value(figures.euros_known ? std::optional(figures.euros.value() / units) : std::nullopt);
  json.Key("gco2ePerUnit")
      .Value(figures.grams_known ? std::optional(figures.grams.value() / units) : std::nullopt);
  json.EndObject();
}

// The attempt's call of filter knows whom the limits refused, the later ones were not asked about
// them. Nothing where nobody was refused, or the call cannot be made again.
std::optional<Recalled> CallThatRefused(const Placement& placement, const Fetch& fetch,
                                        const std::shared_ptr<const Catalog>& catalog) {
  for (const Call& call : placement.calls) {
    if (call.record.refused() == 0) continue;
    Again again = Remake(call.record, fetch, catalog);
    if (again.recalled) return std::move(again.recalled);
  }
  return std::nullopt;
}

void WriteRefused(const Placement& placement, const Fetch& fetch,
                  const std::shared_ptr<const Catalog>& catalog, std::size_t most_rows,
                  JsonWriter& json) {
  std::size_t left_off = 0;
  std::size_t written = 0;
  json.Key("refused").BeginArray();
  if (const auto recalled = CallThatRefused(placement, fetch, catalog)) {
    std::size_t strangers = 0;
    for (const Candidate& candidate : recalled->decision.candidates) {
      const std::string unknown =
          candidate.node == Snapshot::kUnknownNode ? recalled->unknown[strangers++] : std::string();
      const auto refusal =
          CheckLimits(recalled->request, recalled->decision, candidate, *recalled->snapshot);
      if (!refusal) continue;
      if (written == most_rows) {
        ++left_off;
        continue;
      }
      ++written;
      WriteRefusedNode(candidate, *refusal, unknown, *recalled->snapshot, json);
    }
  }
  json.EndArray().Key("refusedLeftOff").Value(left_off);
}

// "allowed-countries: FR (namespace, enforced)": what holds, and who said it. Of a limit each voice
// holds, as it was written.
std::vector<PolicySaid> PolicyOf(const v1::Record& record) {
  std::vector<PolicySaid> all;
  const Result<Policy> policy = PolicyOnRecord(record);
  const auto& sources = record.policy().sources();
  for (const std::string& origin : record.policy_from()) {
    PolicySaid said;
    const std::size_t end = origin.find(": ");
    said.key = origin.substr(0, end);
    said.origin = end == std::string::npos ? "" : origin.substr(end + 2);
    const bool is_limit = std::any_of(sources.begin(), sources.end(),
                                      [&](const auto& source) { return source.key() == said.key; });
    if (is_limit) continue;
    for (std::size_t i = 0; i < kPolicyKeyCount && policy.ok(); ++i) {
      const auto key = static_cast<PolicyKey>(i);
      if (ToString(key) == said.key) said.value = PolicyValue(*policy, key);
    }
    all.push_back(std::move(said));
  }
  for (const v1::RecordedLimitSource& source : sources)
    all.push_back(
        {source.key(), source.text(), source.origin() + (source.enforced() ? ", enforced" : "")});
  return all;
}

}  // namespace

Result<std::string> ExplainPlacement(const Placement& placement, const Fetch& fetch,
                                     const std::shared_ptr<const Catalog>& catalog,
                                     std::size_t most_rows) {
  const Call& call = placement.decisive();
  const v1::Record& record = call.record;
  const Again again = Remake(record, fetch, catalog);
  std::string text = "Decision " + ToString(call.id) + ", attempt " +
                     std::to_string(placement.attempt) + " of " +
                     std::to_string(placement.attempts) + ": " + CallsText(placement) + "\n";
  if (record.policy().mode() == "shadow")
    text +=
        std::string("Shadow mode: kube-scheduler was told nothing of what follows; all nodes ") +
        (record.policy().has_enforced() ? "that keep the enforced limits " : "") +
        "passed with the same score.\n";
  text += "Outcome: " + Printable(OutcomeText(placement), 1000) + ".\n";
  if (const std::string mean = AgainstTheMean(placement, Taken(placement)); !mean.empty())
    text += "Attributed where it runs (report ledger): " + mean + ".\n";
  if (record.policy().mode() == "shadow" && placement.outcome &&
      placement.outcome->record.has_best()) {
    text += "Without Sobre's scores kube-scheduler took it there; on the best: " +
            Against(placement.outcome->record.best(), Taken(placement), "that") + ".\n";
  }
  for (const PolicySaid& said : PolicyOf(record)) {
    text += "Policy: " + Printable(said.key, 63) + ": " + Printable(said.value, 1000) +
            (said.value.empty() ? "(" : " (") + Printable(said.origin, 200) + ").\n";
  }
  text += again.check.ok() ? "Checked: made again, every figure is the same to the bit.\n"
                           : "Checked: " + Printable(again.check.message(), 1000) + ".\n";
  if (!again.recalled) {
    if (!record.best().node().empty())
      text += "Best: " + Printable(record.best().node(), 253) + ", score " +
              std::to_string(record.best().score()) + ".\n";
    if (record.best().node().empty() && !record.refusal().empty())
      text += "No node keeps the limits: " + Printable(record.refusal(), 1000) + ".\n";
    return text;
  }
  text += "\n" + ExplainText(again.recalled->request, again.recalled->decision,
                             *again.recalled->snapshot, most_rows);
  // The decisive call, where it is another, was not asked about them.
  if (record.refused() == 0) {
    if (const auto recalled = CallThatRefused(placement, fetch, catalog)) {
      const AfterLimits after =
          ApplyLimits(recalled->request, recalled->decision, *recalled->snapshot);
      text += "\n" + RefusedText(recalled->decision, after, *recalled->snapshot, recalled->unknown,
                                 most_rows);
    }
  }
  const std::vector<std::string> changes = Alternatives(*again.recalled, record);
  if (!changes.empty()) text += "\nWhat would have to change\n";
  for (const std::string& change : changes) text += "  " + Printable(change, 1000) + "\n";
  AddInputs(*again.recalled, placement, text);
  return text;
}

Result<std::string> PlacementJson(const Placement& placement, const Fetch& fetch,
                                  const std::shared_ptr<const Catalog>& catalog,
                                  std::size_t most_rows) {
  const Call& call = placement.decisive();
  const v1::Record& record = call.record;
  const Again again = Remake(record, fetch, catalog);
  std::string out;
  JsonWriter json(out);
  json.BeginObject().Key("id").Value(ToString(call.id));
  json.Key("pod").Value(record.pod().namespace_() + "/" + record.pod().name());
  json.Key("uid").Value(record.pod().uid());
  json.Key("attempt").Value(placement.attempt).Key("attempts").Value(placement.attempts);
  json.Key("calls").BeginArray();
  for (const Call& each : placement.calls) {
    json.BeginObject().Key("id").Value(ToString(each.id)).Key("verb").Value(each.record.verb());
    json.Key("answered").Value(FormatTime(Timestamp(Duration(each.record.answered_ms()))));
    json.Key("candidates").Value(each.record.scores().size());
    json.Key("refused").Value(each.record.refused()).EndObject();
  }
  json.EndArray().Key("best").Value(record.best().node());
  json.Key("runnerUp").Value(record.runner_up().node());
  json.Key("margin").Value(record.best().score() - record.runner_up().score());
  json.Key("policyFrom").BeginArray();
  for (const std::string& origin : record.policy_from()) json.Value(origin);
  json.EndArray().Key("policyValues").BeginArray();
  for (const PolicySaid& said : PolicyOf(record)) {
    json.BeginObject().Key("key").Value(said.key).Key("value").Value(said.value);
    json.Key("origin").Value(said.origin).EndObject();
  }
  json.EndArray().Key("outcome");
  if (placement.outcome) {
    const v1::RecordedOutcome& outcome = placement.outcome->record;
    json.BeginObject().Key("id").Value(ToString(placement.outcome->id));
    json.Key("node").Value(outcome.node()).Key("why").Value(outcome.why());
    json.Key("text").Value(OutcomeText(placement)).Key("report");
    WriteFigures(json, outcome.report());
    json.EndObject();
  } else {
    json.Null();
  }
  json.Key("taken");
  WriteFigures(json, Taken(placement));
  json.Key("meanOfCandidates");
  WriteFigures(json, record.mean());
  json.Key("againstTheMean").Value(AgainstTheMean(placement, Taken(placement)));
  json.Key("whatWouldChange").BeginArray();
  if (again.recalled) {
    for (const std::string& change : Alternatives(*again.recalled, record)) json.Value(change);
  }
  json.EndArray();
  WriteRefused(placement, fetch, catalog, most_rows, json);
  json.Key("check").Value(again.check.ok() ? "same to the bit" : again.check.message());
  json.Key("decision");
  if (again.recalled) {
    json.Raw(DecisionJson(again.recalled->request, again.recalled->decision,
                          *again.recalled->snapshot, most_rows));
  } else {
    json.Null();
  }
  json.EndObject();
  return out;
}

Result<Recalled> RecallPlacement(const Placement& placement, const Fetch& fetch,
                                 const std::shared_ptr<const Catalog>& catalog) {
  const v1::Record& record = placement.decisive().record;
  Again again = Remake(record, fetch, catalog);
  if (again.recalled && again.check.ok()) return *std::move(again.recalled);
  return Status::Damaged("the decision cannot be made again: " +
                         (again.check.ok() ? "its record is not complete" : again.check.message()));
}

int RunExplain(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("explain", line.status());
  if (line->Has("--help")) {
    std::printf(
        "usage: sobre explain POD|DECISION --config FILE [--format text|json|record] [--rows N]\n\n"
        "Why a pod was sent where it was, from the records: the winner, the figures of every "
        "candidate and where\nthey came from, whom the limits refused and why, what held of the "
        "policy and who said it, what became\nof it, and what would have to change for another to "
        "win.\n\n%s",
        HelpFor(kOptions).c_str());
    return 0;
  }
  const auto rows = line->Has("--rows") ? ParseInteger(line->Get("--rows")) : kRows;
  if (!rows || *rows < 1)
    return UsageError("explain", Status::Invalid("--rows: expected a number, 1 or more"));
  const std::string format = line->Has("--format") ? line->Get("--format") : "text";
  if (format != "text" && format != "json" && format != "record")
    return UsageError("explain", Status::Invalid("--format: expected text, json or record"));
  const Result<Config> config = ConfigOf(*line);
  if (!config.ok()) return UsageError("explain", config.status());
  const auto database = OpenToRead(*config, line->Get("--db"));
  if (!database.ok()) return UsageError("explain", database.status());
  const Result<Placement> placement = FindPlacement(**database, line->Get("POD|DECISION"));
  if (!placement.ok()) return UsageError("explain", placement.status());
  const Fetch fetch = FetchFrom(**database);
  Result<std::string> text = Status::Invalid("");
  if (format == "text") {
    text = ExplainPlacement(*placement, fetch, config->rows, static_cast<std::size_t>(*rows));
  } else if (format == "json") {
    text = PlacementJson(*placement, fetch, config->rows, SIZE_MAX);
    if (text.ok()) *text += '\n';
  } else {
    v1::Record record = placement->decisive().record;
    const auto known = ReadKnown(record.known_sha256(), fetch);
    if (!known.ok()) return UsageError("explain", known.status());
    *record.mutable_known() = *known;
    text = RecordJson(record);
  }
  if (!text.ok()) return UsageError("explain", text.status());
  return PrintAll("explain", *text) == 0 ? 0 : 2;
}

}  // namespace sobre
