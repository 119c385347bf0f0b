#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include <simdjson.h>

#include "base/text.h"
#include "cmake/embedded_file.h"
#include "extender/command_line.h"
#include "extender/demo_world.h"
#include "extender/mover.h"
#include "extender/serve.h"
#include "k8s/json_objects.h"
#include "net/http_client.h"

namespace sobre {

extern const EmbeddedFile kDemoFiles[];

namespace {

constexpr Duration kPatience = std::chrono::seconds(5);

constexpr std::array<Option, 5> kOptions = {{
    {"--pods", "N", "how many pods arrive (default 20); 0: for ever"},
    {"--interval", "TIME", "between two pods (default 500ms)"},
    {"--port", "N", "of the page to look at (default 8091; 0: any free one)"},
    {"--once", "", "stop after the last pod instead of keeping the page up"},
    {"--help", "", "this text"},
}};

// The host with the highest score; the first of equals.
Result<std::string> BestHost(const std::string& reply) {
  simdjson::dom::parser parser;
  simdjson::dom::array hosts;
  if (parser.parse(reply).get(hosts) != simdjson::SUCCESS)
    return Status::Invalid("the answer is no list: " + Printable(reply));
  std::int64_t best = -1;
  std::string name;
  for (const simdjson::dom::element host : hosts) {
    std::int64_t score = 0;
    std::string_view text;
    if (host["Score"].get(score) != simdjson::SUCCESS ||
        host["Host"].get(text) != simdjson::SUCCESS)
      continue;
    if (score > best) {
      best = score;
      name = text;
    }
  }
  if (name.empty()) return Status::NotFound("no node was offered");
  return name;
}

// The nodes that a filter's answer lets through.
Result<std::vector<std::string>> PassedNodes(const std::string& reply) {
  simdjson::dom::parser parser;
  simdjson::dom::array names;
  if (parser.parse(reply)["NodeNames"].get(names) != simdjson::SUCCESS)
    return Status::Invalid("the answer has no NodeNames: " + Printable(reply));
  std::vector<std::string> passed;
  for (const simdjson::dom::element name : names) {
    std::string_view text;
    if (name.get(text) == simdjson::SUCCESS) passed.emplace_back(text);
  }
  return passed;
}

// So many pods that came while the demo runs are there at a time.
constexpr std::size_t kPassing = 40;
constexpr int kPastDays = 14;
// Advice begins so long ago; this workload's owner follows it so long ago.
constexpr Duration kAdvised = std::chrono::hours(52);
constexpr Duration kFollowed = std::chrono::hours(26);
constexpr std::string_view kFollowsAdvice = "thumbnails";

// Asks the service as kube-scheduler would.
class Asker {
 public:
  explicit Asker(int port) : port_(port) {}
  Result<std::string> Post(const char* verb, std::string body) {
    HttpCall call;
    call.method = "POST";
    call.url = "http://127.0.0.1:" + std::to_string(port_) + "/v1/" + verb;
    call.headers = {"Content-Type: application/json"};
    call.body = std::move(body);
    Result<HttpReply> reply = client_.Fetch(call);
    if (!reply.ok()) return reply.status();
    if (reply->status != 200) return Status::Unavailable(reply->body);
    return std::move(reply->body);
  }

 private:
  int port_;
  HttpClient client_;
};

// Lets pods arrive in a world whose clock goes on by an hour with each.
class Demo {
 public:
  Demo(Server& server, DemoWorld& world)
      : server_(server), world_(world), asker_(server.extender_port()) {}

  // Nothing where no node may take it.
  Result<std::optional<std::string>> Place(const DemoWorkload& workload, const std::string& name,
                                           const std::string& uid, Timestamp started) {
    std::vector<std::string> nodes = world_.NodesWithRoom(workload);
    if (*workload.countries != '\0') {
      const Result<std::string> reply =
          asker_.Post("filter", world_.ExtenderArgs(workload, name, uid, nodes));
      if (!reply.ok()) return reply.status();
      Result<std::vector<std::string>> passed = PassedNodes(*reply);
      if (!passed.ok()) return passed.status();
      nodes = *std::move(passed);
    }
    if (nodes.empty()) return std::optional<std::string>();
    const Result<std::string> reply =
        asker_.Post("prioritize", world_.ExtenderArgs(workload, name, uid, nodes));
    if (!reply.ok()) return reply.status();
    Result<std::string> host = BestHost(*reply);
    if (!host.ok()) return host.status();
    world_.Run(workload, name, uid, *host, started);
    server_.records().recorder().PodSeen(uid, *host);
    server_.records().recorder().WaitUntilWritten(kPatience);
    return std::optional(*std::move(host));
  }

