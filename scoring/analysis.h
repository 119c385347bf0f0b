#pragma once

#include <cstddef>
#include <vector>

#include "scoring/decide.h"
#include "scoring/ledger.h"

// What a decision means beyond its scores: the report ledger, uncertainty, alternatives. Pure
// functions, safe from any thread; none of them belongs on the decision path.
namespace sobre {

// What the pod would answer for on that candidate: power of its load and of what it reserves, and
// its share of the embodied emissions. Nothing of it is known for a node that is unknown, or where
// devices were asked for by claims that cannot be read.
ReportFigures Attribute(const DecisionRequest& request, const Decision& decision,
                        const Candidate& candidate, const Snapshot& snapshot);

// The placement grams with the bands of power, PUE and intensity multiplied.
Range<GramsPerHour> GramsRange(const Candidate& candidate, const Decision& decision,
                               const Snapshot& snapshot);

// True where the candidate's difference to the best in what was ranked is inside the noise. What
// both share (the same grid, processor, price list) is not noise between them.
bool IsTie(const Candidate& candidate, const Candidate& best, const Decision& decision,
           const Snapshot& snapshot);

// Candidates that no other beats in both euros and grams per unit, cheapest first; of equals, the
// first. Only those of which both are known.
std::vector<std::size_t> ParetoFront(const Decision& decision);

// From this value of a parameter on, up to the next step's, this candidate wins.
struct Step {
  double from = 0;
  std::size_t winner = 0;
};
// Objective balanced over the cost tolerance, as a fraction, from 0.
std::vector<Step> ToleranceSteps(const Decision& decision);
// Objective priced over the carbon price in euros per tonne, from 0.
std::vector<Step> CarbonPriceSteps(const Decision& decision);

}  // namespace sobre
