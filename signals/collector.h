#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "signals/preset.h"
#include "signals/prometheus.h"

namespace sobre {

// One server, and what is asked of it.
struct ServerPlan {
  PrometheusOptions server;
  std::vector<SignalQuery> queries;  // the user's own
  // Presets to switch on; those found by themselves only where one of their metrics is there, and
  // then only for what no query of the user's own feeds.
  struct WantedPreset {
    Preset preset;
    bool automatic = false;
  };
  std::vector<WantedPreset> presets;
};

// What is known of one query on one server.
struct QueryState {
  SignalQuery query;
  std::string preset;  // empty: the user's own
  // Why it is not asked; empty: it is.
  std::string idle;
  std::optional<Timestamp> asked;
  std::optional<Timestamp> answered;
  Duration took{0};
  std::int64_t failures = 0;
  std::string problem;  // of the last attempt; empty: it went well
  std::int64_t series = 0;
  std::int64_t ended = 0;
  std::int64_t nameless = 0;
  std::string nameless_labels;
  std::size_t bytes = 0;
  std::vector<std::string> warnings;
  // The last good answer; it ages by its own times.
  std::shared_ptr<const std::vector<Observation>> values;
};

struct PresetState {
  std::string name;
  std::string about;
  bool automatic = false;
  bool found = false;
};

// What is known of one server.
struct ServerState {
  std::string name;
  std::string url;
  // Of the whole server: nothing could be asked of it.
  std::string problem;
  std::optional<Timestamp> answered;
  std::optional<Timestamp> round_ended;  // all queries were asked once
  std::optional<Timestamp> discovered;
  // Why it could not be looked for what is there; the presets found before are asked on.
  std::string discovery_problem;
  Duration clock_ahead{0};
  std::vector<PresetState> presets;
  std::vector<QueryState> queries;
};

// All that was collected, at one moment. Values are shared, not copied.
struct Harvest {
  std::vector<std::shared_ptr<const std::vector<Observation>>> batches;
  std::vector<ServerState> servers;
  // In sentences, for every decision made meanwhile.
  std::vector<std::string> problems;
  // Measured power and load of the past, as if it were now: of each moment once by server, also
  // where that had nothing. Handed out once.
  struct Past {
    Timestamp time;
    std::vector<Observation> observations;
  };
  std::vector<Past> past;
};

struct CollectorOptions {
  Duration refresh = std::chrono::seconds(30);
  // How often is looked for what has become there or gone.
  Duration discover = std::chrono::minutes(5);
  // What calibration learns from the past at the start: so many moments, so far apart.
  std::int64_t past_moments = 24;
  Duration past_step = std::chrono::hours(1);
};

// Asks all servers again and again, each on a thread of its own, so that one that is slow or away
// delays no other. The first round asks at once, later ones spread their queries over the interval.
// How many queries a round asks depends on the configuration alone. Thread-safe.
class Collector {
 public:
  // `on_change` is called from the collecting threads after every answer; it must be quick.
  Collector(const std::vector<ServerPlan>& servers, CollectorOptions options,
            std::function<void()> on_change);
  ~Collector();
  [[nodiscard]] Harvest View();
  // Waits until every server was asked for everything once, or until `most` has passed.
  bool WaitForFirstRound(Duration most);

 private:
  class Server;
  class Rounds;
  void Run(Server& server);

  const CollectorOptions options_;
  const std::function<void()> on_change_;
  const Timestamp started_ = Now();
  std::atomic<bool> stop_ = false;
  Mutex mutex_;  // guards the states of all servers
  ConditionVariable wake_;
  std::vector<std::unique_ptr<Server>> servers_;
};

}  // namespace sobre
