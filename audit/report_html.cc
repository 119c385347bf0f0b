#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>

#include "audit/report_formats.h"
#include "base/text.h"

namespace sobre {
namespace {

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sobre: energy, emissions and costs</title>
<style>
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#59636e;--line:#d5dae0;--panel:#f5f7f9;
--operational:#2367b0;--embodied:#d98324;--market:#3f9e93;--euros:#6b5b95}
@media (prefers-color-scheme:dark){:root{--page:#14171b;--ink:#e7eaee;--soft:#9ba5b0;--line:#363c44;--panel:#1d2127;
--operational:#5a9ee6;--embodied:#eda553;--market:#62c2b6;--euros:#a594d6}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:80rem;padding:2rem 1.25rem 3rem;color:var(--ink);background:var(--page)}
h1{font-size:1.5rem;line-height:1.25;margin:0}h2{font-size:1.05rem;margin:0 0 .15rem}
.period{color:var(--soft);margin:.25rem 0 1.5rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:.75rem;margin:0 0 1.5rem;padding:0}
.tiles div{background:var(--panel);border-radius:.5rem;padding:.75rem 1rem}
.tiles dt{color:var(--soft);font-size:.85rem}.tiles dd{margin:0;font-size:1.4rem;font-weight:600;line-height:1.3}
.tiles dd span{font-size:.95rem;font-weight:500}.tiles dd small{display:block;font-size:.8rem;font-weight:400;color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(30rem,100%),1fr));gap:1.75rem 2rem;margin-bottom:2rem}
figure{margin:0;min-width:0}figcaption p{margin:0 0 .4rem;color:var(--soft);font-size:.85rem}
.key{display:inline-block;width:.7rem;height:.7rem;border-radius:.15rem;margin:0 .3rem 0 .6rem}.key:first-child{margin-left:0}
svg{display:block;width:100%;height:auto;font:12px system-ui,sans-serif;overflow:visible}
svg text{fill:var(--ink)}svg .soft{fill:var(--soft)}svg .rule{stroke:var(--line)}svg .zero{stroke:var(--soft)}
.operational{fill:var(--operational);background:var(--operational)}.embodied{fill:var(--embodied);background:var(--embodied)}
.market{fill:var(--market);background:var(--market)}.euros{fill:var(--euros);background:var(--euros)}
.wide{overflow-x:auto;margin-bottom:2rem}
table{border-collapse:collapse;width:100%;font-size:.8rem}
caption{text-align:left;font-weight:600;font-size:1.05rem;padding-bottom:.5rem}
th,td{padding:.35rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
thead th{vertical-align:bottom;color:var(--soft);font-weight:500;white-space:normal}
th.name{text-align:left;font-weight:500}tfoot th,tfoot td{font-weight:600;border-bottom:0;border-top:2px solid var(--soft)}
td small{color:var(--soft)}
.scale{width:auto}.scale td{padding:.2rem .15rem;border:0}.scale th{border:0;padding:.2rem .75rem .2rem 0}
.class{display:inline-block;min-width:1.5rem;padding:0 .35rem;border-radius:.25rem;text-align:center;font-weight:700;color:#fff}
.A{background:#1a7f37}.B{background:#4a8f22}.C{background:#a3bf2e;color:#111}.D{background:#e3c22b;color:#111}
.E{background:#ee9a2e;color:#111}.F{background:#d9541e}.G{background:#b42318}
.off{background:var(--panel);color:var(--soft);font-weight:400}
.notes{color:var(--soft);font-size:.85rem;max-width:60rem;padding-left:1.1rem}.notes li{margin-bottom:.35rem}
@page{size:A4 landscape;margin:12mm}
@media print{:root{color-scheme:light;--page:#fff;--ink:#000;--soft:#444;--line:#bbb;--panel:#f2f2f2;
--operational:#2367b0;--embodied:#d98324;--market:#3f9e93;--euros:#6b5b95}
body{padding:0;max-width:none;font-size:11px}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.charts{grid-template-columns:1fr 1fr}figure,tr,.tiles{break-inside:avoid}thead{display:table-header-group}tfoot{display:table-row-group}
.wide{overflow:visible}table{font-size:8.5px}th,td{padding:.2rem .3rem}}
</style></head><body>
)";

std::string Escape(std::string_view text) { return EscapeHtml(Printable(text, 4000)); }

// A coordinate.
std::string At(double value) {
  std::array<char, 400> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::fixed, 1)
                       .ptr;
  return {buffer.data(), end};
}

std::string RectTag(std::string_view css, double x, double y, double width, double height) {
  return "<rect class=\"" + std::string(css) + "\" x=\"" + At(x) + "\" y=\"" + At(y) +
         "\" width=\"" + At(width) + "\" height=\"" + At(height) + "\"/>";
}

std::string TextTag(double x, double y, std::string_view anchor, std::string_view css,
                    std::string_view text) {
  return "<text x=\"" + At(x) + "\" y=\"" + At(y) + "\" text-anchor=\"" + std::string(anchor) +
         "\" class=\"" + std::string(css) + "\">" + Escape(text) + "</text>";
}

// The next of 1, 2, 5, 10, … that is not below `value`.
double NiceStep(double value) {
  if (!(value > 0)) return 1;
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double step : {1.0, 2.0, 5.0}) {
    if (step * power >= value) return step * power;
  }
  return 10 * power;
}

// One colour of a chart and what it means.
struct Series {
  std::string_view css;
  std::string_view name;
};

void OpenFigure(std::string_view title, std::string_view about, const std::vector<Series>& series,
                std::string& out) {
  out += "<figure><figcaption><h2>" + Escape(title) + "</h2><p>";
  for (const Series& one : series)
    out += "<span class=\"key " + std::string(one.css) + "\"></span>" + Escape(one.name);
  if (!series.empty() && !about.empty()) out += " &middot; ";
  out += Escape(about) + "</p></figcaption>";
}

std::string OpenSvg(double width, double height, std::string_view label) {
  return "<svg role=\"img\" viewBox=\"0 0 " + At(width) + " " + At(height) + "\" aria-label=\"" +
         Escape(label) + "\">";
}

// A moment's bars, from the bottom up, and what to say of it.
struct Column {
  Timestamp begin;
  std::vector<double> parts;
  std::string words;
};

std::string MomentName(Timestamp time, Duration step) {
  const std::string text = FormatTime(time);
  return step < std::chrono::days(1) ? text.substr(5, 5) + " " + text.substr(11, 5)
                                     : text.substr(0, 10);
}

// Where values stand between the foot and the top of a chart.
struct Axis {
  double low = 0;
  double high = 1;
  double step = 1;
  double top = 10;
  double foot = 200;
  [[nodiscard]] double Y(double value) const {
    return foot - (value - low) / (high - low) * (foot - top);
  }
};

Axis AxisFor(const std::vector<Column>& columns) {
  double low = 0;
  double high = 0;
  for (const Column& column : columns) {
    double sum = 0;
    for (const double part : column.parts) sum += part;
    low = std::min(low, sum);
    high = std::max(high, sum);
  }
  Axis axis;
  axis.step = NiceStep((high - low) / 5);
  axis.low = std::floor(low / axis.step) * axis.step;
  axis.high = std::max(std::ceil(high / axis.step) * axis.step, axis.low + axis.step);
  return axis;
}

// Bars over time.
void TimeChart(const std::vector<Column>& columns, Duration step, const std::vector<Series>& series,
               std::string_view label, std::string& out) {
  constexpr double kWidth = 560;
  constexpr double kLeft = 58;
  const Axis axis = AxisFor(columns);
  out += OpenSvg(kWidth, axis.foot + 24, label);
  const auto ticks = static_cast<int>(std::lround((axis.high - axis.low) / axis.step));
  for (int tick = 0; tick <= ticks; ++tick) {
    const double value = axis.low + tick * axis.step;
    const double y = axis.Y(value);
    const bool is_zero = std::abs(value) < axis.step / 2;
    out += "<line class=\"" + std::string(is_zero ? "zero" : "rule") + "\" x1=\"" + At(kLeft) +
           "\" x2=\"" + At(kWidth) + "\" y1=\"" + At(y) + "\" y2=\"" + At(y) + "\"/>";
    out += TextTag(kLeft - 6, y + 4, "end", "soft", is_zero ? "0" : FormatSignificant(value, 4));
  }
  const Timestamp first = columns.front().begin;
  const auto slots = (columns.back().begin - first) / step + 1;
  const double slot = (kWidth - kLeft) / static_cast<double>(slots);
  const double bar = std::min(slot > 4 ? slot * 0.78 : slot, 36.0);
  for (const Column& column : columns) {
    const auto place = static_cast<double>((column.begin - first) / step);
    const double x = kLeft + (place + 0.5) * slot - bar / 2;
    out += "<g><title>" + Escape(column.words) + "</title>";
    double from = 0;
    for (std::size_t i = 0; i < column.parts.size(); ++i) {
      const double to = from + column.parts[i];
      out += RectTag(series[i].css, x, axis.Y(std::max(from, to)), bar,
                     std::abs(axis.Y(from) - axis.Y(to)));
      from = to;
    }
    out += "</g>";
  }
  // As many names as fit beside each other.
  const auto every = std::max<std::int64_t>(1, (slots + 5) / 6);
  for (std::int64_t i = 0; i < slots; i += every)
    out += TextTag(kLeft + (static_cast<double>(i) + 0.5) * slot, axis.foot + 17, "middle", "soft",
                   MomentName(first + i * step, step));
  out += "</svg></figure>\n";
}

std::string Shortened(const std::string& text, std::size_t limit) {
  std::string out;
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (count++ == limit) return out + "…";
    const std::size_t length =
        std::max<std::size_t>(1, Utf8SequenceLength(std::string_view(text).substr(at)));
    out += text.substr(at, length);
    at += length;
  }
  return out;
}

// A line of a bar chart: bars one after the other, or one below the other.
struct BarLine {
  std::string name;
  std::vector<double> parts;
  std::string words;
};

void BarChart(const std::vector<BarLine>& lines, bool stacked, const std::vector<Series>& series,
              std::string_view label, std::string& out) {
  constexpr double kWidth = 560;
  constexpr double kLeft = 176;
  constexpr double kRight = 62;  // for the value after the longest bar
  const double thickness = stacked ? 16 : 13;
  double most = 0;
  for (const BarLine& line : lines) {
    double sum = 0;
    for (const double part : line.parts) {
      sum += std::max(part, 0.0);
      most = std::max(most, stacked ? sum : part);
    }
  }
  const double factor = most > 0 ? (kWidth - kLeft - kRight) / most : 0;
  const double pitch =
      stacked ? thickness + 9 : thickness * static_cast<double>(series.size()) + 12;
  out += OpenSvg(kWidth, pitch * static_cast<double>(lines.size()) + 4, label);
  double y = 2;
  for (const BarLine& line : lines) {
    out += "<g><title>" + Escape(line.name + ": " + line.words) + "</title>";
    const double middle = y + (pitch - (stacked ? 9 : 12)) / 2 + 4;
    out += TextTag(kLeft - 8, middle, "end", "", Shortened(line.name, 26));
    double x = kLeft;
    double sum = 0;
    for (std::size_t i = 0; i < line.parts.size(); ++i) {
      const double width = std::max(line.parts[i], 0.0) * factor;
      const double top = stacked ? y : y + static_cast<double>(i) * thickness;
      out += RectTag(series[i].css, stacked ? x : kLeft, top, width, thickness - (stacked ? 0 : 1));
      if (!stacked)
        out += TextTag(kLeft + width + 6, top + thickness - 3, "start", "soft",
                       ReadableNumber(line.parts[i]));
      x += width;
      sum += line.parts[i];
    }
    if (stacked) out += TextTag(x + 6, middle, "start", "soft", ReadableNumber(sum));
    out += "</g>";
    y += pitch;
  }
  out += "</svg></figure>\n";
}

std::string SplitWords(double operational, double embodied, const GramScale& scale) {
  std::string words = ReadableNumber(operational);
  words.append(" ").append(scale.unit).append("CO2e operational, ");
  return words.append(ReadableNumber(embodied)).append(" embodied");
}

void TimeCharts(const Report& report, const GramScale& scale, std::string& out) {
  if (report.timeline.empty()) return;
  const std::string unit = std::string(scale.unit) + "CO2e";
  std::vector<Column> grams;
  std::vector<Column> euros;
  for (const ReportMoment& moment : report.timeline) {
    const std::string name = MomentName(moment.begin, report.step) + ": ";
    const double operational = moment.operational_g / scale.grams;
    const double embodied = moment.embodied_g / scale.grams;
    grams.push_back(
        {moment.begin, {operational, embodied}, name + SplitWords(operational, embodied, scale)});
    euros.push_back({moment.begin, {moment.eur}, name + ReadableNumber(moment.eur) + " EUR"});
  }
  const std::string_view per = report.step < std::chrono::days(1) ? "per hour" : "per day";
  const std::vector<Series> parts = {{"operational", "operational, location-based"},
                                     {"embodied", "embodied"}};
  OpenFigure("Emissions over time", unit + " " + std::string(per) + ", UTC", parts, out);
  TimeChart(grams, report.step, parts, "Emissions over time, " + unit + " " + std::string(per),
            out);
  OpenFigure("Cost over time", "EUR " + std::string(per) + ", UTC", {}, out);
  TimeChart(euros, report.step, {{"euros", "cost"}}, "Cost over time, EUR " + std::string(per),
            out);
}

void GroupCharts(const Report& report, const GramScale& scale, std::string& out) {
  constexpr std::size_t kShown = 12;
  constexpr std::size_t kCompared = 8;
  const std::string unit = std::string(scale.unit) + "CO2e";
  std::vector<BarLine> split;
  std::vector<BarLine> sides;
  BarLine others{"", {0, 0}, ""};
  std::size_t other_count = 0;
  for (const ReportLine& line : report.groups) {
    if (!line.total) continue;
    const double operational = line.operational->mid.value() / scale.grams;
    const double embodied = line.embodied->mid.value() / scale.grams;
    if (split.size() < kShown) {
      split.push_back(
          {ReadableNames(line), {operational, embodied}, SplitWords(operational, embodied, scale)});
    } else {
      others.parts[0] += operational;
      others.parts[1] += embodied;
      ++other_count;
    }
    if (sides.size() < kCompared) {
      const double market = line.market_g.value_or(0) / scale.grams;
      sides.push_back({ReadableNames(line),
                       {operational, market},
                       ReadableNumber(operational) + " " + unit + " location-based, " +
                           ReadableNumber(market) + " market-based"});
    }
  }
  if (split.empty()) return;
  if (other_count > 0) {
    others.name = std::to_string(other_count) + " others";
    others.words = SplitWords(others.parts[0], others.parts[1], scale);
    split.push_back(others);
  }
  const std::vector<Series> parts = {{"operational", "operational, location-based"},
                                     {"embodied", "embodied"}};
  OpenFigure("Who emits", unit, parts, out);
  BarChart(split, true, parts, "Emissions by group, " + unit, out);
  const std::vector<Series> views = {{"operational", "location-based"}, {"market", "market-based"}};
  OpenFigure("Electricity, seen two ways", "operational " + unit, views, out);
  BarChart(sides, false, views, "Operational emissions, location-based and market-based, " + unit,
           out);
}

std::string Badge(const std::optional<ClassLetter>& letter) {
  if (!letter) return "–";
  const std::string text(1, ToLetter(*letter));
  return "<span class=\"class " + text + "\">" + text + "</span>";
}

std::string Ladder(const std::optional<ClassLetter>& letter) {
  std::string out;
  for (char c = 'A'; c <= 'G'; ++c) {
    const bool is_it = letter && ToLetter(*letter) == c;
    const std::string text(1, c);
    out += "<td><span class=\"class " + (is_it ? text : std::string("off")) + "\"" +
           (is_it ? "" : " aria-hidden=\"true\"") + ">" + text + "</span></td>";
  }
  return out;
}

void Classes(const Report& report, std::string& out) {
  constexpr std::size_t kShown = 12;
  std::string lines;
  std::size_t shown = 0;
  for (const ReportLine& line : report.groups) {
    if (!line.energy_class && !line.carbon_class) continue;
    if (shown++ == kShown) break;
    const std::string name =
        "<tr><th class=\"name\" scope=\"row\">" + Escape(ReadableNames(line)) + "</th>";
    lines += name + Ladder(line.energy_class) + "<td>&emsp;</td>" + Ladder(line.carbon_class) +
             "</tr>\n";
  }
  if (lines.empty()) return;
  OpenFigure("Classes",
             "energy: of the workload, Wh per 1,000 tokens or per request; carbon: of its "
             "placement, gCO2e per request",
             {}, out);
  out +=
      "<div class=\"wide\"><table class=\"scale\"><thead><tr><th></th><th scope=\"colgroup\" "
      "colspan=\"7\" class=\"name\">energy class</th><th></th><th scope=\"colgroup\" "
      "colspan=\"7\" class=\"name\">carbon class</th></tr></thead><tbody>" +
      lines + "</tbody></table></div></figure>\n";
}

std::string Optional(const std::optional<double>& value) {
  return value ? ReadableNumber(*value) : "?";
}

std::string Signed(double share) {
  return (share > 0 ? "+" : "") + FormatSignificant(share * 100, 3) + " %";
}

struct TableColumn {
  const char* head;  // @ stands for the unit of grams
  std::string (*value)(const ReportLine& line, const GramScale& scale);
};

using Line = const ReportLine&;
using Scale = const GramScale&;

std::string OfUnit(const std::optional<UnitFigures>& figures,
                   std::optional<double> UnitFigures::*field) {
  return figures ? Optional((*figures).*field) : "–";
}

std::string WithBounds(const std::optional<Range<Grams>>& range, double scale) {
  if (!range) return "?";
  return ReadableNumber(range->mid.value() / scale) + "<br><small>" +
         ReadableNumber(range->low.value() / scale) + " to " +
         ReadableNumber(range->high.value() / scale) + "</small>";
}

std::string ShareOr(const std::optional<double>& share) {
  return share ? ReadableShare(*share) : "–";
}

constexpr TableColumn kSums[] = {
    {"pod-hours", [](Line l, Scale) { return ReadableNumber(l.sum.pod_hours); }},
    {"kWh", [](Line l, Scale) { return Optional(l.energy_kwh); }},
    {"operational @", [](Line l, Scale s) { return WithBounds(l.operational, s.grams); }},
    {"embodied @", [](Line l, Scale s) { return WithBounds(l.embodied, s.grams); }},
    {"total @", [](Line l, Scale s) { return WithBounds(l.total, s.grams); }},
    {"market-based operational @",
     [](Line l, Scale s) {
       return l.market_g ? ReadableNumber(*l.market_g / s.grams) : std::string("?");
     }},
    {"EUR", [](Line l, Scale) { return Optional(l.euros); }},
    {"EUR at list price", [](Line l, Scale) { return Optional(l.list_euros); }},
    {"energy measured", [](Line l, Scale) { return ShareOr(l.measured_share); }},
    {"by live intensity", [](Line l, Scale) { return ShareOr(l.live_share); }},
    {"hours with emissions known", [](Line l, Scale) { return ShareOr(l.grams_known_share); }},
    {"emissions against the mean candidate",
     [](Line l, Scale) {
       return l.change && l.change->grams_share ? Signed(*l.change->grams_share) : std::string("–");
     }},
};

constexpr TableColumn kPerUnit[] = {
    {"requests",
     [](Line l, Scale) {
       return l.per_request ? ReadableNumber(l.per_request->count) : std::string("–");
     }},
    {"Wh per request",
     [](Line l, Scale) { return OfUnit(l.per_request, &UnitFigures::watt_hours); }},
    {"gCO2e per request", [](Line l, Scale) { return OfUnit(l.per_request, &UnitFigures::grams); }},
    {"EUR per request", [](Line l, Scale) { return OfUnit(l.per_request, &UnitFigures::euros); }},
    {"tokens",
     [](Line l, Scale) {
       return l.per_thousand_tokens ? ReadableNumber(l.per_thousand_tokens->count * 1000)
                                    : std::string("–");
     }},
    {"Wh per 1,000 tokens",
     [](Line l, Scale) { return OfUnit(l.per_thousand_tokens, &UnitFigures::watt_hours); }},
    {"gCO2e per 1,000 tokens",
     [](Line l, Scale) { return OfUnit(l.per_thousand_tokens, &UnitFigures::grams); }},
    {"EUR per 1,000 tokens",
     [](Line l, Scale) { return OfUnit(l.per_thousand_tokens, &UnitFigures::euros); }},
    {"energy class", [](Line l, Scale) { return Badge(l.energy_class); }},
    {"carbon class", [](Line l, Scale) { return Badge(l.carbon_class); }},
};

std::string Replaced(std::string_view text, const std::string& unit) {
  std::string out;
  for (const char c : text) {
    if (c == '@') {
      out += unit;
    } else {
      out += c;
    }
  }
  return out;
}

// Nobody reads more, and a browser takes long over it; the other formats have all.
constexpr std::size_t kMostLines = 500;

using Chosen = std::vector<const ReportLine*>;

void Table(const Report& report, std::string_view caption, std::span<const TableColumn> columns,
           const Chosen& lines, std::string& out) {
  const GramScale scale = ScaleOf(report);
  const auto figures = [&](const ReportLine& line) {
    for (const TableColumn& column : columns) out += "<td>" + column.value(line, scale) + "</td>";
    out += "</tr>\n";
  };
  out += "<div class=\"wide\" role=\"region\" aria-label=\"" + Escape(caption) +
         "\" tabindex=\"0\"><table><caption>" + Escape(caption) + "</caption><thead><tr>";
  for (const ReportKey key : report.request.by)
    out += "<th class=\"name\" scope=\"col\">" + std::string(ToString(key)) + "</th>";
  if (report.request.by.empty()) out += "<th class=\"name\" scope=\"col\">all</th>";
  for (const TableColumn& column : columns)
    out += "<th scope=\"col\">" + Escape(Replaced(column.head, std::string(scale.unit) + "CO2e")) +
           "</th>";
  out += "</tr></thead><tbody>\n";
  std::size_t shown = 0;
  for (const ReportLine* line : lines) {
    if (report.request.by.empty() || shown++ == kMostLines) break;
    out += "<tr>";
    for (const std::string& name : line->names)
      out += "<th class=\"name\" scope=\"row\">" + Escape(name.empty() ? "(none)" : name) + "</th>";
    figures(*line);
  }
  out += "</tbody><tfoot><tr><th class=\"name\" scope=\"row\" colspan=\"" +
         std::to_string(std::max<std::size_t>(1, report.request.by.size())) + "\">total</th>";
  figures(report.total);
  out += "</tfoot></table>";
  if (lines.size() > kMostLines)
    out += "<p>The first " + std::to_string(kMostLines) + " of " + std::to_string(lines.size()) +
           " groups; CSV and JSON have all.</p>";
  out += "</div>\n";
}

void Tables(const Report& report, std::string& out) {
  Chosen all;
  Chosen serving;
  for (const ReportLine& line : report.groups) {
    all.push_back(&line);
    if (line.per_request || line.per_thousand_tokens) serving.push_back(&line);
  }
  Table(report, "Figures by group", kSums, all, out);
  if (!serving.empty()) Table(report, "Per request and per token", kPerUnit, serving, out);
}

void AdviceTable(const Report& report, std::string& out) {
  if (report.advice.empty()) return;
  constexpr std::string_view kCaption = "Advice: moves and smaller requests, all pods, an hour";
  out += "<div class=\"wide\" role=\"region\" aria-label=\"" + Escape(kCaption) +
         "\" tabindex=\"0\"><table><caption>" + Escape(kCaption) + "</caption><thead><tr>";
  const auto cells = [&](const std::vector<std::string>& texts, std::string_view scope) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const bool name = i < kAdviceNames;
      const std::string tag = name || scope == "col" ? "th" : "td";
      out += "<" + tag + (name ? " class=\"name\"" : "");
      if (scope == "col" || i == 0) {
        out.append(" scope=\"").append(scope).append("\"");
      }
      out += ">" + Escape(texts[i]) + "</" + tag + ">";
    }
  };
  cells(AdviceHeads(), "col");
  out += "</tr></thead><tbody>\n";
  std::size_t shown = 0;
  for (const auto& line : AdviceCells(report)) {
    if (shown++ == kMostLines) break;
    out += "<tr>";
    cells(line, "row");
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
}

// One figure of the head: "32.6 kgCO2e", and below it what else to know.
void Tile(std::string_view name, const std::optional<double>& value, std::string_view unit,
          const std::string& about, std::string& out, std::string_view otherwise = "unknown") {
  out += "<div><dt>" + Escape(name) + "</dt><dd>";
  out += value ? ReadableNumber(*value) + " <span>" + Escape(unit) + "</span>"
               : std::string(otherwise);
  if (!about.empty()) out += "<small>" + Escape(about) + "</small>";
  out += "</dd></div>";
}

void UnitTile(std::string_view name, std::string_view each, double count,
              const std::optional<UnitFigures>& figures, std::string& out) {
  if (!figures) return;
  Tile(name, count, "",
       Optional(figures->grams) + " gCO2e, " + Optional(figures->watt_hours) + " Wh " +
           std::string(each),
       out);
}

void Tiles(const Report& report, const GramScale& scale, std::string& out) {
  const ReportLine& total = report.total;
  const std::string unit = std::string(scale.unit) + "CO2e";
  std::optional<double> grams;
  std::string bounds;
  if (total.total) {
    grams = total.total->mid.value() / scale.grams;
    bounds = ReadableNumber(total.total->low.value() / scale.grams) + " to " +
             ReadableNumber(total.total->high.value() / scale.grams);
  }
  out += "<dl class=\"tiles\">";
  const std::string_view none = report.covered ? "unknown" : "no data";
  Tile("Emissions", grams, unit, bounds, out, none);
  Tile("Energy", total.energy_kwh, "kWh",
       total.measured_share ? ReadableShare(*total.measured_share) + " measured" : "", out, none);
  Tile("Cost", total.euros, "EUR",
       total.list_euros ? ReadableNumber(*total.list_euros) + " at list price" : "", out, none);
  Tile("Pod-hours", report.covered ? std::optional(total.sum.pod_hours) : std::nullopt, "", "", out,
       none);
  UnitTile("Requests", "each", total.sum.requests, total.per_request, out);
  UnitTile("Tokens", "per 1,000", total.sum.tokens, total.per_thousand_tokens, out);
  if (total.has_runs)
    Tile("Of it, runs", (total.runs.operational_g + total.runs.embodied_g) / scale.grams, unit,
         ReadableNumber(total.runs.energy_kwh) + " kWh, in no figure per request", out);
  if (total.change && total.change->grams_share)
    out += "<div><dt>Against the mean candidate</dt><dd>" + Signed(*total.change->grams_share) +
           "<small>attributed emissions; cost " +
           (total.change->euros_share ? Signed(*total.change->euros_share) : "unknown") +
           "</small></dd></div>";
  out += "</dl>\n";
}

}  // namespace

std::string ReportHtml(const Report& report) {
  const GramScale scale = ScaleOf(report);
  std::string out(kHead);
  out += "<h1>Energy, emissions and costs of " + Escape(report.context.account) +
         "</h1><p class=\"period\">" + FormatTime(report.request.from) + " to " +
         FormatTime(report.request.to) + "<br>" + Escape(ReadableCoverage(report)) + "</p>\n";
  Tiles(report, scale, out);
  out += "<div class=\"charts\">\n";
  TimeCharts(report, scale, out);
  GroupCharts(report, scale, out);
  Classes(report, out);
  out += "</div>\n";
  Tables(report, out);
  AdviceTable(report, out);
  out += "<h2>Quality and method</h2><ul class=\"notes\">\n";
  for (const std::string& note : ReportNotes(report)) out += "<li>" + Escape(note) + "</li>\n";
  out += "</ul></body></html>\n";
  return out;
}

}  // namespace sobre
