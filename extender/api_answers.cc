#include "extender/api_answers.h"

#include <algorithm>

#include "audit/schema.h"
#include "audit/usage.h"
#include "base/text.h"
#include "extender/is_due.h"
#include "extender/records.h"

namespace sobre {

int HttpStatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kDamaged:
    case ErrorCode::kGone:
      return 409;
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
      return 503;
    default:
      return 500;
  }
}

void FailWith(const Status& status, HttpResponse& response) {
  const int code = HttpStatusOf(status.code());
  response.Fail(code, status.message());
  if (code == 503) response.headers.emplace_back("Retry-After", "2");
}

Status CheckParameters(const HttpRequest& request, const std::vector<std::string_view>& known) {
  for (const std::string& name : request.ParameterNames()) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      return Status::Invalid("unknown parameter '" + Printable(name, 40) + "'" +
                             DidYouMean(name, known));
  }
  return Status::Ok();
}

void HandleJson(HttpServer& server, std::string path, std::vector<std::string_view> parameters,
                JsonAnswer answer) {
  server.Handle("GET", std::move(path),
                [parameters = std::move(parameters), answer = std::move(answer)](
                    const HttpRequest& request, HttpResponse& response) {
                  const Status known = CheckParameters(request, parameters);
                  Result<std::string> json =
                      known.ok() ? answer(request) : Result<std::string>(known);
                  if (json.ok()) {
                    response.body = *std::move(json);
                    return;
                  }
                  FailWith(json.status(), response);
                });
}

Result<std::optional<double>> NumberIn(const HttpRequest& request, std::string_view name,
                                       double low, double high) {
  const auto text = request.Parameter(name);
  if (!text) return std::optional<double>();
  const auto value = ParseNumber(*text);
  if (!value || *value < low || *value > high)
    return Status::Invalid(std::string(name) + ": '" + Printable(*text, 40) +
                           "' is no number from " + FormatNumber(low) + " to " +
                           FormatNumber(high));
  return value;
}

Result<std::optional<std::int64_t>> IntegerIn(const HttpRequest& request, std::string_view name,
                                              std::int64_t low, std::int64_t high) {
  const auto text = request.Parameter(name);
  if (!text) return std::optional<std::int64_t>();
  const auto value = ParseInteger(*text);
  if (!value || *value < low || *value > high)
    return Status::Invalid(std::string(name) + ": '" + Printable(*text, 40) +
                           "' is no whole number from " + std::to_string(low) + " to " +
                           std::to_string(high));
  return value;
}

std::string_view NameBelow(const HttpRequest& request, std::string_view folder) {
  return request.path.substr(folder.size());
}

// The question that nobody asked for the longest makes room; whoever makes its answer still has it.
std::shared_ptr<KeptAnswers::Kept> KeptAnswers::Find(const std::string& question, Timestamp now) {
  const MutexLock lock(mutex_);
  if (!asked_.contains(question) && asked_.size() >= kMostQuestions) {
    asked_.erase(std::min_element(asked_.begin(), asked_.end(), [](const auto& a, const auto& b) {
      return a.second.last < b.second.last;
    }));
  }
  Asked& asked = asked_[question];
  asked.last = now;
  if (!asked.kept) asked.kept = std::make_shared<Kept>();
  return asked.kept;
}

Result<std::string> KeptAnswers::For(const std::string& question, Timestamp now,
                                     const std::function<Result<std::string>()>& make) {
  const std::shared_ptr<Kept> kept = Find(question, now);
  const MutexLock lock(kept->mutex);
  if (!IsDue(kept->made, keep_, now)) return kept->answer;
  kept->made.reset();
  kept->answer.clear();
  Result<std::string> answer = make();
  if (!answer.ok() || answer->size() > kMostBytes) return answer;
  kept->made = now;
  kept->answer = *answer;
  return answer;
}

Result<RecordReaders::Reader> RecordReaders::OpenUsage() {
  Result<Reader> reader = Open();
  if (!reader.ok() || config_.accounting.enabled) return reader;
  const auto accounted = UsageStore(**reader).LastAccounted();
  if (!accounted.ok()) return accounted.status();
  if (*accounted) return reader;
  return Status::NotFound(
      "no usage is accounted for: set accounting.enabled in the configuration (docs/records.md)");
}

Result<RecordReaders::Reader> RecordReaders::Open() {
  if (config_.records.directory.empty() && config_.records.postgres.empty())
    return Status::NotFound(
        "no records are kept: set records.directory in the configuration (docs/records.md)");
  if (held_.fetch_add(1) >= kMost) {
    --held_;
    return Status::Unavailable("too many read the records just now; try again in a moment");
  }
  Result<std::unique_ptr<Database>> database = OpenToRead(config_);
  const Status status = database.ok() ? CheckSchema(**database) : database.status();
  if (!status.ok()) {
    --held_;
    // A file that is not there yet is made with the first entry.
    return Status::Unavailable(status.message());
  }
  return Reader(*std::move(database), held_);
}

}  // namespace sobre
