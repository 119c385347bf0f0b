#include "audit/label.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Report ReportOfNovember() {
  Report report;
  report.context.program = "sobre 0.1.0";
  report.request.from = *ParseTime("2026-11-01");
  report.request.to = *ParseTime("2026-11-25");
  return report;
}

ReportLine Served() {
  ReportLine line;
  line.per_request = UnitFigures{1000, 0.21, 0.0123, 0.00004};
  line.energy_class = ClassLetter::kC;
  line.carbon_class = ClassLetter::kB;
  line.measured_share = 0.92;
  return line;
}

TEST(Label, TellsClassesFiguresAndTime) {
  const std::string svg = LabelSvg({"checkout", "shop"}, Served(), ReportOfNovember(),
                                   LabelLanguage::kEnglish, LabelTheme::kLight);
  EXPECT_THAT(svg, HasSubstr("<title>Energy and carbon label: checkout, energy class C, carbon "
                             "class B</title>"));
  EXPECT_THAT(svg, HasSubstr(">0.0123</text>"));
  EXPECT_THAT(svg, HasSubstr("per request"));
  EXPECT_THAT(svg, HasSubstr("2026-11-01 to 2026-11-24"));
  EXPECT_THAT(svg, HasSubstr("92 % of the energy measured"));
  EXPECT_THAT(svg, Not(HasSubstr("style")));
}

TEST(Label, IsPerTokensWhereThereAreSome) {
  ReportLine line = Served();
  line.per_thousand_tokens = UnitFigures{50, 1.5, std::nullopt, 0.001};
  const std::string svg =
      LabelSvg({"llama", ""}, line, ReportOfNovember(), LabelLanguage::kFrench, LabelTheme::kDark);
  EXPECT_THAT(svg, HasSubstr("pour 1 000 jetons"));
  EXPECT_THAT(svg, HasSubstr(">1,5</text>"));
  EXPECT_THAT(svg, HasSubstr(">–</text>"));
}

TEST(Label, SaysWhyThereIsNone) {
  const std::string svg = LabelSvg({"batch", "shop"}, ReportLine{}, ReportOfNovember(),
                                   LabelLanguage::kEnglish, LabelTheme::kLight);
  EXPECT_THAT(svg, HasSubstr("No requests or tokens were counted"));
  EXPECT_THAT(svg, HasSubstr("energy estimated"));
  EXPECT_THAT(svg, Not(HasSubstr("energy class")));
}

TEST(Label, EscapesAndShortensNames) {
  const std::string svg =
      LabelSvg({"<script>&\"a-name-that-is-far-too-long-for-one-line", "a&b"}, Served(),
               ReportOfNovember(), LabelLanguage::kEnglish, LabelTheme::kLight);
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;&amp;"));
  EXPECT_THAT(svg, HasSubstr("…"));
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
}

TEST(Label, ReadsItsOptions) {
  EXPECT_EQ(ParseLabelLanguage("fr"), LabelLanguage::kFrench);
  EXPECT_EQ(ParseLabelLanguage("de"), std::nullopt);
  EXPECT_EQ(ParseLabelTheme("dark"), LabelTheme::kDark);
  EXPECT_EQ(ParseLabelTheme(""), std::nullopt);
}

}  // namespace
}  // namespace sobre
