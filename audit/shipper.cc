#include "audit/shipper.h"

#include <algorithm>
#include <array>
#include <limits>

#include "audit/read_back.h"
#include "base/background.h"
#include "base/log.h"
#include "base/text.h"

namespace sobre {
namespace {

using read_back::FromMs;
using read_back::ToMs;

constexpr std::int64_t kPage = 200;
constexpr Duration kBetweenTrims = std::chrono::minutes(1);
constexpr Duration kBetweenMaintenances = std::chrono::seconds(30);
constexpr Duration kBetweenPrunings = std::chrono::minutes(10);
constexpr std::int64_t kDeletedAtOnce = 5000;
constexpr std::int64_t kMostAdopted = 500;

}  // namespace

Shipper::Shipper(ShipperOptions options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

Shipper::~Shipper() {
  Detach();
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

ShipperState Shipper::State() const {
  const MutexLock lock(mutex_);
  return state_;
}

void Shipper::Detach() {
  const MutexLock lock(calls_);
  attached_ = false;
}

void Shipper::Run() {
  StepBack();
  NameThread("records-ship");
  bool stopping = false;
  while (!stopping) {
    {
      MutexLock lock(mutex_);
      wake_.WaitFor(lock, options_.every, [this]() SOBRE_REQUIRES(mutex_) { return stop_; });
      stopping = stop_;
    }
    const Timestamp now = Now();
    Status status = ShipAll(now);
    if (status.ok() && !stopping) status = Maintain(now);
    const MutexLock lock(mutex_);
    if (!status.ok() && state_.problem.empty())
      Log(LogLevel::kWarning, "records stay on this disk: the shared database does not take them",
          {{"error", status.message()}});
    if (status.ok() && !state_.problem.empty())
      Log(LogLevel::kInfo, "records reach the shared database again");
    state_.problem = status.message();
    if (status.ok()) {
      state_.last_contact = now;
      continue;
    }
    local_.reset();
    shared_.reset();
    arrived_.clear();
    marked_.Clear();
  }
}

Status Shipper::ShipAll(Timestamp now) {
  if (!local_) {
    Result<std::unique_ptr<Database>> opened = options_.open_local();
    if (!opened.ok()) return opened.status();
    local_ = *std::move(opened);
  }
  if (!shared_) {
    Result<std::unique_ptr<Database>> opened = options_.open_shared();
    if (!opened.ok()) return opened.status();
    shared_ = *std::move(opened);
  }
  // The journal goes on with the one that was written last.
  const auto chains = local_->Rows("SELECT chain FROM chains ORDER BY last_seen_ms DESC");
  if (!chains.ok()) return chains.status();
  for (std::size_t i = 0; i < chains->size(); ++i) {
    const std::string chain = Text((*chains)[i].front());
    if (i == 0) own_ = chain;
    if (given_up_.contains(chain)) continue;
    Status status = Ship(chain, now);
    if (status.ok()) continue;
    if (i == 0 || status.code() != ErrorCode::kDenied) return status;
    Log(LogLevel::kWarning, "a chain that was given up cannot be copied to the shared database",
        {{"error", status.message()}});
    given_up_.insert(chain);
  }
  if (now >= next_trim_) next_trim_ = now + kBetweenTrims;
  return Status::Ok();
}

Status Shipper::Ship(const std::string& chain, Timestamp now) {
  if (Status status = Arrive(chain); !status.ok()) return status;
  while (true) {
    const Result<std::int64_t> shipped = ShipSome(chain, Now());
    if (!shipped.ok()) return shipped.status();
    if (*shipped < kPage) break;
  }
  return now < next_trim_ ? Status::Ok() : Trim(chain, now);
}

// Finds out how far the shared database has the chain, and makes it known there.
Status Shipper::Arrive(const std::string& chain) {
  if (arrived_.contains(chain)) return Status::Ok();
  const SqlValue name = chain;
  const auto own = local_->Rows(
      "SELECT first_seq, anchor, last_seen_ms FROM chains WHERE chain = $1", {&name, 1});
  if (!own.ok()) return own.status();
  if (own->empty()) return Status::Ok();
  const std::array<SqlValue, 4> values = {chain, (*own)[0][0], (*own)[0][1], (*own)[0][2]};
  const auto known =
      shared_->Rows("SELECT first_seq, anchor FROM chains WHERE chain = $1", {&name, 1});
  if (!known.ok()) return known.status();
  if (known->empty()) {
    if (Status status = shared_->Run(
            "INSERT INTO chains(chain, first_seq, anchor, last_seen_ms) VALUES($1, $2, $3, $4)",
            values);
        !status.ok())
      return status;
    // It was there once, and forgotten while we were away.
    if (Integer((*own)[0][0]) > 1 && chain == own_)
      PutPruning(Integer((*own)[0][0]), Now(), "forgotten as dead");
  }
  const auto last = shared_->Rows(
      "SELECT seq, hash FROM entries WHERE chain = $1 ORDER BY seq DESC LIMIT 1", {&name, 1});
  if (!last.ok()) return last.status();
  const std::int64_t arrived = !last->empty()   ? Integer((*last)[0][0])
                               : known->empty() ? Integer((*own)[0][0]) - 1
                                                : Integer((*known)[0][0]) - 1;
  if (!last->empty()) {
    const std::array<SqlValue, 2> same = {chain, arrived};
    const auto here = local_->Rows("SELECT hash FROM entries WHERE chain = $1 AND seq = $2", same);
    if (!here.ok()) return here.status();
    const bool is_anchor = arrived + 1 == Integer((*own)[0][0]);
    if ((!here->empty() && (*here)[0][0] != (*last)[0][1]) ||
        (is_anchor && (*own)[0][1] != (*last)[0][1]))
      return Status::Denied("chain " + chain + ": entry " + std::to_string(arrived) +
                            " differs between this disk and the shared database" + Advice(chain));
  }
  arrived_[chain] = arrived;
  return Status::Ok();
}

// A server that was restored, or another that took over and lagged behind, has forgotten entries
// that had arrived, and no statement fails of that.
Status Shipper::StillThere(const std::string& chain, std::int64_t arrived) {
  const std::array<SqlValue, 3> values = {chain, arrived + 1, arrived};
  const auto last = shared_->Rows(
      "SELECT 1 FROM chains WHERE chain = $1 AND (first_seq = $2 OR EXISTS (SELECT 1 FROM entries "
      "WHERE chain = $1 AND seq = $3))",
      values);
  if (!last.ok()) return last.status();
  if (!last->empty()) return Status::Ok();
  return Status::Unavailable("the shared database has lost entry " + std::to_string(arrived) +
                             " of chain " + chain +
                             ", which it had: what this disk still has is sent again");
}

std::string Shipper::Advice(const std::string& chain) const {
  return chain == own_ ? "; move " + local_->Name() + " away, and a new chain is begun"
                       : "; what is on this disk of it stays there";
}

void Shipper::PutPruning(std::int64_t first_seq, Timestamp now, const char* reason) {
  v1::RecordedPruning pruning;
  pruning.set_first_seq(first_seq);
  pruning.set_time_ms(ToMs(now - options_.keep));
  pruning.set_reason(reason);
  pruning.set_for_size(false);
  pruning.set_keep_ms(options_.keep.count());
  const MutexLock lock(calls_);
  if (attached_ && options_.put) options_.put(DraftOf(EntryKind::kPruning, now, pruning));
}

Result<std::vector<Content>> Shipper::ContentsOf(const std::vector<Entry>& entries, Timestamp now) {
  const Fetch fetch = FetchFrom(*local_);
  std::vector<Content> contents;
  for (const Entry& entry : entries) {
    if (entry.kind != EntryKind::kDecision) continue;
    const auto record = Parse<v1::Record>(entry);
    if (!record.ok()) return record.status();
    if (!marked_.IsDue(record->known_sha256(), now)) continue;
    std::vector<std::string> hashes = {record->known_sha256()};
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      if (i > 0 && !marked_.IsDue(hashes[i], now)) continue;
      Result<std::string> bytes = fetch(hashes[i]);
      if (!bytes.ok()) return bytes.status();
      if (i == 0) {
        const Result<std::string> plain = Decompress(*bytes);
        v1::RecordedSnapshot rest;
        if (!plain.ok() || !rest.ParseFromString(*plain))
          return Status::Invalid("content " + Hex(hashes[i]).substr(0, 16) + "… cannot be read");
        hashes.insert(hashes.end(), rest.parts().begin(), rest.parts().end());
      }
      contents.push_back({hashes[i], *std::move(bytes)});
    }
  }
  return contents;
}

// How many entries; less than a page: there are no more.
Result<std::int64_t> Shipper::ShipSome(const std::string& chain, Timestamp now) {
  std::int64_t& arrived = arrived_[chain];
  const std::array<SqlValue, 3> after = {chain, arrived, kPage};
  const auto rows =
      local_->Rows(SelectEntries("WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3"), after);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return 0;
  std::vector<Entry> entries;
  for (const SqlRow& row : *rows) {
    Result<Entry> entry = ReadEntry(row);
    if (!entry.ok()) return entry.status();
    entries.push_back(*std::move(entry));
  }
  // Until the seal that follows it is there too, a pruning looks like somebody else's.
  const bool full = static_cast<std::int64_t>(entries.size()) == kPage;
  const bool cut = full && entries.back().kind == EntryKind::kPruning;
  if (cut) entries.pop_back();
  if (entries.front().seq != arrived + 1)
    return Status::Denied("chain " + chain + ": the shared database ends at entry " +
                          std::to_string(arrived) + ", this disk begins at " +
                          std::to_string(entries.front().seq) + Advice(chain));
  const Result<std::vector<Content>> contents = ContentsOf(entries, now);
  if (!contents.ok()) return contents.status();
  const Status status = shared_->Transact([&]() -> Status {
    if (Status there = StillThere(chain, arrived); !there.ok()) return there;
    for (const Content& content : *contents)
      if (Status done = PutContent(*shared_, content, now); !done.ok()) return done;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      // A commit whose answer was lost did arrive.
      if (Status done = shared_->Run(
              std::string(kInsertEntry) + " ON CONFLICT (chain, seq) DO NOTHING", (*rows)[i]);
          !done.ok())
        return done;
    }
    for (const Entry& entry : entries) {
      if (entry.kind != EntryKind::kPruning) continue;
      if (Status done = Prune(chain, entry); !done.ok()) return done;
    }
    const std::array<SqlValue, 2> seen = {ToMs(now), chain};
    return shared_->Run("UPDATE chains SET last_seen_ms = $1 WHERE chain = $2", seen);
  });
  if (!status.ok()) return status;
  arrived = entries.back().seq;
  {
    const MutexLock lock(mutex_);
    state_.shipped += entries.size();
  }
  return static_cast<std::int64_t>(rows->size());
}

// What has arrived leaves the own disk; the last seal and what came after it stay, for the next one
// counts them.
Status Shipper::Trim(const std::string& chain, Timestamp now) {
  const std::array<SqlValue, 3> arrived = {chain, ToMs(now - options_.keep_local), arrived_[chain]};
  const auto seal = local_->Rows(
      "SELECT MAX(seq) FROM entries WHERE chain = $1 AND kind = 'seal' AND time_ms <= $2 AND seq "
      "<= $3",
      arrived);
  if (!seal.ok()) return seal.status();
  const std::int64_t first = Integer(seal->front().front());
  return local_->Transact([&]() -> Status {
    const Result<bool> moved = BeginAt(*local_, chain, first);
    if (!moved.ok()) return moved.status();
    if (!*moved) return Status::Ok();
    const std::array<SqlValue, 2> older = {chain, first};
    if (Status done = local_->Run("DELETE FROM entries WHERE chain = $1 AND seq < $2", older);
        !done.ok())
      return done;
    return DropContents(*local_, now - options_.keep_local);
  });
}

Status Shipper::Maintain(Timestamp now) {
  if (now < next_maintenance_ || arrived_.empty()) return Status::Ok();
  next_maintenance_ = now + kBetweenMaintenances;
  marked_.ForgetOld(now);
  const bool prune = now >= next_pruning_;
  if (prune) next_pruning_ = now + kBetweenPrunings;
  for (const auto& [chain, seq] : arrived_) {
    if (Status status = StillThere(chain, seq); !status.ok()) return status;
    if (chain != own_) continue;
    const std::array<SqlValue, 2> seen = {ToMs(now), chain};
    if (Status status = shared_->Run("UPDATE chains SET last_seen_ms = $1 WHERE chain = $2", seen);
        !status.ok())
      return status;
    if (Status status = Adopt(chain, now); !status.ok()) {
      Log(LogLevel::kWarning, "decisions of replicas that are gone were not looked for",
          {{"error", status.message()}});
      if (status.code() == ErrorCode::kUnavailable) return status;
    }
    if (!prune) continue;
    if (Status status = AskToPrune(chain, now); !status.ok()) return status;
  }
  if (!prune) return Status::Ok();
  if (Status status = DeletePruned(); !status.ok()) return status;
  return ForgetDeadChains(now);
}

Status Shipper::AskToPrune(const std::string& chain, Timestamp now) {
  const std::array<SqlValue, 2> aged = {chain, ToMs(now - options_.keep)};
  const auto seal = shared_->Rows(
      "SELECT MAX(seq) FROM entries WHERE chain = $1 AND kind = 'seal' AND time_ms < $2", aged);
  if (!seal.ok()) return seal.status();
  const std::int64_t first = Integer(seal->front().front());
  const std::array<SqlValue, 2> before = {chain, first};
  const auto any =
      shared_->Rows("SELECT 1 FROM entries WHERE chain = $1 AND seq < $2 LIMIT 1", before);
  if (!any.ok()) return any.status();
  if (any->empty() || first <= asked_to_prune_) return Status::Ok();
  asked_to_prune_ = first;
  PutPruning(first, now, "older than records.keep");
  return Status::Ok();
}

// Whether the service wrote it: the next seal vouches for it, and is signed where ours are.
Result<bool> Shipper::IsSealed(const Entry& pruning) {
  constexpr std::int64_t kMostBetween = 10'000;
  const std::array<SqlValue, 3> after = {pruning.chain, pruning.seq, kMostBetween};
  const auto rows =
      local_->Rows(SelectEntries("WHERE chain = $1 AND seq > $2 AND seq <= (SELECT MIN(seq) FROM "
                                 "entries WHERE chain = $1 AND seq > $2 AND kind = 'seal') "
                                 "ORDER BY seq LIMIT $3"),
                   after);
  if (!rows.ok()) return rows.status();
  std::string before = pruning.hash;
  for (const SqlRow& row : *rows) {
    const Result<Entry> entry = ReadEntry(row);
    if (!entry.ok()) return entry.status();
    if (HashOf(before, entry->chain, entry->seq, *entry) != entry->hash) return false;
    if (entry->kind == EntryKind::kSeal) {
      const auto seal = Parse<v1::RecordedSeal>(*entry);
      if (!seal.ok()) return seal.status();
      return options_.public_key.empty() ||
             (seal->public_key() == options_.public_key &&
              IsSignedBy(seal->public_key(), before, seal->signature()));
    }
    before = entry->hash;
  }
  return false;
}

// The chain begins later from now on; DeletePruned() takes the rows away.
Status Shipper::Prune(const std::string& chain, const Entry& entry) {
  const Result<bool> sealed = IsSealed(entry);
  if (!sealed.ok()) return sealed.status();
  if (!*sealed) {
    Log(LogLevel::kWarning, "a pruning that no seal of this replica covers was not followed",
        {{"entry", ToString(EntryId{chain, entry.seq})}});
    return Status::Ok();
  }
  const auto pruning = Parse<v1::RecordedPruning>(entry);
  if (!pruning.ok()) return pruning.status();
  return BeginAt(*shared_, chain, pruning->first_seq()).status();
}

// A portion at a time: a statement may take seconds, not minutes.
Status Shipper::DeleteBefore(const std::string& chain, std::int64_t first_seq) {
  while (true) {
    const std::array<SqlValue, 2> values = {chain, first_seq};
    const auto oldest = shared_->Rows(
        "SELECT seq FROM entries WHERE chain = $1 AND seq < $2 ORDER BY seq LIMIT 1", values);
    if (!oldest.ok()) return oldest.status();
    if (oldest->empty()) return Status::Ok();
    const std::array<SqlValue, 2> portion = {
        chain, std::min(first_seq, Integer(oldest->front().front()) + kDeletedAtOnce)};
    if (Status status = shared_->Run("DELETE FROM entries WHERE chain = $1 AND seq < $2", portion);
        !status.ok())
      return status;
  }
}

Status Shipper::DeletePruned() {
  const auto chains = shared_->Rows("SELECT chain, first_seq FROM chains");
  if (!chains.ok()) return chains.status();
  for (const SqlRow& row : *chains) {
    if (Status status = DeleteBefore(Text(row[0]), Integer(row[1])); !status.ok()) return status;
  }
  return Status::Ok();
}

// Chains of replicas that are gone go as a whole, once their last entry is old.
Status Shipper::ForgetDeadChains(Timestamp now) {
  const SqlValue old = ToMs(now - options_.keep);
  const auto dead = shared_->Rows("SELECT chain FROM chains WHERE last_seen_ms < $1", {&old, 1});
  if (!dead.ok()) return dead.status();
  for (const SqlRow& row : *dead) {
    if (Status status = DeleteBefore(Text(row[0]), std::numeric_limits<std::int64_t>::max());
        !status.ok())
      return status;
    const std::array<SqlValue, 2> values = {row[0], old};
    if (Status status =
            shared_->Run("DELETE FROM chains WHERE chain = $1 AND last_seen_ms < $2", values);
        !status.ok())
      return status;
  }
  const SqlValue settled = ToMs(now - kOpenFor);
  if (Status status =
          shared_->Run("DELETE FROM outcome_claims WHERE claimed_ms < $1", {&settled, 1});
      !status.ok())
    return status;
  const auto first = shared_->Rows("SELECT MIN(time_ms) FROM entries WHERE kind = 'decision'");
  if (!first.ok()) return first.status();
  return DropContents(*shared_, FromMs(Integer(first->front().front())));
}

// Decisions of replicas that have been silent for long, whose pods have no outcome: claimed by one.
Status Shipper::Adopt(const std::string& chain, Timestamp now) {
  const std::array<SqlValue, 4> values = {chain, ToMs(now - options_.silent), ToMs(now - kOpenFor),
                                          kMostAdopted};
  const auto rows = shared_->Rows(
      SelectEntries(
          "d WHERE kind = 'decision' AND chain <> $1 AND chain IN (SELECT chain FROM chains WHERE "
          "last_seen_ms < $2) AND time_ms > $3 AND NOT EXISTS (SELECT 1 FROM outcome_claims held "
          "WHERE held.chain = d.chain AND held.seq = d.seq AND held.claimed_by IN (SELECT chain "
          "FROM chains WHERE last_seen_ms >= $2)) AND NOT EXISTS (SELECT 1 FROM entries later "
          "WHERE later.pod_uid = d.pod_uid AND (later.kind = 'outcome' OR later.time_ms > "
          "d.time_ms OR (later.chain = d.chain AND later.seq > d.seq))) ORDER BY time_ms LIMIT $4"),
      values);
  if (!rows.ok()) return rows.status();
  std::vector<std::pair<std::string, OpenDecision>> adopted;
  for (const SqlRow& row : *rows) {
    const Result<Entry> entry = ReadEntry(row);
    if (!entry.ok()) continue;
    const std::array<SqlValue, 5> claim = {entry->chain, entry->seq, chain, ToMs(now),
                                           ToMs(now - options_.silent)};
    if (Status status = shared_->Run(
            "INSERT INTO outcome_claims(chain, seq, claimed_by, claimed_ms) VALUES($1, $2, $3, $4) "
            "ON CONFLICT (chain, seq) DO UPDATE SET claimed_by = excluded.claimed_by, claimed_ms = "
            "excluded.claimed_ms WHERE outcome_claims.claimed_by NOT IN (SELECT chain FROM chains "
            "WHERE last_seen_ms >= $5)",
            claim);
        !status.ok())
      return status;
    const std::array<SqlValue, 4> mine = {entry->chain, entry->seq, chain, ToMs(now)};
    const auto held = shared_->Rows(
        "SELECT 1 FROM outcome_claims WHERE chain = $1 AND seq = $2 AND claimed_by = $3 AND "
        "claimed_ms = $4",
        mine);
    if (!held.ok()) return held.status();
    const auto record = Parse<v1::Record>(*entry);
    if (!held->empty() && record.ok())
      adopted.emplace_back(entry->pod_uid, OpenOf(*record, {entry->chain, entry->seq}));
  }
  if (adopted.empty()) return Status::Ok();
  const MutexLock lock(calls_);
  if (attached_ && options_.adopt) options_.adopt(std::move(adopted));
  return Status::Ok();
}

}  // namespace sobre
