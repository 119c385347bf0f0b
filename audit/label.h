#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "audit/report.h"

namespace sobre {

enum class LabelLanguage { kEnglish, kFrench };
enum class LabelTheme { kLight, kDark };
// "en", "fr"; "light", "dark".
std::optional<LabelLanguage> ParseLabelLanguage(std::string_view text);
std::optional<LabelTheme> ParseLabelTheme(std::string_view text);

struct LabelText {
  std::string name;   // of the workload or the model
  std::string place;  // its namespace, or empty
};

// The energy and carbon class of one workload or model as an SVG picture of 320 by 482: two scales
// from A to G, figures per functional unit, the time they are of and how much of the energy is
// measured. Where there is no class it says why. Without style, script or outside reference, so it
// may stand in any page. `line` is of that workload or model alone, `report` the one it is from.
// Pure, safe from any thread.
std::string LabelSvg(const LabelText& text, const ReportLine& line, const Report& report,
                     LabelLanguage language, LabelTheme theme);

}  // namespace sobre
