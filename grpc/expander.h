#pragma once

#include <string>

#include "base/mutex.h"
#include "extender/world.h"
#include "proto/autoscaler/expander.grpc.pb.h"

namespace sobre {

// The Cluster Autoscaler's expander: of the node groups that could grow, the one that the waiting
// pods would choose. An error makes the autoscaler keep all of them; an empty answer keeps the
// cluster from growing, and is given only where every option breaks a hard limit of all its pods.
class ExpanderService final : public grpcplugin::Expander::Service {
 public:
  ExpanderService(const World& world, NodeOrigins origins)
      : world_(world), origins_(std::move(origins)) {}

  grpc::Status BestOptions(grpc::ServerContext* context,
                           const grpcplugin::BestOptionsRequest* request,
                           grpcplugin::BestOptionsResponse* response) override;

 private:
  const World& world_;
  const NodeOrigins origins_;
  Mutex one_at_a_time_;
};

}  // namespace sobre
