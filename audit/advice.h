#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "scoring/place_history.h"
#include "store/database.h"

namespace sobre {

enum class AdviceKind { kMove, kRightsizing };
// Expired: it held no longer before anybody followed it. Measured: followed, and what came of it
// is known.
enum class AdviceState { kOpen, kAccepted, kDismissed, kDone, kMeasured, kExpired };
std::string_view ToString(AdviceKind kind);
std::string_view ToString(AdviceState state);
inline constexpr std::size_t kAdviceStateCount = 6;
// Nothing more comes of it.
bool IsClosed(AdviceState state);

// Advice about one workload, through its life. Figures are those of one pod, per hour.
struct Advice {
  std::string id;    // of kind, namespace, workload and places: the same whenever it comes again
  Timestamp opened;  // with the id, it is this life of it
  AdviceKind kind = AdviceKind::kMove;
  AdviceState state = AdviceState::kOpen;
  Timestamp changed;  // when it came into its state
  Timestamp held;     // when it last held
  std::string namespace_name;
  std::string workload;
  std::string from;  // places: "provider/region"; of a reservation, where it is
  std::string to;
  std::string unit;       // what the pod's work is counted in
  std::string ranked_by;  // what the decision ranks by
  std::string note;       // why it came into its state
  std::int64_t pods = 0;  // so many are advised
  // Report ledger, now and there.
  std::optional<double> now_eur;
  std::optional<double> now_g;
  std::optional<double> there_eur;
  std::optional<double> there_g;
  double now_units = 1;  // per hour
  double there_units = 1;
  // Placement ledger: saved, after the cost of the move was spread over the horizon; the cost.
  std::optional<double> net_eur;
  std::optional<double> net_g;
  std::optional<double> cost_eur;
  std::optional<double> cost_g;
  std::optional<double>
      holds_on_mean;  // 1: also at the mean of the last day; 0: not; none: unknown
  // CPU, of a reservation: in vCPUs.
  double requested_vcpus = 0;
  double suggested_vcpus = 0;
  double peak_vcpus = 0;
  // What became of it.
  std::int64_t evictions = 0;
  Timestamp last_eviction;        // where there was one
  std::int64_t there_before = 0;  // pods that were there when it was opened
  std::int64_t moved = 0;         // pods that came there since
  // Report ledger, measured while it was advised and after it was done.
  std::optional<double> before_eur;
  std::optional<double> before_g;
  std::optional<double> after_eur;
  std::optional<double> after_g;
  double after_hours = 0;  // so much of the mean is in the last two
};

// "aws/eu-west-3" and so on as 16 hexadecimal digits.
std::string AdviceId(AdviceKind kind, std::string_view namespace_name, std::string_view workload,
                     std::string_view from, std::string_view to);

// Advice in a database whose schema is up to date. For one thread at a time, as its database.
class AdviceStore {
 public:
  explicit AdviceStore(Database& database) : database_(database) {}
  // Adds, or replaces what has the same id and opening; all or nothing.
  Status Save(const std::vector<Advice>& advice, const std::vector<PlaceHistory::Step>& steps);
  // What changed its state or held since, newest first, at most `most`.
  Result<std::vector<Advice>> Read(Timestamp since, std::int64_t most);
  Result<std::vector<PlaceHistory::Step>> ReadSteps(Timestamp since);
  // Forgets what was closed, and steps that began, before.
  Status Forget(Timestamp closed, Timestamp steps);

 private:
  Database& database_;
};

}  // namespace sobre
