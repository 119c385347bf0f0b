#include <array>
#include <cstdio>

#include "base/file.h"
#include "base/text.h"
#include "extender/comparison.h"
#include "extender/offer_file.h"
#include "extender/offline.h"

namespace sobre {
namespace {

constexpr std::array<Option, 2> kOwnOptions = {{
    {"--in", "FILE", "the offers as YAML", true},
    {"--format", "FORMAT", "text for people (the default), or json"},
}};

constexpr const char* kHelp =
    R"(usage: sobre compare --in FILE --pod FILE [--template NAME] [--namespace FILE] [--signals FILE]
                     [--nodes FILE] [--config FILE] [--at TIME | --live] [--format text|json]

Compares machines of one's own with offers of a cloud for one pod: euros and gCO2e per unit with low
and high, the utilization from which on one's own is cheaper or cleaner, and the carbon price at
which both are equal.

  offers:
    - {name: cloud, provider: scaleway, region: fr-par, instance_type: PRO2-M, cpu: 16, memory: 64Gi,
       eur_per_hour: 0.44}     # without: the catalogue's estimate
    - name: rack
      provider: own
      region: lyon
      grid_zone: FR            # or a row of regions.csv
      cpu: 64
      memory: 256Gi            # gpus, gpu_model, instance_type, hardware_class as well
      own: {purchase_eur: 12000, lifetime_years: 5, running_eur_per_year: 900, utilization: 0.4,
            pue: 1.5, electricity_eur_per_kwh: 0.16, grid_gco2e_per_kwh: 56,
            contract_gco2e_per_kwh: 0, embodied_kgco2e: {low: 800, mid: 1300, high: 2600},
            idle_watts: 120, full_watts: 480}

)";

}  // namespace

int RunCompare(std::span<const std::string_view> arguments) {
  const std::vector<Option> options = OfflineOptions(false, kOwnOptions);
  const Result<CommandLine> line = CommandLine::Parse(options, arguments);
  if (!line.ok()) return UsageError("compare", line.status());
  if (line->Has("--help")) {
    std::printf("%s%s", kHelp, HelpFor(options).c_str());
    return 0;
  }
  const std::string format = line->Has("--format") ? line->Get("--format") : "text";
  if (format != "text" && format != "json")
    return UsageError("compare", Status::Invalid("--format: expected text or json"));
  const Result<OfflineCase> loaded = LoadOfflineCase(*line);
  if (!loaded.ok()) return UsageError("compare", loaded.status());
  const std::string file = line->Get("--in");
  const Result<std::string> yaml = ReadFile(file);
  if (!yaml.ok()) return UsageError("compare", yaml.status());
  Result<std::vector<Offer>> offers = ParseOffers(*yaml, file, loaded->world.time);
  if (!offers.ok()) return UsageError("compare", offers.status());
  for (const auto& node : loaded->world.nodes) {
    for (const Offer& offer : *offers) {
      if (offer.facts.name == node->name)
        return UsageError("compare",
                          Status::Invalid(file + ": a node is named '" + Printable(node->name, 60) +
                                          "' too; call the offer something else"));
    }
  }
  const Comparison comparison = Compare(loaded->request, loaded->world, *std::move(offers));
  return PrintAll("compare", format == "json" ? ComparisonJson(loaded->request, comparison) + "\n"
                                              : ComparisonText(loaded->request, comparison));
}

}  // namespace sobre
