#include "audit/verify_chain.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_set>

#include "audit/record.h"
#include "audit/verify.h"
#include "base/text.h"

namespace sobre {
namespace {

constexpr std::int64_t kPage = 200;
// Twice what is written between two seals at most.
constexpr std::int64_t kMostUnsealed = 2000;
constexpr std::size_t kMostKnown = 32;

class ChainVerifier {
 public:
  ChainVerifier(Database& database, std::shared_ptr<const Catalog> catalog,
                const VerifyOptions& options)
      : database_(database), catalog_(std::move(catalog)), options_(options) {}

  Result<std::vector<ChainSummary>> Verify() {
    if (Status status = CheckContents(); !status.ok()) return status;
    const auto lost = database_.Rows(
        "SELECT chain FROM entries WHERE chain NOT IN (SELECT chain FROM chains) LIMIT 1");
    if (!lost.ok()) return lost.status();
    if (!lost->empty())
      return Status::Invalid(Printable(Text((*lost)[0][0]), 60) +
                             ": where this chain begins is not told");
    const auto rows = database_.Rows("SELECT chain, first_seq, anchor FROM chains ORDER BY chain");
    if (!rows.ok()) return rows.status();
    std::vector<ChainSummary> summaries;
    for (const SqlRow& row : *rows) {
      summary_ = {};
      summary_.chain = Text(row[0]);
      summary_.first_seq = Integer(row[1]);
      if (summary_.first_seq < 1)
        return Wrong({summary_.chain, summary_.first_seq}, "no chain begins there");
      summary_.head = {summary_.first_seq - 1, Bytes(row[2])};
      for (const PublishedHead& kept : options_.heads) {
        if (kept.id.chain == summary_.chain && kept.id.seq == summary_.head.seq &&
            kept.hash != summary_.head.hash)
          return Wrong(kept.id,
                       "the head that was kept has another hash: the chain was written "
                       "anew");
      }
      if (Status status = CheckChain(); !status.ok()) return status;
      summaries.push_back(summary_);
    }
    for (const PublishedHead& kept : options_.heads) {
      if (Status status = CheckKept(kept, summaries); !status.ok()) return status;
    }
    return summaries;
  }

 private:
  [[nodiscard]] static Status Wrong(const EntryId& id, const std::string& what) {
    return Status::Invalid(ToString(id) + ": " + what);
  }

  Status CheckContents() {
    return database_.ForEach("SELECT hash, bytes FROM contents", {}, [](const SqlRow& row) {
      return Sha256(Bytes(row[1])) == Bytes(row[0])
                 ? Status::Ok()
                 : Status::Invalid("content " + Hex(Bytes(row[0])).substr(0, 16) + "… was changed");
    });
  }

  Status CheckChain() {
    last_seal_ = summary_.first_seq - 1;
    since_seal_ = {};
    pruning_.reset();
    first_time_ = {};
    seen_outcomes_.clear();
    while (true) {
      const std::array<SqlValue, 3> after = {summary_.chain, summary_.head.seq, kPage};
      const auto rows = database_.Rows(
          SelectEntries("WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3"), after);
      if (!rows.ok()) return rows.status();
      for (const SqlRow& row : *rows)
        if (Status status = CheckRow(row); !status.ok()) return status;
      if (static_cast<std::int64_t>(rows->size()) < kPage) break;
    }
    const std::array<SqlValue, 2> before = {summary_.chain, summary_.first_seq};
    const auto early =
        database_.Rows("SELECT seq FROM entries WHERE chain = $1 AND seq < $2 LIMIT 1", before);
    if (!early.ok()) return early.status();
    // Rows that were pruned may be there for a while yet.
    if (!early->empty() && !pruning_)
      return Wrong({summary_.chain, Integer(early->front()[0])},
                   "stands before the chain's beginning");
    summary_.unsealed = summary_.head.seq - last_seal_;
    if (options_.public_key && summary_.head.seq >= summary_.first_seq &&
        (summary_.signed_seals == 0 || summary_.unsealed > kMostUnsealed))
      return Wrong({summary_.chain, last_seal_ + 1}, "no signed seal covers it and the " +
                                                         std::to_string(summary_.unsealed - 1) +
                                                         " after it");
    return summary_.first_seq > 1 ? CheckPruning() : Status::Ok();
  }

