#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/mutex.h"
#include "base/time.h"
#include "extender/world.h"

namespace sobre {

// What all running pods take now, per hour, on the report ledger; nothing of what is unknown for
// all of them.
struct RunningTotals {
  Timestamp time;
  std::int64_t pods = 0;
  std::int64_t known_pods = 0;  // all of their grams, and euros, are known
  std::optional<double> eur_per_hour;
  std::optional<Range<GramsPerHour>> grams;
  std::optional<double> watts;
  // Of pods that count requests, and what those take.
  std::optional<double> requests_per_hour;
  std::optional<double> eur_per_request;
  std::optional<double> gco2e_per_request;
  std::optional<double> watt_hours_per_request;
  std::optional<double> measured_share;  // of the watts
  std::optional<double> live_share;      // of operational grams, by the grid's live intensity
};
// Pure.
RunningTotals SumRunning(const WorldState& state, Timestamp now);

// The same, made at most every ten seconds however many ask. Thread-safe.
class RunningView {
 public:
  static constexpr Duration kFor = std::chrono::seconds(10);
  RunningTotals At(const WorldState& state, Timestamp now);

 private:
  Mutex mutex_;  // held while it is made, so that it is made once
  std::optional<RunningTotals> last_ SOBRE_GUARDED_BY(mutex_);
};

}  // namespace sobre
