#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "audit/record.h"
#include "base/time.h"

namespace sobre {

// A decision as people read it.
struct DecisionSummary {
  Timestamp time;
  std::string pod;  // "namespace/name"
  std::string uid;
  std::string verb;
  std::string best;
  std::string reason;
  std::int64_t candidates = 0;
  std::int64_t refused = 0;
  // The price of its limits: what the best refused node would have been.
  std::string best_refused;
  bool shadow = false;
  // Annotations that could not be followed.
  std::vector<std::string> problems;
  // What was said of which key by whom: "allowed-countries: namespace, enforced".
  std::vector<std::string> policy_from;
};

DecisionSummary Summarize(const DecisionCase& made);

// The last decisions, for the status pages. Thread-safe.
class RecentDecisions {
 public:
  static constexpr std::size_t kKept = 200;
  void Add(DecisionSummary summary);
  // Newest first.
  [[nodiscard]] std::vector<DecisionSummary> List() const;
  [[nodiscard]] std::optional<DecisionSummary> Find(std::string_view uid) const;

 private:
  mutable std::mutex mutex_;  // guards kept_
  std::deque<DecisionSummary> kept_;
};

}  // namespace sobre
