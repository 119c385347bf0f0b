#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "audit/journal.h"
#include "audit/outcomes.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/time.h"

namespace sobre {

struct ShipperOptions {
  // Where this replica writes, and the database that all replicas share.
  std::function<Result<std::unique_ptr<Database>>()> open_local;
  std::function<Result<std::unique_ptr<Database>>()> open_shared;
  Duration keep = std::chrono::hours(24 * 400);
  // What has arrived stays on the own disk for so long: a restart finds open decisions there.
  Duration keep_local = std::chrono::hours(48);
  Duration every = std::chrono::milliseconds(500);
  // How long a replica may say nothing before others look after its decisions.
  Duration silent = std::chrono::minutes(3);
  // Of the key that signs the own chain's seals; empty: they are not signed.
  std::string public_key;
  // Decisions of replicas that are gone, to hear what became of their pods.
  std::function<void(std::vector<std::pair<std::string, OpenDecision>>)> adopt;
  // To be written into the own chain.
  std::function<void(Draft)> put;
};

struct ShipperState {
  std::uint64_t shipped = 0;  // entries, since the start
  std::string problem;        // why nothing can be shipped now
  std::optional<Timestamp> last_contact;
};

// Copies a replica's chain from its own disk to the database that all share, in order, as often as
// it takes, and trims what has arrived. Nothing is lost while the shared database is away, as long
// as the disk has room. Chains that were given up, and lie on the disk beside it, are copied too,
// and forgotten in the shared database as those of replicas that are gone.
class Shipper {
 public:
  explicit Shipper(ShipperOptions options);
  // Tries once more to ship everything.
  ~Shipper();
  Shipper(const Shipper&) = delete;
  Shipper& operator=(const Shipper&) = delete;
  [[nodiscard]] ShipperState State() const;
  // From now on neither `adopt` nor `put` is called.
  void Detach();

 private:
  void Run();
  Status ShipAll(Timestamp now);
  Status Ship(const std::string& chain, Timestamp now);
  Result<std::int64_t> ShipSome(const std::string& chain, Timestamp now);
  Status Arrive(const std::string& chain);
  Status StillThere(const std::string& chain, std::int64_t arrived);
  Result<std::vector<Content>> ContentsOf(const std::vector<Entry>& entries, Timestamp now);
  Status Trim(const std::string& chain, Timestamp now);
  Status Maintain(Timestamp now);
  Status AskToPrune(const std::string& chain, Timestamp now);
  Status Prune(const std::string& chain, const Entry& entry);
  Result<bool> IsSealed(const Entry& pruning);
  // What to do about a chain that cannot be copied.
  [[nodiscard]] std::string Advice(const std::string& chain) const;
  void PutPruning(std::int64_t first_seq, Timestamp now, const char* reason);
  Status DeleteBefore(const std::string& chain, std::int64_t first_seq);
  Status DeletePruned();
  Status ForgetDeadChains(Timestamp now);
  Status Adopt(const std::string& chain, Timestamp now);

  const ShipperOptions options_;
  mutable Mutex mutex_;
  ConditionVariable wake_;
  ShipperState state_ SOBRE_GUARDED_BY(mutex_);
  bool stop_ SOBRE_GUARDED_BY(mutex_) = false;
  Mutex calls_;  // held while a callback runs
  bool attached_ SOBRE_GUARDED_BY(calls_) = true;
  // Of the thread alone.
  std::unique_ptr<Database> local_;
  std::unique_ptr<Database> shared_;
  std::unordered_map<std::string, std::int64_t> arrived_;  // last entry that is shared, by chain
  ContentMarks marked_;                                    // contents that are shared
  std::string own_;                                        // the chain that is written on
  std::set<std::string> given_up_;                         // that were, and cannot be copied
  std::int64_t asked_to_prune_ = 0;
  Timestamp next_maintenance_;
  Timestamp next_pruning_;
  Timestamp next_trim_;
  std::thread thread_;  // last: it uses all above
};

}  // namespace sobre
