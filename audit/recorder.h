#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "audit/journal_writer.h"
#include "audit/outcomes.h"
#include "audit/record.h"
#include "base/bounded_queue.h"
#include "base/mutex.h"

namespace sobre {

struct RecorderOptions {
  // Nothing: decisions are not kept.
  std::optional<JournalOptions> journal;
  // By how much kube-scheduler multiplies our scores.
  std::int64_t extender_weight = 1;
};

// How it goes with recording.
struct RecorderState {
  bool enabled = false;
  JournalState journal;
  std::uint64_t outcomes = 0;
  std::uint64_t agreed = 0;  // of the outcomes: on the best node, or on one as good
  std::uint64_t open_decisions = 0;
};

class Recorder;

// Gives a case back to be used again.
struct GiveBack {
  Recorder* recorder = nullptr;
  void operator()(DecisionCase* made) const;
};

// Turns decisions, and what became of their pods, into a chain of entries, on threads of its own.
// What the decision path calls takes no lock, waits for nothing and touches no disk: what cannot be
// taken is dropped and counted, and the chain says how many.
class Recorder {
 public:
  using Case = std::unique_ptr<DecisionCase, GiveBack>;

  // Who is told, on the recording thread; must be quick.
  struct Listener {
    // Every decision, also where none is kept; with its record where it is.
    std::function<void(const DecisionCase&, const v1::Record*)> decided;
    // What became of one that is kept; may be empty.
    std::function<void(const Closed&)> closed;
  };
  Recorder(RecorderOptions options, Listener listener);
  // Writes what it has, and a seal.
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // For the decision path: Take() gives a case whose buffers were used before, where there is one;
  // one that is not offered goes back as it is destroyed.
  Case Take();
  void Offer(Case made);

  // For whoever watches pods: one is there, with the node that it was bound to, if any; one is
  // gone; all that are there were told. Any thread, quick.
  void PodSeen(const std::string& uid, const std::string& node);
  void PodGone(const std::string& uid);
  void PodsListed();

  // Decisions of replicas that are gone, by their pods' uids: what becomes of them is recorded
  // here.
  void Adopt(std::vector<std::pair<std::string, OpenDecision>> decisions);
  // An entry that is neither a decision nor an outcome.
  void Put(Draft draft);

  [[nodiscard]] RecorderState State() const;
  // Of a pod that runs and whose decision is known. Any thread.
  [[nodiscard]] std::optional<MeanOfCandidates> MeanFor(const std::string& uid) const;
  // Until all that was offered is written, or `most` has passed: then false.
  bool WaitUntilWritten(Duration most);

 private:
  friend struct GiveBack;
  struct PodEvent {
    enum class What { kSeen, kGone, kListed };
    What what;
    std::string uid;
    std::string node;
  };
  void Run();
  bool RunOnce();
  void TakeCase(const DecisionCase& made);
  void TakeEvent(const PodEvent& event);
  void TakeRestored();
  void TakeAdopted();
  void Put(Closed closed);
  void Describe(const std::shared_ptr<const Snapshot>& snapshot);

  static constexpr std::size_t kQueue = 2048;
  static constexpr std::size_t kSpare = 16;

  const Listener listener_;
  const bool recording_;  // else what becomes of pods is of no interest
  std::array<std::atomic<DecisionCase*>, kSpare> spare_{};
  BoundedQueue<Case, kQueue> queue_;  // after spare_, where what it holds goes
  std::atomic<std::int64_t> queued_bytes_ = 0;
  std::atomic<std::uint64_t> lost_ = 0;  // dropped before anybody could look at them
  std::atomic<std::uint64_t> taken_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> outcomes_ = 0;
  std::atomic<std::uint64_t> agreed_ = 0;
  std::atomic<std::uint64_t> open_ = 0;

  mutable Mutex mutex_;
  std::deque<PodEvent> events_ SOBRE_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, OpenDecision>> adopted_ SOBRE_GUARDED_BY(mutex_);
  std::unordered_map<std::string, MeanOfCandidates> means_ SOBRE_GUARDED_BY(mutex_);

  // Of the recording thread alone.
  std::vector<Candidate> candidates_;
  OutcomeBook book_;
  bool pods_listed_ = false;
  bool restored_ = false;
  std::uint64_t said_lost_ = 0;
  Timestamp next_aging_;
  Known known_;
  std::shared_ptr<const KnownWriter::Written> written_;
  KnownWriter known_writer_;

  std::unique_ptr<JournalWriter> journal_;  // nothing where none is kept
  std::thread thread_;                      // last: it uses all above
};

}  // namespace sobre
