#include "scoring/node_profile.h"

#include <array>
#include <bit>
#include <map>
#include <unordered_map>
#include <utility>

#include "scoring/snapshot.h"

namespace sobre {
namespace {

// The bits of all that a profile holds: numbers that compare equal and are not (0 and -0) may give
// figures that differ in a bit.
using Bits = std::array<std::uint64_t, 18>;

Bits BitsOf(const NodeProfile& profile) {
  Bits bits{};
  std::size_t at = 0;
  const auto whole = [&](std::int64_t number) { bits[at++] = static_cast<std::uint64_t>(number); };
  const auto number = [&](auto unit) { bits[at++] = std::bit_cast<std::uint64_t>(unit.value()); };
  const auto optional = [&](const auto& unit) {
    bits[at++] = unit.has_value() ? 1 : 0;
    if (unit) bits[at] = std::bit_cast<std::uint64_t>(unit->value());
    ++at;
  };
  whole(profile.millicpu);
  whole(profile.memory_bytes);
  whole(profile.gpu_replicas);
  whole(profile.gpu_slices);
  number(profile.gpus);
  optional(profile.gpu_active);
  number(profile.slope);
  number(profile.pue);
  optional(profile.catalog_intensity);
  optional(profile.live_intensity);
  optional(profile.price);
  optional(profile.electricity);
  whole((std::int64_t{profile.hardware_class} << 32) | profile.place);
  return bits;
}

struct HashBits {
  std::size_t operator()(const Bits& bits) const {
    std::uint64_t hash = 0;
    for (const std::uint64_t word : bits) {
      hash = (hash ^ word) * 0x9E3779B97F4A7C15;
      hash ^= hash >> 32;
    }
    return hash;
  }
};

}  // namespace

NodeProfile ProfileOf(const NodeRecord& node) {
  const auto value_of = [](const auto& sourced) {
    return sourced ? std::optional(sourced->value) : std::nullopt;
  };
  NodeProfile profile;
  const Resources& size = node.facts->allocatable;
  const bool counted = node.gpus_unknown.empty();
  profile.gpu_replicas = counted && size.gpus > 0 ? node.facts->gpu_replicas : 0;
  profile.gpu_slices = counted && size.gpu_slices > 0 && node.gpu ? node.gpu->slices : 0;
  profile.gpus = node.gpus;
  profile.millicpu = size.millicpu;
  profile.memory_bytes = size.memory_bytes;
  if (node.gpu) profile.gpu_active = node.gpu->full - node.gpu->idle;
  profile.slope = node.slope;
  profile.pue = node.pue;
  profile.catalog_intensity = value_of(node.catalog_intensity);
  profile.live_intensity = value_of(node.live_intensity);
  profile.price = value_of(node.price);
  profile.electricity = value_of(node.electricity);
  profile.hardware_class = node.hardware_class;
  return profile;
}

NodeProfiles::NodeProfiles(const std::vector<NodeRecord>& nodes) {
  std::map<std::pair<std::string_view, std::string_view>, std::int32_t> places;
  std::unordered_map<Bits, std::int32_t, HashBits> known;
  of_node_.reserve(nodes.size());
  for (const NodeRecord& node : nodes) {
    NodeProfile profile = ProfileOf(node);
    const auto [place, new_place] = places.try_emplace({node.facts->provider, node.facts->region},
                                                       static_cast<std::int32_t>(places_.size()));
    if (new_place) places_.push_back({node.facts->provider, node.facts->region});
    profile.place = place->second;
    const auto [found, added] =
        known.try_emplace(BitsOf(profile), static_cast<std::int32_t>(profiles_.size()));
    if (added) {
      profiles_.push_back(profile);
      intensities_.push_back(static_cast<std::uint8_t>((profile.live_intensity ? kLive : 0) |
                                                       (profile.catalog_intensity ? kCatalog : 0)));
    }
    of_node_.push_back(found->second);
  }
}

}  // namespace sobre
