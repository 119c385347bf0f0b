#include "scoring/power_fit.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "base/text.h"

namespace sobre {
namespace {

constexpr std::size_t kFewestPoints = 12;
// Slopes grow with the square of the points.
constexpr std::size_t kMostPoints = 400;
// Between the tenth and the ninetieth percentile of the load.
constexpr double kNarrowestLoad = 0.15;
// Points closer than this say nothing of the slope.
constexpr double kCloseLoad = 0.05;
constexpr double kLargestError = 0.15;

double Median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

std::string Percent(double share) { return FormatSignificant(share * 100, 2) + " %"; }

}  // namespace

PowerFitResult FitPower(std::span<const PowerPoint> points) {
  if (points.size() < kFewestPoints) {
    return {std::nullopt, std::to_string(points.size()) + " points, at least " +
                              std::to_string(kFewestPoints) + " are needed"};
  }
  std::vector<PowerPoint> sorted(points.begin(), points.end());
  std::sort(sorted.begin(), sorted.end(), [](const PowerPoint& a, const PowerPoint& b) {
    return std::tie(a.utilization, a.watts) < std::tie(b.utilization, b.watts);
  });
  const double low = sorted[sorted.size() / 10].utilization.value();
  const double high = sorted[sorted.size() - 1 - sorted.size() / 10].utilization.value();
  if (high - low < kNarrowestLoad) {
    return {std::nullopt, "the load was only seen from " + Percent(low) + " to " + Percent(high)};
  }
  if (sorted.size() > kMostPoints) {
    std::vector<PowerPoint> thinned;
    thinned.reserve(kMostPoints);
    for (std::size_t i = 0; i < kMostPoints; ++i)
      thinned.push_back(sorted[i * (sorted.size() - 1) / (kMostPoints - 1)]);
    sorted = std::move(thinned);
  }
  std::vector<double> slopes;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    for (std::size_t j = i + 1; j < sorted.size(); ++j) {
      const double run = (sorted[j].utilization - sorted[i].utilization).value();
      if (run >= kCloseLoad) slopes.push_back((sorted[j].watts - sorted[i].watts).value() / run);
    }
  }
  if (slopes.empty()) return {std::nullopt, "the load did not vary"};
  const double slope = Median(slopes);
  std::vector<double> rest;
  std::vector<double> watts;
  rest.reserve(sorted.size());
  watts.reserve(sorted.size());
  for (const PowerPoint& point : sorted) {
    rest.push_back(point.watts.value() - slope * point.utilization.value());
    watts.push_back(point.watts.value());
  }
  const double idle = Median(rest);
  std::vector<double> distances;
  distances.reserve(sorted.size());
  for (const PowerPoint& point : sorted)
    distances.push_back(std::abs(point.watts.value() - (idle + slope * point.utilization.value())));
  const double error = Median(distances) / Median(watts);
  if (slope <= 0) return {std::nullopt, "power does not rise with the load"};
  if (idle < 0) return {std::nullopt, "the line has less than 0 W when idle"};
  if (!(error <= kLargestError)) {
    return {std::nullopt, "points lie " + Percent(error) + " off the line, at most " +
                              Percent(kLargestError) + " is believed"};
  }
  return {PowerFit{Watts(idle), Watts(idle + slope), Fraction(error),
                   static_cast<std::int64_t>(points.size())},
          ""};
}

}  // namespace sobre
