#include "audit/label.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace sobre {
namespace {

constexpr std::size_t kClasses = 7;
// From blue to brown over pale, as on the dashboard: told apart with any colour vision, and by
// their letters.
constexpr std::array<std::string_view, kClasses> kFills = {
    "#0b4f8a", "#2f74ad", "#8dbbdb", "#cfcbb4", "#e9bf63", "#c2711c", "#7a3b06"};
constexpr std::array<std::string_view, kClasses> kLetters = {
    "#fff", "#fff", "#10202c", "#22200f", "#2b1f02", "#170c00", "#fff"};

struct Colours {
  std::string_view paper;
  std::string_view ink;
  std::string_view soft;
  std::string_view line;
};
Colours ColoursOf(LabelTheme theme) {
  return theme == LabelTheme::kDark ? Colours{"#14191d", "#f2f5f7", "#a9b4bd", "#3b464e"}
                                    : Colours{"#ffffff", "#14191d", "#55616b", "#c9d1d7"};
}

struct Words {
  std::string_view energy;
  std::string_view carbon;
  std::string_view title;
  std::string_view energy_class;
  std::string_view carbon_class;
  std::string_view request;
  std::string_view thousand_tokens;
  std::string_view no_class;
  std::string_view to;
  std::string_view measured;
  std::string_view estimated;
  std::string_view catalogue;
};
constexpr Words kEnglish = {"Energy",
                            "Carbon",
                            "Energy and carbon label",
                            "energy class",
                            "carbon class",
                            "per request",
                            "per 1,000 tokens",
                            "No requests or tokens were counted",
                            "to",
                            "of the energy measured",
                            "energy estimated",
                            "catalogue"};
constexpr Words kFrench = {"Énergie",
                           "Carbone",
                           "Étiquette énergie et carbone",
                           "classe énergie",
                           "classe carbone",
                           "par requête",
                           "pour 1 000 jetons",
                           "Ni requêtes ni jetons comptés",
                           "au",
                           "de l’énergie mesurés",
                           "énergie estimée",
                           "catalogue"};

// Somebody else's text, fit for one line.
std::string OneLine(std::string_view text, std::size_t characters) {
  const std::string printable = Printable(text, 4 * (characters + 1));
  text = printable;
  std::string line;
  std::size_t count = 0;
  while (!text.empty()) {
    if (count++ == characters) return EscapeHtml(line) + "…";
    const std::size_t length = std::max<std::size_t>(Utf8SequenceLength(text), 1);
    line += text.substr(0, length);
    text.remove_prefix(length);
  }
  return EscapeHtml(line);
}

std::string Number(double value, LabelLanguage language) {
  std::string text = FormatSignificant(value, 3);
  if (language == LabelLanguage::kFrench) std::replace(text.begin(), text.end(), '.', ',');
  return text;
}

std::string DayOf(Timestamp time) { return FormatTime(time).substr(0, 10); }

class Drawing {
 public:
  explicit Drawing(LabelTheme theme) : colours_(ColoursOf(theme)) {}

  void Text(double x, double y, double size, std::string_view escaped, std::string_view fill,
            std::string_view more = {}) {
    out_ += "<text x=\"" + FormatNumber(x) + "\" y=\"" + FormatNumber(y) + "\" font-size=\"" +
            FormatNumber(size) + "\" fill=\"" + std::string(fill) + "\" " + std::string(more) +
            ">" + std::string(escaped) + "</text>\n";
  }
  void Shape(std::string_view points, std::string_view fill) {
    out_ +=
        "<polygon points=\"" + std::string(points) + "\" fill=\"" + std::string(fill) + "\"/>\n";
  }
  void Line(double y) {
    out_ += "<path d=\"M16 " + FormatNumber(y) + "H304\" stroke=\"" + std::string(colours_.line) +
            "\"/>\n";
  }
  // Seven bars that end in an arrow, each longer than the one above; a marker stands beside the
  // class, if there is one.
  void Scale(double left, double top, std::string_view name, std::optional<ClassLetter> marked) {
    constexpr double kHeight = 24;
    constexpr double kStep = 28;
    Text(left, top - 10, 13, name, colours_.ink, "font-weight=\"600\"");
    for (std::size_t i = 0; i < kClasses; ++i) {
      const double y = top + kStep * static_cast<double>(i);
      const double right = left + 34 + 8 * static_cast<double>(i);
      Shape(Arrow(left, right, y, kHeight, true), kFills[i]);
      Text(left + 7, y + 17.5, 15, std::string(1, static_cast<char>('A' + i)), kLetters[i],
           "font-weight=\"700\"");
    }
    if (!marked) return;
    const double y = top + kStep * static_cast<double>(*marked) - 3;
    Shape(Arrow(left + 100, left + 136, y, kHeight + 6, false), colours_.ink);
    Text(left + 118, y + 22, 20, std::string(1, ToLetter(*marked)), colours_.paper,
         "font-weight=\"700\" text-anchor=\"middle\"");
  }
  [[nodiscard]] const Colours& colours() const { return colours_; }
  [[nodiscard]] const std::string& body() const { return out_; }

