// A record of a decision, as bytes or as JSON: what can be recalled is written again with the same
// results, and JSON says all that the bytes say.
#include <string>
#include <utility>

#include <google/protobuf/stubs/logging.h>

#include "audit/record.h"
#include "audit/verify.h"
#include "tests/fuzz/fuzz.h"

namespace sobre::fuzz {
namespace {

void CheckText(const v1::Record& record) {
  const std::string json = RecordJson(record);
  const Result<v1::Record> read = ParseRecord(json);
  SOBRE_HOLDS(read.ok());
  SOBRE_HOLDS(RecordJson(*read) == json);
}

void CheckScores(const Decision& decision) {
  for (const Candidate& candidate : decision.candidates)
    SOBRE_HOLDS(candidate.score >= 0 && candidate.score <= kMaxScore);
}

// Written as our own programs write it, and recalled.
Recalled Again(const Recalled& recalled) {
  DecisionCase made;
  made.verb = "prioritize";
  made.answered = recalled.snapshot->time();
  made.request = recalled.request;
  made.decision = recalled.decision;
  made.unknown = recalled.unknown;
  made.snapshot = recalled.snapshot;
  const v1::Record written = SelfContained(made);
  Result<Recalled> again = Recall(written, written.known(), SnapshotInput::EmbeddedCatalog());
  SOBRE_HOLDS(again.ok());
  return *std::move(again);
}

void CheckAgain(const Recalled& recalled) {
  v1::Record first = ResultsOf(recalled);
  const Recalled again = Again(recalled);
  v1::Record second = ResultsOf(again);
  SOBRE_HOLDS(ResultsOf(Again(again)).SerializeAsString() == second.SerializeAsString());
  // What is the same may stand twice in what somebody else wrote: it is of two kinds there.
  for (v1::Record* record : {&first, &second}) {
    record->clear_results_sha256();
    record->clear_mean();
  }
  SOBRE_HOLDS(first.SerializeAsString() == second.SerializeAsString());
}

}  // namespace
}  // namespace sobre::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sobre;
  using namespace sobre::fuzz;
  // It would tell of every text that is none.
  static const auto quiet = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(quiet);
  v1::Record record;
  if (size > 0 && data[0] == '{') {
    Result<v1::Record> read = ParseRecord(TextOf(data, size));
    if (!read.ok()) return 0;
    record = *std::move(read);
  } else if (!record.ParseFromArray(data, static_cast<int>(size))) {
    return 0;
  }
  record.DiscardUnknownFields();
  CheckText(record);
  const auto catalog = SnapshotInput::EmbeddedCatalog();
  // As if it were made today: else the corpus would be of no use from the next catalogue on.
  record.set_algorithm_version(kAlgorithmVersion);
  record.set_catalog_version(catalog->version());
  static_cast<void>(Verify(record, record.known(), catalog).ok());
  const Result<Recalled> recalled = Recall(record, record.known(), catalog);
  if (!recalled.ok()) return 0;
  CheckScores(recalled->decision);
  CheckAgain(*recalled);
  return 0;
}
