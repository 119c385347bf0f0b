#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backtest/replay.h"

namespace sobre::backtest {

// Per vCPU-hour that was reserved; nothing where none was.
std::optional<double> GramsPerVcpuHour(const Figures& figures);
std::optional<double> EurosPerVcpuHour(const Figures& figures);
// Grams per 1,000 requests, and euros; nothing where none was counted.
std::optional<double> GramsPerThousandRequests(const Figures& figures);
std::optional<double> EurosPerThousandRequests(const Figures& figures);

// How far a grid moves within a day, as a share of the day's mean: the mean over all days; nothing
// for less than a day.
std::optional<double> DailySwing(const Hourly& series);

// In sentences: variants that do worse than the first by their own measure, waiting that gains
// nothing on the grids that the cluster draws from, pods that find no place where the first variant
// had one. Outcomes stand as variants do.
std::vector<std::string> WarningsAbout(const Scenario& scenario, const std::set<std::string>& grids,
                                       const std::vector<Outcome>& outcomes);

}  // namespace sobre::backtest
