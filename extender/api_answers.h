#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/time.h"
#include "extender/config.h"
#include "net/http_server.h"
#include "store/database.h"

// What the endpoints of the JSON API have in common.
namespace sobre {

// The HTTP status of a failure: 400 for what was asked wrongly, 404, 409 for what is kept and
// cannot be read any more, 503, else 500.
int HttpStatusOf(ErrorCode code);

// {"error": message} with its status; with Retry-After where it is only for now.
void FailWith(const Status& status, HttpResponse& response);

// Registers a GET that answers JSON, or {"error": sentence}. A parameter that is not among
// `parameters` is refused, with the one that may have been meant.
using JsonAnswer = std::function<Result<std::string>(const HttpRequest&)>;
void HandleJson(HttpServer& server, std::string path, std::vector<std::string_view> parameters,
                JsonAnswer answer);
Status CheckParameters(const HttpRequest& request, const std::vector<std::string_view>& known);

// Nothing where the query does not state it; an error where it is no number from `low` to `high`.
Result<std::optional<double>> NumberIn(const HttpRequest& request, std::string_view name,
                                       double low, double high);
Result<std::optional<std::int64_t>> IntegerIn(const HttpRequest& request, std::string_view name,
                                              std::int64_t low, std::int64_t high);
// The last part of the path, or what follows `folder`.
std::string_view NameBelow(const HttpRequest& request, std::string_view folder);

// Answers that cost much, made anew at most so often for each question, however many ask: whoever
// asks meanwhile waits for the one who makes it. Failures are not kept. Thread-safe.
class KeptAnswers {
 public:
  static constexpr std::size_t kMostQuestions = 8;
  static constexpr std::size_t kMostBytes = 4U << 20;  // of one answer; a longer one is not kept
  explicit KeptAnswers(Duration keep) : keep_(keep) {}
  // `question` says all that the answer depends on, but the time.
  Result<std::string> For(const std::string& question, Timestamp now,
                          const std::function<Result<std::string>()>& make);

 private:
  struct Kept {
    Mutex mutex;  // held while the answer is made
    std::optional<Timestamp> made SOBRE_GUARDED_BY(mutex);
    std::string answer SOBRE_GUARDED_BY(mutex);
  };
  std::shared_ptr<Kept> Find(const std::string& question, Timestamp now);

  const Duration keep_;
  Mutex mutex_;
  struct Asked {
    Timestamp last;
    std::shared_ptr<Kept> kept;
  };
  std::map<std::string, Asked> asked_ SOBRE_GUARDED_BY(mutex_);
};

// Opens the records for at most so many readers at a time, so that whoever looks cannot keep
// whoever writes from it. Thread-safe.
class RecordReaders {
 public:
  static constexpr int kMost = 4;
  explicit RecordReaders(const Config& config) : config_(config) {}

  class Reader {
   public:
    Reader(std::unique_ptr<Database> database, std::atomic<int>& held)
        : database_(std::move(database)), held_(&held) {}
    ~Reader() {
      if (held_ != nullptr) --*held_;
    }
    Reader(Reader&& other) noexcept
        : database_(std::move(other.database_)), held_(std::exchange(other.held_, nullptr)) {}
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    Reader& operator=(Reader&&) = delete;
    Database& operator*() const { return *database_; }

   private:
    std::unique_ptr<Database> database_;
    std::atomic<int>* held_;
  };
  // kUnavailable where too many read; kNotFound where nothing is kept, saying how to switch it on.
  Result<Reader> Open();
  // The same for usage: kNotFound also where nobody accounts for it, nor did.
  Result<Reader> OpenUsage();

 private:
  const Config& config_;
  std::atomic<int> held_ = 0;
};

}  // namespace sobre