  // One pod arrives; prints where it went, and why.
  Status Arrive(std::int64_t number) {
    const double hour = std::fmod(static_cast<double>(number), 24.0);
    while (world_.passing() >= kPassing) {
      if (const auto uid = world_.FinishOldest()) server_.records().recorder().PodGone(*uid);
    }
    server_.world().Publish(world_.StateAt(hour, Now()));
    const auto workloads = DemoWorld::Arriving();
    const DemoWorkload& workload = workloads[random_() % workloads.size()];
    const std::string name = std::string(workload.name) + "-" + std::to_string(number);
    const std::string uid = "demo-" + std::to_string(number);
    const auto host = Place(workload, name, uid, Now());
    if (!host.ok()) return host.status();
    const auto summary = server_.records().recent().Find(uid);
    std::printf("%02d:00  %-15s %-8s → %s; %s\n", static_cast<int>(hour), name.c_str(),
                workload.objective, summary ? summary->best.c_str() : host->value_or("-").c_str(),
                summary ? summary->reason.c_str() : "");
    std::fflush(stdout);
    server_.world().Publish(world_.StateAt(hour, Now()));
    return Status::Ok();
  }

 private:
  Server& server_;
  DemoWorld& world_;
  Asker asker_;
  std::mt19937 random_{1};  // NOLINT(bugprone-random-generator-seed): the same show every time
};

// A folder for the records, gone with the demo.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string path = (std::filesystem::temp_directory_path() / "sobre-demo-XXXXXX").string();
    if (::mkdtemp(path.data()) != nullptr) path_ = path;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Config DemoConfig(const std::string& directory, std::int64_t port) {
  Config config;
  config.listen.extender = "127.0.0.1:0";
  config.listen.status = "127.0.0.1:" + std::to_string(port);
  config.records.directory = directory;
  config.records.name = "demo";
  config.accounting.every = std::chrono::seconds(2);
  config.accounting.flush = std::chrono::seconds(5);
  config.accounting.bridge = std::chrono::hours(2);
  config.moves.every = std::chrono::seconds(2);
  config.budgets = {{"", "shop", 900.0, std::nullopt}, {"", "research", 700.0, 3600.0}};
  return config;
}

// The standing pods are placed by the service, each decision on record.
Status PlaceStanding(DemoWorld& world, Config config, Timestamp now) {
  config.accounting.enabled = false;
  config.listen.status = "127.0.0.1:0";
  auto standing = std::make_unique<World>();
  standing->Publish(world.StateAt(0, now));
  Result<std::unique_ptr<Records>> records = Records::Open(config);
  if (!records.ok()) return records.status();
  Server server(std::move(standing), *std::move(records), config);
  if (Status status = server.Start(); !status.ok()) return status;
  Demo demo(server, world);
  const auto name_of = [](const DemoWorkload& workload, int i) {
    return std::string(workload.name) + "-standing-" + std::to_string(i);
  };
  // Whoever was there first has the room.
  for (const DemoWorkload& workload : DemoWorld::Workloads()) {
    for (int i = 0; *workload.region != '\0' && i < workload.standing; ++i) {
      const std::string name = name_of(workload, i);
      if (const auto node = world.RoomIn(workload.region, workload))
        world.Run(workload, name, "demo-" + name, *node, now);
    }
  }
  for (const DemoWorkload& workload : DemoWorld::Workloads()) {
    for (int i = 0; *workload.region == '\0' && i < workload.standing; ++i) {
      const std::string name = name_of(workload, i);
      const auto host = demo.Place(workload, name, "demo-" + name, now);
      if (!host.ok()) return host.status();
    }
  }
  return Status::Ok();
}

// What the standing pods took in the days before, added up by the same arithmetic as ever, and what
// they were advised; one workload's owner followed it yesterday.
void LiveThroughThePast(DemoWorld& world, const Records& records, const Config& config,
                        Timestamp from, Timestamp now) {
  Bookkeeper::Options options;
  options.holder = NewIdentity();
  options.accumulator.bridge = config.accounting.bridge;
  options.flush = Duration(0);
  Bookkeeper past(std::move(options), MakeUsageSink(ForUsage(config)), MeansOf(records, config));
  MoveAdviser adviser(config, ForUsage(config), nullptr, from);
  World seen;
  for (Timestamp at = from; at < now; at += std::chrono::hours(1)) {
    const double hour = std::fmod(InHours(at.time_since_epoch()), 24.0);
    const auto state = world.StateAt(hour, at);
    past.Tick(*state, at);
    past.Sync(at);
    if (now - at > kAdvised) continue;
    seen.Publish(state);
    adviser.Tick(seen, true, false, at);
    for (const DemoWorkload& workload : DemoWorld::Workloads()) {
      if (std::string_view(workload.name) != kFollowsAdvice || now - at > kFollowed) continue;
      for (const Advice& advice : adviser.status().advice) {
        if (advice.workload == workload.name && advice.state == AdviceState::kOpen)
          world.Move(workload, advice.to, at);
      }
    }
  }
  past.Finish(now);
}

Result<std::unique_ptr<Server>> OpenDemo(DemoWorld& world, const Config& config) {
  const Timestamp now = Now();
  const Timestamp from =
      std::chrono::floor<std::chrono::hours>(now) - std::chrono::hours(24 * kPastDays);
  if (Status status = PlaceStanding(world, config, now); !status.ok()) return status;
  world.KeepAll(from);
  Result<std::unique_ptr<Records>> records = Records::Open(config);
  if (!records.ok()) return records.status();
  LiveThroughThePast(world, **records, config, from, now);
  auto shown = std::make_unique<World>();
  shown->Publish(world.StateAt(0, now));
  auto server = std::make_unique<Server>(std::move(shown), *std::move(records), config);
  if (Status status = server->Start(); !status.ok()) return status;
  return server;
}

}  // namespace

int RunDemo(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("demo", line.status());
  if (line->Has("--help")) {
    std::printf(
        "usage: sobre demo [--pods N] [--interval TIME] [--port N] [--once]\n\n"
        "The service on an embedded world of 24 nodes in six regions of four operators. Pods "
        "arrive through\n"
        "its own HTTP port as kube-scheduler would send them, an hour apart on the world's "
        "clock.\n\n%s",
        HelpFor(kOptions).c_str());
    return 0;
  }
  const auto pods = line->Has("--pods") ? ParseInteger(line->Get("--pods")) : 20;
  const auto port = line->Has("--port") ? ParseInteger(line->Get("--port")) : 8091;
  const auto interval =
      line->Has("--interval") ? ParseDuration(line->Get("--interval")) : Duration(500);
  if (!pods || *pods < 0)
    return UsageError("demo", Status::Invalid("--pods: expected a number, 0 or more"));
  if (!port || *port < 0 || *port > 65535)
    return UsageError("demo", Status::Invalid("--port: expected a number from 0 to 65535"));
  if (!interval)
    return UsageError("demo", Status::Invalid("--interval: expected a duration, such as 500ms"));
  BlockStopSignals();
  Result<std::vector<NodeFacts>> nodes = ParseNodes(Padded(kDemoFiles[0].bytes));
  if (!nodes.ok()) return UsageError("demo", nodes.status());
  const TemporaryFolder folder;
  if (folder.path().empty())
    return UsageError("demo", Status::Unavailable("no folder can be made for the records: is the "
                                                  "temporary folder writable?"));
  DemoWorld world(*std::move(nodes));
  const Result<std::unique_ptr<Server>> server = OpenDemo(world, DemoConfig(folder.path(), *port));
  if (!server.ok()) return UsageError("demo", server.status());
  std::printf("Sobre demo: %zu nodes in %zu regions. Look at http://127.0.0.1:%d/\n\n",
              world.node_count(), DemoWorld::RegionCount(), (*server)->status_port());
  Demo demo(**server, world);
  for (std::int64_t i = 0; *pods == 0 || i < *pods; ++i) {
    if (const Status status = demo.Arrive(i); !status.ok()) {
      std::fprintf(stderr, "sobre demo: %s\n", status.message().c_str());
      return 1;
    }
    if (WaitForStopSignal(*interval)) return 0;
  }
  if (line->Has("--once")) return 0;
  std::printf("\nAll pods are placed. The page stays at http://127.0.0.1:%d/ until Ctrl-C.\n",
              (*server)->status_port());
  std::fflush(stdout);
  WaitForStopSignal();
  return 0;
}

}  // namespace sobre
