#pragma once

#include <span>
#include <vector>

#include "base/status.h"
#include "extender/command_line.h"
#include "extender/config.h"
#include "scoring/decide.h"

namespace sobre {

// What commands that decide offline read: a pod with its namespace, and a world of files, or of
// files and what the configuration's servers say now.
struct OfflineCase {
  Config config;
  SnapshotInput world;
  DecisionRequest request;
};

// The options that LoadOfflineCase reads, then those of the command; nodes may be left out where
// they are not `required`.
std::vector<Option> OfflineOptions(bool nodes_required, std::span<const Option> own);
Result<OfflineCase> LoadOfflineCase(const CommandLine& line);

// All of it on standard output; the exit status, after a sentence on standard error if that failed.
int PrintAll(std::string_view command, std::string_view text);

}  // namespace sobre
