#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "scoring/units.h"

namespace sobre {

// What the best node is best at.
enum class Objective {
  kBalanced,  // the cleanest among those within the cost tolerance of the cheapest
  kCarbon,    // fewest grams
  kCost,      // fewest euros
  kPriced,    // fewest euros, carbon priced in
};

// What euros and grams are counted per. A run is the whole of a batch job's pod.
enum class FunctionalUnit { kPodHour, kRequest, kThousandTokens, kRun };

// Demand-bound: the load is given, and the rate is the same on every node. Throughput-bound: the
// pod works as fast as the hardware lets it.
enum class Bound { kDemand, kThroughput };

std::string_view ToString(Objective objective);
std::string_view ToString(FunctionalUnit unit);
std::string_view ToString(Bound bound);
std::optional<Objective> ParseObjective(std::string_view text);

// How far the law of a foreign country may reach the operator. Ordered from best to worst.
enum class Exposure { kNoneAttested, kContested, kExposed };
std::string_view ToString(Exposure exposure);
std::optional<Exposure> ParseExposure(std::string_view text);

// Shadow: decides and records, and answers neutrally. Off: answers neutrally.
enum class Mode { kEnforce, kShadow, kOff };
std::string_view ToString(Mode mode);

// What the owner wants to come of advice to move: be told, have it done, or hear nothing.
enum class MoveWish { kAdvise, kAuto, kNever };
std::string_view ToString(MoveWish wish);

struct RegionName {
  std::string provider;
  std::string region;
  friend bool operator==(const RegionName&, const RegionName&) = default;
};

// All that can be said by annotation, in the order of kPolicyKeys.
enum class PolicyKey {
  kObjective,
  kCostTolerance,
  kCarbonPrice,
  kUnit,
  kRequestsPerSecond,
  kTokensPerSecond,
  kRequestSource,
  kBound,
  kDataRegion,
  kEgressGbPerUnit,
  kModel,
  kExpectedUtilization,
  kExpectedDuration,
  kMaxGco2ePerUnit,
  kMaxEurPerUnit,
  kAllowedCountries,
  kAllowedRegions,
  kDeniedOperators,
  kRequiredCertifications,
  kMaxExposure,
  kDeferBelowGco2ePerKwh,
  kMaxDelay,
  kDeadline,
  kMode,
};
inline constexpr std::size_t kPolicyKeyCount = 24;
std::string_view ToString(PolicyKey key);
// True for limits that refuse a node.
bool IsHardLimit(PolicyKey key);

// Who said a value, from the weakest voice to the nearest.
enum class Origin { kDefault, kCluster, kNamespace, kPod };
std::string_view ToString(Origin origin);
struct KeyOrigin {
  Origin origin = Origin::kDefault;
  // Who comes nearer cannot change a preference; no mode lifts a limit.
  bool enforced = false;
  Origin enforced_by = Origin::kDefault;
};

using GramsPerUnit = Unit<struct GramsPerUnitTag>;
using EurosPerUnit = Unit<struct EurosPerUnitTag>;

// The most that one unit may take, counted as whoever said it counts.
template <class PerUnit>
struct UnitBudget {
  PerUnit most;
  FunctionalUnit unit = FunctionalUnit::kRequest;
  Origin origin = Origin::kPod;
  // What the pod says of itself cannot loosen it.
  bool enforced = false;
};

// What one voice said of one limit.
struct LimitSource {
  PolicyKey key{};
  Origin origin = Origin::kDefault;
  bool enforced = false;
  std::string text;  // as it was written
  std::vector<std::string>
      names;  // in it, which somebody has to know; without the sets of countries
};

// What refuses a node: what all voices said, together. Lists are sorted; an absent one allows all,
// an empty one nothing.
struct Limits {
  // Each of them holds.
  std::vector<UnitBudget<GramsPerUnit>> max_grams;
  std::vector<UnitBudget<EurosPerUnit>> max_euros;
  std::optional<std::vector<std::string>> countries;  // ISO 3166-1 alpha-2
  std::optional<std::vector<std::string>> regions;    // "provider/region", in lower case
  std::vector<std::string> denied_operators;
  std::vector<std::string> certifications;
  std::optional<Exposure> max_exposure;
  // Limits that were written and cannot be read, as sentences: they refuse every node.
  std::vector<std::string> unreadable;
  // Who said what, from the weakest voice to the nearest.
  std::vector<LimitSource> sources;

