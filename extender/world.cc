#include "extender/world.h"

#include <array>
#include <chrono>
#include <random>

#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "extender/gatekeeper.h"

namespace sobre {
namespace {

// Changes that come close together make one snapshot; without any, ages still grow.
constexpr Duration kSettle = std::chrono::milliseconds(50);
constexpr Duration kTick = std::chrono::seconds(5);

// Unlike any other replica's, also on one machine.
std::string NewIdentity() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::random_device random;
  return std::string(host.data()) + "-" + std::to_string(random());
}

GatekeeperOptions OptionsOf(const Config::Deferral& deferral) {
  GatekeeperOptions options;
  options.check = deferral.check;
  options.write_affinity = deferral.write_affinity;
  options.lease.duration = deferral.lease_duration;
  options.lease.name = "sobre-gatekeeper";
  options.lease.identity = NewIdentity();
  options.lease.namespace_name = deferral.lease_namespace;
  if (options.lease.namespace_name.empty()) {
    const Result<std::string> own =
        ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace");
    options.lease.namespace_name = own.ok() ? std::string(Trim(*own)) : "kube-system";
  }
  return options;
}

}  // namespace

std::shared_ptr<const WorldState> MakeState(SnapshotInput input, const Policy& cluster_policy) {
  auto state = std::make_shared<WorldState>();
  state->cluster_policy.policy = cluster_policy;
  state->snapshot = Snapshot::Build(input);
  state->input = std::move(input);
  state->ready = true;
  return state;
}

void World::Tell(const PodEvent& /*event*/) {}

World::World()
    : state_([] {
        auto state = std::make_shared<WorldState>();
        state->snapshot = Snapshot::Build({});
        state->not_ready_reason = "nothing has been read yet";
        return state;
      }()) {}

Result<std::unique_ptr<LiveWorld>> LiveWorld::Open(const Config& config) {
  const Result<ApiAccess> access =
      config.kubernetes.kubeconfig.empty()
          ? InClusterAccess()
          : LoadKubeconfig(config.kubernetes.kubeconfig, config.kubernetes.context);
  if (!access.ok()) return access.status();
  return std::unique_ptr<LiveWorld>(new LiveWorld(config, *access));
}

LiveWorld::LiveWorld(Config config, const ApiAccess& access)
    : config_(std::move(config)),
      events_(std::make_unique<EventWriter>(access)),
      cluster_(std::make_unique<ClusterWatch>(access, config_.kubernetes.default_provider, [this] {
        const std::lock_guard lock(mutex_);
        changed_ = true;
        wake_.notify_all();
      })) {
  if (!config_.prometheus.server.url.empty()) collector_ = std::thread([this] { Collect(); });
  builder_ = std::thread([this] { Build(); });
  gatekeeper_ = std::make_unique<Gatekeeper>(access, OptionsOf(config_.deferral), *this);
}

LiveWorld::~LiveWorld() {
  gatekeeper_.reset();
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  builder_.join();
  if (collector_.joinable()) collector_.join();
  cluster_.reset();
}

bool LiveWorld::WaitForChange(Duration most) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, most, [this] { return stop_ || changed_; });
  changed_ = false;
  return !stop_;
}

void LiveWorld::Build() {
  while (WaitForChange(kTick)) {
    std::this_thread::sleep_for(kSettle);
    ClusterView view = cluster_->View();
    auto state = std::make_shared<WorldState>();
    state->input = config_.NewInput(Now());
    state->input.nodes = std::move(view.nodes);
    state->input.problems = std::move(view.problems);
    {
      const std::lock_guard lock(mutex_);
      state->input.observations = harvest_.observations;
      state->input.problems.insert(state->input.problems.end(), harvest_.problems.begin(),
                                   harvest_.problems.end());
    }
    state->snapshot = Snapshot::Build(state->input);
    state->cluster_policy.policy = config_.policy;
    state->gated = std::move(view.gated);
    for (const auto& [name, annotations] : view.namespaces)
      state->namespaces.emplace(name, MakeNamespacePolicy(name, annotations, config_.policy));
    state->ready = view.listed;
    if (!view.listed) state->not_ready_reason = "the API server has not been listed yet";
    state->bindings = view.bindings;
    state->watched_pods = view.watched_pods;
    Publish(std::move(state));
  }
}

void LiveWorld::Collect() {
  Prometheus prometheus(config_.prometheus.server);
  std::vector<std::string> logged;
  while (!stop_) {
    Harvest harvest = prometheus.Collect(config_.prometheus.signals, Now());
    if (harvest.problems != logged) {
      logged = harvest.problems;
      for (const std::string& problem : logged)
        Log(LogLevel::kWarning, "signal: falling back", {{"error", problem}});
      if (logged.empty()) Log(LogLevel::kInfo, "signals: all well again");
    }
    std::unique_lock lock(mutex_);
    // A failed query leaves the last good values in place: they age, and are set aside in time.
    if (!harvest.problems.empty()) {
      std::array<bool, kSignalCount> answered{};
      for (const Observation& seen : harvest.observations)
        answered[static_cast<std::size_t>(seen.signal)] = true;
      for (const Observation& old : harvest_.observations) {
        if (!answered[static_cast<std::size_t>(old.signal)]) harvest.observations.push_back(old);
      }
    }
    harvest_ = std::move(harvest);
    changed_ = true;
    wake_.notify_all();
    // changed_ wakes the builder, not this thread.
    wake_.wait_for(lock, config_.prometheus.refresh, [this] { return stop_.load(); });
  }
}

}  // namespace sobre
