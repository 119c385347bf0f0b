#include "extender/config.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "extender/command_line.h"
#include "extender/offer_file.h"
#include "k8s/quantity.h"
#include "scoring/place_history.h"
#include "signals/preset.h"
#include "signals/yaml_section.h"

namespace sobre {
namespace {

using Section = YamlSection;

// The cluster's voice: what the section says, key by key, as the annotations of those names say it.
class ClusterVoice {
 public:
  explicit ClusterVoice(Section& section) : section_(section) {}

  void Read(const char* key, const char* annotation) {
    if (const YAML::Node value = section_.Scalar(key))
      Add(value, section_.Path(key), {annotation, value.Scalar()}, "");
  }
  // Any annotation of the table.
  void ReadAll(const char* key) {
    const YAML::Node map = section_.Take(key);
    if (!map || map.IsNull()) return;
    const std::string path = section_.Path(key);
    if (!map.IsMap()) Section::Fail(map, path + ": expected a mapping of annotations");
    for (const auto& entry : map) {
      const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (name.starts_with(kAnnotationPrefix))
        Section::Fail(entry.first, path + ": '" + Printable(name, 63) +
                                       "' stands here without the prefix " +
                                       std::string(kAnnotationPrefix));
      Add(entry.first, path, {name, entry.second.IsScalar() ? entry.second.Scalar() : ""}, path);
    }
  }
  // All at once: what is enforced holds against who comes nearer, not against the next key here.
  void Speak(Policy& policy) const {
    std::vector<std::string> problems;
    ApplyAnnotations(said_, Origin::kCluster, "cluster", policy, problems);
    if (!problems.empty()) section_.FailHere(problems.front());
  }

 private:
  // By itself first, so that a mistake is told with its line.
  void Add(const YAML::Node& where, const std::string& path, Annotation annotation,
           std::string_view owner) {
    for (const Annotation& other : said_) {
      if (other.key == annotation.key)
        Section::Fail(where, path + ": '" + Printable(other.key, 63) + "' stands there twice");
    }
    Policy alone;
    std::vector<std::string> problems;
    ApplyAnnotations({annotation}, Origin::kCluster, owner, alone, problems);
    if (!problems.empty()) {
      const std::string& problem = problems.front();
      Section::Fail(where, owner.empty() ? path + problem.substr(problem.find(": ", 2)) : problem);
    }
    said_.push_back(std::move(annotation));
  }

