#include "extender/world.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <random>

#include <unistd.h>

#include "base/background.h"
#include "base/log.h"
#include "base/text.h"
#include "extender/gatekeeper.h"
#include "extender/servers_asked.h"

namespace sobre {
namespace {

// Changes that come close together make one snapshot; without any, ages still grow.
constexpr Duration kSettle = std::chrono::milliseconds(50);
constexpr Duration kTick = std::chrono::seconds(5);
// Lines change slowly, and fitting many takes a while.
constexpr Duration kBetweenFits = std::chrono::seconds(20);

// So often an API server that cannot be read is asked by who only looks.
constexpr int kTries = 2;

bool IsTold(const WorldState& state) {
  return std::all_of(state.collections.begin(), state.collections.end(),
                     [](const CollectionState& c) { return c.listed || !c.problem.empty(); });
}

}  // namespace

std::string NewIdentity() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::random_device random;
  return std::string(host.data()) + "-" + std::to_string(random());
}

std::shared_ptr<const WorldState> MakeState(SnapshotInput input, const Policy& cluster_policy) {
  auto state = std::make_shared<WorldState>();
  state->cluster_policy.policy = cluster_policy;
  state->snapshot = Snapshot::Build(input);
  state->input = std::move(input);
  state->ready = true;
  return state;
}

bool WorldState::HasOptedIn(std::string_view name) const {
  return std::binary_search(opted_in_namespaces.begin(), opted_in_namespaces.end(), name);
}

bool WorldState::IsUnknownNamespace(std::string_view name) const {
  return quiet_namespaces && !namespaces.contains(name) &&
         !std::binary_search(quiet_namespaces->begin(), quiet_namespaces->end(), name);
}

std::optional<Duration> SilentFor(const WorldState& state, SteadyTime now) {
  // One that was never heard is not ready.
  if (state.heard == SteadyTime::min() || state.heard > now - kMostViewAge) return std::nullopt;
  return std::chrono::duration_cast<Duration>(now - state.heard);
}

void World::Tell(const PodEvent& /*event*/) {}

World::World()
    : state_([] {
        auto state = std::make_shared<WorldState>();
        state->snapshot = Snapshot::Build({});
        state->not_ready_reason = "nothing has been read yet";
        return state;
      }()) {}

Result<std::unique_ptr<LiveWorld>> LiveWorld::Open(const Config& config, Roles roles) {
  const Result<ApiAccess> access = AccessOf(config);
  if (!access.ok()) return access.status();
  return std::unique_ptr<LiveWorld>(new LiveWorld(config, {}, &*access, roles));
}

std::unique_ptr<LiveWorld> LiveWorld::Open(const Config& config, SnapshotInput still) {
  return std::unique_ptr<LiveWorld>(
      new LiveWorld(config, std::move(still), nullptr, {false, nullptr}));
}

LiveWorld::LiveWorld(Config config, SnapshotInput still, const ApiAccess* access, Roles roles)
    : config_(std::move(config)), still_(std::move(still)) {
  if (access != nullptr) {
    events_ = std::make_unique<EventWriter>(*access);
    cluster_ = std::make_unique<ClusterWatch>(
        *access,
        ClusterWatch::Options{config_.Origins(), config_.accounting.team_label, roles.pods},
        [this] { Changed(); });
  }
  collector_ = std::make_unique<Collector>(config_.prometheus.servers, config_.prometheus.options,
                                           [this] { Changed(); });
  builder_ = std::thread([this] { Build(); });
  if (access != nullptr && roles.open_gates)
    gatekeeper_ = std::make_unique<Gatekeeper>(*access, GatekeeperOptionsOf(config_), *this);
}

LiveWorld::~LiveWorld() {
  gatekeeper_.reset();
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    wake_.NotifyAll();
  }
  builder_.join();
  collector_.reset();
  cluster_.reset();
}

void LiveWorld::Tell(const PodEvent& event) {
  if (events_) events_->Offer(event);
}

bool LiveWorld::Leads() const { return gatekeeper_ == nullptr || HoldsLease(Now()); }

bool LiveWorld::HoldsLease(Timestamp /*now*/) const {
  return gatekeeper_ != nullptr && gatekeeper_->holds(std::chrono::steady_clock::now());
}

std::optional<LeaseState> LiveWorld::Lease() const {
  return gatekeeper_ == nullptr ? std::nullopt
                                : gatekeeper_->lease(std::chrono::steady_clock::now());
}

