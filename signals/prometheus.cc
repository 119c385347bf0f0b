#include "signals/prometheus.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/file.h"
#include "base/text.h"

namespace sobre {
namespace {

Timestamp FromSeconds(double seconds) {
  // Bounded, so that a nonsense value cannot overflow; it is far too old or too new all the same.
  const double ms = std::clamp(seconds * 1000.0, -1e15, 1e15);
  return Timestamp(Duration(static_cast<std::int64_t>(ms)));
}

// A count, whatever the server says; what is none is 0.
std::int64_t WholeOf(double count) {
  constexpr double kMost = 1e15;
  return count > 0 ? static_cast<std::int64_t>(std::min(count, kMost)) : 0;
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == ':';
}

// All labels as one text, by which samples of companion queries are found.
std::string KeyOf(const VectorReader::Sample& sample) {
  std::string key;
  for (const auto& [name, value] : sample.labels) {
    key += name;
    key += '\1';
    key += value;
    key += '\2';
  }
  return key;
}

// The first of a list of labels that is not empty.
std::string_view FirstLabel(const VectorReader::Sample& sample, std::string_view names) {
  for (const std::string_view name : Split(names, ',')) {
    if (const std::string_view value = sample.Label(Trim(name)); !value.empty()) return value;
  }
  return {};
}

// The same with its name: "cluster=prod".
std::string FirstNamed(const VectorReader::Sample& sample, std::string_view names) {
  for (const std::string_view part : Split(names, ',')) {
    const std::string_view name = Trim(part);
    if (const std::string_view value = sample.Label(name); !value.empty())
      return std::string(name) + "=" + std::string(value);
  }
  return {};
}

bool IsForecast(Signal signal) {
  return signal == Signal::kGridForecast || signal == Signal::kElectricityForecast;
}

// Takes from the labels what the sample is about; false if they do not say it.
bool Name(const VectorReader::Sample& sample, const SignalQuery& query, Observation& seen) {
  switch (InfoOf(query.signal).subject) {
    case Subject::kNode:
      seen.node = FirstLabel(sample, query.node_label);
      return !seen.node.empty();
    case Subject::kPlace:
      if (const std::string_view ahead = FirstLabel(sample, query.ahead_label);
          IsForecast(query.signal) && !ahead.empty()) {
        const std::optional<Duration> duration = ParseDuration(ahead);
        // A forecast for nobody knows when is none for now.
        if (!duration) return false;
        seen.ahead = *duration;
      }
      seen.provider = FirstLabel(sample, query.provider_label);
      seen.region = FirstLabel(sample, query.region_label);
      seen.zone = FirstLabel(sample, query.zone_label);
      return !seen.region.empty() || !seen.zone.empty();
    case Subject::kWorkload:
      seen.namespace_name = FirstLabel(sample, query.namespace_label);
      seen.workload = FirstLabel(sample, query.workload_label);
      seen.pod = FirstLabel(sample, query.pod_label);
      seen.model = FirstLabel(sample, query.model_label);
      seen.hardware_class = FirstLabel(sample, query.hardware_class_label);
      return !seen.namespace_name.empty() && (!seen.workload.empty() || !seen.pod.empty());
    case Subject::kPod:
      seen.namespace_name = FirstLabel(sample, query.namespace_label);
      seen.pod = FirstLabel(sample, query.pod_label);
      return !seen.namespace_name.empty() && !seen.pod.empty();
    case Subject::kModel:
      seen.model = FirstLabel(sample, query.model_label);
      seen.hardware_class = FirstLabel(sample, query.hardware_class_label);
      return !seen.model.empty();
  }
  return false;
}

std::string LabelNames(const VectorReader::Sample& sample) {
  std::string names;
  for (const auto& [name, value] : sample.labels)
    names += (names.empty() ? "" : ", ") + std::string(name);
  return names.empty() ? "none" : Printable(names, 120);
}

// What a status says beyond itself.
std::string Meaning(long status) {
  switch (status) {
    case 401:
      return " (the token or password is missing, wrong or expired)";
    case 403:
      return " (who we are may not ask this)";
    case 404:
      return " (is the URL the API's root?)";
    case 422:
      return " (the query cannot be executed)";
    case 429:
      return " (too many requests: asked again later)";
    default:
      return "";
  }
}

}  // namespace

bool IsMetricName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsNameCharacter) &&
         (text[0] < '0' || text[0] > '9');
}

