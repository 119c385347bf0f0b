#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>
#include <thread>

#include <simdjson.h>

#include "base/json_writer.h"
#include "base/text.h"
#include "cmake/embedded_file.h"
#include "extender/command_line.h"
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

struct DemoRegion {
  const char* provider;
  const char* region;
  double eur_per_hour;  // of a node of 16 vCPU and 64 GiB, in the order of list prices
  double grams_by_night;
  double grams_by_day;
};
constexpr std::array<DemoRegion, 6> kRegions = {{
    {"scaleway", "fr-par", 0.78, 48, 62},
    {"scaleway", "pl-waw", 0.75, 690, 610},
    {"ovhcloud", "GRA9", 0.79, 48, 62},
    {"aws", "eu-central-1", 0.86, 420, 300},
    {"aws", "eu-north-1", 0.80, 32, 44},
    {"gcp", "europe-west1", 0.82, 150, 120},
}};

Observation See(Signal signal, double value, Timestamp time) {
  Observation seen;
  seen.signal = signal;
  seen.value = value;
  seen.time = time;
  seen.source = "demo";
  return seen;
}

// The embedded world at an hour of its day, 0 to 24.
SnapshotInput WorldAt(const std::vector<NodeFacts>& nodes, double hour) {
  SnapshotInput input;
  input.time = Now();
  // A triangle over the day: night at 0, day at 12.
  const double daylight = 1.0 - std::abs(hour - 12.0) / 12.0;
  for (const NodeFacts& node : nodes) {
    input.nodes.push_back(std::make_shared<const NodeFacts>(node));
    for (const DemoRegion& region : kRegions) {
      if (node.provider != region.provider || node.region != region.region) continue;
      Observation price = See(Signal::kNodePrice, region.eur_per_hour, input.time);
      price.node = node.name;
      input.observations.push_back(std::move(price));
    }
  }
  for (const DemoRegion& region : kRegions) {
    const double grams =
        region.grams_by_night + (region.grams_by_day - region.grams_by_night) * daylight;
    Observation grid = See(Signal::kGridIntensity, grams, input.time);
    grid.provider = region.provider;
    grid.region = region.region;
    input.observations.push_back(std::move(grid));
  }
  return input;
}

struct DemoPod {
  const char* name;
  const char* objective;
  int cpu;
  int memory_gib;
  double requests_per_second;
};
constexpr std::array<DemoPod, 5> kPods = {{
    {"checkout", "balanced", 2, 4, 40},
    {"search", "balanced", 4, 16, 120},
    {"report", "cost", 1, 2, 2},
    {"chat-8b", "carbon", 8, 32, 3},
    {"image-resize", "priced", 2, 4, 15},
}};

// What kube-scheduler would send for the pod, to the nodes that have room.
std::string ExtenderArgsFor(const DemoPod& pod, const std::string& name, const std::string& uid,
                            const std::vector<std::string>& nodes) {
  std::string body;
  JsonWriter json(body);
  json.BeginObject().Key("Pod").BeginObject().Key("metadata").BeginObject();
  json.Key("name").Value(name).Key("namespace").Value("shop").Key("uid").Value(uid);
  json.Key("annotations").BeginObject().Key("sobre.dev/objective").Value(pod.objective);
  json.Key("sobre.dev/requests-per-second")
      .Value(FormatNumber(pod.requests_per_second))
      .EndObject()
      .EndObject();
  json.Key("spec")
      .BeginObject()
      .Key("containers")
      .BeginArray()
      .BeginObject()
      .Key("name")
      .Value("app")
      .Key("resources");
  json.BeginObject().Key("requests").BeginObject().Key("cpu").Value(std::to_string(pod.cpu));
  json.Key("memory")
      .Value(std::to_string(pod.memory_gib) + "Gi")
      .EndObject()
      .EndObject()
      .EndObject()
      .EndArray()
      .EndObject();
  json.EndObject().Key("Nodes").Null().Key("NodeNames").BeginArray();
  for (const std::string& node : nodes) json.Value(node);
  json.EndArray().EndObject();
  return body;
}

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

