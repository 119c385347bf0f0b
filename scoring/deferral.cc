#include "scoring/deferral.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

std::string Text(GramsPerKwh intensity) {
  return FormatSignificant(intensity.value(), 3) + " gCO2e/kWh";
}

struct Place {
  GramsPerKwh now{1e9};
  const std::vector<ForecastPoint>* forecast = nullptr;
};

// Regions that have a node which keeps the limits on places, with what is known live.
std::map<std::string, Place> PlacesOf(const Limits& limits, const Snapshot& snapshot) {
  std::map<std::string, Place> places;
  PlaceCheck check(limits, snapshot);
  for (const NodeRecord& node : snapshot.nodes()) {
    // The pod is sent there by the region's label.
    if (!node.live_intensity || node.facts->region.empty() || node.facts->region_derived) continue;
    if (check.Of(node)) continue;
    Place& place = places[node.facts->region];
    place.now = std::min(place.now, node.live_intensity->value);
    if (!node.forecast.empty()) place.forecast = &node.forecast;
  }
  return places;
}

}  // namespace

Timestamp LatestOpening(const Deferral& deferral, Timestamp created) {
  Timestamp latest = created + deferral.max_delay.value_or(kDefaultMaxDelay);
  // A deadline alone may lie further ahead than the default.
  if (deferral.deadline)
    latest = deferral.max_delay ? std::min(latest, *deferral.deadline) : *deferral.deadline;
  return latest;
}

GateVerdict JudgeGate(const Policy& policy, Timestamp created, Timestamp now,
                      const Snapshot& snapshot) {
  const Deferral& deferral = policy.deferral;
  if (!deferral.below) return {true, "no readable sobre.dev/defer-below-gco2e-per-kwh", {}};
  const Timestamp latest = LatestOpening(deferral, created);
  if (now >= latest) return {true, "it has waited until " + FormatTime(latest), {}};
  const std::map<std::string, Place> places = PlacesOf(policy.limits, snapshot);
  if (places.empty()) return {true, "no live grid intensity is known where it may run", {}};
  GateVerdict verdict;
  for (const auto& [region, place] : places) {
    if (place.now >= *deferral.below) continue;
    verdict.open = true;
    verdict.regions.push_back(region);
    verdict.reason += (verdict.reason.empty() ? "" : ", ") + region + " is at " + Text(place.now);
  }
  if (verdict.open) {
    verdict.reason += ", below " + Text(*deferral.below);
    return verdict;
  }
  const auto cleanest =
      std::min_element(places.begin(), places.end(),
                       [](const auto& a, const auto& b) { return a.second.now < b.second.now; });
  bool foreseen = false;
  bool better = false;
  for (const auto& [region, place] : places) {
    // What nobody foresees may get better.
    if (place.forecast == nullptr) return {false, "waits", {}};
    for (const ForecastPoint& point : *place.forecast) {
      if (point.time <= now || point.time > latest) continue;
      foreseen = true;
      better |= point.intensity < cleanest->second.now;
    }
  }
  if (foreseen && !better) {
    return {true,
            "the forecast says that it does not get better than " + Text(cleanest->second.now) +
                " of " + cleanest->first + " before " + FormatTime(latest),
            {cleanest->first}};
  }
  return {false, "waits", {}};
}

}  // namespace sobre
