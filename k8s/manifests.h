#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "k8s/json_objects.h"
#include "scoring/cluster.h"

// Kubernetes objects in files that people write or have printed: JSON, or YAML of one document or
// several. Thread-safe.
namespace sobre {

// A pod as it would be made from the file: of a Pod as it stands; of an object with a pod template
// (a Deployment, a CronJob, a PyTorchJob, …) with what of it reaches its pods.
struct ManifestPod {
  PodFacts pod;
  // Where it was found: "Deployment/web", "PyTorchJob/train,
  // spec.pytorchReplicaSpecs.Worker.template".
  std::string taken;
  // Others that the file holds.
  std::vector<std::string> others;
  // What its author may expect and is not so, in sentences.
  std::vector<std::string> hints;
};

// The first pod of the file, or the only one that `which` names: by a kind, a name, "Kind/name" or
// a part of where it stands. An object that names no namespace is in `namespace_name`. Errors say
// what was given instead of a pod.
Result<ManifestPod> ReadPodManifest(std::string_view text, std::string_view which = {},
                                    std::string_view namespace_name = "default");

// Nodes, and a namespace, as ParseNodes() and ParseNamespace() take them, or the same in YAML.
Result<std::vector<NodeFacts>> ReadNodesManifest(std::string_view text,
                                                 const NodeOrigins& origins = {});
Result<NamespaceFacts> ReadNamespaceManifest(std::string_view text);

}  // namespace sobre
