#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "extender/budgets.h"
#include "extender/usage_accumulator.h"
#include "extender/usage_sink.h"
#include "extender/usage_totals.h"
#include "extender/world.h"

namespace sobre {

// So many have series of their own, whatever the number of pods; see TotalsByName.
inline constexpr std::size_t kOwnNamespaces = 50;
inline constexpr std::size_t kOwnWorkloads = 100;
inline constexpr std::size_t kOwnModels = 50;

// What accounting tells of itself; counters are of this process.
struct AccountingStatus {
  bool holds = false;                // this replica accounts
  bool tells = false;                // and what it accounts for is counted below
  std::optional<Timestamp> through;  // up to here usage is in the database
  Duration gap{0};
  std::uint64_t dropped = 0;
  // What this replica wrote, and no other tells.
  TotalsByName by_namespace{kOwnNamespaces};
  TotalsByName by_workload{kOwnWorkloads};  // "namespace/workload"
  TotalsByName by_model{kOwnModels};
  // What runs now; nothing where another replica tells it.
  std::optional<UsageAccumulator::Running> running;
  std::vector<BudgetReport> budgets;
  std::string problem;  // why the database cannot be used; empty: it can
};

// Which replica accounts, and what goes to the database when. One holds accounting, and moves its
// end on with all it adds; another takes over where that end has not moved for a while, from there.
// The clock is a parameter. For one thread.
class Bookkeeper {
 public:
  struct Options {
    std::string holder;       // unlike any other process's
    std::size_t servers = 0;  // so many must have told all they know, or time must have passed
    Duration flush = std::chrono::seconds(60);
    Duration take_over = std::chrono::minutes(3);
    UsageAccumulator::Options accumulator;
    std::vector<Budget> budgets;
    // Where replicas share no database each accounts for everything: whether this is the one that
    // tells of it, so that the sum over replicas is right. Nothing: who accounts tells.
    std::function<bool()> leads;
  };
  Bookkeeper(Options options, std::unique_ptr<UsageSink> sink, Counterfactuals counterfactuals);

  // Adds up in memory, where this replica accounts. Quick.
  void Tick(const WorldState& state, Timestamp now);
  // Talks to the database, if it is time to. What cannot be written is kept and tried again.
  void Sync(Timestamp now);
  // Writes what there is, and lets go, so that another need not wait.
  void Finish(Timestamp now);
  [[nodiscard]] const AccountingStatus& status() const { return status_; }

 private:
  void UpdateTells();
  [[nodiscard]] bool IsComplete(const WorldState& state, Timestamp now);
  void TryToHold(Timestamp now);
  // False where it could not be written.
  bool Flush(Timestamp now);
  bool SendUnsent();
  void Count(const UsageAccumulator::Batch& batch);
  void JudgeTheBudgets(Timestamp now);
  // True for success; remembers, and says once, what failed.
  bool Worked(const Status& status);

  const Options options_;
  const std::unique_ptr<UsageSink> sink_;
  UsageAccumulator accumulator_;
  AccountingStatus status_;
  bool complete_ = false;
  std::optional<Timestamp> incomplete_since_;
  // Who was seen to account, and since when at the same place.
  std::optional<UsageSink::Accounted> seen_;
  Timestamp seen_since_;
  // Handed to the database, which has not said that it has it.
  std::optional<UsageAccumulator::Batch> unsent_;
  std::optional<Timestamp> flushed_;
  std::optional<Timestamp> folded_;
  std::optional<Timestamp> judged_;
  std::vector<DailyUse> use_;
  std::optional<Timestamp> use_through_;
  BudgetAlarm alarm_;
};

// A bookkeeper on a thread of its own, over a world. Thread-safe.
class Accountant {
 public:
  // `world` must outlive it.
  Accountant(const World& world, Duration every, Bookkeeper::Options options,
             std::unique_ptr<UsageSink> sink, Counterfactuals counterfactuals = nullptr);
  // Writes what there is; waits for the database as long as that itself does.
  ~Accountant();
  Accountant(const Accountant&) = delete;
  Accountant& operator=(const Accountant&) = delete;
  [[nodiscard]] AccountingStatus status() const;
  // In Prometheus' text format.
  [[nodiscard]] std::string Metrics() const;

 private:
  void Run();
  void Publish();

  const World& world_;
  const Duration every_;
  const std::function<bool()> leads_;  // as the bookkeeper's
  Bookkeeper bookkeeper_;              // of the thread alone
  mutable Mutex mutex_;
  ConditionVariable wake_;
  bool stop_ SOBRE_GUARDED_BY(mutex_) = false;
  AccountingStatus status_ SOBRE_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses all above
};

// The metrics of accounting, in Prometheus' text format; classes by the catalogue's thresholds.
std::string AccountingMetrics(const AccountingStatus& status, const Catalog& catalog);

}  // namespace sobre
