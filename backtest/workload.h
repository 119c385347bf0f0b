#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "backtest/scenario.h"
#include "base/status.h"

namespace sobre::backtest {

// Work as a list, CSV with a head line and without quotes:
//   name,kind,arrives_hours,runs_hours,replicas,cpu,memory,gpus,requests_per_second,annotations
// kind is `service` or `job`; cpu and memory are quantities of one replica; annotations are
// `key=value` without the prefix, separated by `;`. An error names the line. By arrival.
Result<std::vector<Work>> ParseWork(std::string_view csv, std::string_view file_name);

// A series by hour: `hour,NAME,NAME,…`, then a line for each hour from 0 on, or a time (RFC 3339)
// in the first column. Hours that are missing are an error.
Result<std::map<std::string, Hourly>> ParseHourly(std::string_view csv, std::string_view file_name,
                                                  Timestamp start, std::int64_t hours);

// Work that is made up. Shares are of the vCPU-hours that are asked for.
struct Mix {
  double fill = 0.5;  // of the cluster's vCPUs, on average
  double services = 0.4;
  double inference = 0.3;  // services of many replicas, of which requests are counted
  double jobs = 0.3;
  // Jobs that may wait: their share, below which intensity, and how long at most.
  double waiting_share = 0.5;
  double wait_below = 0;  // gCO2e/kWh; 0: none waits
  std::int64_t max_delay_hours = 12;
  // Services whose data must stay: their share, and the countries.
  double bound_share = 0;
  std::string countries;
  // How much more than the mean comes at the busiest hour of the day, and how much of a working
  // day's work on a weekend day.
  double day_rhythm = 0.5;
  double weekend = 0.6;
  // That a replica asks for at least, and at most: services no more than 8 in any case.
  double smallest_vcpus = 0.25;
  double largest_vcpus = 16;
  double job_median_hours = 1;
};

// Poisson arrivals over the scenario's hours, with the rhythm of days and weeks; sizes and run
// times with a long tail. What runs for long is there from the start. The same seed gives the same
// work.
std::vector<Work> Generate(const Mix& mix, const std::vector<Pool>& pools, Timestamp start,
                           std::int64_t hours, std::uint64_t seed);

}  // namespace sobre::backtest
