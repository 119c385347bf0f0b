#pragma once

#include <algorithm>
#include <cstddef>

#include "extender/world.h"

namespace sobre {

// Whether as many Prometheus servers as are configured were each asked for everything once: before,
// signals may still be on their way.
inline bool AllServersAsked(const WorldState& state, std::size_t configured) {
  const auto asked =
      std::count_if(state.servers.begin(), state.servers.end(),
                    [](const ServerState& server) { return server.round_ended.has_value(); });
  return static_cast<std::size_t>(asked) >= configured;
}

}  // namespace sobre
