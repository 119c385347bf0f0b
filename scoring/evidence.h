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
    std::string region;
    std::string zone;
    auto operator<=>(const Place&) const = default;
  };
  // All that one source says of one key.
  struct Held {
    const Observation* best = nullptr;
    std::vector<std::pair<const Observation*, double>> values;  // of one replica
  };
  // What a value was joined to: a slot that holds the best, or the measurement's.
  struct Joined {
    const Observation* seen;
    const Observation* const* slot;
  };
  struct Example {
    const Observation* seen = nullptr;
    std::string why;
  };

  void IndexNames();
  void Take(const Observation& seen);
  void SetAside(const Observation& seen, Fate fate, std::string why);
  // As it is not the best of its subject: the same source again, or another.
  void SetBehind(const Observation& seen, const Observation& best);
  void Use(const Observation& seen);
  bool TakeNode(const Observation& seen);
  bool TakePlace(const Observation& seen);
  bool TakeMeasurement(const Observation& seen);
  bool TakePod(const Observation& seen);
  void DropPodsOfUnmeasuredNodes();
  void Compare();
  void FinishMeasurements();
  void Describe();
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
  std::vector<Joined> joined_;
  std::map<MeasuredKey, Measured> measured_;
  std::array<SignalTally, kSignalCount> tallies_;
  std::array<bool, kSignalCount> strictly_unmatched_{};  // where somebody's own query names nothing
  std::array<std::array<Example, kFateCount>, kSignalCount> examples_;
};

}  // namespace sobre
