#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scoring/cluster.h"
#include "scoring/policy.h"
#include "scoring/snapshot.h"
#include "scoring/units.h"

namespace sobre {

// Changes whenever the same input may score differently; recorded with each decision.
inline constexpr int kAlgorithmVersion = 1;
inline constexpr int kMaxScore = 10;

// Where the grid intensity of a ranking came from: one source for all candidates, never a mixture.
enum class IntensityBasis { kNone, kCatalog, kLive };
std::string_view ToString(IntensityBasis basis);

// A pod, with what its owner wants once cluster, namespace and annotations are laid over each
// other.
struct DecisionRequest {
  PodFacts pod;
  Policy policy;
  // Annotations that could not be followed, in sentences.
  std::vector<std::string> problems;
};

// Annotations of the namespace, then of the pod, over the cluster's policy.
DecisionRequest MakeRequest(PodFacts pod, const Policy& cluster_policy,
                            const Annotations& namespace_annotations);

// One node as it was judged, on the placement ledger: what changes if the pod goes there. Power
// includes PUE; an unknown figure is absent.
struct Candidate {
  std::int32_t node = Snapshot::kUnknownNode;  // index into the snapshot
  std::int32_t score = 0;                      // 0 to 10
  bool grams_known = false;
  bool euros_known = false;
  bool within_tolerance = false;  // objective balanced: cheap enough to compete on grams
  Watts added_power;
  GramsPerHour grams;
  EurosPerHour euros;
};

// The answer for one pod. Candidates stand in the order in which they were asked about.
struct Decision {
  Timestamp time;
  Policy policy;
  // What could be ranked on with what is known: carbon where prices are missing, and so on; nothing
  // where nothing is known, and then all candidates score 0.
  std::optional<Objective> ranked_by;
  IntensityBasis intensity_basis = IntensityBasis::kNone;
  FunctionalUnit unit = FunctionalUnit::kPodHour;
  // Functional units that one replica serves per hour; 1 for the pod-hour.
  UnitsPerHour units{1};
  std::vector<Candidate> candidates;
  std::int64_t unknown_candidates = 0;
  // The first candidate of the highest score; no value for an empty list.
  std::optional<std::size_t> best;
};

// Scores every candidate (indices into the snapshot; kUnknownNode is allowed) for the pod. Pure and
// deterministic, bit for bit. `decision` is overwritten; its buffers are reused, so that in the
// steady state nothing is allocated.
//
// Source of the scores: r(v) = s / (s + v − b) with the best value b and s = max(b, s_min), which
// depends on the best alone, so that a node worse in both figures changes no other score.
void Decide(const DecisionRequest& request, const Snapshot& snapshot,
            std::span<const std::int32_t> nodes, Decision& decision);

}  // namespace sobre
