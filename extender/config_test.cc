#include "extender/config.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace sobre {
namespace {

using ::testing::HasSubstr;

TEST(Config, EverythingHasADefault) {
  const auto config = ParseConfig("", "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->listen.extender, "0.0.0.0:8090");
  EXPECT_EQ(config->policy.objective, Objective::kBalanced);
}

TEST(Config, ReadsWhatIsSaid) {
  const auto config = ParseConfig(R"(
listen: {extender: "127.0.0.1:0", shutdown_grace: 100ms}
kubernetes: {kubeconfig: /tmp/k, default_provider: ovhcloud}
prometheus:
  url: http://localhost:9090/
  refresh: 10s
  signals:
    - {signal: node_price_per_hour, query: node_total_hourly_cost, node_label: instance, max_age: 1h}
policy: {objective: priced, cost_tolerance_percent: 5, carbon_price_eur_per_tonne: 80}
)",
                                  "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  ASSERT_EQ(config->prometheus.servers.size(), 1U);
  const ServerPlan& plan = config->prometheus.servers[0];
  EXPECT_EQ(plan.server.url, "http://localhost:9090");
  ASSERT_EQ(plan.queries.size(), 1U);
  EXPECT_EQ(plan.queries[0].node_label, "instance");
  EXPECT_EQ(plan.queries[0].max_age, std::chrono::hours(1));
  EXPECT_EQ(plan.presets.size(), PresetNames().size());
  EXPECT_TRUE(plan.presets[0].automatic);
  EXPECT_EQ(config->policy.objective, Objective::kPriced);
  EXPECT_DOUBLE_EQ(config->policy.cost_tolerance.value(), 0.05);
}

TEST(Config, RulesSayWhoseNodesAre) {
  const auto config = ParseConfig(R"(
kubernetes:
  default_provider: ovhcloud
  providers:
    - {match: {provider_id: "aws://*", labels: {pool: "safe*"}}, provider: outscale}
    - {match: {instance_type: "vm.*", region: lab}, provider: lab, machine: server}
)",
                                  "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  const NodeOrigins origins = config->Origins();
  EXPECT_EQ(origins.default_provider, "ovhcloud");
  EXPECT_EQ(origins.catalog, config->rows);
  ASSERT_EQ(origins.rules.size(), 2U);
  EXPECT_EQ(origins.rules[0].provider_id, "aws://*");
  ASSERT_EQ(origins.rules[0].labels.size(), 1U);
  EXPECT_EQ(origins.rules[0].labels[0], std::pair(std::string("pool"), std::string("safe*")));
  EXPECT_EQ(origins.rules[0].provider, "outscale");
  EXPECT_EQ(origins.rules[1].machine, MachineKind::kServer);
  const auto error = [](const std::string& rule) {
    return ParseConfig("kubernetes: {providers: [" + rule + "]}", "s").status().message();
  };
  EXPECT_THAT(error("{provider: x}"), HasSubstr("kubernetes.providers[0]: match: expected"));
  EXPECT_THAT(error("{match: {}, provider: x}"), HasSubstr("match: expected provider_id"));
  EXPECT_THAT(error("{match: {region: r}}"), HasSubstr("provider: whose"));
  EXPECT_THAT(error("{match: {regions: r}, provider: x}"), HasSubstr("regions"));
  EXPECT_THAT(error("{match: {labels: [a]}, provider: x}"), HasSubstr("mapping of labels"));
  EXPECT_THAT(error("{match: {region: r}, provider: x, machine: pet}"),
              HasSubstr("machine: expected virtual or server"));
}

TEST(Config, FilesAreRelativeToTheConfiguration) {
  const std::string folder = ::testing::TempDir() + "config-paths-" + std::to_string(::getpid());
  std::filesystem::create_directories(folder + "/rows");
  const std::string path = folder + "/sobre.yaml";
  std::ofstream(path) << R"(
listen: {tls: {certificate_file: a, key_file: b, client_ca_file: c}}
grpc: {tls: {certificate_file: d, key_file: e, client_ca_file: f}, decisions_token_file: g}
kubernetes: {kubeconfig: h}
prometheus:
  servers:
    - {name: one, url: http://p, bearer_token_file: i, presets: none, tls: {ca_file: j, certificate_file: k, key_file: l}}
    - {name: two, url: http://q, presets: none, basic_auth: {username: u, password_file: m}}
records: {directory: n, postgres: x, postgres_password_file: o, signing_key_file: p}
backtests: {directory: q}
catalog: {directory: rows}
clusters: {kubeconfig: r}
)";
  const auto config = LoadConfig(path);
  ASSERT_TRUE(config.ok()) << config.status().message();
  const PrometheusOptions& one = config->prometheus.servers.at(0).server;
  std::string names;
  for (const std::string& file :
       {config->listen.tls->certificate_file, config->listen.tls->key_file,
        config->listen.tls->client_ca_file, config->grpc.tls->certificate_file,
        config->grpc.tls->key_file, config->grpc.tls->client_ca_file,
        config->grpc.decisions_token_file, config->kubernetes.kubeconfig, one.bearer_token_file,
        one.ca_file, one.certificate_file, one.key_file,
        config->prometheus.servers.at(1).server.password_file, config->records.directory,
        config->records.postgres_password_file, config->records.signing_key_file,
        config->backtests.directory, config->clusters.kubeconfig}) {
    EXPECT_TRUE(file.starts_with(folder + "/")) << file;
    names += file.back();
  }
  EXPECT_EQ(names, "abcdefghijklmnopqr");
  // What is absolute stays.
  std::ofstream(path) << "kubernetes: {kubeconfig: /etc/k}\n";
  EXPECT_EQ(LoadConfig(path)->kubernetes.kubeconfig, "/etc/k");
  std::filesystem::remove_all(folder);
}

TEST(Config, ReadsWhatIsLogged) {
  EXPECT_EQ(ParseConfig("", "sobre.yaml")->log.level, LogLevel::kInfo);
  EXPECT_EQ(ParseConfig("log: {level: debug}", "sobre.yaml")->log.level, LogLevel::kDebug);
  const auto wrong = ParseConfig("log: {level: loud}", "sobre.yaml");
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.status().message(), HasSubstr("expected debug, info, warning or error"));
  EXPECT_FALSE(ParseConfig("log: {levels: info}", "sobre.yaml").ok());
}

TEST(Config, AMistakeIsOneLineOfText) {
  const auto config = ParseConfig("listen: \"a\\\x1b[2J\"", "sobre.yaml");
  EXPECT_THAT(config.status().message(), ::testing::StartsWith("sobre.yaml:1: unknown escape"));
  const std::string message = config.status().message();
  for (const char c : message) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
}

TEST(Config, WhatIsNoYamlEnds) {
  const auto error = [](std::string_view text) {
    return ParseConfig(text, "sobre.yaml").status().message();
  };
  EXPECT_EQ(error("\n,listen: {}\n"), "sobre.yaml:2: what stands here is no YAML");
  EXPECT_EQ(error("listen: {}\n...\n, x"), "sobre.yaml:3: a second document: one is expected");
  EXPECT_TRUE(ParseConfig("", "sobre.yaml").ok());
  EXPECT_TRUE(ParseConfig("---\nlisten: {}\n...\n", "sobre.yaml").ok());
}

TEST(Config, AnAmountIsANumberThatSumsCanBeMadeOf) {
  const auto config = ParseConfig(R"(
records: {directory: /var/lib/sobre}
budgets:
  - {namespace: shop, kg_co2e_per_month: 1e306}
)",
                                  "sobre.yaml");
  EXPECT_THAT(config.status().message(), HasSubstr("'1e306' is no amount over 0 and up to 1e15"));
}

TEST(Config, ReadsHowTheExtenderPortSpeaksTls) {
  EXPECT_FALSE(ParseConfig("listen: {tls: }", "sobre.yaml")->listen.tls);
  const auto config = ParseConfig(R"(
listen:
  tls: {certificate_file: /c, key_file: /k, client_ca_file: /ca, client_names: [a, b], check: 1m}
)",
                                  "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  const auto& tls = config->listen.tls;
  ASSERT_TRUE(tls);
  EXPECT_EQ(tls->certificate_file + tls->key_file + tls->client_ca_file, "/c/k/ca");
  EXPECT_THAT(tls->client_names, ::testing::ElementsAre("a", "b"));
  EXPECT_EQ(tls->check, std::chrono::minutes(1));
}

TEST(Config, HostsAreNames) {
  const auto config =
      ParseConfig("listen: {hosts: [sobre.sobre.svc, Sobre.example.com]}", "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_THAT(config->listen.hosts, ::testing::ElementsAre("sobre.sobre.svc", "Sobre.example.com"));
  for (const char* host : {"http://x", "x:80", "\"*.x\"", "\"\"", "\"x y\"", "\"[::1]\""}) {
    const auto wrong = ParseConfig("listen:\n  hosts: [" + std::string(host) + "]", "sobre.yaml");
    ASSERT_FALSE(wrong.ok()) << host;
    EXPECT_THAT(wrong.status().message(),
                HasSubstr("expected a host name without scheme and port"));
  }
}

// It was meant to be encrypted.
TEST(Config, AnIncompleteTlsSectionIsNeverPlainHttp) {
  for (const char* tls : {"{}", "{certificate_file: /c}", "{key_file: /k}",
                          "{certificate_file: /c, key_file: /k, client_names: [a]}"}) {
    const auto config = ParseConfig("listen:\n  tls: " + std::string(tls), "sobre.yaml");
    ASSERT_FALSE(config.ok()) << tls;
    EXPECT_THAT(config.status().message(), HasSubstr("sobre.yaml:2: listen.tls: "));
  }
}

TEST(Config, ReadsSeveralServersWithTheirCredentialsAndPresets) {
  const auto config = ParseConfig(R"(
prometheus:
  rate_window: 2m
  servers:
    - {name: fr, url: "https://fr:9090", bearer_token_file: /t, tls: {ca_file: /ca}, presets: none}
    - url: http://de:9090
      basic_auth: {username: u, password_file: /p}
      tenant: team
      matchers: {cluster: 'the "prod" one', region: eu}
      presets: [auto, {preset: opencost, currency: EUR}]
      signals:
        - {signal: node_watts, query: ipmi_watts, unit: mW, node_label: "host, instance"}
)",
                                  "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  ASSERT_EQ(config->prometheus.servers.size(), 2U);
  const ServerPlan& fr = config->prometheus.servers[0];
  EXPECT_EQ(fr.server.name, "fr");
  EXPECT_TRUE(fr.presets.empty());
  const ServerPlan& de = config->prometheus.servers[1];
  EXPECT_EQ(de.server.name, "2");
  EXPECT_EQ(de.server.tenant, "team");
  EXPECT_DOUBLE_EQ(de.queries[0].factor, 1e-3);
  EXPECT_EQ(de.server.match, R"(cluster="the \"prod\" one",region="eu",)");
  for (const auto& wanted : de.presets) {
    EXPECT_EQ(wanted.automatic, wanted.preset.name != "opencost");
    const SignalQuery& query = wanted.preset.queries[0];
    if (wanted.preset.name == "opencost") {
      EXPECT_EQ(query.currency, "");
    } else if (wanted.preset.name == "vllm") {
      EXPECT_THAT(query.query, HasSubstr("[2m]"));
    }
  }
}

TEST(Config, ReadsHowUsageIsAccountedForAndBudgets) {
  const auto config = ParseConfig(R"(
records: {directory: /var/lib/sobre}
accounting: {every: 10s, flush: 2m, bridge: 5m, team_label: example.org/team}
budgets:
  - {namespace: shop, eur_per_month: 500.5}
  - {team: research, kg_co2e_per_month: 2}
)",
                                  "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->records.directory, "/var/lib/sobre");
  EXPECT_TRUE(config->accounting.enabled);
  EXPECT_EQ(config->accounting.flush, std::chrono::minutes(2));
  EXPECT_EQ(config->accounting.team_label, "example.org/team");
  ASSERT_EQ(config->budgets.size(), 2U);
  EXPECT_EQ(config->budgets[0].eur, 500.5);
  EXPECT_FALSE(config->budgets[0].grams);
  EXPECT_EQ(config->budgets[1].team, "research");
  EXPECT_EQ(config->budgets[1].grams, 2000);
}

TEST(Config, BudgetsAreReadStrictly) {
  const auto error = [](const std::string& budgets, const std::string& rest = "") {
    return ParseConfig("records: {directory: r}\naccounting: {team_label: t" + rest +
                           "}\nbudgets: [" + budgets + "]\n",
                       "sobre.yaml")
        .status()
        .message();
  };
  EXPECT_EQ(error("{namespace: a, eur_per_month: 1}"), "");
  EXPECT_EQ(error("{eur_per_month: 1}"),
            "sobre.yaml:3: budgets[0]: expected either a namespace or a team");
  EXPECT_THAT(error("{namespace: a, team: b, eur_per_month: 1}"), HasSubstr("either"));
  EXPECT_THAT(error("{namespace: a}"), HasSubstr("expected eur_per_month, kg_co2e_per_month"));
  EXPECT_THAT(error("{namespace: a, eur_per_month: -1}"),
              HasSubstr("budgets[0].eur_per_month: '-1' is no amount over 0"));
  EXPECT_THAT(error("{namespace: a, eur_per_mont: 1}"), HasSubstr("did you mean 'eur_per_month'"));
  EXPECT_THAT(error("{team: a, eur_per_month: 1}, {team: a, kg_co2e_per_month: 1}"),
              HasSubstr("budgets[1]: team/a has two budgets"));
  EXPECT_THAT(error("{team: a, eur_per_month: 1}", ", enabled: false"),
              HasSubstr("nothing is accounted for"));
  EXPECT_THAT(error("", ", every: 1m, flush: 30s"), HasSubstr("flush: expected no less"));
  EXPECT_THAT(error("", ", bridge: 20s"), HasSubstr("bridge: expected twice every"));
  EXPECT_THAT(ParseConfig("records: {directory: d}\nbudgets: [{team: a, eur_per_month: 1}]", "f")
                  .status()
                  .message(),
              HasSubstr("accounting.team_label does not say"));
}

TEST(Config, ReadsWhatMovesAreAdvisedAndDone) {
  const auto config = ParseConfig(R"(
moves:
  every: 2m
  horizon: 12h
  restart_cost: 30s
  min_gain_percent: 20
  min_eur_per_hour: 0.01
  min_gco2e_per_hour: 2.5
  window: 48h
  measure: 30m
  evict: true
  max_evictions_per_hour: 12
  min_time_between: 3h
  replaced_within: 5m
)",
                                  "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  const Config::Moves& moves = config->moves;
  EXPECT_TRUE(moves.enabled);
  EXPECT_EQ(moves.every, std::chrono::minutes(2));
  EXPECT_EQ(moves.horizon, std::chrono::hours(12));
  EXPECT_EQ(moves.restart_cost, std::chrono::seconds(30));
  EXPECT_EQ(moves.min_gain_percent, 20);
  EXPECT_EQ(moves.min_eur_per_hour, 0.01);
  EXPECT_EQ(moves.min_gco2e_per_hour, 2.5);
  EXPECT_EQ(moves.window, std::chrono::hours(48));
  EXPECT_EQ(moves.measure, std::chrono::minutes(30));
  EXPECT_TRUE(moves.evict);
  EXPECT_EQ(moves.max_evictions_per_hour, 12);
  EXPECT_EQ(moves.min_time_between, std::chrono::hours(3));
  EXPECT_EQ(moves.replaced_within, std::chrono::minutes(5));
  const auto plain = ParseConfig("moves: {}", "sobre.yaml");
  ASSERT_TRUE(plain.ok());
  EXPECT_TRUE(plain->moves.enabled);
  EXPECT_FALSE(plain->moves.evict) << "nobody is evicted who did not ask for it";
}

TEST(Config, MovesAreReadStrictly) {
  const auto error = [](const std::string& moves) {
    return ParseConfig("moves: {" + moves + "}\n", "sobre.yaml").status().message();
  };
  EXPECT_EQ(error("enabled: false"), "");
  EXPECT_THAT(error("evit: true"), HasSubstr("unknown key 'moves.evit'; did you mean 'evict'?"));
  EXPECT_THAT(error("min_gain_percent: -1"), HasSubstr("moves.min_gain_percent"));
  EXPECT_THAT(error("min_eur_per_hour: -1"), HasSubstr("moves.min_eur_per_hour"));
  EXPECT_THAT(error("max_evictions_per_hour: 0"), HasSubstr("moves.max_evictions_per_hour"));
  EXPECT_THAT(error("every: 0s"), HasSubstr("moves.every"));
  EXPECT_THAT(error("every: 1h, window: 23h"), HasSubstr("window: expected 24 times every"));
  EXPECT_THAT(error("evict: true, enabled: false"), HasSubstr("nothing is advised"));
}

TEST(Config, ReadsClusters) {
  const auto config = ParseConfig(R"(
policy: {carbon_price_eur_per_tonne: 120}
clusters:
  enabled: true
  object: euros-and-grams
  every: 30s
  valid_for: 2m
  kubeconfig: /etc/hub
  context: hub
  workload: {cpu: 500m, memory: 1Gi, annotations: {allowed-countries: EU}}
  managed:
    - {name: paris, provider: scaleway, region: fr-par, instance_type: PRO2-M, cpu: 16, memory: 64Gi}
    - {name: warsaw, provider: scaleway, region: pl-waw, eur_per_hour: 0.2}
)",
                                  "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  const Config::Clusters& clusters = config->clusters;
  EXPECT_TRUE(clusters.enabled);
  EXPECT_EQ(clusters.object, "euros-and-grams");
  EXPECT_EQ(clusters.every, std::chrono::seconds(30));
  EXPECT_EQ(clusters.valid_for, std::chrono::minutes(2));
  EXPECT_EQ(clusters.kubeconfig + clusters.context, "/etc/hubhub");
  EXPECT_EQ(clusters.workload.requests.millicpu, 500);
  EXPECT_EQ(clusters.workload.requests.memory_bytes, 1 << 30);
  EXPECT_TRUE(clusters.policy.limits.countries.has_value());
  EXPECT_EQ(clusters.policy.carbon_price, EurosPerTonne(120));
  ASSERT_EQ(clusters.managed.size(), 2U);
  EXPECT_EQ(clusters.managed[0].facts.allocatable.millicpu, 16'000);
  EXPECT_FALSE(clusters.managed[0].host);
  // Of which nothing is said: as any region's.
  EXPECT_EQ(clusters.managed[1].facts.allocatable.millicpu, 8000);
  EXPECT_EQ(clusters.managed[1].host, Vcpus(128));
  EXPECT_FALSE(ParseConfig("", "sobre.yaml")->clusters.enabled);
}

TEST(Config, ClustersAreReadStrictly) {
  const auto error = [](const std::string& clusters) {
    return ParseConfig("clusters: {" + clusters + "}\n", "sobre.yaml").status().message();
  };
  EXPECT_EQ(error("managed: [{name: a, provider: x, region: y}]"), "");
  EXPECT_THAT(error("managd: []"), HasSubstr("did you mean 'managed'?"));
  EXPECT_THAT(error("managed: [{name: a, provider: x}]"), HasSubstr("region: is needed"));
  EXPECT_THAT(error("managed: [{name: a/b, provider: x, region: y}]"),
              HasSubstr("expected that of a managed cluster"));
  EXPECT_THAT(error("managed: [{name: a, provider: x, region: y}, {name: a, provider: x, "
                    "region: y}]"),
              HasSubstr("'a' stands there twice"));
  EXPECT_THAT(error("managed: [{name: a, provider: x, region: y, cpu: 4}]"),
              HasSubstr("cpu and memory"));
  EXPECT_THAT(error("every: 1m, valid_for: 90s"), HasSubstr("valid_for: expected twice every"));
  EXPECT_THAT(error("object: Sobre"), HasSubstr("object: expected a name of Kubernetes"));
  EXPECT_THAT(error("context: x"), HasSubstr("context: also needs kubeconfig"));
  EXPECT_THAT(error("workload: {cpu: much}"), HasSubstr("clusters.workload.cpu"));
  EXPECT_THAT(error("workload: {annotations: {objectiv: carbon}}"), HasSubstr("objectiv"));
}

TEST(Config, ReadsWhatGrpcServes) {
  const auto config = ParseConfig(R"(
grpc:
  listen: "[::]:9000"
  tls: {certificate_file: tls.crt, key_file: tls.key, client_ca_file: ca.crt}
  max_message_megabytes: 16
  max_streams: 3
  decisions: ["http://sobre-replicas:8091/", "http://other:8091"]
)",
                                  "sobre.yaml");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->grpc.listen, "[::]:9000");
  EXPECT_EQ(config->grpc.tls->client_ca_file, "ca.crt");
  EXPECT_EQ(config->grpc.max_message_megabytes, 16);
  EXPECT_EQ(config->grpc.max_streams, 3);
  EXPECT_THAT(config->grpc.decisions,
              testing::ElementsAre("http://sobre-replicas:8091", "http://other:8091"));
  for (const char* wrong :
       {"max_streams: 0", "max_message_megabytes: 4096", "port: 1", "tls: {certificate_file: a}",
        "decisions: [\"ftp://sobre\"]", "decisions: [\"http://a:b@sobre\"]"}) {
    EXPECT_FALSE(ParseConfig("grpc:\n  " + std::string(wrong) + "\n", "sobre.yaml").ok()) << wrong;
  }
}

TEST(Config, ErrorsNameFileLineAndKey) {
  const auto error = [](std::string_view yaml) {
    return ParseConfig(yaml, "sobre.yaml").status().message();
  };
  EXPECT_EQ(error("listen:\n  extendr: x\n"),
            "sobre.yaml:2: unknown key 'listen.extendr'; did you mean 'extender'?");
  EXPECT_EQ(error("\n\npolcy: {}\n"), "sobre.yaml:3: unknown key 'polcy'; did you mean 'policy'?");
  EXPECT_THAT(error("policy:\n  objective: green\n"),
              HasSubstr("sobre.yaml:2: policy.objective: 'green' is none of"));
  EXPECT_EQ(error("policy:\n  annotations:\n    allowed-countries: FR\n"
                  "    allowed-countries: US\n"),
            "sobre.yaml:4: policy.annotations: 'allowed-countries' stands there twice");
  EXPECT_EQ(error("policy:\n  objective: cost\n  annotations:\n    objective: carbon\n"),
            "sobre.yaml:4: policy.annotations: 'objective' stands there twice");
  EXPECT_EQ(error("policy:\n  annotations: {enforced: max-exposure}\n  enforced: objective\n"),
            "sobre.yaml:3: policy.enforced: 'enforced' stands there twice");
  EXPECT_THAT(error("policy:\n  annotations:\n    sobre.dev/objective: cost\n"),
              HasSubstr("sobre.yaml:3: policy.annotations: 'sobre.dev/objective' stands here "
                        "without the prefix"));
  EXPECT_THAT(error("policy:\n  annotations:\n    countries: FR\n"),
              HasSubstr("sobre.yaml:3: policy.annotations: sobre.dev/countries: unknown"));
  EXPECT_THAT(error("policy:\n  cost_tolerance_percent: 0,5\n"),
              HasSubstr("sobre.yaml:2: policy.cost_tolerance_percent: '0,5'"));
  EXPECT_THAT(error("prometheus:\n  timeout: 5\n"),
              HasSubstr("sobre.yaml:2: prometheus.timeout: '5' is no duration"));
  EXPECT_THAT(error("prometheus:\n  url: http://x\n  signals:\n    - {signal: watts, query: x}\n"),
              HasSubstr("sobre.yaml:4: prometheus.signals[0]: signal 'watts'"));
  EXPECT_THAT(error("prometheus:\n  signals:\n    - {signal: node_watts, query: x}\n"),
              HasSubstr("signals, but no url"));
  EXPECT_THAT(error("prometheus:\n  url: http://x\n  presets: [keplr]\n"),
              HasSubstr("sobre.yaml:3: there is no preset 'keplr'; did you mean 'kepler'?"));
  EXPECT_THAT(
      error("prometheus:\n  url: http://x\n  presets: [{preset: opencost, curency: EUR}]\n"),
      HasSubstr("no parameter 'curency'; did you mean 'currency'?"));
  EXPECT_THAT(
      error("prometheus: {url: http://x, signals: [{signal: node_watts, query: x, unit: GWh}]}\n"),
      HasSubstr("unit 'GWh': node_watts can be in W, kW, mW"));
  EXPECT_THAT(error("prometheus: {url: http://x, matchers: {'a-b': c}}\n"),
              HasSubstr("expected labels and their values"));
  EXPECT_THAT(error("prometheus: {url: ftp://x}\n"), HasSubstr("expected http:// or https://"));
  EXPECT_THAT(error("prometheus: {url: http://x, tls: {key_file: k}}\n"), HasSubstr("go together"));
  EXPECT_EQ(error("listen: {}\nlisten: {}\n"), "sobre.yaml:2: 'listen' stands there twice");
  EXPECT_THAT(error("listen: {}\n---\nlisten: {}\n"), HasSubstr("a second document"));
  EXPECT_THAT(error("prometheus: {url: http://u:secret@h:9090}\n"),
              HasSubstr("say them in basic_auth"));
  EXPECT_THAT(error("prometheus: {servers: [{name: '2', url: http://a}, {url: http://b}]}\n"),
              HasSubstr("two servers are named '2'"));
  EXPECT_THAT(error("prometheus: {url: http://a, rate_window: 1.5h}\n"), HasSubstr("PromQL"));
  EXPECT_THAT(error("currencies: [{currency: usd, eur: 0.9, date: 2026-11-01}]\n"),
              HasSubstr("ISO 4217"));
  EXPECT_THAT(error("currencies: [{currency: USD, eur: 1, date: 2026-11-01}, {currency: USD, eur: "
                    "2, date: 2026-11-01}]\n"),
              HasSubstr("USD stands there twice"));
  EXPECT_THAT(error("listen: [1]\n"), HasSubstr("sobre.yaml:1: listen: expected a mapping"));
  EXPECT_THAT(error("listen: {max_connections: 0}\n"), HasSubstr("whole number from 1 to 500"));
  EXPECT_THAT(error("a: [\n"), HasSubstr("sobre.yaml:"));
}

// What it enforces holds against who comes nearer, not against its own next key.
TEST(Config, TheClusterSpeaksAtOnce) {
  for (const char* const yaml :
       {"policy: {enforced: 'objective,max-exposure', annotations: {mode: shadow, max-exposure: "
        "contested, objective: carbon}}\n",
        "policy: {annotations: {enforced: 'objective,max-exposure', max-exposure: contested, "
        "mode: shadow}, objective: carbon}\n"}) {
    const auto config = ParseConfig(yaml, "sobre.yaml");
    ASSERT_TRUE(config.ok()) << config.status().message();
    EXPECT_EQ(config->policy.objective, Objective::kCarbon);
    EXPECT_EQ(config->policy.mode, Mode::kShadow);
    EXPECT_EQ(config->policy.InForce().max_exposure, Exposure::kContested);
  }
}

}  // namespace
}  // namespace sobre
