#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "net/http_client.h"
#include "scoring/signal.h"
#include "signals/vector_reader.h"

namespace sobre {

// By which labels servers with several clusters tell them apart. Presets keep them in what they
// aggregate, so that equal names of two clusters are never added up.
inline constexpr std::string_view kClusterLabels =
    "cluster, cluster_id, cluster_name, k8s_cluster_name, k8s_cluster, kubernetes_cluster, "
    "clusterID";

// One configured query: which signal it feeds, and which labels say what it is about. A label may
// be a list ("node, instance"): the first that is not empty counts.
struct SignalQuery {
  Signal signal = Signal::kNodePower;
  // What owners call it in `request-source`, and decisions in their sources.
  std::string name = "prometheus";
  std::string query;
  // PromQL for the time of each sample, with the same labels. Empty: found by itself for a plain
  // selector, else the moment of evaluation counts.
  std::string time_query;
  // PromQL for how often each counter began anew, with the same labels; empty: not asked.
  std::string resets_query;
  // The metric that must be there for the query to be asked; empty: asked always.
  std::string needs;
  // To the signal's own unit.
  double factor = 1;
  std::string currency;  // ISO 4217 of a price; empty: euros
  Method method = Method::kMeasured;
  std::int32_t rank = 0;
  Duration max_age{0};  // 0: the signal's own
  bool of_all_replicas = false;
  bool broad = false;  // see Observation
  std::string node_label = "node";
  std::string provider_label = "provider";
  std::string region_label = "region";
  std::string zone_label = "zone";
  std::string namespace_label = "namespace";
  std::string workload_label = "workload";
  std::string pod_label = "pod";
  std::string model_label = "model";
  std::string hardware_class_label = "hardware_class";
  std::string ahead_label = "ahead";  // of a forecast: "6h"
  std::string estimated_label;        // "true" there: an estimate
  std::string spot_label;             // "true" there: a spot price already
  std::string role_label;             // "prefill" or "decode"
  std::string cluster_label{kClusterLabels};
  bool may_be_step = false;  // see Observation
};

// How to reach one Prometheus, or what speaks its API.
struct PrometheusOptions {
  std::string name;
  std::string url;  // "http://prometheus:9090"
  Duration timeout = std::chrono::seconds(5);
  std::size_t max_response_bytes = 64U << 20;
  // Files are read again at every round, as tokens and certificates rotate. Empty: not used.
  std::string bearer_token_file;
  std::string username;
  std::string password_file;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  bool insecure_skip_verify = false;
  std::string tenant;  // X-Scope-OrgID
  // Matchers of PromQL that hold for all presets (`cluster="prod",`), where a server has several
  // clusters.
  std::string match;
};

// What one query gave.
struct QueryAnswer {
  std::vector<Observation> observations;
  std::int64_t series = 0;
  // Series that have ended: they still count in a window, but have no sample of their own any more.
  std::int64_t ended = 0;
  // Series that do not say what they are about, and the labels that such a one has instead.
  std::int64_t nameless = 0;
  std::string nameless_labels;
  std::vector<std::string> warnings;
  std::size_t bytes = 0;
};

// A failure, and whose it is.
struct QueryFailure {
  enum class Scope {
    kQuery,    // the query's own
    kUnclear,  // it took too long, or the server failed at it: others may go well
    kServer,   // nothing can be asked, or the server asks for less
  };
  Status status;
  Scope scope = Scope::kQuery;
  Duration retry_after{0};
};

// Asks one server. Not thread-safe; each call blocks for at most the time-out, or until `stop`.
class Prometheus {
 public:
  // `stop` ends a call within a second; it must outlive this.
  Prometheus(PrometheusOptions options, const std::atomic<bool>& stop);

  // Reads the files with credentials anew. An error leaves those that were read before.
  Status ReadCredentials();
  // Observations of one query; `now` dates those that tell no time of their own. With `at`, as of
  // that time in the past.
  std::optional<QueryFailure> Collect(const SignalQuery& query, Timestamp now,
                                      std::optional<Timestamp> at, QueryAnswer& answer);
  // Which of the metrics have series, and how many each. Those with a time are looked for that far
  // back: their samples may carry an old time.
  using Metrics = std::map<std::string, std::string>;  // how far back ("3h"), or empty
  std::optional<QueryFailure> Discover(const Metrics& metrics,
                                       std::map<std::string, std::int64_t>& found);
  // How far the server's clock was ahead of `now` when it last answered Collect().
  [[nodiscard]] Duration clock_ahead() const { return clock_ahead_; }
  [[nodiscard]] const PrometheusOptions& options() const { return options_; }

 private:
  using Times = std::map<std::string, double, std::less<>>;
  std::optional<QueryFailure> Ask(const std::string& promql, std::optional<Timestamp> at,
                                  const VectorReader::Take& take, QueryAnswer& answer);
  std::optional<QueryFailure> AskNumbers(const std::string& promql, std::optional<Timestamp> at,
                                         Times& numbers, QueryAnswer& answer);

  const PrometheusOptions options_;
  const std::atomic<bool>& stop_;
  TlsOptions tls_;
  std::vector<std::string> headers_;
  std::string password_;
  std::unique_ptr<HttpClient> client_;
  std::optional<Timestamp> evaluated_;  // by the server's clock
  Duration clock_ahead_{0};
};

// True for the name of a metric, and nothing more.
bool IsMetricName(std::string_view text);
// True for a metric name with or without matchers: `timestamp()` of it is the sample's own time.
bool IsPlainSelector(std::string_view promql);

}  // namespace sobre
