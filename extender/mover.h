#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "extender/config.h"
#include "extender/move_book.h"
#include "extender/usage_sink.h"
#include "k8s/api_client.h"

namespace sobre {

// What is known of advice, to be told.
struct MovesStatus {
  std::vector<Advice> advice;  // the oldest first
  bool tells = false;          // of the replicas, this one counts it in metrics
  std::array<std::uint64_t, kEvictionOutcomeCount> tried{};
  std::array<std::uint64_t, kReplacementCount> replaced{};
  std::string problem;  // why the database cannot be used; empty: it can, or there is none
};

// Asks the API server to evict a pod, if it still has that uid. Disruption budgets are its
// business.
EvictionOutcome Evict(ApiClient& api, const MoveBook::Eviction& eviction, std::string& problem);

// Advice in the making: looks at the world now and then, keeps the book, tells owners, and, where
// it may, evicts. The clock is a parameter. For one thread.
class MoveAdviser {
 public:
  // Tries to evict; nothing: this process must not.
  using Evictor = std::function<EvictionOutcome(const MoveBook::Eviction&, std::string& problem)>;
  // `open` may be nothing: then what is advised lives as long as the process.
  MoveAdviser(const Config& config, DatabaseOpener open, Evictor evict, Timestamp start);

  // `leads`: of the replicas this one tells and keeps; `holds`: it surely is the only one, and may
  // act. False: signals are on their way still, and nothing was looked at.
  bool Tick(World& world, bool leads, bool holds, Timestamp now);
  [[nodiscard]] const MovesStatus& status() const { return status_; }

 private:
  [[nodiscard]] bool IsComplete(const WorldState& state, Timestamp now) const;
  Status Open();
  Status Load(Timestamp now);
  void Keep(Timestamp now);
  void Worked(const Status& status);
  void Tell(World& world, bool leads);

  const Config config_;
  const DatabaseOpener open_;
  const Evictor evict_;
  const Timestamp start_;
  const bool shared_;  // with other replicas
  MoveSettings settings_;
  std::unique_ptr<Database> database_;
  PlaceHistory history_;
  UsePeaks peaks_;
  MoveBook book_;
  std::vector<PodEvent> untold_;  // while nobody surely leads
  bool loaded_ = false;
  bool held_ = false;  // at the last look
  std::optional<Timestamp> forgot_;
  MovesStatus status_;
};

// An adviser on a thread of its own, over a world. Thread-safe.
class Mover {
 public:
  // `world` must outlive it. Without `access` there is no cluster to act on.
  Mover(World& world, const Config& config, DatabaseOpener open, std::optional<ApiAccess> access);
  ~Mover();
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;
  [[nodiscard]] MovesStatus status() const;

 private:
  void Run();

  World& world_;
  const Duration every_;
  std::unique_ptr<ApiClient> api_;
  MoveAdviser adviser_;  // of the thread alone
  mutable Mutex mutex_;
  ConditionVariable wake_;
  bool stop_ SOBRE_GUARDED_BY(mutex_) = false;
  MovesStatus status_ SOBRE_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses all above
};

// In Prometheus' text format.
std::string MovesMetrics(const MovesStatus& status);

}  // namespace sobre