  // Whether what is gone from the chain's beginning may be.
  Status CheckPruning() {
    const std::string gone = "what came before entry " + std::to_string(summary_.first_seq);
    if (!pruning_)
      return Wrong({summary_.chain, summary_.first_seq},
                   "entries before it are gone, and no entry says that they were pruned");
    const EntryId said{summary_.chain, pruning_->seq};
    if (last_seal_ < pruning_->seq)
      return Wrong(said, "says that " + gone +
                             " was pruned, and no seal covers it: that is unproven, as the service "
                             "seals each pruning with itself");
    summary_.pruning_proven = options_.public_key.has_value();
    for (const PublishedHead& kept : options_.heads) {
      if (kept.id.chain == summary_.chain && kept.id.seq >= pruning_->seq && kept.first_seq &&
          *kept.first_seq < summary_.first_seq)
        return Wrong(said, "says that " + gone + " was pruned, and when " + ToString(kept.id) +
                               " was published, later, the chain still began at entry " +
                               std::to_string(*kept.first_seq));
    }
    if (!options_.keep) return Status::Ok();
    if (options_.keep->bounded_size && pruning_->for_size.value_or(true)) return Status::Ok();
    if (summary_.pruning_proven && pruning_->for_size.value_or(false)) return Status::Ok();
    // What the service itself signed tells how long entries were to be kept then.
    const Duration keep = summary_.pruning_proven && pruning_->keep
                              ? std::min(*pruning_->keep, options_.keep->age)
                              : options_.keep->age;
    if (first_time_ <= pruning_->time - keep) return Status::Ok();
    return Wrong(said, "says that " + gone + ", which is of " + FormatTime(first_time_) +
                           ", was pruned at " + FormatTime(pruning_->time) +
                           ": it was to be kept for longer (records.keep; --keep, where that was "
                           "shorter then)");
  }

  Status CheckRow(const SqlRow& row) {
    const EntryId id{summary_.chain, Integer(row[1])};
    const std::int64_t expected = summary_.head.seq + 1;
    if (id.seq != expected)
      return Wrong(
          {summary_.chain, expected},
          "is missing" + (id.seq - 1 > expected ? ", and all up to " + std::to_string(id.seq - 1)
                                                : std::string()));
    const Result<Entry> entry = ReadEntry(row);
    if (!entry.ok()) return entry.status();
    if (HashOf(summary_.head.hash, entry->chain, entry->seq, *entry) != entry->hash)
      return Wrong(id,
                   "its hash is not that of what stands there: it was changed, or put in, or "
                   "an entry before it was");
    before_ = std::exchange(summary_.head, Head{entry->seq, entry->hash}).hash;
    for (const PublishedHead& kept : options_.heads) {
      if (kept.id.chain == id.chain && kept.id.seq == id.seq && kept.hash != entry->hash)
        return Wrong(id, "the head that was kept has another hash: the chain was written anew");
    }
    const Status status = CheckEntry(*entry);
    return status.ok() || status.code() != ErrorCode::kInvalid ? status
                                                               : Wrong(id, status.message());
  }

  Status CheckEntry(const Entry& entry) {
    if (entry.seq == summary_.first_seq) first_time_ = entry.time;
    switch (entry.kind) {
      case EntryKind::kDecision:
        ++since_seal_.decisions;
        return CheckDecision(entry);
      case EntryKind::kOutcome:
        ++since_seal_.outcomes;
        return CheckOutcome(entry);
      case EntryKind::kSeal:
        return CheckSeal(entry);
      case EntryKind::kGap: {
        const auto gap = Parse<v1::RecordedGap>(entry);
        if (!gap.ok()) return gap.status();
        if (gap->dropped() < 0 ||
            __builtin_add_overflow(summary_.dropped, gap->dropped(), &summary_.dropped))
          return Status::Invalid("no chain can have lost " + std::to_string(gap->dropped()) +
                                 " entries");
        return Status::Ok();
      }
      case EntryKind::kPruning: {
        const auto pruning = Parse<v1::RecordedPruning>(entry);
        if (!pruning.ok()) return pruning.status();
        // A later one came while the chain was read, and its rows are still there.
        if (pruning->first_seq() != summary_.first_seq) return Status::Ok();
        pruning_ = Pruning{entry.seq, entry.time, {}, {}};
        if (pruning->has_for_size()) pruning_->for_size = pruning->for_size();
        if (pruning->has_keep_ms()) pruning_->keep = Duration(pruning->keep_ms());
        return Status::Ok();
      }
    }
    return Status::Ok();
  }

  Status CheckDecision(const Entry& entry) {
    ++summary_.decisions;
    const auto record = Parse<v1::Record>(entry);
    if (!record.ok()) return record.status();
    if (ColumnText(record->pod().uid()) != entry.pod_uid ||
        ColumnText(record->pod().namespace_()) != entry.namespace_name ||
        ColumnText(record->pod().name()) != entry.pod)
      return Status::Invalid("the entry is of pod " + Printable(entry.namespace_name, 60) + "/" +
                             Printable(entry.pod, 60) + ", its decision of another");
    if (entry.time != Timestamp(Duration(record->answered_ms())))
      return Status::Invalid("the entry is of another time than its decision");
    const auto known = KnownOf(record->known_sha256());
    if (!known.ok()) return known.status();
    if (!options_.recompute) return Status::Ok();
    Status status = sobre::Verify(*record, **known, catalog_);
    if (status.code() != ErrorCode::kNotFound) return status;
    ++summary_.other_rules;
    return Status::Ok();
  }

