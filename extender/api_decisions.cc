#include "extender/api_decisions.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "audit/journal.h"
#include "audit/reader.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "extender/api_places.h"
#include "extender/explain.h"
#include "scoring/analysis.h"
#include "scoring/explain.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

constexpr std::string_view kDecisions = "/api/v1/decisions/";
constexpr std::string_view kWhatIf = "/api/v1/what-if/";
constexpr std::int64_t kMostRows = 100'000;

void WriteTexts(const char* key, const std::vector<std::string>& texts, JsonWriter& json) {
  json.Key(key).BeginArray();
  for (const std::string& text : texts) json.Value(text);
  json.EndArray();
}

void WriteSteps(const char* key, const std::vector<Step>& steps, double scale,
                const Decision& decision, const Snapshot& snapshot, JsonWriter& json) {
  json.Key(key).BeginArray();
  for (const Step& step : steps) {
    const std::int32_t node = decision.candidates[step.winner].node;
    json.BeginObject().Key("from").Value(step.from * scale).Key("node");
    json.Value(snapshot.nodes()[static_cast<std::size_t>(node)].facts->name).EndObject();
  }
  json.EndArray();
}

// One client that follows, on its connection's thread.
class Follower {
 public:
  Follower(const RecentDecisions& recent, std::optional<std::uint64_t> last_seen,
           std::optional<std::string> namespace_name)
      : recent_(recent), position_(recent.Now()), namespace_name_(std::move(namespace_name)) {
    if (last_seen) position_.decisions = std::min(*last_seen, position_.decisions);
  }

  bool Next(std::string& out) {
    if (!begun_) {
      begun_ = true;
      out = "retry: 2000\n\n";
      return true;
    }
    RecentDecisions::News news = recent_.Wait(position_, kMost, kPatience);
    const auto now = Clock::now();
    if (news.empty()) {
      if (now - sent_ > kHeartbeat) {
        out = ": still here\n\n";
        sent_ = now;
      }
      return true;
    }
    if (const auto due = sent_ + kBetween; now < due) {
      // What comes meanwhile goes along.
      std::this_thread::sleep_until(due);
      Tell(recent_.Wait(position_, kMost, Duration(0)), out);
    } else {
      Tell(std::move(news), out);
    }
    sent_ = Clock::now();
    return true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMost = 50;
  static constexpr Duration kPatience = std::chrono::milliseconds(500);
  static constexpr Duration kBetween = std::chrono::milliseconds(250);
  static constexpr Duration kHeartbeat = std::chrono::seconds(15);

  void Tell(RecentDecisions::News news, std::string& out) {
    position_ = news.position;
    if (namespace_name_) {
      const auto of_others = [this](const auto& each) {
        return each.namespace_name != *namespace_name_;
      };
      std::erase_if(news.decisions, of_others);
      std::erase_if(news.outcomes, of_others);
    }
    if (!news.decisions.empty()) {
      out += "event: decisions\nid: " + std::to_string(position_.decisions) + "\ndata: ";
      out += "{\"decisions\":[";
      for (std::size_t i = 0; i < news.decisions.size(); ++i)
        out += (i > 0 ? "," : "") + SummaryJson(news.decisions[i]);
      out += "],\"skipped\":" + std::to_string(news.skipped) + "}\n\n";
    }
    if (news.outcomes.empty()) return;
    out += "event: outcomes\ndata: ";
    JsonWriter json(out);
    json.BeginArray();
    for (const PodOutcome& outcome : news.outcomes) {
      json.BeginObject().Key("uid").Value(outcome.uid).Key("node").Value(outcome.node);
      json.Key("followed").Value(outcome.followed).EndObject();
    }
    json.EndArray();
    out += "\n\n";
  }

  const RecentDecisions& recent_;
  RecentDecisions::Position position_;
  const std::optional<std::string> namespace_name_;  // nothing: all
  Clock::time_point sent_ = Clock::now();
  bool begun_ = false;
};

// A placement that the path names, read by one of the readers.
template <class Then>
Result<std::string> WithPlacement(RecordReaders& readers, std::string_view id, const Then& then) {
  const auto reader = readers.Open();
  if (!reader.ok()) return reader.status();
  const Result<Placement> placement = FindPlacement(**reader, id);
  if (!placement.ok()) return placement.status();
  return then(*placement, FetchFrom(**reader));
}

// A candidate of both decisions; refused by none of them, as what-if changes no limit.
struct Judged {
  const Candidate* candidate;
  std::int32_t score = 0;
  std::int32_t score_before = 0;
  std::optional<Refusal> refusal;
};

// The scores of those that limits leave, in the order of all candidates; 0 of the others.
std::vector<std::int32_t> ScoresOf(const Decision& all, const AfterLimits& after) {
  std::vector<std::int32_t> scores;
  std::size_t next = 0;
  for (std::size_t i = 0; i < all.candidates.size(); ++i)
    scores.push_back(after.Refuses(i) ? 0 : after.Among(all).candidates[next++].score);
  return scores;
}

std::vector<Judged> Judge(const Decision& all, const AfterLimits& after, const Decision& before,
                          const AfterLimits& after_before) {
  const std::vector<std::int32_t> scores = ScoresOf(all, after);
  const std::vector<std::int32_t> scores_before = ScoresOf(before, after_before);
  std::vector<Judged> judged;
  judged.reserve(all.candidates.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < all.candidates.size(); ++i) {
    const bool refused = after.Refuses(i);
    judged.push_back({refused ? &all.candidates[i] : &after.Among(all).candidates[next++],
                      scores[i], scores_before[i],
                      refused ? after.refusals[i] : std::optional<Refusal>()});
  }
  std::stable_sort(judged.begin(), judged.end(), [](const Judged& a, const Judged& b) {
    if (a.refusal.has_value() != b.refusal.has_value()) return b.refusal.has_value();
    return a.score > b.score;
  });
  return judged;
}

std::string NodeName(const Candidate& candidate, const Snapshot& snapshot) {
  if (candidate.node == Snapshot::kUnknownNode) return {};
  return snapshot.nodes()[static_cast<std::size_t>(candidate.node)].facts->name;
}

void WriteJudged(const Judged& judged, const Decision& decision, const Snapshot& snapshot,
                 JsonWriter& json) {
  const Candidate& candidate = *judged.candidate;
  const PlacementFigures& figures = candidate.placement;
  const double units = candidate.units.value();
  const auto known = [](bool is_known, double value) {
    return is_known ? std::optional(value) : std::nullopt;
  };
  json.BeginObject().Key("node").Value(NodeName(candidate, snapshot));
  json.Key("score").Value(judged.score).Key("scoreBefore").Value(judged.score_before);
  json.Key("refused").Value(judged.refusal ? judged.refusal->reason : "");
  json.Key("eurPerUnit").Value(known(figures.euros_known, figures.euros.value() / units));
  json.Key("gco2ePerUnit").Value(known(figures.grams_known, figures.grams.value() / units));
  json.Key("pricedEurPerUnit")
      .Value(known(figures.euros_known && figures.grams_known,
                   RankedPriced(candidate, decision).value() / decision.units.value()));
  json.Key("withinTolerance").Value(!judged.refusal && candidate.within_tolerance).EndObject();
}

// All allowed candidates with the highest score.
void WriteBest(const char* key, const std::vector<Judged>& judged, bool before,
               const Snapshot& snapshot, JsonWriter& json) {
  const auto score = [before](const Judged& j) { return before ? j.score_before : j.score; };
  std::int32_t best = -1;
  for (const Judged& j : judged)
    if (!j.refusal) best = std::max(best, score(j));
  json.Key(key).BeginArray();
  for (const Judged& j : judged)
    if (!j.refusal && score(j) == best) json.Value(NodeName(*j.candidate, snapshot));
  json.EndArray();
}

}  // namespace

