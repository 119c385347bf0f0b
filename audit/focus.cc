#include <map>
#include <tuple>
#include <utility>

#include "audit/report_formats.h"
#include "base/json_writer.h"

namespace sobre {
namespace {

using std::chrono::days;

// One charge: what a workload took on a node in a period.
struct Charge {
  UsageRow row;  // without the pod's name

  [[nodiscard]] auto Key() const {
    return std::tie(row.begin, row.length, row.namespace_name, row.workload, row.node, row.is_run,
                    row.model, row.team, row.hardware_class, row.provider, row.region, row.country);
  }
  friend bool operator<(const Charge& a, const Charge& b) { return a.Key() < b.Key(); }
};

std::vector<UsageRow> Charges(const std::vector<UsageRow>& rows, const ReportRequest& request) {
  std::map<Charge, UsageRow> sums;
  for (const UsageRow& row : rows) {
    if (row.begin < request.from || row.begin >= request.to) continue;
    Charge charge{row};
    charge.row.pod.clear();
    charge.row.pod_uid.clear();
    const auto [place, is_new] = sums.try_emplace(charge, charge.row);
    if (!is_new) AddFigures(row, place->second);
  }
  std::vector<UsageRow> charges;
  charges.reserve(sums.size());
  for (const auto& [charge, sum] : sums) charges.push_back(sum);
  return charges;
}

// The calendar month that a moment is in: its begin, and the next one's.
std::pair<Timestamp, Timestamp> MonthOf(Timestamp time) {
  const std::chrono::year_month_day date(std::chrono::floor<days>(time));
  const std::chrono::year_month month(date.year(), date.month());
  const std::chrono::sys_days first(month / 1);
  const std::chrono::sys_days next((month + std::chrono::months(1)) / 1);
  return {Timestamp(first), Timestamp(next)};
}

std::string Number(bool known, double value) { return known ? PlainNumber(value) : std::string(); }

std::string Ratio(double part, double whole) {
  return whole > 0 ? PlainNumber(part / whole) : std::string();
}

std::string UnitPrice(double cost, double quantity) {
  return cost < 0 ? std::string() : Ratio(cost, quantity);
}

// Of the user: the team; of ours, with our prefix: the rest.
std::string TagsOf(const UsageRow& row) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  if (!row.team.empty()) json.Key("team").Value(row.team);
  if (!row.model.empty()) json.Key("sobre.dev/model").Value(row.model);
  if (!row.hardware_class.empty()) json.Key("sobre.dev/hardware-class").Value(row.hardware_class);
  json.Key("sobre.dev/kind").Value(row.is_run ? "run" : "service");
  json.EndObject();
  return out;
}

// A name or what stands for nobody's: these columns may not be null.
std::string ProviderOf(const UsageRow& row) {
  return row.provider.empty() ? "Kubernetes" : row.provider;
}

struct FocusColumn {
  const char* name;
  std::string (*value)(const UsageRow& row, const ReportContext& context);
};

using Row = const UsageRow&;
using Context = const ReportContext&;

// FOCUS's own by the alphabet, then ours. The order is part of the format.
constexpr FocusColumn kFocusColumns[] = {
    {"AvailabilityZone", [](Row, Context) { return std::string(); }},
    {"BilledCost", [](Row r, Context) { return PlainNumber(r.eur); }},
    {"BillingAccountId", [](Row, Context c) { return c.account; }},
    {"BillingAccountName", [](Row, Context c) { return c.account; }},
    {"BillingAccountType", [](Row, Context) { return std::string("Cluster"); }},
    {"BillingCurrency", [](Row, Context) { return std::string("EUR"); }},
    {"BillingPeriodEnd", [](Row r, Context) { return FormatTime(MonthOf(r.begin).second); }},
    {"BillingPeriodStart", [](Row r, Context) { return FormatTime(MonthOf(r.begin).first); }},
    {"ChargeCategory", [](Row, Context) { return std::string("Usage"); }},
    {"ChargeClass", [](Row, Context) { return std::string(); }},
    {"ChargeDescription",
     [](Row r, Context) {
       return (r.workload.empty() ? std::string("Pods") : "Pods of " + r.workload) + " in " +
              r.namespace_name + " on node " + r.node;
     }},
    {"ChargeFrequency", [](Row, Context) { return std::string("Usage-Based"); }},
    {"ChargePeriodEnd", [](Row r, Context) { return FormatTime(r.begin + r.length); }},
    {"ChargePeriodStart", [](Row r, Context) { return FormatTime(r.begin); }},
    {"ConsumedQuantity", [](Row r, Context) { return PlainNumber(r.pod_hours); }},
    {"ConsumedUnit", [](Row, Context) { return std::string("Pod-Hours"); }},
    {"ContractedCost", [](Row r, Context) { return PlainNumber(r.eur); }},
    {"ContractedUnitPrice", [](Row r, Context) { return UnitPrice(r.eur, r.pod_hours); }},
    {"EffectiveCost", [](Row r, Context) { return PlainNumber(r.eur); }},
    {"InvoiceId", [](Row, Context) { return std::string(); }},
    {"InvoiceIssuerName", [](Row r, Context) { return ProviderOf(r); }},
    {"ListCost", [](Row r, Context) { return PlainNumber(r.list_eur); }},
    {"ListUnitPrice", [](Row r, Context) { return UnitPrice(r.list_eur, r.pod_hours); }},
    // A share of a node's price: neither standard, committed nor dynamic by itself.
    {"PricingCategory", [](Row, Context) { return std::string("Other"); }},
    {"PricingQuantity", [](Row r, Context) { return PlainNumber(r.pod_hours); }},
    {"PricingUnit", [](Row, Context) { return std::string("Pod-Hours"); }},
    {"ProviderName", [](Row r, Context) { return ProviderOf(r); }},
    {"PublisherName", [](Row r, Context) { return ProviderOf(r); }},
    {"RegionId", [](Row r, Context) { return r.region; }},
    {"RegionName", [](Row r, Context) { return r.region; }},
    {"ResourceId",
     [](Row r, Context c) {
       return r.workload.empty() ? std::string()
                                 : c.account + "/" + r.namespace_name + "/" +
                                       (r.is_run ? "run/" : "service/") + r.workload;
     }},
    {"ResourceName", [](Row r, Context) { return r.workload; }},
    {"ResourceType",
     [](Row r, Context) {
       return r.workload.empty() ? std::string() : std::string(r.is_run ? "Run" : "Service");
     }},
    {"ServiceCategory",
     [](Row r, Context) {
       return std::string(r.model.empty() ? "Compute" : "AI and Machine Learning");
     }},
    {"ServiceName",
     [](Row r, Context) {
       return std::string(r.model.empty() ? "Kubernetes Pods" : "Kubernetes Pods of AI Models");
     }},
    {"ServiceSubcategory",
     [](Row r, Context) {
       return std::string(r.model.empty() ? "Containers" : "Machine Learning");
     }},
    {"SkuId",
     [](Row r, Context) {
       return "pod-hour/" + (r.hardware_class.empty() ? std::string("any") : r.hardware_class);
     }},
    {"SubAccountId", [](Row r, Context) { return r.namespace_name; }},
    {"SubAccountName", [](Row r, Context) { return r.namespace_name; }},
    {"SubAccountType",
     [](Row r, Context) { return std::string(r.namespace_name.empty() ? "" : "Namespace"); }},
    {"Tags", [](Row r, Context) { return TagsOf(r); }},
    {"x_Country", [](Row r, Context) { return r.country; }},
    {"x_CostKnownShare", [](Row r, Context) { return Ratio(r.eur_known_hours, r.pod_hours); }},
    {"x_DataVintage", [](Row, Context c) { return c.catalog->version(); }},
    {"x_EnergyKnownShare", [](Row r, Context) { return Ratio(r.energy_known_hours, r.pod_hours); }},
    {"x_EnergyKwh", [](Row r, Context) { return Number(r.energy_known_hours > 0, r.energy_kwh); }},
    {"x_GCo2eEmbodied",
     [](Row r, Context) { return Number(r.grams_known_hours > 0, r.embodied_g); }},
    {"x_GCo2eEmbodiedHigh",
     [](Row r, Context) { return Number(r.grams_known_hours > 0, r.embodied_high_g); }},
    {"x_GCo2eEmbodiedLow",
     [](Row r, Context) { return Number(r.grams_known_hours > 0, r.embodied_low_g); }},
    {"x_GCo2eKnownShare", [](Row r, Context) { return Ratio(r.grams_known_hours, r.pod_hours); }},
    {"x_GCo2eLocation",
     [](Row r, Context) { return Number(r.grams_known_hours > 0, r.operational_g); }},
    {"x_GCo2eLocationHigh",
     [](Row r, Context) { return Number(r.grams_known_hours > 0, r.operational_high_g); }},
    {"x_GCo2eLocationLow",
     [](Row r, Context) { return Number(r.grams_known_hours > 0, r.operational_low_g); }},
    {"x_GCo2eMarket", [](Row r, Context) { return Number(r.grams_known_hours > 0, r.market_g); }},
    {"x_GpuHours", [](Row r, Context) { return PlainNumber(r.gpu_hours); }},
    // Mean gCO2e per kWh of what was used.
    {"x_GridIntensity",
     [](Row r, Context) {
       return r.grams_known_hours > 0 ? Ratio(r.operational_g, r.energy_kwh) : std::string();
     }},
    {"x_HardwareClass", [](Row r, Context) { return r.hardware_class; }},
    {"x_Kind", [](Row r, Context) { return std::string(r.is_run ? "run" : "service"); }},
    {"x_LiveIntensityShare", [](Row r, Context) { return Ratio(r.live_g, r.operational_g); }},
    {"x_MeasuredEnergyShare", [](Row r, Context) { return Ratio(r.measured_kwh, r.energy_kwh); }},
    {"x_MemoryGbHours", [](Row r, Context) { return PlainNumber(r.memory_gb_hours); }},
    {"x_Model", [](Row r, Context) { return r.model; }},
    {"x_Node", [](Row r, Context) { return r.node; }},
    {"x_Requests", [](Row r, Context) { return PlainNumber(r.is_run ? 0 : r.requests); }},
    {"x_Team", [](Row r, Context) { return r.team; }},
    {"x_Tokens", [](Row r, Context) { return PlainNumber(r.is_run ? 0 : r.tokens); }},
    {"x_VcpuHours", [](Row r, Context) { return PlainNumber(r.vcpu_hours); }},
};

}  // namespace

std::string FocusCsv(const std::vector<UsageRow>& rows, const ReportRequest& request,
                     const ReportContext& context) {
  std::string out;
  for (const FocusColumn& column : kFocusColumns)
    out += (&column == kFocusColumns ? "" : ",") + std::string(column.name);
  out += "\r\n";
  for (const UsageRow& row : Charges(rows, request)) {
    for (const FocusColumn& column : kFocusColumns)
      out += (&column == kFocusColumns ? "" : ",") + CsvField(column.value(row, context));
    out += "\r\n";
  }
  return out;
}

}  // namespace sobre
