#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

struct RegionName {
  std::string provider;
  std::string region;
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
};

// One annotation under `sobre.dev/`, the prefix taken off.
struct Annotation {
  std::string key;
  std::string value;
};
using Annotations = std::vector<Annotation>;

inline constexpr std::string_view kAnnotationPrefix = "sobre.dev/";

// Lays the annotations over `policy`. A bad one changes nothing, and is appended to `problems` as a
// sentence that begins with `owner` ("pod", "namespace shop").
void ApplyAnnotations(const Annotations& annotations, std::string_view owner, Policy& policy,
                      std::vector<std::string>& problems);

}  // namespace sobre
