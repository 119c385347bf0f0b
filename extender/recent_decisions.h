#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "audit/outcomes.h"
#include "audit/record.h"
#include "base/mutex.h"
#include "base/time.h"

namespace sobre {

// A decision as people read it. Figures are of the best node, on the report ledger unless another
// is named; what is unknown is absent.
struct DecisionSummary {
  std::uint64_t seq = 0;  // counted from 1 by this process
  Timestamp time;
  std::string namespace_name;
  std::string pod;
  std::string uid;
  std::string workload;
  std::string model;
  std::string verb;
  std::string best_node;  // empty: none may be taken
  std::string best;       // the same with its place, score and figures
  std::string reason;
  std::string objective;
  std::string unit;
  std::optional<double> eur_per_unit;
  std::optional<double> gco2e_per_unit;
  std::optional<double> eur_per_hour;
  std::optional<double> gco2e_per_hour;
  MeanOfCandidates mean;  // of those that were not refused
  // What was ranked, and the reason tells of: the ledger and the figures on it.
  std::string ledger;
  std::optional<double> placement_eur_per_unit;
  std::optional<double> placement_gco2e_per_unit;
  std::optional<double> mean_placement_gco2e_per_unit;
  std::string energy_class;  // "A" to "G"
  std::string carbon_class;
  std::int64_t candidates = 0;
  std::int64_t refused = 0;
  // The price of its limits: what the best refused node would have been.
  std::string best_refused;
  bool shadow = false;
  // Annotations that could not be followed.
  std::vector<std::string> problems;
  // What was said of which key by whom: "allowed-countries: namespace, enforced".
  std::vector<std::string> policy_from;
  // What became of it, where that is known.
  std::string bound;
  std::optional<bool> followed;
};
DecisionSummary Summarize(const DecisionCase& made, const MeanOfCandidates& mean);

// Where a pod went.
struct PodOutcome {
  std::string namespace_name;
  std::string uid;
  std::string node;       // empty: nowhere
  bool followed = false;  // to the best node, or one as good
};

// The last decisions and outcomes, for those who look and those who follow. Thread-safe.
class RecentDecisions {
 public:
  static constexpr std::size_t kKept = 200;
  void Add(DecisionSummary summary);
  void Close(PodOutcome outcome);
  // Newest first; of one namespace, or of all.
  [[nodiscard]] std::vector<DecisionSummary> List(
      std::size_t most = kKept, const std::optional<std::string>& namespace_name = {}) const;
  [[nodiscard]] std::optional<DecisionSummary> Find(std::string_view uid) const;

  // How far somebody who follows has come.
  struct Position {
    std::uint64_t decisions = 0;
    std::uint64_t outcomes = 0;
  };
  struct News {
    std::vector<DecisionSummary> decisions;  // oldest first
    std::uint64_t skipped = 0;               // decisions before those that are not told
    std::vector<PodOutcome> outcomes;
    Position position;
    [[nodiscard]] bool empty() const { return decisions.empty() && outcomes.empty(); }
  };
  // What came since `from`, the newest `most` decisions at most; waits for at most `patience` for
  // something to come.
  [[nodiscard]] News Wait(const Position& from, std::size_t most, Duration patience) const;
  [[nodiscard]] Position Now() const;

 private:
  [[nodiscard]] Position Last() const SOBRE_REQUIRES(mutex_);

  mutable Mutex mutex_;
  mutable ConditionVariable came_;
  std::deque<DecisionSummary> kept_ SOBRE_GUARDED_BY(mutex_);
  std::deque<PodOutcome> outcomes_ SOBRE_GUARDED_BY(mutex_);
  std::uint64_t outcomes_seen_ SOBRE_GUARDED_BY(mutex_) = 0;
  std::uint64_t decisions_seen_ SOBRE_GUARDED_BY(mutex_) = 0;
};

}  // namespace sobre
