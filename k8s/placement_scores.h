#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "k8s/api_client.h"

namespace sobre {

// What Open Cluster Management's Placement reads of a cluster: name and value, -100 to 100.
using PlacementScoreList = std::vector<std::pair<std::string, std::int32_t>>;

// AddOnPlacementScore objects (cluster.open-cluster-management.io/v1alpha1) in a hub: one of a name
// in the namespace of each managed cluster, which is called as the cluster. Those that carry our
// label are ours, and no others are touched. Not for several threads at once.
// Source: https://github.com/open-cluster-management-io/api, cluster/v1alpha1.
class PlacementScores {
 public:
  PlacementScores(ApiAccess hub, std::string object)
      : api_(std::move(hub)), object_(std::move(object)) {}

  struct Object {
    std::string cluster;
    std::string name;
    std::string uid;
  };
  // All that are ours, under whatever name.
  Result<std::vector<Object>> Ours();
  // Writes the status alone, through its subresource; makes the object first where it is not among
  // ours. An error says what the hub said: no such namespace, an object that is somebody else's.
  Status Write(const std::string& cluster, bool exists, const PlacementScoreList& scores,
               Timestamp valid_until);
  Status Remove(const Object& object);
  // Whether it is what we write for that cluster.
  [[nodiscard]] bool IsOf(const Object& object, const std::string& cluster) const {
    return object.cluster == cluster && object.name == object_;
  }

 private:
  ApiClient api_;
  const std::string object_;
};

}  // namespace sobre
