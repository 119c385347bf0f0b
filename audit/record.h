#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "audit/known.h"
#include "base/status.h"
#include "proto/sobre/v1/record.pb.h"
#include "scoring/decide.h"
#include "scoring/limits.h"
#include "scoring/snapshot.h"

namespace sobre {

// One call of kube-scheduler as it was answered: all that is handed over to be recorded.
struct DecisionCase {
  std::string_view verb;  // "filter", "prioritize" or "score"; lives as long as the program
  Timestamp answered;
  DecisionRequest request;
  // On its way to the recorder with the kinds alone: WriteOut() makes the candidates of them.
  Decision decision;
  // Of filter: what refuses each candidate.
  std::vector<std::optional<Refusal>> refusals;
  // Names of the candidates that the snapshot does not know, in their order.
  std::vector<std::string> unknown;
  std::shared_ptr<const Snapshot> snapshot;
};

// Everything that a decision was made from but the nodes, which are `known`, and what came of it.
// Limits are judged for all candidates.
v1::Record MakeRecord(const DecisionCase& made, const Known& known);
// The same with the nodes.
v1::Record SelfContained(const DecisionCase& made);
// Who said which key of the policy: "allowed-countries: namespace, enforced".
std::vector<std::string> PolicyOrigins(const Policy& policy);
// What held for the pod; an error names the field that no program of ours can have written.
Result<Policy> PolicyOnRecord(const v1::Record& record);
v1::RecordedFigures FiguresOf(const ReportFigures& report);

// What a record holds, decided on again. Candidates stand in the order of the nodes, those that
// were not known last.
struct Recalled {
  DecisionRequest request;
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<std::int32_t> nodes;  // of the candidates, as Decide() takes them
  std::vector<std::string> unknown;
  std::vector<std::int32_t> alike;
  Decision decision;
};
// An error names the field that no program of ours can have written. The catalogue must be the one
// that the record names: Verify() sees to that.
Result<Recalled> Recall(const v1::Record& record, const v1::RecordedSnapshot& known,
                        std::shared_ptr<const Catalog> catalog);
// The fields of a record that say what came of it.
v1::Record ResultsOf(const Recalled& recalled);

// One line of JSON, and back. Exact.
std::string RecordJson(const v1::Record& record);
Result<v1::Record> ParseRecord(std::string_view json);

}  // namespace sobre
