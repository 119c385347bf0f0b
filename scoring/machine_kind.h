#pragma once

namespace sobre {

// Whether a node is a machine of its own.
enum class MachineKind {
  kNotTold,  // nothing says: a server of one's own, unless its provider rents out virtual machines
  kVirtual,  // a share of a host
  kServer,
  kUnclear,  // it may be either
};

}  // namespace sobre
