#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "audit/journal.h"
#include "audit/record.h"

namespace sobre {

// The number of an entry, known once it is written.
struct Ticket {
  std::string chain;
  std::int64_t seq = 0;
};

// A decision that waits to hear what became of its pod.
struct OpenDecision {
  std::shared_ptr<Ticket> ticket;
  Timestamp answered;
  bool shadow = false;
  std::string namespace_name;
  std::string pod;
  v1::RecordedCandidate best;
  v1::RecordedFigures mean;
  std::vector<std::string> certifications;
  // What the figures of another node than the best come from, while it is young.
  std::shared_ptr<const Snapshot> snapshot;
  DecisionRequest request;
  std::vector<std::int32_t> candidates;
  // Read back from a former process, which may have missed the pod's end.
  bool restored = false;
};
// As it is recorded.
OpenDecision OpenOf(const DecisionCase& made, const v1::Record& record,
                    std::shared_ptr<Ticket> ticket);
OpenDecision OpenOf(const v1::Record& record, const EntryId& id);

// A pod that waits for longer is not waited for.
inline constexpr Duration kOpenFor = std::chrono::hours(48);

// What the mean of the feasible candidates would take, by hour, report ledger. Each where it is
// known.
struct MeanOfCandidates {
  std::optional<double> gco2e_per_hour;
  std::optional<double> eur_per_hour;
};
MeanOfCandidates MeanOf(const v1::RecordedFigures& figures);

// What became of a decision; its ticket says of which, once that one is written.
struct Closed {
  std::shared_ptr<Ticket> ticket;
  v1::RecordedOutcome outcome;
  bool agreed = false;  // on the best node, or on one as good
};

// Joins decisions with the pods that are seen. The last decision of a pod before its node is the
// one that counts. Not thread-safe.
class OutcomeBook {
 public:
  using Each = std::function<void(Closed)>;
  // `closed` is told of each outcome, from within the call that brings it.
  OutcomeBook(std::int64_t extender_weight, Each closed)
      : extender_weight_(extender_weight), closed_(std::move(closed)) {}

  void Decided(const std::string& uid, OpenDecision decision);
  // A decision that was read back; nothing if its pod was decided on since.
  void Restore(const std::string& uid, OpenDecision decision);
  // The pod is there; `node` is empty while it has none.
  void Seen(const std::string& uid, const std::string& node);
  void Gone(const std::string& uid);
  // All pods were told, and all decisions of former processes: of those whose pod is not there
  // nobody will hear more.
  void AllKnown();
  // Lets go of what keeps much memory, and of pods of which nothing will be heard. Walks all.
  void Age(Timestamp now);
  [[nodiscard]] std::size_t open() const { return open_.size(); }

 private:
  void Open(const std::string& uid, OpenDecision decision);
  void Close(const std::string& uid, const std::string& node);
  [[nodiscard]] Closed Judge(const OpenDecision& open, const std::string& uid,
                             const std::string& node) const;

  const std::int64_t extender_weight_;
  const Each closed_;
  std::unordered_map<std::string, OpenDecision> open_;
  std::unordered_map<std::string, std::string> present_;  // uid to node, "" while it has none
  std::unordered_set<std::string> decided_;               // by this process
};

}  // namespace sobre