std::string SummaryJson(const DecisionSummary& d) {
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("seq").Value(d.seq).Key("time").Value(FormatTime(d.time));
  json.Key("pod").Value(d.namespace_name + "/" + d.pod).Key("namespace").Value(d.namespace_name);
  json.Key("workload").Value(d.workload).Key("model").Value(d.model).Key("uid").Value(d.uid);
  json.Key("verb").Value(d.verb).Key("best").Value(d.best_node).Key("bestText").Value(d.best);
  json.Key("bound").Value(d.bound).Key("followed");
  if (d.followed) {
    json.Value(*d.followed);
  } else {
    json.Null();
  }
  json.Key("reason").Value(d.reason).Key("objective").Value(d.objective);
  json.Key("candidates").Value(d.candidates).Key("refused").Value(d.refused);
  json.Key("bestRefused").Value(d.best_refused).Key("shadow").Value(d.shadow);
  json.Key("unit").Value(d.unit).Key("eurPerUnit").Value(d.eur_per_unit);
  json.Key("gco2ePerUnit").Value(d.gco2e_per_unit).Key("eurPerHour").Value(d.eur_per_hour);
  json.Key("gco2ePerHour").Value(d.gco2e_per_hour);
  json.Key("meanEurPerHour").Value(d.mean.eur_per_hour);
  json.Key("meanGco2ePerHour").Value(d.mean.gco2e_per_hour);
  json.Key("ledger").Value(d.ledger).Key("placementEurPerUnit").Value(d.placement_eur_per_unit);
  json.Key("placementGco2ePerUnit").Value(d.placement_gco2e_per_unit);
  json.Key("meanPlacementGco2ePerUnit").Value(d.mean_placement_gco2e_per_unit);
  json.Key("energyClass").Value(d.energy_class).Key("carbonClass").Value(d.carbon_class);
  WriteTexts("problems", d.problems, json);
  WriteTexts("policyFrom", d.policy_from, json);
  json.EndObject();
  return text;
}

