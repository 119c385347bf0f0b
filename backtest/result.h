#pragma once

#include <string>

#include "backtest/replay.h"

namespace sobre::backtest {

// For people: a table of the variants beside the first, where their pods ran, notes and warnings.
std::string ResultText(const Scenario& scenario, const Backtest& backtest);
// All figures, by hour too, as one line of JSON; docs/backtest.md names the fields.
std::string ResultJson(const Scenario& scenario, const Backtest& backtest);
// One page with charts that needs nothing else and runs no script.
std::string ResultHtml(const Scenario& scenario, const Backtest& backtest);

// Part of these: the mean of `count` that waited so long together, "2.1 h"; empty where none did.
std::string MeanHoursText(Hours together, std::int64_t count);

}  // namespace sobre::backtest