  Section& section_;
  Annotations said_;
};

void AddPreset(const YAML::Node& where, std::string_view name, const PresetParameters& parameters,
               bool automatic, ServerPlan& plan) {
  Result<Preset> preset = LoadPreset(name, parameters);
  if (!preset.ok()) Section::Fail(where, preset.status().message());
  // One that is named is meant, also if `auto` stands beside it.
  for (ServerPlan::WantedPreset& wanted : plan.presets) {
    if (wanted.preset.name != name) continue;
    if (!automatic) wanted = {*std::move(preset), false};
    return;
  }
  plan.presets.push_back({*std::move(preset), automatic});
}

// `auto`, `none`, or a list of names and of mappings {preset: NAME, PARAMETER: VALUE}.
void ReadPresets(Section& section, const std::string& window, ServerPlan& plan) {
  constexpr const char* kKey = "presets";
  const PresetParameters common{{"window", window}, {"match", plan.server.match}};
  const YAML::Node value = section.Take(kKey);
  const auto add_word = [&](const YAML::Node& where, const std::string& word) {
    if (word == "none") return;
    if (word != "auto") {
      AddPreset(where, word, common, false, plan);
      return;
    }
    // Without a server nobody is asked: reading them takes longer than all else here.
    if (plan.server.url.empty()) return;
    for (const std::string_view name : PresetNames()) AddPreset(where, name, common, true, plan);
  };
  if (!value || value.IsNull()) {
    add_word(value, "auto");
    return;
  }
  if (value.IsScalar()) {
    add_word(value, value.Scalar());
    return;
  }
  if (!value.IsSequence())
    Section::Fail(value, section.Path(kKey) + ": expected auto, none or a list of presets");
  for (const YAML::Node& item : value) {
    if (item.IsScalar()) {
      add_word(item, item.Scalar());
      continue;
    }
    if (!item.IsMap() || !item["preset"] || !item["preset"].IsScalar())
      Section::Fail(item, section.Path(kKey) + ": expected a name, or a mapping with `preset`");
    PresetParameters parameters = common;
    for (const auto& entry : item) {
      const std::string key = entry.first.Scalar();
      if (key == "preset") continue;
      if (!entry.second.IsScalar())
        Section::Fail(entry.second, section.Path(kKey) + "." + key + ": expected a single value");
      parameters[key] = entry.second.Scalar();
    }
    AddPreset(item, item["preset"].Scalar(), parameters, false, plan);
  }
}

// {match: {provider_id: …, instance_type: …, region: …, labels: {KEY: VALUE}}, provider: NAME,
// machine: virtual or server}.
ProviderRule ReadProviderRule(Section& section) {
  ProviderRule rule;
  Section match = section.Sub("match");
  match.Read("provider_id", rule.provider_id);
  match.Read("instance_type", rule.instance_type);
  match.Read("region", rule.region);
  const YAML::Node labels = match.Take("labels");
  if (labels && !labels.IsNull()) {
    if (!labels.IsMap())
      Section::Fail(labels, match.Path("labels") + ": expected a mapping of labels");
    for (const auto& entry : labels) {
      if (!entry.first.IsScalar() || !entry.second.IsScalar() || entry.first.Scalar().empty())
        Section::Fail(entry.first, match.Path("labels") + ": expected labels and their values");
      rule.labels.emplace_back(entry.first.Scalar(), entry.second.Scalar());
    }
  }
  match.Done();
  if (rule.provider_id.empty() && rule.instance_type.empty() && rule.region.empty() &&
      rule.labels.empty())
    section.FailHere("match: expected provider_id, instance_type, region or labels");
  section.Read("provider", rule.provider);
  if (rule.provider.empty()) section.FailHere("provider: whose are the nodes that match?");
  if (const YAML::Node machine = section.Scalar("machine")) {
    if (machine.Scalar() != "virtual" && machine.Scalar() != "server")
      Section::Fail(machine, section.Path("machine") + ": expected virtual or server");
    rule.machine = machine.Scalar() == "server" ? MachineKind::kServer : MachineKind::kVirtual;
  }
  return rule;
}

// {cluster: prod} as `cluster="prod",`.
std::string ReadMatchers(Section& section) {
  constexpr const char* kKey = "matchers";
  const YAML::Node map = section.Take(kKey);
  std::string match;
  if (!map || map.IsNull()) return match;
  if (!map.IsMap()) Section::Fail(map, section.Path(kKey) + ": expected a mapping of labels");
  for (const auto& entry : map) {
    const std::string label = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (!IsMetricName(label) || label.find(':') != std::string::npos || !entry.second.IsScalar())
      Section::Fail(entry.first, section.Path(kKey) + ": expected labels and their values");
    match += label + "=\"";
    for (const char c : entry.second.Scalar()) {
      if (c == '\n') {
        match += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') match += '\\';
      match += c;
    }
    match += "\",";
  }
  return match;
}

// One server: at the root of the section, or an entry of its list.
ServerPlan ReadServer(Section& section, const std::string& window) {
  ServerPlan plan;
  PrometheusOptions& server = plan.server;
  section.Read("name", server.name);
  section.Read("url", server.url);
  while (server.url.ends_with('/')) server.url.pop_back();
  if (!server.url.empty() && !server.url.starts_with("http://") &&
      !server.url.starts_with("https://"))
    section.FailHere("url: expected http:// or https://");
  if (const std::size_t host = server.url.find("://");
      host != std::string::npos &&
      server.url.substr(host + 3, server.url.find('/', host + 3) - host - 3).find('@') !=
          std::string::npos)
    section.FailHere("url: a name and password there would be printed; say them in basic_auth");
  if (server.url.find_first_of("?#") != std::string::npos)
    section.FailHere("url: expected the API's root; what follows ? or # would be printed");
  section.Read("timeout", server.timeout);
  std::int64_t megabytes = static_cast<std::int64_t>(server.max_response_bytes >> 20);
  section.Read("max_response_megabytes", 1, 4096, megabytes);
  server.max_response_bytes = static_cast<std::size_t>(megabytes) << 20;
  section.Read("bearer_token_file", server.bearer_token_file);
  section.Read("tenant", server.tenant);
  Section basic = section.Sub("basic_auth");
  basic.Read("username", server.username);
  basic.Read("password_file", server.password_file);
  basic.Done();
  if (!server.username.empty() && !server.bearer_token_file.empty())
    section.FailHere("basic_auth and bearer_token_file: one of them");
  Section tls = section.Sub("tls");
  tls.Read("ca_file", server.ca_file);
  tls.Read("certificate_file", server.certificate_file);
  tls.Read("key_file", server.key_file);
  tls.Read("insecure_skip_verify", server.insecure_skip_verify);
  tls.Done();
  if (server.certificate_file.empty() != server.key_file.empty())
    section.FailHere("tls: certificate_file and key_file go together");
  server.match = ReadMatchers(section);
  ReadPresets(section, window, plan);
  section.ForEach("signals",
                  [&](Section& signal) { plan.queries.push_back(ReadSignalQuery(signal)); });
  if (server.url.empty() && !plan.queries.empty()) section.FailHere("signals, but no url");
  return plan;
}

void ReadPrometheus(Section& section, Config::PrometheusSection& prometheus) {
  CollectorOptions& options = prometheus.options;
  section.Read("refresh", options.refresh);
  section.Read("discover", options.discover);
  Section calibration = section.Sub("calibration");
  calibration.Read("past_moments", 0, 1000, options.past_moments);
  calibration.Read("past_step", options.past_step);
  calibration.Done();
  std::string window = "5m";
  section.Read("rate_window", window);
  if (!IsPromqlDuration(window))
    section.FailHere("rate_window: expected a duration of PromQL, such as 5m or 90s");
  ServerPlan only = ReadServer(section, window);
  if (!only.server.url.empty()) prometheus.servers.push_back(std::move(only));
  section.ForEach("servers", [&](Section& entry) {
    ServerPlan plan = ReadServer(entry, window);
    if (plan.server.url.empty()) entry.FailHere("there is no url");
    prometheus.servers.push_back(std::move(plan));
  });
  for (std::size_t i = 0; i < prometheus.servers.size(); ++i) {
    std::string& name = prometheus.servers[i].server.name;
    if (name.empty()) name = std::to_string(i + 1);
    for (std::size_t j = 0; j < i; ++j) {
      if (prometheus.servers[j].server.name == name)
        section.FailHere("two servers are named '" + Printable(name, 60) + "'");
    }
  }
}

void ReadCurrency(Section& section, Config& config) {
  CurrencyRate rate;
  section.Read("currency", rate.currency);
  const bool code =
      rate.currency.size() == 3 && std::all_of(rate.currency.begin(), rate.currency.end(),
                                               [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!code || rate.currency == "EUR")
    section.FailHere("currency: expected an ISO 4217 code other than EUR, such as USD");
  for (const CurrencyRate& other : config.currencies)
    if (other.currency == rate.currency)
      section.FailHere("currency: " + rate.currency + " stands there twice");
  std::string euros;
  section.Read("eur", euros);
  const std::optional<double> number = ParseNumber(euros);
  if (!number || *number <= 0)
    section.FailHere("eur: expected what one unit is worth, such as 0.92");
  rate.euros = *number;
  section.Read("date", rate.date);
  if (!ParseTime(rate.date + "T00:00:00Z"))
    section.FailHere("date: expected the day of the rate, such as 2026-11-01");
  config.currencies.push_back(std::move(rate));
}

void ReadRecords(Section& section, Config::Records& records) {
  section.Read("directory", records.directory);
  section.Read("postgres", records.postgres);
  section.Read("postgres_password_file", records.postgres_password_file);
  section.Read("name", records.name);
  section.Read("keep", records.keep);
  section.Read("max_megabytes", 1, 10'000'000, records.max_megabytes);
  section.Read("seal_every", records.seal_every);
  section.Read("signing_key_file", records.signing_key_file);
  section.Read("head_config_map", records.head_config_map);
  section.Read("extender_weight", 1, 1'000'000, records.extender_weight);
  if (!records.postgres.empty() && records.directory.empty())
    section.FailHere("postgres: also needs directory, for what has not reached it yet");
  const std::string& map = records.head_config_map;
  if (!map.empty() && (Split(map, '/').size() != 2 || map.front() == '/' || map.back() == '/'))
    section.FailHere("head_config_map: expected namespace/name");
}

std::optional<double> ReadAmount(Section& section, const char* key) {
  const YAML::Node value = section.Scalar(key);
  if (!value) return std::nullopt;
  // More than the world has; sums of it stay numbers.
  constexpr double kMost = 1e15;
  const std::optional<double> number = ParseNumber(value.Scalar());
  if (!number || *number <= 0 || *number > kMost) {
    Section::Fail(value, section.Path(key) + ": '" + Printable(value.Scalar(), 40) +
                             "' is no amount over 0 and up to 1e15, such as 500");
  }
  return number;
}

void ReadBudget(Section& section, Config& config) {
  Budget budget;
  section.Read("namespace", budget.namespace_name);
  section.Read("team", budget.team);
  budget.eur = ReadAmount(section, "eur_per_month");
  budget.grams = ReadAmount(section, "kg_co2e_per_month");
  section.Done();
  if (budget.namespace_name.empty() == budget.team.empty())
    section.FailHere("expected either a namespace or a team");
  if (!budget.team.empty() && config.accounting.team_label.empty())
    section.FailHere("team: accounting.team_label does not say which label names it");
  if (budget.grams) *budget.grams *= 1000;
  if (!budget.eur && !budget.grams)
    section.FailHere("expected eur_per_month, kg_co2e_per_month or both");
  for (const Budget& other : config.budgets)
    if (NameOf(other) == NameOf(budget))
      section.FailHere(Printable(NameOf(budget), 80) + " has two budgets");
  if (config.records.directory.empty() || !config.accounting.enabled)
    section.FailHere("nothing is accounted for: records.directory is empty, or accounting is off");
  config.budgets.push_back(std::move(budget));
}

void ReadAccounting(Section& section, Config::Accounting& accounting) {
  section.Read("enabled", accounting.enabled);
  section.Read("every", accounting.every);
  section.Read("flush", accounting.flush);
  section.Read("bridge", accounting.bridge);
  section.Read("team_label", accounting.team_label);
  if (accounting.every < std::chrono::seconds(1)) section.FailHere("every: expected 1s or more");
  if (accounting.flush < accounting.every) section.FailHere("flush: expected no less than every");
  if (accounting.bridge < accounting.every * 2)
    section.FailHere("bridge: expected twice every, or more");
}

void ReadMoves(Section& section, Config::Moves& moves) {
  section.Read("enabled", moves.enabled);
  section.Read("every", moves.every);
  section.Read("horizon", moves.horizon);
  section.Read("restart_cost", moves.restart_cost);
  section.Read("min_gain_percent", 0, 1000, moves.min_gain_percent);
  if (const auto least = ReadAmount(section, "min_eur_per_hour")) moves.min_eur_per_hour = *least;
  if (const auto least = ReadAmount(section, "min_gco2e_per_hour"))
    moves.min_gco2e_per_hour = *least;
  section.Read("window", moves.window);
  section.Read("measure", moves.measure);
  section.Read("evict", moves.evict);
  section.Read("max_evictions_per_hour", 1, 3600, moves.max_evictions_per_hour);
  section.Read("min_time_between", moves.min_time_between);
  section.Read("replaced_within", moves.replaced_within);
  if (moves.window < moves.every * PlaceHistory::kSteps)
    section.FailHere("window: expected " + std::to_string(PlaceHistory::kSteps) +
                     " times every, or more");
  if (moves.evict && !moves.enabled)
    section.FailHere("evict: nothing is advised: enabled is false");
}

bool IsObjectName(const std::string& name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 253 && plain(name.front()) && plain(name.back()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return plain(c) || c == '-' || c == '.'; });
}

bool IsHostName(const std::string& name) {
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

// The pod that clusters are scored for; 2 vCPU and 4 GiB where nothing is said.
void ReadReferenceWorkload(Section& section, Config::Clusters& clusters) {
  PodFacts& pod = clusters.workload;
  pod.name = "reference";
  pod.requests = {2000, std::int64_t{4} << 30, 0, 0};
  const auto quantity = [&](const char* key, auto parse, std::int64_t& out) {
    const YAML::Node value = section.Scalar(key);
    if (!value) return;
    const std::optional<std::int64_t> number = parse(value.Scalar());
    if (!number || *number <= 0)
      Section::Fail(value, section.Path(key) + ": expected a quantity over 0, such as 2 or 4Gi");
    out = *number;
  };
  quantity("cpu", ParseMilliQuantity, pod.requests.millicpu);
  quantity("memory", ParseQuantity, pod.requests.memory_bytes);
  section.Read("gpus", 0, 1024, pod.requests.gpus);
  ClusterVoice voice(section);
  voice.ReadAll("annotations");
  voice.Speak(clusters.policy);
  section.Done();
}

Offer ReadManagedCluster(Section& section) {
  Offer cluster = ReadOffer(section);
  const std::string& name = cluster.facts.name;
  if (!IsObjectName(name) || name.find('.') != std::string::npos || name.size() > 63)
    section.FailHere("name: expected that of a managed cluster, which is its namespace's too");
  if (cluster.facts.allocatable.millicpu > 0) return cluster;
  if (cluster.own) section.FailHere("own: the size of the machine is needed: cpu and memory");
  const StandardMachine standard;
  const std::int64_t gpus = cluster.facts.allocatable.gpus;
  cluster.facts.allocatable = standard.size;
  cluster.facts.allocatable.gpus = gpus;
  if (!cluster.host && cluster.facts.instance_type.empty()) cluster.host = standard.host;
  return cluster;
}

void ReadClusters(Section& section, Config& config) {
  Config::Clusters& clusters = config.clusters;
  clusters.policy = config.policy;
  section.Read("enabled", clusters.enabled);
  section.Read("object", clusters.object);
  section.Read("every", clusters.every);
  section.Read("valid_for", clusters.valid_for);
  section.Read("kubeconfig", clusters.kubeconfig);
  section.Read("context", clusters.context);
  Section workload = section.Sub("workload");
  ReadReferenceWorkload(workload, clusters);
  section.ForEach("managed", [&](Section& entry) {
    Offer cluster = ReadManagedCluster(entry);
    for (const Offer& other : clusters.managed) {
      if (other.facts.name == cluster.facts.name)
        entry.FailHere("name: '" + cluster.facts.name + "' stands there twice");
    }
    clusters.managed.push_back(std::move(cluster));
  });
  if (!IsObjectName(clusters.object))
    section.FailHere("object: expected a name of Kubernetes, such as sobre");
  if (clusters.valid_for < 2 * clusters.every)
    section.FailHere("valid_for: expected twice every, or more: one write may fail");
  if (!clusters.context.empty() && clusters.kubeconfig.empty())
    section.FailHere("context: also needs kubeconfig");
}

// A server's `tls`; nothing where it is absent.
std::optional<ServerTls::Options> ReadServerTls(Section& server) {
  const YAML::Node map = server.Take("tls");
  if (!map || map.IsNull()) return std::nullopt;
  Section section(map, server.Path("tls"));
  ServerTls::Options tls;
  section.Read("certificate_file", tls.certificate_file);
  section.Read("key_file", tls.key_file);
  section.Read("client_ca_file", tls.client_ca_file);
  section.Read("client_names", tls.client_names);
  section.Read("check", tls.check);
  section.Done();
  if (tls.certificate_file.empty() || tls.key_file.empty())
    section.FailHere("certificate_file and key_file are both needed");
  if (!tls.client_names.empty() && tls.client_ca_file.empty())
    section.FailHere("client_names: also needs client_ca_file, which says who may state a name");
  return tls;
}

void ReadGrpc(Section& section, Config::Grpc& grpc) {
  section.Read("listen", grpc.listen);
  grpc.tls = ReadServerTls(section);
  section.Read("max_message_megabytes", 1, 1024, grpc.max_message_megabytes);
  section.Read("max_streams", 1, 1000, grpc.max_streams);
  section.Read("decisions", grpc.decisions);
  section.Read("decisions_token_file", grpc.decisions_token_file);
  if (grpc.tls && !grpc.tls->client_names.empty())
    section.FailHere("tls.client_names: here every client of client_ca_file is let in");
  for (std::string& url : grpc.decisions) {
    if (!url.starts_with("http://") && !url.starts_with("https://"))
      section.FailHere("decisions: expected http:// or https://");
    if (url.find_first_of("@?#") != std::string::npos)
      section.FailHere(
          "decisions: expected HOST:PORT and a path alone; a password would be printed");
    while (url.ends_with('/')) url.pop_back();
  }
}

void ReadLog(Section& section, Config::LogSection& log) {
  const YAML::Node value = section.Scalar("level");
  if (!value) return;
  const std::optional<LogLevel> level = ParseLogLevel(value.Scalar());
  if (!level) Section::Fail(value, "log.level: expected debug, info, warning or error");
  log.level = *level;
}

Config Read(const YAML::Node& root) {
  Config config;
  Section top(root, "");
  Section listen = top.Sub("listen");
  listen.Read("extender", config.listen.extender);
  listen.Read("status", config.listen.status);
  listen.Read("max_body_megabytes", 1, 1024, config.listen.max_body_megabytes);
  listen.Read("max_connections", 1, 500, config.listen.max_connections);
  listen.Read("hosts", config.listen.hosts);
  for (const std::string& host : config.listen.hosts)
    if (!IsHostName(host))
      listen.FailHere("hosts: '" + Printable(host, 80) +
                      "': expected a host name without scheme and port, such as sobre.example.com");
  listen.Read("shutdown_grace", config.listen.shutdown_grace);
  config.listen.tls = ReadServerTls(listen);
  if (const YAML::Node access = listen.Scalar("status_access")) {
    if (access.Scalar() != "open" && access.Scalar() != "token")
      Section::Fail(access, "listen.status_access: expected open or token");
    config.listen.status_needs_token = access.Scalar() == "token";
  }
  listen.Done();
  Section log = top.Sub("log");
  ReadLog(log, config.log);
  log.Done();
  Section grpc = top.Sub("grpc");
  ReadGrpc(grpc, config.grpc);
  grpc.Done();
  Section kubernetes = top.Sub("kubernetes");
  kubernetes.Read("kubeconfig", config.kubernetes.kubeconfig);
  kubernetes.Read("context", config.kubernetes.context);
  kubernetes.Read("default_provider", config.kubernetes.default_provider);
  kubernetes.ForEach("providers", [&](Section& rule) {
    config.kubernetes.providers.push_back(ReadProviderRule(rule));
  });
  kubernetes.Done();
  Section prometheus = top.Sub("prometheus");
  ReadPrometheus(prometheus, config.prometheus);
  prometheus.Done();
  Section deferral = top.Sub("deferral");
  deferral.Read("check", config.deferral.check);
  deferral.Read("lease_namespace", config.deferral.lease_namespace);
  deferral.Read("lease_duration", config.deferral.lease_duration);
  deferral.Read("write_affinity", config.deferral.write_affinity);
  deferral.Done();
  Section records = top.Sub("records");
  ReadRecords(records, config.records);
  records.Done();
  Section accounting = top.Sub("accounting");
  ReadAccounting(accounting, config.accounting);
  accounting.Done();
  Section moves = top.Sub("moves");
  ReadMoves(moves, config.moves);
  moves.Done();
  top.ForEach("budgets", [&](Section& budget) { ReadBudget(budget, config); });
  Section backtests = top.Sub("backtests");
  backtests.Read("directory", config.backtests.directory);
  backtests.Done();
  Section catalog = top.Sub("catalog");
  catalog.Read("directory", config.catalog.directory);
  catalog.Done();
  top.ForEach("currencies", [&](Section& rate) { ReadCurrency(rate, config); });
  Section policy = top.Sub("policy");
  ReadClusterPolicy(policy, config.policy);
  policy.Done();
  Section clusters = top.Sub("clusters");
  ReadClusters(clusters, config);
  clusters.Done();
  Section limits = top.Sub("limits");
  limits.Read("trust_node_labels", config.trust_node_labels);
  limits.Done();
  top.Done();
  return config;
}

// The directory's files before the embedded ones, in the order of their names.
Result<Catalog> LoadCatalogRows(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".csv") paths.push_back(entry.path().string());
  }
  if (error) return Status::NotFound(directory.string() + ": " + error.message());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> texts;
  texts.reserve(paths.size());
  std::vector<EmbeddedFile> files;
  for (const std::string& path : paths) {
    Result<std::string> text = ReadFile(path);
    if (!text.ok()) return text.status();
    texts.push_back(*std::move(text));
    files.push_back({path.c_str(), texts.back()});
  }
  const auto embedded = Catalog::EmbeddedFiles();
  files.insert(files.end(), embedded.begin(), embedded.end());
  return Catalog::Load(files);
}

}  // namespace

void ReadClusterPolicy(YamlSection& section, Policy& policy) {
  ClusterVoice voice(section);
  voice.Read("objective", "objective");
  voice.Read("cost_tolerance_percent", "cost-tolerance");
  voice.Read("carbon_price_eur_per_tonne", "carbon-price");
  voice.Read("expected_utilization", "expected-utilization");
  voice.ReadAll("annotations");
  voice.Read("enforced", "enforced");
  voice.Speak(policy);
}

Result<Config> ParseConfig(std::string_view yaml, std::string_view file_name) {
  Config config;
  const Status status =
      ReadYaml(yaml, file_name, [&](const YAML::Node& root) { config = Read(root); });
  if (!status.ok()) return status;
  return config;
}

Result<Config> LoadConfig(const std::string& path) {
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  Result<Config> config = ParseConfig(*text, path);
  if (!config.ok()) return config;
  // What the file names is relative to it.
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (ServerPlan& plan : config->prometheus.servers) {
    PrometheusOptions& server = plan.server;
    for (std::string* file : {&server.bearer_token_file, &server.password_file, &server.ca_file,
                              &server.certificate_file, &server.key_file})
      if (!file->empty()) *file = (folder / *file).string();
  }
  for (std::optional<ServerTls::Options>* tls : {&config->listen.tls, &config->grpc.tls}) {
    if (!*tls) continue;
    for (std::string* file :
         {&(*tls)->certificate_file, &(*tls)->key_file, &(*tls)->client_ca_file})
      if (!file->empty()) *file = (folder / *file).string();
  }
  for (std::string* file : {&config->records.directory, &config->records.signing_key_file,
                            &config->grpc.decisions_token_file, &config->backtests.directory,
                            &config->records.postgres_password_file, &config->clusters.kubeconfig,
                            &config->kubernetes.kubeconfig})
    if (!file->empty()) *file = (folder / *file).string();
  if (config->catalog.directory.empty()) return config;
  const std::filesystem::path directory = folder / config->catalog.directory;
  Result<Catalog> rows = LoadCatalogRows(directory);
  if (!rows.ok()) return rows.status().WithContext("catalog.directory");
  config->rows = std::make_shared<const Catalog>(*std::move(rows));
  return config;
}

Result<Config> ConfigOf(const CommandLine& line) {
  if (!line.Has("--config")) return Config{};
  return LoadConfig(line.Get("--config"));
}

Result<ApiAccess> AccessOf(const Config& config) {
  return config.kubernetes.kubeconfig.empty()
             ? InClusterAccess()
             : LoadKubeconfig(config.kubernetes.kubeconfig, config.kubernetes.context);
}

Result<ApiAccess> HubOf(const Config& config) {
  const Config::Clusters& clusters = config.clusters;
  return clusters.kubeconfig.empty() ? AccessOf(config)
                                     : LoadKubeconfig(clusters.kubeconfig, clusters.context);
}

NodeOrigins Config::Origins() const {
  return {kubernetes.providers, kubernetes.default_provider, rows};
}

SnapshotInput Config::NewInput(Timestamp now) const {
  SnapshotInput input;
  input.time = now;
  input.rates = currencies;
  input.catalog = rows;
  input.trust_node_labels = trust_node_labels;
  return input;
}

}  // namespace sobre