 private:
  static std::string Arrow(double left, double right, double y, double height, bool to_the_right) {
    const double tip = height / 2;
    const auto at = [](double x, double py) { return FormatNumber(x) + "," + FormatNumber(py); };
    const double from = to_the_right ? left : left - tip;
    if (to_the_right)
      return at(from, y) + " " + at(right, y) + " " + at(right + tip, y + tip) + " " +
             at(right, y + height) + " " + at(from, y + height);
    return at(from, y + tip) + " " + at(left, y) + " " + at(right, y) + " " +
           at(right, y + height) + " " + at(left, y + height);
  }

  const Colours colours_;
  std::string out_;
};

void DrawFigures(const UnitFigures& figures, std::string_view unit, LabelLanguage language,
                 Drawing& drawing) {
  struct Figure {
    std::optional<double> value;
    std::string_view unit;
  };
  const std::array<Figure, 3> rows = {Figure{figures.watt_hours, "Wh"},
                                      Figure{figures.grams, "gCO₂e"}, Figure{figures.euros, "€"}};
  double y = 338;
  for (const Figure& row : rows) {
    const std::string value = row.value ? Number(*row.value, language) : "–";
    drawing.Text(150, y, 19, value, drawing.colours().ink,
                 "font-weight=\"700\" text-anchor=\"end\"");
    drawing.Text(158, y, 13,
                 std::string(row.unit) + " <tspan fill=\"" + std::string(drawing.colours().soft) +
                     "\">" + std::string(unit) + "</tspan>",
                 drawing.colours().ink);
    y += 29;
  }
}

std::string MeasuredText(const ReportLine& line, const Words& words, LabelLanguage language) {
  if (!line.measured_share || *line.measured_share <= 0) return std::string(words.estimated);
  // Never 100 where something is estimated.
  const double percent =
      std::min(100 * *line.measured_share, *line.measured_share < 1 ? 99.9 : 100);
  return Number(percent, language) + " % " + std::string(words.measured);
}

}  // namespace

std::optional<LabelLanguage> ParseLabelLanguage(std::string_view text) {
  if (text == "en") return LabelLanguage::kEnglish;
  if (text == "fr") return LabelLanguage::kFrench;
  return std::nullopt;
}

std::optional<LabelTheme> ParseLabelTheme(std::string_view text) {
  if (text == "light") return LabelTheme::kLight;
  if (text == "dark") return LabelTheme::kDark;
  return std::nullopt;
}

std::string LabelSvg(const LabelText& text, const ReportLine& line, const Report& report,
                     LabelLanguage language, LabelTheme theme) {
  const Words& words = language == LabelLanguage::kFrench ? kFrench : kEnglish;
  const bool by_tokens = line.per_thousand_tokens.has_value();
  const std::optional<UnitFigures>& figures =
      by_tokens ? line.per_thousand_tokens : line.per_request;
  Drawing drawing(theme);
  const Colours& colours = drawing.colours();
  drawing.Text(16, 38, 20, OneLine(text.name, 26), colours.ink, "font-weight=\"700\"");
  drawing.Text(16, 58, 13, OneLine(text.place, 40), colours.soft);
  drawing.Line(72);
  drawing.Scale(16, 104, words.energy, line.energy_class);
  drawing.Scale(168, 104, words.carbon, line.carbon_class);
  drawing.Line(310);
  if (figures) {
    DrawFigures(*figures, by_tokens ? words.thousand_tokens : words.request, language, drawing);
  } else {
    drawing.Text(16, 338, 13, words.no_class, colours.ink);
  }
  drawing.Line(412);
  const std::string from = DayOf(report.request.from);
  const std::string to = DayOf(report.request.to - Duration(1));
  drawing.Text(16, 432, 11, from + " " + std::string(words.to) + " " + to, colours.soft);
  drawing.Text(16, 449, 11, MeasuredText(line, words, language), colours.soft);
  drawing.Text(16, 466, 11,
               OneLine(report.context.program, 20) + " · " + std::string(words.catalogue) + " " +
                   OneLine(report.context.catalog->version(), 12),
               colours.soft);
  std::string spoken = std::string(words.title) + ": " + Printable(text.name, 600);
  const auto tell = [&](std::string_view name, std::optional<ClassLetter> letter) {
    if (letter) spoken += ", " + std::string(name) + " " + ToLetter(*letter);
  };
  tell(words.energy_class, line.energy_class);
  tell(words.carbon_class, line.carbon_class);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"320\" height=\"482\" viewBox=\"0 0 320 "
         "482\" role=\"img\" font-family=\"system-ui,'Segoe UI','DejaVu Sans',sans-serif\">\n"
         "<title>" +
         EscapeHtml(spoken) +
         "</title>\n<rect x=\"1\" y=\"1\" width=\"318\" height=\"480\" rx=\"12\" fill=\"" +
         std::string(colours.paper) + "\" stroke=\"" + std::string(colours.line) +
         "\" stroke-width=\"2\"/>\n" + drawing.body() + "</svg>\n";
}

}  // namespace sobre
