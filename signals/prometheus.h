#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "net/http_client.h"
#include "scoring/snapshot.h"

namespace sobre {

// One configured query: which signal it feeds, and which labels say what it is about.
struct SignalQuery {
  Signal signal = Signal::kNodePower;
  // What owners call it in `request-source`, and decisions in their sources.
  std::string name = "prometheus";
  // PromQL whose result is already in the signal's unit.
  std::string query;
  // PromQL for the time of each sample, with the same labels. Empty: found by itself for a plain
  // selector, else the moment of evaluation counts.
  std::string time_query;
  std::string node_label = "node";
  std::string provider_label = "provider";
  std::string region_label = "region";
  std::string zone_label = "zone";
  std::string namespace_label = "namespace";
  std::string workload_label = "workload";
  std::string model_label = "model";
  std::string hardware_class_label = "hardware_class";
  std::string ahead_label = "ahead";  // of a forecast: "6h"
  std::string currency;               // ISO 4217 of a price; empty: euros
};

struct PrometheusOptions {
  std::string url;  // "http://prometheus:9090"
  Duration timeout = std::chrono::seconds(5);
  std::size_t max_response_bytes = 64U << 20;
};

// What one round of all queries gave. A query that failed left its sentence, and nothing else.
struct Harvest {
  std::vector<Observation> observations;
  std::vector<std::string> problems;
};

// Asks one Prometheus (or what speaks its API). Not thread-safe; blocks for at most the time-out by
// query.
class Prometheus {
 public:
  explicit Prometheus(PrometheusOptions options) : options_(std::move(options)) {}
  // `now` dates the samples of queries that tell no time of their own.
  Harvest Collect(const std::vector<SignalQuery>& queries, Timestamp now);

 private:
  struct Sample;
  static void Name(const Sample& sample, const SignalQuery& query, Observation& seen);
  Result<std::vector<Sample>> Query(const std::string& promql);
  Status CollectOne(const SignalQuery& query, Timestamp now, std::vector<Observation>& out);

  PrometheusOptions options_;
  HttpClient client_;
};

// True for a metric name with or without matchers: `timestamp()` of it is the sample's own time.
bool IsPlainSelector(std::string_view promql);

}  // namespace sobre
