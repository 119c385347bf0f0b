#include "scoring/rightsizing.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "scoring/place_history.h"

namespace sobre {
namespace {

// The smallest step of a suggestion.
constexpr std::int64_t kStepMillicpu = 10;

std::string KeyOf(std::string_view namespace_name, std::string_view workload) {
  return std::string(namespace_name) + "/" + std::string(workload);
}

// What the processors draw for the pod, in vCPUs that are busy all the time.
std::optional<Vcpus> BusyVcpus(const PodPlacement& pod, const Snapshot& snapshot) {
  const std::int32_t index = snapshot.Find(pod.node);
  const auto power = snapshot.PowerOfPod(pod.namespace_name, pod.name);
  if (index == Snapshot::kUnknownNode || !power) return std::nullopt;
  const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(index)];
  if (node.slope <= WattsPerVcpu(0)) return std::nullopt;
  return Vcpus(power->value() / node.slope.value());
}

}  // namespace

Duration UsePeaks::StepLength() const { return std::max(window_ / kSteps, Duration(1)); }

void UsePeaks::Add(const Snapshot& snapshot,
                   std::span<const std::shared_ptr<const PodPlacement>> pods) {
  last_ = std::max(last_, snapshot.time());
  const Timestamp begin(snapshot.time().time_since_epoch() / StepLength() * StepLength());
  for (const auto& pod : pods) {
    const auto busy = BusyVcpus(*pod, snapshot);
    if (!busy) continue;
    const auto [entry, is_new] = workloads_.try_emplace(KeyOf(pod->namespace_name, pod->workload));
    if (is_new) entry->second.since = snapshot.time();
    Vcpus& peak = entry->second.peaks[begin];
    peak = std::max(peak, *busy);
  }
  for (auto& [key, watched] : workloads_) {
    std::erase_if(watched.peaks,
                  [&](const auto& step) { return step.first + StepLength() + window_ < last_; });
  }
  std::erase_if(workloads_, [](const auto& entry) { return entry.second.peaks.empty(); });
}

std::optional<Vcpus> UsePeaks::PeakOf(std::string_view namespace_name,
                                      std::string_view workload) const {
  const auto found = workloads_.find(KeyOf(namespace_name, workload));
  if (found == workloads_.end() || last_ - found->second.since < window_) return std::nullopt;
  const auto& peaks = found->second.peaks;
  // What was not watched for half the time may have done anything.
  if (peaks.size() * 2 < kSteps) return std::nullopt;
  return std::max_element(peaks.begin(), peaks.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->second;
}

std::vector<RightsizingAdvice> AdviseRightsizing(
    const Snapshot& snapshot, std::span<const std::shared_ptr<const PodPlacement>> pods,
    const std::function<const NamespacePolicy&(const std::string&)>& policy_of,
    const UsePeaks& peaks, const RightsizingSettings& settings) {
  // By namespace, workload and place.
  using Key = std::tuple<std::string, std::string, std::string>;
  std::map<Key, std::vector<std::shared_ptr<const PodPlacement>>> groups;
  for (const auto& pod : pods) {
    const std::int32_t index = snapshot.Find(pod->node);
    if (index == Snapshot::kUnknownNode || pod->is_batch_job || pod->deleting ||
        pod->owner == PodOwner::kNode || pod->requests.millicpu <= 0)
      continue;
    const NodeRecord& node = snapshot.nodes()[static_cast<std::size_t>(index)];
    groups[{pod->namespace_name, pod->workload, PlaceOf(*node.facts)}].push_back(pod);
  }
  Attribution attribution(snapshot);
  std::vector<RightsizingAdvice> all;
  for (const auto& [key, group] : groups) {
    const auto peak = peaks.PeakOf(std::get<0>(key), std::get<1>(key));
    const std::int64_t requested = group.front()->requests.millicpu;
    if (!peak || std::any_of(group.begin(), group.end(),
                             [&](const auto& pod) { return pod->requests.millicpu != requested; }))
      continue;
    const double wanted = peak->value() * settings.headroom * 1000;
    const auto suggested =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(wanted / kStepMillicpu))) *
        kStepMillicpu;
    if (static_cast<double>(requested - suggested) <
        settings.min_unused.value() * static_cast<double>(requested))
      continue;
    RightsizingAdvice advice;
    std::tie(advice.namespace_name, advice.workload, advice.place) = key;
    advice.pods = static_cast<std::int64_t>(group.size());
    advice.requested_millicpu = requested;
    advice.suggested_millicpu = suggested;
    advice.peak = *peak;
    const NamespacePolicy& base = policy_of(advice.namespace_name);
    PodPlacement smaller = *group.front();
    smaller.requests.millicpu = suggested;
    const PodRates now = attribution.RatesOf(*group.front(), base);
    const PodRates& then = attribution.RatesOf(smaller, base);
    if (now.euros && then.euros) advice.euros = *now.euros - *then.euros;
    if (now.operational && then.operational) {
      advice.grams = now.operational->mid - then.operational->mid;
      if (now.embodied && then.embodied)
        advice.grams = *advice.grams + (now.embodied->mid - then.embodied->mid);
    }
    all.push_back(std::move(advice));
  }
  return all;
}

}  // namespace sobre
