#pragma once

#include <atomic>

#include "extender/access.h"
#include "extender/accountant.h"
#include "extender/api_answers.h"
#include "extender/cluster_scorer.h"
#include "extender/metrics.h"
#include "extender/mover.h"
#include "extender/records.h"
#include "extender/world.h"
#include "net/http_server.h"

namespace sobre {

// Registers what the second port serves: /healthz, /readyz, /metrics, the JSON API (docs/api.md)
// and the dashboard. `draining` makes /readyz say no; `servers` are told of at /debug/process and
// in metrics; `accountant`, `mover`, `clusters` and `access`, which says who is told what is not
// well, may be null. All arguments must outlive the server.
void AddStatusPages(HttpServer& server, const World& world, const Config& config,
                    const Metrics& metrics, Records& records, RecordReaders& readers,
                    const Accountant* accountant, const Mover* mover, const ClusterScorer* clusters,
                    Access* access, std::vector<const HttpServer*> servers,
                    const std::atomic<bool>& draining);

}  // namespace sobre
