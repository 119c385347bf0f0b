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

// What euros and grams are counted per.
enum class FunctionalUnit { kPodHour, kRequest };

std::string_view ToString(Objective objective);
std::string_view ToString(FunctionalUnit unit);
std::optional<Objective> ParseObjective(std::string_view text);

// What the owner of a pod wants. The defaults are the cluster's, where its configuration is silent.
struct Policy {
  Objective objective = Objective::kBalanced;
  Fraction cost_tolerance{0.10};
  EurosPerTonne carbon_price{100};
  // Of the pod's CPU request, on average.
  Fraction expected_utilization{0.5};
  // What was asked for; without a rate, requests cannot be counted and the pod-hour serves.
  FunctionalUnit unit = FunctionalUnit::kRequest;
  // Per replica.
  std::optional<UnitsPerHour> requests;
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