  Status CheckOutcome(const Entry& entry) {
    ++summary_.outcomes;
    const auto outcome = Parse<v1::RecordedOutcome>(entry);
    if (!outcome.ok()) return outcome.status();
    const EntryId of{outcome->chain(), outcome->seq()};
    if (of.chain != entry.chain) return Status::Ok();
    if (!seen_outcomes_.insert(of.seq).second)
      return Status::Invalid("a second outcome of decision " + ToString(of));
    if (of.seq >= entry.seq)
      return Status::Invalid("its decision " + ToString(of) + " comes later");
    return Status::Ok();
  }

  Status CheckSeal(const Entry& entry) {
    ++summary_.seals;
    const auto seal = Parse<v1::RecordedSeal>(entry);
    if (!seal.ok()) return seal.status();
    const bool whole = seal->first_seq() == last_seal_ + 1 &&
                       (last_seal_ >= summary_.first_seq || summary_.first_seq == 1);
    if (whole &&
        (seal->decisions() != since_seal_.decisions || seal->outcomes() != since_seal_.outcomes))
      return Status::Invalid("the seal counts " + std::to_string(seal->decisions()) +
                             " decisions and " + std::to_string(seal->outcomes()) +
                             " outcomes; there are " + std::to_string(since_seal_.decisions) +
                             " and " + std::to_string(since_seal_.outcomes));
    if (!seal->signature().empty()) {
      // The hash before the seal is what its own hash was made from.
      ++summary_.signed_seals;
      if (!IsSignedBy(seal->public_key(), before_, seal->signature()))
        return Status::Invalid("the seal's signature does not hold");
    }
    if (options_.public_key && seal->public_key() != *options_.public_key)
      return Status::Invalid(seal->public_key().empty() ? "the seal is not signed"
                                                        : "the seal is signed by another key");
    last_seal_ = entry.seq;
    since_seal_ = {};
    return Status::Ok();
  }

  Status CheckKept(const PublishedHead& kept, const std::vector<ChainSummary>& summaries) const {
    for (const ChainSummary& summary : summaries) {
      if (summary.chain != kept.id.chain) continue;
      if (kept.id.seq < summary.first_seq - 1)
        return Status::NotFound(ToString(kept.id) +
                                ": what this head covered was pruned: it cannot be compared");
      if (kept.first_seq && summary.first_seq < *kept.first_seq)
        return Wrong({summary.chain, summary.first_seq},
                     "the chain begins here, and when " + ToString(kept.id) +
                         " was published it began at entry " + std::to_string(*kept.first_seq));
      if (summary.head.seq < kept.id.seq)
        return Wrong(kept.id, "its hash was kept, and the chain ends at " +
                                  std::to_string(summary.head.seq) + ": its tail was cut");
      return Status::Ok();
    }
    return Wrong(kept.id, "its hash was kept, and there is no such chain");
  }

  Result<std::shared_ptr<const v1::RecordedSnapshot>> KnownOf(const std::string& hash) {
    if (const auto found = known_.find(hash); found != known_.end()) return found->second;
    Result<v1::RecordedSnapshot> read = ReadKnown(hash, FetchFrom(database_));
    if (!read.ok())
      return read.status().code() == ErrorCode::kNotFound ? Status::Invalid(read.status().message())
                                                          : read.status();
    if (known_.size() >= kMostKnown) known_.clear();
    auto known = std::make_shared<const v1::RecordedSnapshot>(*std::move(read));
    known_.emplace(hash, known);
    return known;
  }

  Database& database_;
  const std::shared_ptr<const Catalog> catalog_;
  const VerifyOptions& options_;
  ChainSummary summary_;
  std::int64_t last_seal_ = 0;
  struct {
    std::int64_t decisions = 0;
    std::int64_t outcomes = 0;
  } since_seal_;
  struct Pruning {
    std::int64_t seq = 0;
    Timestamp time;
    std::optional<bool> for_size;
    std::optional<Duration> keep;
  };
  std::optional<Pruning> pruning_;  // that made the chain begin where it does
  Timestamp first_time_;            // of the first entry that is kept
  std::string before_;
  std::unordered_set<std::int64_t> seen_outcomes_;
  std::map<std::string, std::shared_ptr<const v1::RecordedSnapshot>> known_;
};

}  // namespace

Result<std::vector<ChainSummary>> VerifyChains(Database& database,
                                               const std::shared_ptr<const Catalog>& catalog,
                                               const VerifyOptions& options) {
  // Pruning may move a chain's beginning while it is read.
  constexpr int kTries = 3;
  for (int tries = 1;; ++tries) {
    const auto before = database.Rows("SELECT chain, first_seq FROM chains ORDER BY chain");
    if (!before.ok()) return before.status();
    auto result = ChainVerifier(database, catalog, options).Verify();
    if (result.ok() || tries == kTries) return result;
    const auto after = database.Rows("SELECT chain, first_seq FROM chains ORDER BY chain");
    if (!after.ok() || *after == *before) return result;
  }
}

}  // namespace sobre
