#include "signals/collector.h"

#include <algorithm>
#include <set>

#include "base/background.h"
#include "base/log.h"
#include "base/text.h"

namespace sobre {
namespace {

// A server that asks for less is left alone at least so long, and at most so long.
constexpr Duration kShortestPause = std::chrono::seconds(1);
constexpr Duration kLongestPause = std::chrono::minutes(10);

bool FeedsCalibration(Signal signal) {
  switch (signal) {
    case Signal::kNodePower:
    case Signal::kNodeCpuPower:
    case Signal::kNodeGpuPower:
    case Signal::kNodeCpuUtilization:
    case Signal::kNodeGpuUtilization:
      return true;
    default:
      return false;
  }
}

bool IsOfWorkloads(Signal signal) {
  const Subject subject = InfoOf(signal).subject;
  return subject == Subject::kWorkload || subject == Subject::kModel;
}

// An exporter that is gone leaves values that nobody will renew: once they are too old to be used
// they are not spoken of either.
bool HasExpired(const QueryState& query, Timestamp now) {
  if (query.idle.empty() || !query.answered) return false;
  const Duration own = query.query.max_age;
  return now - *query.answered > (own > Duration(0) ? own : InfoOf(query.query.signal).max_age);
}

}  // namespace

// One server's plan, state and thread. The state is guarded by the collector's mutex; only this
// server's thread writes it.
class Collector::Server {
 public:
  Server(const ServerPlan& plan, std::int32_t number, const std::atomic<bool>& stop)
      : prometheus(plan.server, stop) {
    state.name = plan.server.name;
    state.url = plan.server.url;
    std::set<Signal> own;
    for (const SignalQuery& query : plan.queries) {
      own.insert(query.signal);
      Add(query, "", number, "");
    }
    for (const ServerPlan::WantedPreset& wanted : plan.presets) {
      state.presets.push_back({wanted.preset.name, wanted.preset.about, wanted.automatic, false});
      found_by.push_back(wanted.preset.found_by);
      for (const SignalQuery& query : wanted.preset.queries) {
        // Rates of several meshes and servers stand beside each other; of a node's watts one is
        // enough.
        const bool fed =
            wanted.automatic && own.contains(query.signal) && !IsOfWorkloads(query.signal);
        Add(query, wanted.preset.name, number,
            fed ? "your own query feeds " + std::string(ToString(query.signal)) : "");
      }
    }
    for (const ServerPlan::WantedPreset& wanted : plan.presets)
      for (const std::string& metric : wanted.preset.found_by)
        metrics[metric] = wanted.preset.found_within;
    for (const QueryState& query : state.queries)
      if (!query.query.needs.empty()) metrics.try_emplace(query.query.needs);
  }

  Prometheus prometheus;
  ServerState state;
  std::vector<std::vector<std::string>> found_by;  // by preset
  Prometheus::Metrics metrics;                     // all to look for
  std::vector<bool> covered;                       // by query: never to be asked
  std::vector<Harvest::Past> past;
  std::thread thread;

 private:
  void Add(const SignalQuery& query, const std::string& preset, std::int32_t number,
           std::string idle) {
    constexpr std::int32_t kMostServers = 100;
    covered.push_back(!idle.empty());
    QueryState& added = state.queries.emplace_back();
    added.query = query;
    // Of two servers that tell the same the first is believed.
    added.query.rank = query.rank * kMostServers + number;
    added.preset = preset;
    added.idle = std::move(idle);
    // Until it was looked for.
    if (added.idle.empty() && !query.needs.empty()) added.idle = "not looked for yet";
    if (added.idle.empty() && !preset.empty()) added.idle = "not looked for yet";
  }
};

Collector::Collector(const std::vector<ServerPlan>& servers, CollectorOptions options,
                     std::function<void()> on_change)
    : options_(options), on_change_(std::move(on_change)) {
  std::int32_t number = 0;
  for (const ServerPlan& plan : servers)
    servers_.push_back(std::make_unique<Server>(plan, number++, stop_));
  for (const auto& server : servers_)
    server->thread = std::thread([this, s = server.get()] { Run(*s); });
}

Collector::~Collector() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    wake_.NotifyAll();
  }
  for (const auto& server : servers_) server->thread.join();
}

bool Collector::WaitForFirstRound(Duration most) {
  MutexLock lock(mutex_);
  return wake_.WaitFor(lock, most, [this] {
    return std::all_of(servers_.begin(), servers_.end(),
                       [](const auto& server) { return server->state.round_ended.has_value(); });
  });
}

