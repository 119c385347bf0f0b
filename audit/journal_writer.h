#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "audit/journal.h"
#include "audit/outcomes.h"
#include "base/mutex.h"
#include "base/status.h"

namespace sobre {

struct JournalOptions {
  // Opens the database, and again after it failed; `damaged`: its file is no longer a database's.
  std::function<Result<std::unique_ptr<Database>>(bool damaged)> open;
  Journal::Options chain;
  Duration seal_every = std::chrono::minutes(10);
  std::int64_t seal_entries = 1000;
  // Nothing: somebody else prunes.
  std::optional<Journal::Retention> retention;
  // Called from the writing thread after each seal.
  std::function<void(const PublishedHead& head)> on_seal;
  // How much may wait while nothing can be written.
  std::size_t most_items = 20000;
  std::size_t most_bytes = std::size_t{64} << 20;
};

// How it goes with writing.
struct JournalState {
  std::string chain;
  Head head;
  std::uint64_t decisions = 0;  // written since the start
  std::uint64_t outcomes = 0;
  std::uint64_t backlog = 0;  // waiting to be written
  std::uint64_t dropped = 0;
  std::string problem;  // why nothing can be written now
  // Of which chain, found as it was opened, and why: it was left as it is, and another begun.
  std::string distrusted;
  std::optional<Timestamp> last_write;
};

// Writes entries in the order in which they are put, in batches, on a thread of its own. While the
// database cannot take them they wait, so many; what comes beyond is dropped, and an entry says how
// many once it can again.
class JournalWriter {
 public:
  struct Item {
    Draft draft;
    std::shared_ptr<const KnownWriter::Written> known;
    // Of a decision: filled in as it is written. Of an outcome: the decision's.
    std::shared_ptr<Ticket> ticket;
    std::optional<v1::RecordedOutcome> outcome;  // becomes the payload
    std::size_t bytes = 0;                       // set by Put()
  };
  // Decisions of former processes that have no outcome, by the pod's uid.
  using Restored = std::vector<std::pair<std::string, OpenDecision>>;

  explicit JournalWriter(JournalOptions options);
  // Writes what waits, as long as the database takes it, and a seal.
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  // False where it was dropped.
  bool Put(Item item);
  // So many were lost before they could be put.
  void CountDropped(std::uint64_t number);
  // Once, as soon as they were read.
  std::optional<Restored> TakeRestored();
  [[nodiscard]] JournalState State() const;
  // Until nothing waits, or `most` has passed: then false.
  bool WaitUntilWritten(Duration most);

 private:
  struct Batch {
    std::vector<Draft> drafts;
    std::vector<std::shared_ptr<const Content>> contents;
    std::size_t items = 0;
    std::uint64_t gap = 0;
  };
  void Run();
  Status WriteBatch(Timestamp now);
  Batch Compose(Timestamp now);
  void DropFirst();
  void Finish(const Batch& batch, Timestamp now);
  Status Open(Timestamp now);
  Status Restore(Timestamp now);
  Status Maintain(Timestamp now);
  Status Seal(Timestamp now);
  // Tells whoever keeps heads of the seal that was just written.
  void Publish();
  void Report(const Status& status);

  const JournalOptions options_;
  mutable Mutex mutex_;
  ConditionVariable wake_;
  ConditionVariable written_;
  std::deque<Item> backlog_ SOBRE_GUARDED_BY(mutex_);
  std::size_t bytes_ SOBRE_GUARDED_BY(mutex_) = 0;
  // Of the item put last: its contents are counted in bytes_ already.
  std::shared_ptr<const KnownWriter::Written> last_known_ SOBRE_GUARDED_BY(mutex_);
  std::uint64_t unsaid_ SOBRE_GUARDED_BY(mutex_) = 0;  // dropped, and in no entry yet
  Timestamp unsaid_from_ SOBRE_GUARDED_BY(mutex_);
  std::optional<Restored> restored_ SOBRE_GUARDED_BY(mutex_);
  JournalState state_ SOBRE_GUARDED_BY(mutex_);
  bool stop_ SOBRE_GUARDED_BY(mutex_) = false;
  // Of the thread alone.
  std::unique_ptr<Database> database_;
  std::optional<Journal> journal_;
  ContentMarks stored_;
  struct Restoring {
    std::int64_t before = 0;  // entries from here on were read; 0: none
    std::unordered_set<std::string> pods;
    Restored found;
  };
  std::optional<Restoring> restoring_ = Restoring();  // nothing once it is done
  bool damaged_ = false;
  std::size_t most_in_batch_ = 0;  // 1 after a batch that cannot be written as it is
  Timestamp last_seal_;
  Timestamp next_look_;
  Timestamp next_prune_;
  std::thread thread_;  // last: it uses all above
};

}  // namespace sobre
