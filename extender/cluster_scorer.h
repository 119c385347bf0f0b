#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "extender/cluster_scores.h"
#include "k8s/placement_scores.h"

namespace sobre {

enum class ScoreWrite { kWritten, kRemoved, kFailed };
inline constexpr std::size_t kScoreWriteCount = 3;
std::string_view ToString(ScoreWrite outcome);

// What is known of managed clusters, to be told.
struct ClusterScoresStatus {
  std::vector<ClusterScore> clusters;
  // By cluster: until when the hub may follow what this replica wrote.
  std::map<std::string, Timestamp> valid_until;
  std::array<std::uint64_t, kScoreWriteCount> writes{};
};

// Scores the configuration's clusters now and then and, while this replica surely holds the Lease,
// writes them to the hub, from a thread of its own. Who stops leaves them to expire. Thread-safe.
class ClusterScorer {
 public:
  // `world` must outlive it. Without `hub` nothing is written.
  ClusterScorer(const World& world, const Config& config, std::optional<ApiAccess> hub);
  ~ClusterScorer();
  ClusterScorer(const ClusterScorer&) = delete;
  ClusterScorer& operator=(const ClusterScorer&) = delete;
  [[nodiscard]] ClusterScoresStatus status() const;

 private:
  void Run();
  bool Tick(Timestamp now);
  void WriteAll(Timestamp now);
  void Count(const std::string& cluster, ScoreWrite success, const Status& status);

  const World& world_;
  const Config::Clusters config_;
  const std::size_t servers_;
  const Timestamp start_;
  // Of the thread alone.
  std::optional<PlacementScores> hub_;
  ClusterScoresStatus now_;
  std::optional<Timestamp> scored_;
  std::map<std::string, std::string> problems_;  // by cluster, as they were logged
  mutable Mutex mutex_;
  ConditionVariable wake_;
  bool stop_ SOBRE_GUARDED_BY(mutex_) = false;
  ClusterScoresStatus status_ SOBRE_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses all above
};

// In Prometheus' text format.
std::string ClusterMetrics(const ClusterScoresStatus& status);

}  // namespace sobre
