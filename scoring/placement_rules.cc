#include "scoring/placement_rules.h"

#include <algorithm>

#include "base/text.h"

namespace sobre {
namespace {

bool Holds(const NodeTest& test, const NodeGates& node, std::string_view name) {
  const auto label = node.labels.find(test.key);
  const bool there = test.of_name || label != node.labels.end();
  const std::string_view value = test.of_name ? name
                                 : there      ? std::string_view(label->second)
                                              : std::string_view();
  const bool listed =
      there && std::find(test.values.begin(), test.values.end(), value) != test.values.end();
  if (test.op == "In") return listed;
  if (test.op == "NotIn") return !listed;
  if (test.op == "Exists") return there;
  if (test.op == "DoesNotExist") return !there;
  if ((test.op != "Gt" && test.op != "Lt") || !there || test.values.size() != 1) return false;
  const auto own = ParseInteger(value);
  const auto bound = ParseInteger(test.values.front());
  if (!own || !bound) return false;
  return test.op == "Gt" ? *own > *bound : *own < *bound;
}

bool AllHold(const std::vector<NodeTest>& tests, const NodeGates& node, std::string_view name) {
  return std::all_of(tests.begin(), tests.end(),
                     [&](const NodeTest& test) { return Holds(test, node, name); });
}

bool Tolerates(const Toleration& toleration, const Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (toleration.key.empty()) return toleration.op == "Exists";
  if (toleration.key != taint.key) return false;
  if (toleration.op == "Exists") return true;
  return (toleration.op.empty() || toleration.op == "Equal") && toleration.value == taint.value;
}

bool ToleratesOne(const PlacementRules& rules, const Taint& taint) {
  return std::any_of(rules.tolerations.begin(), rules.tolerations.end(),
                     [&](const Toleration& each) { return Tolerates(each, taint); });
}

}  // namespace

bool Admits(const NodeGates& node, std::string_view name, const PlacementRules& rules) {
  if (node.unschedulable &&
      !ToleratesOne(rules, {"node.kubernetes.io/unschedulable", "", "NoSchedule"}))
    return false;
  if (!std::all_of(node.taints.begin(), node.taints.end(),
                   [&](const Taint& taint) { return ToleratesOne(rules, taint); }))
    return false;
  if (!AllHold(rules.selector, node, name)) return false;
  // A term without tests holds nowhere.
  return rules.terms.empty() ||
         std::any_of(rules.terms.begin(), rules.terms.end(),
                     [&](const auto& term) { return !term.empty() && AllHold(term, node, name); });
}

}  // namespace sobre
