#pragma once

#include <atomic>
#include <string>

#include "extender/access.h"
#include "extender/world.h"
#include "grpc/decision_feed.h"
#include "proto/sobre/v1/service.grpc.pb.h"

namespace sobre {

// Scoring and the stream of decisions. A client whose certificate was verified is told everything.
// Any other is told what the API server lets the owner of its token see, where the status port
// wants tokens; else it is refused where clients have certificates, and told everything where
// neither is.
class ScoringService final : public v1::Sobre::Service {
 public:
  struct Options {
    bool clients_have_certificates = false;
    Access* access = nullptr;  // asks about tokens; none: none is wanted
    std::int64_t max_streams = 16;
  };
  ScoringService(const World& world, DecisionFeed& feed, Options options)
      : world_(world), feed_(feed), options_(options) {}
  // Streams end soon.
  void Stop() { stop_ = true; }

  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                     v1::Decision* response) override;
  grpc::Status WatchDecisions(grpc::ServerContext* context,
                              const v1::WatchDecisionsRequest* request,
                              grpc::ServerWriter<v1::DecisionEvent>* writer) override;

 private:
  // Whether the client may see what is of a namespace, or of all where that is empty. Waits for the
  // API server.
  [[nodiscard]] grpc::Status MaySee(const grpc::ServerContext& context,
                                    const std::string& namespace_name) const;

  const World& world_;
  DecisionFeed& feed_;
  const Options options_;
  std::atomic<std::int64_t> streams_ = 0;
  std::atomic<bool> stop_ = false;
};

}  // namespace sobre
