// A request of the Cluster Autoscaler, through to what its options are answered with.
#include <cmath>
#include <string>

#include <google/protobuf/stubs/logging.h>

#include "grpc/growth_request.h"
#include "scoring/test_world.h"
#include "tests/fuzz/fuzz.h"

namespace sobre::fuzz {
namespace {

std::shared_ptr<const WorldState> SmallWorld() {
  TestWorld world;
  world.Node("a", "scaleway", "fr-par").Node("b", "aws", "eu-central-1");
  world.Price("a", 0.4).Price("b", 0.5);
  auto state = std::make_shared<WorldState>(*MakeState(world.input()));
  state->namespaces["law"] = MakeNamespacePolicy(
      "law", {{"allowed-countries", "FR,DE"}, {"enforced", "allowed-countries"}}, {});
  return state;
}

}  // namespace
}  // namespace sobre::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sobre;
  using namespace sobre::fuzz;
  // It would tell of every text that is none.
  static const auto quiet = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(quiet);
  static const auto world = SmallWorld();
  grpcplugin::BestOptionsRequest request;
  if (!request.ParseFromArray(data, static_cast<int>(size))) return 0;
  const GrowthRequest read = ReadGrowthRequest(request, *world, {{}, "scaleway"});
  SOBRE_HOLDS(read.options.size() == static_cast<std::size_t>(request.options_size()));
  const Growth growth = JudgeGrowth(read.kinds, read.options, *read.snapshot);
  SOBRE_HOLDS(growth.verdicts.size() == read.options.size());
  bool all_refused = true;
  for (std::size_t i = 0; i < growth.verdicts.size(); ++i) {
    const GrowthVerdict& verdict = growth.verdicts[i];
    SOBRE_HOLDS(verdict.allowed >= 0 && verdict.refused >= 0 && verdict.unread >= 0);
    SOBRE_HOLDS(verdict.score >= 0 && verdict.score <= kMaxScore);
    SOBRE_HOLDS(std::isfinite(verdict.ratio));
    SOBRE_HOLDS(std::isfinite(verdict.whole.grams.value()));
    SOBRE_HOLDS(std::isfinite(verdict.whole.euros.value()));
    SOBRE_HOLDS(!DescribeGrowth(read.options[i], verdict).empty());
    all_refused &= verdict.IsRefused();
  }
  // Who is asked for the best has one, or all may not be.
  SOBRE_HOLDS(growth.best.empty() == all_refused);
  for (const std::size_t best : growth.best) SOBRE_HOLDS(!growth.verdicts[best].IsRefused());
  return 0;
}
