#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "audit/journal.h"
#include "audit/record.h"
#include "scoring/test_world.h"

namespace sobre {

// What the service hands over after it scored the named candidates.
inline std::unique_ptr<DecisionCase> CaseFor(std::shared_ptr<const Snapshot> snapshot,
                                             const std::vector<std::string>& names,
                                             DecisionRequest request) {
  auto made = std::make_unique<DecisionCase>();
  made->verb = "prioritize";
  made->answered = snapshot->time();
  made->request = std::move(request);
  made->decision = DecideFor(*snapshot, names, made->request);
  for (const std::string& name : names)
    if (snapshot->Find(name) == Snapshot::kUnknownNode) made->unknown.push_back(name);
  made->snapshot = std::move(snapshot);
  return made;
}

// As somebody would who can write the file, but not sign: the entry after `last` says that all
// before `first_seq` was pruned, and its hash is right.
inline Status ForgePruning(Database& database, const std::string& chain, const Head& last,
                           std::int64_t first_seq) {
  v1::RecordedPruning pruning;
  pruning.set_first_seq(first_seq);
  const Draft draft = DraftOf(EntryKind::kPruning, TestWorld::kTime, pruning);
  const std::array<SqlValue, 5> values = {
      chain, last.seq + 1, TestWorld::kTime.time_since_epoch().count(), Blob{draft.payload},
      Blob{HashOf(last.hash, chain, last.seq + 1, draft)}};
  return database.Run(
      "INSERT INTO entries(chain, seq, kind, time_ms, pod_uid, namespace, pod, payload, hash) "
      "VALUES($1, $2, 'pruning', $3, '', '', '', $4, $5)",
      values);
}

}  // namespace sobre
