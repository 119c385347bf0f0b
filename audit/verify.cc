#include "audit/verify.h"

#include <bit>
#include <cstdint>

#include "base/text.h"

namespace sobre {
namespace {

bool SameBits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

Status Differs(const std::string& what, const std::string& recorded, const std::string& made) {
  return Status::Invalid(what + ": " + (recorded.empty() ? "nothing" : Printable(recorded, 200)) +
                         " was recorded, " + (made.empty() ? "nothing" : made) +
                         " is what the rules give");
}

std::string Figure(bool known, double value) { return known ? FormatNumber(value) : ""; }

Status Compare(const std::string& what, const std::string& recorded, const std::string& made) {
  return recorded == made ? Status::Ok() : Differs(what, recorded, made);
}

Status CompareCandidate(const std::string& what, const v1::RecordedCandidate& recorded,
                        const v1::RecordedCandidate& made) {
  if (recorded.node() != made.node()) return Differs(what, recorded.node(), made.node());
  const std::string node = what + " " + Printable(made.node(), 63);
  if (recorded.score() != made.score())
    return Differs(node + ": score", std::to_string(recorded.score()),
                   std::to_string(made.score()));
  if (recorded.has_gco2e_per_hour() != made.has_gco2e_per_hour() ||
      !SameBits(recorded.gco2e_per_hour(), made.gco2e_per_hour()))
    return Differs(node + ": gCO2e per hour",
                   Figure(recorded.has_gco2e_per_hour(), recorded.gco2e_per_hour()),
                   Figure(made.has_gco2e_per_hour(), made.gco2e_per_hour()));
  if (recorded.has_eur_per_hour() != made.has_eur_per_hour() ||
      !SameBits(recorded.eur_per_hour(), made.eur_per_hour()))
    return Differs(node + ": EUR per hour",
                   Figure(recorded.has_eur_per_hour(), recorded.eur_per_hour()),
                   Figure(made.has_eur_per_hour(), made.eur_per_hour()));
  // Doubles stand in a message's bytes as they are.
  if (recorded.report().SerializeAsString() != made.report().SerializeAsString())
    return Differs(node + ": report", recorded.report().ShortDebugString(),
                   made.report().ShortDebugString());
  return Status::Ok();
}

Status CompareScores(const v1::Record& recorded, const v1::Record& made, const Recalled& recalled) {
  if (recorded.scores().size() != made.scores().size())
    return Differs("candidates", std::to_string(recorded.scores().size()),
                   std::to_string(made.scores().size()));
  for (std::size_t i = 0; i < made.scores().size(); ++i) {
    if (recorded.scores()[i] == made.scores()[i]) continue;
    const std::int32_t node = recalled.decision.candidates[i].node;
    const std::string name =
        node == Snapshot::kUnknownNode
            ? "that was not known"
            : recalled.snapshot->nodes()[static_cast<std::size_t>(node)].facts->name;
    return Differs("node " + Printable(name, 63) + ": score",
                   std::to_string(static_cast<int>(recorded.scores()[i])),
                   std::to_string(static_cast<int>(made.scores()[i])));
  }
  return Status::Ok();
}

}  // namespace

Status Verify(const v1::Record& record, const v1::RecordedSnapshot& known,
              const std::shared_ptr<const Catalog>& catalog) {
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
  const Result<Recalled> recalled = Recall(record, known, catalog);
  if (!recalled.ok()) return recalled.status();
  const v1::Record made = ResultsOf(*recalled);
  for (const Status& status :
       {Compare("ranked by", record.ranked_by(), made.ranked_by()),
        Compare("grid intensity", record.intensity_basis(), made.intensity_basis()),
        Compare("unit", record.unit(), made.unit()), CompareScores(record, made, *recalled),
        CompareCandidate("best node", record.best(), made.best()),
        CompareCandidate("runner-up", record.runner_up(), made.runner_up()),
        Compare("refused", std::to_string(record.refused()), std::to_string(made.refused())),
        Compare("refusal", record.refusal(), made.refusal()),
        Compare("mean of the candidates", record.mean().ShortDebugString(),
                made.mean().ShortDebugString())}) {
    if (!status.ok()) return status;
  }
  if (!SameBits(record.units_per_hour(), made.units_per_hour()))
    return Differs("units per hour", FormatNumber(record.units_per_hour()),
                   FormatNumber(made.units_per_hour()));
  if (record.mean().SerializeAsString() != made.mean().SerializeAsString() ||
      record.results_sha256() != made.results_sha256())
    return Status::Invalid(
        "the digest over all candidates' euros, grams and refusals is not what the rules give");
  return Status::Ok();
}

}  // namespace sobre
