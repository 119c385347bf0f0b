#include "k8s/wire_objects.h"

#include <algorithm>

#include "base/told_time.h"
#include "k8s/objects.h"
#include "k8s/wire_fields.h"
#include "k8s/wire_rules.h"

namespace sobre {
namespace {

struct Owner {
  std::string_view kind;
  std::string_view name;
  bool controls = false;
};

bool ReadTime(std::string_view raw, Timestamp& time) {
  return EachField(raw, [&time](const WireField& field) {
    if (field.tag == NumberTag(1)) time = FromUnixSeconds(static_cast<std::int64_t>(field.number));
    return true;
  });
}

bool ReadOwner(std::string_view raw, Owner& owner) {
  return EachField(raw, [&owner](const WireField& field) {
    if (field.tag == BytesTag(1)) owner.kind = field.bytes;
    if (field.tag == BytesTag(3)) owner.name = field.bytes;
    if (field.tag == NumberTag(6)) owner.controls = field.number != 0;
    return true;
  });
}

// The first owner that controls goes to `owner`, where that is wanted.
bool ReadMeta(std::string_view raw, WireMeta& meta, Owner* owner) {
  const auto add = [](std::string_view bytes, auto& pairs) {
    WireEntry entry;
    if (!ReadEntry(bytes, entry)) return false;
    constexpr std::size_t kMostHaveFewer = 16;
    if (pairs.empty()) pairs.reserve(kMostHaveFewer);
    pairs.emplace_back(entry.key, entry.value);
    return true;
  };
  return EachField(raw, [&](const WireField& field) {
    switch (field.tag) {
      case BytesTag(1):
        meta.name = field.bytes;
        return true;
      case BytesTag(3):
        meta.namespace_name = field.bytes;
        return true;
      case BytesTag(5):
        meta.uid = field.bytes;
        return true;
      case BytesTag(8):
        return ReadTime(field.bytes, meta.created);
      case BytesTag(9):
        meta.deleting = true;
        return true;
      case BytesTag(11):
        return add(field.bytes, meta.labels);
      case BytesTag(12):
        return add(field.bytes, meta.annotations);
      case BytesTag(13): {
        Owner found;
        if (!ReadOwner(field.bytes, found)) return false;
        if (owner != nullptr && !owner->controls && found.controls) *owner = found;
        return true;
      }
      default:
        return true;
    }
  });
}

// Calls `take(name, quantity)` for an entry of a map of quantities.
template <class Take>
bool ReadQuantity(std::string_view raw, const Take& take) {
  WireEntry entry;
  std::string_view quantity;
  if (!ReadEntry(raw, entry)) return false;
  const bool read = EachField(entry.value, [&quantity](const WireField& field) {
    if (field.tag == BytesTag(1)) quantity = field.bytes;
    return true;
  });
  if (read) take(entry.key, quantity);
  return read;
}

// Of a ResourceRequirements; whether it names claims.
template <class Take>
bool ReadRequests(std::string_view raw, bool& has_claims, const Take& take) {
  return EachField(raw, [&](const WireField& field) {
    has_claims |= field.tag == BytesTag(3);
    return field.tag != BytesTag(2) || ReadQuantity(field.bytes, take);
  });
}

// Whether the marker is named among its requests or limits.
bool HasMarker(std::string_view raw) {
  bool found = false;
  EachField(raw, [&found](const WireField& field) {
    return (field.tag != BytesTag(1) && field.tag != BytesTag(2)) ||
           ReadQuantity(field.bytes, [&found](std::string_view name, std::string_view /*amount*/) {
             found |= name == kLimitsMarker;
           });
  });
  return found;
}

struct Spec {
  PodRequests requests;
  bool has_resource_claims = false;
  bool has_limits_marker = false;
  bool carbon_gated = false;
  std::string_view node;
  std::string_view scheduler;
};

bool ReadContainer(std::string_view raw, bool init, Spec& spec, RulesReader* rules) {
  Resources resources;
  bool sidecar = false;
  const bool read = EachField(raw, [&](const WireField& field) {
    switch (field.tag) {
      case BytesTag(6):
        return rules == nullptr || init || rules->AddPort(field.bytes);
      case BytesTag(8):
        spec.has_limits_marker |= HasMarker(field.bytes);
        return ReadRequests(field.bytes, spec.has_resource_claims,
                            [&](std::string_view name, std::string_view quantity) {
                              ApplyResource(name, quantity, resources);
                              if (rules != nullptr) rules->AddRequest(name, quantity);
                            });
      case BytesTag(24):
        sidecar = field.bytes == "Always";
        return true;
      default:
        return true;
    }
  });
  if (init) {
    spec.requests.AddInitContainer(resources, sidecar);
  } else {
    spec.requests.AddContainer(resources);
  }
  return read;
}

bool ReadSpec(std::string_view raw, Spec& spec, RulesReader* rules) {
  Resources overhead;
  Resources whole;
  const bool read = EachField(raw, [&](const WireField& field) {
    switch (field.tag) {
      case BytesTag(1):
        return rules == nullptr || rules->AddVolume(field.bytes);
      case BytesTag(2):
        return ReadContainer(field.bytes, false, spec, rules);
      case BytesTag(7): {
        WireEntry entry;
        if (!ReadEntry(field.bytes, entry)) return false;
        if (rules != nullptr) rules->AddSelector(entry.key, entry.value);
        return true;
      }
      case BytesTag(10):
        spec.node = field.bytes;
        return true;
      case BytesTag(18):
        return rules == nullptr || rules->AddAffinity(field.bytes);
      case BytesTag(19):
        spec.scheduler = field.bytes;
        return true;
      case BytesTag(20):
        return ReadContainer(field.bytes, true, spec, rules);
      case BytesTag(22):
        return rules == nullptr || rules->AddToleration(field.bytes);
      case BytesTag(32):
        return ReadQuantity(field.bytes, [&](std::string_view name, std::string_view quantity) {
          ApplyResource(name, quantity, overhead);
        });
      case BytesTag(33):
        return rules == nullptr || rules->AddSpread(field.bytes);
      case BytesTag(38):
        return EachField(field.bytes, [&spec](const WireField& gate) {
          spec.carbon_gated |= gate.tag == BytesTag(1) && gate.bytes == kCarbonGate;
          return true;
        });
      case BytesTag(39):
        spec.has_resource_claims = true;
        return true;
      case BytesTag(40):
        return ReadRequests(field.bytes, spec.has_resource_claims,
                            [&](std::string_view name, std::string_view quantity) {
                              ApplyResource(name, quantity, whole);
                            });
      default:
        return true;
    }
  });
  spec.requests.SetOverhead(overhead);
  spec.requests.SetWholePod(whole);
  return read;
}

bool ReadStatus(std::string_view raw, PodPlacement& pod) {
  return EachField(raw, [&pod](const WireField& field) {
    if (field.tag == BytesTag(7)) return ReadTime(field.bytes, pod.started);
    if (field.tag != BytesTag(2)) return true;
    bool of_readiness = false;
    bool holds = false;
    const bool read = EachField(field.bytes, [&](const WireField& condition) {
      if (condition.tag == BytesTag(1)) of_readiness = condition.bytes == "Ready";
      if (condition.tag == BytesTag(2)) holds = condition.bytes == "True";
      return true;
    });
    pod.ready |= of_readiness && holds;
    return read;
  });
}

// What a pod and a placement have in common.
void Fill(const WireMeta& meta, const Owner& owner, const Spec& spec, PodFacts& pod) {
  pod.namespace_name = meta.namespace_name;
  pod.name = meta.name;
  pod.uid = meta.uid;
  pod.workload = WorkloadOf(meta.name, owner.kind, owner.name, LabelOf(meta, kTemplateHashLabel));
  pod.is_batch_job = owner.kind == "Job";
  pod.has_resource_claims = spec.has_resource_claims;
  pod.has_limits_marker = spec.has_limits_marker;
  pod.requests = spec.requests.Total();
  for (const auto& [key, value] : meta.annotations) {
    ApplyAnnotation(key, value, pod.annotations);
    ApplyShareAnnotation(key, value, pod.requests);
  }
  // A map's order is nobody's.
  std::sort(pod.annotations.begin(), pod.annotations.end(),
            [](const Annotation& a, const Annotation& b) { return a.key < b.key; });
  pod.annotations.shrink_to_fit();
}

PodOwner OwnerOf(const Owner& owner) {
  if (!owner.controls) return PodOwner::kNobody;
  if (owner.kind == "DaemonSet") return PodOwner::kDaemonSet;
  return owner.kind == "Node" ? PodOwner::kNode : PodOwner::kController;
}

}  // namespace

std::string_view LabelOf(const WireMeta& meta, std::string_view label) {
  for (const auto& [key, value] : meta.labels)
    if (key == label) return value;
  return {};
}

std::optional<WireMeta> MetaOf(std::string_view raw) {
  WireMeta meta;
  const bool read = EachField(raw, [&meta](const WireField& field) {
    return field.tag != BytesTag(1) || ReadMeta(field.bytes, meta, nullptr);
  });
  return read ? std::optional(std::move(meta)) : std::nullopt;
}

std::optional<std::string_view> VersionOf(std::string_view raw) {
  std::string_view version;
  const bool read = EachField(raw, [&version](const WireField& part) {
    return part.tag != BytesTag(1) || EachField(part.bytes, [&version](const WireField& field) {
             if (field.tag == BytesTag(6)) version = field.bytes;
             return true;
           });
  });
  return read ? std::optional(version) : std::nullopt;
}

std::optional<NodeFacts> NodeOf(std::string_view raw, const NodeOrigins& origins) {
  NodeFacts node;
  WireMeta meta;
  std::string_view provider_id;
  const bool read = EachField(raw, [&](const WireField& part) {
    switch (part.tag) {
      case BytesTag(1):
        return ReadMeta(part.bytes, meta, nullptr);
      case BytesTag(2):
        return EachField(part.bytes, [&](const WireField& field) {
          if (field.tag == BytesTag(3)) provider_id = field.bytes;
          if (field.tag == NumberTag(4)) node.gates.unschedulable = field.number != 0;
          return field.tag != BytesTag(5) || AddTaint(field.bytes, node.gates);
        });
      case BytesTag(3):
        return EachField(part.bytes, [&](const WireField& field) {
          if (field.tag == BytesTag(2)) {
            return ReadQuantity(field.bytes, [&](std::string_view name, std::string_view quantity) {
              ApplyAllocatable(name, quantity, node);
            });
          }
          if (field.tag != BytesTag(5)) return true;
          WireEntry address;  // a type and an address, numbered alike
          if (!ReadEntry(field.bytes, address)) return false;
          ApplyNodeAddress(address.key, address.value, node);
          return true;
        });
      default:
        return true;
    }
  });
  if (!read) return std::nullopt;
  node.name = meta.name;
  for (const auto& [key, value] : meta.labels) {
    ApplyNodeLabel(key, value, node);
    node.gates.labels.insert_or_assign(std::string(key), value);
  }
  for (const auto& [key, value] : meta.annotations) ApplyNodeAnnotation(key, node);
  FinishNode(provider_id, meta.labels, origins, node);
  return node;
}

std::optional<PodFacts> PodOf(std::string_view raw) {
  WireMeta meta;
  Owner owner;
  Spec spec;
  const bool read = EachField(raw, [&](const WireField& part) {
    if (part.tag == BytesTag(1)) return ReadMeta(part.bytes, meta, &owner);
    return part.tag != BytesTag(2) || ReadSpec(part.bytes, spec, nullptr);
  });
  if (!read) return std::nullopt;
  PodFacts pod;
  Fill(meta, owner, spec, pod);
  return pod;
}

std::optional<WatchedPod> WatchedPodOf(std::string_view raw, std::string_view team_label) {
  WatchedPod seen;
  PodPlacement& pod = seen.placement;
  WireMeta meta;
  Owner owner;
  Spec spec;
  RulesReader rules;
  const bool read = EachField(raw, [&](const WireField& part) {
    switch (part.tag) {
      case BytesTag(1):
        return ReadMeta(part.bytes, meta, &owner);
      case BytesTag(2):
        return ReadSpec(part.bytes, spec, &rules);
      case BytesTag(3):
        return ReadStatus(part.bytes, pod);
      default:
        return true;
    }
  });
  if (!read) return std::nullopt;
  Fill(meta, owner, spec, pod);
  pod.node = spec.node;
  pod.owner = OwnerOf(owner);
  pod.deleting = meta.deleting;
  pod.rules = rules.Take();
  if (!team_label.empty()) pod.team = LabelOf(meta, team_label);
  pod.serving_role = LabelOf(meta, kServingRoleLabel);
  if (pod.started == Timestamp()) pod.started = meta.created;
  seen.created = meta.created;
  seen.scheduler = spec.scheduler;
  seen.carbon_gated = spec.carbon_gated;
  return seen;
}

}  // namespace sobre
