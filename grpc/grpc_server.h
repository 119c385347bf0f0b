#pragma once

#include <memory>
#include <string>

#include <grpcpp/server.h>

#include "base/status.h"
#include "extender/access.h"
#include "extender/config.h"
#include "extender/world.h"
#include "grpc/decision_feed.h"
#include "grpc/expander.h"
#include "grpc/scoring_service.h"

namespace sobre {

// Expander, scoring, decisions, health and reflection on one port.
class GrpcServer {
 public:
  GrpcServer(const World& world, const Config& config);
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // An error says what of the address or of the certificates is wrong.
  Status Start();
  // What the health service says; NOT_SERVING until told.
  void SetServing(bool serving);
  // Calls that have begun end within `grace`.
  void Stop(Duration grace);
  [[nodiscard]] int port() const { return port_; }

 private:
  const Config::Grpc config_;
  const std::unique_ptr<Access> access_;
  DecisionFeed feed_;
  ExpanderService expander_;
  ScoringService scoring_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace sobre
