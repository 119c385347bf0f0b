#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "extender/budgets.h"
#include "k8s/kubeconfig.h"
#include "k8s/node_origin.h"
#include "net/http_server.h"
#include "scoring/offers.h"
#include "scoring/policy.h"
#include "scoring/snapshot.h"
#include "signals/collector.h"
#include "signals/yaml_section.h"

namespace sobre {

// Everything that `sobre serve --config FILE` reads. The defaults are what an empty file gives.
struct Config {
  struct Listen {
    std::string extender = "0.0.0.0:8090";
    std::string status = "0.0.0.0:8091";
    // 0: 32, or less where the memory limit is small (extender/serve.cc).
    std::int64_t max_body_megabytes = 0;
    std::int64_t max_connections = 64;
    // Names by which both ports may be called, beside addresses, localhost and the machine's.
    std::vector<std::string> hosts;
    // After SIGTERM, how long answers still go out, each closing its connection.
    Duration shutdown_grace = std::chrono::seconds(5);
    // Of the extender port; nothing: plain HTTP.
    std::optional<ServerTls::Options> tls;
    // The status port asks the API server who may see what (extender/access.h).
    bool status_needs_token = false;
  } listen;
  struct LogSection {
    LogLevel level = LogLevel::kInfo;
  } log;
  // Of sobre-grpc, which reads the same file.
  struct Grpc {
    std::string listen = "0.0.0.0:8092";
    std::optional<ServerTls::Options> tls;  // nothing: on a loopback address alone
    std::int64_t max_message_megabytes = 128;
    std::int64_t max_streams = 16;
    // Status ports of services whose decisions are streamed ("http://sobre:8091").
    std::vector<std::string> decisions;
    // Whose token they are asked with; empty: none.
    std::string decisions_token_file;
  } grpc;
  struct Kubernetes {
    std::string kubeconfig;  // empty: the pod's own service account
    std::string context;
    std::string default_provider;
    std::vector<ProviderRule> providers;
  } kubernetes;
  struct PrometheusSection {
    std::vector<ServerPlan> servers;  // none: no Prometheus
    CollectorOptions options;
  } prometheus;
  // The same section says when gates open.
  struct Deferral {
    Duration check = std::chrono::seconds(5);
    std::string lease_namespace;  // empty: the pod's own, else kube-system
    Duration lease_duration = std::chrono::seconds(15);
    bool write_affinity = true;
  } deferral;
  // What running pods take, added up where the records are.
  struct Accounting {
    bool enabled = true;
    Duration every = std::chrono::seconds(15);
    Duration flush = std::chrono::seconds(60);
    // The longest time without a look that counts at the rates seen after it.
    Duration bridge = std::chrono::minutes(15);
    // The label of pods and namespaces that names their team; empty: none.
    std::string team_label;
  } accounting;
  std::vector<Budget> budgets;
  // What running workloads should do, and whether they are helped to.
  struct Moves {
    bool enabled = true;
    Duration every = std::chrono::minutes(1);
    // The cost of a move is spread over so long, of which so long old and new run beside each
    // other.
    Duration horizon = std::chrono::hours(24);
    Duration restart_cost = std::chrono::minutes(2);
    std::int64_t min_gain_percent = 10;
    double min_eur_per_hour = 0.0001;
    double min_gco2e_per_hour = 0.1;
    // Advice that is acted on must hold at the mean of so long too.
    Duration window = std::chrono::hours(24);
    Duration measure = std::chrono::hours(1);
    bool evict = false;
    std::int64_t max_evictions_per_hour = 6;
    Duration min_time_between = std::chrono::hours(6);
    Duration replaced_within = std::chrono::minutes(15);
  } moves;
  // Clusters of an Open Cluster Management hub, which are scored for a reference workload.
  struct Clusters {
    bool enabled = false;
    std::string object = "sobre";  // name of the AddOnPlacementScore in each cluster's namespace
    Duration every = std::chrono::minutes(1);
    Duration valid_for = std::chrono::minutes(5);
    std::string kubeconfig;  // of the hub; empty: the cluster that is watched is the hub
    std::string context;
    PodFacts workload;
    Policy policy;               // the cluster's, under the workload's annotations
    std::vector<Offer> managed;  // what a machine of each is; the name is the cluster's
  } clusters;
  struct Backtests {
    std::string directory;  // of results as `sobre backtest --format json` prints them; empty: none
  } backtests;
  struct CatalogSection {
    std::string directory;  // files like scoring/catalog/*.csv, whose rows have precedence
  } catalog;
  struct Records {
    std::string directory;  // empty: decisions are not kept
    // Shared by all replicas: libpq's connection; the directory then holds what has not reached it.
    std::string postgres;
    std::string postgres_password_file;
    std::string name;  // of this replica; empty: the host's
    Duration keep = std::chrono::hours(24 * 400);
    std::int64_t max_megabytes = 10'000;
    Duration seal_every = std::chrono::minutes(10);
    std::string signing_key_file;
    std::string head_config_map;  // "namespace/name"; empty: heads are published as metrics alone
    // By how much kube-scheduler's profile multiplies our scores, to say why it took another node.
    std::int64_t extender_weight = 25;
  } records;
  std::vector<CurrencyRate> currencies;
  Policy policy;
  // Limits rely on labels and provider ids that a kubelet can set on its own node.
  bool trust_node_labels = false;
  // The embedded rows, after those of catalog.directory.
  std::shared_ptr<const Catalog> rows = SnapshotInput::EmbeddedCatalog();

  // Usage is accounted for by every replica, each in its own file.
  [[nodiscard]] bool AccountsByReplica() const {
    return accounting.enabled && !records.directory.empty() && records.postgres.empty();
  }
  // Whose nodes are, for every reader of nodes.
  [[nodiscard]] NodeOrigins Origins() const;
  // A snapshot's input that knows what the configuration says, and nothing else yet.
  [[nodiscard]] SnapshotInput NewInput(Timestamp now) const;
};

// The keys of the section `policy`, laid over what `policy` says. Throws Mistake.
void ReadClusterPolicy(YamlSection& section, Policy& policy);

// Strict: an unknown key, a wrong type or an impossible value is an error that names file, line and
// key, and the nearest key that exists.
Result<Config> ParseConfig(std::string_view yaml, std::string_view file_name);
// Also loads the catalogue's own rows; their directory is relative to the file.
Result<Config> LoadConfig(const std::string& path);
class CommandLine;
// The file that --config names, else the defaults.
Result<Config> ConfigOf(const CommandLine& line);
// How to reach the cluster that it names, or the one that we run in.
Result<ApiAccess> AccessOf(const Config& config);
// How to reach the hub of its clusters.
Result<ApiAccess> HubOf(const Config& config);

}  // namespace sobre
