#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backtest/scenario.h"
#include "scoring/units.h"

// Plays a scenario once for each of its variants, hour by hour. Pure: the same scenario gives the
// same figures.
namespace sobre::backtest {

// What ran, over some time. Grams and euros are those of the report ledger: what the pods answer
// for, the idle power of what they reserve included.
struct Figures {
  KilowattHours energy;
  Grams operational;
  Grams embodied;
  // What their load adds to nodes that are on anyway.
  Grams added;
  // The same by the grid's marginal intensity; 0 without one.
  Grams marginal;
  Euros euros;
  VcpuHours reserved;
  // Of services of which a rate is known.
  Units requests;
  Grams grams_of_requests;  // operational + embodied
  Euros euros_of_requests;

  [[nodiscard]] Grams grams() const { return operational + embodied; }
  Figures& operator+=(const Figures& other);
};

struct Place {
  std::string region;  // "provider/region"
  std::int64_t pods = 0;
  VcpuHours reserved;
  Grams grams;
};

struct Outcome {
  std::string variant;
  Figures total;
  std::vector<Figures> hours;  // after the warm-up
  std::vector<Place> places;   // by region's name
  std::int64_t pods = 0;       // that came after the warm-up
  std::int64_t placed = 0;
  std::int64_t gated = 0;          // waited behind their gate
  std::int64_t queued = 0;         // found no room at once
  std::int64_t without_place = 0;  // had none at the end
  Hours gated_for;                 // together
  Hours queued_for;                // together, of those that were placed
  Fraction cpu_reserved;           // of all nodes' vCPUs, on average
};

struct Backtest {
  std::vector<Outcome> outcomes;  // as the scenario's variants stand
  // What a reader must know: assumptions that were made for want of data.
  std::vector<std::string> notes;
  // A variant that does worse than the first one by its own measure, and the like.
  std::vector<std::string> warnings;
};

// `progress` hears how many hours of how many are done; it may be empty.
Backtest Replay(const Scenario& scenario,
                const std::function<void(std::int64_t done, std::int64_t of)>& progress = {});

}  // namespace sobre::backtest
