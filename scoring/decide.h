#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scoring/cluster.h"
#include "scoring/ledger.h"
#include "scoring/policy.h"
#include "scoring/snapshot.h"
#include "scoring/units.h"

namespace sobre {

// Changes whenever the same input may score differently, or its record's digest is made otherwise;
// recorded with each decision.
inline constexpr int kAlgorithmVersion = 5;
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
  // Nobody asks about its limits, so that candidates which these refuse are to score 0
  // (ScoreRefusedZero()).
  bool limits_in_scores = false;
};

// What holds for all pods of a namespace: its annotations over the cluster's policy, read once.
struct NamespacePolicy {
  Policy policy;
  std::vector<std::string> problems;
};
NamespacePolicy MakeNamespacePolicy(std::string_view name, const Annotations& annotations,
                                    const Policy& cluster_policy);

// The pod's annotations over the policy of its namespace.
DecisionRequest MakeRequest(PodFacts pod, const NamespacePolicy& base);
// The same for a request that has its pod; its buffers are reused.
void SetPolicy(const NamespacePolicy& base, DecisionRequest& request);

// Where the rate of functional units came from.
enum class RateBasis {
  kNone,        // no rate is known, or none is needed: the pod-hour
  kAnnotation,  // stated by the owner
  kWorkload,    // measured of the workload
  kModel,       // measured of others that serve the same model
};
std::string_view ToString(RateBasis basis);

// How the pod works on one hardware class.
struct ClassWork {
  UnitsPerHour units{1};
  RateBasis rate_basis = RateBasis::kNone;
  // Throughput-bound, and nobody knows how fast this class is: taken for as fast as the reference.
  bool factor_assumed = false;
  // Measured energy of the unit times the rate, without PUE; takes precedence over any profile.
  std::optional<Watts> measured_power;
};

// One node as it was judged, on the decision's ledger.
struct Candidate {
  std::int32_t node = Snapshot::kUnknownNode;  // index into the snapshot
  std::int32_t score = 0;                      // 0 to 10
  bool within_tolerance = false;  // objective balanced: cheap enough to compete on grams
  // What one replica would serve per hour there.
  UnitsPerHour units{1};
  PlacementFigures placement;
};

// A candidate as JudgeKinds() leaves it: what it is like is in its kind.
struct Placed {
  std::int32_t node = Snapshot::kUnknownNode;
  std::int32_t kind = 0;  // index into Decision::kinds
};

// What kinds are compared by, over as much work as the reference serves in an hour.
struct RankedFigures {
  GramsPerHour grams;
  EurosPerHour euros;
  EurosPerHour priced;
};

// The answer for one pod. Candidates stand in the order in which they were asked about.
struct Decision {
  Timestamp time;
  Policy policy;
  RankedLedger ledger = RankedLedger::kPlacement;
  // What could be ranked on with what is known: carbon where prices are missing, and so on; nothing
  // where nothing is known, and then all candidates score 0.
  std::optional<Objective> ranked_by;
  IntensityBasis intensity_basis = IntensityBasis::kNone;
  FunctionalUnit unit = FunctionalUnit::kPodHour;
  RateBasis rate_basis = RateBasis::kNone;
  // Functional units that one replica serves per hour, on hardware of factor 1 if throughput-bound;
  // 1 for the pod-hour.
  UnitsPerHour units{1};
  Demand demand;
  // By hardware class of the snapshot.
  std::vector<ClassWork> work;
  // Data would cross regions, but the price of that is unknown for some candidate.
  bool egress_price_unknown = false;
  std::vector<Candidate> candidates;
  // Candidates of one profile get the same figures and score: each kind is judged once, as a
  // candidate without a node. As Decide() or JudgeKinds() left them.
  std::vector<Candidate> kinds;
  std::vector<std::int8_t> score_of_kind;
  std::vector<Placed> placed;
  std::int64_t unknown_candidates = 0;
  // The first candidate of the highest score; no value for an empty list.
  std::optional<std::size_t> best;

  // The score of the candidate at this index.
  [[nodiscard]] std::int32_t ScoreOf(std::size_t candidate) const {
    return score_of_kind[static_cast<std::size_t>(placed[candidate].kind)];
  }

  // Room to work in.
  std::vector<std::uint64_t> asked_profiles;  // a bit each
  std::vector<std::int32_t> kind_of_profile;
  std::vector<std::int32_t> profile_of_kind;
  std::vector<std::optional<std::optional<EurosPerGigabyte>>> egress_price_to_place;
  std::vector<RankedFigures> ranked;
};

// A candidate's figures over as much work as the reference serves in an hour: what is ranked, so
// that a faster node may draw more and still win per unit.
GramsPerHour RankedGrams(const Candidate& candidate, const Decision& decision);
EurosPerHour RankedEuros(const Candidate& candidate, const Decision& decision);
// Euros with carbon priced in.
EurosPerHour RankedPriced(const Candidate& candidate, const Decision& decision);
// The dearest that objective balanced lets compete on grams.
EurosPerHour ToleranceLimit(EurosPerHour cheapest, Fraction tolerance);

// What data that cross regions add there, per hour.
struct Egress {
  Watts power;
  EurosPerHour euros;
  bool price_unknown = false;
};
Egress EgressOf(const Candidate& candidate, const Decision& decision, const Snapshot& snapshot);

// Scores every candidate (indices into the snapshot; kUnknownNode is allowed) for the pod. Pure and
// deterministic, bit for bit. `decision` is overwritten; its buffers are reused, so that in the
// steady state nothing is allocated.
//
// Source of the scores: r(v) = s / (s + v − b) with the best value b and s = max(b, s_min), which
// depends on the best alone, so that a node worse in both figures changes no other score.
void Decide(const DecisionRequest& request, const Snapshot& snapshot,
            std::span<const std::int32_t> nodes, Decision& decision);

// As Decide(), but leaves `candidates` empty: what they share is not written out for each.
void JudgeKinds(const DecisionRequest& request, const Snapshot& snapshot,
                std::span<const std::int32_t> nodes, Decision& decision);
// Writes them out. Decide() is both.
void WriteOut(const Decision& decision, std::vector<Candidate>& candidates);

// The second half of it: scores the candidates by the figures that they have, and says which is
// best.
void Rank(Decision& decision);

}  // namespace sobre
