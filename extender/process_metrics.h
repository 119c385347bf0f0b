#pragma once

#include "extender/metric_families.h"

namespace sobre {

// This process, under the names that every client library of Prometheus uses: processor time,
// memory, file descriptors and the start. What /proc does not tell is left out.
void AddProcessMetrics(MetricFamilies& out);

}  // namespace sobre
