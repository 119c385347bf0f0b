#pragma once

#include <array>
#include <compare>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scoring/snapshot.h"

namespace sobre {

// One currency against the euro, and what to add to a value's source; nothing without a rate.
std::optional<Published<double>> EurosFor(const std::vector<CurrencyRate>& rates,
                                          std::string_view currency);

// What list prices of its parts make of a node, where their currency can be converted.
std::optional<Sourced<EurosPerHour>> EstimateOf(const SnapshotInput& input, const NodeRecord& node);

// Which of the observations are believed, and about what: each is judged by age, plausibility and
// currency, joined to its node, place or workload, and held against others about the same. Part of
// building a snapshot; lives shorter than the input and the nodes. The order of the input does not
// matter.
class Evidence {
 public:
  // `find` gives a node's index by its name.
  Evidence(const SnapshotInput& input, const std::vector<NodeRecord>& nodes,
           const std::vector<std::string>& hardware_classes,
           std::function<std::int32_t(std::string_view)> find);

  [[nodiscard]] const Observation* OfNode(std::size_t index, Signal signal) const {
    return by_node_[index][Index(signal)];
  }
  [[nodiscard]] const Observation* OfPlace(const NodeRecord& node, Signal signal) const;
  // By how far ahead they are.
  [[nodiscard]] std::vector<const Observation*> ForecastsOf(const NodeRecord& node,
                                                            Signal signal) const;

  // What was measured of a workload ("namespace/workload") or a model, by one source or by the best
  // of all (`source` empty), on one hardware class.
  struct MeasuredKey {
    bool of_model;
    std::string name;
    std::string source;
    std::int32_t hardware_class;
    Signal signal;  // of the workload's, also where it is a model's
    auto operator<=>(const MeasuredKey&) const = default;
  };
  struct Measured {
    double mean;  // over the replicas that were measured
    std::string source;
    Timestamp time;  // of the newest
    Method method;
  };
  [[nodiscard]] const std::map<MeasuredKey, Measured>& measured() const { return measured_; }
  // Watts of pods, where something measures their nodes too.
  using ByPod = std::unordered_map<const PodPlacement*, const Observation*>;
  [[nodiscard]] const ByPod& of_pods() const { return by_pod_; }
  [[nodiscard]] const std::array<SignalTally, kSignalCount>& tallies() const { return tallies_; }

 private:
  struct Place {
    Signal signal;
    Duration ahead;
    std::string provider;
    std::string region;  // in lower case
    std::string zone;
    auto operator<=>(const Place&) const = default;
  };
  // What a pod does of a request: all of it, or the part that another pod's count has already.
  enum class Role { kWhole, kPrefill, kDecode };
  // Of one replica.
  struct Value {
    const Observation* seen;
    double value;
    Role role = Role::kWhole;
  };
  // All that one source says of one key.
  struct Held {
    const Observation* best = nullptr;
    std::vector<Value> values;
  };
  // What a value was joined to: a slot that holds the best.
  struct Joined {
    const Observation* seen;
    const Observation** slot;
  };
  struct Example {
    const Observation* seen = nullptr;
    std::string why;
    std::string hint;  // of another unit, where that may explain it
  };
  // The pods that share a model's requests, by "namespace/name".
  struct Sharing {
    std::set<std::string> prefill;
    std::set<std::string> decode;
    [[nodiscard]] bool is_split() const { return !prefill.empty() && !decode.empty(); }
  };
  // Of values about nodes that are not there.
  struct Strangers {
    std::set<std::string> names;  // the first few
    std::set<std::string> sources;
    std::set<std::string> clusters;
    std::int64_t count = 0;
  };

  void IndexNames();
  void Take(const Observation& seen);
  void SetAside(const Observation& seen, Fate fate, std::string why, std::string hint = "");
  // As it is not the best of its subject: the same source again, or another.
  void SetBehind(const Observation& seen, const Observation& best);
  void Use(const Observation& seen);
  bool TakeNode(const Observation& seen);
  bool TakePlace(const Observation& seen);
  bool TakeMeasurement(const Observation& seen);
  bool TakePod(const Observation& seen);
  // Takes out what `judge` gives a reason for; the next best of each slot takes its place.
  template <class Judge>
  bool DropIf(Fate fate, const Judge& judge);
  void DropAmbiguous();
  void DropContradictions();
  bool DropContradictionsOfTheBest();
  void DropWholesBelowParts();
  void DropPods();
  [[nodiscard]] std::string WhyNotPower(const Observation& seen, const NodeRecord& node) const;
  [[nodiscard]] std::string WhyNotPrice(const Observation& seen, const NodeRecord& node) const;
  [[nodiscard]] std::string BelowItsParts(const Observation& seen) const;
  [[nodiscard]] std::string WhyNotPod(const Observation& seen) const;
  void Compare();
  static Role RoleOf(const Observation& seen, const PodPlacement& pod);
  [[nodiscard]] double Mean(const MeasuredKey& key, const std::vector<Value>& used,
                            bool adds) const;
  void FinishMeasurements();
  void Describe();
  void DescribeStrangers(std::size_t signal);
  [[nodiscard]] std::string HintOf(const Example& example) const;
  [[nodiscard]] std::int32_t NodeOf(const std::string& name) const;
  [[nodiscard]] std::int32_t ClassIndex(const std::string& name) const;

  const SnapshotInput& input_;
  const std::vector<NodeRecord>& nodes_;
  const std::vector<std::string>& hardware_classes_;
  const std::function<std::int32_t(std::string_view)> find_;
  std::unordered_map<std::string_view, std::int32_t> addresses_;
  std::unordered_map<std::string, const PodPlacement*> pods_;  // by "namespace/name"
  std::unordered_map<std::string, std::int64_t> replicas_;     // by "namespace/workload"
  std::set<std::pair<std::string, std::string>> regions_;
  std::set<std::string> zones_;
  std::vector<std::array<const Observation*, kSignalCount>> by_node_;
  std::map<Place, const Observation*> by_place_;
  ByPod by_pod_;
  std::map<MeasuredKey, Held> held_;
  std::map<std::string, Sharing> sharing_;  // by model
  std::vector<Joined> joined_;
  std::map<MeasuredKey, Measured> measured_;
  std::array<SignalTally, kSignalCount> tallies_;
  std::array<bool, kSignalCount> strictly_unmatched_{};  // where somebody's own query names nothing
  std::array<std::array<Example, kFateCount>, kSignalCount> examples_;
  std::map<Signal, Strangers> strangers_;
  std::set<std::string> own_clusters_;  // of values about nodes that are there
};

}  // namespace sobre
