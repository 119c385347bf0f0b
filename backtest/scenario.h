#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "scoring/cluster.h"
#include "scoring/policy.h"
#include "scoring/units.h"

// What a backtest replays: a cluster, what its grids and prices were by the hour, what was to run,
// and the policies that are compared. Plain values.
namespace sobre::backtest {

// Nodes that differ in nothing but their names.
struct Pool {
  std::string name;
  std::int64_t nodes = 0;
  NodeFacts facts;   // `facts.name` is the pool's; its nodes are NAME-0, NAME-1, …
  std::string zone;  // the failure domain that kube-scheduler spreads over
  std::optional<EurosPerHour> price;  // of one node, where no series tells; else the catalogue's
};

// By hour from the scenario's start on; as many values as it has hours.
using Hourly = std::vector<double>;

enum class WorkKind {
  kService,  // replicas of one ReplicaSet: kube-scheduler spreads them
  kJob,
};
std::string_view ToString(WorkKind kind);

// Pods alike that come at one time.
struct Work {
  std::string name;
  WorkKind kind = WorkKind::kService;
  Duration arrives{0};  // after the scenario's start
  Duration runs{0};     // from the moment of its placement on
  std::int64_t replicas = 1;
  Resources requests;
  double requests_per_second = 0;  // that one replica serves; 0: none are counted
  Annotations annotations;
};

// What Sobre is told the grid will be.
enum class Foresight {
  kNone,
  kPerfect,    // what it will be
  kYesterday,  // what it was a day before
};

// One way to place, beside others on the same work.
struct Variant {
  std::string name;
  bool sobre = true;       // asked for scores; else kube-scheduler decides alone
  Policy policy;           // the cluster's
  bool limits = true;      // hard limits hold
  bool waiting = true;     // gates are judged; else pods start as they come
  Duration signal_age{0};  // so old is what Sobre sees of grids and prices, without knowing it
  // Sobre's weight in kube-scheduler's profile: so many times 10 points a step.
  std::int64_t weight = 25;
  // Of the nodes, how many per cent are looked at; 0: kube-scheduler's own sample.
  std::int64_t percent_of_nodes = 100;
};

struct Scenario {
  std::string name;
  Timestamp start;
  std::int64_t hours = 0;
  // Figures of the first hours are not counted: the cluster fills.
  std::int64_t warm_up_hours = 0;
  std::vector<Pool> pools;
  std::map<std::string, Hourly> intensity;  // gCO2e/kWh by grid zone
  // gCO2e/kWh of what the grid makes more; no policy sees it. Empty: nothing is counted by it.
  std::map<std::string, Hourly> marginal;
  std::map<std::string, Hourly> price;  // EUR/h of one node by pool
  Foresight foresight = Foresight::kPerfect;
  std::vector<Work> work;  // by arrival
  std::vector<Variant> variants;
  std::uint64_t seed = 1;
};

}  // namespace sobre::backtest
