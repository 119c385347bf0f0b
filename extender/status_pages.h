#pragma once

#include <atomic>

#include "extender/accountant.h"
#include "extender/metrics.h"
#include "extender/records.h"
#include "extender/world.h"
#include "net/http_server.h"

namespace sobre {

// Registers what the second port serves: /healthz, /readyz, /metrics, /api/v1/decisions,
// /api/v1/nodes, /api/v1/signals, /api/v1/budgets and a page for people. `draining` makes /readyz
// say no; `accountant` may be null. All arguments must outlive the server.
void AddStatusPages(HttpServer& server, const World& world, const Config& config,
                    const Metrics& metrics, Records& records, const Accountant* accountant,
                    const std::atomic<bool>& draining);

}  // namespace sobre
