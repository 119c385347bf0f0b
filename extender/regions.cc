#include <array>
#include <cstdio>

#include "extender/offer_ranking.h"
#include "extender/offline.h"

namespace sobre {
namespace {

constexpr std::array<Option, 2> kOwnOptions = {{
    {"--gpu-model", "NAME",
     "accelerator of a region's standard machine; else the one that most nodes have"},
    {"--json", "", "JSON instead of text for people"},
}};

}  // namespace

int RunRegions(std::span<const std::string_view> arguments) {
  const std::vector<Option> options = OfflineOptions(false, kOwnOptions);
  const Result<CommandLine> line = CommandLine::Parse(options, arguments);
  if (!line.ok()) return UsageError("regions", line.status());
  if (line->Has("--help")) {
    std::printf(
        "usage: sobre regions --pod FILE [--template NAME] [--namespace FILE] [--nodes FILE] "
        "[--signals FILE] [--config FILE] [--at TIME | --live] [--json]\n\n"
        "Ranks for the pod every region of the catalogue and every kind of machine that the nodes "
        "are, also\nwhere there is no node today: what a unit would cost in euros and gCO2e if "
        "capacity were had there.\n\n%s",
        HelpFor(options).c_str());
    return 0;
  }
  const Result<OfflineCase> loaded = LoadOfflineCase(*line);
  if (!loaded.ok()) return UsageError("regions", loaded.status());
  StandardMachine standard;
  standard.gpu_model = line->Get("--gpu-model");
  const DecisionRequest& request = loaded->request;
  const OfferRanking ranking =
      RankOffers(request, loaded->world,
                 KnownOffers(*Snapshot::Build(loaded->world), request.pod.requests, standard));
  return PrintAll("regions", line->Has("--json") ? OfferRankingJson(request, ranking) + "\n"
                                                 : OfferRankingText(request, ranking));
}

}  // namespace sobre
