#pragma once

#include "scoring/units.h"

// Energy of a request to a large language model of which only the size is known. Pure functions.
namespace sobre {

struct LlmRequest {
  double active_parameters_billion = 0;
  double total_parameters_billion = 0;
  double output_tokens = 0;
  Pue pue{1};
  // The measured duration of the request, which caps the estimated one; infinite where unknown.
  double latency_cap_seconds = 0;
};

// Served by 80 GB accelerators, eight to a server of 1.2 kW without them, 64 requests at a time, at
// 16 bit. Source: EcoLogits 0.11.3, methodology "LLM inference", after regressions on ML.ENERGY
// measurements. An estimate of the last resort: a measurement of the workload comes before it.
KilowattHours EstimateLlmEnergy(const LlmRequest& request);

}  // namespace sobre
