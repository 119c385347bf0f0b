#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "extender/world.h"
#include "scoring/test_world.h"

namespace sobre {

// Two nodes and pods on them. The box: 8 vCPU and 32 GB at 0.40 EUR/h, a line of 2 W idle and 10 W
// busy per vCPU, a PUE of 1.2, on a grid of `grid_` gCO2e/kWh.
class AccountingWorld {
 public:
  static constexpr Timestamp kStart = TestWorld::kTime + std::chrono::hours(10);
  static inline const Resources kSmall{1000, 2'000'000'000, 0, 0, {}};

 protected:
  void AddPod(const std::string& name, Resources requests, const std::string& node,
              Timestamp started, const std::string& uid = {}) {
    PodPlacement& pod = *pods_.emplace_back(std::make_shared<PodPlacement>());
    pod.namespace_name = "shop";
    pod.name = name;
    pod.uid = uid.empty() ? "uid-" + name : uid;
    pod.workload = name;
    pod.requests = requests;
    pod.node = node;
    pod.started = started;
  }
  [[nodiscard]] WorldState State() const {
    TestWorld world;
    NodeFacts box;
    box.name = "box";
    box.provider = "own";
    box.region = "here";
    box.grid_zone = "FR";
    box.hardware_class = "box";
    box.allocatable = {8000, 32'000'000'000, 0, 0};
    world.Node(box).Node("cloud", "aws", "eu-central-1").Price("box", 0.40).Price("cloud", 0.40);
    world.GridZone("FR", grid_);
    world.input().fits.push_back({"box",
                                  PowerBoundary::kWholeNode,
                                  {Watts(2), Watts(10), Fraction(0.01), 9},
                                  "test",
                                  TestWorld::kTime});
    world.input().catalog = catalog_;
    world.input().pods.assign(pods_.begin(), pods_.end());
    WorldState state;
    state.input = world.input();
    state.snapshot = world.Snapshot();
    state.teams = teams_;
    state.ready = true;
    return state;
  }
  // Which part of the box's price its processors, or its memory, are.
  [[nodiscard]] double Weight(const std::string& of) const {
    const auto state = State();
    const NodeRecord& box =
        state.snapshot->nodes()[static_cast<std::size_t>(state.snapshot->Find("box"))];
    return (of == "cpu" ? box.cpu_price_share : box.memory_price_share).value();
  }

  std::vector<std::shared_ptr<PodPlacement>> pods_;
  std::map<std::string, std::string, std::less<>> teams_;
  double grid_ = 50;

 private:
  std::shared_ptr<const Catalog> catalog_ = CatalogWith(
      {{"pue.csv",
        "provider,region,pue,source,year,method,licence\nown,here,1.2,t,2026,stated,own\n"}});
};

}  // namespace sobre
