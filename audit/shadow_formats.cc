#include <algorithm>
#include <cmath>

#include "audit/report_formats.h"
#include "audit/shadow.h"
#include "base/html_page.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "base/text_table.h"
#include "scoring/policy.h"

namespace sobre {
namespace {

constexpr std::size_t kMostRows = 100;  // for people
constexpr const char* kUnknown = "?";

std::string Number(double value) { return std::isfinite(value) ? ReadableNumber(value) : kUnknown; }

std::string PerPod(double rate, const ShadowRates& rates) {
  return rates.pods > 0 ? Number(rate / static_cast<double>(rates.pods)) : kUnknown;
}

std::string Change(const ShadowRates& rates) {
  const std::string change =
      rates.pods > 0 ? ChangeText(rates.enforced, rates.taken) : std::string();
  return change.empty() ? kUnknown : change;
}

bool CountsUnits(const ShadowLine& line) {
  return !line.unit.empty() && line.unit != ToString(FunctionalUnit::kPodHour) &&
         line.units_per_hour > 0 && line.grams.pods > 0;
}

// "0.012 → 0.0071 / request"; nothing for what is counted by the hour.
std::string PerUnit(const ShadowLine& line) {
  if (!CountsUnits(line)) return "";
  return Number(line.grams.taken / line.units_per_hour) + " → " +
         Number(line.grams.enforced / line.units_per_hour) + " / " + line.unit;
}

bool HasUnits(const ShadowResult& result) {
  return std::any_of(result.groups.begin(), result.groups.end(), CountsUnits);
}

std::string Region(const std::string& name) { return name.empty() ? kUnknown : name; }

std::vector<std::string> GroupHeads(const ShadowResult& result) {
  std::vector<std::string> heads;
  for (const ShadowKey key : result.request.by) heads.emplace_back(ToString(key));
  for (const char* head : {"decisions", "elsewhere", "refused", "no place", "gCO2e/h", "enforced",
                           "", "EUR/h", "enforced", ""})
    heads.emplace_back(head);
  if (HasUnits(result)) heads.emplace_back("gCO2e per unit");
  return heads;
}

std::vector<std::string> GroupCells(const ShadowResult& result, const ShadowLine& line) {
  std::vector<std::string> cells;
  for (std::size_t i = 0; i < result.request.by.size(); ++i) {
    if (line.names.empty()) {
      cells.emplace_back(i == 0 ? "all" : "");
    } else {
      cells.push_back(line.names[i].empty() ? "(none)" : Printable(line.names[i], 80));
    }
  }
  for (const std::int64_t count :
       {line.decisions, line.elsewhere, line.refused, line.without_place})
    cells.push_back(std::to_string(count));
  for (const ShadowRates* rates : {&line.grams, &line.euros}) {
    cells.push_back(PerPod(rates->taken, *rates));
    cells.push_back(PerPod(rates->enforced, *rates));
    cells.push_back(Change(*rates));
  }
  if (HasUnits(result)) cells.push_back(Printable(PerUnit(line), 80));
  return cells;
}

std::vector<std::string> FlowHeads() {
  return {"from", "to", "pods", "gCO2e/h", "enforced", "", "EUR/h", "enforced", ""};
}

std::vector<std::string> FlowCells(const ShadowFlow& flow) {
  std::vector<std::string> cells = {Printable(Region(flow.from), 80),
                                    Printable(Region(flow.to), 80), std::to_string(flow.pods)};
  for (const ShadowRates* rates : {&flow.grams, &flow.euros}) {
    cells.push_back(PerPod(rates->taken, *rates));
    cells.push_back(PerPod(rates->enforced, *rates));
    cells.push_back(Change(*rates));
  }
  return cells;
}

std::string Times(const ShadowResult& result) {
  if (!result.first) return "no decision in shadow mode";
  return FormatTime(*result.first) + " to " + FormatTime(*result.last);
}

// What became of all decisions, in sentences.
std::vector<std::string> Counts(const ShadowResult& result) {
  const auto of = [](std::int64_t count, const char* what) {
    return std::to_string(count) + " " + what;
  };
  std::vector<std::string> sentences = {of(result.decisions, "attempts to place a pod, ") +
                                        of(result.shadow, "in shadow mode")};
  for (const auto& [count, what] :
       {std::pair{result.retried, "were tried again later: the last attempt counts"},
        std::pair{result.open, "without an outcome on record (yet)"},
        std::pair{result.unseen, "of which nobody saw what became of the pod"},
        std::pair{result.left, "whose pod left before it had a node"},
        std::pair{result.not_asked, "whose pod took a node that Sobre was not asked about"},
        std::pair{result.other_rules,
                  "that must be made again, by other rules or another catalogue than this "
                  "program's (see catalog.directory)"}}) {
    if (count > 0) sentences.push_back(of(count, what));
  }
  const ShadowLine& total = result.total;
  sentences.push_back(of(total.decisions, "judged"));
  if (total.decisions == 0) return sentences;
  sentences.push_back(
      of(total.elsewhere, "would have been sent elsewhere") +
      (total.narrow > 0 ? ", " + std::to_string(total.narrow) +
                              " of them by a lead that kube-scheduler's other scores may outweigh"
                        : std::string()));
  if (total.refused > 0)
    sentences.push_back(of(total.refused, "went where a limit refuses the node") +
                        (total.without_place > 0
                             ? ", " + std::to_string(total.without_place) +
                                   " of them with no node that is allowed: they would have waited"
                             : std::string()));
  return sentences;
}

std::string LeftOff(std::size_t size) {
  return size > kMostRows ? "… and " + std::to_string(size - kMostRows) + " more; json has all\n"
                          : "";
}

void AddRates(JsonWriter& json, std::string_view key, const ShadowRates& rates) {
  json.Key(key).BeginObject().Key("pods").Value(rates.pods);
  json.Key("taken").Value(rates.taken).Key("enforced").Value(rates.enforced).EndObject();
}

void AddLine(JsonWriter& json, const ShadowLine& line) {
  json.Key("decisions").Value(line.decisions).Key("elsewhere").Value(line.elsewhere);
  json.Key("elsewhere_by_narrow_lead").Value(line.narrow);
  json.Key("refused").Value(line.refused).Key("without_place").Value(line.without_place);
  AddRates(json, "gco2e_per_hour", line.grams);
  AddRates(json, "eur_per_hour", line.euros);
  json.Key("unit");
  if (line.unit.empty()) {
    json.Null();
  } else {
    json.Value(line.unit);
  }
  const auto per_unit = [&](std::string_view key, const ShadowRates& rates, double units) {
    const bool known = !line.unit.empty() && rates.pods > 0 && units > 0;
    json.Key(key).BeginObject();
    json.Key("taken").Value(known ? std::optional(rates.taken / units) : std::nullopt);
    json.Key("enforced").Value(known ? std::optional(rates.enforced / units) : std::nullopt);
    json.EndObject();
  };
  per_unit("gco2e_per_unit", line.grams, line.units_per_hour);
  per_unit("eur_per_unit", line.euros, line.euro_units_per_hour);
}

std::string HtmlTable(const std::vector<std::string>& heads, std::size_t names,
                      const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<div class=\"wide\"><table><thead><tr>";
  for (std::size_t i = 0; i < heads.size(); ++i)
    out += (i < names ? "<th class=\"name\">" : "<th>") + EscapeHtml(heads[i]) + "</th>";
  out += "</tr></thead><tbody>";
  for (const auto& row : rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i)
      out += i < names ? "<th class=\"name\">" + EscapeHtml(row[i]) + "</th>"
                       : "<td>" + EscapeHtml(row[i]) + "</td>";
    out += "</tr>";
  }
  return out + "</tbody></table></div>\n";
}

std::string HtmlList(const std::vector<std::string>& sentences, const char* css) {
  std::string out = std::string("<ul class=\"") + css + "\">";
  for (const std::string& sentence : sentences) out += "<li>" + EscapeHtml(sentence) + "</li>";
  return out + "</ul>\n";
}

}  // namespace

