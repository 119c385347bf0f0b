#pragma once

#include <span>
#include <string_view>

// The keys under `sobre.dev/` that mean something. Thread-safe.
namespace sobre {

// What a known key is for.
enum class KeyKind {
  kPreference,  // what is better, or what the pod is: refuses no node
  kLimit,       // refuses nodes
  kEnforced,    // what those that come nearer cannot loosen; of namespaces and the cluster
  kOwn,         // written by the chart on Sobre's own pods; says nothing
};
struct KnownKey {
  std::string_view name;  // without the prefix
  KeyKind kind;
};
// Every key that means something on a pod or a namespace: first those of PolicyKey, in its order.
// Whatever else stands under the prefix is taken for a misspelt limit, and fails closed. The
// admission policies have the same list.
std::span<const KnownKey> KnownKeys();

}  // namespace sobre
