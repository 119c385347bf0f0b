#pragma once

#include <cstdint>
#include <string>

#include "scoring/policy.h"

// What Kubernetes knows of a node and of a pod, reduced to what a decision needs. Plain values.
namespace sobre {

struct Resources {
  std::int64_t millicpu = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t gpus = 0;
};

struct NodeFacts {
  std::string name;
  std::string provider;   // "aws", "gcp", "azure", "ovhcloud", "scaleway", "outscale", or one's own
  std::string region;     // as the provider spells it
  std::string grid_zone;  // where a label states it outright; else the catalogue finds it
  std::string instance_type;
  std::string gpu_model;
  Resources allocatable;
};

struct PodFacts {
  std::string namespace_name;
  std::string name;
  std::string uid;
  // Of all containers together, as the scheduler counts them.
  Resources requests;
  Annotations annotations;
};

}  // namespace sobre
