#include "audit/report_formats.h"
#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

void WriteRange(JsonWriter& json, std::string_view key, const std::optional<Range<Grams>>& range) {
  json.Key(key);
  if (!range) {
    json.Null();
    return;
  }
  json.BeginObject();
  json.Key("low").Value(range->low.value()).Key("mid").Value(range->mid.value());
  json.Key("high").Value(range->high.value()).EndObject();
}

void WriteUnit(JsonWriter& json, std::string_view key, const std::optional<UnitFigures>& figures) {
  json.Key(key);
  if (!figures) {
    json.Null();
    return;
  }
  json.BeginObject();
  json.Key("watt_hours").Value(figures->watt_hours);
  json.Key("gco2e").Value(figures->grams);
  json.Key("eur").Value(figures->euros);
  json.EndObject();
}

void WriteLetter(JsonWriter& json, std::string_view key, const std::optional<ClassLetter>& letter) {
  json.Key(key);
  if (letter) {
    const char text = ToLetter(*letter);
    json.Value(std::string_view(&text, 1));
  } else {
    json.Null();
  }
}

void WriteFigures(JsonWriter& json, const ReportLine& line) {
  const UsageRow& sum = line.sum;
  json.Key("pod_hours").Value(sum.pod_hours).Key("vcpu_hours").Value(sum.vcpu_hours);
  json.Key("memory_gb_hours").Value(sum.memory_gb_hours).Key("gpu_hours").Value(sum.gpu_hours);
  json.Key("energy_kwh").Value(line.energy_kwh);
  json.Key("gco2e").BeginObject();
  WriteRange(json, "operational_location_based", line.operational);
  json.Key("operational_market_based").Value(line.market_g);
  WriteRange(json, "embodied", line.embodied);
  WriteRange(json, "total_location_based", line.total);
  json.EndObject();
  json.Key("eur").Value(line.euros);
  json.Key("list_eur").Value(line.list_euros);
  json.Key("requests").Value(sum.requests).Key("tokens").Value(sum.tokens);
  WriteUnit(json, "per_request", line.per_request);
  WriteUnit(json, "per_1k_tokens", line.per_thousand_tokens);
  WriteLetter(json, "energy_class", line.energy_class);
  WriteLetter(json, "carbon_class", line.carbon_class);
  json.Key("runs");
  if (line.has_runs) {
    json.BeginObject().Key("pod_hours").Value(line.runs.pod_hours);
    json.Key("energy_kwh").Value(line.runs.energy_kwh);
    json.Key("total_gco2e").Value(line.runs.operational_g + line.runs.embodied_g);
    json.Key("eur").Value(line.runs.eur).EndObject();
  } else {
    json.Null();
  }
  json.Key("quality").BeginObject();
  json.Key("measured_share_of_energy").Value(line.measured_share);
  json.Key("live_share_of_operational_gco2e").Value(line.live_share);
  json.Key("energy_known_share_of_pod_hours").Value(line.energy_known_share);
  json.Key("gco2e_known_share_of_pod_hours").Value(line.grams_known_share);
  json.Key("eur_known_share_of_pod_hours").Value(line.euros_known_share);
  json.EndObject();
  json.Key("change_against_mean_candidate");
  if (line.change) {
    json.BeginObject().Key("gco2e").Value(line.change->grams);
    json.Key("gco2e_share").Value(line.change->grams_share);
    json.Key("eur").Value(line.change->euros);
    json.Key("eur_share").Value(line.change->euros_share);
    json.EndObject();
  } else {
    json.Null();
  }
}

void WriteDecisions(JsonWriter& json, const std::optional<DecisionStats>& stats) {
  json.Key("decisions");
  if (!stats) {
    json.Null();
    return;
  }
  json.BeginObject().Key("count").Value(stats->decisions).Key("outcomes").Value(stats->outcomes);
  json.Key("agreed").Value(stats->agreed).Key("never_bound").Value(stats->never_bound);
  json.Key("refusals").BeginArray();
  for (const DecisionStats::Refusal& refusal : stats->refusals) {
    json.BeginObject().Key("limit").Value(refusal.limit);
    json.Key("candidates").Value(refusal.count).EndObject();
  }
  json.EndArray().Key("certifications").BeginArray();
  for (const DecisionStats::Certification& certification : stats->certifications) {
    json.BeginObject().Key("name").Value(certification.name);
    json.Key("decisions").Value(certification.decisions);
    json.Key("kept").Value(certification.kept).EndObject();
  }
  json.EndArray().EndObject();
}

using Cells = std::vector<std::string>;

std::string Cell(const std::optional<double>& value) {
  return value ? PlainNumber(*value) : std::string();
}

std::string Cell(const std::optional<ClassLetter>& letter) {
  return letter ? std::string(1, ToLetter(*letter)) : std::string();
}

void Add(const std::optional<Range<Grams>>& range, Cells& cells) {
  for (Grams Range<Grams>::*which : {&Range<Grams>::low, &Range<Grams>::mid, &Range<Grams>::high})
    cells.push_back(range ? PlainNumber(((*range).*which).value()) : std::string());
}

void Add(const std::optional<UnitFigures>& figures, Cells& cells) {
  cells.push_back(figures ? Cell(figures->watt_hours) : std::string());
  cells.push_back(figures ? Cell(figures->grams) : std::string());
  cells.push_back(figures ? Cell(figures->euros) : std::string());
}