Harvest Collector::View() {
  const Timestamp now = Now();
  Harvest harvest;
  const MutexLock lock(mutex_);
  for (const auto& server : servers_) {
    const ServerState& state = server->state;
    const std::string who = servers_.size() > 1 ? "prometheus " + state.name : "prometheus";
    if (!state.problem.empty()) harvest.problems.push_back(who + ": " + state.problem);
    if (state.problem.empty() && !state.discovery_problem.empty())
      harvest.problems.push_back(who +
                                 ": presets cannot be looked for: " + state.discovery_problem);
    for (const PresetState& preset : state.presets) {
      if (!preset.automatic && !preset.found && state.discovered)
        harvest.problems.push_back(who + ": preset " + preset.name +
                                   " is switched on, but none of its metrics is there");
    }
    for (const QueryState& query : state.queries) {
      if (query.values && !HasExpired(query, now)) harvest.batches.push_back(query.values);
      if (!query.problem.empty()) {
        harvest.problems.push_back(std::string(ToString(query.query.signal)) + " from " +
                                   query.query.name + ": " + query.problem);
      }
    }
    harvest.servers.push_back(state);
    for (Harvest::Past& past : server->past) harvest.past.push_back(std::move(past));
    server->past.clear();
  }
  return harvest;
}

// One server's rounds. Only the server's own thread writes its state, under the lock.
class Collector::Rounds {
 public:
  Rounds(Collector& owner, Server& server) : owner_(owner), server_(server), state_(server.state) {
    past_left_ = owner.options_.past_moments;
  }

  void Run() {
    while (!owner_.stop_) {
      failure_.reset();
      AskAll();
      EndRound();
      if (!Wait(Pause())) return;
    }
  }

 private:
  using Scope = QueryFailure::Scope;

  bool Wait(Duration most) {
    MutexLock lock(owner_.mutex_);
    owner_.wake_.WaitFor(lock, most, [this] { return owner_.stop_.load(); });
    return !owner_.stop_;
  }

  void AskAll() {
    answered_ = false;
    asked_ = false;
    if (const Status status = server_.prometheus.ReadCredentials(); !status.ok()) {
      failure_ = QueryFailure{status, Scope::kServer};
      return;
    }
    std::optional<QueryFailure> of_discovery;
    if (Now() >= next_discovery_) of_discovery = Discover();
    if (owner_.stop_) return;
    if (of_discovery && of_discovery->scope == Scope::kServer) {
      failure_ = of_discovery;
      return;
    }
    std::vector<std::size_t> to_ask;
    for (std::size_t i = 0; i < state_.queries.size(); ++i)
      if (state_.queries[i].idle.empty()) to_ask.push_back(i);
    // Behind what ended a round: no query starves the others.
    const auto first = std::find_if(to_ask.begin(), to_ask.end(),
                                    [this](std::size_t i) { return i >= begin_with_; });
    std::rotate(to_ask.begin(), first, to_ask.end());
    asked_ = !to_ask.empty();
    const Duration step =
        first_ ? Duration(0)
               : owner_.options_.refresh /
                     static_cast<std::int64_t>(std::max<std::size_t>(1, to_ask.size()));
    std::vector<std::size_t> unclear;
    for (const std::size_t index : to_ask) {
      const std::optional<QueryFailure> failure = AskOne(index);
      if (owner_.stop_) return;
      if (failure && failure->scope != Scope::kQuery) {
        unclear.push_back(index);
        // One that fails may be too much for the server; two before anything was answered, or all
        // there is, mean that the server is.
        const bool alone = unclear.size() == std::min<std::size_t>(2, to_ask.size());
        if (failure->scope == Scope::kServer || (alone && !answered_)) {
          begin_with_ = index + 1;
          BlameServer(*failure, unclear);
          return;
        }
      }
      if (step > Duration(0) && !Wait(step)) return;
    }
    if (of_discovery && of_discovery->scope == Scope::kUnclear && !answered_) {
      failure_ = of_discovery;
      return;
    }
    if (!first_) LearnThePast(to_ask);
  }

  // The server's trouble is told once, not once by query.
  void BlameServer(const QueryFailure& failure, const std::vector<std::size_t>& queries) {
    failure_ = failure;
    const MutexLock lock(owner_.mutex_);
    for (const std::size_t index : queries) state_.queries[index].problem.clear();
  }

  // Looks for what is there; a failure leaves what was found before.
  std::optional<QueryFailure> Discover() {
    std::map<std::string, std::int64_t> found;
    std::optional<QueryFailure> failure;
    if (!server_.metrics.empty()) failure = server_.prometheus.Discover(server_.metrics, found);
    if (owner_.stop_ || (failure && failure->scope == Scope::kServer)) return failure;
    next_discovery_ = Now() + (failure ? owner_.options_.refresh : owner_.options_.discover);
    const MutexLock lock(owner_.mutex_);
    state_.discovery_problem = failure ? failure->status.message() : "";
    if (failure) {
      if (!state_.discovered) AskNamedPresets();
      return failure;
    }
    if (!server_.metrics.empty()) {
      answered_ = true;
      state_.answered = Now();
    }
    state_.discovered = Now();
    std::set<std::string> there;
    for (std::size_t i = 0; i < state_.presets.size(); ++i) {
      PresetState& preset = state_.presets[i];
      preset.found = std::any_of(server_.found_by[i].begin(), server_.found_by[i].end(),
                                 [&](const std::string& metric) { return found.contains(metric); });
      if (preset.found) there.insert(preset.name);
    }
    for (std::size_t i = 0; i < state_.queries.size(); ++i) {
      QueryState& query = state_.queries[i];
      if (server_.covered[i]) continue;
      query.idle.clear();
      if (!query.preset.empty() && !there.contains(query.preset)) {
        query.idle = "no metric of " + query.preset + " is there";
      } else if (!query.query.needs.empty() && !found.contains(query.query.needs)) {
        query.idle = "there is no series " + query.query.needs;
      }
      // What was there and is gone is not spoken of any more; its values age.
      if (!query.idle.empty()) query.problem.clear();
    }
    return std::nullopt;
  }