std::vector<std::string> ShadowNotes(const ShadowResult& result) {
  std::vector<std::string> notes = {
      "Each decision is judged by itself, on the cluster as it was. What follows cannot be known "
      "from records: a pod that goes elsewhere takes room there and leaves room where it was, so "
      "later pods would have met other nodes. The sum is therefore more than enforcing would have "
      "brought where the best nodes are few; `sobre backtest --in` plays that through.",
      "Sobre's scores count beside kube-scheduler's others: elsewhere is where Sobre would have "
      "preferred another node, not where the pod is sure to have gone. A lead is narrow where it "
      "is at most 1,200 points, which is about what the default profile's other scores can bring, "
      "with the extender's weight " +
          std::to_string(result.request.extender_weight) + ".",
      "Figures are of the report ledger at the time of the decision, for an hour of each pod, "
      "however long it ran; the mean over pods. Pods of which one side is unknown, or that would "
      "have waited, are in the counts alone.",
      "Of nodes that score alike the first stands for all: its region, grams and euros."};
  return notes;
}

std::string ShadowText(const ShadowResult& result) {
  std::string text = "What enforcing would have changed, " + Times(result) + "\n\n";
  for (const std::string& sentence : Counts(result)) text += sentence + "\n";
  if (result.total.decisions > 0) {
    TextTable table(GroupHeads(result));
    for (std::size_t i = 0; i < std::min(kMostRows, result.groups.size()); ++i)
      table.Add(GroupCells(result, result.groups[i]));
    table.Add(GroupCells(result, result.total));
    text += "\nFor an hour of each pod, as it went and enforced:\n" + table.Text() +
            LeftOff(result.groups.size());
  }
  if (!result.flows.empty()) {
    TextTable table(FlowHeads());
    for (std::size_t i = 0; i < std::min(kMostRows, result.flows.size()); ++i)
      table.Add(FlowCells(result.flows[i]));
    text += "\nFrom where to where they would have gone:\n" + table.Text() +
            LeftOff(result.flows.size());
  }
  text += "\nNotes:\n";
  for (const std::string& note : ShadowNotes(result)) text += "- " + note + "\n";
  return text;
}

