#include "extender/cluster_scorer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/background.h"
#include "base/log.h"
#include "extender/is_due.h"
#include "extender/metric_families.h"
#include "extender/servers_asked.h"

namespace sobre {
namespace {

// How long signals may take to arrive after the start.
constexpr Duration kPatience = std::chrono::minutes(2);
constexpr Duration kWhileNotReady = std::chrono::seconds(1);

}  // namespace

std::string_view ToString(ScoreWrite outcome) {
  switch (outcome) {
    case ScoreWrite::kWritten:
      return "written";
    case ScoreWrite::kRemoved:
      return "removed";
    case ScoreWrite::kFailed:
      break;
  }
  return "failed";
}

ClusterScorer::ClusterScorer(const World& world, const Config& config, std::optional<ApiAccess> hub)
    : world_(world),
      config_(config.clusters),
      servers_(config.prometheus.servers.size()),
      start_(Now()) {
  if (hub) hub_.emplace(*std::move(hub), config_.object);
  thread_ = std::thread([this] { Run(); });
}

ClusterScorer::~ClusterScorer() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

ClusterScoresStatus ClusterScorer::status() const {
  const MutexLock lock(mutex_);
  return status_;
}

// A problem is logged when it comes and when it changes.
void ClusterScorer::Count(const std::string& cluster, ScoreWrite success, const Status& status) {
  ++now_.writes[static_cast<std::size_t>(status.ok() ? success : ScoreWrite::kFailed)];
  std::string& problem = problems_[cluster];
  if (!status.ok() && status.message() != problem) {
    Log(LogLevel::kWarning, "scores of a cluster are not written",
        {{"cluster", cluster}, {"error", status.message()}});
  }
  problem = status.message();
}

void ClusterScorer::WriteAll(Timestamp now) {
  const auto ours = hub_->Ours();
  if (!ours.ok()) {
    Count("", ScoreWrite::kWritten, ours.status());
    return;
  }
  problems_.erase("");
  for (const ClusterScore& cluster : now_.clusters) {
    const bool exists = std::any_of(ours->begin(), ours->end(), [&](const auto& object) {
      return hub_->IsOf(object, cluster.cluster);
    });
    const Timestamp until = now + config_.valid_for;
    const Status status = hub_->Write(cluster.cluster, exists, cluster.scores, until);
    Count(cluster.cluster, ScoreWrite::kWritten, status);
    if (status.ok()) now_.valid_until[cluster.cluster] = until;
  }
  for (const PlacementScores::Object& object : *ours) {
    const bool wanted =
        std::any_of(now_.clusters.begin(), now_.clusters.end(),
                    [&](const auto& cluster) { return hub_->IsOf(object, cluster.cluster); });
    if (!wanted) Count(object.cluster, ScoreWrite::kRemoved, hub_->Remove(object));
  }
}

bool ClusterScorer::Tick(Timestamp now) {
  const auto state = world_.Read();
  // The hub should not follow the catalogue for want of signals that are still on their way.
  if (!state->ready || (!AllServersAsked(*state, servers_) && !IsDue(start_, kPatience, now)))
    return false;
  // Who waits for the Lease looks for it more often than at the world.
  if (IsDue(scored_, config_.every, now)) {
    now_.clusters = ScoreClusters(config_, *state);
    scored_ = now;
  }
  if (!hub_) return true;
  if (!world_.HoldsLease(now)) return false;
  WriteAll(now);
  return true;
}

void ClusterScorer::Run() {
  NameThread("clusters");
  StepBack();
  while (true) {
    const bool done = Tick(Now());
    MutexLock lock(mutex_);
    status_ = now_;
    if (wake_.WaitFor(lock, done ? config_.every : std::min(config_.every, kWhileNotReady),
                      [this]() SOBRE_REQUIRES(mutex_) { return stop_; }))
      return;
  }
}

std::string ClusterMetrics(const ClusterScoresStatus& status) {
  using prometheus::MetricType;
  MetricFamilies out;
  out.Begin("sobre_cluster_score",
            "Score of a managed cluster for the reference workload, -100 to 100, by objective.",
            MetricType::Gauge);
  for (const ClusterScore& cluster : status.clusters) {
    for (const auto& [name, value] : cluster.scores)
      out.Value(value, {{"managed_cluster", cluster.cluster}, {"objective", name}});
  }
  out.Begin("sobre_cluster_valid_until_timestamp_seconds",
            "Until when the hub may follow the scores that this replica wrote last; 0: none.",
            MetricType::Gauge);
  for (const ClusterScore& cluster : status.clusters) {
    const auto found = status.valid_until.find(cluster.cluster);
    const double seconds =
        found == status.valid_until.end()
            ? 0
            : std::chrono::duration<double>(found->second.time_since_epoch()).count();
    out.Value(seconds, {{"managed_cluster", cluster.cluster}});
  }
  out.Begin("sobre_cluster_writes_total",
            "Writes of clusters' scores to the hub, by outcome: written, removed, failed.",
            MetricType::Counter);
  for (std::size_t i = 0; i < kScoreWriteCount; ++i) {
    out.Value(static_cast<double>(status.writes[i]),
              {{"outcome", std::string(ToString(static_cast<ScoreWrite>(i)))}});
  }
  return out.Text();
}

}  // namespace sobre
