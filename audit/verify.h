#pragma once

#include <memory>

#include "audit/record.h"
#include "base/status.h"
#include "scoring/catalog.h"

namespace sobre {

// Makes the recorded decision again, and compares all that came of it, to the bit. An error says
// what differs: "best node: de-1 was recorded, fr-1 is what the rules give". A record of another
// catalogue or another version of the rules is kNotFound: it can be checked by the program that has
// them.
Status Verify(const v1::Record& record, const v1::RecordedSnapshot& known,
              const std::shared_ptr<const Catalog>& catalog);

}  // namespace sobre
