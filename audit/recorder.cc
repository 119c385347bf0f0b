#include "audit/recorder.h"

#include "base/background.h"

namespace sobre {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(5);
constexpr std::int64_t kMostQueuedBytes = 32 << 20;

constexpr Duration kBetweenAgings = std::chrono::seconds(1);

// About as much as a case takes on its way here, without its snapshot.
std::int64_t BytesOf(const DecisionCase& made) {
  constexpr std::size_t kReason = 100;
  return static_cast<std::int64_t>(
      made.decision.placed.size() * sizeof(Placed) +
      (made.decision.candidates.size() + made.decision.kinds.size()) * sizeof(Candidate) +
      made.refusals.size() * (sizeof(std::optional<Refusal>) + kReason));
}

}  // namespace

Recorder::Recorder(RecorderOptions options, Listener listener)
    : listener_(std::move(listener)),
      recording_(options.journal.has_value()),
      book_(options.extender_weight, [this](Closed closed) { Put(std::move(closed)); }) {
  if (options.journal) journal_ = std::make_unique<JournalWriter>(*std::move(options.journal));
  thread_ = std::thread([this] { Run(); });
}

Recorder::~Recorder() {
  stop_ = true;
  thread_.join();
  Case left;
  while (queue_.Pop(left)) left.reset();
  for (auto& spare : spare_) delete spare.load();
}

void GiveBack::operator()(DecisionCase* made) const {
  std::unique_ptr<DecisionCase> owned(made);
  // A snapshot is large, and may be old by the time that the case is used again.
  owned->snapshot.reset();
  // Texts by candidate: few pods have limits.
  owned->refusals.clear();
  owned->unknown.clear();
  if (recorder == nullptr) return;
  for (auto& spare : recorder->spare_) {
    DecisionCase* none = nullptr;
    if (!spare.compare_exchange_strong(none, made)) continue;
    // NOLINTNEXTLINE(bugprone-unused-return-value): the slot owns it now
    owned.release();
    return;
  }
}

Recorder::Case Recorder::Take() {
  for (auto& spare : spare_) {
    if (spare.load(std::memory_order_relaxed) == nullptr) continue;
    if (DecisionCase* used = spare.exchange(nullptr)) return {used, GiveBack{this}};
  }
  return {new DecisionCase(), GiveBack{this}};
}

void Recorder::Offer(Case made) {
  const std::int64_t bytes = BytesOf(*made);
  if (queued_bytes_.fetch_add(bytes) <= kMostQueuedBytes && queue_.Push(std::move(made))) return;
  queued_bytes_ -= bytes;
  ++lost_;
}

void Recorder::PodSeen(const std::string& uid, const std::string& node) {
  if (!recording_) return;
  const MutexLock lock(mutex_);
  events_.push_back({PodEvent::What::kSeen, uid, node});
}

void Recorder::PodGone(const std::string& uid) {
  if (!recording_) return;
  const MutexLock lock(mutex_);
  events_.push_back({PodEvent::What::kGone, uid, ""});
}

void Recorder::PodsListed() {
  if (!recording_) return;
  const MutexLock lock(mutex_);
  events_.push_back({PodEvent::What::kListed, "", ""});
}

void Recorder::Adopt(std::vector<std::pair<std::string, OpenDecision>> decisions) {
  const MutexLock lock(mutex_);
  for (auto& decision : decisions) adopted_.push_back(std::move(decision));
}

void Recorder::Put(Draft draft) {
  JournalWriter::Item item;
  item.draft = std::move(draft);
  if (journal_) journal_->Put(std::move(item));
}

RecorderState Recorder::State() const {
  RecorderState state;
  state.enabled = journal_ != nullptr;
  if (journal_) state.journal = journal_->State();
  state.outcomes = outcomes_;
  state.agreed = agreed_;
  state.open_decisions = open_;
  return state;
}

std::optional<MeanOfCandidates> Recorder::MeanFor(const std::string& uid) const {
  const MutexLock lock(mutex_);
  const auto found = means_.find(uid);
  if (found == means_.end()) return std::nullopt;
  return found->second;
}

bool Recorder::WaitUntilWritten(Duration most) {
  const std::uint64_t offered = queue_.pushed();
  const auto deadline = std::chrono::steady_clock::now() + most;
  while (taken_ < offered) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(kPause);
  }
  return !journal_ || journal_->WaitUntilWritten(most);
}

void Recorder::Run() {
  StepBack();
  NameThread("records-make");
  while (!stop_) {
    if (!RunOnce()) std::this_thread::sleep_for(kPause);
  }
  while (RunOnce()) {
  }
  journal_.reset();
}

