#include "extender/usage_totals.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sobre {
namespace {

void Count(const UsageRow& row, UsageTotals& totals) {
  totals.operational_g += row.operational_g;
  totals.market_g += row.market_g;
  totals.embodied_g += row.embodied_g;
  totals.eur += row.eur;
  totals.energy_kwh += row.energy_kwh;
  totals.compared_g += row.compared_g;
  totals.compared_eur += row.compared_eur;
  totals.mean_candidate_g += row.mean_candidate_g;
  totals.mean_candidate_eur += row.mean_candidate_eur;
  if (row.is_run) return;
  totals.requests += row.requests;
  totals.tokens += row.tokens;
  totals.recent.energy_kwh += row.energy_kwh;
  totals.recent.grams += row.operational_g + row.embodied_g;
  totals.recent.requests += row.requests;
  totals.recent.tokens += row.tokens;
}

void Fade(UsageTotals& totals, Timestamp until) {
  const Duration passed = std::max(until - totals.last, Duration(0));
  totals.last = std::max(totals.last, until);
  const double kept = std::exp2(-InHours(passed));
  totals.recent.energy_kwh *= kept;
  totals.recent.grams *= kept;
  totals.recent.requests *= kept;
  totals.recent.tokens *= kept;
}

}  // namespace

void TotalsByName::MakeRoom(const std::map<std::string, double>& hours, Timestamp until) {
  std::vector<std::pair<double, std::string>> newcomers;
  for (const auto& [name, sum] : hours)
    if (name != kOther && !totals_.contains(name)) newcomers.emplace_back(-sum, name);
  if (newcomers.empty()) return;
  std::sort(newcomers.begin(), newcomers.end());
  const auto taken = [&] { return totals_.size() - totals_.count(kOther); };
  if (taken() + newcomers.size() > most_) {
    std::erase_if(totals_, [&](const auto& entry) {
      return entry.first != kOther && !hours.contains(entry.first) &&
             until - entry.second.last >= kForgetAfter;
    });
  }
  for (auto& [sum, name] : newcomers) {
    if (taken() >= most_) break;
    totals_[std::move(name)].last = until;
  }
}

void TotalsByName::Add(const std::vector<UsageRow>& rows, const NameOf& name_of, Timestamp until) {
  Add(RowsOf(rows), name_of, until);
}

void TotalsByName::Add(const UsageRows& rows, const NameOf& name_of, Timestamp until) {
  std::map<std::string, double> hours;
  rows([&](const UsageRow& row) {
    if (std::string name = name_of(row); !name.empty()) hours[std::move(name)] += row.pod_hours;
  });
  MakeRoom(hours, until);
  for (const auto& [name, sum] : hours) {
    const auto own = totals_.find(name);
    Fade(own != totals_.end() ? own->second : totals_[kOther], until);
  }
  rows([&](const UsageRow& row) {
    const std::string name = name_of(row);
    if (name.empty()) return;
    const auto own = totals_.find(name);
    Count(row, own != totals_.end() ? own->second : totals_[kOther]);
  });
}

}  // namespace sobre
