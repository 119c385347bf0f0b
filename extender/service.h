#pragma once

#include "extender/metrics.h"
#include "extender/recent_decisions.h"
#include "extender/world.h"
#include "net/http_server.h"
#include "scoring/decide.h"

namespace sobre {

// Answers kube-scheduler: from the bytes of a request to the bytes of the answer. Takes no lock and
// waits for nothing; any number of threads at once. The world, metrics and decisions must outlive
// it.
class ExtenderService {
 public:
  ExtenderService(const World& world, const Policy& policy, Metrics& metrics,
                  RecentDecisions& recent)
      : world_(world), policy_(policy), metrics_(metrics), recent_(recent) {}

  // ExtenderFilterResult. No hard limit exists that could refuse a node: all that were asked about
  // pass.
  void Filter(const HttpRequest& request, HttpResponse& response) {
    Answer(Verb::kFilter, request, response);
  }
  // HostPriorityList: [{"Host": name, "Score": 0..10}, …]
  void Prioritize(const HttpRequest& request, HttpResponse& response) {
    Answer(Verb::kPrioritize, request, response);
  }

 private:
  void Answer(Verb verb, const HttpRequest& request, HttpResponse& response);
  Status Handle(Verb verb, std::string_view body, std::string& out);

  const World& world_;
  const Policy policy_;
  Metrics& metrics_;
  RecentDecisions& recent_;
};

}  // namespace sobre
