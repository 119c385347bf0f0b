// The configuration file.
#include <cmath>
#include <string>

#include "base/text.h"
#include "extender/config.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sobre;
  using namespace sobre::fuzz;
  const Result<Config> config = ParseConfig(TextOf(data, size), "sobre.yaml");
  if (!config.ok()) {
    // One line that says where.
    const std::string message = config.status().message();
    SOBRE_HOLDS(message.starts_with("sobre.yaml:"));
    SOBRE_HOLDS(message.find('\n') == std::string::npos);
    return 0;
  }
  SOBRE_HOLDS(config->listen.max_connections >= 1 && config->listen.max_connections <= 500);
  SOBRE_HOLDS(config->listen.max_body_megabytes >= 0);
  SOBRE_HOLDS(config->accounting.every >= std::chrono::seconds(1));
  SOBRE_HOLDS(config->prometheus.options.refresh > Duration(0));
  SOBRE_HOLDS(config->deferral.check > Duration(0) &&
              config->deferral.lease_duration > Duration(0));
  SOBRE_HOLDS(config->clusters.valid_for >= 2 * config->clusters.every);
  for (const Budget& budget : config->budgets) {
    SOBRE_HOLDS(budget.eur || budget.grams);
    SOBRE_HOLDS(std::isfinite(budget.eur.value_or(0)) && std::isfinite(budget.grams.value_or(0)));
  }
  for (const ServerPlan& plan : config->prometheus.servers) {
    SOBRE_HOLDS(!plan.server.url.empty() && !plan.server.name.empty());
    for (const SignalQuery& query : plan.queries)
      SOBRE_HOLDS(!query.query.empty() && std::isfinite(query.factor));
  }
  for (const Offer& cluster : config->clusters.managed)
    SOBRE_HOLDS(cluster.facts.allocatable.millicpu > 0);
  for (const auto* tls : {&config->listen.tls, &config->grpc.tls})
    if (*tls) SOBRE_HOLDS(!(*tls)->certificate_file.empty() && !(*tls)->key_file.empty());
  return 0;
}
