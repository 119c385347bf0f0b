#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "extender/world.h"

namespace sobre {

// A workload of the embedded world, as its owner would write it.
struct DemoWorkload {
  const char* namespace_name;
  const char* name;
  const char* team;
  const char* objective;
  std::int64_t vcpus;
  std::int64_t memory_gib;
  double requests_per_second;  // of one replica, on average over the day; 0: a batch job
  double tokens_per_second;
  const char* model;
  const char* countries;    // its hard limit, or ""
  int standing;             // replicas that were there before
  const char* region = "";  // where those came to run without us; "": we placed them
  const char* move = "";    // what its owner says to advice, or ""
  double busy = 0.5;        // of what it requests, on average
};

// The world of `sobre demo`: nodes in six regions of four operators, grids and load that follow the
// hour of the day, pods that run. Not thread-safe.
class DemoWorld {
 public:
  explicit DemoWorld(std::vector<NodeFacts> nodes);
  static std::span<const DemoWorkload> Workloads();
  // Those of which pods come while the demo runs: the first ones.
  static std::span<const DemoWorkload> Arriving();

  // At an hour of its day, 0 to 24, as seen at `now`. Deterministic.
  [[nodiscard]] std::shared_ptr<const WorldState> StateAt(double hour, Timestamp now) const;
  // What kube-scheduler would send for the pod, with the nodes that have room. Empty: none has.
  [[nodiscard]] std::string ExtenderArgs(const DemoWorkload& workload, const std::string& name,
                                         const std::string& uid,
                                         const std::vector<std::string>& nodes) const;
  [[nodiscard]] std::vector<std::string> NodesWithRoom(const DemoWorkload& workload) const;
  void Run(const DemoWorkload& workload, const std::string& name, const std::string& uid,
           const std::string& node, Timestamp started);
  // The node of the region ("provider/region", or the region alone) with most room.
  [[nodiscard]] std::optional<std::string> RoomIn(std::string_view region,
                                                  const DemoWorkload& workload) const;
  // Its pods are made anew there, as long as there is room.
  void Move(const DemoWorkload& workload, std::string_view region, Timestamp now);
  // The pod that ran for longest of those that came after the standing ones leaves; its uid.
  std::optional<std::string> FinishOldest();
  // Those that run now stay for good, and did so since `started`.
  void KeepAll(Timestamp started);
  [[nodiscard]] std::size_t passing() const { return running_.size() - standing_; }
  [[nodiscard]] std::size_t node_count() const { return nodes_.size(); }
  [[nodiscard]] static std::size_t RegionCount();

 private:
  void Take(const std::string& node, const Resources& amount, std::int64_t sign);

  std::vector<std::shared_ptr<const NodeFacts>> nodes_;
  std::map<std::string, Resources> free_;
  std::deque<std::shared_ptr<const PodPlacement>> running_;  // the standing ones first
  std::size_t standing_ = 0;
};

}  // namespace sobre
