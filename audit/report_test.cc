#include "audit/report.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/report_formats.h"

namespace sobre {
namespace {

using std::chrono::hours;
using testing::HasSubstr;
using testing::Not;

const Timestamp kStart = *ParseTime("2026-05-16T00:00:00Z");

UsageRow Row(int hour, const std::string& workload) {
  UsageRow row;
  row.begin = kStart + hours(hour);
  row.namespace_name = "shop";
  row.workload = workload;
  row.pod = workload + "-0";
  row.node = "fr-1";
  row.provider = "ovhcloud";
  row.region = "GRA9";
  row.country = "FR";
  row.hardware_class = "ice-lake";
  row.pod_hours = 1;
  row.energy_known_hours = 1;
  row.grams_known_hours = 1;
  row.eur_known_hours = 1;
  return row;
}

// Two hours of a shop that answers requests, its database, a language model and a training run.
std::vector<UsageRow> SmallWorld() {
  std::vector<UsageRow> rows;
  UsageRow web = Row(0, "web");
  web.energy_kwh = 0.02;
  web.operational_low_g = 0.8;
  web.operational_g = 1;
  web.operational_high_g = 1.5;
  web.market_g = 0.1;
  web.embodied_low_g = 0.2;
  web.embodied_g = 0.5;
  web.embodied_high_g = 1;
  web.eur = 0.1;
  web.list_eur = 0.125;
  web.requests = 300;
  web.measured_kwh = 0.01;
  web.live_g = 0.25;
  web.mean_candidate_g = 3;
  web.compared_g = 1.5;
  web.mean_candidate_eur = 0.08;
  web.compared_eur = 0.1;
  rows.push_back(web);
  // Idle at night: its energy counts for the requests of the day.
  web.begin += hours(1);
  web.requests = 0;
  rows.push_back(web);
  UsageRow db = Row(0, "db");
  db.energy_kwh = 0.04;
  db.operational_g = 2;
  db.embodied_g = 1;
  db.eur = 0.2;
  rows.push_back(db);
  UsageRow llm = Row(1, "llm");
  llm.namespace_name = "ai";
  llm.model = "llama";
  llm.hardware_class = "H100";
  llm.energy_kwh = 1;
  llm.operational_g = 50;
  llm.embodied_g = 10;
  llm.eur = 3;
  llm.requests = 10000;
  llm.tokens = 4000000;
  rows.push_back(llm);
  UsageRow run = llm;
  run.workload = "train";
  run.is_run = true;
  run.requests = 5;  // of a run: never counted
  run.tokens = 0;
  run.eur = 7;
  rows.push_back(run);
  return rows;
}

Report Of(const std::vector<UsageRow>& rows, const std::string& by,
          const std::optional<DecisionStats>& decisions = std::nullopt, int days = 1) {
  ReportContext context;
  context.made = kStart + hours(2);
  const auto keys = by.empty() ? std::vector<ReportKey>() : *ParseReportKeys(by);
  return MakeReport(rows, decisions, {kStart, kStart + hours(24 * days), keys}, context);
}

const ReportLine& Find(const Report& report, const std::vector<std::string>& names) {
  for (const ReportLine& line : report.groups) {
    if (line.names == names) return line;
  }
  ADD_FAILURE() << "no group " << names[0];
  static const ReportLine none;
  return none;
}

TEST(Report, AdviceStandsInTextAndHtmlWithWhatCameOfIt) {
  Report report = Of(SmallWorld(), "workload");
  EXPECT_THAT(ReportText(report), Not(HasSubstr("Advice")));
  EXPECT_THAT(ReportHtml(report), Not(HasSubstr("Advice")));
  Advice& moved = report.advice.emplace_back();
  moved.state = AdviceState::kMeasured;
  moved.namespace_name = "shop";
  moved.workload = "web<b>";
  moved.from = "aws/eu-central-1";
  moved.to = "scaleway/fr-par";
  moved.note = "by eviction";
  moved.pods = 3;
  moved.moved = 2;
  moved.now_g = 8;
  moved.there_g = 2;
  moved.before_g = 9;
  moved.after_g = 2.5;
  Advice& smaller = report.advice.emplace_back();
  smaller.kind = AdviceKind::kRightsizing;
  smaller.namespace_name = "shop";
  smaller.workload = "db";
  smaller.pods = 1;
  smaller.requested_vcpus = 4;
  smaller.suggested_vcpus = 0.5;
  EXPECT_EQ(AdviceCells(report)[0],
            (std::vector<std::string>{"shop/web<b>", "aws/eu-central-1 to scaleway/fr-par",
                                      "measured", "by eviction", "3", "18.00", "-", "13.00", "-"}));
  EXPECT_EQ(AdviceCells(report)[1], (std::vector<std::string>{"shop/db", "4 to 0.5 vCPU", "open",
                                                              "", "1", "-", "-", "-", "-"}));
  EXPECT_THAT(ReportText(report), HasSubstr("shop/web<b>  aws/eu-central-1 to scaleway/fr-par"));
  EXPECT_THAT(ReportHtml(report), HasSubstr("<td>13.00</td>"));
  EXPECT_THAT(ReportHtml(report), HasSubstr("shop/web&lt;b&gt;"));
}

TEST(Report, ASmallWorldByHand) {
  const Report report = Of(SmallWorld(), "namespace,workload");
  ASSERT_EQ(report.groups.size(), 4u);
  EXPECT_EQ(report.groups[0].names, (std::vector<std::string>{"ai", "llm"}));
  EXPECT_EQ(report.groups[1].names, (std::vector<std::string>{"ai", "train"}));
  EXPECT_EQ(report.groups[2].names, (std::vector<std::string>{"shop", "db"}));
  EXPECT_EQ(report.groups[3].names, (std::vector<std::string>{"shop", "web"}));
  const ReportLine& web = report.groups[3];
  EXPECT_DOUBLE_EQ(web.sum.pod_hours, 2);
  EXPECT_DOUBLE_EQ(*web.energy_kwh, 0.04);
  EXPECT_DOUBLE_EQ(web.operational->low.value(), 1.6);
  EXPECT_DOUBLE_EQ(web.operational->mid.value(), 2);
  EXPECT_DOUBLE_EQ(web.operational->high.value(), 3);
  EXPECT_DOUBLE_EQ(*web.market_g, 0.2);
  EXPECT_DOUBLE_EQ(web.embodied->mid.value(), 1);
  EXPECT_DOUBLE_EQ(web.total->low.value(), 2);
  EXPECT_DOUBLE_EQ(web.total->mid.value(), 3);
  EXPECT_DOUBLE_EQ(web.total->high.value(), 5);
  EXPECT_DOUBLE_EQ(*web.euros, 0.2);
  EXPECT_DOUBLE_EQ(*web.list_euros, 0.25);
  EXPECT_DOUBLE_EQ(*web.per_request->grams, 0.01);  // 3 g over 300 requests
  EXPECT_DOUBLE_EQ(*web.per_request->watt_hours, 40.0 / 300);
  EXPECT_DOUBLE_EQ(*web.per_request->euros, 0.2 / 300);
  EXPECT_FALSE(web.per_thousand_tokens);
  EXPECT_EQ(web.energy_class, ClassLetter::kC);  // 0.133 Wh
  EXPECT_EQ(web.carbon_class, ClassLetter::kA);  // 0.01 g
  EXPECT_DOUBLE_EQ(*web.measured_share, 0.5);
  EXPECT_DOUBLE_EQ(*web.live_share, 0.25);
  EXPECT_DOUBLE_EQ(web.change->grams, -3);
  EXPECT_DOUBLE_EQ(*web.change->grams_share, -0.5);
  EXPECT_NEAR(web.change->euros, 0.04, 1e-12);
  EXPECT_NEAR(*web.change->euros_share, 0.25, 1e-12);

  const ReportLine& llm = report.groups[0];
  EXPECT_DOUBLE_EQ(*llm.per_thousand_tokens->watt_hours, 0.25);
  EXPECT_DOUBLE_EQ(*llm.per_thousand_tokens->grams, 0.015);
  EXPECT_EQ(llm.energy_class, ClassLetter::kB);  // by tokens; 0.1 Wh a request
  EXPECT_EQ(llm.carbon_class, ClassLetter::kA);  // 0.006 g a request

  const ReportLine& train = report.groups[1];
  EXPECT_FALSE(train.per_request);
  EXPECT_EQ(train.sum.requests, 0) << "a run answers none";
  EXPECT_FALSE(train.energy_class);
  EXPECT_FALSE(train.change);
  EXPECT_TRUE(train.has_runs);
  EXPECT_DOUBLE_EQ(train.runs.eur, 7);

  // The database answers no requests, the run is no service.
  EXPECT_FALSE(report.groups[2].per_request);
  EXPECT_DOUBLE_EQ(report.total.per_request->count, 10300);
  EXPECT_DOUBLE_EQ(*report.total.per_request->grams, 63.0 / 10300);
  EXPECT_FALSE(report.total.energy_class) << "a mixture has no class";
  EXPECT_DOUBLE_EQ(report.total.total->mid.value(), 126);
  EXPECT_DOUBLE_EQ(*report.total.euros, 10.4);
}

TEST(Report, RunsAreApartByKindToo) {
  const Report report = Of(SmallWorld(), "kind");
  ASSERT_EQ(report.groups.size(), 2u);
  EXPECT_DOUBLE_EQ(*Find(report, {"run"}).euros, 7);
  EXPECT_FALSE(Find(report, {"run"}).per_request);
  EXPECT_DOUBLE_EQ(*Find(report, {"service"}).euros, 3.4);
}

TEST(Report, OneModelHasAClassThoughManyServeIt) {
  std::vector<UsageRow> rows = SmallWorld();
  UsageRow other = rows[3];
  other.workload = "llm-2";
  rows.push_back(other);
  EXPECT_EQ(Find(Of(rows, "model"), {"llama"}).energy_class, ClassLetter::kB);
  EXPECT_EQ(Find(Of(rows, "namespace"), {"ai"}).energy_class, ClassLetter::kB);
  rows.back().model = "mistral";
  EXPECT_EQ(Find(Of(rows, "namespace"), {"ai"}).energy_class, std::nullopt);
}

TEST(Report, WhatIsUnknownIsAbsentAndSaid) {
  std::vector<UsageRow> rows = SmallWorld();
  for (UsageRow& row : rows) {
    if (row.workload != "web") continue;
    row.grams_known_hours = 0;
    row.operational_low_g = row.operational_g = row.operational_high_g = 0;
    row.embodied_low_g = row.embodied_g = row.embodied_high_g = row.market_g = 0;
  }
  const Report report = Of(rows, "workload");
  const ReportLine& web = Find(report, {"web"});
  EXPECT_FALSE(web.total);
  EXPECT_FALSE(web.market_g);
  EXPECT_FALSE(web.per_request->grams);
  EXPECT_TRUE(web.per_request->watt_hours);
  EXPECT_FALSE(web.carbon_class);
  EXPECT_TRUE(web.energy_class);
  EXPECT_DOUBLE_EQ(*report.total.grams_known_share, 0.6);
  EXPECT_THAT(ReportText(report), HasSubstr("Known of all pod-hours: energy of 100 %, emissions of "
                                            "60 %, costs of 100 %;"));
  EXPECT_THAT(ReportText(Of(SmallWorld(), "workload")), Not(HasSubstr("Known of all")));
  EXPECT_THAT(ReportCsv(report), HasSubstr("web,2,0,0,0,0.04,,,,,,,,,,,"));
  EXPECT_THAT(ReportJson(report), HasSubstr("\"total_location_based\":null"));
}

TEST(Report, RowsOutsideItsTimeAreLeftOut) {
  std::vector<UsageRow> rows = {Row(-1, "web"), Row(0, "web"), Row(23, "web"), Row(24, "web")};
  EXPECT_DOUBLE_EQ(Of(rows, "").total.sum.pod_hours, 2);
}

TEST(Report, WhatDataCoverIsSaid) {
  const std::vector<UsageRow> rows = {Row(2, "web"), Row(3, "web"), Row(3, "db"), Row(5, "web")};
  ReportContext context;
  context.made = kStart + hours(24);
  const Report report =
      MakeReport(rows, std::nullopt, {kStart, kStart + hours(24), {ReportKey::kWorkload}}, context);
  ASSERT_TRUE(report.covered);
  EXPECT_EQ(report.covered->from, rows.front().begin);
  EXPECT_EQ(report.covered->to, rows.back().begin + rows.back().length);
  EXPECT_DOUBLE_EQ(report.covered->hours, 3);
  for (const std::string& text :
       {ReportText(report), ReportHtml(report), ReportJson(report), ReportCsv(report)})
    EXPECT_THAT(text, HasSubstr(FormatTime(report.covered->to)));
  EXPECT_THAT(ReportText(report), HasSubstr("nothing is known of the others"));
}

TEST(Report, HoursAndDaysAreNamedByUtc) {
  std::vector<UsageRow> rows = {Row(13, "web"), Row(0, "db")};
  rows[1].length = hours(24);
  const Report by_hour = Of(rows, "hour");
  EXPECT_DOUBLE_EQ(Find(by_hour, {"2026-05-16T13:00:00Z"}).sum.pod_hours, 1);
  EXPECT_DOUBLE_EQ(Find(by_hour, {"2026-05-16"}).sum.pod_hours, 1);
  EXPECT_EQ(by_hour.step, hours(24));
  ASSERT_EQ(by_hour.timeline.size(), 1u);
  EXPECT_THAT(ReportText(by_hour), HasSubstr("held by the UTC day"));
  EXPECT_DOUBLE_EQ(Find(Of(rows, "day"), {"2026-05-16"}).sum.pod_hours, 2);
  rows.pop_back();
  EXPECT_EQ(Of(rows, "hour").step, hours(1));
}

TEST(Report, KeysAreReadAndTypingErrorsNamed) {
  const auto keys = ParseReportKeys("namespace, day");
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ(*keys, (std::vector<ReportKey>{ReportKey::kNamespace, ReportKey::kDay}));
  EXPECT_THAT(ParseReportKeys("namespace,wokload").status().message(),
              HasSubstr("did you mean 'workload'?"));
  EXPECT_THAT(ParseReportKeys("zebra!").status().message(), HasSubstr("there are namespace, "));
  EXPECT_THAT(ParseReportKeys("").status().message(), HasSubstr("nothing to group by"));
  EXPECT_THAT(ParseReportKeys("pod,pod").status().message(), HasSubstr("stands twice"));
}

TEST(Report, NothingOnRecordIsSaid) {
  const Report report = Of({}, "namespace");
  EXPECT_TRUE(report.groups.empty());
  for (const std::string& text : {ReportText(report), ReportHtml(report), ReportJson(report)})
    EXPECT_THAT(text, HasSubstr("No usage is on record for this time."));
  EXPECT_FALSE(report.covered);
  EXPECT_FALSE(report.total.energy_kwh || report.total.total || report.total.euros);
  EXPECT_THAT(ReportHtml(report), HasSubstr("<dd>no data"));
  EXPECT_THAT(ReportCsv(report), HasSubstr("namespace,pod_hours,"));
}

TEST(Report, DecisionsAreTold) {
  DecisionStats stats;
  stats.decisions = 120;
  stats.outcomes = 110;
  stats.agreed = 99;
  stats.never_bound = 2;
  stats.refusals = {{"max-exposure", 7}, {"max-gco2e-per-unit", 3}};
  stats.certifications = {{"SecNumCloud", 100, 97}, {"HDS", 3000, 2999}, {"ISO 27001", 0, 0}};
  const std::string text = ReportHtml(Of(SmallWorld(), "namespace", stats));
  EXPECT_THAT(text, HasSubstr("120 decisions; of 110 with a known outcome, 90 % ran on a node with "
                              "the best score; 2 were never bound."));
  EXPECT_THAT(text, HasSubstr("Candidates refused: 7 by max-exposure, 3 by max-gco2e-per-unit."));
  EXPECT_THAT(
      text, HasSubstr("97 % of decisions under SecNumCloud ran on qualified offers (97 of 100)."));
  EXPECT_THAT(text, HasSubstr("over 99.9 % of decisions under HDS"));
  EXPECT_THAT(text, Not(HasSubstr("ISO 27001")));
}

TEST(Report, AChangeIsNotASaving) {
  const std::string text = ReportHtml(Of(SmallWorld(), "namespace"));
  EXPECT_THAT(text, HasSubstr("Change in attributed emissions"));
  EXPECT_THAT(text, HasSubstr("(-50 %)"));
  EXPECT_THAT(text, Not(HasSubstr("saved")));
}

TEST(Report, NamesCannotBreakTheFormats) {
  UsageRow row = Row(0, "<script>alert(\"1\")</script>,\n'x'");
  row.model = row.team = row.workload;
  row.requests = 1;
  row.energy_kwh = 1;
  row.operational_g = 1;
  const Report report = Of({row}, "workload,model");
  const std::string html = ReportHtml(report);
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(&quot;1&quot;)"));
  const std::string quoted = "\"<script>alert(\"\"1\"\")</script>,\n'x'\"";
  EXPECT_THAT(ReportCsv(report), HasSubstr("\r\n" + quoted + "," + quoted + ",1,"));
  EXPECT_THAT(FocusCsv({row}, report.request, report.context), HasSubstr("," + quoted + ","));
  EXPECT_THAT(ReportJson(report), HasSubstr("<script>alert(\\\"1\\\")</script>,\\n'x'"));
}

TEST(Report, ANameIsNoFormulaForASpreadsheet) {
  for (const char* const name : {"=1+1", "+x", "-x", "@SUM(A1)", "\tx"}) {
    UsageRow row = Row(0, name);
    const Report report = Of({row}, "workload");
    EXPECT_THAT(ReportCsv(report), HasSubstr("\r\n'" + std::string(name) + ","));
  }
  UsageRow credit = Row(0, "web");
  credit.eur = -2;
  EXPECT_THAT(FocusCsv({credit}, Of({credit}, "workload").request, ReportContext()),
              HasSubstr(",-2,"));
}

TEST(Report, NumbersForPeopleAndForPrograms) {
  EXPECT_EQ(ReadableNumber(0), "0");
  EXPECT_EQ(ReadableNumber(0.0012345), "0.00123");
  EXPECT_EQ(ReadableNumber(1.234), "1.23");
  EXPECT_EQ(ReadableNumber(99.996), "100.0");
  EXPECT_EQ(ReadableNumber(999.96), "1,000");
  EXPECT_EQ(ReadableNumber(1234567.8), "1,234,568");
  EXPECT_EQ(ReadableNumber(-123456), "-123,456");
  EXPECT_EQ(ReadableShare(1), "100 %");
  EXPECT_EQ(ReadableShare(0.99999), "over 99.9 %");
  EXPECT_EQ(ReadableShare(0.00001), "below 0.1 %");
  EXPECT_EQ(ReadableShare(0), "0 %");
  EXPECT_EQ(PlainNumber(1e-7), "0.0000001");
  EXPECT_EQ(PlainNumber(1e21), "1000000000000000000000");
  EXPECT_EQ(PlainNumber(-0.0), "0");
  EXPECT_EQ(PlainNumber(0.1), "0.1");
}

TEST(Report, GramsAreToldInAUnitOfTheirSize) {
  std::vector<UsageRow> rows = SmallWorld();
  EXPECT_EQ(ScaleOf(Of(rows, "pod")).unit, "g");
  rows[0].operational_g = 20000;
  EXPECT_EQ(ScaleOf(Of(rows, "pod")).unit, "kg");
  rows[0].operational_g = 2e7;
  EXPECT_EQ(ScaleOf(Of(rows, "pod")).unit, "t");
}

std::vector<UsageRow> RandomRows(unsigned seed) {
  std::mt19937 dice(seed);
  const auto pick = [&](unsigned sides) { return static_cast<int>(dice() % sides); };
  const auto name = [&](const char* what, unsigned sides) {
    const int which = pick(sides);
    return which == 0 ? std::string() : what + std::to_string(which);
  };
  std::vector<UsageRow> rows;
  for (int i = 0; i < 300; ++i) {
    UsageRow row = Row(pick(72), name("w", 5));
    row.length = pick(10) == 0 ? hours(24) : hours(1);
    row.namespace_name = name("ns", 4);
    row.pod = name("p", 20);
    row.model = name("m", 3);
    row.region = name("r", 3);
    row.node = name("n", 6);
    row.team = name("t", 3);
    row.hardware_class = name("c", 3);
    row.country = name("z", 3);
    row.provider = name("v", 3);
    row.is_run = pick(4) == 0;
    row.energy_kwh = pick(1000) * 0.001;
    row.operational_g = pick(1000);
    row.embodied_g = pick(100) * 0.1;
    row.eur = pick(1000) * 0.01;
    row.requests = pick(3) * 1000;
    row.grams_known_hours = pick(5) == 0 ? 0 : 1;
    rows.push_back(row);
  }
  return rows;
}

void ExpectSumsAreTotals(const Report& report) {
  UsageRow sum;
  UsageRow runs;
  double requests = 0;
  for (const ReportLine& line : report.groups) {
    AddFigures(line.sum, sum);
    AddFigures(line.runs, runs);
    if (line.per_request) requests += line.per_request->count;
  }
  const UsageRow& total = report.total.sum;
  EXPECT_NEAR(sum.pod_hours, total.pod_hours, 1e-9);
  EXPECT_NEAR(sum.energy_kwh, total.energy_kwh, 1e-9);
  EXPECT_NEAR(sum.operational_g, total.operational_g, 1e-6);
  EXPECT_NEAR(sum.embodied_g, total.embodied_g, 1e-6);
  EXPECT_NEAR(sum.eur, total.eur, 1e-9);
  EXPECT_NEAR(sum.grams_known_hours, total.grams_known_hours, 1e-9);
  EXPECT_NEAR(runs.eur, report.total.runs.eur, 1e-9);
  EXPECT_NEAR(requests, report.total.per_request->count, 1e-6);
  double moments = 0;
  for (const ReportMoment& moment : report.timeline) moments += moment.eur;
  EXPECT_NEAR(moments, total.eur, 1e-9);
}

TEST(Report, GroupsSumUpToTheTotalByEveryKey) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    const std::vector<UsageRow> rows = RandomRows(seed);
    const Report by_namespace = Of(rows, "namespace", std::nullopt, 3);
    for (int key = 0; key <= static_cast<int>(ReportKey::kKind); ++key) {
      const std::string name(ToString(static_cast<ReportKey>(key)));
      SCOPED_TRACE(name);
      const Report report = Of(rows, name, std::nullopt, 3);
      EXPECT_GT(report.groups.size(), 1u);
      ExpectSumsAreTotals(report);
      EXPECT_EQ(report.total.sum.eur, by_namespace.total.sum.eur);
      EXPECT_TRUE(std::is_sorted(
          report.groups.begin(), report.groups.end(), [](const ReportLine& a, const ReportLine& b) {
            return a.total && b.total && a.total->mid.value() > b.total->mid.value();
          }));
    }
    ExpectSumsAreTotals(Of(rows, "node,workload,hour,kind", std::nullopt, 3));
    ExpectSumsAreTotals(Of(rows, "", std::nullopt, 3));
  }
}