constexpr std::string_view kFigureHeads =
    "pod_hours,vcpu_hours,memory_gb_hours,gpu_hours,energy_kwh,operational_location_low_gco2e,"
    "operational_location_gco2e,operational_location_high_gco2e,operational_market_gco2e,"
    "embodied_low_gco2e,embodied_gco2e,embodied_high_gco2e,total_low_gco2e,total_gco2e,"
    "total_high_gco2e,eur,list_eur,requests,tokens,per_request_wh,per_request_gco2e,"
    "per_request_eur,per_1k_tokens_wh,per_1k_tokens_gco2e,per_1k_tokens_eur,energy_class,"
    "carbon_class,runs_pod_hours,runs_energy_kwh,runs_total_gco2e,runs_eur,measured_share_of_"
    "energy,"
    "live_share_of_operational_gco2e,energy_known_share_of_pod_hours,"
    "gco2e_known_share_of_pod_hours,eur_known_share_of_pod_hours,change_against_mean_gco2e,"
    "change_against_mean_eur,data_from,data_to";

Cells FigureCells(const ReportLine& line) {
  const UsageRow& sum = line.sum;
  Cells cells = {PlainNumber(sum.pod_hours), PlainNumber(sum.vcpu_hours),
                 PlainNumber(sum.memory_gb_hours), PlainNumber(sum.gpu_hours),
                 Cell(line.energy_kwh)};
  Add(line.operational, cells);
  cells.push_back(Cell(line.market_g));
  Add(line.embodied, cells);
  Add(line.total, cells);
  cells.push_back(Cell(line.euros));
  cells.push_back(Cell(line.list_euros));
  cells.push_back(PlainNumber(sum.requests));
  cells.push_back(PlainNumber(sum.tokens));
  Add(line.per_request, cells);
  Add(line.per_thousand_tokens, cells);
  cells.push_back(Cell(line.energy_class));
  cells.push_back(Cell(line.carbon_class));
  for (const double value : {line.runs.pod_hours, line.runs.energy_kwh,
                             line.runs.operational_g + line.runs.embodied_g, line.runs.eur})
    cells.push_back(line.has_runs ? PlainNumber(value) : std::string());
  for (const auto& share : {line.measured_share, line.live_share, line.energy_known_share,
                            line.grams_known_share, line.euros_known_share})
    cells.push_back(Cell(share));
  cells.push_back(line.change ? PlainNumber(line.change->grams) : std::string());
  cells.push_back(line.change ? PlainNumber(line.change->euros) : std::string());
  return cells;
}

}  // namespace

std::string ReportJson(const Report& report) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject().Key("from").Value(FormatTime(report.request.from));
  json.Key("to").Value(FormatTime(report.request.to));
  json.Key("covered");
  if (report.covered) {
    json.BeginObject().Key("from").Value(FormatTime(report.covered->from));
    json.Key("to").Value(FormatTime(report.covered->to));
    json.Key("hours").Value(report.covered->hours).EndObject();
  } else {
    json.Null();
  }
  json.Key("made").Value(FormatTime(report.context.made));
  json.Key("program").Value(report.context.program);
  json.Key("account").Value(report.context.account);
  json.Key("catalogue").Value(report.context.catalog->version());
  json.Key("by").BeginArray();
  for (const ReportKey key : report.request.by) json.Value(ToString(key));
  json.EndArray().Key("groups").BeginArray();
  for (const ReportLine& line : report.groups) {
    json.BeginObject().Key("names").BeginObject();
    for (std::size_t i = 0; i < line.names.size(); ++i)
      json.Key(ToString(report.request.by[i])).Value(line.names[i]);
    json.EndObject();
    WriteFigures(json, line);
    json.EndObject();
  }
  json.EndArray().Key("total").BeginObject();
  WriteFigures(json, report.total);
  json.EndObject();
  json.Key("timeline").BeginObject().Key("step_hours");
  json.Value(std::int64_t{std::chrono::duration_cast<std::chrono::hours>(report.step).count()});
  json.Key("moments").BeginArray();
  for (const ReportMoment& moment : report.timeline) {
    json.BeginObject().Key("begin").Value(FormatTime(moment.begin));
    json.Key("operational_location_based_gco2e").Value(moment.operational_g);
    json.Key("operational_market_based_gco2e").Value(moment.market_g);
    json.Key("embodied_gco2e").Value(moment.embodied_g).Key("eur").Value(moment.eur).EndObject();
  }
  json.EndArray().EndObject();
  WriteDecisions(json, report.decisions);
  json.Key("notes").BeginArray();
  for (const std::string& note : ReportNotes(report)) json.Value(note);
  json.EndArray().EndObject();
  return out + "\n";
}

std::string CsvField(std::string_view text) {
  // A spreadsheet would take it for a formula.
  const bool formula = !text.empty() &&
                       std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos &&
                       !ParseNumber(text);
  if (formula) return CsvField("'" + std::string(text));
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string ReportCsv(const Report& report) {
  std::string out;
  for (const ReportKey key : report.request.by) out += std::string(ToString(key)) + ",";
  out += std::string(kFigureHeads) + "\r\n";
  for (const ReportLine& line : report.groups) {
    for (const std::string& name : line.names) out += CsvField(name) + ",";
    const Cells cells = FigureCells(line);
    for (const std::string& cell : cells) out += (&cell == cells.data() ? "" : ",") + cell;
    // A row is there only where there is data.
    if (report.covered)
      out += "," + FormatTime(report.covered->from) + "," + FormatTime(report.covered->to);
    out += "\r\n";
  }
  return out;
}

}  // namespace sobre
