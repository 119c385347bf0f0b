#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backtest/scenario.h"
#include "base/status.h"

// Parts of a scenario from what a cluster and its Prometheus tell. Pure functions, safe from any
// thread.
namespace sobre::backtest {

// Nodes that are alike but for their names and addresses, as pools, by name: "POOL.REGION" after
// the pool's label, else the instance type, else "nodes", with "-2" and so on where that is not
// enough. Memory may differ by 2 %: the smallest of a pool counts. An error names a node without a
// size or a place.
Result<std::vector<Pool>> PoolsOf(std::vector<NodeFacts> nodes);

// One series over time, in any order.
struct Samples {
  std::string name;
  std::vector<std::pair<Timestamp, double>> values;
};
// The mean of each hour of the scenario, by name; what is no finite number does not count. A series
// without a name, two of one name, and an hour without a value are errors.
Result<std::map<std::string, Hourly>> HourlyMeans(const std::vector<Samples>& series,
                                                  Timestamp start, std::int64_t hours);

}  // namespace sobre::backtest
