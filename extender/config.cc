#include "extender/config.h"

#include <algorithm>
#include <filesystem>

#include <yaml-cpp/yaml.h>

#include "base/text.h"
#include "k8s/kubeconfig.h"

namespace sobre {
namespace {

// Thrown inside this file alone, with the place of the mistake.
struct Mistake {
  int line;
  std::string message;
};

// One mapping of the file. Keys are taken by name; Done() refuses what nobody took.
class Section {
 public:
  Section(const YAML::Node& node, std::string path) : node_(node), path_(std::move(path)) {
    if (node_ && !node_.IsNull() && !node_.IsMap()) Fail(node_, path_ + ": expected a mapping");
  }

  Section Sub(const char* key) { return {Take(key), Path(key)}; }

  void Read(const char* key, std::string& out) {
    if (const YAML::Node value = Scalar(key)) out = value.Scalar();
  }
  void Read(const char* key, Duration& out) {
    const YAML::Node value = Scalar(key);
    if (!value) return;
    const std::optional<Duration> duration = ParseDuration(value.Scalar());
    if (!duration || *duration <= Duration(0))
      Fail(value, Path(key) + ": '" + Printable(value.Scalar(), 40) +
                      "' is no duration, such as 30s or 5m");
    out = *duration;
  }
  void Read(const char* key, std::int64_t lowest, std::int64_t highest, std::int64_t& out) {
    const YAML::Node value = Scalar(key);
    if (!value) return;
    const std::optional<std::int64_t> number = ParseInteger(value.Scalar());
    if (!number || *number < lowest || *number > highest) {
      Fail(value, Path(key) + ": '" + Printable(value.Scalar(), 40) + "' is no whole number from " +
                      std::to_string(lowest) + " to " + std::to_string(highest));
    }
    out = *number;
  }
  // As the annotation of that name reads it: one rule for both.
  void ReadPolicy(const char* key, const char* annotation, Policy& policy) {
    const YAML::Node value = Scalar(key);
    if (!value) return;
    std::vector<std::string> problems;
    ApplyAnnotations({{annotation, value.Scalar()}}, Origin::kCluster, "", policy, problems);
    if (problems.empty()) return;
    const std::string& problem = problems.front();
    Fail(value, Path(key) + problem.substr(problem.find(": ", 2)));
  }
  // Any annotation of the table, as the cluster's default.
  void ReadAnnotations(const char* key, Policy& policy) {
    const YAML::Node map = Take(key);
    if (!map || map.IsNull()) return;
    if (!map.IsMap()) Fail(map, Path(key) + ": expected a mapping of annotations");
    for (const auto& entry : map) {
      std::vector<std::string> problems;
      const Annotation annotation{entry.first.IsScalar() ? entry.first.Scalar() : "",
                                  entry.second.IsScalar() ? entry.second.Scalar() : ""};
      ApplyAnnotations({annotation}, Origin::kCluster, Path(key), policy, problems);
      if (!problems.empty()) Fail(entry.first, problems.front());
    }
  }
  void Read(const char* key, bool& out) {
    const YAML::Node value = Scalar(key);
    if (!value) return;
    if (value.Scalar() != "true" && value.Scalar() != "false")
      Fail(value,
           Path(key) + ": '" + Printable(value.Scalar(), 40) + "' is neither true nor false");
    out = value.Scalar() == "true";
  }
  template <class Each>
  void ForEach(const char* key, const Each& each) {
    const YAML::Node list = Take(key);
    if (!list || list.IsNull()) return;
    if (!list.IsSequence()) Fail(list, Path(key) + ": expected a list");
    std::size_t index = 0;
    for (const YAML::Node& item : list) {
      Section section(item, Path(key) + "[" + std::to_string(index++) + "]");
      each(section);
      section.Done();
    }
  }
  [[noreturn]] void FailHere(const std::string& message) const {
    Fail(node_, path_ + ": " + message);
  }

  void Done() const {
    if (!node_ || !node_.IsMap()) return;
    for (const auto& entry : node_) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      const std::vector<std::string_view> names(known_.begin(), known_.end());
      Fail(entry.first, "unknown key '" + Printable(Path(key), 80) + "'" + DidYouMean(key, names));
    }
  }

 private:
  [[noreturn]] static void Fail(const YAML::Node& node, const std::string& message) {
    throw Mistake{node ? node.Mark().line + 1 : 0, message};
  }
  [[nodiscard]] std::string Path(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  }
  YAML::Node Take(const char* key) {
    known_.emplace_back(key);
    return node_ && node_.IsMap() ? node_[key] : YAML::Node(YAML::NodeType::Undefined);
  }
  YAML::Node Scalar(const char* key) {
    YAML::Node value = Take(key);
    if (value && value.IsNull()) return YAML::Node(YAML::NodeType::Undefined);
    if (value && !value.IsScalar()) Fail(value, Path(key) + ": expected a single value");
    return value;
  }

