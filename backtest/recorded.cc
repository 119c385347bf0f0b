#include "backtest/recorded.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "base/text.h"

namespace sobre::backtest {
namespace {

// Of one kind of machine, allocatable memory differs by what its kernel and kubelet keep.
constexpr double kSameMemory = 1.02;

// All that pools are told apart by, but memory.
auto KindOf(const NodeFacts& node) {
  const AttestedFacts& said = node.attested;
  return std::tie(node.provider, node.region, node.pool, node.instance_type, node.grid_zone,
                  node.gpu_model, node.gpu_replicas, node.gpu_sharing, node.spot,
                  node.hardware_class, node.allocatable.millicpu, node.allocatable.gpus,
                  node.allocatable.gpu_slices, node.allocatable.devices, said.provider, said.region,
                  said.country, said.operator_name, said.exposure, said.certifications);
}

bool IsBefore(const NodeFacts& a, const NodeFacts& b) {
  if (KindOf(a) != KindOf(b)) return KindOf(a) < KindOf(b);
  return std::tie(a.allocatable.memory_bytes, a.name) <
         std::tie(b.allocatable.memory_bytes, b.name);
}

std::string NameFor(const NodeFacts& node) {
  const std::string& kind = node.pool.empty() ? node.instance_type : node.pool;
  return (kind.empty() ? "nodes" : kind) + "." + node.region;
}

}  // namespace

Result<std::vector<Pool>> PoolsOf(std::vector<NodeFacts> nodes) {
  for (NodeFacts& node : nodes) {
    const std::string who = "node " + Printable(node.name, 63) + ": ";
    if (node.allocatable.millicpu <= 0 || node.allocatable.memory_bytes <= 0)
      return Status::Invalid(who + "it has no allocatable cpu and memory");
    if (node.region.empty())
      return Status::Invalid(who + "it has no label topology.kubernetes.io/region");
    // Whoever writes the scenario names the place.
    if (node.attested.provider.empty()) node.attested.provider = node.provider;
    if (node.attested.region.empty()) node.attested.region = node.region;
  }
  std::sort(nodes.begin(), nodes.end(), IsBefore);
  std::vector<Pool> pools;
  std::set<std::string> names;
  for (NodeFacts& node : nodes) {
    if (!pools.empty() && KindOf(pools.back().facts) == KindOf(node) &&
        static_cast<double>(node.allocatable.memory_bytes) <=
            kSameMemory * static_cast<double>(pools.back().facts.allocatable.memory_bytes)) {
      ++pools.back().nodes;
      continue;
    }
    Pool pool;
    const std::string base = NameFor(node);
    pool.name = base;
    for (int number = 2; !names.insert(pool.name).second; ++number)
      pool.name = base + "-" + std::to_string(number);
    pool.nodes = 1;
    pool.zone = node.region;
    pool.facts = std::move(node);
    pool.facts.addresses.clear();
    pools.push_back(std::move(pool));
  }
  for (Pool& pool : pools) pool.facts.name = pool.name;
  return pools;
}

Result<std::map<std::string, Hourly>> HourlyMeans(const std::vector<Samples>& series,
                                                  Timestamp start, std::int64_t hours) {
  std::map<std::string, Hourly> means;
  for (const Samples& samples : series) {
    if (samples.name.empty()) return Status::Invalid("a series does not say what it is of");
    const std::string who = Printable(samples.name, 60) + ": ";
    const auto [mean, is_new] =
        means.emplace(samples.name, Hourly(static_cast<std::size_t>(hours)));
    if (!is_new)
      return Status::Invalid(who + "two series are of that name; sum or average them in the query");
    std::vector<std::int64_t> counts(static_cast<std::size_t>(hours));
    for (const auto& [time, value] : samples.values) {
      const std::int64_t hour = std::chrono::floor<std::chrono::hours>(time - start).count();
      if (hour < 0 || hour >= hours || !std::isfinite(value)) continue;
      mean->second[static_cast<std::size_t>(hour)] += value;
      ++counts[static_cast<std::size_t>(hour)];
    }
    for (std::size_t hour = 0; hour < counts.size(); ++hour) {
      if (counts[hour] == 0) {
        return Status::Invalid(who + "hour " + std::to_string(hour) + ", " +
                               FormatTime(start + std::chrono::hours(hour)) + ", is missing");
      }
      mean->second[hour] /= static_cast<double>(counts[hour]);
    }
  }
  return means;
}

}  // namespace sobre::backtest