bool IsPlainSelector(std::string_view promql) {
  const std::string_view text = Trim(promql);
  const std::size_t end = std::min(text.find('{'), text.size());
  // Prometheus 3 also has names in braces: {"http.requests"}.
  const std::string_view name = Trim(text.substr(0, end));
  if (!IsMetricName(name) && (!name.empty() || text.empty())) return false;
  return end == text.size() || text.find('}') == text.size() - 1;
}

Prometheus::Prometheus(PrometheusOptions options, const std::atomic<bool>& stop)
    : options_(std::move(options)), stop_(stop), client_(std::make_unique<HttpClient>()) {}

Status Prometheus::ReadCredentials() {
  TlsOptions tls;
  tls.insecure_skip_verify = options_.insecure_skip_verify;
  std::string token;
  std::string password;
  const std::array<std::pair<const std::string*, std::string*>, 5> files = {{
      {&options_.ca_file, &tls.ca_pem},
      {&options_.certificate_file, &tls.certificate_pem},
      {&options_.key_file, &tls.key_pem},
      {&options_.bearer_token_file, &token},
      {&options_.password_file, &password},
  }};
  for (const auto& [path, text] : files) {
    if (path->empty()) continue;
    Result<std::string> read = ReadFile(*path);
    if (!read.ok()) return read.status();
    *text = *std::move(read);
  }
  headers_ = {"Content-Type: application/x-www-form-urlencoded"};
  if (!token.empty()) headers_.push_back("Authorization: Bearer " + std::string(Trim(token)));
  password_ = Trim(password);
  if (!options_.tenant.empty()) headers_.push_back("X-Scope-OrgID: " + options_.tenant);
  // A client keeps its connections: a new one only for other certificates.
  if (tls.ca_pem != tls_.ca_pem || tls.certificate_pem != tls_.certificate_pem ||
      tls.key_pem != tls_.key_pem || tls.insecure_skip_verify != tls_.insecure_skip_verify) {
    tls_ = tls;
    client_ = std::make_unique<HttpClient>(std::move(tls));
  }
  return Status::Ok();
}

std::optional<QueryFailure> Prometheus::Ask(const std::string& promql, std::optional<Timestamp> at,
                                            const VectorReader::Take& take, QueryAnswer& answer) {
  HttpCall call;
  call.method = "POST";
  call.url = options_.url + "/api/v1/query";
  call.headers = headers_;
  call.username = options_.username;
  call.password = password_;
  call.body = "query=" + PercentEncode(promql);
  if (at) call.body += "&time=" + PercentEncode(FormatTime(*at));
  call.timeout = options_.timeout;
  call.max_response_bytes = 1U << 20;  // of an error
  double evaluated_unix = 0;
  VectorReader reader(options_.max_response_bytes, [&](const VectorReader::Sample& sample) {
    evaluated_unix = sample.evaluated_unix;
    take(sample);
  });
  const Result<HttpReply> reply = client_->Stream(
      call, options_.timeout, stop_, [&](std::string_view bytes) { return reader.Feed(bytes); });
  using Scope = QueryFailure::Scope;
  if (!reply.ok()) {
    const bool slow = reply.status().code() == ErrorCode::kTimeout;
    return QueryFailure{reply.status(), slow ? Scope::kUnclear : Scope::kServer};
  }
  answer.bytes += reader.bytes();
  if (reply->status == 200) {
    const Status status = reader.Finish();
    answer.warnings.insert(answer.warnings.end(), reader.warnings().begin(),
                           reader.warnings().end());
    if (!status.ok()) return QueryFailure{status, Scope::kQuery};
    if (!at && evaluated_unix != 0) evaluated_ = FromSeconds(evaluated_unix);
    return std::nullopt;
  }
  VectorReader error(options_.max_response_bytes, [](const VectorReader::Sample&) {});
  error.Feed(reply->body);
  const Status said = error.Finish();
  const bool is_answer = said.code() == ErrorCode::kUnavailable;
  const std::string message = "HTTP status " + std::to_string(reply->status) +
                              Meaning(reply->status) +
                              (is_answer ? ": " + said.message() : std::string());
  constexpr long kServerErrors = 500;
  const bool of_query = reply->status == 400 || reply->status == 422;
  return QueryFailure{Status::Unavailable(message),
                      of_query                         ? Scope::kQuery
                      : reply->status >= kServerErrors ? Scope::kUnclear
                                                       : Scope::kServer,
                      reply->retry_after};
}

