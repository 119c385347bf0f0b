#include <array>
#include <cstdio>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "extender/command_line.h"
#include "extender/config.h"
#include "extender/serve.h"
#include "extender/world.h"
#include "grpc/grpc_server.h"

namespace {

using sobre::Option;

constexpr std::array<Option, 5> kOptions = {{
    {"--config", "FILE", "the configuration of `sobre serve` (YAML), with its section `grpc`"},
    {"--nodes", "FILE",
     "nodes that stand still instead of a cluster: what `kubectl get nodes -o json` prints"},
    {"--signals", "FILE", "with --nodes: signals beside those of Prometheus, a JSON list"},
    {"--version", "", "print the version"},
    {"--help", "", "this text"},
}};

constexpr sobre::Duration kLook = std::chrono::milliseconds(500);

int Fail(const sobre::Status& status) {
  std::fprintf(stderr, "sobre-grpc: %s\n", sobre::PrintableLines(status.message()).c_str());
  return 2;
}

sobre::Result<std::unique_ptr<sobre::World>> OpenWorld(const sobre::CommandLine& line,
                                                       const sobre::Config& config) {
  if (!line.Has("--nodes")) {
    if (line.Has("--signals")) return sobre::Status::Invalid("--signals needs --nodes");
    sobre::LiveWorld::Roles roles;
    roles.open_gates = false;
    auto live = sobre::LiveWorld::Open(config, roles);
    if (!live.ok()) return live.status();
    return std::unique_ptr<sobre::World>(*std::move(live));
  }
  auto input =
      sobre::LoadWorldFiles(line.Get("--nodes"), line.Get("--signals"), config, sobre::Now());
  if (!input.ok()) return input.status();
  if (!config.prometheus.servers.empty())
    return std::unique_ptr<sobre::World>(sobre::LiveWorld::Open(config, *std::move(input)));
  auto world = std::make_unique<sobre::World>();
  world->Publish(sobre::MakeState(*std::move(input), config.policy));
  return world;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const auto line = sobre::CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return Fail(line.status());
  if (line->Has("--help")) {
    std::printf(
        "usage: sobre-grpc [--config FILE] [--nodes FILE [--signals FILE]]\n\n"
        "Answers the Cluster Autoscaler's expander, scores pods and streams decisions over gRPC, "
        "until\nSIGTERM. It decides nothing for kube-scheduler and writes nothing.\n\n%s",
        sobre::HelpFor(kOptions).c_str());
    return 0;
  }
  if (line->Has("--version")) {
    std::puts("sobre-grpc " SOBRE_VERSION);
    return 0;
  }
  const auto config = sobre::ConfigOf(*line);
  if (!config.ok()) return Fail(config.status());
  sobre::SetLogThreshold(config->log.level);
  sobre::BlockStopSignals();
  const auto world = OpenWorld(*line, *config);
  if (!world.ok()) return Fail(world.status());
  sobre::GrpcServer server(**world, *config);
  if (const sobre::Status status = server.Start(); !status.ok()) return Fail(status);
  sobre::Log(sobre::LogLevel::kInfo, "serving",
             {{"version", SOBRE_VERSION},
              {"grpc_port", std::to_string(server.port())},
              {"tls", config->grpc.tls ? "yes" : "no"}});
  bool serving = false;
  while (!sobre::WaitForStopSignal(kLook)) {
    if (const bool ready = (*world)->Read()->ready; ready != serving)
      server.SetServing(serving = ready);
    sobre::TellLeftOut();
  }
  sobre::Log(sobre::LogLevel::kInfo, "stopping");
  server.Stop(config->listen.shutdown_grace);
  sobre::TellLeftOut(true);
  sobre::Log(sobre::LogLevel::kInfo, "stopped");
  return 0;
}
