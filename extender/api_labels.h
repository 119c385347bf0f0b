#pragma once

#include "extender/api_answers.h"

namespace sobre {

// Registers /api/v1/labels/{namespace}/{workload}.svg and /api/v1/labels/model.svg?name=MODEL, each
// with days=30 (1 to 800), lang=en|fr and theme=light|dark: the label of what was used in that
// time. 404 where nothing was. All arguments must outlive the server.
void AddLabels(HttpServer& server, RecordReaders& readers, const Config& config);

}  // namespace sobre
