#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "base/mutex.h"
#include "base/status.h"
#include "k8s/kubeconfig.h"

namespace sobre {

// Keeps a copy of one collection of the API server: lists it page by page, then watches; after a
// cut it watches on from where it was, and lists again where the server no longer knows that point
// (410 Gone). Reconnects with backoff and jitter, for ever, and reads anew what it needs for that
// from disk: a cluster replaces its authority while we run.
//
// A watch lasts `watch`, and then the next begins: one that came to its end told all that the
// server knew until then, and one that does not end in time is cut, so that neither a silent nor a
// slow connection hides for long what changed. After a failure the first is shorter: only its end
// says that nothing was missed meanwhile.
//
// The callbacks run on the reflector's thread; the objects are protobuf without envelope.
class Reflector {
 public:
  struct Options {
    std::string path;   // "/api/v1/nodes"
    std::string query;  // "fieldSelector=…", may be empty
    int page_size = 500;
    Duration watch = std::chrono::seconds(20);
    Duration watch_after_failure = std::chrono::seconds(5);
    Duration watch_grace = std::chrono::seconds(15);
    Duration backoff_least = std::chrono::milliseconds(500);
    Duration backoff_most = std::chrono::seconds(10);
    Duration list_backoff_most = std::chrono::seconds(30);  // a list is work for the server
  };
  struct Callbacks {
    // A list begins: what is not named until on_listed is gone.
    std::function<void()> on_list;
    std::function<void(std::string_view raw)> on_object;  // listed, ADDED or MODIFIED
    std::function<void(std::string_view raw)> on_deleted;
    std::function<void()> on_listed;
    // All that the server knew at that moment was told. May be empty.
    std::function<void(SteadyTime)> on_heard;
    std::function<void(const Status&)> on_problem;  // once by failure; success clears it with Ok
  };

  Reflector(ApiAccess access, Options options, Callbacks callbacks);
  // Stops within about a second.
  ~Reflector();
  Reflector(const Reflector&) = delete;
  Reflector& operator=(const Reflector&) = delete;

 private:
  void Run();
  Status List();
  Status Watch(Duration length);
  void Sleep(Duration duration);

  const ApiAccess access_;
  const Options options_;
  const Callbacks callbacks_;
  std::string resource_version_;  // empty: list first. Of the thread alone.
  std::uint64_t jitter_state_;
  std::atomic<bool> stop_ = false;
  Mutex sleep_mutex_;
  ConditionVariable sleep_wake_;
  std::thread thread_;  // last: it uses all above
};

}  // namespace sobre
