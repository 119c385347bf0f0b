#pragma once

#include "extender/accountant.h"
#include "extender/api_answers.h"
#include "extender/metrics.h"
#include "extender/records.h"
#include "extender/world.h"

namespace sobre {

// Registers /api/v1/overview (docs/api.md): what runs now, what was decided, what is on record,
// what was accounted for this month and how well it is known. All must outlive the server.
void AddOverviewApi(HttpServer& server, const World& world, const Config& config,
                    const Metrics& metrics, const Records& records, RecordReaders& readers);

}  // namespace sobre
