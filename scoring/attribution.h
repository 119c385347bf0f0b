#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "scoring/cluster.h"
#include "scoring/decide.h"
#include "scoring/ledger.h"
#include "scoring/snapshot.h"

namespace sobre {

// What a running pod takes per hour, on the report ledger; what is unknown is absent. Power
// includes PUE.
struct PodRates {
  Vcpus vcpus;  // as requested, like the next two
  Gigabytes memory;
  Gpus gpus;
  std::optional<Watts> power;
  // The power is measured, or on a line through measured power.
  bool power_measured = false;
  std::optional<Range<GramsPerHour>> operational;
  bool live_intensity = false;
  // By the contract's factor; where none is configured, the grid's.
  std::optional<GramsPerHour> market;
  std::optional<Range<GramsPerHour>> embodied;
  std::optional<EurosPerHour> euros;
  std::optional<EurosPerHour> list_euros;  // without discounts
  std::optional<UnitsPerHour> requests;    // none of a batch job
  std::optional<UnitsPerHour> tokens;
  std::string model;
  bool is_run = false;  // a batch job's, or counted by run
};

// Rates of many pods on one snapshot. The load's power is the one measured of the pod, else of its
// workload's requests, else the model's; never two of them. What was measured of a workload's
// requests and tokens has precedence over what its owner states: this is about what was, not about
// what may be. For one thread; lives shorter than the snapshot and the policies.
class Attribution {
 public:
  explicit Attribution(const Snapshot& snapshot) : snapshot_(snapshot) {}
  // `base` is the policy of the pod's namespace. The answer lives until the next question.
  const PodRates& RatesOf(const PodPlacement& pod, const NamespacePolicy& base);

 private:
  // What pods of one namespace with the same annotations have in common.
  DecisionRequest& RequestFor(const PodPlacement& pod, const NamespacePolicy& base);
  std::optional<UnitsPerHour> UnitsOf(FunctionalUnit unit, DecisionRequest& request,
                                      std::int32_t node);
  void AddUnits(DecisionRequest& request, std::int32_t node);
  void AddFigures(const PodPlacement& pod, const DecisionRequest& request, const NodeRecord& node);

  const Snapshot& snapshot_;
  std::unordered_map<std::string, std::unique_ptr<DecisionRequest>> requests_;
  std::string key_;
  Decision decision_;
  Decision other_;
  PodRates rates_;
};

}  // namespace sobre
