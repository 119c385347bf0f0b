#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

// What a pod requires of its node, and what a node holds against pods, as kube-scheduler judges it:
// node selector, required node affinity, taints. Plain values.
namespace sobre {

struct Taint {
  std::string key;
  std::string value;
  std::string effect;
  friend bool operator==(const Taint&, const Taint&) = default;
};

struct NodeGates {
  std::map<std::string, std::string, std::less<>> labels;
  std::vector<Taint> taints;  // NoSchedule and NoExecute alone
  bool unschedulable = false;
  friend bool operator==(const NodeGates&, const NodeGates&) = default;
};

// One expression of a node selector.
struct NodeTest {
  std::string key;
  bool of_name = false;  // of the node's name instead of a label
  std::string op;        // "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"
  std::vector<std::string> values;
  friend bool operator==(const NodeTest&, const NodeTest&) = default;
};

struct Toleration {
  std::string key;  // empty: any
  std::string op;   // "Equal" or empty, "Exists"
  std::string value;
  std::string effect;  // empty: any
  friend bool operator==(const Toleration&, const Toleration&) = default;
};

struct PlacementRules {
  std::vector<NodeTest> selector;  // all must hold
  // Required node affinity: one term must hold, that is all its tests. None: nothing is required.
  std::vector<std::vector<NodeTest>> terms;
  std::vector<Toleration> tolerations;
  // What else it requires and nobody here can judge ("its volumes"); empty: nothing.
  std::string not_judged;
  [[nodiscard]] bool Any() const {
    return !selector.empty() || !terms.empty() || !tolerations.empty() || !not_judged.empty();
  }
  friend bool operator==(const PlacementRules&, const PlacementRules&) = default;
};

// True where the node's labels and taints let a pod of these rules in. An operator that is not
// known does not hold.
bool Admits(const NodeGates& node, std::string_view name, const PlacementRules& rules);

}  // namespace sobre
