#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "extender/mover.h"
#include "scoring/test_world.h"

namespace sobre {

// A world of two places, west and east, one large node each, whose grids a test drives by the hour;
// pods that a controller keeps, and a scheduler that goes by Decide.
class MovesWorld : public World {
 public:
  static constexpr Timestamp kStart = TestWorld::kTime;

  MovesWorld() {
    config.moves.evict = true;
    config.moves.every = std::chrono::minutes(10);
    config.policy.objective = Objective::kCarbon;
    Reset();
  }
  [[nodiscard]] std::optional<LeaseState> Lease() const override { return lease; }
  void Tell(const PodEvent& event) override { events.push_back(event.reason + " " + event.pod); }
  // Another process takes over.
  void Reset(DatabaseOpener open = nullptr) {
    adviser = std::make_unique<MoveAdviser>(
        config, std::move(open),
        [this](const MoveBook::Eviction& eviction, std::string& problem) {
          return Evict(eviction, problem);
        },
        now);
  }
  PodPlacement& AddPod(const std::string& workload, const std::string& node,
                       const std::string& move = "auto") {
    auto pod = std::make_shared<PodPlacement>();
    pod->namespace_name = "shop";
    pod->workload = workload;
    pod->name = workload + "-" + std::to_string(++made_);
    pod->uid = "uid-" + std::to_string(made_);
    pod->requests = {2000, 4LL << 30, 0, 0};
    pod->owner = PodOwner::kController;
    pod->ready = true;
    pod->node = node;
    pod->started = now - std::chrono::hours(48);
    if (!move.empty()) pod->annotations = {{"move", move}};
    pods.push_back(pod);
    return *pod;
  }
  [[nodiscard]] TestWorld Grid() const {
    TestWorld world;
    world.Node("west", "scaleway", "fr-par", {64000, 256LL << 30, 0, 0})
        .Node("east", "scaleway", "nl-ams", {64000, 256LL << 30, 0, 0})
        .Price("west", 3.2)
        .Price("east", 3.2);
    const Duration age = now - kStart;
    world.Grid("scaleway", "fr-par", west(age)).Grid("scaleway", "nl-ams", east(age));
    SnapshotInput& input = world.input();
    input.time = now;
    for (Observation& seen : input.observations) seen.time = now;
    input.pods.assign(pods.begin(), pods.end());
    return world;
  }
  void Look() {
    const TestWorld world = Grid();
    auto state = std::make_shared<WorldState>();
    state->input = const_cast<TestWorld&>(world).input();
    state->snapshot = world.Snapshot();
    state->cluster_policy.policy = config.policy;
    state->ready = true;
    Publish(std::move(state));
    adviser->Tick(*this, leads, holds, now);
  }
  void Run(Duration span) {
    for (const Timestamp end = now + span; now < end; now += config.moves.every) Look();
  }
  // As the API server, a controller and kube-scheduler together.
  EvictionOutcome Evict(const MoveBook::Eviction& eviction, std::string& problem) {
    if (answer != EvictionOutcome::kEvicted) {
      problem = "no";
      return answer;
    }
    const auto old = std::find_if(pods.begin(), pods.end(),
                                  [&](const auto& pod) { return pod->uid == eviction.uid; });
    if (old == pods.end()) return EvictionOutcome::kGone;
    PodPlacement fresh = **old;
    const std::string from = fresh.node;
    pods.erase(old);
    const Decision decision =
        DecideFor(*Grid().Snapshot(), {"west", "east"}, MakeRequest(fresh, {config.policy, {}}));
    PodPlacement& pod =
        AddPod(fresh.workload, placed.empty() ? (*decision.best == 0 ? "west" : "east") : placed);
    pod.started = now;
    pod.ready = comes_up;
    moves.push_back({now, fresh.workload, from, pod.node});
    return EvictionOutcome::kEvicted;
  }
  [[nodiscard]] const std::vector<Advice>& advice() const { return adviser->status().advice; }

  struct Move {
    Timestamp time;
    std::string workload;
    std::string from;
    std::string to;
  };
  Config config;
  Timestamp now = kStart;
  std::function<double(Duration)> west = [](Duration) { return 500.0; };
  std::function<double(Duration)> east = [](Duration) { return 50.0; };
  std::vector<std::shared_ptr<PodPlacement>> pods;
  std::vector<Move> moves;
  std::vector<std::string> events;
  bool leads = true;
  bool holds = true;
  std::optional<LeaseState> lease;
  EvictionOutcome answer = EvictionOutcome::kEvicted;
  bool comes_up = true;
  std::string placed;  // by somebody who does not ask us
  std::unique_ptr<MoveAdviser> adviser;

 private:
  int made_ = 0;
};

}  // namespace sobre
