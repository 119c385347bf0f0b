#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/bounded_queue.h"
#include "k8s/api_client.h"

namespace sobre {

// What `kubectl describe pod` shows under Events.
struct PodEvent {
  std::string namespace_name;
  std::string pod;
  std::string uid;
  std::string reason;  // one word, "PolicyProblem"
  std::string message;
  bool warning = true;
};

// Writes events to the API server from a thread of its own. The same message about the same pod is
// written once in ten minutes. Best effort: what the server refuses is logged and lost.
class EventWriter {
 public:
  explicit EventWriter(const ApiAccess& access);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;
  // Takes no lock; drops the event if too many wait.
  void Offer(PodEvent event) {
    if (!queue_.Push(std::move(event))) ++dropped_;
  }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(); }

 private:
  static constexpr std::size_t kQueue = 256;
  void Run();
  void Write(ApiClient& api, const PodEvent& event, Timestamp now);
  bool SaidLately(const PodEvent& event, Timestamp now);

  const ApiAccess access_;
  BoundedQueue<PodEvent, kQueue> queue_;
  std::atomic<std::uint64_t> dropped_ = 0;
  std::unordered_map<std::string, Timestamp> said_;  // of the thread alone
  std::atomic<bool> stop_ = false;
  std::thread thread_;  // last: it uses all above
};

}  // namespace sobre