  YAML::Node node_;
  std::string path_;
  std::vector<std::string> known_;
};

void ReadSignal(Section& section, Config& config) {
  SignalQuery query;
  std::string name;
  section.Read("signal", name);
  const std::optional<Signal> signal = ParseSignal(name);
  if (!signal) {
    section.FailHere("signal '" + Printable(name, 40) + "' is none of " + SignalNames());
  }
  query.signal = *signal;
  section.Read("name", query.name);
  section.Read("query", query.query);
  if (query.query.empty()) section.FailHere("there is no query");
  section.Read("time_query", query.time_query);
  section.Read("node_label", query.node_label);
  section.Read("provider_label", query.provider_label);
  section.Read("region_label", query.region_label);
  section.Read("zone_label", query.zone_label);
  section.Read("namespace_label", query.namespace_label);
  section.Read("workload_label", query.workload_label);
  section.Read("model_label", query.model_label);
  section.Read("hardware_class_label", query.hardware_class_label);
  section.Read("ahead_label", query.ahead_label);
  section.Read("currency", query.currency);
  if (!query.currency.empty() && !UnitOf(*signal).starts_with("EUR/"))
    section.FailHere("currency, but " + name + " is no price");
  section.Read("max_age", config.max_age[static_cast<std::size_t>(*signal)]);
  config.prometheus.signals.push_back(std::move(query));
}

void ReadCurrency(Section& section, Config& config) {
  CurrencyRate rate;
  section.Read("currency", rate.currency);
  if (rate.currency.size() != 3)
    section.FailHere("currency: expected an ISO 4217 code, such as USD");
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

Config Read(const YAML::Node& root) {
  Config config;
  Section top(root, "");
  Section listen = top.Sub("listen");
  listen.Read("extender", config.listen.extender);
  listen.Read("status", config.listen.status);
  listen.Read("max_body_megabytes", 1, 1024, config.listen.max_body_megabytes);
  listen.Read("max_connections", 1, 500, config.listen.max_connections);
  listen.Read("shutdown_grace", config.listen.shutdown_grace);
  listen.Done();
  Section kubernetes = top.Sub("kubernetes");
  kubernetes.Read("kubeconfig", config.kubernetes.kubeconfig);
  kubernetes.Read("context", config.kubernetes.context);
  kubernetes.Read("default_provider", config.kubernetes.default_provider);
  kubernetes.Done();
  Section prometheus = top.Sub("prometheus");
  prometheus.Read("url", config.prometheus.server.url);
  while (config.prometheus.server.url.ends_with('/')) config.prometheus.server.url.pop_back();
  prometheus.Read("timeout", config.prometheus.server.timeout);
  prometheus.Read("refresh", config.prometheus.refresh);
  prometheus.ForEach("signals", [&](Section& signal) { ReadSignal(signal, config); });
  if (config.prometheus.server.url.empty() && !config.prometheus.signals.empty())
    prometheus.FailHere("signals, but no url");
  prometheus.Done();
  Section deferral = top.Sub("deferral");
  deferral.Read("check", config.deferral.check);
  deferral.Read("lease_namespace", config.deferral.lease_namespace);
  deferral.Read("lease_duration", config.deferral.lease_duration);
  deferral.Read("write_affinity", config.deferral.write_affinity);
  deferral.Done();
  Section catalog = top.Sub("catalog");
  catalog.Read("directory", config.catalog.directory);
  catalog.Done();
  top.ForEach("currencies", [&](Section& rate) { ReadCurrency(rate, config); });
  Section policy = top.Sub("policy");
  policy.ReadPolicy("objective", "objective", config.policy);
  policy.ReadPolicy("cost_tolerance_percent", "cost-tolerance", config.policy);
  policy.ReadPolicy("carbon_price_eur_per_tonne", "carbon-price", config.policy);
  policy.ReadPolicy("expected_utilization", "expected-utilization", config.policy);
  policy.ReadAnnotations("annotations", config.policy);
  policy.ReadPolicy("enforced", "enforced", config.policy);
  policy.Done();
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

Result<Config> ParseConfig(std::string_view yaml, std::string_view file_name) {
  const auto at = [&](int line) { return std::string(file_name) + ":" + std::to_string(line); };
  try {
    return Read(YAML::Load(std::string(yaml)));
  } catch (const Mistake& mistake) {
    return Status::Invalid(mistake.message).WithContext(at(mistake.line));
  } catch (const YAML::Exception& error) {
    return Status::Invalid(error.msg).WithContext(at(error.mark.line + 1));
  }
}

Result<Config> LoadConfig(const std::string& path) {
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  Result<Config> config = ParseConfig(*text, path);
  if (!config.ok() || config->catalog.directory.empty()) return config;
  const std::filesystem::path directory =
      std::filesystem::path(path).parent_path() / config->catalog.directory;
  Result<Catalog> rows = LoadCatalogRows(directory);
  if (!rows.ok()) return rows.status().WithContext("catalog.directory");
  config->rows = std::make_shared<const Catalog>(*std::move(rows));
  return config;
}

SnapshotInput Config::NewInput(Timestamp now) const {
  SnapshotInput input;
  input.time = now;
  input.max_age = max_age;
  input.rates = currencies;
  input.catalog = rows;
  input.trust_node_labels = trust_node_labels;
  return input;
}

}  // namespace sobre
