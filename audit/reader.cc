#include "audit/reader.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/text.h"

namespace sobre {
namespace {

constexpr std::int64_t kClockSkewMs = 1000;

bool IsFilter(const Call& call) { return call.record.verb() == "filter"; }

// The attempt that a call belongs to: the last one, a new one, or a prioritize's that came first by
// its own replica's clock.
bool BeginsAttempt(const Call& call, const Placement& last) {
  const auto has = [&](bool filter) {
    return std::any_of(last.calls.begin(), last.calls.end(),
                       [&](const Call& other) { return IsFilter(other) == filter; });
  };
  if (!IsFilter(call)) return has(false);
  const Call& first = last.calls.front();
  const bool skewed = !has(true) && first.id.chain != call.id.chain &&
                      call.record.answered_ms() - first.record.answered_ms() < kClockSkewMs;
  return !skewed;
}

// The uid of the pod that was decided on last among those that match.
Result<std::optional<std::string>> LastUid(Database& database, const std::string& where,
                                           std::span<const SqlValue> values) {
  const auto rows = database.Rows("SELECT pod_uid FROM entries WHERE kind = 'decision' AND " +
                                      where + " ORDER BY time_ms DESC, seq DESC LIMIT 1",
                                  values);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return std::optional<std::string>();
  return std::optional(Text(rows->front().front()));
}

Result<std::optional<std::string>> UidOf(Database& database, std::string_view what) {
  const std::size_t slash = what.find('/');
  if (slash != std::string_view::npos) {
    const std::array<SqlValue, 2> values = {std::string(what.substr(0, slash)),
                                            std::string(what.substr(slash + 1))};
    return LastUid(database, "namespace = $1 AND pod = $2", values);
  }
  const SqlValue value = std::string(what);
  auto uid = LastUid(database, "pod_uid = $1", {&value, 1});
  if (!uid.ok() || *uid) return uid;
  const auto places = database.Rows(
      "SELECT DISTINCT namespace FROM entries WHERE kind = 'decision' AND pod = $1 LIMIT 2",
      {&value, 1});
  if (!places.ok()) return places.status();
  if (places->size() > 1) {
    return Status::Invalid("pods named " + Printable(what, 63) + " are in several namespaces (" +
                           Text((*places)[0][0]) + ", " + Text((*places)[1][0]) +
                           "): say NAMESPACE/NAME");
  }
  return LastUid(database, "pod = $1", {&value, 1});
}

}  // namespace

const Call& Placement::decisive() const {
  const auto scored =
      std::find_if(calls.begin(), calls.end(), [](const Call& call) { return !IsFilter(call); });
  return scored == calls.end() ? calls.back() : *scored;
}

std::vector<Placement> JoinCalls(std::vector<Call> calls, std::vector<Outcome> outcomes) {
  std::stable_sort(calls.begin(), calls.end(), [](const Call& a, const Call& b) {
    return a.record.answered_ms() < b.record.answered_ms();
  });
  std::vector<Placement> placements;
  for (Call& call : calls) {
    if (placements.empty() || BeginsAttempt(call, placements.back())) placements.emplace_back();
    placements.back().calls.push_back(std::move(call));
  }
  for (std::size_t i = 0; i < placements.size(); ++i) {
    placements[i].attempt = i + 1;
    placements[i].attempts = placements.size();
  }
  if (placements.empty()) return placements;
  // What another replica wrote of an earlier attempt, which it was still waiting for, is no
  // outcome.
  Placement& last = placements.back();
  for (Outcome& outcome : outcomes) {
    const auto is_of = [&](const Call& call) {
      return call.id.chain == outcome.record.chain() && call.id.seq == outcome.record.seq();
    };
    if (std::none_of(last.calls.begin(), last.calls.end(), is_of)) continue;
    if (!last.outcome || is_of(last.decisive())) last.outcome = std::move(outcome);
  }
  return placements;
}

Result<std::vector<Placement>> PlacementsOf(Database& database, const std::string& pod_uid) {
  std::vector<Call> calls;
  std::vector<Outcome> outcomes;
  const SqlValue value = pod_uid;
  const auto rows =
      database.Rows(SelectEntries("WHERE pod_uid = $1 ORDER BY chain, seq"), {&value, 1});
  if (!rows.ok()) return rows.status();
  for (const SqlRow& row : *rows) {
    Result<Entry> entry = ReadEntry(row);
    if (!entry.ok()) return entry.status();
    const EntryId id{entry->chain, entry->seq};
    if (entry->kind == EntryKind::kDecision) {
      auto record = Parse<v1::Record>(*entry);
      if (!record.ok()) return record.status();
      calls.push_back({id, *std::move(record)});
    } else if (entry->kind == EntryKind::kOutcome) {
      auto record = Parse<v1::RecordedOutcome>(*entry);
      if (!record.ok()) return record.status();
      outcomes.push_back({id, *std::move(record)});
    }
  }
  return JoinCalls(std::move(calls), std::move(outcomes));
}

Result<std::optional<MeanOfCandidates>> MeanOnRecord(Database& database,
                                                     const std::string& pod_uid) {
  const SqlValue value = pod_uid;
  const auto rows = database.Rows(
      SelectEntries("WHERE pod_uid = $1 AND kind = 'outcome' ORDER BY time_ms DESC LIMIT 1"),
      {&value, 1});
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return std::optional<MeanOfCandidates>();
  const Result<Entry> entry = ReadEntry(rows->front());
  if (!entry.ok()) return entry.status();
  const auto outcome = Parse<v1::RecordedOutcome>(*entry);
  if (!outcome.ok()) return outcome.status();
  return std::optional(MeanOf(outcome->mean()));
}

Result<Placement> FindPlacement(Database& database, std::string_view what) {
  const std::optional<EntryId> id = ParseEntryId(what);
  std::optional<std::string> uid;
  if (id) {
    const auto entry = FindEntry(database, *id);
    if (!entry.ok()) return entry.status();
    if (!*entry)
      return Status::NotFound("decision " + Printable(what, 80) +
                              " is not kept: a wrong number, or pruned");
    uid = (*entry)->pod_uid;
  } else {
    const auto found = UidOf(database, what);
    if (!found.ok()) return found.status();
    uid = *found;
  }
  if (!uid) return Status::NotFound("no decision about pod " + Printable(what, 200) + " is kept");
  Result<std::vector<Placement>> placements = PlacementsOf(database, *uid);
  if (!placements.ok()) return placements.status();
  if (placements->empty())
    return Status::NotFound("entry " + Printable(what, 80) + " is no decision");
  if (id) {
    for (Placement& placement : *placements) {
      for (const Call& call : placement.calls)
        if (call.id.chain == id->chain && call.id.seq == id->seq) return std::move(placement);
      if (placement.outcome && placement.outcome->id.chain == id->chain &&
          placement.outcome->id.seq == id->seq)
        return std::move(placement);
    }
  }
  return std::move(placements->back());
}

Status ForEachPlacement(Database& database, Timestamp from, Timestamp to,
                        const std::function<Status(const Placement&)>& each) {
  const std::array<SqlValue, 2> values = {
      static_cast<std::int64_t>(from.time_since_epoch().count()),
      static_cast<std::int64_t>(to.time_since_epoch().count())};
  std::vector<std::string> pods;
  Status listed = database.ForEach(
      "SELECT pod_uid FROM entries WHERE kind = 'decision' AND time_ms >= $1 AND time_ms < $2 "
      "GROUP BY pod_uid ORDER BY MIN(time_ms), pod_uid",
      values, [&](const SqlRow& row) {
        pods.push_back(Text(row.front()));
        return Status::Ok();
      });
  if (!listed.ok()) return listed;
  for (const std::string& pod : pods) {
    const auto placements = PlacementsOf(database, pod);
    if (!placements.ok()) return placements.status();
    for (const Placement& placement : *placements) {
      const Timestamp answered{Duration(placement.decisive().record.answered_ms())};
      if (answered < from || answered >= to) continue;
      if (Status status = each(placement); !status.ok()) return status;
    }
  }
  return Status::Ok();
}

Result<DecisionStats> ReadStats(Database& database, Timestamp from, Timestamp to) {
  DecisionStats totals;
  std::int64_t refused_nodes = 0;
  std::map<std::string, DecisionStats::Certification> certifications;
  const Status read = ForEachPlacement(database, from, to, [&](const Placement& placement) {
    const v1::Record& record = placement.decisive().record;
    ++totals.decisions;
    // Shadow mode refuses nothing.
    if (record.policy().mode() != ToString(Mode::kShadow))
      refused_nodes += placement.calls.front().record.refused();
    if (!placement.outcome) return Status::Ok();
    const v1::RecordedOutcome& outcome = placement.outcome->record;
    if (outcome.node().empty()) {
      if (!outcome.unseen()) ++totals.never_bound;
      return Status::Ok();
    }
    ++totals.outcomes;
    if (outcome.node() == record.best().node() ||
        (outcome.has_score() && outcome.score() == outcome.best_score()))
      ++totals.agreed;
    for (const std::string& name : outcome.certifications()) {
      DecisionStats::Certification& certification = certifications[name];
      certification.name = name;
      ++certification.decisions;
      if (outcome.certified()) ++certification.kept;
    }
    return Status::Ok();
  });
  if (!read.ok()) return read;
  if (refused_nodes > 0) totals.refusals.push_back({"limits", refused_nodes});
  for (auto& [name, certification] : certifications)
    totals.certifications.push_back(std::move(certification));
  return totals;
}

}  // namespace sobre
