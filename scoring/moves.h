#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scoring/attribution.h"
#include "scoring/decide.h"
#include "scoring/place_history.h"

// Running pods that would be better in another place, and reservations that are hardly used. Pure
// functions, safe from any thread.
namespace sobre {

struct MoveSettings {
  // What a move costs is spread over so long; it then runs there for at least as long as that.
  Hours horizon{24};
  // So long old and new run beside each other.
  Hours restart{2.0 / 60};
  // The least that is worth saying: of what is ranked, and in euros and gCO2e per hour and pod.
  Fraction min_gain{0.10};
  EurosPerHour min_euros{0.0001};
  GramsPerHour min_grams{0.1};
};

// What the pod answers for per hour, on the report ledger; absent where it is unknown.
struct PodFigures {
  std::optional<EurosPerHour> euros;
  std::optional<GramsPerHour> grams;  // with embodied emissions, where both places know them
  UnitsPerHour units{1};
};

// One pod that would be better elsewhere.
struct MoveAdvice {
  std::shared_ptr<const PodPlacement> pod;
  std::string from;     // places: "provider/region"
  std::string to;       // where the best node for the pod is now
  std::string to_node;  // that node
  MoveWish wish = MoveWish::kAdvise;
  FunctionalUnit unit = FunctionalUnit::kPodHour;
  Objective ranked_by = Objective::kCarbon;
  PodFigures now;
  PodFigures there;
  // What changes, on the placement ledger: saved per hour, after the cost of the move was spread
  // over the horizon. The other of both may well be negative.
  std::optional<EurosPerHour> net_euros;
  std::optional<GramsPerHour> net_grams;
  std::optional<Euros> cost_euros;
  std::optional<Grams> cost_grams;
  // Whether it also holds at the mean intensity of both places over the window; nothing where that
  // is not known yet.
  std::optional<bool> holds_on_mean;
};

struct MoveQuestion {
  const Snapshot& snapshot;
  std::span<const std::shared_ptr<const PodPlacement>> pods;
  // Of the pod's namespace.
  std::function<const NamespacePolicy&(const std::string&)> policy_of;
  const PlaceHistory* history = nullptr;  // nothing: means are unknown
  MoveSettings settings;
};

// Why no advice is given for the pod, whatever the figures; empty: it may move.
std::string WhyItStays(const PodPlacement& pod, const Policy& policy);

// By namespace, workload and pod. The best node is what Decide says of all nodes that have room,
// let the pod in and keep its limits, its own included. Silent where that is in the same place, is
// a tie within the noise, or gains less than the settings want. Each pod that is advised takes its
// room. A node's room is what its pods' requests leave: pods that wait for a node are not known.
std::vector<MoveAdvice> AdviseMoves(const MoveQuestion& question);

}  // namespace sobre
