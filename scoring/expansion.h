#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "scoring/decide.h"
#include "scoring/limits.h"

// Which of several ways to grow a cluster is best for the pods that wait. Pure functions, safe from
// any thread.
namespace sobre {

// Some machines of one kind that would be had, for some of the pods.
struct GrowthOption {
  std::string group;
  std::int32_t node = Snapshot::kUnknownNode;  // one of its machines, as a node of the snapshot
  std::int64_t machines = 1;
  struct Pods {
    std::size_t kind = 0;  // index into the kinds of pods that wait
    std::int64_t count = 1;
  };
  std::vector<Pods> pods;   // each kind once
  std::int64_t unread = 0;  // more pods, of which nothing is known
};

// How one option was judged.
struct GrowthVerdict {
  std::int64_t allowed = 0;  // pods that may run there
  std::int64_t refused = 0;  // pods that a hard limit keeps away
  std::int64_t unread = 0;   // pods of which nothing is known
  std::string first_refusal;
  // All of its machines with the pods that may run there, on the ledger for new capacity: the whole
  // price, idle power and embodied emissions.
  PlacementFigures whole;
  [[nodiscard]] bool IsRefused() const { return refused > 0 && allowed == 0 && unread == 0; }
  // The mean over those pods that are in mode enforce: 0 to 10, each by what its owner wants.
  double score = 0;
  // The mean of the best figure over this one's, which tells options of the same score apart.
  double ratio = 0;
};

struct Growth {
  std::vector<GrowthVerdict> verdicts;  // in the order of the options
  // Those that are as good as the best, in their order. Empty only where every option is refused
  // for all of its pods, or there is none.
  std::vector<std::size_t> best;
  IntensityBasis intensity_basis = IntensityBasis::kNone;
};

// `kinds` are pods that are alike in all that a decision reads. A pod that may not run on an
// option's machines does not count for it: the option's whole cost is borne by the others, by their
// dominant share. An option of which nothing is known stands behind all of which something is, and
// is not refused.
Growth JudgeGrowth(std::span<const DecisionRequest> kinds, std::span<const GrowthOption> options,
                   const Snapshot& snapshot);

// "2 machines for 5 pods: 0.4 EUR/h and 31 gCO2e/h, score 9.2" or why it is refused.
std::string DescribeGrowth(const GrowthOption& option, const GrowthVerdict& verdict);

}  // namespace sobre
