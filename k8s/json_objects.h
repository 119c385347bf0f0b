#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "k8s/node_origin.h"
#include "scoring/cluster.h"

// Kubernetes objects as JSON: what `kubectl get -o json` prints and what kube-scheduler sends.
// Every text must be followed by at least 64 readable bytes (kBodyPadding). Thread-safe.
namespace sobre {

// The pods that would be evicted on one node.
struct NodeVictims {
  std::size_t first = 0;  // of ExtenderArgs::victim_uids
  std::size_t count = 0;
  std::int64_t pdb_violations = 0;
};

// What kube-scheduler asks an extender. The views point into `body`'s parse and live until the next
// call of one of the two functions below on the same thread.
struct ExtenderArgs {
  PodFacts pod;
  // nodeCacheCapable: true sends names alone, false whole nodes.
  bool whole_nodes = false;
  std::vector<std::string_view> names;
  // Every name stands in the request as it is, without an escape: quotes are before and behind it.
  bool plain_names = true;
  // With whole nodes: each as its JSON text, and what it says of itself.
  std::vector<std::string_view> node_texts;
  // Of a question about preemption: one for each name.
  std::vector<NodeVictims> victims;
  std::vector<std::string_view> victim_uids;
};
// Replaces `args`, whose buffers are reused. Field names are matched without regard to case, as Go
// does. More nodes than `most_names` are an error (kTooLarge).
Status ParseExtenderArgs(std::string_view body, ExtenderArgs& args,
                         std::size_t most_names = std::size_t{1} << 40);
// The same of ExtenderPreemptionArgs, whose victims are named by UID (NodeNameToMetaVictims) or
// sent as whole pods (NodeNameToVictims).
Status ParsePreemptionArgs(std::string_view body, ExtenderArgs& args,
                           std::size_t most_names = std::size_t{1} << 40);
// Gives back what this thread keeps for parsing documents of over kKeptBodyBytes. Views into the
// last one end.
void ReleaseLargeParser();

// A node, or a pod.
Result<PodFacts> ParsePod(std::string_view json);
Result<NodeFacts> ParseNode(std::string_view json, const NodeOrigins& origins = {});
// What a namespace says by annotation.
struct NamespaceFacts {
  std::string name;
  Annotations annotations;
};
Result<NamespaceFacts> ParseNamespace(std::string_view json);
// A NodeList, a List of nodes, a bare array or a single node.
Result<std::vector<NodeFacts>> ParseNodes(std::string_view json, const NodeOrigins& origins = {});

// "a Pod", "an InferenceService".
std::string WithArticle(std::string_view kind);

// `text` with the padding that the functions above need.
std::string Padded(std::string_view text);

}  // namespace sobre
