#include <array>
#include <cstdio>

#include "audit/record.h"
#include "extender/decision_json.h"
#include "extender/offline.h"
#include "scoring/explain.h"
#include "scoring/new_capacity.h"

namespace sobre {
namespace {

constexpr std::array<Option, 3> kOwnOptions = {{
    {"--new", "",
     "each node stands for machines of its kind that would be had for the pod: with their price, "
     "idle power and embodied emissions"},
    {"--explain", "", "text for people instead of JSON"},
    {"--record", "",
     "one line of JSON that `sobre verify` can make again, instead of the decision"},
}};

}  // namespace

int RunScore(std::span<const std::string_view> arguments) {
  const std::vector<Option> options = OfflineOptions(true, kOwnOptions);
  const Result<CommandLine> line = CommandLine::Parse(options, arguments);
  if (!line.ok()) return UsageError("score", line.status());
  if (line->Has("--help")) {
    std::printf(
        "usage: sobre score --nodes FILE --pod FILE [--template NAME] [--namespace FILE] "
        "[--signals FILE] "
        "[--config FILE] [--at TIME | --live] [--new] [--explain | --record]\n\n"
        "Prints what the service would decide for the pod, with no cluster and, but for --live, no "
        "network:\nlimits refuse nodes first, the others are scored among themselves. What is "
        "refused "
        "is never best.\n\n%s",
        HelpFor(options).c_str());
    return 0;
  }
  if (line->Has("--new") && line->Has("--record"))
    return UsageError("score", Status::Invalid("--record keeps placements only: not with --new"));
  const Result<OfflineCase> loaded = LoadOfflineCase(*line);
  if (!loaded.ok()) return UsageError("score", loaded.status());
  const DecisionRequest& request = loaded->request;
  const auto snapshot = Snapshot::Build(loaded->world);
  std::vector<std::int32_t> nodes;
  for (std::size_t i = 0; i < snapshot->nodes().size(); ++i)
    nodes.push_back(static_cast<std::int32_t>(i));
  Decision decision;
  (line->Has("--new") ? DecideOnNew : Decide)(request, *snapshot, nodes, decision);
  if (line->Has("--record")) {
    return PrintAll("score",
                    RecordJson(SelfContained(
                        {"score", snapshot->time(), request, decision, {}, {}, snapshot})));
  }
  return PrintAll("score", line->Has("--explain") ? ExplainText(request, decision, *snapshot)
                                                  : DecisionJson(request, decision, *snapshot));
}

}  // namespace sobre