// True if there was something to do.
bool Recorder::RunOnce() {
  std::deque<PodEvent> events;
  {
    const MutexLock lock(mutex_);
    events.swap(events_);
  }
  TakeRestored();
  TakeAdopted();
  bool any = !events.empty();
  // No further than they had come then, so that the rest is seen to as well.
  const std::uint64_t until = queue_.pushed();
  Case made;
  while (taken_ < until && queue_.Pop(made)) {
    any = true;
    queued_bytes_ -= BytesOf(*made);
    // Into a buffer of this thread: cases that go round stay small.
    made->decision.candidates.swap(candidates_);
    WriteOut(made->decision, made->decision.candidates);
    TakeCase(*made);
    made->decision.candidates.swap(candidates_);
    made.reset();
    ++taken_;
  }
  // A pod is bound after all calls about it: those were offered before we looked at the events.
  for (const PodEvent& event : events) TakeEvent(event);
  if (const std::uint64_t lost = lost_; journal_ && lost > said_lost_) {
    journal_->CountDropped(lost - said_lost_);
    said_lost_ = lost;
  }
  if (const Timestamp now = Now(); now >= next_aging_) {
    book_.Age(now);
    next_aging_ = now + kBetweenAgings;
  }
  open_ = book_.open();
  return any;
}

void Recorder::Describe(const std::shared_ptr<const Snapshot>& snapshot) {
  if (known_.snapshot == snapshot) return;
  known_ = sobre::Describe(snapshot);
  written_ = std::make_shared<const KnownWriter::Written>(known_writer_.Write(known_));
}

void Recorder::TakeCase(const DecisionCase& made) {
  if (!journal_) {
    listener_.decided(made, nullptr);
    return;
  }
  Describe(made.snapshot);
  v1::Record record = MakeRecord(made, known_);
  record.set_known_sha256(written_->hash);
  listener_.decided(made, &record);
  JournalWriter::Item item;
  item.draft.kind = EntryKind::kDecision;
  item.draft.time = made.answered;
  item.draft.pod_uid = ColumnText(made.request.pod.uid);
  item.draft.namespace_name = ColumnText(made.request.pod.namespace_name);
  item.draft.pod = ColumnText(made.request.pod.name);
  item.draft.payload = Compress(record.SerializeAsString());
  item.known = written_;
  item.ticket = std::make_shared<Ticket>();
  OpenDecision open = OpenOf(made, record, item.ticket);
  if (!journal_->Put(std::move(item))) return;
  book_.Decided(made.request.pod.uid, std::move(open));
}

void Recorder::TakeRestored() {
  if (!journal_ || restored_) return;
  auto restored = journal_->TakeRestored();
  if (!restored) return;
  restored_ = true;
  for (auto& [uid, decision] : *restored) book_.Restore(uid, std::move(decision));
  if (pods_listed_) book_.AllKnown();
}

void Recorder::TakeAdopted() {
  // Until all pods are known, none can be said to be gone.
  if (!journal_ || !pods_listed_) return;
  std::vector<std::pair<std::string, OpenDecision>> adopted;
  {
    const MutexLock lock(mutex_);
    adopted.swap(adopted_);
  }
  if (adopted.empty()) return;
  for (auto& [uid, decision] : adopted) book_.Restore(uid, std::move(decision));
  book_.AllKnown();
}

void Recorder::TakeEvent(const PodEvent& event) {
  switch (event.what) {
    case PodEvent::What::kSeen:
      book_.Seen(event.uid, event.node);
      break;
    case PodEvent::What::kGone: {
      book_.Gone(event.uid);
      const MutexLock lock(mutex_);
      means_.erase(event.uid);
      break;
    }
    case PodEvent::What::kListed:
      pods_listed_ = true;
      if (restored_) book_.AllKnown();
  }
}

void Recorder::Put(Closed closed) {
  ++outcomes_;
  if (closed.agreed) ++agreed_;
  if (listener_.closed) listener_.closed(closed);
  if (!closed.outcome.node().empty()) {
    const MutexLock lock(mutex_);
    means_[closed.outcome.pod_uid()] = MeanOf(closed.outcome.mean());
  }
  JournalWriter::Item item;
  item.draft.kind = EntryKind::kOutcome;
  item.draft.time = Now();
  item.draft.pod_uid = ColumnText(closed.outcome.pod_uid());
  item.draft.namespace_name = ColumnText(closed.outcome.namespace_());
  item.draft.pod = ColumnText(closed.outcome.pod());
  item.ticket = std::move(closed.ticket);
  item.outcome = std::move(closed.outcome);
  journal_->Put(std::move(item));
}

}  // namespace sobre
