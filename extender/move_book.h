#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "audit/advice.h"
#include "extender/world.h"
#include "scoring/moves.h"
#include "scoring/rightsizing.h"

namespace sobre {

// What became of the attempt to evict a pod.
enum class EvictionOutcome {
  kEvicted,
  kRefused,  // by a disruption budget
  kGone,     // it was not there any more, or was another one
  kFailed,
};
inline constexpr std::size_t kEvictionOutcomeCount = 4;
std::string_view ToString(EvictionOutcome outcome);
// Where the pod that stands in for an evicted one came to run.
enum class Replacement { kThere, kElsewhere, kMissing };
inline constexpr std::size_t kReplacementCount = 3;
std::string_view ToString(Replacement replacement);

// The life of advice: opened when it first holds, accepted or dismissed by the owner's annotation
// (or left open), done when the workload's pods are where they were advised to be, measured some
// time later; expired when it holds no longer before anybody followed it. And which pod to evict
// now, if any.
//
// The rule against flapping: a pod is evicted only if it has run for `min_time_between`, if its
// workload was not moved anywhere else for as long, and if the advice holds at this moment and at
// the mean of the last day. So a workload is moved at most once in `min_time_between`, never there
// and back within it, and by a pattern that repeats daily not at all. All time is a parameter. For
// one thread.
class MoveBook {
 public:
  struct Options {
    Duration every = std::chrono::minutes(1);  // between two looks
    Duration measure = std::chrono::hours(1);  // so long before and after a move is compared
    bool evict = false;
    std::int64_t max_evictions_per_hour = 6;
    Duration min_time_between = std::chrono::hours(6);
    Duration replaced_within = std::chrono::minutes(15);
    // So long a reservation is watched before anything can be said of it.
    Duration watch = std::chrono::hours(24);
    Duration keep = std::chrono::hours(24 * 30);  // what is closed
    // Of that, so much as nothing came of: where workloads come and go it would be endless.
    std::size_t most_expired = 5000;
  };
  // The first eviction waits from `start` for as long as one waits for the one before.
  MoveBook(Options options, Timestamp start)
      : options_(options), start_(start), last_eviction_(start) {}

  // What was kept elsewhere, in place of what is here; evictions then wait as from a start.
  void Restore(std::vector<Advice> advice, Timestamp now);
  // Takes a look: what holds now, and where pods run.
  void Update(const WorldState& state, std::span<const MoveAdvice> moves,
              std::span<const RightsizingAdvice> reservations, Timestamp now);

  struct Eviction {
    std::string id;  // of the advice
    std::string namespace_name;
    std::string workload;
    std::string pod;
    std::string uid;
    std::string to;
  };
  // Of the last look; nothing while one must wait. Notes why the others wait.
  std::optional<Eviction> NextEviction(Timestamp now);
  void Tried(const Eviction& eviction, EvictionOutcome outcome, const std::string& problem,
             Timestamp now);

  // All that is kept, the oldest first.
  [[nodiscard]] const std::vector<Advice>& all() const { return advice_; }
  // What changed since the last call, to be kept elsewhere.
  std::vector<Advice> TakeChanged();
  // That could not be kept: it is told again.
  void GiveBack(const std::vector<Advice>& changed) {
    for (const Advice& advice : changed) Mark(advice);
  }
  // Somebody else may have evicted until now: waits as from a start.
  void BeginEvicting(Timestamp now) { last_eviction_ = std::max(last_eviction_, now); }
  // What owners should hear, each once.
  std::vector<PodEvent> TakeEvents();
  [[nodiscard]] const std::array<std::uint64_t, kEvictionOutcomeCount>& tried() const {
    return tried_;
  }
  [[nodiscard]] const std::array<std::uint64_t, kReplacementCount>& replaced() const {
    return replaced_;
  }

 private:
  using Pods = std::vector<std::shared_ptr<const PodPlacement>>;
  struct Flight {
    Eviction eviction;
    Timestamp since;
    std::set<std::string> known;  // uids of the workload's pods before
  };
  struct Means {
    std::optional<double> eur;
    std::optional<double> grams;
  };

  void IndexPods(const WorldState& state);
  [[nodiscard]] const Pods& PodsOf(const Advice& advice) const;
  [[nodiscard]] Pods PodsIn(const Advice& advice, const std::string& place) const;
  // The one that is not closed; opened where there is none.
  Advice& Hold(AdviceKind kind, const std::string& namespace_name, const std::string& workload,
               const std::string& from, const std::string& to, Timestamp now, bool& is_new);
  void HoldMove(std::span<const MoveAdvice> group, Timestamp now);
  void HoldReservation(const WorldState& state, const RightsizingAdvice& found, Timestamp now);
  void Follow(Advice& advice, MoveWish wish, Timestamp now);
  void Go(Advice& advice, AdviceState state, std::string note, Timestamp now);
  void Advance(const WorldState& state, Advice& advice, Timestamp now);
  void AdvanceOpen(const WorldState& state, Advice& advice, Timestamp now);
  [[nodiscard]] static Means MeansOf(const WorldState& state, const Pods& pods);
  void LandFlights(Timestamp now);
  // Why no pod of it is evicted; empty: `pod` is.
  [[nodiscard]] std::string WhyNot(const Advice& advice, Timestamp now,
                                   std::shared_ptr<const PodPlacement>& pod) const;
  void Forget(Timestamp now);
  void Mark(const Advice& advice) { changed_.insert({advice.id, advice.opened}); }

  const Options options_;
  const Timestamp start_;
  std::vector<Advice> advice_;
  std::map<std::string, Pods, std::less<>> pods_;           // by "namespace/workload"
  std::map<std::string, std::string> place_of_;             // by node
  std::map<std::string, std::vector<MoveAdvice>> offered_;  // by id, of the last look
  std::vector<Flight> flights_;
  std::map<std::string, Timestamp> blocked_;  // until then, by "namespace/workload"
  Timestamp last_eviction_;
  std::optional<Timestamp> last_look_;
  std::set<std::pair<std::string, Timestamp>> changed_;
  std::vector<PodEvent> events_;
  std::array<std::uint64_t, kEvictionOutcomeCount> tried_{};
  std::array<std::uint64_t, kReplacementCount> replaced_{};
};

}  // namespace sobre