void LiveWorld::Changed() {
  const MutexLock lock(mutex_);
  changed_ = true;
  wake_.NotifyAll();
}

bool LiveWorld::WaitForChange(Duration most) {
  MutexLock lock(mutex_);
  wake_.WaitFor(lock, most, [this]() SOBRE_REQUIRES(mutex_) { return stop_ || changed_; });
  changed_ = false;
  return !stop_;
}

bool LiveWorld::WaitUntilRead(Duration most) {
  const Timestamp deadline = Now() + most;
  while (Now() < deadline) {
    {
      const auto state = Read();
      if (state->ready && AllServersAsked(*state, config_.prometheus.servers.size())) return true;
      if (cluster_ && cluster_->LeastFailures() >= kTries && IsTold(*state)) return false;
    }
    std::this_thread::sleep_for(kSettle);
  }
  return false;
}

void LiveWorld::Build() {
  StepBack();
  NameThread("builder");
  while (WaitForChange(kTick)) {
    // Who is not ready is waited for.
    if (Read()->ready) std::this_thread::sleep_for(kSettle);
    BuildOnce();
  }
}

// Each moment of the past as a snapshot of its own, for its measured loads, once every server that
// answers has told of it: power may come from one, and load from another.
void LiveWorld::Learn(Harvest& harvest, const SnapshotInput& input) {
  for (Harvest::Past& past : harvest.past) {
    Moment& moment = past_[past.time];
    ++moment.told;
    moment.observations.insert(moment.observations.end(),
                               std::make_move_iterator(past.observations.begin()),
                               std::make_move_iterator(past.observations.end()));
  }
  const auto answering = static_cast<std::size_t>(
      std::count_if(harvest.servers.begin(), harvest.servers.end(),
                    [](const ServerState& server) { return server.problem.empty(); }));
  std::erase_if(past_, [&](auto& entry) {
    auto& [time, moment] = entry;
    if (moment.told < std::max<std::size_t>(answering, 1)) return false;
    SnapshotInput then;
    then.time = time;
    then.nodes = input.nodes;
    then.catalog = input.catalog;
    then.observations = std::move(moment.observations);
    history_.AddPast(*Snapshot::Build(std::move(then)));
    next_fit_ = Timestamp();
    return true;
  });
}

void LiveWorld::BuildOnce() {
  ClusterView view;
  if (cluster_) {
    view = cluster_->View();
  } else {
    view.nodes = still_.nodes;
    view.listed = true;
    view.heard = SteadyTime::max();
  }
  auto state = std::make_shared<WorldState>();
  SnapshotInput& input = state->input;
  input = config_.NewInput(Now());
  input.nodes = std::move(view.nodes);
  input.pods = std::move(view.pods);
  input.problems = std::move(view.problems);
  input.observations = still_.observations;
  Harvest harvest = collector_->View();
  input.batches = std::move(harvest.batches);
  input.problems.insert(input.problems.end(), harvest.problems.begin(), harvest.problems.end());
  Learn(harvest, input);
  if (input.time >= next_fit_) {
    calibration_ = history_.Classes();
    next_fit_ = input.time + kBetweenFits;
  }
  for (const PowerHistory::Class& found : calibration_)
    if (found.result.fit) input.fits.push_back(found.fit);
  state->snapshot = Snapshot::Build(input);
  history_.Add(*state->snapshot);
  state->servers = std::move(harvest.servers);
  state->calibration = calibration_;
  state->cluster_policy.policy = config_.policy;
  state->gated = std::move(view.gated);
  state->teams = std::move(view.teams);
  for (const auto& [name, annotations] : view.namespaces)
    state->namespaces.emplace(name, MakeNamespacePolicy(name, annotations, config_.policy));
  if (cluster_) state->quiet_namespaces = std::move(view.quiet_namespaces);
  state->opted_in_namespaces = std::move(view.opted_in_namespaces);
  state->ready = view.listed;
  state->heard = view.heard;
  if (!view.listed) state->not_ready_reason = "the API server has not been listed yet";
  if (cluster_) state->collections.assign(view.collections.begin(), view.collections.end());
  state->bindings = view.bindings;
  state->bindings_by_scheduler = std::move(view.bindings_by_scheduler);
  state->watched_pods = view.watched_pods;
  Publish(std::move(state));
}

}  // namespace sobre