  // Nobody can say what is there: what the configuration names is asked all the same. Under the
  // lock.
  void AskNamedPresets() {
    std::set<std::string> named;
    for (const PresetState& preset : state_.presets)
      if (!preset.automatic) named.insert(preset.name);
    for (std::size_t i = 0; i < state_.queries.size(); ++i) {
      QueryState& query = state_.queries[i];
      if (!server_.covered[i] && (query.preset.empty() || named.contains(query.preset)))
        query.idle.clear();
    }
  }

  std::optional<QueryFailure> AskOne(std::size_t index) {
    const SignalQuery& query = state_.queries[index].query;
    QueryAnswer answer;
    const Timestamp start = Now();
    auto failure = server_.prometheus.Collect(query, start, std::nullopt, answer);
    if (owner_.stop_) return failure;
    if (!failure) answered_ = true;
    // Of a preset, that its metric is there and no series fits is no failure, as long as none ever
    // did: the doctor notes it.
    const bool had_series = state_.queries[index].series > 0;
    if (!failure && answer.series == 0 && (state_.queries[index].preset.empty() || had_series))
      failure = QueryFailure{Status::NotFound("the query gives no series"), Scope::kQuery};
    auto values = std::make_shared<const std::vector<Observation>>(std::move(answer.observations));
    {
      const MutexLock lock(owner_.mutex_);
      QueryState& kept = state_.queries[index];
      kept.asked = start;
      kept.took = Now() - start;
      kept.bytes = answer.bytes;
      kept.warnings = std::move(answer.warnings);
      kept.problem = failure ? failure->status.message() : "";
      state_.clock_ahead = server_.prometheus.clock_ahead();
      if (failure) {
        ++kept.failures;
      } else {
        kept.answered = start;
        kept.series = answer.series;
        kept.ended = answer.ended;
        kept.nameless = answer.nameless;
        kept.nameless_labels = std::move(answer.nameless_labels);
        // A failed query leaves the last good values in place: they age, and are set aside in time.
        kept.values = std::move(values);
        state_.answered = start;
      }
    }
    owner_.on_change_();
    return failure;
  }

  // What calibration can learn of the past: one moment a round.
  void LearnThePast(const std::vector<std::size_t>& to_ask) {
    if (past_left_ == 0) return;
    Harvest::Past past{owner_.started_ - owner_.options_.past_step * past_left_, {}};
    --past_left_;
    QueryAnswer answer;
    for (const std::size_t index : to_ask) {
      if (owner_.stop_) return;
      const SignalQuery& query = state_.queries[index].query;
      if (FeedsCalibration(query.signal))
        static_cast<void>(server_.prometheus.Collect(query, past.time, past.time, answer));
    }
    past.observations = std::move(answer.observations);
    const MutexLock lock(owner_.mutex_);
    server_.past.push_back(std::move(past));
  }

  void EndRound() {
    {
      const MutexLock lock(owner_.mutex_);
      if (owner_.stop_) return;
      const std::string problem = failure_ ? failure_->status.message() : "";
      // Once by failure, not once by attempt.
      if (!problem.empty() && state_.problem.empty())
        Log(LogLevel::kWarning, "Prometheus: falling back",
            {{"server", state_.url}, {"error", problem}});
      if (problem.empty() && !state_.problem.empty())
        Log(LogLevel::kInfo, "Prometheus: well again", {{"server", state_.url}});
      state_.problem = problem;
      state_.round_ended = Now();
      owner_.wake_.NotifyAll();
    }
    owner_.on_change_();
  }

  Duration Pause() {
    if (failure_) {
      return failure_->retry_after > Duration(0)
                 ? std::clamp(failure_->retry_after, kShortestPause, kLongestPause)
                 : owner_.options_.refresh;
    }
    // Rounds that spread their queries have waited already.
    const bool waited = asked_ && !first_;
    first_ = false;
    return waited ? Duration(0) : owner_.options_.refresh;
  }

  Collector& owner_;
  Server& server_;
  ServerState& state_;
  std::optional<QueryFailure> failure_;  // that ended this round
  bool answered_ = false;                // something in this round
  bool first_ = true;                    // no round was whole yet: all is asked at once
  bool asked_ = false;
  std::size_t begin_with_ = 0;
  Timestamp next_discovery_;
  std::int64_t past_left_ = 0;
};

void Collector::Run(Server& server) {
  StepBack();
  NameThread(("prom-" + server.state.name).c_str());
  Rounds(*this, server).Run();
}

}  // namespace sobre
