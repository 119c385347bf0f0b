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
  // Who comes nearer may tighten the value, not loosen it.
  bool enforced = false;
};

using GramsPerUnit = Unit<struct GramsPerUnitTag>;
using EurosPerUnit = Unit<struct EurosPerUnitTag>;

// What refuses a node. Lists are sorted; an absent one allows all.
struct Limits {
  std::optional<GramsPerUnit> max_grams;
  std::optional<EurosPerUnit> max_euros;
  std::optional<std::vector<std::string>> countries;  // ISO 3166-1 alpha-2
  std::optional<std::vector<std::string>> regions;    // "provider/region"
  std::vector<std::string> denied_operators;          // in lower case
  std::vector<std::string> certifications;
  std::optional<Exposure> max_exposure;
  // Limits that were written and cannot be read, as sentences: they refuse every node.
  std::vector<std::string> unreadable;

  [[nodiscard]] bool Any() const {
    return max_grams || max_euros || countries || regions || max_exposure ||
           !denied_operators.empty() || !certifications.empty() || !unreadable.empty();
  }
};

// What a pod waits for, behind its scheduling gate.
struct Deferral {
  std::optional<GramsPerKwh> below;
  std::optional<Duration> max_delay;
  std::optional<Timestamp> deadline;
};

// What the owner of a pod wants. The defaults are the cluster's, where its configuration is silent.
struct Policy {
  Objective objective = Objective::kBalanced;
  Fraction cost_tolerance{0.10};
  // The French value of climate action for 2030 (Quinet, 2019).
  EurosPerTonne carbon_price{300};
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
  Limits limits;
  Deferral deferral;
  Mode mode = Mode::kEnforce;
  // No part of a decision, nor of its record.
  MoveWish move = MoveWish::kAdvise;
  Gigabytes move_data;  // that are carried over at a move
  std::array<KeyOrigin, kPolicyKeyCount> origins{};

  [[nodiscard]] const KeyOrigin& OriginOf(PolicyKey key) const {
    return origins[static_cast<std::size_t>(key)];
  }
};

// One annotation under `sobre.dev/`, the prefix taken off.
struct Annotation {
  std::string key;
  std::string value;
};
using Annotations = std::vector<Annotation>;

inline constexpr std::string_view kAnnotationPrefix = "sobre.dev/";

// Lays the annotations of one voice over `policy`. A bad one changes nothing, and is appended to
// `problems` as a sentence that begins with `owner` ("pod", "namespace shop"); a bad hard limit
// also refuses every node. The annotation `enforced` of a namespace lists keys that its pods may
// tighten only. Lists hold commas; in lists of countries, EU and EEA are sets.
void ApplyAnnotations(const Annotations& annotations, Origin origin, std::string_view owner,
                      Policy& policy, std::vector<std::string>& problems);

}  // namespace sobre
