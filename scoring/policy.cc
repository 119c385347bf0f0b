#include "scoring/policy.h"

#include <array>

#include "base/text.h"
#include "base/time.h"

namespace sobre {
namespace {

constexpr std::array<std::pair<std::string_view, Objective>, 4> kObjectives = {{
    {"balanced", Objective::kBalanced},
    {"carbon", Objective::kCarbon},
    {"cost", Objective::kCost},
    {"priced", Objective::kPriced},
}};

constexpr std::array<std::pair<std::string_view, FunctionalUnit>, 4> kUnits = {{
    {"pod-hour", FunctionalUnit::kPodHour},
    {"request", FunctionalUnit::kRequest},
    {"1k-tokens", FunctionalUnit::kThousandTokens},
    {"run", FunctionalUnit::kRun},
}};

constexpr std::array<std::pair<std::string_view, Bound>, 2> kBounds = {{
    {"demand", Bound::kDemand},
    {"throughput", Bound::kThroughput},
}};

constexpr std::array<std::string_view, 12> kKeys = {
    "objective",           "cost-tolerance",     "carbon-price", "expected-utilization", "unit",
    "requests-per-second", "tokens-per-second",  "bound",        "expected-duration",    "model",
    "data-region",         "egress-gb-per-unit",
};

template <class Names, class T>
std::string SetName(const Names& names, std::string_view value, T& out) {
  std::string known;
  for (const auto& [name, each] : names) {
    if (name == Trim(value)) {
      out = each;
      return {};
    }
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  return "'" + Printable(value, 40) + "' is none of " + known;
}

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
  if (key == "objective") return SetName(kObjectives, value, policy.objective);
  if (key == "unit") return SetName(kUnits, value, policy.unit);
  if (key == "bound") return SetName(kBounds, value, policy.bound);
  if (key == "cost-tolerance") return SetNumber(value, 0, 1000, 0.01, policy.cost_tolerance);
  if (key == "carbon-price") return SetNumber(value, 0, 1e6, 1, policy.carbon_price);
  if (key == "expected-utilization") return SetNumber(value, 0, 1, 1, policy.expected_utilization);
  if (key == "requests-per-second") return SetNumber(value, 1e-6, 1e9, 3600, policy.requests);
  if (key == "tokens-per-second") return SetNumber(value, 1e-6, 1e9, 3600, policy.tokens);
  if (key == "egress-gb-per-unit") return SetNumber(value, 0, 1e6, 1, policy.egress);
  if (key == "expected-duration") {
    const std::optional<Duration> duration = ParseDuration(Trim(value));
    if (!duration || *duration <= Duration(0))
      return "'" + Printable(value, 40) + "' is no duration, such as 30s or 2h";
    policy.expected_duration = Hours(static_cast<double>(duration->count()) / 3'600'000.0);
    return {};
  }
  if (key == "model") {
    if (Trim(value).empty() || value.size() > 253) return "a name of 1 to 253 bytes is expected";
    policy.model = Trim(value);
    return {};
  }
  if (key == "data-region") {
    const std::vector<std::string_view> parts = Split(Trim(value), '/');
    if (parts.size() != 2 || parts[0].empty() || parts[1].empty())
      return "'" + Printable(value, 40) + "' is no provider/region, such as aws/eu-west-3";
    policy.data_region = RegionName{std::string(parts[0]), std::string(parts[1])};
    return {};
  }
  return "unknown annotation" + DidYouMean(key, kKeys);
}

template <class Names, class T>
std::string_view NameOf(const Names& names, T value) {
  for (const auto& [name, each] : names) {
    if (each == value) return name;
  }
  return "";
}

}  // namespace

std::string_view ToString(Objective objective) { return NameOf(kObjectives, objective); }
std::string_view ToString(FunctionalUnit unit) { return NameOf(kUnits, unit); }
std::string_view ToString(Bound bound) { return NameOf(kBounds, bound); }

std::optional<Objective> ParseObjective(std::string_view text) {
  Objective objective{};
  return SetName(kObjectives, text, objective).empty() ? std::optional(objective) : std::nullopt;
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