std::string WhatIfJson(const std::string& id, const Recalled& recalled, const Policy& policy,
                       std::size_t most_rows) {
  const Snapshot& snapshot = *recalled.snapshot;
  DecisionRequest request = recalled.request;
  request.policy = policy;
  Decision decision;
  Decide(request, snapshot, recalled.nodes, decision);
  const AfterLimits after = ApplyLimits(request, decision, snapshot);
  const Decision& allowed = after.Among(decision);
  const AfterLimits after_before = ApplyLimits(recalled.request, recalled.decision, snapshot);
  const std::vector<Judged> judged = Judge(decision, after, recalled.decision, after_before);
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("id").Value(id).Key("policy").BeginObject();
  json.Key("objective").Value(ToString(policy.objective));
  json.Key("costTolerancePercent").Value(policy.cost_tolerance.value() * 100);
  json.Key("carbonPriceEurPerTonne").Value(policy.carbon_price.value()).EndObject();
  WriteBest("best", judged, false, snapshot, json);
  WriteBest("bestBefore", judged, true, snapshot, json);
  const bool any = !judged.empty() && !judged.front().refusal;
  json.Key("reason").Value(any ? Reason(*judged.front().candidate, allowed, snapshot, after.refused)
                               : NoNodeKeepsTheLimits(after.refusals));
  json.Key("unit").Value(ToString(decision.unit)).Key("candidates").BeginArray();
  for (std::size_t i = 0; i < std::min(judged.size(), most_rows); ++i)
    WriteJudged(judged[i], allowed, snapshot, json);
  json.EndArray();
  WriteSteps("carbonPriceSteps", CarbonPriceSteps(allowed), 1, allowed, snapshot, json);
  WriteSteps("costToleranceSteps", ToleranceSteps(allowed), 100, allowed, snapshot, json);
  json.EndObject();
  return text;
}

void AddDecisionsApi(HttpServer& server, const RecentDecisions& recent, RecordReaders& readers,
                     const Config& config) {
  HandleJson(server, "/api/v1/decisions", {"limit", "namespace"},
             [&recent](const HttpRequest& request) -> Result<std::string> {
               const auto limit = IntegerIn(request, "limit", 1, RecentDecisions::kKept);
               if (!limit.ok()) return limit.status();
               std::string text = "[";
               for (const DecisionSummary& summary :
                    recent.List(static_cast<std::size_t>(limit->value_or(RecentDecisions::kKept)),
                                request.Parameter("namespace")))
                 text += (text.size() > 1 ? "," : "") + SummaryJson(summary);
               return text + "]";
             });
  HandleJson(server, std::string(kDecisions) + "*", {"rows"},
             [&](const HttpRequest& request) -> Result<std::string> {
               const auto rows = IntegerIn(request, "rows", 1, kMostRows);
               if (!rows.ok()) return rows.status();
               const auto most = static_cast<std::size_t>(rows->value_or(kMostRows));
               return WithPlacement(readers, NameBelow(request, kDecisions),
                                    [&](const Placement& placement, const Fetch& fetch) {
                                      return PlacementJson(placement, fetch, config.rows, most);
                                    });
             });
  HandleJson(
      server, std::string(kWhatIf) + "*", {"carbon-price", "cost-tolerance", "objective", "rows"},
      [&](const HttpRequest& request) -> Result<std::string> {
        const auto rows = IntegerIn(request, "rows", 1, kMostRows);
        if (!rows.ok()) return rows.status();
        return WithPlacement(
            readers, NameBelow(request, kWhatIf),
            [&](const Placement& placement, const Fetch& fetch) -> Result<std::string> {
              const Result<Recalled> recalled = RecallPlacement(placement, fetch, config.rows);
              if (!recalled.ok()) return recalled.status();
              Policy policy = recalled->request.policy;
              if (Status status = ApplyPolicyParameters(request, policy); !status.ok())
                return status;
              return WhatIfJson(ToString(placement.decisive().id), *recalled, policy,
                                static_cast<std::size_t>(rows->value_or(kMostRows)));
            });
      });
  server.Handle(
      "GET", "/api/v1/stream", [&recent](const HttpRequest& request, HttpResponse& response) {
        const auto last = request.Header("Last-Event-ID");
        const auto seen = last ? ParseInteger(*last) : std::nullopt;
        const auto position =
            seen && *seen >= 0 ? std::optional(static_cast<std::uint64_t>(*seen)) : std::nullopt;
        response.content_type = "text/event-stream; charset=utf-8";
        response.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
        response.next_part = [follower = std::make_shared<Follower>(
                                  recent, position, request.Parameter("namespace"))](
                                 std::string& out) { return follower->Next(out); };
      });
}

}  // namespace sobre
