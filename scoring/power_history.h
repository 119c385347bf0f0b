#pragma once

#include <array>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "scoring/snapshot.h"

namespace sobre {

// What machines of each kind were measured to draw at which load, over time: fills with each
// snapshot, and gives the lines that the next one uses. Keeps the newest points of each tenth of
// the load, so that its memory does not grow with nodes or time. Not thread-safe; no clock.
class PowerHistory {
 public:
  // Takes the measured loads that are newer than those already taken of the same node.
  void Add(const Snapshot& snapshot);
  // Takes those of a moment of the past, whatever was taken before: once each.
  void AddPast(const Snapshot& snapshot);

  // One kind of machine, and what its points give.
  struct Class {
    ClassFit fit;
    PowerFitResult result;
    std::int64_t points = 0;
    std::int64_t nodes = 0;  // that were measured of late
  };
  // By machine, accelerators included.
  [[nodiscard]] std::vector<Class> Classes() const;
  // Those with a believable line.
  [[nodiscard]] std::vector<ClassFit> Fits() const;

 private:
  static constexpr std::size_t kBins = 10;
  static constexpr std::size_t kPointsPerBin = 40;
  struct Key {
    std::string machine;
    PowerBoundary boundary;
    auto operator<=>(const Key&) const = default;
  };
  struct Points {
    std::array<std::deque<PowerPoint>, kBins> bins;
    std::map<std::string, Timestamp> last;  // by node; those not seen for a day are forgotten
    std::string source;
    Timestamp newest;
  };
  template <class Take>
  static void ForEachLoad(const Snapshot& snapshot, const Take& take);
  void AddOne(Points& points, const MeasuredLoad& load);

  std::map<Key, Points> points_;
};

}  // namespace sobre