std::optional<QueryFailure> Prometheus::AskNumbers(const std::string& promql,
                                                   std::optional<Timestamp> at, Times& numbers,
                                                   QueryAnswer& answer) {
  return Ask(
      promql, at,
      [&](const VectorReader::Sample& sample) { numbers.emplace(KeyOf(sample), sample.value); },
      answer);
}

std::optional<QueryFailure> Prometheus::Collect(const SignalQuery& query, Timestamp now,
                                                std::optional<Timestamp> at, QueryAnswer& answer) {
  evaluated_.reset();
  const auto compare_clocks = [&] {
    if (evaluated_) clock_ahead_ = *evaluated_ - now;
  };
  std::string time_query = query.time_query;
  if (time_query.empty() && IsPlainSelector(query.query))
    time_query = "timestamp(" + query.query + ")";
  Times times;
  Times resets;
  if (!time_query.empty()) {
    if (auto failure = AskNumbers(time_query, at, times, answer)) {
      if (failure->scope == QueryFailure::Scope::kQuery)
        failure->status = failure->status.WithContext("time query");
      return failure;
    }
    compare_clocks();
  }
  if (!query.resets_query.empty()) {
    if (auto failure = AskNumbers(query.resets_query, at, resets, answer)) {
      if (failure->scope == QueryFailure::Scope::kQuery)
        failure->status = failure->status.WithContext("resets query");
      return failure;
    }
  }
  auto failure = Ask(
      query.query, at,
      [&](const VectorReader::Sample& sample) {
        ++answer.series;
        const bool timed = !time_query.empty();
        const std::string key = timed || !resets.empty() ? KeyOf(sample) : std::string();
        const auto time = times.find(key);
        if (timed && (time == times.end() || !std::isfinite(time->second))) {
          ++answer.ended;
          return;
        }
        Observation& seen = answer.observations.emplace_back();
        seen.signal = query.signal;
        seen.value = sample.value * query.factor;
        seen.currency = query.currency;
        seen.rank = query.rank;
        seen.max_age = query.max_age;
        seen.of_all_replicas = query.of_all_replicas;
        seen.broad = query.broad;
        seen.source = query.name;
        seen.method =
            sample.Label(query.estimated_label) == "true" ? Method::kEstimated : query.method;
        seen.time = timed ? FromSeconds(time->second) : at.value_or(now);
        seen.spot = sample.Label(query.spot_label) == "true";
        seen.may_be_step = query.may_be_step;
        seen.role = FirstLabel(sample, query.role_label);
        seen.cluster = FirstNamed(sample, query.cluster_label);
        if (const auto found = resets.find(key); found != resets.end())
          seen.reset = found->second > 0;
        if (!Name(sample, query, seen)) {
          if (answer.nameless++ == 0) answer.nameless_labels = LabelNames(sample);
        }
      },
      answer);
  // The first answer is the nearest to `now`.
  if (time_query.empty()) compare_clocks();
  if (!failure && answer.series > 0 && answer.ended == answer.series) {
    return QueryFailure{
        Status::NotFound(
            "no series has a sample of its own: the exporter is gone, or time_query has "
            "other labels than query"),
        QueryFailure::Scope::kQuery};
  }
  return failure;
}

std::optional<QueryFailure> Prometheus::Discover(const Metrics& metrics,
                                                 std::map<std::string, std::int64_t>& found) {
  std::string names;
  std::string promql;
  // count() drops the name, and so would this reader: it comes back under another label.
  const auto alternative = [&promql](std::initializer_list<std::string_view> parts) {
    if (!promql.empty()) promql += " or ";
    for (const std::string_view part : parts) promql += part;
  };
  for (const auto& [metric, back] : metrics) {
    if (back.empty()) {
      if (!names.empty()) names += '|';
      names += metric;
    } else {
      alternative({"label_replace(count(last_over_time(", metric, "{", options_.match, "}[", back,
                   "])), \"metric\", \"", metric, "\", \"\", \"\")"});
    }
  }
  if (!names.empty()) {
    alternative({"count by (metric) (label_replace({", options_.match, "__name__=~\"", names,
                 "\"}, \"metric\", \"$1\", \"__name__\", \"(.+)\"))"});
  }
  QueryAnswer answer;
  return Ask(
      promql, std::nullopt,
      [&](const VectorReader::Sample& sample) {
        found[std::string(sample.Label("metric"))] = WholeOf(sample.value);
      },
      answer);
}

}  // namespace sobre
