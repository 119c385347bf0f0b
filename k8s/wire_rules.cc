#include "k8s/wire_rules.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "k8s/objects.h"
#include "k8s/wire_fields.h"

namespace sobre {
namespace {

bool ReadTests(std::string_view raw, std::vector<NodeTest>& tests) {
  return EachField(raw, [&tests](const WireField& of_term) {
    // The name is the only field that there is.
    const bool of_name = of_term.tag == BytesTag(2);
    if (!of_name && of_term.tag != BytesTag(1)) return true;
    NodeTest& test = tests.emplace_back();
    test.of_name = of_name;
    return EachField(of_term.bytes, [&test](const WireField& field) {
      switch (field.tag) {
        case BytesTag(1):
          test.key = field.bytes;
          break;
        case BytesTag(2):
          test.op = field.bytes;
          break;
        case BytesTag(3):
          test.values.emplace_back(field.bytes);
          break;
        default:
          break;
      }
      return true;
    });
  });
}

}  // namespace

bool AddTaint(std::string_view raw, NodeGates& gates) {
  Taint taint;
  const bool read = EachField(raw, [&taint](const WireField& field) {
    if (field.tag == BytesTag(1)) taint.key = field.bytes;
    if (field.tag == BytesTag(2)) taint.value = field.bytes;
    if (field.tag == BytesTag(3)) taint.effect = field.bytes;
    return true;
  });
  if (taint.effect != "PreferNoSchedule") gates.taints.push_back(std::move(taint));
  return read;
}

void RulesReader::AddSelector(std::string_view key, std::string_view value) {
  rules_.selector.push_back({std::string(key), false, "In", {std::string(value)}});
}

bool RulesReader::AddAffinity(std::string_view raw) {
  // Of nodes 1, of pods 2, against pods 3; in each the required terms are 1.
  return EachField(raw, [this](const WireField& kind) {
    if (kind.tag == BytesTag(2) || kind.tag == BytesTag(3)) {
      return EachField(kind.bytes, [this](const WireField& field) {
        pods_apart_ |= field.tag == BytesTag(1);
        return true;
      });
    }
    if (kind.tag != BytesTag(1)) return true;
    return EachField(kind.bytes, [this](const WireField& required) {
      if (required.tag != BytesTag(1)) return true;
      return EachField(required.bytes, [this](const WireField& term) {
        return term.tag != BytesTag(1) || ReadTests(term.bytes, rules_.terms.emplace_back());
      });
    });
  });
}

bool RulesReader::AddToleration(std::string_view raw) {
  std::string_view key;
  std::string_view op;
  std::string_view value;
  std::string_view effect;
  const bool read = EachField(raw, [&](const WireField& field) {
    if (field.tag == BytesTag(1)) key = field.bytes;
    if (field.tag == BytesTag(2)) op = field.bytes;
    if (field.tag == BytesTag(3)) value = field.bytes;
    if (field.tag == BytesTag(4)) effect = field.bytes;
    return true;
  });
  // Every pod has these two, for nodes that nobody should go to.
  if (key == "node.kubernetes.io/not-ready" || key == "node.kubernetes.io/unreachable") return read;
  rules_.tolerations.push_back(
      {std::string(key), std::string(op), std::string(value), std::string(effect)});
  return read;
}

bool RulesReader::AddVolume(std::string_view raw) {
  return EachField(raw, [this](const WireField& field) {
    if (field.tag != BytesTag(2)) return true;
    return EachField(field.bytes, [this](const WireField& source) {
      // Of the host's path, a claim, a claim of its own.
      tied_volume_ |=
          source.tag == BytesTag(1) || source.tag == BytesTag(10) || source.tag == BytesTag(29);
      return true;
    });
  });
}

bool RulesReader::AddSpread(std::string_view raw) {
  std::string_view when;
  const bool read = EachField(raw, [&when](const WireField& field) {
    if (field.tag == BytesTag(3)) when = field.bytes;
    return true;
  });
  spread_ |= when != "ScheduleAnyway";
  return read;
}

bool RulesReader::AddPort(std::string_view raw) {
  return EachField(raw, [this](const WireField& field) {
    host_port_ |= field.tag == NumberTag(2) && field.number != 0;
    return true;
  });
}

// Some other resource than those that are counted: whether another node has it is not known. The
// marker is nobody's.
void RulesReader::AddRequest(std::string_view name, std::string_view quantity) {
  if (name.find('/') == std::string_view::npos || name == kLimitsMarker) return;
  Resources counted;
  ApplyResource(name, quantity, counted);
  asks_for_more_ |= !counted.UsesGpu();
}

std::shared_ptr<const PlacementRules> RulesReader::Take() {
  // A map's order is nobody's.
  std::sort(rules_.selector.begin(), rules_.selector.end(),
            [](const NodeTest& a, const NodeTest& b) { return a.key < b.key; });
  if (tied_volume_) {
    rules_.not_judged = "its volumes";
  } else if (pods_apart_) {
    rules_.not_judged = "which pods it must be with or apart from";
  } else if (spread_) {
    rules_.not_judged = "how its pods must be spread";
  } else if (host_port_) {
    rules_.not_judged = "its node's ports";
  } else if (asks_for_more_) {
    rules_.not_judged = "a resource that is not counted";
  }
  if (!rules_.Any()) return nullptr;
  return std::make_shared<const PlacementRules>(std::move(rules_));
}

}  // namespace sobre
