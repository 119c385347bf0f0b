#pragma once

#include <atomic>

#include "audit/recorder.h"
#include "extender/metrics.h"
#include "extender/world.h"
#include "k8s/json_objects.h"
#include "net/http_server.h"
#include "scoring/decide.h"

namespace sobre {

// Answers kube-scheduler: from the bytes of a request to the bytes of the answer. Takes no lock and
// waits for nothing, but for the log where it refuses; any number of threads at once. The world,
// metrics and recorder must outlive it.
class ExtenderService {
 public:
  ExtenderService(World& world, Metrics& metrics, Recorder& recorder, NodeOrigins origins = {})
      : world_(world), metrics_(metrics), recorder_(recorder), origins_(std::move(origins)) {}

  // ExtenderFilterResult: nodes that break one of the pod's limits are refused, each with its
  // reason. A pod without limits, or in shadow mode without enforced ones, keeps all.
  void Filter(const HttpRequest& request, HttpResponse& response) {
    Answer(Verb::kFilter, request, response);
  }
  // ExtenderPreemptionResult: of the nodes where pods would be evicted for this one, those that its
  // limits let pass, with their victims as they came.
  void Preempt(const HttpRequest& request, HttpResponse& response) {
    Answer(Verb::kPreempt, request, response);
  }
  // HostPriorityList: [{"Host": name, "Score": 0..10}, …]. Where nobody asks about a pod's limits,
  // nodes that they refuse score 0.
  void Prioritize(const HttpRequest& request, HttpResponse& response) {
    Answer(Verb::kPrioritize, request, response);
  }
  // Whether a question since the last call took large buffers, which have been freed.
  [[nodiscard]] bool TookLarge() { return took_large_.exchange(false); }

 private:
  void Answer(Verb verb, const HttpRequest& request, HttpResponse& response);
  Status Handle(Verb verb, std::string_view body, std::string& out);
  void Record(Recorder::Case made, const ExtenderArgs& args,
              const std::vector<std::int32_t>& nodes);
  void TellOwner(const DecisionRequest& request);
  void TellOfLimits(Verb verb, const Snapshot& snapshot, DecisionRequest& request);

  World& world_;
  Metrics& metrics_;
  Recorder& recorder_;
  const NodeOrigins origins_;  // of nodes that a request brings along
  std::atomic<bool> took_large_ = false;
};

}  // namespace sobre
