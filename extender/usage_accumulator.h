#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "audit/outcomes.h"
#include "audit/usage.h"
#include "base/time.h"
#include "extender/world.h"
#include "scoring/attribution.h"

namespace sobre {

// By the pod's uid; nothing where its decision is not known.
using Counterfactuals = std::function<std::optional<MeanOfCandidates>(const std::string& uid)>;

// Adds up what running pods take, tick by tick, in rows by hour. The clock is a parameter. For one
// thread.
class UsageAccumulator {
 public:
  struct Options {
    // A longer time without a tick is left out, and counted as a gap. A clock that is set back by
    // no more is waited for, so that no time counts twice; by more, it was wrong before.
    Duration bridge = std::chrono::minutes(15);
    // Usage that would need more is counted as dropped.
    std::size_t most_rows = 200'000;
  };
  explicit UsageAccumulator(Options options, Counterfactuals counterfactuals = nullptr);

  // Accounts from `through` on; forgets what was added up and not taken.
  void Start(Timestamp through);
  // For each pod of the state the time since the last tick, at the state's rates: since its start
  // where that is later. A pod that is gone is not counted after the last tick that saw it.
  void Tick(const WorldState& state, Timestamp now);

  class Batch;
  // All since the last Take(), or since Start().
  Batch Take();

  // What the pods of the last tick take; of what is unknown nothing.
  struct Running {
    double watts = 0;
    double grams_per_hour = 0;  // operational by location, and embodied
    double eur_per_hour = 0;
    std::int64_t pods = 0;
  };
  [[nodiscard]] const Running& running() const { return running_; }

  // Since construction.
  [[nodiscard]] Duration gap() const { return gap_; }
  // Pieces of usage, a pod's between two ticks, for which there was no room.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  struct Piece;  // of one pod's time, within one hour
  void Add(const Piece& piece);
  void AddToRunning(const PodRates& rates);
  UsageFigures* FiguresFor(const Piece& piece);

  // Many pods are added up between two batches: what names them is shared, with the watch and
  // between them.
  struct Place {
    std::string node;
    std::string provider;
    std::string region;
    std::string country;
    std::string hardware_class;
    auto operator<=>(const Place&) const = default;
  };
  static Place PlaceOf(const Snapshot& snapshot, const std::string& name);
  struct Kept {
    Timestamp hour;
    std::shared_ptr<const PodPlacement> pod;
    const std::string* team = nullptr;
    const std::string* model = nullptr;
    const Place* place = nullptr;
    bool is_run = false;
    UsageFigures figures;
  };
  struct Sums {
    std::unordered_multimap<std::size_t, Kept> kept;  // by a hash of what names a row
    std::set<std::string, std::less<>> texts;
    std::set<Place> places;
  };

  const Options options_;
  const Counterfactuals counterfactuals_;
  std::optional<Timestamp> last_;  // the last tick
  Timestamp from_;                 // where the next batch begins
  Sums sums_;
  Running running_;
  Duration gap_{0};
  std::uint64_t dropped_ = 0;
};

// What was added up from one moment to another. It must not outlive a use of Rows().
class UsageAccumulator::Batch {
 public:
  [[nodiscard]] Timestamp from() const { return from_; }
  // Earlier than `from` only where the clock was set back.
  [[nodiscard]] Timestamp to() const { return to_; }
  [[nodiscard]] bool empty() const { return sums_.kept.empty(); }
  // Makes one row after the other.
  [[nodiscard]] UsageRows Rows() const;

 private:
  friend class UsageAccumulator;
  Timestamp from_;
  Timestamp to_;
  Sums sums_;
};

}  // namespace sobre
