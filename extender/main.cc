#include <cstdio>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "extender/command_line.h"

namespace {

constexpr std::string_view kHelp = R"(usage: sobre COMMAND [OPTIONS]

Sobre tells kube-scheduler how good each node is for a pod, in euros and gCO2e per request.

  serve      answer a kube-scheduler
  score      print what would be decided, offline, from kubectl's files
  regions    rank every region and kind of machine that is known for a pod, also without a node
  compare    a machine of one's own against offers of a cloud, with where both are equal
  backtest   try policies on a described cluster and time, beside kube-scheduler alone
  explain    why a pod was sent where it was, from the records
  verify     check the records' chain and make every decision again; say which one is wrong
  backup     copy the records' file while a service writes it, and check the copy
  report     what running pods took: energy, gCO2e, euros and requests
  footprint  energy, gCO2e and euros by formula, from JSON, for auditors
  doctor     say what is wrong with the signals and the set-up, and how to repair it
  probe      ask a running service as kube-scheduler does, and say whether it answers rightly
  open-gates let every pod go that waits for a cleaner hour
  demo       the service on an embedded world; no cluster needed
  version    print the version

`sobre COMMAND --help` says more of each.
)";

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const std::string_view command = arguments.empty() ? "--help" : arguments[0];
  const auto rest = std::span(arguments).subspan(arguments.empty() ? 0 : 1);
  if (command == "serve") return sobre::RunServe(rest);
  if (command == "score") return sobre::RunScore(rest);
  if (command == "regions") return sobre::RunRegions(rest);
  if (command == "compare") return sobre::RunCompare(rest);
  if (command == "backtest") return sobre::RunBacktest(rest);
  if (command == "footprint") return sobre::RunFootprint(rest);
  if (command == "explain") return sobre::RunExplain(rest);
  if (command == "verify") return sobre::RunVerify(rest);
  if (command == "backup") return sobre::RunBackup(rest);
  if (command == "report") return sobre::RunReport(rest);
  if (command == "doctor") return sobre::RunDoctor(rest);
  if (command == "probe") return sobre::RunProbe(rest);
  if (command == "open-gates") return sobre::RunOpenGates(rest);
  if (command == "demo") return sobre::RunDemo(rest);
  if (command == "version" || command == "--version") {
    std::puts("sobre " SOBRE_VERSION);
    return 0;
  }
  if (command == "help" || command == "--help" || command == "-h") {
    std::fwrite(kHelp.data(), 1, kHelp.size(), stdout);
    return arguments.empty() ? 2 : 0;
  }
  constexpr std::string_view kCommands[] = {
      "serve",  "score",  "regions", "compare", "backtest",   "footprint", "doctor", "explain",
      "verify", "backup", "report",  "probe",   "open-gates", "demo",      "version"};
  const std::string hint = sobre::DidYouMean(command, kCommands);
  std::fprintf(stderr, "sobre: unknown command '%s'%s\n%.*s", sobre::Printable(command).c_str(),
               hint.c_str(), static_cast<int>(kHelp.size()), kHelp.data());
  return 2;
}
