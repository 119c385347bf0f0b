#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "proto/sobre/v1/record.pb.h"
#include "scoring/snapshot.h"

// What was known at one moment, as bytes that are stored once however many decisions were made on
// it, and back.
namespace sobre {

// Bytes, and the SHA-256 by which others refer to them.
struct Content {
  std::string hash;
  std::string bytes;
};

// A snapshot as far as decisions read it.
struct Known {
  std::shared_ptr<const Snapshot> snapshot;
  v1::RecordedSnapshot message;
  // What its values' times refer to. Kept apart: all else stays the same bytes from one refresh of
  // the signals to the next, as long as the values do.
  std::vector<std::int64_t> times_ms;
  // By node: nodes with the same number differ in name alone.
  std::vector<std::int32_t> alike;
};
Known Describe(std::shared_ptr<const Snapshot> snapshot);
// Known::alike of what Describe() made.
std::vector<std::int32_t> AlikeOf(const v1::RecordedSnapshot& message);

// Splits what is known into contents of some 256 nodes or prices each, so that a change of one
// costs the bytes of its neighbours alone. For one thread.
class KnownWriter {
 public:
  // The hash of what holds the rest together, and all contents that belong to it, that one last.
  struct Written {
    std::string hash;
    std::vector<std::shared_ptr<const Content>> contents;
  };
  Written Write(const Known& known);

 private:
  std::shared_ptr<const Content> Store(const std::string& bytes);
  // By the hash of the bytes before compression, which takes the longest: two generations.
  std::unordered_map<std::string, std::shared_ptr<const Content>> written_;
  std::unordered_map<std::string, std::shared_ptr<const Content>> written_before_;
};

// What KnownWriter wrote, put together again. `fetch` gives the bytes of a content; they are
// checked against their hash.
using Fetch = std::function<Result<std::string>(const std::string& hash)>;
Result<v1::RecordedSnapshot> ReadKnown(const std::string& hash, const Fetch& fetch);

// Nodes, classes and currency rates, for Snapshot::Restore(). An error names the field that no
// program of ours can have written.
Result<Snapshot::Parts> ToParts(const v1::RecordedSnapshot& message,
                                const std::vector<std::int64_t>& times_ms);

}  // namespace sobre
