#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "scoring/placement_rules.h"

// What keeps pods and nodes apart, off the wire, gathered field by field. Each function takes the
// bytes of one field, and returns false where they are no such message. Not thread-safe.
namespace sobre {

bool AddTaint(std::string_view raw, NodeGates& gates);

class RulesReader {
 public:
  void AddSelector(std::string_view key, std::string_view value);
  bool AddAffinity(std::string_view raw);
  bool AddToleration(std::string_view raw);
  bool AddVolume(std::string_view raw);
  bool AddSpread(std::string_view raw);
  bool AddPort(std::string_view raw);
  // Of a container.
  void AddRequest(std::string_view name, std::string_view quantity);
  // Nothing where the pod asks for nothing. Once, at the end.
  std::shared_ptr<const PlacementRules> Take();

 private:
  PlacementRules rules_;
  bool tied_volume_ = false;
  bool pods_apart_ = false;
  bool spread_ = false;
  bool host_port_ = false;
  bool asks_for_more_ = false;
};

}  // namespace sobre
