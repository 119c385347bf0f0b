#pragma once

#include <string>
#include <vector>

#include "scoring/policy.h"
#include "scoring/snapshot.h"

// Waiting for a cleaner hour behind the scheduling gate. Pure functions, safe from any thread.
namespace sobre {

// A pod that says no limit of its own waits at most this long.
inline constexpr Duration kDefaultMaxDelay = std::chrono::hours(24);

struct GateVerdict {
  bool open = false;
  // "eu-north-1 is at 31 gCO2e/kWh, below 50"
  std::string reason;
  // Where it is clean enough, as regions are labelled; empty where that did not open the gate.
  std::vector<std::string> regions;
};

// When the gate opens at the latest, whatever the grid does.
Timestamp LatestOpening(const Deferral& deferral, Timestamp created);

// Open when the live intensity of a region that keeps the pod's limits is below the threshold, when
// its forecast says that it will not get better before the latest opening, when that has come, or
// when nothing is known.
GateVerdict JudgeGate(const Policy& policy, Timestamp created, Timestamp now,
                      const Snapshot& snapshot);

}  // namespace sobre
