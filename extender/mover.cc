#include "extender/mover.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "audit/schema.h"
#include "base/background.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/text.h"
#include "extender/is_due.h"
#include "extender/servers_asked.h"

namespace sobre {
namespace {

// How long signals may take to arrive after the start.
constexpr Duration kPatience = std::chrono::minutes(2);
constexpr Duration kWhileNotReady = std::chrono::seconds(1);
constexpr Duration kBetweenForgetting = std::chrono::hours(1);
constexpr Duration kRemember = std::chrono::hours(24 * 30);
constexpr std::int64_t kMostKept = 5000;
constexpr std::size_t kMostUntold = 1000;

MoveSettings SettingsOf(const Config::Moves& moves) {
  MoveSettings settings;
  settings.horizon = Hours(InHours(moves.horizon));
  settings.restart = Hours(InHours(moves.restart_cost));
  settings.min_gain = Fraction(static_cast<double>(moves.min_gain_percent) / 100.0);
  settings.min_euros = EurosPerHour(moves.min_eur_per_hour);
  settings.min_grams = GramsPerHour(moves.min_gco2e_per_hour);
  return settings;
}

MoveBook::Options BookOptionsOf(const Config::Moves& moves) {
  MoveBook::Options options;
  options.every = moves.every;
  options.measure = moves.measure;
  options.evict = moves.evict;
  options.max_evictions_per_hour = moves.max_evictions_per_hour;
  options.min_time_between = moves.min_time_between;
  options.replaced_within = moves.replaced_within;
  options.watch = moves.window;
  options.keep = kRemember;
  return options;
}

MoveAdviser::Evictor EvictorOver(ApiClient* api) {
  if (api == nullptr) return nullptr;
  return [api](const MoveBook::Eviction& eviction, std::string& problem) {
    return Evict(*api, eviction, problem);
  };
}

}  // namespace

EvictionOutcome Evict(ApiClient& api, const MoveBook::Eviction& eviction, std::string& problem) {
  std::string body;
  JsonWriter json(body);
  json.BeginObject().Key("apiVersion").Value("policy/v1").Key("kind").Value("Eviction");
  json.Key("metadata").BeginObject().Key("name").Value(eviction.pod);
  json.Key("namespace").Value(eviction.namespace_name).EndObject();
  // A pod of the same name that came after it is another's business.
  json.Key("deleteOptions").BeginObject().Key("preconditions").BeginObject();
  json.Key("uid").Value(eviction.uid).EndObject().EndObject().EndObject();
  const Result<HttpReply> reply =
      api.Call("POST",
               "/api/v1/namespaces/" + PercentEncode(eviction.namespace_name) + "/pods/" +
                   PercentEncode(eviction.pod) + "/eviction",
               std::move(body));
  if (!reply.ok()) {
    problem = reply.status().message();
    return EvictionOutcome::kFailed;
  }
  if (reply->status < 300) return EvictionOutcome::kEvicted;
  problem = Complaint(*reply);
  switch (reply->status) {
    case 429:
      return EvictionOutcome::kRefused;
    case 404:
    case 409:
      return EvictionOutcome::kGone;
    default:
      return EvictionOutcome::kFailed;
  }
}

MoveAdviser::MoveAdviser(const Config& config, DatabaseOpener open, Evictor evict, Timestamp start)
    : config_(config),
      open_(std::move(open)),
      evict_(std::move(evict)),
      start_(start),
      shared_(!config.records.postgres.empty()),
      settings_(SettingsOf(config.moves)),
      history_(config.moves.window),
      peaks_(config.moves.window),
      book_(BookOptionsOf(config.moves), start) {}

// Advice is not closed for want of signals that are still on their way.
bool MoveAdviser::IsComplete(const WorldState& state, Timestamp now) const {
  if (!state.ready) return false;
  return AllServersAsked(state, config_.prometheus.servers.size()) || IsDue(start_, kPatience, now);
}

Status MoveAdviser::Open() {
  if (database_) return Status::Ok();
  Result<std::unique_ptr<Database>> database = Migrated(open_());
  if (!database.ok()) return database.status();
  database_ = *std::move(database);
  return Status::Ok();
}

Status MoveAdviser::Load(Timestamp now) {
  if (Status status = Open(); !status.ok()) return status;
  AdviceStore store(*database_);
  Result<std::vector<Advice>> advice = store.Read(now - kRemember, kMostKept);
  if (!advice.ok()) return advice.status();
  book_.Restore(*std::move(advice), now);
  const auto steps = store.ReadSteps(now - 2 * config_.moves.window);
  if (!steps.ok()) return steps.status();
  history_.Restore(*steps);
  return Status::Ok();
}

void MoveAdviser::Worked(const Status& status) {
  const std::string& problem = status.message();
  if (problem != status_.problem && !problem.empty())
    Log(LogLevel::kWarning, "advice is not kept", {{"error", problem}});
  status_.problem = problem;
}

void MoveAdviser::Keep(Timestamp now) {
  const std::vector<Advice> changed = book_.TakeChanged();
  if (!open_) return;
  Status status = Open();
  if (status.ok()) status = AdviceStore(*database_).Save(changed, history_.Steps());
  if (!status.ok()) book_.GiveBack(changed);
  if (status.ok() && IsDue(forgot_, kBetweenForgetting, now)) {
    forgot_ = now;
    status = AdviceStore(*database_).Forget(now - kRemember, now - 2 * config_.moves.window);
  }
  Worked(status);
}

void MoveAdviser::Tell(World& world, bool leads) {
  for (PodEvent& event : book_.TakeEvents()) untold_.push_back(std::move(event));
  if (leads) {
    for (const PodEvent& event : untold_) world.Tell(event);
    untold_.clear();
    return;
  }
  // Who has a Lease that is not sure yet leads next; what another leads is told by that one.
  const std::optional<LeaseState> lease = world.Lease();
  const bool may_lead = lease && lease->hold != LeaseHold::kOther;
  if (!may_lead || untold_.size() > kMostUntold) untold_.clear();
}

bool MoveAdviser::Tick(World& world, bool leads, bool holds, Timestamp now) {
  const auto state = world.Read();
  if (!IsComplete(*state, now)) return false;
  history_.Add(*state->snapshot);
  peaks_.Add(*state->snapshot, state->input.pods);
  // Before the Lease was asked for every replica would begin the book.
  const bool follows = shared_ && (!leads || (!holds && !IsDue(start_, kPatience, now)));
  if (open_ && (follows || !loaded_)) {
    const Status status = Load(now);
    Worked(status);
    loaded_ = status.ok() && !follows;
  }
  if (holds && !held_) book_.BeginEvicting(now);
  held_ = holds;
  status_.tells = leads;
  if (!follows) {
    const auto policy_of = [&](const std::string& name) -> const NamespacePolicy& {
      const auto own = state->namespaces.find(name);
      return own == state->namespaces.end() ? state->cluster_policy : own->second;
    };
    const std::vector<MoveAdvice> moves =
        AdviseMoves({*state->snapshot, state->input.pods, policy_of, &history_, settings_});
    const std::vector<RightsizingAdvice> reservations =
        AdviseRightsizing(*state->snapshot, state->input.pods, policy_of, peaks_);
    book_.Update(*state, moves, reservations, now);
    // What was done before must be known.
    const bool knows = !open_ || loaded_;
    if (leads && holds && knows && evict_) {
      if (const auto eviction = book_.NextEviction(now)) {
        std::string problem;
        const EvictionOutcome outcome = evict_(*eviction, problem);
        Log(outcome == EvictionOutcome::kFailed ? LogLevel::kWarning : LogLevel::kInfo,
            "eviction for a move",
            {{"pod", eviction->namespace_name + "/" + eviction->pod},
             {"to", eviction->to},
             {"outcome", std::string(ToString(outcome))},
             {"error", problem}});
        book_.Tried(*eviction, outcome, problem, now);
      }
    }
    Tell(world, leads);
    Keep(now);
  }
  status_.advice = book_.all();
  status_.tried = book_.tried();
  status_.replaced = book_.replaced();
  return true;
}

Mover::Mover(World& world, const Config& config, DatabaseOpener open,
             std::optional<ApiAccess> access)
    : world_(world),
      every_(config.moves.every),
      api_(access ? std::make_unique<ApiClient>(*std::move(access)) : nullptr),
      adviser_(config, std::move(open), EvictorOver(api_.get()), Now()),
      thread_([this] { Run(); }) {}

Mover::~Mover() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

void Mover::Run() {
  StepBack();
  NameThread("moves");
  while (true) {
    const Timestamp now = Now();
    const bool looked = adviser_.Tick(world_, world_.Leads(), world_.HoldsLease(now), now);
    MutexLock lock(mutex_);
    status_ = adviser_.status();
    if (wake_.WaitFor(lock, looked ? every_ : std::min(every_, kWhileNotReady),
                      [this]() SOBRE_REQUIRES(mutex_) { return stop_; }))
      return;
  }
}

MovesStatus Mover::status() const {
  const MutexLock lock(mutex_);
  return status_;
}

}  // namespace sobre
