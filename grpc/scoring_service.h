#pragma once

#include <atomic>
#include <string>

#include "extender/world.h"
#include "grpc/decision_feed.h"
#include "proto/sobre/v1/service.grpc.pb.h"

namespace sobre {

// Scoring and the stream of decisions. Where clients have certificates, only those whose
// certificate was verified are answered.
class ScoringService final : public v1::Sobre::Service {
 public:
  struct Options {
    bool clients_have_certificates = false;
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
  [[nodiscard]] grpc::Status Check(const grpc::ServerContext& context) const;

  const World& world_;
  DecisionFeed& feed_;
  const Options options_;
  std::atomic<std::int64_t> streams_ = 0;
  std::atomic<bool> stop_ = false;
};

}  // namespace sobre
