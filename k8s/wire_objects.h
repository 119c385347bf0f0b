#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "k8s/node_origin.h"
#include "scoring/cluster.h"

// Kubernetes' objects, from the bytes of its protobuf to plain values. Field numbers are those of
// k8s.io/api/core/v1/generated.proto and k8s.io/apimachinery. Nothing where the bytes are no such
// message. Thread-safe.
namespace sobre {

// What an object says of itself, as views of its bytes.
struct WireMeta {
  std::string_view name;
  std::string_view namespace_name;
  std::string_view uid;
  Timestamp created;
  bool deleting = false;
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  std::vector<std::pair<std::string_view, std::string_view>> annotations;
};
// Of an object of any kind: each begins with its metadata.
std::optional<WireMeta> MetaOf(std::string_view raw);
// Its resource version, which may be empty; does not allocate.
std::optional<std::string_view> VersionOf(std::string_view raw);
// The value of a label, or empty.
std::string_view LabelOf(const WireMeta& meta, std::string_view label);

std::optional<NodeFacts> NodeOf(std::string_view raw, const NodeOrigins& origins);
std::optional<PodFacts> PodOf(std::string_view raw);

// A pod as the cluster's watch sees it.
struct WatchedPod {
  // With its node (empty while it has none), when it started, and its team.
  PodPlacement placement;
  Timestamp created;
  std::string scheduler;
  bool carbon_gated = false;  // it waits behind kCarbonGate
};
// The team is what a label of that name tells; empty: none does.
std::optional<WatchedPod> WatchedPodOf(std::string_view raw, std::string_view team_label);

}  // namespace sobre
