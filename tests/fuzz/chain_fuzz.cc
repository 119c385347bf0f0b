// A chain of entries, as `sobre verify` finds it in a database. The input says what stands in it: 8
// bytes with the number of its first entry, then entries: a byte with the kind, two with the
// length, lowest first, and the message. Hashes are made here, so that what a forger could write
// comes through to be read; a chain that holds is then altered in one place, which must be found.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <google/protobuf/stubs/logging.h>

#include "audit/verify_chain.h"
#include "base/told_time.h"
#include "proto/sobre/v1/record.pb.h"
#include "scoring/decide.h"
#include "scoring/snapshot.h"
#include "tests/fuzz/fuzz.h"

namespace sobre::fuzz {
namespace {

constexpr const char* kChain = "chain";

// Answers what VerifyChains() asks.
class Memory final : public Database {
 public:
  std::int64_t first_seq = 1;
  std::string anchor = std::string(32, '\0');
  std::vector<Entry> entries;
  std::vector<Content> contents;

  Status ForEach(const std::string& sql, std::span<const SqlValue> values,
                 const EachRow& each) override {
    const auto asks = [&sql](std::string_view part) { return sql.find(part) != std::string::npos; };
    if (asks("FROM contents")) {
      for (const Content& content : contents) {
        if (!values.empty() && content.hash != Bytes(values[0])) continue;
        Status status = each(values.empty() ? SqlRow{Blob{content.hash}, Blob{content.bytes}}
                                            : SqlRow{Blob{content.bytes}});
        if (!status.ok()) return status;
      }
      return Status::Ok();
    }
    if (asks("FROM chains ORDER")) {
      SqlRow row = {std::string(kChain), first_seq};
      if (asks("anchor")) row.emplace_back(Blob{anchor});
      return each(row);
    }
    // Entries of no chain, and such before its beginning: there are none.
    if (asks("NOT IN") || asks("seq < $2")) return Status::Ok();
    SOBRE_HOLDS(asks("seq > $2 ORDER BY seq LIMIT $3"));
    std::int64_t left = Integer(values[2]);
    for (const Entry& entry : entries) {
      if (entry.seq <= Integer(values[1]) || left-- <= 0) continue;
      Status status =
          each({entry.chain, entry.seq, std::string(ToString(entry.kind)),
                entry.time.time_since_epoch().count(), entry.pod_uid, entry.namespace_name,
                entry.pod, Blob{entry.payload}, Blob{entry.hash}});
      if (!status.ok()) return status;
    }
    return Status::Ok();
  }
  [[nodiscard]] std::string Name() const override { return "memory"; }

 private:
  Status Begin() override { return Status::Ok(); }
  Status Commit() override { return Status::Ok(); }
  void Rollback() override {}
};

std::uint64_t TakeNumber(std::string_view& text, std::size_t bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < std::min(bytes, text.size()); ++i)
    number |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
  text.remove_prefix(std::min(bytes, text.size()));
  return number;
}

// What a decision's entry says beside its message, and a message that can be made again.
void Complete(Entry& entry, std::string& message, const Memory& memory) {
  v1::Record record;
  if (entry.kind != EntryKind::kDecision || !record.ParseFromString(message)) return;
  record.set_algorithm_version(kAlgorithmVersion);
  record.set_catalog_version(Catalog::Embedded().version());
  if (!memory.contents.empty()) record.set_known_sha256(memory.contents.back().hash);
  entry.time = FromUnixMs(record.answered_ms());
  entry.pod_uid = ColumnText(record.pod().uid());
  entry.namespace_name = ColumnText(record.pod().namespace_());
  entry.pod = ColumnText(record.pod().name());
  message = record.SerializeAsString();
}

void Fill(std::string_view text, Memory& memory) {
  constexpr std::size_t kMostEntries = 40;
  constexpr std::uint64_t kContent = 5;
  memory.first_seq = static_cast<std::int64_t>(TakeNumber(text, 8));
  std::string previous = memory.anchor;
  std::int64_t seq = memory.first_seq;
  while (!text.empty() && memory.entries.size() < kMostEntries) {
    const std::uint64_t kind = TakeNumber(text, 1) % 6;
    const std::size_t length = std::min<std::size_t>(TakeNumber(text, 2), text.size());
    std::string message(text.substr(0, length));
    text.remove_prefix(length);
    if (kind == kContent) {
      std::string packed = Compress(message);
      std::string hash = Sha256(packed);
      memory.contents.push_back({std::move(hash), std::move(packed)});
      continue;
    }
    Entry entry;
    entry.chain = kChain;
    entry.kind = static_cast<EntryKind>(kind);
    Complete(entry, message, memory);
    entry.seq = seq;
    entry.payload = Compress(message);
    entry.hash = HashOf(previous, entry.chain, entry.seq, entry);
    previous = entry.hash;
    memory.entries.push_back(std::move(entry));
    if (seq == std::numeric_limits<std::int64_t>::max()) break;
    ++seq;
  }
}

// One change of one entry.
void Alter(std::uint64_t dice, Entry& entry) {
  const auto flip = [dice](std::string& text) {
    char& byte = text[(dice >> 8) % text.size()];
    byte = static_cast<char>(byte ^ (1 << (dice >> 40) % 8));
  };
  switch (dice % 4) {
    case 0:
      flip(entry.hash);
      break;
    case 1:
      entry.pod += 'x';
      break;
    case 2:
      entry.time += Duration(entry.time < kLatestTime ? 1 : -1);
      break;
    default:
      flip(entry.payload);
  }
}

}  // namespace
}  // namespace sobre::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sobre;
  using namespace sobre::fuzz;
  // It would tell of every text that is none.
  static const auto quiet = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(quiet);
  Memory memory;
  Fill(TextOf(data, size), memory);
  const auto catalog = SnapshotInput::EmbeddedCatalog();
  const auto summaries = VerifyChains(memory, catalog, {});
  if (!summaries.ok()) {
    SOBRE_HOLDS(summaries.status().code() == ErrorCode::kInvalid);
    return 0;
  }
  SOBRE_HOLDS(summaries->size() == 1);
  const ChainSummary& summary = summaries->front();
  const auto count = static_cast<std::int64_t>(memory.entries.size());
  SOBRE_HOLDS(summary.decisions + summary.outcomes + summary.seals <= count);
  SOBRE_HOLDS(summary.dropped >= 0 && summary.unsealed >= 0 && summary.unsealed <= count);
  if (memory.entries.empty()) return 0;
  SOBRE_HOLDS(summary.head.seq == memory.entries.back().seq);
  SOBRE_HOLDS(summary.head.hash == memory.entries.back().hash);
  std::uint64_t dice = std::hash<std::string_view>()(summary.head.hash);
  Alter(dice, memory.entries[(dice >> 16) % memory.entries.size()]);
  SOBRE_HOLDS(!VerifyChains(memory, catalog, {}).ok());
  return 0;
}
