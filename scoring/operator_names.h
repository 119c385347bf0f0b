#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/status.h"

namespace sobre {

// A name as names are compared: ASCII letters in lower case, without spaces, '-', '_', '.' and ','
// (a node's label holds no spaces). All else stays, so that what only looks like a name is none.
std::string ComparableName(std::string_view name);

// Under which names operators go, and who owns them. Immutable once it is finished; safe to share
// between threads.
class OperatorNames {
 public:
  void Add(std::string_view name);
  // Of two aliases of one name, the first counts.
  void AddAlias(std::string_view name, std::string_view of);
  void AddOwner(std::string_view name, std::string_view owner);
  // After all names. An alias that leads back to itself is an error.
  [[nodiscard]] Status Finish();

  [[nodiscard]] bool Knows(std::string_view name) const;
  // Whom a name means, as names are compared; somebody of that name, where no row says more.
  [[nodiscard]] std::string Meant(std::string_view name) const;
  // Whom a name means, who owns him, and so on.
  [[nodiscard]] std::vector<std::string> WithOwners(std::string_view name) const;
  // All, as they were spelt.
  [[nodiscard]] const std::vector<std::string>& spelt() const { return spelt_; }

 private:
  std::unordered_set<std::string> known_;
  std::unordered_map<std::string, std::string> aliases_;
  // By whom a name means, once it is finished.
  std::unordered_map<std::string, std::vector<std::string>> owners_;
  std::vector<std::string> spelt_;
};

}  // namespace sobre
