#include "signals/preset.h"

#include <algorithm>

#include "base/text.h"
#include "cmake/embedded_file.h"
#include "signals/units.h"

namespace sobre {

extern const EmbeddedFile kPresetFiles[];

namespace {

constexpr std::string_view kSuffix = ".yaml";

// "presets/kepler.yaml" is "kepler".
std::string_view NameOf(const EmbeddedFile& file) {
  std::string_view name = file.name;
  name.remove_prefix(name.rfind('/') + 1);
  return name.substr(0, name.size() - kSuffix.size());
}

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// As PromQL writes it.
std::string PromqlDuration(Duration duration) {
  constexpr std::int64_t kSecond = 1000;
  const std::int64_t ms = std::max<std::int64_t>(duration.count(), 1);
  return ms % kSecond == 0 ? std::to_string(ms / kSecond) + "s" : std::to_string(ms) + "ms";
}

// Replaces ${name} by its value.
std::string Fill(std::string_view text, const PresetParameters& values) {
  std::string out;
  while (!text.empty()) {
    const std::size_t start = text.find("${");
    out += text.substr(0, start);
    if (start == std::string_view::npos) break;
    const std::size_t end = text.find('}', start);
    if (end == std::string_view::npos) {
      out += text.substr(start);
      break;
    }
    const std::string_view name = text.substr(start + 2, end - start - 2);
    const auto value = values.find(name);
    out += value != values.end() ? value->second : std::string(text.substr(start, end + 1 - start));
    text.remove_prefix(end + 1);
  }
  return out;
}

// In place, so that errors still name the line.
void FillAll(YAML::Node node, const PresetParameters& values) {
  if (node.IsScalar()) {
    if (Has(node.Scalar(), "${")) node = Fill(node.Scalar(), values);
  } else if (node.IsSequence()) {
    for (YAML::Node item : node) FillAll(item, values);
  } else if (node.IsMap()) {
    for (auto entry : node) FillAll(entry.second, values);
  }
}

// The defaults, with the caller's values over them.
PresetParameters ReadParameters(const YAML::Node& root, const PresetParameters& given) {
  PresetParameters values;
  const YAML::Node defaults = root["parameters"];
  for (const auto& entry : defaults)
    values[entry.first.as<std::string>()] = entry.second.as<std::string>();
  for (const auto& [name, value] : given) {
    const auto known = values.find(name);
    if (known == values.end()) {
      std::vector<std::string_view> names;
      for (const auto& [known_name, unused] : values) names.push_back(known_name);
      throw YamlSection::Mistake{
          0, "there is no parameter '" + Printable(name, 40) + "'" + DidYouMean(name, names)};
    }
    const bool duration = name == "window" || name == "range";
    if (duration && (!IsPromqlDuration(value) || !ParseDuration(value))) {
      throw YamlSection::Mistake{
          0, name + ": '" + Printable(value, 40) + "' is no duration of PromQL, such as 5m or 90s"};
    }
    known->second = value;
  }
  // What every preset may use besides.
  values["cluster_labels"] = kClusterLabels;
  // Rates over a part of the window are what its robust mean is made of.
  constexpr std::int64_t kParts = 5;
  if (const auto window = values.find("window"); window != values.end())
    values["part"] = PromqlDuration(*ParseDuration(window->second) / kParts);
  return values;
}

Preset ReadPreset(const YAML::Node& root) {
  Preset preset;
  YamlSection section(root, "");
  section.Read("name", preset.name);
  section.Read("about", preset.about);
  section.Read("found_by", preset.found_by);
  for (const std::string& metric : preset.found_by) {
    if (!IsMetricName(metric))
      section.FailHere("found_by: '" + Printable(metric, 60) + "' is not the name of a metric");
  }
  section.Read("found_within", preset.found_within);
  std::int64_t rank = 0;
  section.Read("rank", 1, 99, rank);
  const YAML::Node parameters = section.Take("parameters");
  for (const auto& entry : parameters) preset.parameters.push_back(entry.first.as<std::string>());
  section.ForEach("signals", [&](YamlSection& signal) {
    SignalQuery query = ReadSignalQuery(signal);
    query.name = preset.name;
    query.rank = static_cast<std::int32_t>(rank);
    query.broad = true;
    preset.queries.push_back(std::move(query));
  });
  section.ForEach("traps", [&](YamlSection& trap) {
    Trap& added = preset.traps.emplace_back();
    trap.Read("metric", added.metric);
    trap.Read("label", added.label);
    trap.Read("why", added.why);
  });
  section.Done();
  return preset;
}

// Whether `word` stands in `text` as a whole name.
std::size_t FindName(std::string_view text, std::string_view word, std::size_t from = 0) {
  const auto in_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':';
  };
  for (std::size_t at = text.find(word, from); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const bool starts = at == 0 || !in_name(text[at - 1]);
    const std::size_t end = at + word.size();
    if (starts && (end == text.size() || !in_name(text[end]))) return at;
  }
  return std::string_view::npos;
}

}  // namespace

std::string RobustMean(std::string_view promql, Duration window) {
  constexpr std::int64_t kSteps = 12;
  const std::string range = PromqlDuration(window) + ":" + PromqlDuration(window / kSteps) + "])";
  std::string sum;
  for (const std::string_view share : {"0.3", "0.4", "0.6", "0.7"}) {
    sum += sum.empty() ? "(" : " + ";
    sum += "quantile_over_time(" + std::string(share) + ", (" + std::string(promql) + ")[" + range;
  }
  return sum + ") / 4";
}

