#include "scoring/attribution.h"

#include <algorithm>
#include <utility>

#include "scoring/analysis.h"

namespace sobre {
namespace {

bool MeasuredIn(const Measurements& measurements, FunctionalUnit unit) {
  return std::any_of(measurements.begin(), measurements.end(), [&](const Measurement& seen) {
    return unit == FunctionalUnit::kRequest ? seen.requests.has_value() : seen.tokens.has_value();
  });
}

bool IsMeasured(const NodeRecord& node, const Resources& requests, bool processors, bool load) {
  if (load) return true;
  return (processors || node.power_basis == PowerBasis::kCalibrated) &&
         (!requests.UsesGpu() || node.gpu_method == Method::kMeasured);
}

}  // namespace

DecisionRequest& Attribution::RequestFor(const PodPlacement& pod, const NamespacePolicy& base) {
  key_ = pod.namespace_name;
  for (const auto& [key, value] : pod.annotations) {
    ((key_ += '\n') += key) += '=';
    key_ += value;
  }
  std::unique_ptr<DecisionRequest>& held = requests_[key_];
  if (!held) held = std::make_unique<DecisionRequest>(MakeRequest(pod, base));
  held->pod.workload = pod.workload;
  held->pod.is_batch_job = pod.is_batch_job;
  held->pod.has_resource_claims = pod.has_resource_claims;
  held->pod.requests = pod.requests;
  return *held;
}

std::optional<UnitsPerHour> Attribution::UnitsOf(FunctionalUnit unit, DecisionRequest& request,
                                                 std::int32_t node) {
  const Decision* decision = &decision_;
  if (decision_.unit != unit) {
    const FunctionalUnit wanted = std::exchange(request.policy.unit, unit);
    Decide(request, snapshot_, {&node, 1}, other_);
    request.policy.unit = wanted;
    decision = &other_;
  }
  if (decision->unit != unit) return std::nullopt;
  return decision->candidates.front().units;
}

void Attribution::AddUnits(DecisionRequest& request, std::int32_t node) {
  const Policy& policy = request.policy;
  const bool measured =
      !snapshot_.OfWorkload(request.pod.namespace_name, request.pod.workload).empty() ||
      !snapshot_.OfModel(policy.model).empty();
  if (measured || policy.requests)
    rates_.requests = UnitsOf(FunctionalUnit::kRequest, request, node);
  if (measured || policy.tokens) {
    if (const auto units = UnitsOf(FunctionalUnit::kThousandTokens, request, node))
      rates_.tokens = *units * 1000.0;
  }
}

void Attribution::AddFigures(const PodPlacement& pod, const DecisionRequest& request,
                             const NodeRecord& node) {
  ClassWork& work = decision_.work[static_cast<std::size_t>(node.hardware_class)];
  const bool load = work.measured_power.has_value();
  const auto processors = snapshot_.PowerOfPod(request.pod.namespace_name, pod.name);
  // In place of what the model says of the processors' load; accelerators are not in it.
  if (const auto modelled =
          processors ? MarginalPower(decision_.demand, ProfileOf(node)) : std::nullopt)
    work.measured_power = *modelled - node.slope * decision_.demand.busy_vcpus + *processors;
  const ReportFigures report =
      Attribute(request, decision_, decision_.candidates.front(), snapshot_);
  if (report.power) rates_.power = report.power->mid;
  rates_.power_measured =
      IsMeasured(node, request.pod.requests, processors.has_value(), load && !processors);
  rates_.operational = report.operational;
  rates_.live_intensity = decision_.intensity_basis == IntensityBasis::kLive;
  rates_.market = report.operational_market;
  if (!rates_.market && report.operational) rates_.market = report.operational->mid;
  rates_.embodied = report.embodied;
  rates_.euros = report.euros;
  rates_.list_euros = report.euros;
  if (!report.euros || !node.list_price) return;
  const auto share = PriceShare(decision_.demand, node);
  rates_.list_euros = *report.euros + (node.list_price->value - node.price->value) * *share;
}

const PodRates& Attribution::RatesOf(const PodPlacement& pod, const NamespacePolicy& base) {
  DecisionRequest& request = RequestFor(pod, base);
  Policy& policy = request.policy;
  rates_ = {};
  rates_.vcpus = Vcpus(static_cast<double>(pod.requests.millicpu) / 1000.0);
  rates_.memory = Gigabytes(static_cast<double>(pod.requests.memory_bytes) / 1e9);
  rates_.gpus = Gpus(static_cast<double>(pod.requests.gpus));
  rates_.model = policy.model;
  rates_.is_run = pod.is_batch_job || policy.unit == FunctionalUnit::kRun;
  const std::int32_t index = snapshot_.Find(pod.node);
  if (index == Snapshot::kUnknownNode) return rates_;
  const NodeRecord& node = snapshot_.nodes()[static_cast<std::size_t>(index)];
  const auto stated_requests = policy.requests;
  const auto stated_tokens = policy.tokens;
  const Measurements& measured =
      snapshot_.OfWorkload(pod.namespace_name, pod.workload, policy.request_source);
  if (MeasuredIn(measured, FunctionalUnit::kRequest)) policy.requests.reset();
  if (MeasuredIn(measured, FunctionalUnit::kThousandTokens)) policy.tokens.reset();
  Decide(request, snapshot_, {&index, 1}, decision_);
  // Shares of which nobody knows what they are of are not counted as cards.
  rates_.gpus = GpusOn(decision_.demand, ProfileOf(node)).value_or(Gpus(0));
  AddFigures(pod, request, node);
  if (!rates_.is_run) AddUnits(request, index);
  policy.requests = stated_requests;
  policy.tokens = stated_tokens;
  return rates_;
}

}  // namespace sobre
