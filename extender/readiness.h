#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "extender/accountant.h"
#include "extender/metrics.h"
#include "extender/world.h"
#include "net/http_server.h"

namespace sobre {

// One part of the service, as /readyz tells of it.
struct ReadyPart {
  std::string name;  // "nodes", "prometheus/main"
  bool ok = true;
  // Without it the service is not ready: pods with limits wait, and nobody else is asked. The
  // others make answers poorer, not wrong.
  bool needed = false;
  std::string says;  // one sentence, at most 200 bytes; may be empty
};

// Pure. `silent` is SilentFor() of the state; `accounting` is nothing where usage is not accounted
// for, `lease` where none is asked for.
std::vector<ReadyPart> ReadyParts(const WorldState& state, std::optional<Duration> silent,
                                  bool stopping, const RecordsState& records,
                                  const std::optional<AccountingStatus>& accounting,
                                  const std::optional<LeaseState>& lease, Timestamp now);

// The same without what was said of them and by whom: no addresses, numbers or names that somebody
// chose.
std::vector<ReadyPart> ForStrangers(const std::vector<ReadyPart>& parts);

// 200 where all needed parts are ok, else 503. "ok", or "not ready: " and those that are not; with
// `?verbose`, and where it is not ready, every part in a line as kube-apiserver writes them; as
// JSON where the client accepts that first.
void AnswerReadiness(const std::vector<ReadyPart>& parts, const HttpRequest& request,
                     HttpResponse& response);

}  // namespace sobre
