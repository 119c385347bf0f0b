#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "proto/sobre/v1/record.pb.h"
#include "scoring/decide.h"
#include "scoring/snapshot.h"

namespace sobre {

// Everything that `decision` was made from, and what came of it. `names` are those of the
// candidates in their order, for the ones that the snapshot does not know. Limits are judged for
// all candidates.
v1::Record MakeRecord(const DecisionRequest& request, const Decision& decision,
                      const std::vector<std::string>& names, const Snapshot& snapshot);

// What a record holds, ready to decide on again.
struct Recalled {
  DecisionRequest request;
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<std::int32_t> nodes;  // of the candidates, as Decide() takes them
};
// An error names the field that no program of ours can have written. The catalogue must be the one
// that the record names: Verify() sees to that.
Result<Recalled> Recall(const v1::Record& record, std::shared_ptr<const Catalog> catalog);

// One line of JSON, and back. Exact.
std::string RecordJson(const v1::Record& record);
Result<v1::Record> ParseRecord(std::string_view json);

}  // namespace sobre
