#include "extender/serve.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <thread>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>

#include "base/file.h"
#include "base/log.h"
#include "extender/certificates.h"
#include "extender/command_line.h"
#include "extender/memory_limit.h"
#include "extender/page.h"
#include "k8s/manifests.h"
#include "signals/observations_json.h"

namespace sobre {
namespace {

constexpr std::array<Option, 4> kOptions = {{
    {"--config", "FILE", "the configuration (YAML)"},
    {"--nodes", "FILE",
     "nodes that stand still instead of a cluster: what `kubectl get nodes -o json` prints"},
    {"--signals", "FILE", "with --nodes: signals beside those of Prometheus, a JSON list"},
    {"--help", "", "this text"},
}};

constexpr Duration kTellLeftOut = std::chrono::seconds(30);

// What both ports do alike.
HttpServer::Options OptionsOf(const char* name, const std::string& address, const Config& config) {
  HttpServer::Options options;
  options.name = name;
  options.address = address;
  options.hosts = config.listen.hosts;
  options.hosts_setting = "listen.hosts (the chart's extender.hosts)";
  options.max_connections = static_cast<int>(config.listen.max_connections);
  return options;
}

// A large request was seen to take up to nine times its size while it is answered, and the service
// up to 150 MB beside it: a tenth of what may be used is for the requests themselves.
std::size_t LargeBytes(std::optional<std::int64_t> memory_limit) {
  constexpr std::int64_t kMost = std::int64_t{32} << 20;
  constexpr std::int64_t kLeast = std::int64_t{4} << 20;
  constexpr std::int64_t kPart = 10;
  return static_cast<std::size_t>(memory_limit ? std::clamp(*memory_limit / kPart, kLeast, kMost)
                                               : kMost);
}

HttpServer::Options ExtenderOptions(const Config& config, std::shared_ptr<const ServerTls> tls) {
  constexpr std::size_t kMostBody = 32U << 20;
  HttpServer::Options options = OptionsOf("extender", config.listen.extender, config);
  const auto stated = static_cast<std::size_t>(config.listen.max_body_megabytes) << 20;
  options.max_large_bytes = std::max(LargeBytes(MemoryLimit()), stated);
  options.max_body_bytes = stated > 0 ? stated : std::min(kMostBody, options.max_large_bytes);
  options.tls = std::move(tls);
  return options;
}

HttpServer::Options StatusOptions(const Config& config, Access* access) {
  HttpServer::Options options = OptionsOf("status", config.listen.status, config);
  // Nobody keeps all others out; and whoever does, kubelet's probes are answered.
  options.max_by_peer = std::max(options.max_connections / 2, 1);
  // Beside the extender's large requests. What is read here is not worked on again.
  options.max_large_bytes = LargeBytes(MemoryLimit()) / 2;
  options.reserved = {"/healthz", "/readyz"};
  options.compress = true;
  // Many who look must not keep kube-scheduler waiting.
  options.background = true;
  // Many may look: who does nothing makes room for scrapes.
  options.idle_timeout = std::chrono::seconds(10);
  options.headers = PageHeaders();
  if (access != nullptr)
    options.admit = [access](const HttpRequest& request, HttpResponse& response) {
      return access->Admit(request, response, Now());
    };
  return options;
}

// The C library gives each of many threads a part of memory of its own, and what one thread frees
// there no other can use: snapshots, pods and records pass from thread to thread.
void BoundMemory() {
#ifdef __GLIBC__
  constexpr int kArenas = 2;
  // Larger blocks go back to the system as they are freed; an answer with 10,000 names is smaller,
  // so that none waits for the system to make memory for it.
  constexpr int kLargeBlock = 1 << 20;
  // NOLINTBEGIN(concurrency-mt-unsafe): before there are threads
  mallopt(M_ARENA_MAX, kArenas);
  mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  mallopt(M_TRIM_THRESHOLD, 4 * kLargeBlock);
  // NOLINTEND(concurrency-mt-unsafe)
#endif
}

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

Result<std::unique_ptr<World>> OpenWorld(const CommandLine& line, const Config& config,
                                         Records& records) {
  if (!line.Has("--nodes")) {
    if (line.Has("--signals")) return Status::Invalid("--signals needs --nodes");
    Result<std::unique_ptr<LiveWorld>> live =
        LiveWorld::Open(config, LiveWorld::Roles{true, &records});
    if (!live.ok()) return live.status();
    return std::unique_ptr<World>(*std::move(live));
  }
  Result<SnapshotInput> input =
      LoadWorldFiles(line.Get("--nodes"), line.Get("--signals"), config, Now());
  if (!input.ok()) return input.status();
  if (!config.prometheus.servers.empty())
    return std::unique_ptr<World>(LiveWorld::Open(config, *std::move(input)));
  auto world = std::make_unique<World>();
  world->Publish(MakeState(*std::move(input), config.policy));
  return world;
}

std::unique_ptr<Accountant> OpenAccountant(const World& world, const Records& records,
                                           const Config& config) {
  if (config.records.directory.empty() || !config.accounting.enabled) return nullptr;
  Bookkeeper::Options options;
  options.holder = NewIdentity();
  options.servers = config.prometheus.servers.size();
  options.flush = config.accounting.flush;
  options.take_over = std::max(options.take_over, 3 * options.flush);
  options.accumulator.bridge = config.accounting.bridge;
  options.budgets = config.budgets;
  if (config.AccountsByReplica()) options.leads = [&world] { return world.Leads(); };
  return std::make_unique<Accountant>(world, config.accounting.every, std::move(options),
                                      MakeUsageSink(ForUsage(config)), MeansOf(records, config));
}

std::unique_ptr<Mover> OpenMover(World& world, const Config& config) {
  if (!config.moves.enabled) return nullptr;
  std::optional<ApiAccess> access;
  if (config.moves.evict) {
    if (const Result<ApiAccess> found = AccessOf(config); found.ok()) access = *found;
  }
  return std::make_unique<Mover>(
      world, config, config.records.directory.empty() ? DatabaseOpener() : ForUsage(config),
      std::move(access));
}

std::unique_ptr<ClusterScorer> OpenClusters(const World& world, const Config& config) {
  if (!config.clusters.enabled) return nullptr;
  std::optional<ApiAccess> hub;
  if (const Result<ApiAccess> found = HubOf(config); found.ok()) {
    hub = *found;
  } else {
    Log(LogLevel::kWarning, "scores of clusters are not written",
        {{"error", found.status().message()}});
  }
  return std::make_unique<ClusterScorer>(world, config, std::move(hub));
}

}  // namespace

std::unique_ptr<Access> OpenAccess(const Config& config) {
  if (!config.listen.status_needs_token) return nullptr;
  const Result<ApiAccess> api = AccessOf(config);
  if (!api.ok())
    Log(LogLevel::kError, "listen.status_access: nobody can be asked who may see what",
        {{"error", api.status().message()}});
  return std::make_unique<Access>(api.ok() ? *api : ApiAccess());
}

Server::Server(std::unique_ptr<World> world, std::unique_ptr<Records> records, const Config& config)
    : records_(std::move(records)),
      world_(std::move(world)),
      config_(config),
      service_(*world_, metrics_, records_->recorder(), config.Origins()),
      readers_(config_),
      accountant_(OpenAccountant(*world_, *records_, config_)),
      mover_(OpenMover(*world_, config_)),
      clusters_(OpenClusters(*world_, config_)),
      tls_(config.listen.tls ? std::make_shared<ServerTls>(*config.listen.tls) : nullptr),
      extender_(ExtenderOptions(config, tls_)),
      access_(OpenAccess(config_)),
      status_(StatusOptions(config, access_.get())) {
  extender_.Handle("POST", "/v1/filter",
                   [this](const HttpRequest& q, HttpResponse& r) { service_.Filter(q, r); });
  extender_.Handle("POST", "/v1/prioritize",
                   [this](const HttpRequest& q, HttpResponse& r) { service_.Prioritize(q, r); });
  extender_.Handle("POST", "/v1/preempt",
                   [this](const HttpRequest& q, HttpResponse& r) { service_.Preempt(q, r); });
  metrics_.WatchCertificates([this] {
    std::optional<TlsOptions> kubernetes;
    if (const Result<ApiAccess> access = AccessOf(config_); access.ok()) kubernetes = access->tls;
    return CertificatesInUse(kubernetes, config_.prometheus.servers, tls_.get());
  });
  metrics_.WatchServers({&extender_, &status_});
  if (tls_ != nullptr) metrics_.WatchTls(*tls_);
  AddStatusPages(status_, *world_, config_, metrics_, *records_, readers_, accountant_.get(),
                 mover_.get(), clusters_.get(), access_.get(), {&extender_, &status_}, draining_);
}

Server::~Server() { Stop(Duration(0)); }

Status Server::Start() {
  if (tls_ != nullptr) {
    if (const Status status = tls_->Start(); !status.ok()) return status.WithContext("listen.tls");
  }
  if (const Status status = extender_.Start(); !status.ok())
    return status.WithContext("listen.extender");
  if (const Status status = status_.Start(); !status.ok())
    return status.WithContext("listen.status");
  return Status::Ok();
}

void Server::Stop(Duration grace) {
  if (draining_.exchange(true)) return;
  extender_.Drain();
  if (grace > Duration(0)) std::this_thread::sleep_for(grace);
  extender_.Stop();
  status_.Stop();
}

void Server::GiveMemoryBack() {
  if (!service_.TookLarge()) return;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

void BlockStopSignals() {
  // A file that may not grow is an error of a write, not the end.
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGXFSZ, &ignore, nullptr);
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void WaitForStopSignal() {
  const sigset_t signals = StopSignals();
  int received = 0;
  sigwait(&signals, &received);
}

bool WaitForStopSignal(Duration most) {
  const sigset_t signals = StopSignals();
  const timespec pause{most.count() / 1000, (most.count() % 1000) * 1'000'000};
  return sigtimedwait(&signals, nullptr, &pause) > 0;
}

Result<SnapshotInput> LoadWorldFiles(const std::string& nodes_file, const std::string& signals_file,
                                     const Config& config, Timestamp now) {
  SnapshotInput input = config.NewInput(now);
  if (!nodes_file.empty()) {
    const Result<std::string> nodes_text = ReadFileOrInput(nodes_file);
    if (!nodes_text.ok()) return nodes_text.status();
    Result<std::vector<NodeFacts>> nodes = ReadNodesManifest(*nodes_text, config.Origins());
    if (!nodes.ok()) return nodes.status().WithContext(nodes_file);
    for (NodeFacts& node : *nodes)
      input.nodes.push_back(std::make_shared<const NodeFacts>(std::move(node)));
  }
  if (signals_file.empty()) return input;
  const Result<std::string> signals_text = ReadFile(signals_file);
  if (!signals_text.ok()) return signals_text.status();
  Result<std::vector<Observation>> observations = ParseObservations(*signals_text, now);
  if (!observations.ok()) return observations.status().WithContext(signals_file);
  input.observations = *std::move(observations);
  return input;
}

int RunServe(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("serve", line.status());
  if (line->Has("--help")) {
    std::printf(
        "usage: sobre serve [--config FILE] [--nodes FILE [--signals FILE]]\n\n"
        "Answers kube-scheduler on the extender port, people and Prometheus on the status port, "
        "until\n"
        "SIGTERM. Without --config, every setting has its default.\n\n%s",
        HelpFor(kOptions).c_str());
    return 0;
  }
  Result<Config> config = ConfigOf(*line);
  if (!config.ok()) return UsageError("serve", config.status());
  SetLogThreshold(config->log.level);
  BoundMemory();
  BlockStopSignals();
  Result<std::unique_ptr<Records>> records = Records::Open(*config);
  if (!records.ok()) return UsageError("serve", records.status());
  Result<std::unique_ptr<World>> world = OpenWorld(*line, *config, **records);
  if (!world.ok()) return UsageError("serve", world.status());
  Server server(*std::move(world), *std::move(records), *config);
  if (const Status status = server.Start(); !status.ok()) return UsageError("serve", status);
  Log(LogLevel::kInfo, "serving",
      {{"version", SOBRE_VERSION},
       {"extender_port", std::to_string(server.extender_port())},
       {"extender_scheme", config->listen.tls ? "https" : "http"},
       {"status_port", std::to_string(server.status_port())}});
  while (!WaitForStopSignal(kTellLeftOut)) {
    TellLeftOut();
    server.GiveMemoryBack();
  }
  Log(LogLevel::kInfo, "stopping");
  server.Stop(config->listen.shutdown_grace);
  TellLeftOut(true);
  Log(LogLevel::kInfo, "stopped");
  return 0;
}

}  // namespace sobre
