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
  // Takes the measured loads, but none again that is about as old as the node's newest.
  void Add(const Snapshot& snapshot);

  // One kind of machine, and what its points give.
  struct Class {
    ClassFit fit;
    PowerFitResult result;
    std::int64_t points = 0;
    std::int64_t nodes = 0;  // whose points were taken, ever
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
    std::map<std::string, Timestamp> last;  // by node
    std::string source;
    Timestamp newest;
  };
  void AddOne(const std::string& machine, const std::string& node, const MeasuredLoad& load);

  std::map<Key, Points> points_;
};

}  // namespace sobre
