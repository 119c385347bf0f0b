#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scoring/decide.h"
#include "scoring/limits.h"

// A decision in words. Pure functions; none of them belongs on the decision path.
namespace sobre {

// What is worth knowing beyond the figures: annotations that could not be followed, what was
// missing, stale or assumed, and what was ranked on instead.
std::vector<std::string> Notes(const DecisionRequest& request, const Decision& decision,
                               const Snapshot& snapshot);
// The same of a decision that limits were applied to: of the candidates that they left, and what
// they relied on.
std::vector<std::string> Notes(const DecisionRequest& request, const Decision& all,
                               const AfterLimits& after, const Snapshot& snapshot);

// "fr-par-1 (scaleway fr-par): score 10, 0.0182 gCO2e and 0.0021 EUR per request"
std::string DescribeCandidate(const Candidate& candidate, const Decision& decision,
                              const Snapshot& snapshot);
// The same without a score: of a candidate that is refused, and so has none.
std::string DescribeFigures(const Candidate& candidate, const Decision& decision,
                            const Snapshot& snapshot);

// Grams of a candidate against those of all others, by unit, on the ledger that was ranked.
struct MeanGrams {
  GramsPerUnit mean;
  std::size_t candidates = 0;  // whose grams are known
};
// Nothing where fewer than two are known.
std::optional<MeanGrams> MeanOfGrams(const Decision& decision);

// Why the candidate scored what it did, in one sentence: "cleanest of the 4 that cost at most 10 %
// more than the cheapest; 86 % fewer grams than the mean of 24 candidates (placement ledger)". The
// decision is that among the candidates that no limit refuses; `refused` is how many others it
// does.
std::string Reason(const Candidate& candidate, const Decision& decision, const Snapshot& snapshot,
                   std::size_t refused = 0);

// What of a candidate would have to be otherwise for it to beat the best: "de would win if its grid
// were below 52.1 instead of 381 g/kWh". Empty where nothing that is known tells.
std::string WhatWouldChange(const Candidate& candidate, const Candidate& best,
                            const Decision& decision, const Snapshot& snapshot);

// Where each value of a node that the decision read comes from, and how old it was: a line each.
std::string InputsText(const NodeRecord& node, const Decision& decision);

// Whom the limits refused, by reason, at most so many names of each; nothing where they refused
// nobody. `unknown` are the names of candidates that the snapshot does not know, in their order.
std::string RefusedText(const Decision& all, const AfterLimits& after, const Snapshot& snapshot,
                        const std::vector<std::string>& unknown = {},
                        std::size_t most_names = SIZE_MAX);

// The whole decision as a text table, best first, with notes: limits are applied as filter and
// prioritize do. Candidates beyond the first `most_rows` are counted, not shown.
std::string ExplainText(const DecisionRequest& request, const Decision& decision,
                        const Snapshot& snapshot, std::size_t most_rows = SIZE_MAX);

}  // namespace sobre