SignalQuery ReadSignalQuery(YamlSection& section) {
  SignalQuery query;
  std::string name;
  section.Read("signal", name);
  const std::optional<Signal> signal = ParseSignal(name);
  if (!signal) section.FailHere("signal '" + Printable(name, 40) + "' is none of " + SignalNames());
  query.signal = *signal;
  section.Read("name", query.name);
  section.Read("query", query.query);
  if (query.query.empty()) section.FailHere("there is no query");
  section.Read("time_query", query.time_query);
  Duration mean_over{0};
  std::string or_query;
  section.Read("mean_over", mean_over);
  section.Read("or_query", or_query);
  if (mean_over > Duration(0)) {
    if (query.time_query.empty() && IsPlainSelector(query.query))
      query.time_query = "timestamp(" + query.query + ")";
    query.query = RobustMean(query.query, mean_over);
  }
  if (!or_query.empty()) query.query += " or " + or_query;
  section.Read("resets_query", query.resets_query);
  section.Read("needs", query.needs);
  if (!query.needs.empty() && !IsMetricName(query.needs))
    section.FailHere("needs: '" + Printable(query.needs, 60) + "' is not the name of a metric");
  std::string unit(UnitOf(*signal));
  section.Read("unit", unit);
  const std::optional<UnitConversion> conversion = ConvertUnit(*signal, unit);
  if (!conversion) {
    section.FailHere("unit '" + Printable(unit, 40) + "': " + name + " can be in " +
                     UnitsFor(*signal));
  }
  query.factor = conversion->factor;
  query.currency = conversion->currency;
  section.Read("node_label", query.node_label);
  section.Read("provider_label", query.provider_label);
  section.Read("region_label", query.region_label);
  section.Read("zone_label", query.zone_label);
  section.Read("namespace_label", query.namespace_label);
  section.Read("workload_label", query.workload_label);
  section.Read("pod_label", query.pod_label);
  section.Read("model_label", query.model_label);
  section.Read("hardware_class_label", query.hardware_class_label);
  section.Read("ahead_label", query.ahead_label);
  section.Read("estimated_label", query.estimated_label);
  section.Read("spot_label", query.spot_label);
  section.Read("role_label", query.role_label);
  section.Read("cluster_label", query.cluster_label);
  section.Read("models_may_be_steps", query.may_be_step);
  section.Read("max_age", query.max_age);
  bool estimated = false;
  section.Read("estimated", estimated);
  if (estimated) query.method = Method::kEstimated;
  section.Read("of_all_replicas", query.of_all_replicas);
  return query;
}

bool IsPromqlDuration(std::string_view text) {
  bool positive = false;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0) return false;
    positive |= text.substr(0, digits).find_first_not_of('0') != std::string_view::npos;
    text.remove_prefix(digits);
    const std::size_t unit = text.starts_with("ms") ? 2 : 1;
    if (text.empty() || std::string_view("smhdwy").find(text[unit - 1]) == std::string_view::npos)
      return false;
    text.remove_prefix(unit);
  }
  return positive;
}

std::vector<std::string_view> PresetNames() {
  std::vector<std::string_view> names;
  for (const EmbeddedFile* file = kPresetFiles; file->name != nullptr; ++file)
    names.push_back(NameOf(*file));
  return names;
}

Result<Preset> ParsePreset(std::string_view yaml, std::string_view file_name,
                           const PresetParameters& parameters) {
  Preset preset;
  const Status status = ReadYaml(yaml, file_name, [&](const YAML::Node& root) {
    FillAll(root, ReadParameters(root, parameters));
    preset = ReadPreset(root);
  });
  if (!status.ok()) return status;
  return preset;
}

Result<Preset> LoadPreset(std::string_view name, const PresetParameters& parameters) {
  for (const EmbeddedFile* file = kPresetFiles; file->name != nullptr; ++file) {
    if (NameOf(*file) == name) return ParsePreset(file->bytes, file->name, parameters);
  }
  const std::vector<std::string_view> names = PresetNames();
  std::string all;
  for (const std::string_view known : names) all += (all.empty() ? "" : ", ") + std::string(known);
  return Status::Invalid("there is no preset '" + Printable(name, 40) + "'" +
                         DidYouMean(name, names) + " There are " + all + ".");
}

std::vector<std::string> TrapsIn(std::string_view promql, std::span<const Trap> traps) {
  std::vector<std::string> found;
  for (const Trap& trap : traps) {
    if (FindName(promql, trap.metric) == std::string_view::npos) continue;
    if (FindName(promql, trap.label) != std::string_view::npos) continue;
    found.push_back(trap.metric + " without its label " + trap.label + ": " + trap.why);
  }
  return found;
}

const std::vector<Trap>& KnownTraps() {
  static const std::vector<Trap> traps = [] {
    std::vector<Trap> all;
    for (const std::string_view name : PresetNames()) {
      const Result<Preset> preset = LoadPreset(name, {});
      if (preset.ok()) all.insert(all.end(), preset->traps.begin(), preset->traps.end());
    }
    return all;
  }();
  return traps;
}

}  // namespace sobre
