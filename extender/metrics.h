#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "audit/recorder.h"
#include "audit/shipper.h"
#include "base/time.h"
#include "extender/world.h"

namespace sobre {

// How it goes with records.
struct RecordsState {
  RecorderState recorder;
  std::optional<ShipperState> shipper;  // nothing where no database is shared
};

enum class Verb { kFilter, kPrioritize };
inline constexpr std::size_t kVerbCount = 2;
std::string_view ToString(Verb verb);

// What the service counts of itself. Counting is a few relaxed atomic additions: no lock, any
// thread.
class Metrics {
 public:
  void CountRequest(Verb verb, bool ok, std::chrono::nanoseconds took);
  void CountProblems(std::size_t annotations);
  void CountRefusals(std::size_t nodes);
  void CountDecision(std::size_t candidates, bool ranked);

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
  static constexpr std::array<double, 12> kBuckets = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                                      0.01,   0.025,   0.05,   0.1,   0.5,    2.5};
  struct PerVerb {
    std::atomic<std::uint64_t> served = 0;
    std::atomic<std::uint64_t> refused = 0;
    std::array<std::atomic<std::uint64_t>, kBuckets.size() + 1> buckets{};
    std::atomic<std::uint64_t> nanoseconds = 0;
  };
  std::array<PerVerb, kVerbCount> verbs_;
  std::atomic<std::uint64_t> decisions_ = 0;
  std::atomic<std::uint64_t> unranked_ = 0;
  std::atomic<std::uint64_t> problems_ = 0;
  std::atomic<std::uint64_t> refusals_ = 0;
  std::atomic<std::uint64_t> candidates_ = 0;
};

}  // namespace sobre
