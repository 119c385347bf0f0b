#include "scoring/llm.h"

#include <algorithm>
#include <cmath>

namespace sobre {

KilowattHours EstimateLlmEnergy(const LlmRequest& request) {
  constexpr double kBatch = 64;
  constexpr double kServerWatts = 1200;
  constexpr double kServerGpus = 8;
  constexpr double kGpuGigabytes = 80;
  constexpr double kBytesPerParameter = 2;
  const double wh_per_token = 1.1665273170451914e-06 * std::exp(-0.011205921025579175 * kBatch) *
                                  request.active_parameters_billion +
                              4.052928146734005e-05;
  const double seconds_per_token = 0.0006785088094353663 * request.active_parameters_billion +
                                   0.0003119310311688259 * kBatch + 0.019473717579473387;
  const double seconds =
      std::min(request.output_tokens * seconds_per_token, request.latency_cap_seconds);
  const double needed =
      std::ceil(1.2 * request.total_parameters_billion * kBytesPerParameter / kGpuGigabytes);
  double gpus = 1;
  while (gpus < needed) gpus *= 2;
  const Watts server = Watts(kServerWatts * gpus / kServerGpus / kBatch);
  const KilowattHours accelerators(request.output_tokens * wh_per_token / 1000 * gpus);
  return (server * Hours(seconds / 3600) + accelerators) * request.pue;
}

}  // namespace sobre