class Demo {
 public:
  Demo(Server& server, std::vector<NodeFacts> nodes) : server_(server), nodes_(std::move(nodes)) {
    for (const NodeFacts& node : nodes_) free_[node.name] = node.allocatable;
  }

  // Lets one pod arrive and prints where it went, and why.
  Status Place(std::int64_t number) {
    const double hour = std::fmod(static_cast<double>(number), 24.0);
    server_.world().Publish(MakeState(WorldAt(nodes_, hour)));
    const DemoPod& pod = kPods[random_() % kPods.size()];
    const std::string name = std::string(pod.name) + "-" + std::to_string(number);
    const std::string uid = "demo-" + std::to_string(number);
    const Resources wanted{std::int64_t{1000} * pod.cpu,
                           static_cast<std::int64_t>(pod.memory_gib) << 30, 0};
    std::vector<std::string> fitting;
    for (const auto& [node, room] : free_) {
      if (room.millicpu >= wanted.millicpu && room.memory_bytes >= wanted.memory_bytes)
        fitting.push_back(node);
    }
    if (fitting.empty()) {
      // The oldest pods have finished: the cluster is free again.
      for (const NodeFacts& node : nodes_) free_[node.name] = node.allocatable;
      return Place(number);
    }
    HttpCall call;
    call.method = "POST";
    call.url = "http://127.0.0.1:" + std::to_string(server_.extender_port()) + "/v1/prioritize";
    call.headers = {"Content-Type: application/json"};
    call.body = ExtenderArgsFor(pod, name, uid, fitting);
    const Result<HttpReply> reply = client_.Fetch(call);
    if (!reply.ok()) return reply.status();
    if (reply->status != 200) return Status::Unavailable(reply->body);
    const Result<std::string> host = BestHost(reply->body);
    if (!host.ok()) return host.status();
    Resources& room = free_[*host];
    room.millicpu -= wanted.millicpu;
    room.memory_bytes -= wanted.memory_bytes;
    Records& records = server_.records();
    records.recorder().PodSeen(uid, *host);
    records.recorder().WaitUntilWritten(kPatience);
    const auto summary = records.recent().Find(uid);
    std::printf("%02d:00  %-15s %-8s → %s; %s\n", static_cast<int>(hour), name.c_str(),
                pod.objective, summary ? summary->best.c_str() : host->c_str(),
                summary ? summary->reason.c_str() : "");
    std::fflush(stdout);
    return Status::Ok();
  }

 private:
  Server& server_;
  const std::vector<NodeFacts> nodes_;
  std::map<std::string, Resources> free_;
  HttpClient client_;
  std::mt19937 random_{1};  // NOLINT(bugprone-random-generator-seed): the same show every time
};

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
  Config config;
  config.listen.extender = "127.0.0.1:0";
  config.listen.status = "127.0.0.1:" + std::to_string(*port);
  auto world = std::make_unique<World>();
  world->Publish(MakeState(WorldAt(*nodes, 0)));
  Result<std::unique_ptr<Records>> records = Records::Open(config);
  if (!records.ok()) return UsageError("demo", records.status());
  Server server(std::move(world), *std::move(records), config);
  if (const Status status = server.Start(); !status.ok()) return UsageError("demo", status);
  std::printf("Sobre demo: %zu nodes in %zu regions. Look at http://127.0.0.1:%d/\n\n",
              nodes->size(), kRegions.size(), server.status_port());
  Demo demo(server, *std::move(nodes));
  for (std::int64_t i = 0; *pods == 0 || i < *pods; ++i) {
    if (const Status status = demo.Place(i); !status.ok()) {
      std::fprintf(stderr, "sobre demo: %s\n", status.message().c_str());
      return 1;
    }
    if (WaitForStopSignal(*interval)) return 0;
  }
  if (line->Has("--once")) return 0;
  std::printf("\nAll pods are placed. The page stays at http://127.0.0.1:%d/ until Ctrl-C.\n",
              server.status_port());
  std::fflush(stdout);
  WaitForStopSignal();
  return 0;
}

}  // namespace sobre
