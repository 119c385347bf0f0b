#include "grpc/expander.h"

#include "base/log.h"
#include "base/text.h"
#include "grpc/growth_request.h"

namespace sobre {
namespace {

constexpr std::size_t kNameLength = 100;
constexpr int kMostOptions = 10'000;

void LogAnswer(const GrowthRequest& read, const Growth& growth) {
  for (const std::string& problem : read.problems)
    Log(LogLevel::kWarning, "expander: not understood", {{"what", problem}});
  if (read.options.empty()) return;
  if (growth.best.empty()) {
    for (std::size_t i = 0; i < read.options.size(); ++i) {
      Log(LogLevel::kWarning, "expander: no group may grow",
          {{"group", Printable(read.options[i].group, kNameLength)},
           {"why", DescribeGrowth(read.options[i], growth.verdicts[i])}});
    }
    return;
  }
  const std::size_t best = growth.best.front();
  Log(LogLevel::kInfo, "expander: best group",
      {{"group", Printable(read.options[best].group, kNameLength)},
       {"of", std::to_string(read.options.size())},
       {"as_good", std::to_string(growth.best.size())},
       {"why", DescribeGrowth(read.options[best], growth.verdicts[best])}});
}

}  // namespace

grpc::Status ExpanderService::BestOptions(grpc::ServerContext* context,
                                          const grpcplugin::BestOptionsRequest* request,
                                          grpcplugin::BestOptionsResponse* response) {
  const auto state = world_.Read();
  if (!state->ready) {
    return {grpc::StatusCode::UNAVAILABLE,
            "not ready: " + state->not_ready_reason + "; all options stand"};
  }
  if (request->options_size() > kMostOptions) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            "over " + std::to_string(kMostOptions) + " options; all of them stand"};
  }
  // One autoscaler asks one question at a time; others wait for their turn, or give up.
  const MutexLock lock(one_at_a_time_);
  if (context->IsCancelled()) return {grpc::StatusCode::CANCELLED, "nobody waits any more"};
  const GrowthRequest read = ReadGrowthRequest(*request, *state, origins_);
  if (context->IsCancelled()) return {grpc::StatusCode::CANCELLED, "nobody waits any more"};
  const Growth growth = JudgeGrowth(read.kinds, read.options, *read.snapshot);
  LogAnswer(read, growth);
  for (const std::size_t i : growth.best) {
    const grpcplugin::Option& asked = request->options(static_cast<int>(i));
    grpcplugin::Option* option = response->add_options();
    option->set_nodegroupid(asked.nodegroupid());
    option->set_nodecount(asked.nodecount());
    option->set_debug("sobre: " + DescribeGrowth(read.options[i], growth.verdicts[i]));
  }
  return grpc::Status::OK;
}

}  // namespace sobre
