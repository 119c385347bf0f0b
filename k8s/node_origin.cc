#include "k8s/node_origin.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"

namespace sobre {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool AllDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
}

// "*" stands for any text. Linear but for as many steps back as there are stars.
bool MatchesGlob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t after = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = t;
    } else if (p < pattern.size() && Lower(pattern[p]) == Lower(text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++after;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string_view ValueOf(LabelViews labels, std::string_view key) {
  for (const auto& [name, value] : labels)
    if (name == key) return value;
  return {};
}

bool AnyLabel(LabelViews labels, std::string_view key, std::string_view value) {
  return std::any_of(labels.begin(), labels.end(), [&](const auto& label) {
    return MatchesGlob(key, label.first) && MatchesGlob(value, label.second);
  });
}

// "eu-west-1a" and "us-west-2-lax-1a" are in eu-west-1 and us-west-2: all up to the first number.
std::string_view Ec2RegionOf(std::string_view zone) {
  for (std::size_t dash = zone.find('-'); dash != std::string_view::npos;
       dash = zone.find('-', dash + 1)) {
    std::size_t end = dash + 1;
    while (end < zone.size() && IsDigit(zone[end])) ++end;
    if (end == dash + 1) continue;
    const std::string_view rest = zone.substr(end);
    const bool ends =
        rest.empty() || rest.front() == '-' || (rest.size() == 1 && IsLetter(rest[0]));
    return ends ? zone.substr(0, end) : std::string_view();
  }
  return {};
}

// "europe-west1-b": all but the last letter.
std::string_view GceRegionOf(std::string_view zone) {
  const std::size_t dash = zone.rfind('-');
  if (dash == std::string_view::npos || dash + 2 != zone.size() || !IsLetter(zone.back()) ||
      dash == 0 || !IsDigit(zone[dash - 1]))
    return {};
  return zone.substr(0, dash);
}

// "fr-par-1", "eastus2-1": all but the last number.
std::string_view NumberedRegionOf(std::string_view zone) {
  const std::size_t dash = zone.rfind('-');
  if (dash == std::string_view::npos || dash == 0 || !AllDigits(zone.substr(dash + 1))) return {};
  return zone.substr(0, dash);
}

bool Begins(std::string_view text, std::string_view scheme) {
  return text.size() > scheme.size() && EqualsIgnoreCase(text.substr(0, scheme.size()), scheme);
}

// As their controllers write them: aws:///ZONE/INSTANCE, gce://PROJECT/ZONE/NAME,
// scaleway://KIND/ZONE/ID, openstack://REGION/ID, ocid1.instance.REALM.REGION.ID and REGION.i-ID.
// The cluster's region in eks-hybrid:///REGION/CLUSTER/NAME is not where the machine stands.
std::string_view RegionIn(std::string_view provider_id) {
  const auto part = [](std::string_view text, char separator,
                       std::size_t index) -> std::string_view {
    const std::vector<std::string_view> parts = Split(text, separator);
    return index + 1 < parts.size() ? parts[index] : std::string_view();
  };
  constexpr std::string_view kAws = "aws:///";
  constexpr std::string_view kGce = "gce://";
  constexpr std::string_view kScaleway = "scaleway://";
  constexpr std::string_view kOpenStack = "openstack://";
  constexpr std::string_view kOcid = "ocid1.instance.";
  if (Begins(provider_id, kAws)) return Ec2RegionOf(part(provider_id.substr(kAws.size()), '/', 0));
  if (Begins(provider_id, kGce)) return GceRegionOf(part(provider_id.substr(kGce.size()), '/', 1));
  if (Begins(provider_id, kScaleway))
    return NumberedRegionOf(part(provider_id.substr(kScaleway.size()), '/', 1));
  if (Begins(provider_id, kOpenStack)) return part(provider_id.substr(kOpenStack.size()), '/', 0);
  if (const std::size_t ocid = provider_id.find(kOcid); ocid != std::string_view::npos)
    return part(provider_id.substr(ocid + kOcid.size()), '.', 1);
  if (provider_id.find('/') == std::string_view::npos && MatchesGlob("*-*.i-*", provider_id))
    return part(provider_id, '.', 0);
  return {};
}

// Of a zone that a label names.
std::string_view RegionOfZone(std::string_view zone, std::string_view provider_id) {
  if (Begins(provider_id, "aws://")) return Ec2RegionOf(zone);
  if (Begins(provider_id, "gce://")) return GceRegionOf(zone);
  if (Begins(provider_id, "scaleway://") || Begins(provider_id, "azure://"))
    return NumberedRegionOf(zone);
  return {};
}

void FindRegion(std::string_view provider_id, LabelViews labels, NodeFacts& node) {
  if (!node.region.empty()) return;
  node.region = ValueOf(labels, "failure-domain.beta.kubernetes.io/region");
  for (const std::string_view label :
       {"topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"})
    if (node.region.empty()) node.region = RegionOfZone(ValueOf(labels, label), provider_id);
  if (node.region.empty()) node.region = RegionIn(provider_id);
  node.region_derived = !node.region.empty();
}

// "m6i.large", "u-6tb1.metal": a family with a number, and a size of Amazon's.
bool IsEc2Type(std::string_view type) {
  const std::size_t dot = type.find('.');
  if (dot == std::string_view::npos || dot == 0) return false;
  const std::string_view family = type.substr(0, dot);
  std::string_view size = type.substr(dot + 1);
  if (!IsLetter(family.front()) || std::none_of(family.begin(), family.end(), IsDigit))
    return false;
  if (size.starts_with("metal")) return true;
  while (!size.empty() && IsDigit(size.front())) size.remove_prefix(1);
  constexpr std::array<std::string_view, 6> kSizes = {"nano",   "micro", "small",
                                                      "medium", "large", "xlarge"};
  return std::find(kSizes.begin(), kSizes.end(), size) != kSizes.end();
}

// A direction and a number are the last parts of every region of Amazon's, which are three or more.
bool IsEc2Region(std::string_view region) {
  const std::vector<std::string_view> parts = Split(region, '-');
  if (parts.size() < 3 || !AllDigits(parts.back())) return false;
  constexpr std::array<std::string_view, 9> kDirections = {"north",     "south",     "east",
                                                           "west",      "central",   "northeast",
                                                           "southeast", "northwest", "southwest"};
  const std::string direction = ToLower(parts[parts.size() - 2]);
  return std::find(kDirections.begin(), kDirections.end(), direction) != kDirections.end();
}

class Finder {
 public:
  Finder(std::string_view provider_id, LabelViews labels, const NodeOrigins& origins,
         NodeFacts& node)
      : id_(provider_id), labels_(labels), origins_(origins), node_(node) {}

  void Find() {
    // A label of Sobre's own has precedence.
    const bool labelled = !node_.provider.empty();
    UseRules(labelled);
    UseRows(labelled || !node_.provider.empty());
    if (node_.provider.empty() && !origins_.default_provider.empty() && MayDefault()) {
      node_.provider = origins_.default_provider;
      node_.provider_doubt.clear();
    }
    // A type that only a cloud has, on a node of which nobody said more.
    if (node_.machine_kind == MachineKind::kNotTold && id_.empty() && IsCloudType())
      node_.machine_kind = MachineKind::kVirtual;
  }

 private:
  bool Fits(const ProviderRule& rule) const {
    const auto fits = [](const std::string& pattern, std::string_view text) {
      return pattern.empty() || MatchesGlob(pattern, text);
    };
    return fits(rule.provider_id, id_) && fits(rule.instance_type, node_.instance_type) &&
           fits(rule.region, node_.region) &&
           std::all_of(rule.labels.begin(), rule.labels.end(), [this](const auto& label) {
             return AnyLabel(labels_, label.first, label.second);
           });
  }

  void UseRules(bool labelled) {
    for (std::size_t i = 0; i < origins_.rules.size(); ++i) {
      const ProviderRule& rule = origins_.rules[i];
      if (!Fits(rule)) continue;
      node_.machine_kind = rule.machine;
      if (!labelled) node_.provider = rule.provider;
      node_.provider_rule = static_cast<std::int32_t>(i);
      return;
    }
  }

  bool Fits(const OriginRow& row) const {
    if (!MatchesGlob(row.provider_id, id_)) return false;
    switch (row.clue) {
      case OriginRow::Clue::kLabel: {
        const std::size_t equals = row.pattern.find('=');
        const std::string_view key = std::string_view(row.pattern).substr(0, equals);
        return AnyLabel(
            labels_, key,
            equals == std::string::npos ? "*" : std::string_view(row.pattern).substr(equals + 1));
      }
      case OriginRow::Clue::kInstanceType:
        return MatchesGlob(row.pattern, node_.instance_type);
      case OriginRow::Clue::kRegion:
        return MatchesGlob(row.pattern, node_.region);
      case OriginRow::Clue::kProviderId:
        return MatchesGlob(row.pattern, id_);
    }
    return false;
  }

  // The first row that tells the provider, and the first that tells the kind of machine.
  void UseRows(bool told) {
    bool known_id = id_.empty();
    bool same_name = false;
    for (const OriginRow& row : origins_.catalog->origins()) {
      if (!Fits(row)) continue;
      const bool of_id = row.clue == OriginRow::Clue::kProviderId;
      known_id |= of_id;
      if (node_.machine_kind == MachineKind::kNotTold) node_.machine_kind = row.machine;
      if (told || row.provider == OriginRow::kSaysNothing) continue;
      if (row.provider == OriginRow::kAmbiguous) {
        same_name = true;
        continue;
      }
      told = true;
      if (row.provider == OriginRow::kUnknown) {
        Doubt(row);
      } else if (!of_id || !Borrowed(row, same_name)) {
        node_.provider = row.provider;
      }
    }
    if (!known_id && node_.machine_kind == MachineKind::kNotTold)
      node_.machine_kind = MachineKind::kUnclear;
  }

  void Doubt(const OriginRow& row) {
    if (row.clue == OriginRow::Clue::kProviderId) {
      elsewhere_ = true;
      node_.provider_doubt = "its providerID is of a machine that stands elsewhere";
    } else {
      node_.provider_doubt =
          "its region " + Printable(node_.region, kNameLength) + " is of a partner without a row";
    }
  }

  bool IsCloudType() const {
    const std::string& type = node_.instance_type;
    if (type.empty()) return false;
    if (IsEc2Type(type)) return true;
    const auto& rows = origins_.catalog->origins();
    return std::any_of(rows.begin(), rows.end(), [&](const OriginRow& row) {
      return row.machine == MachineKind::kVirtual && row.clue == OriginRow::Clue::kProviderId &&
             origins_.catalog->HostOf(row.provider, type).second == ProfileMatch::kInstanceType;
    });
  }

  // Whether somebody else may have written the scheme: the region is one of theirs or none of the
  // scheme's own, and no instance type tells.
  bool Borrowed(const OriginRow& of_scheme, bool same_name) {
    candidates_ = {of_scheme.provider};
    for (const OriginRow& row : origins_.catalog->origins()) {
      if (row.clue != OriginRow::Clue::kProviderId && row.provider_id == of_scheme.pattern &&
          row.provider != OriginRow::kUnknown && row.provider != OriginRow::kAmbiguous &&
          row.provider != OriginRow::kSaysNothing &&
          std::find(candidates_.begin(), candidates_.end(), row.provider) == candidates_.end())
        candidates_.push_back(row.provider);
    }
    if (candidates_.size() == 1 || node_.region.empty()) return false;
    const bool shared = std::any_of(
        candidates_.begin() + 1, candidates_.end(), [this](const std::string& borrower) {
          return origins_.catalog->ZoneOf(borrower, node_.region).has_value();
        });
    const bool of_amazon = of_scheme.provider == "aws";
    const bool foreign = of_amazon && !IsEc2Region(node_.region) &&
                         !origins_.catalog->ZoneOf(of_scheme.provider, node_.region);
    if (!shared && !foreign) return false;
    if (!foreign && of_amazon && IsEc2Type(node_.instance_type) && !same_name) return false;
    if (foreign) {
      candidates_.clear();
      node_.provider_doubt = "its providerID says " + of_scheme.provider +
                             ", which has no region " + Printable(node_.region, kNameLength);
      return true;
    }
    std::string names;
    for (const std::string& name : candidates_) names += (names.empty() ? "" : " and ") + name;
    node_.provider_doubt =
        names + " write the same providerID, have a region " +
        Printable(node_.region, kNameLength) + ", and neither " +
        (node_.instance_type.empty()
             ? "an instance type"
             : "the instance type " + Printable(node_.instance_type, kNameLength)) +
        " nor a label tells them apart";
    return true;
  }

  // Of those who may have written the providerID, if it is told who they are.
  bool MayDefault() const {
    if (elsewhere_) return false;
    return candidates_.empty() || std::find(candidates_.begin(), candidates_.end(),
                                            origins_.default_provider) != candidates_.end();
  }

  static constexpr std::size_t kNameLength = 63;

  const std::string_view id_;
  const LabelViews labels_;
  const NodeOrigins& origins_;
  NodeFacts& node_;
  std::vector<std::string> candidates_;
  bool elsewhere_ = false;
};

}  // namespace

void FinishNode(std::string_view provider_id, LabelViews labels, const NodeOrigins& origins,
                NodeFacts& node) {
  if (node.instance_type.empty())
    node.instance_type = ValueOf(labels, "beta.kubernetes.io/instance-type");
  FindRegion(provider_id, labels, node);
  Finder(provider_id, labels, origins, node).Find();
}

}  // namespace sobre
