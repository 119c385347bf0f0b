#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "store/database.h"

namespace sobre {

// What pods took, added up.
struct UsageFigures {
  double pod_hours = 0;
  double vcpu_hours = 0;  // as requested, like the next two
  double memory_gb_hours = 0;
  double gpu_hours = 0;
  double energy_kwh = 0;
  // gCO2e: of electricity, by the grid's average (location-based), and by contract (market-based;
  // where none is known, the grid's); of making the hardware.
  double operational_low_g = 0;
  double operational_g = 0;
  double operational_high_g = 0;
  double market_g = 0;
  double embodied_low_g = 0;
  double embodied_g = 0;
  double embodied_high_g = 0;
  double eur = 0;
  double list_eur = 0;  // without discounts
  double requests = 0;
  double tokens = 0;
  // Of the pod-hours, how many have known energy, grams and euros.
  double energy_known_hours = 0;
  double grams_known_hours = 0;
  double eur_known_hours = 0;
  double measured_kwh = 0;  // of the energy: from measured power, or a line through measured power
  double live_g = 0;        // of operational_g: by the grid's live intensity
  // What the mean of the feasible candidates of its placement would have taken, and what the pod
  // took in those same hours: only of pods whose decision is known.
  double mean_candidate_g = 0;
  double mean_candidate_eur = 0;
  double compared_g = 0;
  double compared_eur = 0;
};

// What one pod took on one node in one period: an hour, or a day once it is folded (then also
// without the pod's name, after some weeks). Energy includes the data centre's overhead.
struct UsageRow : UsageFigures {
  Timestamp begin;
  Duration length = std::chrono::hours(1);
  std::string namespace_name;
  std::string pod;
  std::string pod_uid;
  std::string workload;
  std::string team;     // by the label that the configuration names; empty: none
  std::string model;    // of AI
  bool is_run = false;  // a batch job's: counted by run, apart from requests
  std::string node;
  std::string provider;
  std::string region;
  std::string country;
  std::string hardware_class;
};

// Many rows, told one after the other: nobody need hold them all.
using TakeUsage = std::function<void(const UsageRow&)>;
using UsageRows = std::function<void(const TakeUsage&)>;
// They must stay until it was used.
inline UsageRows RowsOf(const std::vector<UsageRow>& rows) {
  return [&rows](const TakeUsage& take) {
    for (const UsageRow& row : rows) take(row);
  };
}

// Adds the figures of `from`, that is all but what names it, to those of `to`.
void AddFigures(const UsageRow& from, UsageRow& to);

// Usage in a database whose schema is up to date. For one thread at a time, as its database.
class UsageStore {
 public:
  explicit UsageStore(Database& database) : database_(database) {}

  struct Accounted {
    std::string holder;  // the replica that accounts
    Timestamp through;
  };
  // Nothing where nobody has accounted yet.
  Result<std::optional<Accounted>> LastAccounted();
  // Makes `holder` the one that accounts, from where the last one stopped, or from `now` where
  // there was none; kGone where another has moved on since `seen` was read.
  Status TakeOver(const std::optional<Accounted>& seen, const std::string& holder, Timestamp now);
  // Adds to what is there and moves the end of what is accounted for from `from` to `to`, all or
  // nothing. kGone where another replica accounts, or `from` is not where accounting stands: then
  // it was added before, or LastAccounted() says what to go on from.
  Status Add(const UsageRows& rows, const std::string& holder, Timestamp from, Timestamp to);
  Status Add(const std::vector<UsageRow>& rows, const std::string& holder, Timestamp from,
             Timestamp to);
  // Rows whose period begins in [from, to), by time.
  Result<std::vector<UsageRow>> Read(Timestamp from, Timestamp to);
  // The same without pods, nodes and places: those of one workload are one row, so that a cluster
  // of many pods is told in few. Of one workload or one model alone, where the filter names it.
  // Adds up hour by hour, so that the database sorts no more than one at a time.
  struct Filter {
    std::string namespace_name;
    std::string workload;
    std::string model;
  };
  Result<std::vector<UsageRow>> ReadWorkloads(Timestamp from, Timestamp to,
                                              const Filter& filter = {});
  // How many rows Read() would give.
  Result<std::int64_t> Count(Timestamp from, Timestamp to);
  struct Retention {
    Duration hours = std::chrono::hours(24 * 3);   // then days
    Duration pods = std::chrono::hours(24 * 35);   // then without the pod's name and uid
    Duration days = std::chrono::hours(24 * 800);  // then gone
  };
  // Whole UTC days only, all or nothing, as often as wanted. Sums are the same before and after,
  // except of what is gone.
  Status Fold(Timestamp now, const Retention& retention);

 private:
  // Appends what the statement selects, whose first parameters are the times.
  Status Query(const std::string& select, const std::vector<SqlValue>& parameters,
               std::vector<UsageRow>& rows);

  Database& database_;
};

}  // namespace sobre
