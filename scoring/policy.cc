#include "scoring/policy.h"

#include <array>

#include "base/text.h"

namespace sobre {
namespace {

constexpr std::array<std::pair<std::string_view, Objective>, 4> kObjectives = {{
    {"balanced", Objective::kBalanced},
    {"carbon", Objective::kCarbon},
    {"cost", Objective::kCost},
    {"priced", Objective::kPriced},
}};

constexpr std::array<std::string_view, 6> kKeys = {
    "objective", "cost-tolerance",      "carbon-price", "expected-utilization",
    "unit",      "requests-per-second",
};

// Sets `out` from a number between the bounds, or says what is wrong with it.
template <class T>
std::string SetNumber(std::string_view value, double lowest, double highest, double scale, T& out) {
  const std::optional<double> number = ParseNumber(Trim(value));
  if (!number || *number < lowest || *number > highest) {
    return "'" + Printable(value, 40) + "' is not a number from " + FormatNumber(lowest) + " to " +
           FormatNumber(highest);
  }
  if constexpr (requires { out.emplace(*number * scale); }) {
    out.emplace(*number * scale);
  } else {
    out = T(*number * scale);
  }
  return {};
}

// The sentence that says why the annotation cannot be followed; empty where it was.
std::string Apply(std::string_view key, std::string_view value, Policy& policy) {
  if (key == "objective") {
    const std::optional<Objective> objective = ParseObjective(Trim(value));
    if (!objective)
      return "'" + Printable(value, 40) + "' is none of balanced, carbon, cost, priced";
    policy.objective = *objective;
    return {};
  }
  if (key == "unit") {
    const std::string_view unit = Trim(value);
    if (unit == "request") {
      policy.unit = FunctionalUnit::kRequest;
    } else if (unit == "pod-hour") {
      policy.unit = FunctionalUnit::kPodHour;
    } else {
      return "'" + Printable(value, 40) + "' is none of request, pod-hour";
    }
    return {};
  }
  if (key == "cost-tolerance") return SetNumber(value, 0, 1000, 0.01, policy.cost_tolerance);
  if (key == "carbon-price") return SetNumber(value, 0, 1e6, 1, policy.carbon_price);
  if (key == "expected-utilization") return SetNumber(value, 0, 1, 1, policy.expected_utilization);
  if (key == "requests-per-second") return SetNumber(value, 1e-6, 1e9, 3600, policy.requests);
  return "unknown annotation" + DidYouMean(key, kKeys);
}

}  // namespace

std::string_view ToString(Objective objective) {
  for (const auto& [name, value] : kObjectives) {
    if (value == objective) return name;
  }
  return "";
}

std::string_view ToString(FunctionalUnit unit) {
  return unit == FunctionalUnit::kRequest ? "request" : "pod-hour";
}

std::optional<Objective> ParseObjective(std::string_view text) {
  for (const auto& [name, value] : kObjectives) {
    if (name == text) return value;
  }
  return std::nullopt;
}

void ApplyAnnotations(const Annotations& annotations, std::string_view owner, Policy& policy,
                      std::vector<std::string>& problems) {
  for (const Annotation& annotation : annotations) {
    const std::string wrong = Apply(annotation.key, annotation.value, policy);
    if (wrong.empty()) continue;
    problems.push_back(std::string(owner) + ": " + std::string(kAnnotationPrefix) +
                       Printable(annotation.key, 63) + ": " + wrong);
  }
}

}  // namespace sobre
