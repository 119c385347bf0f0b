#include "scoring/signal.h"

namespace sobre {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

// An exporter that found no price, or whose source of intensities is away, says 0. No machine is
// free, and no grid has less than this.
constexpr double kLeastPrice = 1e-6;
constexpr double kLeastIntensity = 1;

constexpr std::array<SignalInfo, kSignalCount> kSignals = {{
    {Signal::kNodePower, "node_watts", "W", Subject::kNode, 0.1, 50'000, minutes(5), 5},
    {Signal::kNodeCpuUtilization, "node_cpu_utilization", "1", Subject::kNode, -0.01, 1.05,
     minutes(5), 0.1},
    {Signal::kNodePrice, "node_price_per_hour", "EUR/h", Subject::kNode, kLeastPrice, 10'000,
     hours(24)},
    {Signal::kGridIntensity, "grid_gco2e_per_kwh", "gCO2e/kWh", Subject::kPlace, kLeastIntensity,
     2'000, hours(2)},
    {Signal::kElectricityPrice, "electricity_price_per_kwh", "EUR/kWh", Subject::kPlace, -10, 10,
     hours(2)},
    {Signal::kWorkloadRequests, "workload_requests_per_second", "1/s", Subject::kWorkload, 0, 1e9,
     hours(1)},
    {Signal::kWorkloadTokens, "workload_tokens_per_second", "1/s", Subject::kWorkload, 0, 1e9,
     hours(1)},
    {Signal::kModelRequests, "model_requests_per_second", "1/s", Subject::kModel, 0, 1e9,
     hours(24)},
    {Signal::kModelTokens, "model_tokens_per_second", "1/s", Subject::kModel, 0, 1e9, hours(24)},
    {Signal::kWorkloadJoulesPerRequest, "workload_joules_per_request", "J", Subject::kWorkload, 0,
     1e9, hours(24)},
    {Signal::kWorkloadJoulesPerToken, "workload_joules_per_token", "J", Subject::kWorkload, 0, 1e9,
     hours(24)},
    {Signal::kGridForecast, "grid_forecast_gco2e_per_kwh", "gCO2e/kWh", Subject::kPlace,
     kLeastIntensity, 2'000, hours(6)},
    {Signal::kNodeCpuPower, "node_cpu_watts", "W", Subject::kNode, 0.1, 50'000, minutes(5), 5},
    {Signal::kNodeGpuPower, "node_gpu_watts", "W", Subject::kNode, 0.1, 50'000, minutes(5), 5},
    {Signal::kNodeGpuUtilization, "node_gpu_utilization", "1", Subject::kNode, -0.01, 1.05,
     minutes(5), 0.1},
    {Signal::kNodeEffectivePrice, "node_effective_price_per_hour", "EUR/h", Subject::kNode,
     kLeastPrice, 10'000, hours(24)},
    {Signal::kElectricityForecast, "electricity_price_forecast_per_kwh", "EUR/kWh", Subject::kPlace,
     -10, 10, hours(6)},
    {Signal::kPodPower, "pod_watts", "W", Subject::kPod, 0, 50'000, minutes(5), 1},
}};

}  // namespace

const SignalInfo& InfoOf(Signal signal) { return kSignals[Index(signal)]; }
std::string_view ToString(Signal signal) { return InfoOf(signal).name; }
std::string_view UnitOf(Signal signal) { return InfoOf(signal).unit; }

std::optional<Signal> ParseSignal(std::string_view name) {
  for (const SignalInfo& info : kSignals) {
    if (info.name == name) return info.signal;
  }
  return std::nullopt;
}

std::string SignalNames() {
  std::string names;
  for (const SignalInfo& info : kSignals)
    names += (names.empty() ? "" : ", ") + std::string(info.name);
  return names;
}

std::string_view ToString(Method method) {
  constexpr std::array<std::string_view, 4> kNames = {"measured", "estimated", "published",
                                                      "configured"};
  return kNames[static_cast<std::size_t>(method)];
}

std::string_view ToString(Fate fate) {
  constexpr std::array<std::string_view, kFateCount> kNames = {
      "used",      "stale",      "implausible", "reset",    "foreign",
      "unmatched", "superseded", "duplicate",   "ambiguous"};
  return kNames[static_cast<std::size_t>(fate)];
}

}  // namespace sobre