std::string ShadowJson(const ShadowResult& result) {
  std::string text;
  JsonWriter json(text);
  const auto time = [&](std::string_view key, const std::optional<Timestamp>& value) {
    json.Key(key);
    if (value) {
      json.Value(FormatTime(*value));
    } else {
      json.Null();
    }
  };
  json.BeginObject();
  time("first", result.first);
  time("last", result.last);
  json.Key("extender_weight").Value(result.request.extender_weight);
  json.Key("decisions").Value(result.decisions).Key("shadow").Value(result.shadow);
  json.Key("retried").Value(result.retried).Key("open").Value(result.open);
  json.Key("unseen").Value(result.unseen).Key("left").Value(result.left);
  json.Key("not_asked").Value(result.not_asked).Key("other_rules").Value(result.other_rules);
  json.Key("total").BeginObject();
  AddLine(json, result.total);
  json.EndObject().Key("groups").BeginArray();
  for (const ShadowLine& line : result.groups) {
    json.BeginObject().Key("names").BeginObject();
    for (std::size_t i = 0; i < line.names.size(); ++i)
      json.Key(ToString(result.request.by[i])).Value(line.names[i]);
    json.EndObject();
    AddLine(json, line);
    json.EndObject();
  }
  json.EndArray().Key("flows").BeginArray();
  for (const ShadowFlow& flow : result.flows) {
    json.BeginObject().Key("from").Value(flow.from).Key("to").Value(flow.to);
    json.Key("pods").Value(flow.pods);
    AddRates(json, "gco2e_per_hour", flow.grams);
    AddRates(json, "eur_per_hour", flow.euros);
    json.EndObject();
  }
  json.EndArray().Key("notes").BeginArray();
  for (const std::string& note : ShadowNotes(result)) json.Value(note);
  json.EndArray().EndObject();
  return text + "\n";
}

std::string ShadowHtml(const ShadowResult& result) {
  std::string html = HtmlHead("Sobre: what enforcing would have changed");
  html += "<h1>What enforcing would have changed</h1><p class=\"soft\">" +
          EscapeHtml(Times(result)) + "</p>\n" + HtmlList(Counts(result), "");
  if (result.total.decisions > 0) {
    std::vector<std::vector<std::string>> rows = {GroupCells(result, result.total)};
    for (std::size_t i = 0; i < std::min(kMostRows, result.groups.size()); ++i)
      rows.push_back(GroupCells(result, result.groups[i]));
    html += "<h2>For an hour of each pod, as it went and enforced</h2>" +
            HtmlTable(GroupHeads(result), result.request.by.size(), rows) + "<p class=\"soft\">" +
            LeftOff(result.groups.size()) + "</p>\n";
  }
  if (!result.flows.empty()) {
    std::vector<std::vector<std::string>> rows;
    for (std::size_t i = 0; i < std::min(kMostRows, result.flows.size()); ++i)
      rows.push_back(FlowCells(result.flows[i]));
    html += "<h2>From where to where they would have gone</h2>" + HtmlTable(FlowHeads(), 2, rows) +
            "<p class=\"soft\">" + LeftOff(result.flows.size()) + "</p>\n";
  }
  return html + "<h2>What this cannot tell</h2>" + HtmlList(ShadowNotes(result), "soft") +
         "</body></html>\n";
}

}  // namespace sobre
