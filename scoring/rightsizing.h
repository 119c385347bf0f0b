#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "scoring/attribution.h"

namespace sobre {

// The most that a pod of each workload was seen to use, over the last while: busy vCPUs, as the
// pod's measured power and its node's line tell. Kept in 24 steps. Not thread-safe; no clock.
class UsePeaks {
 public:
  static constexpr int kSteps = 24;
  explicit UsePeaks(Duration window) : window_(window) {}
  void Add(const Snapshot& snapshot, std::span<const std::shared_ptr<const PodPlacement>> pods);
  // Nothing while the workload was not watched for the whole window.
  [[nodiscard]] std::optional<Vcpus> PeakOf(std::string_view namespace_name,
                                            std::string_view workload) const;

 private:
  [[nodiscard]] Duration StepLength() const;

  const Duration window_;
  Timestamp last_;
  struct Watched {
    Timestamp since;
    std::map<Timestamp, Vcpus> peaks;
  };
  std::map<std::string, Watched, std::less<>> workloads_;  // by "namespace/workload"
};

struct RightsizingSettings {
  // A request is left so many times the peak.
  double headroom = 2;
  // The least part of the request that is worth giving back.
  Fraction min_unused{0.5};
};

// CPU that a workload's pods request and do not use, by pod.
struct RightsizingAdvice {
  std::string namespace_name;
  std::string workload;
  std::string place;
  std::int64_t pods = 0;
  std::int64_t requested_millicpu = 0;
  std::int64_t suggested_millicpu = 0;
  Vcpus peak;
  // What the unused part answers for per pod and hour, on the report ledger.
  std::optional<EurosPerHour> euros;
  std::optional<GramsPerHour> grams;
};

// One for each workload and place whose pods agree in their requests. Silent where nothing measures
// what its pods use; about batch jobs, whose use comes and goes, and static pods.
std::vector<RightsizingAdvice> AdviseRightsizing(
    const Snapshot& snapshot, std::span<const std::shared_ptr<const PodPlacement>> pods,
    const std::function<const NamespacePolicy&(const std::string&)>& policy_of,
    const UsePeaks& peaks, const RightsizingSettings& settings = {});

}  // namespace sobre
