#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "extender/accountant.h"
#include "extender/metric_families.h"
#include "scoring/energy_class.h"

namespace sobre {
namespace {

using prometheus::MetricType;
using Labels = std::vector<prometheus::ClientMetric::Label>;

constexpr double kJoulesPerKwh = 3.6e6;
constexpr double kSecondsPerHour = 3600;

// One family of counters: a figure of each of the totals.
void AddCounters(const TotalsByName& by_name, const std::function<Labels(const std::string&)>& of,
                 const char* name, const char* help, double (*figure)(const UsageTotals&),
                 MetricFamilies& out) {
  out.Begin(name, help, MetricType::Counter);
  for (const auto& [key, totals] : by_name.totals()) out.Value(figure(totals), of(key));
}

Labels NamespaceLabels(const std::string& key) { return {{"namespace", key}}; }
Labels ModelLabels(const std::string& key) { return {{"model", key}}; }
// Of all others together the namespace is empty.
Labels WorkloadLabels(const std::string& key) {
  const auto slash = key.find('/');
  if (slash == std::string::npos) return {{"namespace", ""}, {"workload", key}};
  return {{"namespace", key.substr(0, slash)}, {"workload", key.substr(slash + 1)}};
}
Labels With(Labels labels, const char* name, const char* value) {
  labels.insert(labels.begin(), {name, value});
  return labels;
}

void AddNamespaces(const TotalsByName& by_namespace, MetricFamilies& out) {
  out.Begin("sobre_attributed_gco2e_total",
            "gCO2e that running pods answer for, by scope: operational by location (mid), by "
            "contract, embodied.",
            MetricType::Counter);
  for (const auto& [name, totals] : by_namespace.totals()) {
    out.Value(totals.operational_g, With(NamespaceLabels(name), "scope", "operational"));
    out.Value(totals.market_g, With(NamespaceLabels(name), "scope", "market"));
    out.Value(totals.embodied_g, With(NamespaceLabels(name), "scope", "embodied"));
  }
  AddCounters(
      by_namespace, NamespaceLabels, "sobre_attributed_eur_total",
      "Euros that running pods answer for.", [](const UsageTotals& of) { return of.eur; }, out);
  AddCounters(
      by_namespace, NamespaceLabels, "sobre_attributed_energy_joules_total",
      "Energy that running pods answer for, with the data centre's overhead.",
      [](const UsageTotals& of) { return of.energy_kwh * kJoulesPerKwh; }, out);
  out.Begin("sobre_placement_gco2e_total",
            "Of pods whose decision is on record: gCO2e on their node, and what the mean of the "
            "feasible candidates would have taken.",
            MetricType::Counter);
  for (const auto& [name, totals] : by_namespace.totals()) {
    out.Value(totals.compared_g, With(NamespaceLabels(name), "of", "node"));
    out.Value(totals.mean_candidate_g, With(NamespaceLabels(name), "of", "mean_candidate"));
  }
  out.Begin("sobre_placement_eur_total", "The same in euros.", MetricType::Counter);
  for (const auto& [name, totals] : by_namespace.totals()) {
    out.Value(totals.compared_eur, With(NamespaceLabels(name), "of", "node"));
    out.Value(totals.mean_candidate_eur, With(NamespaceLabels(name), "of", "mean_candidate"));
  }
}

double GramsOf(const UsageTotals& of) { return of.operational_g + of.embodied_g; }
double EurosOf(const UsageTotals& of) { return of.eur; }
double JoulesOf(const UsageTotals& of) { return of.energy_kwh * kJoulesPerKwh; }
double RequestsOf(const UsageTotals& of) { return of.requests; }
double TokensOf(const UsageTotals& of) { return of.tokens; }

void AddWorkloads(const TotalsByName& all, MetricFamilies& out) {
  AddCounters(all, WorkloadLabels, "sobre_workload_gco2e_total",
              "gCO2e of a workload's pods, operational by location and embodied together.", GramsOf,
              out);
  AddCounters(all, WorkloadLabels, "sobre_workload_eur_total", "Euros of a workload's pods.",
              EurosOf, out);
  AddCounters(all, WorkloadLabels, "sobre_workload_energy_joules_total",
              "Energy of a workload's pods, with the data centre's overhead.", JoulesOf, out);
  AddCounters(all, WorkloadLabels, "sobre_workload_requests_total",
              "Requests that a workload's pods served, as measured or stated; not of batch jobs.",
              RequestsOf, out);
  AddCounters(
      all, WorkloadLabels, "sobre_workload_tokens_total",
      "Output tokens that a workload's pods made, as measured or stated; not of batch jobs.",
      TokensOf, out);
}

void AddModels(const TotalsByName& all, MetricFamilies& out) {
  AddCounters(all, ModelLabels, "sobre_model_gco2e_total",
              "gCO2e of the pods that serve a model, operational by location and embodied.",
              GramsOf, out);
  AddCounters(all, ModelLabels, "sobre_model_eur_total", "Euros of the pods that serve a model.",
              EurosOf, out);
  AddCounters(all, ModelLabels, "sobre_model_energy_joules_total",
              "Energy of the pods that serve a model, with the data centre's overhead.", JoulesOf,
              out);
  AddCounters(all, ModelLabels, "sobre_model_requests_total",
              "Requests that the pods of a model served, as measured or stated.", RequestsOf, out);
  AddCounters(all, ModelLabels, "sobre_model_tokens_total",
              "Output tokens that the pods of a model made, as measured or stated.", TokensOf, out);
}

// Energy by 1,000 tokens where there are any, as in reports; carbon by request.
std::optional<ClassLetter> EnergyClassOf(const UsageTotals::Recent& recent,
                                         const Catalog& catalog) {
  if (!(recent.energy_kwh > 0)) return std::nullopt;
  const double watt_hours = recent.energy_kwh * 1000;
  if (recent.tokens > 0)
    return EnergyClass(catalog, "1k-tokens", watt_hours / (recent.tokens / 1000));
  if (recent.requests > 0) return EnergyClass(catalog, "request", watt_hours / recent.requests);
  return std::nullopt;
}
std::optional<ClassLetter> CarbonClassOf(const UsageTotals::Recent& recent,
                                         const Catalog& catalog) {
  if (!(recent.grams > 0) || !(recent.requests > 0)) return std::nullopt;
  return CarbonClass(catalog, "request", recent.grams / recent.requests);
}

void AddClasses(const AccountingStatus& status, const Catalog& catalog, MetricFamilies& out) {
  const auto add = [&](const char* name, const char* help, const auto& class_of) {
    out.Begin(name, help, MetricType::Gauge);
    for (const auto& [key, totals] : status.by_workload.totals()) {
      const bool gone = status.through && *status.through - totals.last >= std::chrono::hours(1);
      if (key == TotalsByName::kOther || gone) continue;
      if (const std::optional<ClassLetter> found = class_of(totals.recent, catalog))
        out.Value(static_cast<double>(*found) + 1, WorkloadLabels(key));
    }
  };
  add("sobre_workload_energy_class",
      "Energy class of a workload in its last hours, 1 (A) to 7 (G), by 1,000 tokens or request.",
      EnergyClassOf);
  add("sobre_workload_carbon_class",
      "Carbon class of a workload in its last hours, 1 (A) to 7 (G), by request.", CarbonClassOf);
}

void AddRunning(const AccountingStatus& status, MetricFamilies& out) {
  const auto& running = status.running;
  const auto gauge = [&](const char* name, const char* help, double value) {
    out.Begin(name, help, MetricType::Gauge);
    if (running) out.Value(value);
  };
  const UsageAccumulator::Running now = running.value_or(UsageAccumulator::Running{});
  gauge("sobre_running_pods", "Pods that are accounted for now, on the replica that counts them.",
        static_cast<double>(now.pods));
  gauge("sobre_running_power_watts", "What these pods draw, with the data centre's overhead.",
        now.watts);
  gauge("sobre_running_gco2e_per_second",
        "What these pods answer for, operational by location and embodied together.",
        now.grams_per_hour / kSecondsPerHour);
  gauge("sobre_running_eur_per_second", "What these pods cost.",
        now.eur_per_hour / kSecondsPerHour);
}

void AddBudgets(const std::vector<BudgetReport>& budgets, MetricFamilies& out) {
  for (const auto& [kind, suffix, unit] :
       {std::tuple("gco2e", "gco2e", "gCO2e"), std::tuple("eur", "eur", "euros")}) {
    const auto add = [&, kind = kind, suffix = suffix, unit = unit](
                         const std::string& what, const std::string& help, const auto& value_of) {
      out.Begin("sobre_budget_" + what + "_" + suffix, help + ", in " + unit + ".",
                MetricType::Gauge);
      for (const BudgetReport& report : budgets) {
        const std::optional<double> value = value_of(report);
        if (report.kind == kind && value) out.Value(*value, {{"budget", report.name}});
      }
    };
    add("limit", "The budget of a month",
        [](const BudgetReport& report) { return std::optional(report.limit); });
    add("used", "Used of the budget in this month (UTC)",
        [](const BudgetReport& report) { return std::optional(report.used); });
    add("forecast", "Forecast for the end of the month",
        [](const BudgetReport& report) { return report.forecast; });
  }
  out.Begin("sobre_budget_used_ratio", "Used of the budget in this month (UTC); 1 is all of it.",
            MetricType::Gauge);
  for (const BudgetReport& report : budgets)
    out.Value(report.used / report.limit, {{"budget", report.name}, {"kind", report.kind}});
  out.Begin("sobre_budget_forecast_ratio", "Forecast for the end of the month, of the budget.",
            MetricType::Gauge);
  for (const BudgetReport& report : budgets) {
    if (report.forecast)
      out.Value(*report.forecast / report.limit, {{"budget", report.name}, {"kind", report.kind}});
  }
}

}  // namespace

std::string AccountingMetrics(const AccountingStatus& status, const Catalog& catalog) {
  MetricFamilies out;
  AddNamespaces(status.by_namespace, out);
  AddWorkloads(status.by_workload, out);
  AddModels(status.by_model, out);
  AddClasses(status, catalog, out);
  AddRunning(status, out);
  out.Begin("sobre_accounting_gap_seconds_total",
            "Time for which nobody accounted, and that was too long to be bridged.",
            MetricType::Counter);
  out.Value(InSeconds(status.gap));
  out.Begin("sobre_accounting_dropped_rows_total",
            "Pieces of usage, a pod's between two looks, for which there was no room while the "
            "database could not be written.",
            MetricType::Counter);
  out.Value(static_cast<double>(status.dropped));
  out.Begin("sobre_accounting_failing", "1 while the database of usage does not work.",
            MetricType::Gauge);
  out.Value(status.problem.empty() ? 0 : 1);
  out.Begin("sobre_accounting_holder",
            "1 where this replica accounts, and counts it in these metrics.", MetricType::Gauge);
  out.Value(status.tells ? 1 : 0);
  out.Begin("sobre_accounted_through_timestamp_seconds",
            "Up to when usage is in the database, since 1970.", MetricType::Gauge);
  if (status.through) out.Value(InSeconds(status.through->time_since_epoch()));
  AddBudgets(status.budgets, out);
  return out.Text();
}

}  // namespace sobre