TEST(Report, PodsSumUpToTheirNamespace) {
  const std::vector<UsageRow> rows = RandomRows(9);
  const Report by_namespace = Of(rows, "namespace");
  const Report by_pod = Of(rows, "namespace,pod");
  for (const ReportLine& whole : by_namespace.groups) {
    UsageRow sum;
    for (const ReportLine& part : by_pod.groups) {
      if (part.names[0] == whole.names[0]) AddFigures(part.sum, sum);
    }
    EXPECT_NEAR(sum.eur, whole.sum.eur, 1e-9);
    EXPECT_NEAR(sum.operational_g, whole.sum.operational_g, 1e-6);
  }
}

TEST(Focus, OneRowAPeriodWorkloadAndNode) {
  std::vector<UsageRow> rows = {Row(0, "web"), Row(0, "web"), Row(0, "web"), Row(1, "web")};
  rows[1].pod = "web-1";
  rows[2].node = "fr-2";
  for (UsageRow& row : rows) row.eur = 0.25;
  const ReportContext context;
  const std::string csv = FocusCsv(rows, {kStart, kStart + hours(24), {}}, context);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4);
  EXPECT_THAT(csv, HasSubstr("AvailabilityZone,BilledCost,BillingAccountId,"));
  EXPECT_THAT(csv, HasSubstr("\r\n,0.5,kubernetes,kubernetes,Cluster,EUR,2026-06-01T00:00:00Z,"
                             "2026-05-01T00:00:00Z,Usage,,"));
}

TEST(Focus, ADecemberEndsInJanuary) {
  UsageRow row = Row(0, "web");
  row.begin = *ParseTime("2026-12-31T23:00:00Z");
  const std::string csv = FocusCsv({row}, {row.begin, row.begin + hours(1), {}}, ReportContext());
  EXPECT_THAT(csv, HasSubstr("EUR,2027-01-01T00:00:00Z,2026-12-01T00:00:00Z,"));
  EXPECT_THAT(csv, HasSubstr("2027-01-01T00:00:00Z,2026-12-31T23:00:00Z,1,Pod-Hours"));
}

}  // namespace
}  // namespace sobre
