#pragma once

#include <string>
#include <utility>
#include <vector>

#include "extender/metrics.h"
#include "net/http_server.h"

namespace sobre {

// What /debug/process tells, for people: memory and threads of this process, as Linux counts them,
// and how much waits where. No names of pods, no addresses, no configuration.
struct ProcessPage {
  std::vector<std::pair<std::string, HttpServer::Load>> servers;
  RecordsState records;
  int snapshots = 0;  // that somebody still holds

  // Reads /proc/self. Bounded by the number of threads.
  [[nodiscard]] std::string Text() const;
};

}  // namespace sobre
