#include "signals/prometheus.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include <simdjson.h>

#include "base/text.h"
#include "net/http_server.h"

namespace sobre {

namespace od = simdjson::ondemand;

struct Prometheus::Sample {
  std::vector<std::pair<std::string, std::string>> labels;  // without __name__, sorted
  double value = 0;

  [[nodiscard]] std::string Label(const std::string& name) const {
    for (const auto& [key, text] : labels) {
      if (key == name) return text;
    }
    return {};
  }
};

namespace {

// Prometheus writes NaN and infinities as words; all that is no finite number is implausible alike.
double SampleValue(std::string_view text) {
  return ParseNumber(text).value_or(std::numeric_limits<double>::quiet_NaN());
}

Timestamp FromSeconds(double seconds) {
  // Bounded, so that a nonsense value cannot overflow; it is far too old or too new all the same.
  const double ms = std::clamp(seconds * 1000.0, -1e15, 1e15);
  return Timestamp(Duration(static_cast<std::int64_t>(ms)));
}

}  // namespace

bool IsPlainSelector(std::string_view promql) {
  const std::string_view text = Trim(promql);
  const std::size_t end = std::min(text.find('{'), text.size());
  const std::string_view name = Trim(text.substr(0, end));
  const bool word = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':';
  });
  if (!word || (name[0] >= '0' && name[0] <= '9')) return false;
  return end == text.size() || text.find('}') == text.size() - 1;
}

Result<std::vector<Prometheus::Sample>> Prometheus::Query(const std::string& promql) {
  HttpCall call;
  call.method = "POST";
  call.url = options_.url + "/api/v1/query";
  call.headers = {"Content-Type: application/x-www-form-urlencoded"};
  call.body = "query=" + PercentEncode(promql);
  call.timeout = options_.timeout;
  call.max_response_bytes = options_.max_response_bytes;
  Result<HttpReply> reply = client_.Fetch(call);
  if (!reply.ok()) return reply.status();
  std::string& body = reply->body;
  const std::size_t size = body.size();
  body.append(kBodyPadding, '\0');
  std::vector<Sample> samples;
  std::string status;
  std::string error;
  std::string type;
  try {
    od::parser parser;
    od::document document =
        parser.iterate(simdjson::padded_string_view(body.data(), size, body.size()));
    for (od::field field : document.get_object()) {
      const std::string_view key = field.unescaped_key();
      if (key == "status") status = std::string_view(field.value());
      if (key == "error") error = std::string_view(field.value());
      if (key != "data") continue;
      for (od::field data : od::object(field.value())) {
        const std::string_view name = data.unescaped_key();
        if (name == "resultType") type = std::string_view(data.value());
        if (name != "result") continue;
        if (type != "vector") break;
        for (od::object element : od::array(data.value())) {
          Sample& sample = samples.emplace_back();
          for (od::field part : element) {
            const std::string_view what = part.unescaped_key();
            if (what == "metric") {
              for (od::field label : od::object(part.value())) {
                std::string label_name(std::string_view(label.unescaped_key()));
                if (label_name == "__name__") continue;
                sample.labels.emplace_back(std::move(label_name), std::string_view(label.value()));
              }
            } else if (what == "value") {
              std::size_t index = 0;
              for (od::value item : od::array(part.value())) {
                if (index++ == 1) sample.value = SampleValue(item.get_string());
              }
            }
          }
          std::sort(sample.labels.begin(), sample.labels.end());
        }
      }
    }
  } catch (const simdjson::simdjson_error& broken) {
    return Status::Invalid(call.url + ": status " + std::to_string(reply->status) +
                           ", the answer is not what Prometheus sends (" + broken.what() + ")");
  }
  if (reply->status != 200 || status != "success") {
    return Status::Unavailable(call.url + ": status " + std::to_string(reply->status) + ", " +
                               Printable(error, 300));
  }
  if (type != "vector")
    return Status::Invalid("the query gives a " + Printable(type, 20) +
                           "; an instant vector is needed");
  return samples;
}

// Takes from the labels what the sample is about.
void Prometheus::Name(const Sample& sample, const SignalQuery& query, Observation& seen) {
  switch (query.signal) {
    case Signal::kNodePower:
    case Signal::kNodeCpuUtilization:
    case Signal::kNodePrice:
      seen.node = sample.Label(query.node_label);
      return;
    case Signal::kGridIntensity:
    case Signal::kElectricityPrice:
    case Signal::kGridForecast:
      seen.ahead = ParseDuration(sample.Label(query.ahead_label)).value_or(Duration(0));
      seen.provider = sample.Label(query.provider_label);
      seen.region = sample.Label(query.region_label);
      seen.zone = sample.Label(query.zone_label);
      return;
    default:
      seen.namespace_name = sample.Label(query.namespace_label);
      seen.workload = sample.Label(query.workload_label);
      seen.model = sample.Label(query.model_label);
      seen.hardware_class = sample.Label(query.hardware_class_label);
  }
}

Status Prometheus::CollectOne(const SignalQuery& query, Timestamp now,
                              std::vector<Observation>& out) {
  const Result<std::vector<Sample>> values = Query(query.query);
  if (!values.ok()) return values.status();
  if (values->empty()) return Status::NotFound("the query gives no series");
  std::string time_query = query.time_query;
  if (time_query.empty() && IsPlainSelector(query.query))
    time_query = "timestamp(" + query.query + ")";
  std::map<std::vector<std::pair<std::string, std::string>>, double> times;
  if (!time_query.empty()) {
    Result<std::vector<Sample>> samples = Query(time_query);
    if (!samples.ok()) return samples.status().WithContext("time query");
    for (Sample& sample : *samples) times.emplace(std::move(sample.labels), sample.value);
  }
  for (const Sample& sample : *values) {
    Observation seen;
    seen.signal = query.signal;
    seen.value = sample.value;
    seen.time = now;
    if (!time_query.empty()) {
      const auto found = times.find(sample.labels);
      // Without its time a sample cannot be shown to be fresh.
      seen.time = found == times.end() || !std::isfinite(found->second)
                      ? Timestamp()
                      : FromSeconds(found->second);
    }
    seen.currency = query.currency;
    Name(sample, query, seen);
    seen.source = query.name;
    out.push_back(std::move(seen));
  }
  return Status::Ok();
}

Harvest Prometheus::Collect(const std::vector<SignalQuery>& queries, Timestamp now) {
  Harvest harvest;
  for (const SignalQuery& query : queries) {
    const Status status = CollectOne(query, now, harvest.observations);
    if (!status.ok())
      harvest.problems.push_back(std::string(ToString(query.signal)) + ": " + status.message());
  }
  return harvest;
}

}  // namespace sobre
