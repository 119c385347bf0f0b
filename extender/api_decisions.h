#pragma once

#include <string>

#include "audit/record.h"
#include "extender/api_answers.h"
#include "extender/recent_decisions.h"

namespace sobre {

// {"seq", "time", "pod", …}: one of /api/v1/decisions. Pure.
std::string SummaryJson(const DecisionSummary& summary);

// What another policy would have made of a recorded decision: the same pod and snapshot decided
// again. The first `most_rows` candidates, allowed ones first, by score. Pure.
std::string WhatIfJson(const std::string& id, const Recalled& recalled, const Policy& policy,
                       std::size_t most_rows);

// Registers /api/v1/decisions, /api/v1/decisions/{id}, /api/v1/what-if/{id} and /api/v1/stream
// (docs/api.md). All must outlive the server.
void AddDecisionsApi(HttpServer& server, const RecentDecisions& recent, RecordReaders& readers,
                     const Config& config);

}  // namespace sobre
