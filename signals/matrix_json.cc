#include "signals/matrix_json.h"

#include <cmath>
#include <limits>

#include <simdjson.h>

#include "base/text.h"
#include "base/told_time.h"

namespace sobre {
namespace {

namespace dom = simdjson::dom;

Status NoAnswer(const std::string& why) {
  return Status::Invalid("is not what Prometheus answers to query_range (" + why + ")");
}

// Seconds with a fraction; what is beyond all years is their end.
Timestamp TimeOf(double unix_seconds) {
  constexpr double kMost = 1e15;
  constexpr double kMsPerSecond = 1000;
  if (!(std::abs(unix_seconds) < kMost)) return kLatestTime;
  return FromUnixMs(std::llround(unix_seconds * kMsPerSecond));
}

RangeSeries ReadSeries(const dom::element& element) {
  RangeSeries series;
  for (const auto& [name, text] : dom::object(element["metric"])) {
    if (name != "__name__")
      series.labels.emplace_back(std::string(name), std::string(std::string_view(text)));
  }
  for (const dom::element sample : dom::array(element["values"])) {
    const double time = sample.at(0);
    const std::string_view value = sample.at(1);
    // Infinities are of no use to anybody who means an average.
    series.values.emplace_back(
        TimeOf(time), ParseNumber(value).value_or(std::numeric_limits<double>::quiet_NaN()));
  }
  return series;
}

}  // namespace

std::string_view RangeSeries::Label(std::string_view name) const {
  for (const auto& [key, text] : labels)
    if (key == name) return text;
  return {};
}

Result<std::vector<RangeSeries>> ParseMatrix(std::string_view json) {
  dom::parser parser;
  try {
    const dom::element root = parser.parse(json.data(), json.size());
    std::string_view status;
    if (root["status"].get(status) != simdjson::SUCCESS) return NoAnswer("it has no status");
    if (status == "error")
      return Status::Invalid("holds an error of Prometheus: " +
                             Printable(std::string_view(root["error"]), 300));
    const std::string_view type = root["data"]["resultType"];
    if (type != "matrix")
      return NoAnswer("it is a " + Printable(type, 20) + ", of which a single time is known");
    std::vector<RangeSeries> all;
    for (const dom::element element : dom::array(root["data"]["result"]))
      all.push_back(ReadSeries(element));
    return all;
  } catch (const simdjson::simdjson_error& broken) {
    return NoAnswer(broken.what());
  }
}

}  // namespace sobre
