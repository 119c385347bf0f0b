#include "scoring/place_history.h"

#include <algorithm>
#include <set>

namespace sobre {

std::string PlaceOf(const NodeFacts& node) {
  if (node.provider.empty() || node.region.empty()) return {};
  return node.provider + "/" + node.region;
}

Duration PlaceHistory::StepLength() const { return std::max(window_ / kSteps, Duration(1)); }

void PlaceHistory::Add(const Snapshot& snapshot) {
  last_ = std::max(last_, snapshot.time());
  const Duration length = StepLength();
  const Timestamp begin(snapshot.time().time_since_epoch() / length * length);
  std::set<std::string> told;
  for (const NodeRecord& node : snapshot.nodes()) {
    if (!node.live_intensity) continue;
    std::string place = PlaceOf(*node.facts);
    if (place.empty() || !told.insert(place).second) continue;
    Step& step = places_[place][begin];
    step.place = std::move(place);
    step.begin = begin;
    step.sum += node.live_intensity->value.value();
    ++step.count;
  }
  Forget();
}

void PlaceHistory::Forget() {
  for (auto& [name, steps] : places_)
    std::erase_if(steps,
                  [&](const auto& step) { return step.first + StepLength() + window_ < last_; });
  std::erase_if(places_, [](const auto& place) { return place.second.empty(); });
}

std::optional<GramsPerKwh> PlaceHistory::MeanOf(std::string_view place) const {
  const auto found = places_.find(place);
  if (found == places_.end()) return std::nullopt;
  const auto& steps = found->second;
  const auto first = steps.begin();
  // The window begins within the first step that is kept, or after it.
  if (first == steps.end() || first->first > last_ - window_ + StepLength()) return std::nullopt;
  if (steps.size() * 2 < kSteps) return std::nullopt;
  double sum = 0;
  for (const auto& [begin, step] : steps) sum += step.sum / static_cast<double>(step.count);
  return GramsPerKwh(sum / static_cast<double>(steps.size()));
}

std::vector<PlaceHistory::Step> PlaceHistory::Steps() const {
  std::vector<Step> all;
  for (const auto& [name, steps] : places_)
    for (const auto& [begin, step] : steps) all.push_back(step);
  return all;
}

void PlaceHistory::Restore(const std::vector<Step>& steps) {
  for (const Step& step : steps)
    if (step.count > 0) places_[step.place].try_emplace(step.begin, step);
}

}  // namespace sobre
