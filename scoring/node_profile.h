#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scoring/cluster.h"
#include "scoring/units.h"

namespace sobre {

struct NodeRecord;

// All of a node that the scores of a placement are made of, as numbers: nodes that are alike in it
// get the same figures.
struct NodeProfile {
  Resources allocatable;
  // Into how many shares, and into how many slices, an accelerator is divided.
  std::int64_t gpu_replicas = 1;
  std::int64_t gpu_slices = 1;
  Gpus gpus;  // whole accelerators that can be allocated
  // What an accelerator draws at full load beyond idle; nothing where its model is unknown.
  std::optional<Watts> gpu_active;
  WattsPerVcpu slope;
  Pue pue{1};
  std::optional<GramsPerKwh> catalog_intensity;
  std::optional<GramsPerKwh> live_intensity;
  std::optional<EurosPerHour> price;
  std::optional<EurosPerKwh> electricity;
  std::int32_t hardware_class = 0;
  // Index into NodeProfiles::places(); of no meaning outside of them.
  std::int32_t place = 0;
};
NodeProfile ProfileOf(const NodeRecord& node);

// A provider's region.
struct NodePlace {
  std::string provider;
  std::string region;
};

// The profiles of a snapshot's nodes, each once: of a large cluster there are few, and they lie
// close together. Immutable.
class NodeProfiles {
 public:
  NodeProfiles() = default;
  explicit NodeProfiles(const std::vector<NodeRecord>& nodes);

  [[nodiscard]] std::size_t size() const { return profiles_.size(); }
  [[nodiscard]] const NodeProfile& operator[](std::size_t profile) const {
    return profiles_[profile];
  }
  // Of the node at this index of the snapshot.
  [[nodiscard]] std::int32_t OfNode(std::int32_t node) const {
    return of_node_[static_cast<std::size_t>(node)];
  }
  [[nodiscard]] const std::vector<NodePlace>& places() const { return places_; }

 private:
  std::vector<NodeProfile> profiles_;
  std::vector<std::int32_t> of_node_;
  std::vector<NodePlace> places_;
};

}  // namespace sobre
