#include "extender/accountant.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/background.h"
#include "base/log.h"
#include "extender/is_due.h"
#include "extender/servers_asked.h"

namespace sobre {
namespace {

// How long signals may take to arrive after the start.
constexpr Duration kPatience = std::chrono::minutes(2);
constexpr Duration kBetweenFolds = std::chrono::hours(1);
constexpr Duration kBetweenBudgets = std::chrono::minutes(5);

// A decision is on the record of the replica that made it: no other can compare.
UsageRows ComparedOnly(const UsageRows& rows) {
  return [&rows](const TakeUsage& take) {
    UsageRow one;
    rows([&](const UsageRow& row) {
      if (row.compared_g == 0 && row.compared_eur == 0) return;
      one.namespace_name = row.namespace_name;
      one.pod_hours = row.pod_hours;
      one.compared_g = row.compared_g;
      one.compared_eur = row.compared_eur;
      one.mean_candidate_g = row.mean_candidate_g;
      one.mean_candidate_eur = row.mean_candidate_eur;
      take(one);
    });
  };
}

}  // namespace

Bookkeeper::Bookkeeper(Options options, std::unique_ptr<UsageSink> sink,
                       Counterfactuals counterfactuals)
    : options_(std::move(options)),
      sink_(std::move(sink)),
      accumulator_(options_.accumulator, std::move(counterfactuals)) {}

// Rates seen before the signals would stand for all the time since the last replica stopped.
bool Bookkeeper::IsComplete(const WorldState& state, Timestamp now) {
  if (!state.ready) return false;
  if (AllServersAsked(state, options_.servers)) return true;
  if (!incomplete_since_) incomplete_since_ = now;
  return IsDue(incomplete_since_, kPatience, now);
}

void Bookkeeper::Tick(const WorldState& state, Timestamp now) {
  complete_ = complete_ || IsComplete(state, now);
  if (complete_ && status_.holds) accumulator_.Tick(state, now);
  UpdateTells();
  status_.running.reset();
  if (complete_ && status_.tells) status_.running = accumulator_.running();
  status_.gap = accumulator_.gap();
  status_.dropped = accumulator_.dropped();
}

void Bookkeeper::UpdateTells() {
  status_.tells = status_.holds && (!options_.leads || options_.leads());
}

void Bookkeeper::Sync(Timestamp now) {
  if (!complete_) return;
  if (!status_.holds) {
    TryToHold(now);
  } else if (unsent_ || IsDue(flushed_, options_.flush, now)) {
    if (Flush(now) && IsDue(folded_, kBetweenFolds, now)) {
      folded_ = now;
      Worked(sink_->Fold(now));
    }
  }
  UpdateTells();
  if (!options_.budgets.empty() && IsDue(judged_, kBetweenBudgets, now)) JudgeTheBudgets(now);
}

void Bookkeeper::Finish(Timestamp now) {
  if (!status_.holds || !Flush(now)) return;
  const UsageSink::Accounted own{options_.holder, *status_.through};
  if (Worked(sink_->TakeOver(own, "", now))) status_.holds = false;
}

void Bookkeeper::TryToHold(Timestamp now) {
  const Result<std::optional<UsageSink::Accounted>> last = sink_->LastAccounted();
  if (!Worked(last.status())) return;
  if (*last) status_.through = (*last)->through;
  const bool ours = *last && (*last)->holder == options_.holder;
  if (*last && !ours && !(*last)->holder.empty()) {
    const bool moved =
        !seen_ || seen_->holder != (*last)->holder || seen_->through != (*last)->through;
    seen_ = *last;
    if (moved) seen_since_ = now;
    // By its clock or by ours: they may differ.
    if (now - seen_->through < options_.take_over && !IsDue(seen_since_, options_.take_over, now))
      return;
  }
  if (!ours) {
    const Status status = sink_->TakeOver(*last, options_.holder, now);
    // Another was quicker.
    if (status.code() == ErrorCode::kGone || !Worked(status)) return;
  }
  status_.holds = true;
  status_.through = *last ? (*last)->through : now;
  accumulator_.Start(*status_.through);
  flushed_ = now;
  Log(LogLevel::kInfo, "accounting for usage", {{"from", FormatTime(*status_.through)}});
}

bool Bookkeeper::Flush(Timestamp now) {
  if (unsent_ && !SendUnsent()) return false;
  if (!status_.holds) return false;
  unsent_ = accumulator_.Take();
  flushed_ = now;
  return SendUnsent();
}

bool Bookkeeper::SendUnsent() {
  Status status;
  if (unsent_->from() != unsent_->to() || !unsent_->empty())
    status = sink_->Add(unsent_->Rows(), options_.holder, unsent_->from(), unsent_->to());
  if (status.code() == ErrorCode::kGone) {
    // Another replica accounts, or what was thought to have failed has not.
    const Result<std::optional<UsageSink::Accounted>> last = sink_->LastAccounted();
    if (!Worked(last.status())) return false;
    const bool added =
        *last && (*last)->holder == options_.holder && (*last)->through == unsent_->to();
    if (!added) {
      status_.holds = false;
      accumulator_.Start(unsent_->to());
      unsent_.reset();
      Log(LogLevel::kWarning, "another replica accounts for usage now");
      return false;
    }
  } else if (!Worked(status)) {
    return false;
  }
  // The database may have taken its time.
  UpdateTells();
  Count(*unsent_);
  status_.through = unsent_->to();
  unsent_.reset();
  return true;
}

void Bookkeeper::Count(const UsageAccumulator::Batch& batch) {
  const UsageRows rows = batch.Rows();
  if (!status_.tells) {
    status_.by_namespace.Add(
        ComparedOnly(rows), [](const UsageRow& row) { return row.namespace_name; }, batch.to());
    return;
  }
  status_.by_namespace.Add(
      rows, [](const UsageRow& row) { return row.namespace_name; }, batch.to());
  status_.by_workload.Add(
      rows, [](const UsageRow& row) { return row.namespace_name + "/" + row.workload; },
      batch.to());
  status_.by_model.Add(
      rows, [](const UsageRow& row) { return row.model; }, batch.to());
}

// What was accounted for before the last reading stays as it is.
void Bookkeeper::JudgeTheBudgets(Timestamp now) {
  if (!status_.through) return;
  const Timestamp through = *status_.through;
  Timestamp from = BudgetsReadFrom(through);
  std::erase_if(use_, [&](const DailyUse& use) { return use.day < from; });
  if (use_through_ && *use_through_ <= through)
    from = std::max<Timestamp>(from, std::chrono::floor<std::chrono::days>(*use_through_));
  const Result<std::vector<DailyUse>> use = sink_->UseByDay(from, through + std::chrono::hours(1));
  if (!Worked(use.status())) return;
  judged_ = now;
  use_through_ = through;
  std::erase_if(use_, [&](const DailyUse& old) { return old.day >= from; });
  use_.insert(use_.end(), use->begin(), use->end());
  status_.budgets = JudgeBudgets(options_.budgets, use_, through);
  for (const std::string& sentence : alarm_.NewSince(status_.budgets)) {
    if (status_.tells) Log(LogLevel::kWarning, "budget: " + sentence);
  }
}

bool Bookkeeper::Worked(const Status& status) {
  if (status.ok()) {
    if (!status_.problem.empty()) Log(LogLevel::kInfo, "accounting: the database works again");
    status_.problem.clear();
    return true;
  }
  if (status_.problem.empty()) {
    Log(LogLevel::kWarning, "accounting: the database does not work; trying again",
        {{"error", status.message()}});
  }
  status_.problem = status.message();
  return false;
}

Accountant::Accountant(const World& world, Duration every, Bookkeeper::Options options,
                       std::unique_ptr<UsageSink> sink, Counterfactuals counterfactuals)
    : world_(world),
      every_(every),
      leads_(options.leads),
      bookkeeper_(std::move(options), std::move(sink), std::move(counterfactuals)),
      thread_([this] { Run(); }) {}

Accountant::~Accountant() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

void Accountant::Run() {
  StepBack();
  NameThread("accountant");
  MutexLock lock(mutex_);
  while (!stop_) {
    lock.Unlock();
    // No state is held while the database is waited for.
    bookkeeper_.Tick(*world_.Read(), Now());
    bookkeeper_.Sync(Now());
    lock.Lock();
    status_ = bookkeeper_.status();
    wake_.WaitFor(lock, every_, [this]() SOBRE_REQUIRES(mutex_) { return stop_; });
  }
  lock.Unlock();
  bookkeeper_.Tick(*world_.Read(), Now());
  bookkeeper_.Finish(Now());
}

AccountingStatus Accountant::status() const {
  AccountingStatus status;
  {
    const MutexLock lock(mutex_);
    status = status_;
  }
  // Who leads may have changed since the last look.
  if (leads_ && !leads_()) {
    status.tells = false;
    status.running.reset();
  }
  return status;
}

std::string Accountant::Metrics() const {
  return AccountingMetrics(status(), world_.Read()->snapshot->catalog());
}

}  // namespace sobre
