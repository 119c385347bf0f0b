#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "scoring/snapshot.h"

namespace sobre {

// "aws/eu-west-3"; empty where provider or region is not known.
std::string PlaceOf(const NodeFacts& node);

// Live grid intensity of each place over the last while, as its mean: what advice is held against
// so that nobody moves for an hour's weather. Kept in 24 steps. Not thread-safe; no clock.
class PlaceHistory {
 public:
  static constexpr int kSteps = 24;
  explicit PlaceHistory(Duration window) : window_(window) {}

  // What the snapshot says of each place, at its time. Steps that are too old are forgotten.
  void Add(const Snapshot& snapshot);
  // Over the window that ends with the last snapshot: the mean of its steps. Nothing while its
  // first step was not seen, or more than half of the steps were not.
  [[nodiscard]] std::optional<GramsPerKwh> MeanOf(std::string_view place) const;

  struct Step {
    std::string place;
    Timestamp begin;
    double sum = 0;
    std::int64_t count = 0;
  };
  // All steps, and as one that was kept elsewhere comes back; where both saw a step, this one's.
  [[nodiscard]] std::vector<Step> Steps() const;
  void Restore(const std::vector<Step>& steps);

 private:
  [[nodiscard]] Duration StepLength() const;
  void Forget();

  const Duration window_;
  Timestamp last_;
  std::map<std::string, std::map<Timestamp, Step>, std::less<>> places_;
};

}  // namespace sobre
