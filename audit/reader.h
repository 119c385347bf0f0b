#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/journal.h"
#include "audit/outcomes.h"
#include "audit/report.h"
#include "base/status.h"
#include "proto/sobre/v1/record.pb.h"
#include "store/database.h"

// Decisions as people ask for them: all calls about one attempt to place a pod, and what became of
// it.
namespace sobre {

struct Call {
  EntryId id;
  v1::Record record;
};
struct Outcome {
  EntryId id;
  v1::RecordedOutcome record;
};

// One attempt of kube-scheduler: filter, prioritize or both, whichever replicas answered.
struct Placement {
  std::vector<Call> calls;  // by time; at least one
  std::optional<Outcome> outcome;
  std::size_t attempt = 1;
  std::size_t attempts = 1;  // of the pod, as far as they are kept

  // The call whose scores counted: prioritize, where there was one.
  [[nodiscard]] const Call& decisive() const;
};

// Joins one pod's calls and outcomes, in any order. A new attempt begins with a filter, or with a
// prioritize where the attempt has one already; calls of replicas whose clocks differ by less than
// a second are still told apart rightly. Of several outcomes of an attempt the decisive call's
// counts.
std::vector<Placement> JoinCalls(std::vector<Call> calls, std::vector<Outcome> outcomes);

// All attempts to place a pod, by time; none for one that nobody asked about.
Result<std::vector<Placement>> PlacementsOf(Database& database, const std::string& pod_uid);

// By a decision's id, a pod's uid, "namespace/name" or, where it is the only one, its name: the
// attempt that has that id, else the pod's last one. kNotFound says what was looked for.
Result<Placement> FindPlacement(Database& database, std::string_view what);

// What the mean of the candidates of a pod's last decision would have taken; nothing where no
// outcome is kept.
Result<std::optional<MeanOfCandidates>> MeanOnRecord(Database& database,
                                                     const std::string& pod_uid);

// Each attempt that was answered in [from, to), pod by pod in the order in which they were first
// asked about. An error of `each` ends it.
Status ForEachPlacement(Database& database, Timestamp from, Timestamp to,
                        const std::function<Status(const Placement&)>& each);

// Of decisions that were answered in [from, to), with their outcomes whenever they came. Each
// attempt counts once; a pod's outcome belongs to its last attempt. Says nothing of hours.
Result<DecisionStats> ReadStats(Database& database, Timestamp from, Timestamp to);

}  // namespace sobre
