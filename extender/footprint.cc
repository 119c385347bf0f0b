#include <array>
#include <cstdio>

#include "base/file.h"
#include "extender/command_line.h"
#include "extender/footprint_json.h"
#include "extender/serve.h"

namespace sobre {
namespace {

constexpr std::array<Option, 2> kOptions = {{
    {"--in", "FILE", "the input as JSON; - for standard input", true},
    {"--help", "", "this text"},
}};

constexpr const char* kHelp = R"(usage: sobre footprint --in FILE

The arithmetic alone, for auditors: SCI = (E · I + M) / R. JSON in, JSON out; every key is optional.

  {"power": [{"component": "cpu", "model": "teads", "tdp_watts": 100, "utilization": 0.5,
              "vcpus_allocated": 2, "vcpus_total": 8},
             {"component": "cpu", "model": "linear", "min_watts": 0.7, "max_watts": 3.5,
              "utilization": 0.5, "vcpu_hours": 10},
             {"component": "memory", "gb_hours": 80},
             {"component": "storage", "kind": "ssd", "tb_hours": 1},
             {"component": "network", "gb": 0.5}],
   "duration_seconds": 3600, "energy_kwh": [0.1], "pue": 1.2, "replication": 1,
   "grid_gco2e_per_kwh": 56,
   "embodied": [{"total_gco2e": 1000000, "lifetime_hours": 35040, "used_hours": 1, "share": 0.25}],
   "units": 100,
   "price": [{"eur": 1}, {"eur_per_hour": 0.4, "hours": 1, "share": 0.25}, {"eur_per_kwh": 0.2}]}

Energies add up; pue and replication multiply all of them. With vcpu_hours, watts are per vCPU.

)";

}  // namespace

int RunFootprint(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("footprint", line.status());
  if (line->Has("--help")) {
    std::printf("%s%s", kHelp, HelpFor(kOptions).c_str());
    return 0;
  }
  const Result<std::string> text = ReadFileOrInput(line->Get("--in"));
  if (!text.ok()) return UsageError("footprint", text.status());
  const Result<std::string> json = AnswerFootprint(*text);
  if (!json.ok()) return UsageError("footprint", json.status().WithContext(line->Get("--in")));
  std::fwrite(json->data(), 1, json->size(), stdout);
  return 0;
}

}  // namespace sobre
