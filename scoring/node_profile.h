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
  // That can be allocated.
  std::int64_t millicpu = 0;
  std::int64_t memory_bytes = 0;
  WattsPerVcpu slope;
  Pue pue{1};
  std::optional<GramsPerKwh> catalog_intensity;
  std::optional<GramsPerKwh> live_intensity;
  std::optional<EurosPerHour> price;
  std::optional<EurosPerKwh> electricity;
  std::int32_t hardware_class = 0;
  // Index into NodeProfiles::places(); of no meaning outside of them.
  std::int32_t place = 0;
  // Last, as few pods ask for them. Whole accelerators that can be allocated; into how many shares,
  // and into how many slices, each is divided: 0 where that is not known, or the node lists none.
  Gpus gpus;
  std::int64_t gpu_replicas = 1;
  std::int64_t gpu_slices = 1;
  // What one draws at full load beyond idle; nothing where its model is unknown.
  std::optional<Watts> gpu_active;
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
  // Whether its live, its catalogued intensity is known: apart, as all are looked at first.
  [[nodiscard]] bool HasLive(std::int32_t profile) const {
    return (intensities_[static_cast<std::size_t>(profile)] & kLive) != 0;
  }
  [[nodiscard]] bool HasCatalog(std::int32_t profile) const {
    return (intensities_[static_cast<std::size_t>(profile)] & kCatalog) != 0;
  }
  // Of the node at this index of the snapshot.
  [[nodiscard]] std::int32_t OfNode(std::int32_t node) const {
    return of_node_[static_cast<std::size_t>(node)];
  }
  [[nodiscard]] const std::vector<NodePlace>& places() const { return places_; }

 private:
  static constexpr std::uint8_t kLive = 1;
  static constexpr std::uint8_t kCatalog = 2;

  std::vector<NodeProfile> profiles_;
  std::vector<std::uint8_t> intensities_;  // by profile, kLive | kCatalog
  std::vector<std::int32_t> of_node_;
  std::vector<NodePlace> places_;
};

}  // namespace sobre