  [[nodiscard]] bool HasBudget() const { return !max_grams.empty() || !max_euros.empty(); }
  [[nodiscard]] bool Any() const {
    return HasBudget() || countries || regions || max_exposure || !denied_operators.empty() ||
           !certifications.empty() || !unreadable.empty();
  }
};

// What a pod waits for, behind its scheduling gate.
struct Deferral {
  std::optional<GramsPerKwh> below;
  std::optional<Duration> max_delay;
  std::optional<Timestamp> deadline;
};

// What a pod's work is, as far as its owner says: what figures per unit are made of.
struct WorkTerms {
  // Of the pod's CPU request, on average.
  Fraction expected_utilization{0.5};
  // What was asked for; without a rate, requests cannot be counted and the pod-hour serves.
  FunctionalUnit unit = FunctionalUnit::kRequest;
  // Per replica, as its owner states them; for a throughput-bound pod, on hardware of factor 1.
  std::optional<UnitsPerHour> requests;
  std::optional<UnitsPerHour> tokens;
  Bound bound = Bound::kDemand;
  // How long a batch job's pod runs, on hardware of factor 1.
  std::optional<Hours> expected_duration;
  // Name of the AI model that the pod serves.
  std::string model;
  // Where its data lie, and what crosses from there per functional unit.
  std::optional<RegionName> data_region;
  GigabytesPerUnit egress;
  // Source whose measurement tells the rate; empty: the newest of any.
  std::string request_source;
  friend bool operator==(const WorkTerms&, const WorkTerms&) = default;
};

// What the owner of a pod wants. The defaults are the cluster's, where its configuration is silent.
struct Policy : WorkTerms {
  Objective objective = Objective::kBalanced;
  Fraction cost_tolerance{0.10};
  // The French value of climate action for 2030 (Quinet, 2019).
  EurosPerTonne carbon_price{300};
  // All that were said: pod, namespace and cluster tighten each other.
  Limits limits;
  // Those of them that no mode lifts.
  Limits enforced;
  // What namespace and cluster say of the work, before the pod speaks: by it an enforced budget is
  // judged. Nothing where no budget is enforced.
  std::optional<WorkTerms> terms_before_pod;
  Deferral deferral;
  Mode mode = Mode::kEnforce;
  // No part of a decision, nor of its record.
  MoveWish move = MoveWish::kAdvise;
  Gigabytes move_data;  // that are carried over at a move
  std::array<KeyOrigin, kPolicyKeyCount> origins{};

  [[nodiscard]] const KeyOrigin& OriginOf(PolicyKey key) const {
    return origins[static_cast<std::size_t>(key)];
  }
  // The limits that hold in this mode.
  [[nodiscard]] const Limits& InForce() const { return mode == Mode::kEnforce ? limits : enforced; }
};

// One annotation under `sobre.dev/`, the prefix taken off. Where it was spelt in another case,
// which the API server allows, the key has it still, and so is none that is known.
struct Annotation {
  std::string key;
  std::string value;
};
using Annotations = std::vector<Annotation>;

inline constexpr std::string_view kAnnotationPrefix = "sobre.dev/";

// Lays all annotations of one voice over `policy`, which holds what the farther voices said. A bad
// one changes nothing, and is appended to `problems` as a sentence that begins with `owner` ("pod",
// "namespace shop"); a bad limit, or a key that nobody knows, also refuses every node. Of
// preferences the nearer voice counts; limits of all voices hold. The annotation `enforced` of a
// namespace or the cluster lists preferences that those nearer cannot change, and limits that no
// mode lifts. Lists hold commas; in lists of countries, EU and EEA are sets.
void ApplyAnnotations(const Annotations& annotations, Origin origin, std::string_view owner,
                      Policy& policy, std::vector<std::string>& problems);

}  // namespace sobre
