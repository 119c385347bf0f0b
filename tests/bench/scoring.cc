// bench_scoring: what scoring alone takes, in nanoseconds by candidate, for a pod with a policy of
// its own over all nodes of worlds of several sizes, in no order. One line each:
// NODES KINDS NANOSECONDS
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <random>

#include "scoring/test_world.h"

namespace sobre {
namespace {

std::shared_ptr<const Snapshot> WorldOf(std::size_t size, std::size_t prices) {
  static constexpr std::array<std::pair<const char*, const char*>, 4> kPlaces = {
      {{"scaleway", "fr-par"},
       {"aws", "eu-central-1"},
       {"aws", "eu-north-1"},
       {"scaleway", "pl-waw"}}};
  TestWorld world;
  for (std::size_t i = 0; i < size; ++i) {
    const std::string name = "node-" + std::to_string(i);
    const auto& [provider, region] = kPlaces[i % kPlaces.size()];
    world.Node(name, provider, region);
    world.Price(name, 0.5 + static_cast<double>(i % prices) / static_cast<double>(prices));
  }
  return world.Snapshot();
}

double NanosecondsPerNode(const Snapshot& snapshot, Decision& decision) {
  std::vector<std::int32_t> nodes(snapshot.nodes().size());
  std::iota(nodes.begin(), nodes.end(), 0);
  std::shuffle(nodes.begin(), nodes.end(), std::mt19937(1));
  Policy policy;
  policy.requests = UnitsPerHour(36000);
  const DecisionRequest request = RequestFor(policy);
  const std::size_t times = 2'000'000 / nodes.size() + 1;
  std::vector<double> each;
  for (int round = 0; round < 9; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < times; ++i) JudgeKinds(request, snapshot, nodes, decision);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    each.push_back(took.count() / static_cast<double>(times * nodes.size()));
  }
  std::nth_element(each.begin(), each.begin() + 4, each.end());
  return each[4];
}

}  // namespace
}  // namespace sobre

int main() {
  for (const bool alike : {true, false}) {
    for (const std::size_t size : {100U, 1000U, 10'000U, 100'000U}) {
      const auto snapshot = sobre::WorldOf(size, alike ? 7 : size);
      sobre::Decision decision;
      const double nanoseconds = sobre::NanosecondsPerNode(*snapshot, decision);
      std::printf("%zu %zu %.2f\n", size, decision.kinds.size(), nanoseconds);
      std::fflush(stdout);
    }
  }
  return 0;
}
