#include "audit/journal.h"

#include <algorithm>
#include <array>
#include <random>

#include "audit/read_back.h"
#include "base/text.h"
#include "proto/sobre/v1/record.pb.h"

namespace sobre {
namespace {

using read_back::FromMs;
using read_back::ToMs;

constexpr std::array kKinds = {EntryKind::kDecision, EntryKind::kOutcome, EntryKind::kSeal,
                               EntryKind::kGap, EntryKind::kPruning};
// A content is marked as used at most so often, and stays for so much longer than entries need it.
constexpr Duration kMarkAgain = std::chrono::minutes(20);
constexpr Duration kContentMargin = std::chrono::hours(1);
constexpr std::size_t kLongestName = 253;
constexpr std::size_t kHashBytes = 32;

Blob AsBlob(std::string bytes) { return Blob{std::move(bytes)}; }

std::string RandomSuffix() {
  std::random_device random;
  std::string bytes(4, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() & 0xff);
  return Hex(bytes);
}

}  // namespace

std::string_view ToString(EntryKind kind) {
  switch (kind) {
    case EntryKind::kDecision:
      return "decision";
    case EntryKind::kOutcome:
      return "outcome";
    case EntryKind::kSeal:
      return "seal";
    case EntryKind::kGap:
      return "gap";
    case EntryKind::kPruning:
      return "pruning";
  }
  return "";
}

std::string HashOf(std::string_view previous, std::string_view chain, std::int64_t seq,
                   const Draft& draft) {
  Sha256Stream hash;
  hash.AddText(previous);
  hash.AddText(chain);
  hash.Add(static_cast<std::uint64_t>(seq));
  hash.AddText(ToString(draft.kind));
  hash.Add(static_cast<std::uint64_t>(ToMs(draft.time)));
  hash.AddText(draft.pod_uid);
  hash.AddText(draft.namespace_name);
  hash.AddText(draft.pod);
  hash.AddText(draft.payload);
  return hash.Finish();
}

std::string ToString(const EntryId& id) { return id.chain + ":" + std::to_string(id.seq); }

std::optional<EntryId> ParseEntryId(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::optional<std::int64_t> seq = ParseInteger(text.substr(colon + 1));
  if (!seq || *seq < 1) return std::nullopt;
  return EntryId{std::string(text.substr(0, colon)), *seq};
}

std::string ColumnText(std::string_view text) { return Printable(text, kLongestName); }

std::string SelectEntries(std::string_view where_and_order) {
  return "SELECT chain, seq, kind, time_ms, pod_uid, namespace, pod, payload, hash FROM entries " +
         std::string(where_and_order);
}

Status PutContent(Database& database, const Content& content, Timestamp now) {
  const std::array<SqlValue, 3> values = {AsBlob(content.hash), AsBlob(content.bytes), ToMs(now)};
  return database.Run(
      "INSERT INTO contents(hash, bytes, last_used_ms) VALUES($1, $2, $3) "
      "ON CONFLICT (hash) DO UPDATE SET last_used_ms = excluded.last_used_ms",
      values);
}

Status DropContents(Database& database, Timestamp oldest_entry) {
  const SqlValue unused = ToMs(oldest_entry - kContentMargin);
  return database.Run("DELETE FROM contents WHERE last_used_ms < $1", {&unused, 1});
}

namespace {

// What no entry can refer to any more.
Status DropUnusedContents(Database& database) {
  const auto first = database.Rows("SELECT MIN(time_ms) FROM entries");
  if (!first.ok()) return first.status();
  return DropContents(database, FromMs(Integer(first->front().front())));
}

}  // namespace

Result<bool> BeginAt(Database& database, const std::string& chain, std::int64_t first_seq) {
  const std::array<SqlValue, 2> before = {chain, first_seq - 1};
  const auto anchor =
      database.Rows("SELECT hash FROM entries WHERE chain = $1 AND seq = $2", before);
  if (!anchor.ok()) return anchor.status();
  if (anchor->empty()) return false;
  const std::array<SqlValue, 3> values = {first_seq, anchor->front()[0], chain};
  if (Status status =
          database.Run("UPDATE chains SET first_seq = $1, anchor = $2 WHERE chain = $3", values);
      !status.ok())
    return status;
  return true;
}

bool ContentMarks::IsDue(const std::string& hash, Timestamp now) {
  const auto [marked, added] = marked_.try_emplace(hash, now);
  if (!added && now - marked->second < kMarkAgain) return false;
  marked->second = now;
  return true;
}

void ContentMarks::ForgetOld(Timestamp now) {
  std::erase_if(marked_, [&](const auto& entry) { return now - entry.second > 2 * kMarkAgain; });
}

std::string ToString(const PublishedHead& head) {
  std::string text = ToString(head.id) + ":" + Hex(head.hash);
  if (head.first_seq) text += ":from:" + std::to_string(*head.first_seq);
  return text;
}

std::optional<PublishedHead> ParsePublishedHead(std::string_view text) {
  constexpr std::string_view kFrom = ":from:";
  PublishedHead head;
  if (const std::size_t from = text.rfind(kFrom); from != std::string_view::npos) {
    head.first_seq = ParseInteger(text.substr(from + kFrom.size()));
    if (!head.first_seq || *head.first_seq < 1) return std::nullopt;
    text = text.substr(0, from);
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<EntryId> id = ParseEntryId(text.substr(0, colon));
  const Result<std::string> hash = FromHex(text.substr(colon + 1));
  if (!id || !hash.ok() || hash->size() != kHashBytes) return std::nullopt;
  head.id = *id;
  head.hash = *hash;
  return head;
}

Result<Journal> Journal::Open(Database& database, const Options& options, Timestamp now,
                              std::string& distrusted) {
  const auto rows = database.Rows("SELECT chain FROM chains ORDER BY last_seen_ms DESC LIMIT 1");
  if (!rows.ok()) return rows.status();
  if (!rows->empty()) {
    Journal journal(database, Text(rows->front().front()), options.key);
    if (Status status = journal.ReadHead(); !status.ok()) return status;
    std::optional<PublishedHead> published;
    if (options.published) {
      Result<std::optional<PublishedHead>> found = options.published(journal.chain_);
      if (!found.ok()) return found.status();
      published = *std::move(found);
    }
    Result<std::string> doubt = journal.Doubt(published);
    if (!doubt.ok()) return doubt.status();
    if (doubt->empty()) return journal;
    distrusted = "chain " + Printable(journal.chain_, kLongestName) + ": " + *doubt;
  }
  Journal journal(database, options.name + "-" + RandomSuffix(), options.key);
  if (Status status = journal.Begin(now); !status.ok()) return status;
  return journal;
}

// Where seals are signed, the first entry is one: from then on a chain without one is not ours.
Status Journal::Begin(Timestamp now) {
  Head head = head_;
  Status status = database_->Transact([&]() -> Status {
    const std::array<SqlValue, 3> values = {chain_, AsBlob(head.hash), ToMs(now)};
    if (Status done = database_->Run(
            "INSERT INTO chains(chain, first_seq, anchor, last_seen_ms) VALUES($1, 1, $2, $3)",
            values);
        !done.ok())
      return done;
    return key_ == nullptr ? Status::Ok() : WriteSeal(head, now);
  });
  if (!status.ok()) return status;
  head_ = head;
  sealed_ = head.seq;
  return Status::Ok();
}

Status Journal::ReadHead() {
  const SqlValue chain = chain_;
  const auto row =
      database_->Rows("SELECT first_seq, anchor FROM chains WHERE chain = $1", {&chain, 1});
  if (!row.ok()) return row.status();
  if (!row->empty()) anchor_ = {Integer(row->front()[0]) - 1, Bytes(row->front()[1])};
  const auto last = database_->Rows(
      "SELECT seq, hash FROM entries WHERE chain = $1 ORDER BY seq DESC LIMIT 1", {&chain, 1});
  if (!last.ok()) return last.status();
  head_ = last->empty() ? anchor_ : Head{Integer(last->front()[0]), Bytes(last->front()[1])};
  const auto seal = database_->Rows(
      "SELECT seq FROM entries WHERE chain = $1 AND kind = 'seal' ORDER BY seq DESC LIMIT 1",
      {&chain, 1});
  if (!seal.ok()) return seal.status();
  sealed_ = seal->empty() ? 0 : Integer(seal->front().front());
  return Status::Ok();
}

Result<std::string> Journal::Doubt(const std::optional<PublishedHead>& published) {
  if (published && published->id.seq >= first_seq()) {
    const Result<std::optional<Entry>> entry = FindEntry(*database_, {chain_, published->id.seq});
    if (!entry.ok() && entry.status().code() != ErrorCode::kInvalid) return entry.status();
    if (!entry.ok() || !*entry || (*entry)->hash != published->hash)
      return "entry " + std::to_string(published->id.seq) +
             " is not the one whose hash this program published: the chain was cut or written anew";
  }
  return DoubtFromSealOn();
}

// What stands before the last seal was vouched for when it was sealed. What came after it has to
// follow from it, and no pruning is among it, as this program seals each with itself.
Result<std::string> Journal::DoubtFromSealOn() {
  if (key_ != nullptr && sealed_ == 0 && head_.seq > anchor_.seq)
    return std::string("it has entries, and no seal that this program signed");
  const std::array<SqlValue, 2> since = {chain_, sealed_ - 1};
  const auto rows =
      database_->Rows(SelectEntries("WHERE chain = $1 AND seq >= $2 ORDER BY seq"), since);
  if (!rows.ok()) return rows.status();
  // The entry before the seal is there for its hash alone.
  std::optional<Head> before;
  if (sealed_ <= anchor_.seq + 1) before = anchor_;
  for (const SqlRow& row : *rows) {
    const Result<Entry> entry = ReadEntry(row);
    if (!entry.ok()) return entry.status().message();
    const std::string which = "entry " + std::to_string(entry->seq);
    if (before && (entry->seq != before->seq + 1 ||
                   HashOf(before->hash, entry->chain, entry->seq, *entry) != entry->hash))
      return which + " does not follow from the one before it";
    if (entry->kind == EntryKind::kPruning && entry->seq > sealed_)
      return which +
             " says that older ones were pruned, and no seal covers it: somebody else wrote it";
    if (entry->seq == sealed_ && !before)
      return std::string("the entry before its last seal is missing");
    if (entry->seq == sealed_ && key_ != nullptr) {
      const auto seal = Parse<v1::RecordedSeal>(*entry);
      if (!seal.ok()) return seal.status().message();
      if (seal->public_key() != key_->public_key())
        return "its last seal, " + which + ", is not signed by this program's key";
      if (!IsSignedBy(seal->public_key(), before->hash, seal->signature()))
        return "the signature of its last seal, " + which + ", does not hold";
    }
    before = {entry->seq, entry->hash};
  }
  return std::string();
}

Result<std::int64_t> Journal::Write(const std::vector<Draft>& drafts, Head& head) {
  const std::int64_t first = head.seq + 1;
  for (const Draft& draft : drafts) {
    ++head.seq;
    head.hash = HashOf(head.hash, chain_, head.seq, draft);
    const std::array<SqlValue, 9> values = {chain_,
                                            head.seq,
                                            std::string(ToString(draft.kind)),
                                            ToMs(draft.time),
                                            draft.pod_uid,
                                            draft.namespace_name,
                                            draft.pod,
                                            AsBlob(draft.payload),
                                            AsBlob(head.hash)};
    if (Status status = database_->Run(kInsertEntry, values); !status.ok()) return status;
  }
  return first;
}

Result<std::int64_t> Journal::Append(const std::vector<Draft>& drafts,
                                     const std::vector<std::shared_ptr<const Content>>& contents,
                                     Timestamp now) {
  Head head = head_;
  std::int64_t first = 0;
  const Status status = database_->Transact([&]() -> Status {
    for (const auto& content : contents)
      if (Status done = PutContent(*database_, *content, now); !done.ok()) return done;
    const Result<std::int64_t> written = Write(drafts, head);
    if (!written.ok()) return written.status();
    first = *written;
    const bool prunes = std::any_of(drafts.begin(), drafts.end(), [](const Draft& draft) {
      return draft.kind == EntryKind::kPruning;
    });
    if (prunes)
      if (Status done = WriteSeal(head, now); !done.ok()) return done;
    const std::array<SqlValue, 2> seen = {ToMs(now), chain_};
    return database_->Run("UPDATE chains SET last_seen_ms = $1 WHERE chain = $2", seen);
  });
  if (!status.ok()) return status;
  if (head.seq - first + 1 > static_cast<std::int64_t>(drafts.size())) sealed_ = head.seq;
  head_ = head;
  return first;
}

Status Journal::WriteSeal(Head& head, Timestamp now) {
  v1::RecordedSeal seal;
  seal.set_first_seq(sealed_ + 1);
  const std::array<SqlValue, 2> since = {chain_, sealed_};
  const auto counts = database_->Rows(
      "SELECT kind, COUNT(*) FROM entries WHERE chain = $1 AND seq > $2 GROUP BY kind", since);
  if (!counts.ok()) return counts.status();
  for (const SqlRow& row : *counts) {
    if (Text(row[0]) == ToString(EntryKind::kDecision)) seal.set_decisions(Integer(row[1]));
    if (Text(row[0]) == ToString(EntryKind::kOutcome)) seal.set_outcomes(Integer(row[1]));
  }
  if (key_ != nullptr) {
    seal.set_signature(key_->Sign(head.hash));
    seal.set_public_key(key_->public_key());
  }
  return Write({DraftOf(EntryKind::kSeal, now, seal)}, head).status();
}

Status Journal::Seal(Timestamp now) {
  if (head_.seq == sealed_) return Status::Ok();
  Head head = head_;
  Status status = database_->Transact([&]() -> Status {
    if (Status done = WriteSeal(head, now); !done.ok()) return done;
    const std::array<SqlValue, 2> seen = {ToMs(now), chain_};
    return database_->Run("UPDATE chains SET last_seen_ms = $1 WHERE chain = $2", seen);
  });
  if (!status.ok()) return status;
  head_ = head;
  sealed_ = head.seq;
  return Status::Ok();
}

Result<std::optional<Journal::Oldest>> Journal::OldestToKeep(const Retention& retention,
                                                             Timestamp now) {
  // Never the last seal, nor what came after it.
  const std::array<SqlValue, 3> aged = {chain_, ToMs(now - retention.age), sealed_};
  const auto by_age = database_->Rows(
      "SELECT MAX(seq) FROM entries WHERE chain = $1 AND kind = 'seal' AND time_ms < $2 "
      "AND seq <= $3",
      aged);
  if (!by_age.ok()) return by_age.status();
  Oldest oldest{Integer(by_age->front().front()), false};
  if (retention.bytes > 0) {
    const Result<std::int64_t> size = SizeOf(*database_);
    if (!size.ok()) return size.status();
    if (*size > retention.bytes) {
      // As large a share of the entries as the size is over, and a tenth more.
      const double over = static_cast<double>(*size - retention.bytes) / static_cast<double>(*size);
      const SqlValue chain = chain_;
      const auto range =
          database_->Rows("SELECT MIN(seq), MAX(seq) FROM entries WHERE chain = $1", {&chain, 1});
      if (!range.ok()) return range.status();
      const std::int64_t first = Integer(range->front()[0]);
      const auto goal = first + static_cast<std::int64_t>(
                                    static_cast<double>(Integer(range->front()[1]) - first) *
                                    std::min(1.0, over * 1.1));
      const std::array<SqlValue, 3> sized = {chain_, goal, sealed_};
      const auto seal = database_->Rows(
          "SELECT MIN(seq) FROM entries WHERE chain = $1 AND kind = 'seal' AND seq >= $2 "
          "AND seq <= $3",
          sized);
      if (!seal.ok()) return seal.status();
      if (const std::int64_t seq = Integer(seal->front().front()); seq > oldest.seq)
        oldest = {seq, true};
    }
  }
  const std::array<SqlValue, 2> before = {chain_, oldest.seq};
  const auto any =
      database_->Rows("SELECT 1 FROM entries WHERE chain = $1 AND seq < $2 LIMIT 1", before);
  if (!any.ok()) return any.status();
  if (any->empty()) return std::optional<Oldest>();
  return std::optional(oldest);
}

Result<bool> Journal::Prune(const Retention& retention, Timestamp now) {
  const Result<std::optional<Oldest>> oldest = OldestToKeep(retention, now);
  if (!oldest.ok()) return oldest.status();
  if (!*oldest) return false;
  const std::int64_t first_seq = (*oldest)->seq;
  Head head = head_;
  Head anchor{first_seq - 1, {}};
  const Status status = database_->Transact([&]() -> Status {
    const Result<bool> moved = BeginAt(*database_, chain_, first_seq);
    if (!moved.ok()) return moved.status();
    const std::array<SqlValue, 2> before = {chain_, first_seq};
    const auto newest = database_->Rows(
        "SELECT time_ms, hash FROM entries WHERE chain = $1 AND seq < $2 ORDER BY seq DESC LIMIT 1",
        before);
    if (!newest.ok()) return newest.status();
    if (!*moved || newest->empty())
      return Status::Invalid("entry " + std::to_string(first_seq - 1) + " of " + chain_ +
                             " is missing");
    v1::RecordedPruning pruning;
    pruning.set_first_seq(first_seq);
    pruning.set_time_ms(Integer(newest->front()[0]));
    anchor.hash = Bytes(newest->front()[1]);
    pruning.set_for_size((*oldest)->for_size);
    pruning.set_keep_ms(retention.age.count());
    if (const auto written = Write({DraftOf(EntryKind::kPruning, now, pruning)}, head);
        !written.ok())
      return written.status();
    if (Status done = WriteSeal(head, now); !done.ok()) return done;
    if (Status done = database_->Run("DELETE FROM entries WHERE chain = $1 AND seq < $2", before);
        !done.ok())
      return done;
    return DropUnusedContents(*database_);
  });
  if (!status.ok()) return status;
  head_ = head;
  sealed_ = head.seq;
  anchor_ = anchor;
  return true;
}

Result<std::vector<std::string>> Journal::DropGivenUp(const Retention& retention, Timestamp now) {
  const SqlValue own = chain_;
  const auto others = database_->Rows(
      "SELECT chain, last_seen_ms FROM chains WHERE chain <> $1 ORDER BY last_seen_ms", {&own, 1});
  if (!others.ok()) return others.status();
  std::vector<std::string> dropped;
  for (const SqlRow& other : *others) {
    bool goes = FromMs(Integer(other[1])) < now - retention.age;
    if (!goes && retention.bytes > 0) {
      const Result<std::int64_t> size = SizeOf(*database_);
      if (!size.ok()) return size.status();
      goes = *size > retention.bytes;
    }
    if (!goes) break;
    const Status status = database_->Transact([&]() -> Status {
      if (Status done = database_->Run("DELETE FROM entries WHERE chain = $1", {other.data(), 1});
          !done.ok())
        return done;
      return database_->Run("DELETE FROM chains WHERE chain = $1", {other.data(), 1});
    });
    if (!status.ok()) return status;
    dropped.push_back(Text(other[0]));
  }
  if (dropped.empty()) return dropped;
  if (Status status = DropUnusedContents(*database_); !status.ok()) return status;
  return dropped;
}

Result<Entry> ReadEntry(const SqlRow& row) {
  Entry entry;
  entry.chain = Text(row[0]);
  entry.seq = Integer(row[1]);
  const std::string kind = Text(row[2]);
  const auto known =
      std::find_if(kKinds.begin(), kKinds.end(), [&](EntryKind k) { return ToString(k) == kind; });
  if (known == kKinds.end())
    return Status::Invalid("entry " + ToString(EntryId{entry.chain, entry.seq}) + ": kind '" +
                           Printable(kind, 20) + "' is not known");
  entry.kind = *known;
  entry.time = FromMs(Integer(row[3]));
  entry.pod_uid = Text(row[4]);
  entry.namespace_name = Text(row[5]);
  entry.pod = Text(row[6]);
  entry.payload = Bytes(row[7]);
  entry.hash = Bytes(row[8]);
  return entry;
}

Result<std::optional<Entry>> FindEntry(Database& database, const EntryId& id) {
  const std::array<SqlValue, 2> values = {id.chain, id.seq};
  const auto rows = database.Rows(SelectEntries("WHERE chain = $1 AND seq = $2"), values);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return std::optional<Entry>();
  Result<Entry> entry = ReadEntry(rows->front());
  if (!entry.ok()) return entry.status();
  return std::optional(*std::move(entry));
}

Fetch FetchFrom(Database& database) {
  return [&database](const std::string& hash) -> Result<std::string> {
    const SqlValue value = AsBlob(hash);
    const auto rows = database.Rows("SELECT bytes FROM contents WHERE hash = $1", {&value, 1});
    if (!rows.ok()) return rows.status();
    if (rows->empty())
      return Status::NotFound("content " + Hex(hash).substr(0, 16) + "… is not there");
    return Bytes(rows->front().front());
  };
}

Result<std::int64_t> SizeOf(Database& database) {
  const auto rows = database.Rows(
      "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count(), "
      "pragma_freelist_count(), pragma_page_size()");
  if (!rows.ok()) return rows.status();
  return Integer(rows->front().front());
}

}  // namespace sobre
