#include "scoring/operator_names.h"

#include <algorithm>

#include "base/text.h"

namespace sobre {

std::string ComparableName(std::string_view name) {
  std::string comparable = ToLower(name);
  std::erase_if(comparable,
                [](char c) { return c == ' ' || c == '-' || c == '_' || c == '.' || c == ','; });
  return comparable;
}

void OperatorNames::Add(std::string_view name) {
  if (known_.insert(ComparableName(name)).second) spelt_.emplace_back(name);
}

void OperatorNames::AddAlias(std::string_view name, std::string_view of) {
  Add(name);
  Add(of);
  std::string own = ComparableName(name);
  std::string meant = ComparableName(of);
  if (own != meant) aliases_.emplace(std::move(own), std::move(meant));
}

void OperatorNames::AddOwner(std::string_view name, std::string_view owner) {
  Add(name);
  Add(owner);
  owners_[ComparableName(name)].push_back(ComparableName(owner));
}

Status OperatorNames::Finish() {
  for (const auto& [name, of] : aliases_) {
    std::size_t steps = 0;
    for (auto at = aliases_.find(of); at != aliases_.end(); at = aliases_.find(at->second)) {
      if (++steps > aliases_.size())
        return Status::Invalid("operators.csv: '" + Printable(name) +
                               "' is an alias that leads back to itself");
    }
  }
  // A row about a name in another spelling is about what is meant by it.
  std::unordered_map<std::string, std::vector<std::string>> of_meant;
  for (const auto& [name, owners] : owners_) {
    std::vector<std::string>& all = of_meant[Meant(name)];
    all.insert(all.end(), owners.begin(), owners.end());
  }
  owners_ = std::move(of_meant);
  return Status::Ok();
}

bool OperatorNames::Knows(std::string_view name) const {
  return known_.contains(ComparableName(name));
}

std::string OperatorNames::Meant(std::string_view name) const {
  std::string at = ComparableName(name);
  for (auto of = aliases_.find(at); of != aliases_.end(); of = aliases_.find(at)) at = of->second;
  return at;
}

std::vector<std::string> OperatorNames::WithOwners(std::string_view name) const {
  std::vector<std::string> all{Meant(name)};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto owners = owners_.find(all[i]);
    if (owners == owners_.end()) continue;
    for (const std::string& owner : owners->second) {
      std::string meant = Meant(owner);
      if (std::find(all.begin(), all.end(), meant) == all.end()) all.push_back(std::move(meant));
    }
  }
  return all;
}

}  // namespace sobre
