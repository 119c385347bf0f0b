#pragma once

#include <memory>
#include <string>

#include "audit/reader.h"
#include "base/status.h"
#include "scoring/catalog.h"

namespace sobre {

// A recorded placement in words, for people: who won and why, what became of it, every candidate's
// figures, where they came from, and what would have to change. `fetch` gives the contents that the
// record refers to. A decision by other rules or another catalogue is told as far as its record
// goes.
Result<std::string> ExplainPlacement(const Placement& placement, const Fetch& fetch,
                                     const std::shared_ptr<const Catalog>& catalog,
                                     std::size_t most_rows);
// The same for programs: {"id", "pod", "attempt", "calls", "outcome", "againstTheMean",
// "whatWouldChange", "check", "decision"}, the last as `sobre score` prints it, with the first
// `most_rows` candidates.
Result<std::string> PlacementJson(const Placement& placement, const Fetch& fetch,
                                  const std::shared_ptr<const Catalog>& catalog,
                                  std::size_t most_rows);
// The decisive call made again, all figures the same to the bit; kDamaged says why it cannot be.
Result<Recalled> RecallPlacement(const Placement& placement, const Fetch& fetch,
                                 const std::shared_ptr<const Catalog>& catalog);

}  // namespace sobre
