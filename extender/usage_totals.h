#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "audit/usage.h"
#include "base/time.h"

namespace sobre {

// What pods took since this replica accounts; as in UsageRow. Sums that only grow, but `recent`.
struct UsageTotals {
  double operational_g = 0;
  double market_g = 0;
  double embodied_g = 0;
  double eur = 0;
  double energy_kwh = 0;
  double requests = 0;  // without batch jobs, whose runs answer nobody; so too tokens
  double tokens = 0;
  // Of pods whose decision is on record: on their node, and on the mean of the candidates.
  double compared_g = 0;
  double compared_eur = 0;
  double mean_candidate_g = 0;
  double mean_candidate_eur = 0;
  // For classes: without batch jobs, and what is older by an hour counts half.
  struct Recent {
    double energy_kwh = 0;
    double grams = 0;
    double requests = 0;
    double tokens = 0;
  } recent;
  Timestamp last;  // usage up to here is in it
};

// Totals by name: as many names as there is room for, all others together under kOther. A name
// without usage for kForgetAfter makes room for one that comes. Not thread-safe.
class TotalsByName {
 public:
  static constexpr const char* kOther = "other";
  static constexpr Duration kForgetAfter = std::chrono::hours(1);
  explicit TotalsByName(std::size_t most) : most_(most) {}

  // An empty name leaves the row out.
  using NameOf = std::function<std::string(const UsageRow&)>;
  // `until` is the end of what the rows account for. Newcomers with the most pod-hours come first.
  void Add(const UsageRows& rows, const NameOf& name_of, Timestamp until);
  void Add(const std::vector<UsageRow>& rows, const NameOf& name_of, Timestamp until);
  [[nodiscard]] const std::map<std::string, UsageTotals>& totals() const { return totals_; }

 private:
  void MakeRoom(const std::map<std::string, double>& hours, Timestamp until);

  std::size_t most_;
  std::map<std::string, UsageTotals> totals_;
};

}  // namespace sobre
