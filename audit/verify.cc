#include "audit/verify.h"

#include <bit>
#include <cstdint>

#include "base/text.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

bool SameBits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

Status Differs(const std::string& what, const std::string& recorded, const std::string& made) {
  return Status::Invalid(what + ": " + (recorded.empty() ? "nothing" : recorded) +
                         " was recorded, " + (made.empty() ? "nothing" : made) +
                         " is what the rules give");
}

std::string Figure(bool known, double value) { return known ? FormatNumber(value) : ""; }

Status CompareCandidate(const v1::RecordedScore& recorded, const Candidate& made,
                        const std::string& refused, const std::string& node) {
  if (recorded.score() != made.score)
    return Differs("node " + node + ": score", std::to_string(recorded.score()),
                   std::to_string(made.score));
  const PlacementFigures& figures = made.placement;
  if (recorded.has_gco2e_per_hour() != figures.grams_known ||
      (figures.grams_known && !SameBits(recorded.gco2e_per_hour(), figures.grams.value())))
    return Differs("node " + node + ": gCO2e per hour",
                   Figure(recorded.has_gco2e_per_hour(), recorded.gco2e_per_hour()),
                   Figure(figures.grams_known, figures.grams.value()));
  if (recorded.has_eur_per_hour() != figures.euros_known ||
      (figures.euros_known && !SameBits(recorded.eur_per_hour(), figures.euros.value())))
    return Differs("node " + node + ": EUR per hour",
                   Figure(recorded.has_eur_per_hour(), recorded.eur_per_hour()),
                   Figure(figures.euros_known, figures.euros.value()));
  if (recorded.refused() != refused)
    return Differs("node " + node + ": refusal", Printable(recorded.refused()), refused);
  return Status::Ok();
}

}  // namespace

Status Verify(const v1::Record& record, const std::shared_ptr<const Catalog>& catalog) {
  if (record.algorithm_version() != kAlgorithmVersion) {
    return Status::NotFound("made by version " + std::to_string(record.algorithm_version()) +
                            " of the rules; this program has version " +
                            std::to_string(kAlgorithmVersion));
  }
  if (record.catalog_version() != catalog->version()) {
    return Status::NotFound("made with catalogue " + Printable(record.catalog_version(), 40) +
                            "; this program has " + catalog->version() +
                            ": give the configuration whose catalog.directory holds its rows");
  }
  if (record.nodes_size() != record.scores_size())
    return Status::Invalid(std::to_string(record.nodes_size()) + " nodes and " +
                           std::to_string(record.scores_size()) + " scores");
  const Result<Recalled> recalled = Recall(record, catalog);
  if (!recalled.ok()) return recalled.status();
  Decision decision;
  Decide(recalled->request, *recalled->snapshot, recalled->nodes, decision);
  const std::string ranked_by =
      decision.ranked_by ? std::string(ToString(*decision.ranked_by)) : "";
  if (record.ranked_by() != ranked_by)
    return Differs("ranked by", Printable(record.ranked_by(), 40), ranked_by);
  if (record.intensity_basis() != ToString(decision.intensity_basis))
    return Differs("grid intensity", Printable(record.intensity_basis(), 40),
                   std::string(ToString(decision.intensity_basis)));
  if (record.unit() != ToString(decision.unit))
    return Differs("unit", Printable(record.unit(), 40), std::string(ToString(decision.unit)));
  if (!SameBits(record.units_per_hour(), decision.units.value()))
    return Differs("units per hour", FormatNumber(record.units_per_hour()),
                   FormatNumber(decision.units.value()));
  for (int i = 0; i < record.nodes_size(); ++i) {
    const Candidate& candidate = decision.candidates[static_cast<std::size_t>(i)];
    const auto refusal = CheckLimits(recalled->request, decision, candidate, *recalled->snapshot);
    if (Status status =
            CompareCandidate(record.scores(i), candidate, refusal ? refusal->reason : "",
                             Printable(record.nodes(i).name(), 63));
        !status.ok())
      return status;
  }
  return Status::Ok();
}

}  // namespace sobre
