#include "k8s/reflector.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/background.h"
#include "base/text.h"
#include "k8s/watch_frames.h"
#include "k8s/wire_fields.h"
#include "k8s/wire_objects.h"
#include "net/http_client.h"

namespace sobre {
namespace {

constexpr const char* kAccept = "Accept: application/vnd.kubernetes.protobuf";
// The API server would spend seconds on compressing a large list, and we on undoing it.
constexpr const char* kPlain = "Accept-Encoding: identity";
constexpr Duration kListSilence = std::chrono::seconds(60);
// A watch that ends within this is taken for one that the server ends at once.
constexpr Duration kShortWatch = std::chrono::seconds(1);
constexpr Duration kQuietEnd = std::chrono::seconds(1);

std::uint64_t NextRandom(std::uint64_t& state) {
  state += 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

struct ErrorSaid {
  std::string message;
  std::uint64_t code = 0;
};
// Of a metav1.Status.
bool ReadError(std::string_view raw, ErrorSaid& said) {
  return EachField(raw, [&said](const WireField& field) {
    if (field.tag == BytesTag(3)) said.message = Printable(field.bytes, 300);
    if (field.tag == NumberTag(6)) said.code = field.number;
    return true;
  });
}

Status FromReply(const HttpReply& reply, const std::string& url) {
  std::string message = url + ": status " + std::to_string(reply.status);
  if (const Result<std::string_view> raw = Unwrap(reply.body); raw.ok()) {
    ErrorSaid said;
    if (ReadError(*raw, said)) message += ", " + said.message;
  }
  if (reply.status == 410) return Status::Gone(message);
  if (reply.status == 401 || reply.status == 403) return Status::Denied(message);
  return Status::Unavailable(message);
}

}  // namespace

Reflector::Reflector(ApiAccess access, Options options, Callbacks callbacks)
    : access_(std::move(access)),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      jitter_state_(static_cast<std::uint64_t>(Now().time_since_epoch().count()) ^
                    std::hash<std::string>()(options_.path)),
      thread_([this] { Run(); }) {}

Reflector::~Reflector() {
  stop_ = true;
  {
    // Under the lock, so that a sleeper cannot miss the call between its check and its wait.
    const MutexLock lock(sleep_mutex_);
  }
  sleep_wake_.NotifyAll();
  thread_.join();
}

void Reflector::Run() {
  StepBack();
  NameThread(("watch-" + options_.path.substr(options_.path.rfind('/') + 1)).c_str());
  Duration backoff = options_.backoff_least;
  bool failed = false;
  while (!stop_) {
    const bool listing = resource_version_.empty();
    const SteadyTime begun = std::chrono::steady_clock::now();
    const Status status =
        listing ? List() : Watch(failed ? options_.watch_after_failure : options_.watch);
    if (stop_) return;
    failed = !status.ok();
    if (!failed) {
      callbacks_.on_problem(Status::Ok());
      if (listing) continue;
      backoff = options_.backoff_least;
      // A server that ends each watch at once must not be asked without a pause.
      if (std::chrono::steady_clock::now() - begun < kShortWatch) Sleep(options_.backoff_least);
      continue;
    }
    if (status.code() == ErrorCode::kGone) {
      resource_version_.clear();
      // Nor must one that says so at every turn: only the first time is the list read at once.
      if (!listing && backoff == options_.backoff_least) {
        backoff *= 2;
        continue;
      }
    }
    callbacks_.on_problem(status);
    Sleep(backoff / 2 +
          Duration(static_cast<std::int64_t>(NextRandom(jitter_state_) %
                                             static_cast<std::uint64_t>(backoff.count()))));
    backoff = std::min(backoff * 2, listing ? options_.list_backoff_most : options_.backoff_most);
  }
}

Status Reflector::List() {
  const ApiAccess access = access_.Fresh();
  HttpClient client(access.tls);
  const Result<std::vector<std::string>> headers = access.Headers();
  if (!headers.ok()) return headers.status();
  const SteadyTime begun = std::chrono::steady_clock::now();
  HttpCall call;
  call.headers = *headers;
  call.headers.emplace_back(kAccept);
  call.headers.emplace_back(kPlain);
  call.timeout = Duration(0);
  std::string next;
  callbacks_.on_list();
  do {
    call.url = access.server + options_.path + "?limit=" + std::to_string(options_.page_size);
    if (!options_.query.empty()) call.url += "&" + options_.query;
    if (!next.empty()) call.url += "&continue=" + PercentEncode(next);
    ListFrames frames;
    Status status;
    const Result<HttpReply> reply =
        client.Stream(call, kListSilence, stop_, [&](std::string_view bytes) {
          status = frames.Feed(bytes, callbacks_.on_object);
          return status.ok();
        });
    if (stop_) return Status::Ok();
    if (!reply.ok()) return reply.status();
    if (reply->status != 200) return FromReply(*reply, access.server + options_.path);
    if (status.ok()) status = frames.End();
    if (!status.ok()) return status.WithContext(access.server + options_.path);
    next = frames.next();
    if (next.empty()) resource_version_ = frames.resource_version();
  } while (!next.empty());
  if (resource_version_.empty())
    return Status::Invalid(options_.path + ": a list without resourceVersion");
  if (callbacks_.on_heard) callbacks_.on_heard(begun);
  callbacks_.on_listed();
  return Status::Ok();
}

Status Reflector::Watch(Duration length) {
  const ApiAccess access = access_.Fresh();
  HttpClient client(access.tls);
  const Result<std::vector<std::string>> headers = access.Headers();
  if (!headers.ok()) return headers.status();
  const SteadyTime begun = std::chrono::steady_clock::now();
  const Duration most = length + options_.watch_grace;
  HttpCall call;
  call.headers = *headers;
  call.headers.push_back(std::string(kAccept) + ";stream=watch");
  call.timeout = most;
  call.url = access.server + options_.path + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=" +
             std::to_string(std::max<std::int64_t>(1, length.count() / 1000)) +
             "&resourceVersion=" + PercentEncode(resource_version_);
  if (!options_.query.empty()) call.url += "&" + options_.query;
  WatchFrames frames;
  Status status;
  const auto on_event = [this](std::string_view type, std::string_view raw) {
    if (type == "ERROR") {
      ErrorSaid said;
      if (!ReadError(raw, said)) return Status::Invalid("broken watch error");
      const std::string message = options_.path + ": watch: " + said.message;
      return said.code == 410 ? Status::Gone(message) : Status::Unavailable(message);
    }
    const std::optional<std::string_view> version = VersionOf(raw);
    if (!version) return Status::Invalid("broken watch object");
    if (type == "DELETED") {
      callbacks_.on_deleted(raw);
    } else if (type != "BOOKMARK") {
      callbacks_.on_object(raw);
    }
    resource_version_ = *version;
    callbacks_.on_problem(Status::Ok());
    return Status::Ok();
  };
  SteadyTime last_told = begun;
  const Result<HttpReply> reply = client.Stream(call, most, stop_, [&](std::string_view bytes) {
    last_told = std::chrono::steady_clock::now();
    status = frames.Feed(bytes, on_event);
    return status.ok();
  });
  if (!status.ok()) return status;
  if (!reply.ok()) return reply.status();
  if (stop_) return Status::Ok();
  if (reply->status != 200) return FromReply(*reply, access.server + options_.path);
  if (!callbacks_.on_heard || !frames.complete()) return Status::Ok();
  const SteadyTime now = std::chrono::steady_clock::now();
  // What was missed meanwhile may be too much for a short one, which then ends in the midst of it.
  if (length < options_.watch && now - last_told < kQuietEnd) return Status::Ok();
  // The server ended it no sooner than it was asked to, however late its last bytes came.
  callbacks_.on_heard(now - begun >= length ? begun + length : begun);
  return Status::Ok();
}

void Reflector::Sleep(Duration duration) {
  MutexLock lock(sleep_mutex_);
  sleep_wake_.WaitFor(lock, duration, [this] { return stop_.load(); });
}

}  // namespace sobre
