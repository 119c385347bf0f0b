#pragma once

#include <memory>

#include "proto/k8s/objects.pb.h"
#include "scoring/placement_rules.h"

// What keeps pods and nodes apart, off the wire. Thread-safe.
namespace sobre {

NodeGates GatesOf(const k8s::wire::Node& wire);
// Nothing where the pod asks for nothing.
std::shared_ptr<const PlacementRules> RulesOf(const k8s::wire::PodSpec& spec);

}  // namespace sobre
