#pragma once

#include <string>

#include "scoring/decide.h"

// Why what is unknown of a candidate is unknown, for people. Pure functions, safe from any thread.
namespace sobre {

enum class Figure {
  // Of the ledger that was ranked.
  kGrams,
  kEuros,
  // Of the report ledger.
  kReportGrams,
  kReportEuros,
};

// The parts of the figure that the ledger could not have: "accelerator model unknown (no row of
// gpu.csv is about NVIDIA-A10) and no grid intensity is known of zone GB". Empty where all of them
// are known.
std::string WhyUnknown(Figure figure, const Decision& decision, const Candidate& candidate,
                       const Snapshot& snapshot);

// ": CAUSE", or nothing.
std::string Because(const std::string& cause);

}  // namespace sobre
