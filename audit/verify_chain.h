#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/journal.h"
#include "base/status.h"
#include "scoring/catalog.h"

namespace sobre {

struct VerifyOptions {
  // Heads that somebody kept: the chain must have had each, and begin no earlier than it did then.
  std::vector<PublishedHead> heads;
  // Every seal must be signed by this key (32 bytes).
  std::optional<std::string> public_key;
  // How long entries have to be kept: none younger may have been pruned, unless the file may not
  // grow over a size. Nothing: that is not known.
  struct Keep {
    Duration age;
    bool bounded_size = false;
  };
  std::optional<Keep> keep;
  // Also make every decision again; else only the chain is checked.
  bool recompute = true;
};

// What one chain holds, if all of it is as it should be.
struct ChainSummary {
  std::string chain;
  std::int64_t first_seq = 1;  // above 1: what came before was pruned
  // A seal that is signed by the key that was given covers the entry which says so.
  bool pruning_proven = false;
  std::int64_t decisions = 0;
  std::int64_t outcomes = 0;
  std::int64_t seals = 0;
  std::int64_t signed_seals = 0;
  std::int64_t unsealed = 0;     // entries after the last seal
  std::int64_t dropped = 0;      // entries that could not be written, as the chain says
  std::int64_t other_rules = 0;  // made by another version or catalogue: not made again
  Head head;
};

// Checks every chain of the database, content by content and entry by entry, and makes each
// decision again. An error is kInvalid and names the first entry that is wrong:
// "sobre-0-1f2e3d4c:17: …".
Result<std::vector<ChainSummary>> VerifyChains(Database& database,
                                               const std::shared_ptr<const Catalog>& catalog,
                                               const VerifyOptions& options);

}  // namespace sobre
