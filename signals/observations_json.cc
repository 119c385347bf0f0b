#include "signals/observations_json.h"

#include <array>
#include <string>

#include <simdjson.h>

#include "base/text.h"
#include "signals/units.h"

namespace sobre {
namespace {

namespace dom = simdjson::dom;

constexpr std::array<std::string_view, 6> kKeys = {"signal", "labels", "value",
                                                   "unit",   "time",   "source"};

Status ReadLabels(const dom::element& value, Observation& seen) {
  dom::object labels;
  if (value.get(labels) != simdjson::SUCCESS) return Status::Invalid("labels: expected an object");
  for (const auto& [key, text] : labels) {
    std::string_view name;
    if (text.get(name) != simdjson::SUCCESS)
      return Status::Invalid("labels: '" + Printable(key) + "' is no string");
    if (key == "node") seen.node = name;
    if (key == "provider") seen.provider = name;
    if (key == "region") seen.region = name;
    if (key == "zone") seen.zone = name;
    if (key == "namespace") seen.namespace_name = name;
    if (key == "workload") seen.workload = name;
    if (key == "pod") seen.pod = name;
    if (key == "model") seen.model = name;
    if (key == "ahead") seen.ahead = ParseDuration(name).value_or(Duration(0));
    if (key == "hardware_class") seen.hardware_class = name;
  }
  return Status::Ok();
}

Status ReadEntry(const dom::element& entry, Timestamp now, Observation& seen) {
  dom::object object;
  if (entry.get(object) != simdjson::SUCCESS) return Status::Invalid("expected an object");
  std::string_view signal;
  if (object["signal"].get(signal) != simdjson::SUCCESS)
    return Status::Invalid("there is no signal");
  const std::optional<Signal> known = ParseSignal(signal);
  if (!known)
    return Status::Invalid("signal '" + Printable(signal) + "' is none of " + SignalNames());
  seen.signal = *known;
  seen.time = now;
  if (object["value"].get(seen.value) != simdjson::SUCCESS)
    return Status::Invalid("value: expected a number");
  double factor = 1;
  for (const auto& [key, value] : object) {
    std::string_view text;
    const bool is_text = value.get(text) == simdjson::SUCCESS;
    if (key == "labels") {
      if (Status status = ReadLabels(value, seen); !status.ok()) return status;
    } else if (key == "unit") {
      const auto conversion = is_text ? ConvertUnit(*known, text) : std::nullopt;
      if (!conversion) {
        return Status::Invalid("unit: " + std::string(signal) + " can be in " + UnitsFor(*known));
      }
      factor = conversion->factor;
      seen.currency = conversion->currency;
    } else if (key == "time") {
      const std::optional<Timestamp> time = is_text ? ParseTime(text) : std::nullopt;
      if (!time) return Status::Invalid("time: expected RFC 3339, such as 2026-11-23T00:00:00Z");
      seen.time = *time;
    } else if (key == "source") {
      seen.source = text;
    } else if (key != "signal" && key != "value") {
      return Status::Invalid("unknown key '" + Printable(key) + "'" + DidYouMean(key, kKeys));
    }
  }
  seen.value *= factor;
  return Status::Ok();
}

}  // namespace

Result<std::vector<Observation>> ParseObservations(std::string_view json, Timestamp now) {
  dom::parser parser;
  dom::element root;
  if (const simdjson::error_code error = parser.parse(json.data(), json.size()).get(root);
      error != simdjson::SUCCESS) {
    return Status::Invalid(std::string("not valid JSON: ") + simdjson::error_message(error));
  }
  dom::array entries;
  if (root.get(entries) != simdjson::SUCCESS) return Status::Invalid("expected a list of signals");
  std::vector<Observation> observations;
  for (const dom::element entry : entries) {
    Observation& seen = observations.emplace_back();
    if (Status status = ReadEntry(entry, now, seen); !status.ok()) {
      return status.WithContext("entry " + std::to_string(observations.size()));
    }
    if (seen.source.empty()) seen.source = "file";
  }
  return observations;
}

}  // namespace sobre
