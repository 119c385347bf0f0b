#include "audit/journal_writer.h"

#include <algorithm>
#include <array>

#include "base/background.h"
#include "base/log.h"
#include "base/text.h"

namespace sobre {
namespace {

// Entries that come close together share a transaction.
constexpr Duration kGather = std::chrono::milliseconds(50);
constexpr Duration kRetry = std::chrono::seconds(1);
constexpr std::size_t kMostInBatch = 500;
constexpr Duration kBetweenLooks = std::chrono::seconds(5);
constexpr Duration kBetweenPrunings = std::chrono::minutes(10);
constexpr int kLastTries = 2;
// Pods that are remembered over a restart; so many are read between two batches.
constexpr std::size_t kMostRestored = 100'000;
constexpr std::int64_t kRestorePage = 500;

std::size_t SizeOfItem(const JournalWriter::Item& item) {
  constexpr std::size_t kOverhead = 512;
  std::size_t size = kOverhead + item.draft.payload.size();
  if (item.outcome) size += item.outcome->ByteSizeLong();
  return size;
}

// Of the contents that `known` does not share with the one before it.
std::size_t SizeOfNew(const KnownWriter::Written& known, const KnownWriter::Written* before) {
  std::unordered_set<const Content*> shared;
  if (before != nullptr)
    for (const auto& content : before->contents) shared.insert(content.get());
  std::size_t size = 0;
  for (const auto& content : known.contents)
    if (!shared.contains(content.get())) size += content->bytes.size();
  return size;
}

}  // namespace

JournalWriter::JournalWriter(JournalOptions options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

JournalWriter::~JournalWriter() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

bool JournalWriter::Put(Item item) {
  item.bytes = SizeOfItem(item);
  {
    const MutexLock lock(mutex_);
    if (item.known && item.known != last_known_)
      item.bytes += SizeOfNew(*item.known, last_known_.get());
    if (backlog_.size() < options_.most_items && bytes_ + item.bytes <= options_.most_bytes) {
      bytes_ += item.bytes;
      if (item.known) last_known_ = item.known;
      backlog_.push_back(std::move(item));
      wake_.NotifyAll();
      return true;
    }
  }
  CountDropped(1);
  return false;
}

void JournalWriter::CountDropped(std::uint64_t number) {
  const MutexLock lock(mutex_);
  if (unsaid_ == 0) {
    unsaid_from_ = Now();
    Log(LogLevel::kError, "decisions are not recorded",
        {{"reason",
          state_.problem.empty() ? "they come faster than they can be written" : state_.problem}});
  }
  unsaid_ += number;
  state_.dropped += number;
}

std::optional<JournalWriter::Restored> JournalWriter::TakeRestored() {
  const MutexLock lock(mutex_);
  return std::exchange(restored_, std::nullopt);
}

JournalState JournalWriter::State() const {
  const MutexLock lock(mutex_);
  JournalState state = state_;
  state.backlog = backlog_.size();
  return state;
}

bool JournalWriter::WaitUntilWritten(Duration most) {
  MutexLock lock(mutex_);
  return written_.WaitFor(lock, most, [this]() SOBRE_REQUIRES(mutex_) { return backlog_.empty(); });
}

void JournalWriter::Run() {
  StepBack();
  NameThread("records-write");
  int tries = kLastTries;
  bool failed = false;
  while (true) {
    bool stopping = false;
    {
      MutexLock lock(mutex_);
      wake_.WaitFor(lock, failed ? kRetry : kGather,
                    [this]() SOBRE_REQUIRES(mutex_) { return stop_; });
      stopping = stop_;
    }
    const Timestamp now = Now();
    Status status = WriteBatch(now);
    if (status.ok()) status = Maintain(now);
    if (status.ok() && !stopping) status = Restore(now);
    if (stopping && status.ok()) {
      const MutexLock lock(mutex_);
      stopping = backlog_.empty();
      if (stopping) tries = 0;
    }
    if (tries == 0) status = Seal(now);
    Report(status);
    failed = !status.ok();
    if (stopping && (tries == 0 || --tries == 0)) break;
  }
  const MutexLock lock(mutex_);
  if (!backlog_.empty())
    Log(LogLevel::kError, "stopped with decisions that could not be recorded",
        {{"number", std::to_string(backlog_.size())}, {"reason", state_.problem}});
}

void JournalWriter::Report(const Status& status) {
  const MutexLock lock(mutex_);
  if (!status.ok() && state_.problem.empty())
    Log(LogLevel::kError, "records cannot be written: trying again", {{"error", status.message()}});
  if (status.ok() && !state_.problem.empty()) Log(LogLevel::kInfo, "records are written again");
  state_.problem = status.message();
  if (status.ok()) return;
  damaged_ = status.code() == ErrorCode::kDamaged;
  // Whatever the connection is in, begin anew.
  journal_.reset();
  database_.reset();
  stored_.Clear();
}

Status JournalWriter::Open(Timestamp now) {
  if (journal_) return Status::Ok();
  Result<std::unique_ptr<Database>> opened = options_.open(std::exchange(damaged_, false));
  if (!opened.ok()) return opened.status();
  database_ = *std::move(opened);
  Journal::Options options = options_.chain;
  {
    // What this process has written itself is known best.
    const MutexLock lock(mutex_);
    if (!state_.chain.empty() && state_.head.seq > 0)
      options.published = [own =
                               PublishedHead{{state_.chain, state_.head.seq}, state_.head.hash, {}},
                           asked = options.published](
                              const std::string& chain) -> Result<std::optional<PublishedHead>> {
        if (chain == own.id.chain) return std::optional(own);
        return asked ? asked(chain) : std::optional<PublishedHead>();
      };
  }
  std::string distrusted;
  Result<Journal> journal = Journal::Open(*database_, options, now, distrusted);
  if (!journal.ok()) return journal.status();
  journal_ = *std::move(journal);
  if (!distrusted.empty())
    Log(LogLevel::kError, "records were changed by somebody else: a new chain is begun",
        {{"found", distrusted}, {"chain", journal_->chain()}});
  if (last_seal_ == Timestamp()) last_seal_ = now;
  {
    const MutexLock lock(mutex_);
    state_.chain = journal_->chain();
    state_.head = journal_->head();
    if (!distrusted.empty()) state_.distrusted = std::move(distrusted);
  }
  if (restoring_ && restoring_->before == 0) restoring_->before = journal_->head().seq + 1;
  return Status::Ok();
}

// A page at a time, from the end: the last entry of a pod says whether its decision is open.
Status JournalWriter::Restore(Timestamp now) {
  if (!restoring_) return Status::Ok();
  const SqlValue since = (now - kOpenFor).time_since_epoch().count();
  const std::array<SqlValue, 4> values = {journal_->chain(), restoring_->before, since,
                                          kRestorePage};
  const auto rows = database_->Rows(
      SelectEntries("WHERE chain = $1 AND seq < $2 AND time_ms >= $3 AND kind IN ('decision', "
                    "'outcome') ORDER BY seq DESC LIMIT $4"),
      values);
  if (!rows.ok()) return rows.status();
  // What cannot be read is passed over: `sobre verify` names it.
  for (const SqlRow& row : *rows) {
    restoring_->before = Integer(row[1]);
    const Result<Entry> entry = ReadEntry(row);
    if (!entry.ok() || !restoring_->pods.insert(entry->pod_uid).second) continue;
    if (entry->kind != EntryKind::kDecision) continue;
    const auto record = Parse<v1::Record>(*entry);
    if (record.ok())
      restoring_->found.emplace_back(entry->pod_uid, OpenOf(*record, {entry->chain, entry->seq}));
  }
  if (static_cast<std::int64_t>(rows->size()) == kRestorePage &&
      restoring_->pods.size() < kMostRestored)
    return Status::Ok();
  const MutexLock lock(mutex_);
  restored_ = std::move(restoring_->found);
  restoring_.reset();
  return Status::Ok();
}

JournalWriter::Batch JournalWriter::Compose(Timestamp now) {
  Batch batch;
  std::int64_t seq = journal_->head().seq;
  const MutexLock lock(mutex_);
  if (unsaid_ > 0) {
    v1::RecordedGap gap;
    gap.set_dropped(static_cast<std::int64_t>(unsaid_));
    gap.set_from_ms(unsaid_from_.time_since_epoch().count());
    gap.set_to_ms(now.time_since_epoch().count());
    gap.set_reason(state_.problem.empty() ? "more decisions than could be written"
                                          : state_.problem);
    batch.gap = unsaid_;
    batch.drafts.push_back(DraftOf(EntryKind::kGap, now, gap));
    ++seq;
  }
  for (Item& item : backlog_) {
    if (batch.items == (most_in_batch_ > 0 ? most_in_batch_ : kMostInBatch)) break;
    ++batch.items;
    ++seq;
    Draft draft = item.draft;
    if (item.outcome) {
      item.outcome->set_chain(item.ticket->chain);
      item.outcome->set_seq(item.ticket->seq);
      draft.payload = Compress(item.outcome->SerializeAsString());
    } else if (item.ticket) {
      *item.ticket = {journal_->chain(), seq};
    }
    batch.drafts.push_back(std::move(draft));
    if (!item.known) continue;
    for (const auto& content : item.known->contents)
      if (stored_.IsDue(content->hash, now)) batch.contents.push_back(content);
  }
  return batch;
}

Status JournalWriter::WriteBatch(Timestamp now) {
  if (Status status = Open(now); !status.ok()) return status;
  const Batch batch = Compose(now);
  if (batch.drafts.empty()) return Status::Ok();
  const Result<std::int64_t> first = journal_->Append(batch.drafts, batch.contents, now);
  // What no database takes must not stop what comes after it: found by writing one at a time.
  if (first.status().code() == ErrorCode::kInvalid && batch.items == 1) DropFirst();
  if (!first.ok()) {
    most_in_batch_ = 1;
    return first.status();
  }
  most_in_batch_ = 0;
  Finish(batch, now);
  return Status::Ok();
}

void JournalWriter::DropFirst() {
  {
    const MutexLock lock(mutex_);
    bytes_ -= backlog_.front().bytes;
    backlog_.pop_front();
  }
  CountDropped(1);
}

void JournalWriter::Finish(const Batch& batch, Timestamp now) {
  const MutexLock lock(mutex_);
  for (std::size_t i = 0; i < batch.items; ++i) {
    const Item& item = backlog_.front();
    if (item.outcome) ++state_.outcomes;
    if (item.draft.kind == EntryKind::kDecision) ++state_.decisions;
    bytes_ -= item.bytes;
    backlog_.pop_front();
  }
  unsaid_ -= batch.gap;
  state_.head = journal_->head();
  state_.last_write = now;
  if (backlog_.empty()) written_.NotifyAll();
}

Status JournalWriter::Seal(Timestamp now) {
  if (!journal_) return Status::Ok();
  const std::int64_t before = journal_->head().seq;
  if (Status status = journal_->Seal(now); !status.ok()) return status;
  last_seal_ = now;
  if (journal_->head().seq == before) return Status::Ok();
  Publish();
  return Status::Ok();
}

void JournalWriter::Publish() {
  PublishedHead head{{journal_->chain(), journal_->head().seq}, journal_->head().hash, {}};
  // Else the records begin elsewhere too, where somebody else prunes them.
  if (options_.retention) head.first_seq = journal_->first_seq();
  Log(LogLevel::kInfo, "records sealed",
      {{"chain", head.id.chain},
       {"entries", std::to_string(head.id.seq)},
       {"from", std::to_string(journal_->first_seq())},
       {"head", Hex(head.hash)}});
  {
    const MutexLock lock(mutex_);
    state_.head = journal_->head();
  }
  if (options_.on_seal) options_.on_seal(head);
}

Status JournalWriter::Maintain(Timestamp now) {
  if (now >= next_look_) {
    // Its files may be gone though nothing is written.
    next_look_ = now + kBetweenLooks;
    if (Status status = database_->Run("SELECT 1"); !status.ok()) return status;
  }
  const std::int64_t unsealed = journal_->entries_since_seal();
  if (unsealed >= options_.seal_entries ||
      (unsealed > 0 && now - last_seal_ >= options_.seal_every)) {
    if (Status status = Seal(now); !status.ok()) return status;
  }
  if (now - last_seal_ > options_.seal_every) last_seal_ = now;
  if (!options_.retention || now < next_prune_) return Status::Ok();
  next_prune_ = now + kBetweenPrunings;
  const auto dropped = journal_->DropGivenUp(*options_.retention, now);
  if (!dropped.ok()) return dropped.status();
  for (const std::string& chain : *dropped)
    Log(LogLevel::kWarning, "a chain that was given up is gone: records.keep, or the file's size",
        {{"chain", chain}});
  if (!dropped->empty()) stored_.Clear();
  const Result<bool> pruned = journal_->Prune(*options_.retention, now);
  if (!pruned.ok()) return pruned.status();
  // Contents that nothing kept refers to are gone, and unknown to `stored_`.
  if (*pruned) stored_.Clear();
  stored_.ForgetOld(now);
  if (*pruned) Publish();
  return Status::Ok();
}

}  // namespace sobre
