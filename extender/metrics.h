#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audit/recorder.h"
#include "audit/shipper.h"
#include "base/time.h"
#include "extender/certificates.h"
#include "extender/world.h"
#include "net/http_server.h"
#include "net/server_tls.h"
#include "scoring/decide.h"

namespace sobre {

// How it goes with records.
struct RecordsState {
  RecorderState recorder;
  std::optional<ShipperState> shipper;  // nothing where no database is shared
};

class MetricFamilies;

enum class Verb { kFilter, kPrioritize, kPreempt };
inline constexpr std::array<Verb, 3> kVerbs = {Verb::kFilter, Verb::kPrioritize, Verb::kPreempt};
std::string_view ToString(Verb verb);

// What the service counts of itself. Counting is a few relaxed atomic additions: no lock, any
// thread.
class Metrics {
 public:
  void CountRequest(Verb verb, bool ok, std::chrono::nanoseconds took);
  void CountProblems(std::size_t annotations);
  void CountRefusals(std::size_t nodes);
  // Of a pod whose limits nobody asks about.
  void CountUnaskedLimits();
  void CountDecision(std::size_t candidates, std::optional<Objective> ranked_by,
                     IntensityBasis intensity);
  // Where the certificates in use are looked up at each Serialize(); call it before any of those.
  void WatchCertificates(std::function<std::vector<CertificateInUse>()> certificates) {
    certificates_ = std::move(certificates);
  }
  // The same of the extender port's TLS, which must outlive this.
  void WatchTls(const ServerTls& tls) { tls_ = &tls; }

  // Whose connections are counted; the same. They must outlive the last Serialize().
  void WatchServers(std::vector<const HttpServer*> servers) { servers_ = std::move(servers); }

  struct Decisions {
    std::uint64_t made = 0;
    std::uint64_t unranked = 0;
    std::uint64_t annotation_problems = 0;
    std::uint64_t refused_nodes = 0;
  };
  [[nodiscard]] Decisions decisions() const;

  // In Prometheus' text format, with what the state says of nodes and signals.
  [[nodiscard]] std::string Serialize(const WorldState& state, Timestamp now,
                                      const RecordsState& records) const;

 private:
  void AddRequests(MetricFamilies& out) const;
  void AddDecisions(MetricFamilies& out) const;

  // kube-scheduler's time-out for us is 2 s in the profile that we ship.
  static constexpr std::array<double, 15> kBuckets = {
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5};
  // One more for decisions that nothing could be ranked by.
  static constexpr std::size_t kRankings = 5;
  static constexpr std::size_t kIntensities = 3;
  struct PerVerb {
    std::atomic<std::uint64_t> served = 0;
    std::atomic<std::uint64_t> refused = 0;
    std::array<std::atomic<std::uint64_t>, kBuckets.size() + 1> buckets{};
    std::atomic<std::uint64_t> nanoseconds = 0;
  };
  std::array<PerVerb, kVerbs.size()> verbs_;
  std::array<std::array<std::atomic<std::uint64_t>, kIntensities>, kRankings> decisions_{};
  std::atomic<std::uint64_t> problems_ = 0;
  std::atomic<std::uint64_t> refusals_ = 0;
  std::atomic<std::uint64_t> unasked_limits_ = 0;
  std::atomic<std::uint64_t> candidates_ = 0;
  std::function<std::vector<CertificateInUse>()> certificates_;
  const ServerTls* tls_ = nullptr;  // null: plain HTTP
  std::vector<const HttpServer*> servers_;
};

}  // namespace sobre
