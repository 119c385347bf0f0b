#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scoring/catalog.h"
#include "scoring/cluster.h"

namespace sobre {

// One of the configuration's rules about whose nodes are. All that it states must fit; in patterns
// "*" stands for any text, and case does not count.
struct ProviderRule {
  std::string provider_id;
  std::string instance_type;
  std::string region;
  std::vector<std::pair<std::string, std::string>> labels;  // key and value
  std::string provider;
  MachineKind machine = MachineKind::kNotTold;
};

// What the configuration says of nodes that their objects leave open: the same for every reader of
// nodes.
struct NodeOrigins {
  std::vector<ProviderRule> rules;  // the first that fits counts
  // Serves where nothing else tells.
  std::string default_provider;
  std::shared_ptr<const Catalog> catalog = {std::shared_ptr<const Catalog>(), &Catalog::Embedded()};
};

using LabelViews = std::span<const std::pair<std::string_view, std::string_view>>;

// Completes a node to which all of its labels were applied: its region where no label tells it, its
// provider (from the label sobre.dev/provider, else the rules, else the catalogue's rows, else the
// default) and whether it is a machine of its own.
void FinishNode(std::string_view provider_id, LabelViews labels, const NodeOrigins& origins,
                NodeFacts& node);

}  // namespace sobre
