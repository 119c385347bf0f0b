#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "proto/k8s/objects.pb.h"
#include "scoring/cluster.h"

// Kubernetes' protobuf messages as plain values. Thread-safe.
namespace sobre {

template <class Message>
bool ParseWire(std::string_view raw, Message& message) {
  return message.ParseFromArray(raw.data(), static_cast<int>(raw.size()));
}

// The value of a key, or empty.
template <class Map>
std::string ValueOf(const Map& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string() : found->second;
}

Timestamp TimeOf(const k8s::wire::Time& time);
// `default_provider` is for a node whose providerID and labels name none.
NodeFacts NodeOf(const k8s::wire::Node& wire, const std::string& default_provider);
PodFacts PodOf(const k8s::wire::Pod& wire);
// With its node, when it started, and the team that a label of that name tells; empty: none does.
PodPlacement PlacementOf(const k8s::wire::Pod& wire, const std::string& team_label);

}  // namespace sobre
