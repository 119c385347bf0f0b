#include "scoring/power_history.h"

#include <algorithm>

namespace sobre {
namespace {

// Samples closer in time say the same again.
constexpr Duration kBetweenPoints = std::chrono::seconds(50);
constexpr Duration kForgotten = std::chrono::hours(24);

}  // namespace

template <class Take>
void PowerHistory::ForEachLoad(const Snapshot& snapshot, const Take& take) {
  for (const NodeRecord& node : snapshot.nodes()) {
    if (node.host_load) take(node.machine, node.facts->name, *node.host_load);
    if (node.gpu_load && node.gpu)
      take(AcceleratorKind(node.gpu->model), node.facts->name, *node.gpu_load);
  }
}

void PowerHistory::Add(const Snapshot& snapshot) {
  ForEachLoad(snapshot,
              [&](const std::string& machine, const std::string& node, const MeasuredLoad& load) {
                Points& points = points_[{machine, load.boundary}];
                const auto [last, added] = points.last.try_emplace(node, load.time);
                if (!added && load.time < last->second + kBetweenPoints) return;
                last->second = load.time;
                AddOne(points, load);
              });
  for (auto& [key, points] : points_) {
    std::erase_if(points.last,
                  [&](const auto& entry) { return entry.second + kForgotten < snapshot.time(); });
  }
}

void PowerHistory::AddPast(const Snapshot& snapshot) {
  ForEachLoad(snapshot,
              [&](const std::string& machine, const std::string& node, const MeasuredLoad& load) {
                Points& points = points_[{machine, load.boundary}];
                points.last.try_emplace(node, load.time);
                AddOne(points, load);
              });
}

void PowerHistory::AddOne(Points& points, const MeasuredLoad& load) {
  const auto bin = static_cast<std::size_t>(load.point.utilization.value() * kBins);
  auto& kept = points.bins[std::min(bin, kBins - 1)];
  kept.push_back(load.point);
  if (kept.size() > kPointsPerBin) kept.pop_front();
  if (load.time < points.newest) return;
  points.newest = load.time;
  points.source = load.source;
}

std::vector<PowerHistory::Class> PowerHistory::Classes() const {
  std::vector<Class> classes;
  for (const auto& [key, points] : points_) {
    std::vector<PowerPoint> all;
    for (const auto& bin : points.bins) all.insert(all.end(), bin.begin(), bin.end());
    Class& found = classes.emplace_back();
    found.result = FitPower(all);
    found.points = static_cast<std::int64_t>(all.size());
    found.nodes = static_cast<std::int64_t>(points.last.size());
    found.fit = {key.machine, key.boundary, found.result.fit.value_or(PowerFit{}), points.source,
                 points.newest};
  }
  return classes;
}

std::vector<ClassFit> PowerHistory::Fits() const {
  std::vector<ClassFit> fits;
  for (Class& found : Classes()) {
    if (found.result.fit) fits.push_back(std::move(found.fit));
  }
  return fits;
}

}  // namespace sobre
