#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scoring/decide.h"
#include "scoring/snapshot.h"

// A small world for tests, built a sentence at a time:
//   TestWorld().Node("a", "scaleway", "fr-par").Price("a", 0.1).Snapshot()
namespace sobre {

// The embedded catalogue, after rows of the test's own. They must load.
inline std::shared_ptr<const Catalog> CatalogWith(std::vector<EmbeddedFile> files) {
  const auto embedded = Catalog::EmbeddedFiles();
  files.insert(files.end(), embedded.begin(), embedded.end());
  const auto catalog = std::make_shared<Result<Catalog>>(Catalog::Load(files));
  if (!catalog->ok()) std::abort();
  return {catalog, &**catalog};
}

class TestWorld {
 public:
  static constexpr Timestamp kTime = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23);

  TestWorld& Node(std::string name, std::string provider, std::string region,
                  Resources allocatable = Standard()) {
    NodeFacts facts;
    facts.name = std::move(name);
    facts.provider = std::move(provider);
    facts.region = std::move(region);
    facts.allocatable = std::move(allocatable);
    return Node(std::move(facts));
  }
  TestWorld& Node(NodeFacts facts) {
    input_.nodes.push_back(std::make_shared<const NodeFacts>(std::move(facts)));
    return *this;
  }
  TestWorld& Price(std::string node, double euros_per_hour, Duration age = Duration(0)) {
    return See(Signal::kNodePrice, std::move(node), euros_per_hour, age);
  }
  TestWorld& Power(std::string node, double watts, double utilization) {
    See(Signal::kNodePower, node, watts);
    return See(Signal::kNodeCpuUtilization, std::move(node), utilization);
  }
  TestWorld& See(Signal signal, std::string node, double value, Duration age = Duration(0)) {
    Observation seen;
    seen.signal = signal;
    seen.node = std::move(node);
    seen.value = value;
    seen.time = input_.time - age;
    seen.source = "test";
    input_.observations.push_back(std::move(seen));
    return *this;
  }
  TestWorld& Grid(std::string provider, std::string region, double grams_per_kwh,
                  Duration age = Duration(0)) {
    See(Signal::kGridIntensity, "", grams_per_kwh, age);
    input_.observations.back().provider = std::move(provider);
    input_.observations.back().region = std::move(region);
    return *this;
  }
  TestWorld& GridZone(std::string zone, double grams_per_kwh) {
    See(Signal::kGridIntensity, "", grams_per_kwh);
    input_.observations.back().zone = std::move(zone);
    return *this;
  }
  SnapshotInput& input() { return input_; }
  [[nodiscard]] std::shared_ptr<const sobre::Snapshot> Snapshot() const {
    return sobre::Snapshot::Build(input_);
  }

  // 8 vCPU, 32 GiB.
  static Resources Standard() { return {8000, 32LL << 30, 0, 0}; }

 private:
  static SnapshotInput Start() {
    SnapshotInput input;
    input.time = kTime;
    return input;
  }
  SnapshotInput input_ = Start();
};

// A pod of 2 vCPU and 4 GiB.
inline DecisionRequest RequestFor(const Policy& policy,
                                  Resources requests = {2000, 4LL << 30, 0, 0}) {
  DecisionRequest request;
  request.pod.namespace_name = "shop";
  request.pod.name = "web-1";
  request.pod.workload = "web";
  request.pod.uid = "uid-1";
  request.pod.requests = std::move(requests);
  request.policy = policy;
  return request;
}

// The decision for such a pod over the named candidates, in their order.
inline Decision DecideFor(const Snapshot& snapshot, const std::vector<std::string>& names,
                          const DecisionRequest& request) {
  std::vector<std::int32_t> nodes;
  nodes.reserve(names.size());
  for (const std::string& name : names) nodes.push_back(snapshot.Find(name));
  Decision decision;
  Decide(request, snapshot, nodes, decision);
  return decision;
}

inline Decision DecideFor(const Snapshot& snapshot, const std::vector<std::string>& names,
                          const Policy& policy = {}, Resources requests = {2000, 4LL << 30, 0, 0}) {
  return DecideFor(snapshot, names, RequestFor(policy, std::move(requests)));
}

}  // namespace sobre
