#include "signals/collector.h"

#include <algorithm>
#include <set>

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
    for (const auto& names : found_by) metrics.insert(metrics.end(), names.begin(), names.end());
    for (const QueryState& query : state.queries)
      if (!query.query.needs.empty()) metrics.push_back(query.query.needs);
    std::sort(metrics.begin(), metrics.end());
    metrics.erase(std::unique(metrics.begin(), metrics.end()), metrics.end());
  }

  Prometheus prometheus;
  ServerState state;
  std::vector<std::vector<std::string>> found_by;  // by preset
  std::vector<std::string> metrics;                // all to look for
  std::vector<bool> covered;                       // by query: never to be asked
  std::vector<Harvest::Past> past;
  std::string logged;
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
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  for (const auto& server : servers_) server->thread.join();
}

bool Collector::WaitForFirstRound(Duration most) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, most, [this] {
    return std::all_of(servers_.begin(), servers_.end(),
                       [](const auto& server) { return server->state.round_ended.has_value(); });
  });
}

Harvest Collector::View() {
  Harvest harvest;
  const std::lock_guard lock(mutex_);
  for (const auto& server : servers_) {
    const ServerState& state = server->state;
    const std::string who = servers_.size() > 1 ? "prometheus " + state.name : "prometheus";
    if (!state.problem.empty()) harvest.problems.push_back(who + ": " + state.problem);
    for (const PresetState& preset : state.presets) {
      if (!preset.automatic && !preset.found && state.discovered)
        harvest.problems.push_back(who + ": preset " + preset.name +
                                   " is switched on, but none of its metrics is there");
    }
    for (const QueryState& query : state.queries) {
      if (query.values) harvest.batches.push_back(query.values);
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

void Collector::Run(Server& server) {
  Prometheus& prometheus = server.prometheus;
  ServerState& state = server.state;
  const auto wait = [&](Duration most) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, most, [this] { return stop_.load(); });
    return !stop_;
  };
  // Under the lock: what became of the server as a whole.
  const auto note = [&](const std::string& problem) {
    state.problem = problem;
    if (problem == server.logged) return;
    // Once by failure, not once by attempt.
    if (!problem.empty() && server.logged.empty())
      Log(LogLevel::kWarning, "Prometheus: falling back",
          {{"server", state.url}, {"error", problem}});
    if (problem.empty()) Log(LogLevel::kInfo, "Prometheus: well again", {{"server", state.url}});
    server.logged = problem;
  };
  // True if the server can be asked on; else how long to leave it alone is in `pause`.
  Duration pause{0};
  const auto server_failed = [&](const QueryFailure& failure) {
    const std::lock_guard lock(mutex_);
    note(failure.status.message());
    pause = failure.retry_after > Duration(0)
                ? std::clamp(failure.retry_after, kShortestPause, kLongestPause)
                : options_.refresh;
  };
  const auto discover = [&]() -> bool {
    if (server.metrics.empty()) return true;
    std::map<std::string, std::int64_t> found;
    if (const auto failure = prometheus.Discover(server.metrics, found)) {
      server_failed(*failure);
      return false;
    }
    const std::lock_guard lock(mutex_);
    state.discovered = Now();
    std::set<std::string> there;
    for (std::size_t i = 0; i < state.presets.size(); ++i) {
      PresetState& preset = state.presets[i];
      preset.found = std::any_of(server.found_by[i].begin(), server.found_by[i].end(),
                                 [&](const std::string& metric) { return found.contains(metric); });
      if (preset.found) there.insert(preset.name);
    }
    for (std::size_t i = 0; i < state.queries.size(); ++i) {
      QueryState& query = state.queries[i];
      if (server.covered[i]) continue;
      query.idle.clear();
      if (!query.preset.empty() && !there.contains(query.preset)) {
        query.idle = "no metric of " + query.preset + " is there";
      } else if (!query.query.needs.empty() && !found.contains(query.query.needs)) {
        query.idle = "there is no series " + query.query.needs;
      }
      if (query.idle.empty()) continue;
      // What was there and is gone ages; its problem is told no longer.
      query.problem.clear();
    }
    return true;
  };
  // False if the server is to be left alone.
  const auto ask = [&](std::size_t index) -> bool {
    const SignalQuery& query = state.queries[index].query;  // only this thread writes it
    QueryAnswer answer;
    const Timestamp start = Now();
    auto failure = prometheus.Collect(query, start, std::nullopt, answer);
    if (!failure && answer.series == 0)
      failure = QueryFailure{Status::NotFound("the query gives no series"), false};
    auto values = std::make_shared<const std::vector<Observation>>(std::move(answer.observations));
    {
      const std::lock_guard lock(mutex_);
      QueryState& kept = state.queries[index];
      kept.asked = start;
      kept.took = Now() - start;
      kept.bytes = answer.bytes;
      kept.warnings = std::move(answer.warnings);
      kept.problem = failure ? failure->status.message() : "";
      state.clock_ahead = prometheus.clock_ahead();
      if (failure) {
        ++kept.failures;
        // The server's trouble is told once, not once by query.
        if (failure->of_server) kept.problem.clear();
      } else {
        kept.answered = start;
        kept.series = answer.series;
        kept.nameless = answer.nameless;
        kept.nameless_labels = std::move(answer.nameless_labels);
        // A failed query leaves the last good values in place: they age, and are set aside in time.
        kept.values = std::move(values);
        state.answered = start;
        note("");
      }
    }
    if (failure && failure->of_server) {
      server_failed(*failure);
      return false;
    }
    on_change_();
    return true;
  };
  bool first = true;
  Timestamp next_discovery;
  std::int64_t past_left = options_.past_moments;
  const Timestamp started = Now();
  while (!stop_) {
    pause = Duration(0);
    if (const Status status = prometheus.ReadCredentials(); !status.ok()) {
      server_failed({status, true, Duration(0)});
    } else if (Now() < next_discovery || discover()) {
      if (Now() >= next_discovery) next_discovery = Now() + options_.discover;
      std::vector<std::size_t> to_ask;
      for (std::size_t i = 0; i < state.queries.size(); ++i)
        if (state.queries[i].idle.empty()) to_ask.push_back(i);
      const Duration step = first ? Duration(0)
                                  : options_.refresh / static_cast<std::int64_t>(
                                                           std::max<std::size_t>(1, to_ask.size()));
      for (const std::size_t index : to_ask) {
        if (stop_ || !ask(index)) break;
        if (step > Duration(0) && !wait(step)) break;
      }
      // After the first round, what calibration can learn of the past: one moment a round.
      if (pause == Duration(0) && !first && past_left > 0 && !stop_) {
        Harvest::Past past{started - options_.past_step * past_left, {}};
        --past_left;
        QueryAnswer answer;
        for (const std::size_t index : to_ask) {
          if (stop_ || !FeedsCalibration(state.queries[index].query.signal)) continue;
          if (prometheus.Collect(state.queries[index].query, past.time, past.time, answer)) break;
        }
        past.observations = std::move(answer.observations);
        const std::lock_guard lock(mutex_);
        if (!past.observations.empty()) server.past.push_back(std::move(past));
      }
      if (to_ask.empty() && pause == Duration(0)) {
        const std::lock_guard lock(mutex_);
        note("");
      }
    }
    {
      const std::lock_guard lock(mutex_);
      if (!stop_) state.round_ended = Now();
      wake_.notify_all();
    }
    on_change_();
    if (pause == Duration(0)) {
      const bool nothing_asked =
          std::none_of(state.queries.begin(), state.queries.end(),
                       [](const QueryState& query) { return query.idle.empty(); });
      // Rounds that spread their queries have waited already.
      if (first || nothing_asked) pause = options_.refresh;
      first = false;
    }
    if (pause > Duration(0) && !wait(pause)) break;
  }
}

}  // namespace sobre
