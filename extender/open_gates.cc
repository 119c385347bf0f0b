#include <array>
#include <cstdio>

#include <simdjson.h>

#include "base/text.h"
#include "extender/command_line.h"
#include "extender/config.h"
#include "extender/gatekeeper.h"

namespace sobre {
namespace {

constexpr std::array<Option, 2> kOptions = {{
    {"--config", "FILE", "the service's configuration, for the way to the API server"},
    {"--help", "", "this text"},
}};

constexpr int kPage = 500;

// Opens what is on one page; the token of the next, empty after the last.
Result<std::string> OpenPage(ApiClient& api, const std::string& next, int& opened) {
  const Result<HttpReply> reply = api.Call(
      "GET", "/api/v1/pods?fieldSelector=status.phase%3DPending&limit=" + std::to_string(kPage) +
                 (next.empty() ? "" : "&continue=" + PercentEncode(next)));
  if (!reply.ok()) return reply.status();
  if (reply->status != 200) return Status::Unavailable("list of pods: " + Complaint(*reply));
  simdjson::dom::parser parser;
  simdjson::dom::element list;
  simdjson::dom::array items;
  if (parser.parse(reply->body).get(list) != simdjson::SUCCESS ||
      list["items"].get(items) != simdjson::SUCCESS)
    return Status::Invalid("list of pods: not what the API server sends");
  for (const simdjson::dom::element pod : items) {
    simdjson::dom::array gates;
    if (pod["spec"]["schedulingGates"].get(gates) != simdjson::SUCCESS) continue;
    for (const simdjson::dom::element gate : gates) {
      std::string_view gate_name;
      std::string_view name;
      std::string_view space;
      if (gate["name"].get(gate_name) != simdjson::SUCCESS || gate_name != kCarbonGate ||
          pod["metadata"]["name"].get(name) != simdjson::SUCCESS ||
          pod["metadata"]["namespace"].get(space) != simdjson::SUCCESS)
        continue;
      const Status status = OpenGate(api, std::string(space), std::string(name), {});
      if (!status.ok()) return status;
      ++opened;
      break;
    }
  }
  std::string_view token;
  if (list["metadata"]["continue"].get(token) != simdjson::SUCCESS) token = {};
  return std::string(token);
}

}  // namespace

int RunOpenGates(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("open-gates", line.status());
  if (line->Has("--help")) {
    std::printf(
        "usage: sobre open-gates [--config FILE]\n\n"
        "Takes the gate sobre.dev/carbon off every pod: to be called before Sobre is "
        "removed.\n\n%s",
        HelpFor(kOptions).c_str());
    return 0;
  }
  const Result<Config> config = ConfigOf(*line);
  if (!config.ok()) return UsageError("open-gates", config.status());
  const Result<ApiAccess> access =
      config->kubernetes.kubeconfig.empty()
          ? InClusterAccess()
          : LoadKubeconfig(config->kubernetes.kubeconfig, config->kubernetes.context);
  if (!access.ok()) return UsageError("open-gates", access.status());
  ApiClient api(*access);
  int opened = 0;
  std::string next;
  do {
    Result<std::string> page = OpenPage(api, next, opened);
    if (!page.ok()) {
      UsageError("open-gates", page.status());
      return 1;
    }
    next = *std::move(page);
  } while (!next.empty());
  std::printf("%d gates opened\n", opened);
  return 0;
}

}  // namespace sobre
