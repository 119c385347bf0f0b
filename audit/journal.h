#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "audit/digest.h"
#include "audit/known.h"
#include "base/status.h"
#include "base/time.h"
#include "store/database.h"

// Entries chained by hash: each covers the one before, so that nothing can be changed, taken out or
// put in without every later hash changing.
namespace sobre {

enum class EntryKind { kDecision, kOutcome, kSeal, kGap, kPruning };
std::string_view ToString(EntryKind kind);

// What is to be written.
struct Draft {
  EntryKind kind = EntryKind::kDecision;
  Timestamp time;
  std::string pod_uid;
  std::string namespace_name;
  std::string pod;
  std::string payload;  // a message of proto/sobre/v1/record.proto, compressed
};

// A draft in its place: the seq-th of its chain, from 1.
struct Entry : Draft {
  std::string chain;
  std::int64_t seq = 0;
  std::string hash;
};
// SHA-256 over the hash before and all of the entry.
std::string HashOf(std::string_view previous, std::string_view chain, std::int64_t seq,
                   const Draft& draft);

// "sobre-0-1f2e3d4c:17": a decision as people and addresses name it.
struct EntryId {
  std::string chain;
  std::int64_t seq = 0;
};
std::string ToString(const EntryId& id);
std::optional<EntryId> ParseEntryId(std::string_view text);

// Where a chain ends.
struct Head {
  std::int64_t seq = 0;  // 0: it has no entry yet
  std::string hash = std::string(32, '\0');
};

// What is published of a chain: where it ended, and where it began then.
struct PublishedHead {
  EntryId id;
  std::string hash;
  std::optional<std::int64_t> first_seq;  // nothing where it was not said
};
// "CHAIN:17:HASH", and ":from:FIRST" behind it where that is known.
std::string ToString(const PublishedHead& head);
// Nothing where it is none.
std::optional<PublishedHead> ParsePublishedHead(std::string_view text);

// Writes one chain. For one thread at a time, as its database.
class Journal {
 public:
  struct Options {
    std::string name = "sobre";             // the chain's name begins with it
    std::shared_ptr<const SigningKey> key;  // of seals; nothing: they are not signed
    // The last head that was published of a chain; nothing where none was. May be nothing itself.
    std::function<Result<std::optional<PublishedHead>>(const std::string& chain)> published;
  };
  // Goes on with the chain that this database was begun with, unless that is not as this program
  // left it: then, and in an empty database, begins "NAME-xxxxxxxx", so that nothing is ever signed
  // that somebody else wrote. `distrusted` says of which chain and why; else it is left as it is.
  // kUnavailable where the published head cannot be had.
  static Result<Journal> Open(Database& database, const Options& options, Timestamp now,
                              std::string& distrusted);

  // All of them and what they refer to, or nothing. Contents that are there already are marked as
  // used. Where a pruning is among them, a seal follows: until then it proves nothing. Gives back
  // the drafts' numbers: the first one's; the others follow.
  Result<std::int64_t> Append(const std::vector<Draft>& drafts,
                              const std::vector<std::shared_ptr<const Content>>& contents,
                              Timestamp now);

  // Closes what was written since the last seal, signed where there is a key; nothing where nothing
  // was.
  Status Seal(Timestamp now);

  struct Retention {
    Duration age;
    std::int64_t bytes = 0;  // 0: no limit
  };
  // Takes sealed entries away that are older, or while there is more than may be; the last seal
  // stays, and an entry says what went. True if something did.
  Result<bool> Prune(const Retention& retention, Timestamp now);
  // Chains that were given up go as a whole: once their last entry is too old, and, where the file
  // is too large, the oldest of them. Their names.
  Result<std::vector<std::string>> DropGivenUp(const Retention& retention, Timestamp now);

  [[nodiscard]] const std::string& chain() const { return chain_; }
  [[nodiscard]] const Head& head() const { return head_; }
  [[nodiscard]] std::int64_t first_seq() const { return anchor_.seq + 1; }
  [[nodiscard]] std::int64_t entries_since_seal() const { return head_.seq - sealed_; }

 private:
  struct Oldest {
    std::int64_t seq = 0;
    bool for_size = false;
  };
  Journal(Database& database, std::string chain, std::shared_ptr<const SigningKey> key)
      : database_(&database), chain_(std::move(chain)), key_(std::move(key)) {}
  Status ReadHead();
  // The sentence that says why this is not the chain that this program left; empty if it is.
  Result<std::string> Doubt(const std::optional<PublishedHead>& published);
  Result<std::string> DoubtFromSealOn();
  Result<std::optional<Oldest>> OldestToKeep(const Retention& retention, Timestamp now);
  // For a transaction.
  Result<std::int64_t> Write(const std::vector<Draft>& drafts, Head& head);
  Status Begin(Timestamp now);
  Status WriteSeal(Head& head, Timestamp now);

  Database* database_;
  std::string chain_;
  std::shared_ptr<const SigningKey> key_;
  Head head_;
  Head anchor_;              // what the first entry that is kept follows from
  std::int64_t sealed_ = 0;  // number of the last seal
};

// A draft of no pod that holds a message of proto/sobre/v1/record.proto.
template <class Message>
Draft DraftOf(EntryKind kind, Timestamp time, const Message& message) {
  Draft draft;
  draft.kind = kind;
  draft.time = time;
  draft.payload = Compress(message.SerializeAsString());
  return draft;
}
// Somebody's text as the columns of an entry hold it: whoever asks may write what no database
// keeps.
std::string ColumnText(std::string_view text);

// What all that writes entries has in common. Statements for rows of `entries`, in the order that
// ReadEntry() takes:
std::string SelectEntries(std::string_view where_and_order);
inline constexpr const char* kInsertEntry =
    "INSERT INTO entries(chain, seq, kind, time_ms, pod_uid, namespace, pod, payload, hash) "
    "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)";
// Writes a content, or marks the one that is there as used now.
Status PutContent(Database& database, const Content& content, Timestamp now);
// Takes contents away that no entry since then can refer to.
Status DropContents(Database& database, Timestamp oldest_entry);
// Makes the chain begin at this entry; false, and nothing is changed, where the one before it is
// not there.
Result<bool> BeginAt(Database& database, const std::string& chain, std::int64_t first_seq);

// Which contents have been written or marked lately and need not be again. Not thread-safe.
class ContentMarks {
 public:
  // True, and then not for a while.
  bool IsDue(const std::string& hash, Timestamp now);
  void ForgetOld(Timestamp now);
  void Clear() { marked_.clear(); }

 private:
  std::unordered_map<std::string, Timestamp> marked_;
};

Result<Entry> ReadEntry(const SqlRow& row);
Result<std::optional<Entry>> FindEntry(Database& database, const EntryId& id);
// Of a decision's message and the like; kInvalid names the entry.
template <class Message>
Result<Message> Parse(const Entry& entry) {
  const Result<std::string> plain = Decompress(entry.payload);
  Message message;
  if (!plain.ok() || !message.ParseFromString(*plain))
    return Status::Invalid("entry " + ToString(EntryId{entry.chain, entry.seq}) +
                           " cannot be read");
  return message;
}
// Contents by hash.
Fetch FetchFrom(Database& database);

// How much of SQLite's file is in use, without what pruning left free.
Result<std::int64_t> SizeOf(Database& database);

}  // namespace sobre
