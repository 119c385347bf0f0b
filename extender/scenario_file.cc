#include "extender/scenario_file.h"

#include <algorithm>
#include <utility>

#include "backtest/recorded.h"
#include "backtest/workload.h"
#include "base/text.h"
#include "extender/config.h"
#include "extender/offer_file.h"
#include "k8s/manifests.h"
#include "signals/matrix_json.h"

namespace sobre {
namespace {

using backtest::Hourly;
using backtest::Pool;
using backtest::Scenario;
using backtest::Variant;
using Section = YamlSection;

constexpr std::int64_t kMostHours = 24LL * 366 * 3;
constexpr std::int64_t kMostNodes = 100'000;

// `out` stays where the key is absent.
void ReadNumber(Section& section, const char* key, double lowest, double highest, double& out) {
  if (const auto number = sobre::ReadNumber(section, key, lowest, highest)) out = *number;
}

// What ran while nothing could be read is told where the file is named.
template <class T>
T OrFail(Result<T> result, const YAML::Node& where, const std::string& path) {
  if (!result.ok()) Section::Fail(where, path + ": " + result.status().message());
  return *std::move(result);
}

void ReadPool(Section& section, Scenario& scenario) {
  Pool pool;
  section.Read("nodes", 1, kMostNodes, pool.nodes);
  section.Read("zone", pool.zone);
  // All other keys are those of an offer.
  Offer offer = ReadOffer(section);
  if (pool.nodes == 0) section.FailHere("nodes: how many are there?");
  if (offer.own) section.FailHere("own: a pool has its eur_per_hour");
  if (offer.facts.allocatable.millicpu <= 0)
    section.FailHere("cpu and memory: the size of a node is needed");
  for (const Pool& other : scenario.pools) {
    if (other.name == offer.facts.name)
      section.FailHere("name: '" + Printable(other.name, 60) + "' stands there twice");
  }
  pool.name = offer.facts.name;
  pool.facts = std::move(offer.facts);
  if (offer.price) pool.price = offer.price->value;
  if (pool.zone.empty()) pool.zone = pool.facts.region;
  scenario.pools.push_back(std::move(pool));
}

// What `kubectl get nodes -o json` prints, as pools.
void ReadNodes(Section& top, const FileReader& read, Scenario& scenario) {
  const YAML::Node where = top.Take("nodes");
  if (!where || where.IsNull()) return;
  if (!where.IsMap()) Section::Fail(where, "nodes: expected {file: NAME}");
  Section section(where, "nodes");
  std::string file;
  section.Read("file", file);
  section.Done();
  if (file.empty()) section.FailHere("file: is needed");
  const std::string text = OrFail(read(file), where, "nodes");
  const std::string of_file = "nodes: " + Printable(file, 200);
  std::vector<NodeFacts> nodes = OrFail(ReadNodesManifest(text), where, of_file);
  if (nodes.size() > static_cast<std::size_t>(kMostNodes))
    section.FailHere("there are more than " + std::to_string(kMostNodes) + " nodes in the file");
  for (Pool& pool : OrFail(backtest::PoolsOf(std::move(nodes)), where, of_file)) {
    for (const Pool& other : scenario.pools)
      if (other.name == pool.name)
        section.FailHere("there is a pool '" + Printable(pool.name, 60) + "' already");
    scenario.pools.push_back(std::move(pool));
  }
}

// By hour: CSV, or the answer of Prometheus' query_range, whose series `label` names.
Result<std::map<std::string, Hourly>> ParseSeries(const std::string& text, const std::string& file,
                                                  const std::string& label,
                                                  const Scenario& scenario) {
  if (!Trim(text).starts_with('{'))
    return backtest::ParseHourly(text, file, scenario.start, scenario.hours);
  Result<std::vector<RangeSeries>> all = ParseMatrix(text);
  if (!all.ok()) return Status::Invalid(file + " " + all.status().message());
  std::vector<backtest::Samples> series;
  for (RangeSeries& one : *all) {
    const std::string name(one.Label(label));
    if (name.empty())
      return Status::Invalid(file + ": a series has no label '" + Printable(label, 60) +
                             "'; `label` says which one names them");
    series.push_back({name, std::move(one.values)});
  }
  auto means = backtest::HourlyMeans(series, scenario.start, scenario.hours);
  if (!means.ok()) return means.status().WithContext(file);
  return means;
}

// {file: NAME, label: …}, or names with one value for all hours.
std::map<std::string, Hourly> ReadSeries(Section& top, const char* key, const FileReader& read,
                                         const Scenario& scenario, std::string label = "zone") {
  std::map<std::string, Hourly> series;
  const YAML::Node map = top.Take(key);
  if (!map || map.IsNull()) return series;
  const std::string path = top.Path(key);
  if (!map.IsMap()) Section::Fail(map, path + ": expected {file: NAME}, or values by name");
  if (map["file"]) {
    Section section(map, path);
    std::string file;
    section.Read("file", file);
    section.Read("label", label);
    section.Done();
    const std::string text = OrFail(read(file), map, path);
    return OrFail(ParseSeries(text, file, label, scenario), map, path);
  }
  for (const auto& entry : map) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const auto value =
        entry.second.IsScalar() ? ParseNumber(entry.second.Scalar()) : std::optional<double>();
    if (!value)
      Section::Fail(entry.second, path + "." + Printable(name, 60) + ": expected a number");
    series[name] = Hourly(static_cast<std::size_t>(scenario.hours), *value);
  }
  return series;
}

void ReadMix(Section& section, backtest::Mix& mix) {
  ReadNumber(section, "fill", 0.01, 2, mix.fill);
  ReadNumber(section, "services", 0, 1, mix.services);
  ReadNumber(section, "inference", 0, 1, mix.inference);
  ReadNumber(section, "jobs", 0, 1, mix.jobs);
  ReadNumber(section, "waiting_share", 0, 1, mix.waiting_share);
  ReadNumber(section, "wait_below_gco2e_per_kwh", 0, 10'000, mix.wait_below);
  section.Read("max_delay_hours", 1, 24LL * 30, mix.max_delay_hours);
  ReadNumber(section, "bound_share", 0, 1, mix.bound_share);
  section.Read("countries", mix.countries);
  ReadNumber(section, "day_rhythm", 0, 1, mix.day_rhythm);
  ReadNumber(section, "weekend", 0, 1, mix.weekend);
  ReadNumber(section, "smallest_vcpus", 0.05, 4, mix.smallest_vcpus);
  ReadNumber(section, "largest_vcpus", 0.1, 16, mix.largest_vcpus);
  ReadNumber(section, "job_median_hours", 0.05, 12, mix.job_median_hours);
  section.Done();
  const double together = mix.services + mix.inference + mix.jobs;
  if (std::abs(together - 1) > 1e-6)
    section.FailHere("services, inference and jobs are shares: together 1, not " +
                     FormatNumber(together));
  if (mix.largest_vcpus <= mix.smallest_vcpus)
    section.FailHere("largest_vcpus: is no more than smallest_vcpus");
  if (mix.bound_share > 0 && mix.countries.empty())
    section.FailHere("countries: of which, for the share that is bound?");
}

void ReadWork(Section& top, const FileReader& read, Scenario& scenario) {
  Section section = top.Sub("workload");
  std::string file;
  section.Read("file", file);
  const YAML::Node generate = section.Take("generate");
  section.Done();
  const bool made_up = generate && !generate.IsNull();
  if (made_up == !file.empty()) section.FailHere("expected either file or generate");
  if (made_up) {
    backtest::Mix mix;
    Section parameters(generate, section.Path("generate"));
    ReadMix(parameters, mix);
    scenario.work =
        backtest::Generate(mix, scenario.pools, scenario.start, scenario.hours, scenario.seed);
    return;
  }
  const YAML::Node where = top.Take("workload");
  const std::string csv = OrFail(read(file), where, section.Path("file"));
  scenario.work = OrFail(backtest::ParseWork(csv, file), where, section.Path("file"));
}

void ReadVariant(Section& section, Scenario& scenario) {
  Variant variant;
  section.Read("name", variant.name);
  section.Read("sobre", variant.sobre);
  section.Read("limits", variant.limits);
  section.Read("waiting", variant.waiting);
  section.Read("signal_age", variant.signal_age);
  section.Read("weight", 1, 1000, variant.weight);
  if (!variant.sobre) {
    variant.waiting = false;
    variant.percent_of_nodes = 0;
  }
  section.Read("percent_of_nodes", 0, 100, variant.percent_of_nodes);
  ReadClusterPolicy(section, variant.policy);
  section.Done();
  if (variant.name.empty()) section.FailHere("name: is needed");
  for (const Variant& other : scenario.variants) {
    if (other.name == variant.name)
      section.FailHere("name: '" + Printable(variant.name, 60) + "' stands there twice");
  }
  scenario.variants.push_back(std::move(variant));
}

void ReadStart(Section& top, Scenario& scenario) {
  const YAML::Node start = top.Scalar("start");
  if (!start) top.FailHere("start: the first hour is needed, such as 2019-03-04T00:00:00Z");
  const std::optional<Timestamp> time = ParseTime(start.Scalar());
  if (!time || time->time_since_epoch() % std::chrono::hours(1) != Duration(0))
    Section::Fail(start, "start: expected a full hour, such as 2019-03-04T00:00:00Z");
  scenario.start = *time;
}

backtest::Foresight ReadForesight(Section& top) {
  const YAML::Node value = top.Scalar("foresight");
  if (!value || value.Scalar() == "perfect") return backtest::Foresight::kPerfect;
  if (value.Scalar() == "none") return backtest::Foresight::kNone;
  if (value.Scalar() == "yesterday") return backtest::Foresight::kYesterday;
  Section::Fail(value, "foresight: expected perfect, yesterday or none");
}

}  // namespace

Result<Scenario> ParseScenario(std::string_view yaml, std::string_view file_name,
                               const FileReader& read, std::optional<std::uint64_t> seed) {
  Scenario scenario;
  const Status status = ReadYaml(yaml, file_name, [&](const YAML::Node& root) {
    Section top(root, "");
    scenario.name = file_name;
    top.Read("name", scenario.name);
    ReadStart(top, scenario);
    top.Read("hours", 1, kMostHours, scenario.hours);
    if (scenario.hours == 0) top.FailHere("hours: how many are played?");
    top.Read("warm_up_hours", 0, scenario.hours - 1, scenario.warm_up_hours);
    std::int64_t own_seed = 1;
    top.Read("seed", 0, INT64_MAX, own_seed);
    scenario.seed = seed.value_or(static_cast<std::uint64_t>(own_seed));
    scenario.foresight = ReadForesight(top);
    top.ForEach("pools", [&](Section& section) { ReadPool(section, scenario); });
    ReadNodes(top, read, scenario);
    if (scenario.pools.empty()) top.FailHere("pools or nodes: the cluster has no nodes");
    std::sort(scenario.pools.begin(), scenario.pools.end(),
              [](const Pool& a, const Pool& b) { return a.name < b.name; });
    scenario.intensity = ReadSeries(top, "intensity", read, scenario);
    scenario.marginal = ReadSeries(top, "marginal_intensity", read, scenario);
    scenario.price = ReadSeries(top, "prices", read, scenario, "pool");
    ReadWork(top, read, scenario);
    top.ForEach("policies", [&](Section& section) { ReadVariant(section, scenario); });
    if (scenario.variants.empty()) top.FailHere("policies: which ones are compared?");
    top.Done();
    for (const auto& entry : scenario.price) {
      const std::string& pool = entry.first;
      if (std::none_of(scenario.pools.begin(), scenario.pools.end(),
                       [&](const Pool& known) { return known.name == pool; }))
        top.FailHere("prices: there is no pool '" + Printable(pool, 60) + "'");
    }
  });
  if (!status.ok()) return status;
  return scenario;
}

}  // namespace sobre
