#pragma once

#include <optional>

#include "audit/report.h"
#include "base/json_writer.h"
#include "extender/api_answers.h"

namespace sobre {

// "change": null, or {"gco2e", "gco2eShare", "eur", "eurShare"}.
void WriteChange(const std::optional<ReportLine::Change>& change, JsonWriter& json);

// Registers /api/v1/workloads and /api/v1/reports (docs/api.md): what is in the usage store, for
// the page and for programs. Both arguments must outlive the server.
void AddUsageApi(HttpServer& server, RecordReaders& readers, const Config& config);

}  // namespace sobre
