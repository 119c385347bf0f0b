#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "extender/config.h"
#include "extender/world.h"

namespace sobre {

enum class Severity { kOk, kNote, kWarning, kError };
std::string_view ToString(Severity severity);

// One thing that the doctor found.
struct Finding {
  Severity severity = Severity::kOk;
  std::string about;   // "prometheus", "node_watts", "calibration", …
  std::string text;    // what is so
  std::string repair;  // what to do; empty where nothing needs to be done
};

// In place; what is equally bad keeps its order.
void SortWorstFirst(std::vector<Finding>& findings);

// What is wrong with the signals and the set-up, in plain words: the worst first. Pure.
std::vector<Finding> Diagnose(const WorldState& state, const Config& config);

// Of them, what is wrong with limits: those that cannot be read, that a mode seems to lift, and
// that nobody asks about.
std::vector<Finding> DiagnosePolicy(const WorldState& state);

// The same of a KubeSchedulerConfiguration: whether it asks Sobre, and whether what it says can
// change a placement.
Result<std::vector<Finding>> DiagnoseScheduler(std::string_view yaml, std::string_view file_name);

// For a terminal.
std::string FindingsText(const std::vector<Finding>& findings);

}  // namespace sobre
