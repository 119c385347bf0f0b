#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "backtest/result.h"
#include "backtest/warnings.h"
#include "base/html_page.h"
#include "base/text.h"
#include "base/text_table.h"

namespace sobre::backtest {
namespace {

constexpr std::size_t kColours = 8;
constexpr double kWidth = 560;
constexpr double kHeight = 240;
constexpr double kLeft = 56;
constexpr double kBottom = 26;

std::string Safe(std::string_view text) { return EscapeHtml(Printable(text, 200)); }
std::string Colour(std::size_t index) { return "var(--c" + std::to_string(index % kColours) + ")"; }
std::string Pixels(double value) { return FormatSignificant(std::max(0.0, value), 4); }

std::string Svg(const std::string& name, double height, const std::string& body) {
  return "<svg viewBox=\"0 0 " + Pixels(kWidth) + " " + Pixels(height) +
         "\" role=\"img\" aria-label=\"" + name + "\">" + body + "</svg>\n";
}

std::string Text(double x, double y, const std::string& text, std::string_view anchor = "start",
                 bool soft = false) {
  return "<text x=\"" + Pixels(x) + "\" y=\"" + Pixels(y) + "\" text-anchor=\"" +
         std::string(anchor) + "\"" + (soft ? " class=\"soft\"" : "") + ">" + text + "</text>";
}

std::string Rule(double x1, double y1, double x2, double y2) {
  return "<line class=\"rule\" x1=\"" + Pixels(x1) + "\" y1=\"" + Pixels(y1) + "\" x2=\"" +
         Pixels(x2) + "\" y2=\"" + Pixels(y2) + "\"/>";
}

// From 0 to `most`, upwards.
double Up(double value, double most) {
  const double height = kHeight - kBottom - 10;
  return 10 + height - (most > 0 ? height * std::max(0.0, value) / most : 0);
}

std::string Scale(double most) {
  std::string out;
  for (const double part : {0.0, 0.5, 1.0}) {
    const double y = Up(part * most, most);
    out += Rule(kLeft, y, kWidth, y) +
           Text(kLeft - 6, y + 4, FormatSignificant(part * most, 2), "end", true);
  }
  return out;
}

using Measure = double (*)(const Figures&);

std::string ByHour(const Backtest& backtest, const std::string& name, Measure measure) {
  double most = 0;
  for (const Outcome& outcome : backtest.outcomes) {
    for (const Figures& hour : outcome.hours) most = std::max(most, measure(hour));
  }
  std::string body = Scale(most);
  const std::size_t hours = backtest.outcomes.front().hours.size();
  const double step = (kWidth - kLeft) / static_cast<double>(std::max<std::size_t>(hours - 1, 1));
  constexpr std::size_t kDay = 24;
  for (std::size_t hour = 0; hour < hours;
       hour += kDay * std::max<std::size_t>(1, hours / kDay / 8))
    body += Text(kLeft + step * static_cast<double>(hour), kHeight - 6,
                 "day " + std::to_string(hour / kDay + 1), "start", true);
  for (std::size_t i = 0; i < backtest.outcomes.size(); ++i) {
    body += "<polyline style=\"stroke:" + Colour(i) + "\" points=\"";
    for (std::size_t hour = 0; hour < hours; ++hour) {
      body += Pixels(kLeft + step * static_cast<double>(hour)) + "," +
              Pixels(Up(measure(backtest.outcomes[i].hours[hour]), most)) + " ";
    }
    body += "\"/>";
  }
  return Svg(name, kHeight, body);
}

// Euros to the right, grams upwards: what lies to the lower left is better.
std::string Pareto(const Backtest& backtest) {
  double most_grams = 0;
  double most_euros = 0;
  for (const Outcome& outcome : backtest.outcomes) {
    most_grams = std::max(most_grams, GramsPerVcpuHour(outcome.total).value_or(0));
    most_euros = std::max(most_euros, EurosPerVcpuHour(outcome.total).value_or(0));
  }
  most_grams *= 1.1;
  most_euros *= 1.1;
  std::string body = Scale(most_grams);
  for (const double part : {0.5, 1.0}) {
    body += Text(kLeft + part * (kWidth - kLeft), kHeight - 6,
                 FormatSignificant(part * most_euros, 2) + " EUR", "end", true);
  }
  for (std::size_t i = 0; i < backtest.outcomes.size(); ++i) {
    const Figures& total = backtest.outcomes[i].total;
    const double euros = EurosPerVcpuHour(total).value_or(0);
    const double x = kLeft + (most_euros > 0 ? (kWidth - kLeft) * euros / most_euros : 0);
    const double y = Up(GramsPerVcpuHour(total).value_or(0), most_grams);
    body += "<circle cx=\"" + Pixels(x) + "\" cy=\"" + Pixels(y) +
            "\" r=\"6\" style=\"fill:" + Colour(i) + "\"><title>" +
            Safe(backtest.outcomes[i].variant) + "</title></circle>";
  }
  return Svg("grams over euros", kHeight, body);
}

std::string ByRegion(const Backtest& backtest) {
  constexpr double kRow = 26;
  std::string body;
  double y = 4;
  for (const Outcome& outcome : backtest.outcomes) {
    body += Text(0, y + 13, Safe(outcome.variant));
    double x = 190;
    for (std::size_t i = 0; i < outcome.places.size(); ++i) {
      const double whole = outcome.total.reserved.value();
      const double share = whole > 0 ? outcome.places[i].reserved.value() / whole : 0;
      const double width = (kWidth - 190) * share;
      body += "<rect x=\"" + Pixels(x) + "\" y=\"" + Pixels(y) + "\" width=\"" + Pixels(width) +
              "\" height=\"18\" style=\"fill:" + Colour(i) + "\"><title>" +
              Safe(outcome.places[i].region) + ": " + FormatSignificant(100 * share, 3) +
              " %</title></rect>";
      x += width;
    }
    y += kRow;
  }
  return Svg("where vCPU-hours ran", y, body);
}

std::string Small(const std::string& text) {
  return text.empty() ? "" : " <small>" + text + "</small>";
}

std::string Cell(std::optional<double> value, std::optional<double> base) {
  if (!value) return "<td>-</td>";
  return "<td>" + FormatSignificant(*value, 3) + Small(ChangeText(value, base)) + "</td>";
}

std::string Table(const Backtest& backtest) {
  std::string out =
      "<div class=\"wide\"><table><thead><tr><th>policy</th><th>gCO2e per vCPU·h</th><th>EUR per "
      "vCPU·h</th><th>gCO2e per 1,000 requests</th><th>EUR per 1,000 requests</th><th>pods "
      "placed</th><th>waited behind a gate</th><th>waited for room</th><th>no "
      "place</th><th>vCPUs reserved</th></tr></thead><tbody>";
  const Figures& base = backtest.outcomes.front().total;
  for (std::size_t i = 0; i < backtest.outcomes.size(); ++i) {
    const Outcome& outcome = backtest.outcomes[i];
    const Figures& total = outcome.total;
    const std::string waited = MeanHoursText(outcome.gated_for, outcome.gated);
    out += "<tr><th><span class=\"key\" style=\"background:" + Colour(i) + "\"></span>" +
           Safe(outcome.variant) + "</th>" + Cell(GramsPerVcpuHour(total), GramsPerVcpuHour(base)) +
           Cell(EurosPerVcpuHour(total), EurosPerVcpuHour(base)) +
           Cell(GramsPerThousandRequests(total), GramsPerThousandRequests(base)) +
           Cell(EurosPerThousandRequests(total), EurosPerThousandRequests(base)) + "<td>" +
           std::to_string(outcome.placed) + "</td><td>" + std::to_string(outcome.gated) +
           Small(waited.empty() ? "" : waited + " each") + "</td><td>" +
           std::to_string(outcome.queued) + "</td><td>" + std::to_string(outcome.without_place) +
           "</td><td>" + FormatSignificant(100 * outcome.cpu_reserved.value(), 3) + " %</td></tr>";
  }
  return out + "</tbody></table></div>\n";
}

std::string List(std::string_view head, std::string_view kind,
                 const std::vector<std::string>& sentences) {
  if (sentences.empty()) return "";
  std::string out = "<h2>" + std::string(head) + "</h2><ul class=\"" + std::string(kind) + "\">";
  for (const std::string& sentence : sentences)
    out += "<li>" + EscapeHtml(Printable(sentence, 1000)) + "</li>";
  return out + "</ul>\n";
}

}  // namespace

std::string ResultHtml(const Scenario& scenario, const Backtest& backtest) {
  std::string html = HtmlHead("Sobre: backtest");
  html += "<h1>" + Safe(scenario.name) + "</h1><p class=\"soft\">" + FormatTime(scenario.start) +
          ", " + std::to_string(scenario.hours) + " hours, the first " +
          std::to_string(scenario.warm_up_hours) + " not counted; seed " +
          std::to_string(scenario.seed) +
          ". Changes are against the first policy. Grams are what pods answer for: their load, the "
          "idle power of what they reserve, their share of the hardware's making.</p>\n";
  html += List("Warnings", "warn", backtest.warnings) + Table(backtest);
  html += "<div class=\"charts\"><div><h2>kgCO2e by hour</h2>" +
          ByHour(backtest, "kgCO2e by hour",
                 [](const Figures& hour) { return hour.grams().value() / 1000; }) +
          "</div><div><h2>EUR by hour</h2>" +
          ByHour(backtest, "EUR by hour", [](const Figures& hour) { return hour.euros.value(); }) +
          "</div><div><h2>gCO2e over EUR, per vCPU·h</h2>" + Pareto(backtest) +
          "</div><div><h2>Where vCPU-hours ran</h2><p class=\"soft\">";
  const auto& places = backtest.outcomes.front().places;
  for (std::size_t i = 0; i < places.size(); ++i)
    html += "<span class=\"key\" style=\"background:" + Colour(i) + "\"></span>" +
            Safe(places[i].region) + " &nbsp; ";
  html += "</p>" + ByRegion(backtest) + "</div><div><h2>vCPUs reserved by hour</h2>" +
          ByHour(backtest, "vCPUs reserved by hour",
                 [](const Figures& hour) { return hour.reserved.value(); }) +
          "</div></div>\n" + List("Notes", "soft", backtest.notes) + "</body></html>\n";
  return html;
}

}  // namespace sobre::backtest
