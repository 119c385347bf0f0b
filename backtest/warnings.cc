#include "backtest/warnings.h"

#include <algorithm>
#include <numeric>

#include "base/text.h"

namespace sobre::backtest {
namespace {

// Less is noise of ties that are broken at random.
constexpr double kWorth = 0.005;
constexpr double kFlat = 0.10;

std::optional<double> Per(double value, double count) {
  if (count <= 0) return std::nullopt;
  return value / count;
}

// What the variant is to bring down, and what that is called.
struct Measure {
  std::optional<double> value;
  std::string_view name;
};

Measure MeasureOf(const Policy& policy, const Figures& figures) {
  const auto grams = GramsPerVcpuHour(figures);
  const auto euros = EurosPerVcpuHour(figures);
  if (policy.objective == Objective::kCarbon) return {grams, "grams"};
  if (policy.objective == Objective::kCost) return {euros, "euros"};
  if (!grams || !euros) return {std::nullopt, ""};
  return {*euros + *grams * policy.carbon_price.value() / 1e6, "euros with carbon priced in"};
}

std::string Percent(double share) { return FormatSignificant(100 * share, 2) + " %"; }

std::string Who(const Variant& variant) { return Printable(variant.name, 60) + ": "; }

std::string Pods(std::int64_t count) {
  return std::to_string(count) + (count == 1 ? " pod" : " pods");
}

}  // namespace

std::optional<double> GramsPerVcpuHour(const Figures& figures) {
  return Per(figures.grams().value(), figures.reserved.value());
}
std::optional<double> EurosPerVcpuHour(const Figures& figures) {
  return Per(figures.euros.value(), figures.reserved.value());
}
std::optional<double> GramsPerThousandRequests(const Figures& figures) {
  return Per(1000 * figures.grams_of_requests.value(), figures.requests.value());
}
std::optional<double> EurosPerThousandRequests(const Figures& figures) {
  return Per(1000 * figures.euros_of_requests.value(), figures.requests.value());
}

std::optional<double> DailySwing(const Hourly& series) {
  constexpr std::size_t kDay = 24;
  double sum = 0;
  double days = 0;
  for (std::size_t begin = 0; begin + kDay <= series.size(); begin += kDay) {
    const auto first = series.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = first + kDay;
    const auto [low, high] = std::minmax_element(first, last);
    const double mean = std::accumulate(first, last, 0.0) / kDay;
    if (mean <= 0) continue;
    sum += (*high - *low) / mean;
    ++days;
  }
  if (days == 0) return std::nullopt;
  return sum / days;
}

std::vector<std::string> WarningsAbout(const Scenario& scenario, const std::set<std::string>& grids,
                                       const std::vector<Outcome>& outcomes) {
  std::vector<std::string> warnings;
  std::optional<double> swing;
  for (const auto& [zone, series] : scenario.intensity) {
    const std::optional<double> own = DailySwing(series);
    if (own && grids.contains(zone)) swing = std::max(swing.value_or(0), *own);
  }
  const Outcome& base = outcomes.front();
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const Variant& variant = scenario.variants[i];
    const Outcome& outcome = outcomes[i];
    if (variant.waiting && outcome.gated > 0 && swing && *swing < kFlat) {
      warnings.push_back(
          Who(variant) + Pods(outcome.gated) + " waited " +
          FormatSignificant(outcome.gated_for.value() / static_cast<double>(outcome.gated), 2) +
          " h on average, and no grid changes by more than " + Percent(*swing) +
          " within a day: waiting can gain hardly anything here");
    }
    if (i == 0) continue;
    if (outcome.without_place > base.without_place) {
      warnings.push_back(Who(variant) + Pods(outcome.without_place) + " had no place at the end, " +
                         std::to_string(base.without_place) + " with " +
                         Printable(base.variant, 60));
    }
    if (!variant.sobre) continue;
    const Measure measure = MeasureOf(variant.policy, outcome.total);
    const Measure of_base = MeasureOf(variant.policy, base.total);
    if (!measure.value || !of_base.value || *of_base.value <= 0) continue;
    const double change = *measure.value / *of_base.value - 1;
    if (change > kWorth) {
      warnings.push_back(Who(variant) + "makes it worse: " + Percent(change) + " more " +
                         std::string(measure.name) + " per vCPU-hour than with " +
                         Printable(base.variant, 60) +
                         (variant.signal_age > Duration(0)
                              ? "; what it sees is " + FormatAge(variant.signal_age) + " old"
                              : ""));
    }
  }
  return warnings;
}

}  // namespace sobre::backtest
