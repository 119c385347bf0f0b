#include "scoring/limits.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "scoring/analysis.h"
#include "scoring/test_world.h"

namespace sobre {
namespace {

std::shared_ptr<const Catalog> WithCertificates() {
  return CatalogWith(
      {{"certifications.csv",
        "provider,region,scheme,version,scope,issued,expires,checked,source,year,method,licence\n"
        "scaleway,fr-par,HDS,2,hosting,2023-05-16,2026-11-22,2026-01-01,test,2026,reading,own\n"
        "scaleway,nl-ams,HDS,2,hosting,2023-05-16,2026-11-23,2026-01-01,test,2026,reading,own\n"
        "scaleway,pl-waw,HDS,2,hosting,2023-05-16,unknown,2026-01-01,test,2026,reading,own\n"}});
}

// One node, attested to be where its labels say.
std::string RefusalOf(const std::string& provider, const std::string& region,
                      const Annotations& annotations, bool trusted = true) {
  TestWorld world;
  world.Node("n", provider, region).Price("n", 0.4);
  world.input().trust_node_labels = trusted;
  world.input().catalog = WithCertificates();
  const auto snapshot = world.Snapshot();
  PodFacts pod;
  pod.annotations = annotations;
  pod.requests = {2000, 4LL << 30, 0, 0};
  const DecisionRequest request = MakeRequest(pod, {});
  const Decision decision = DecideFor(*snapshot, {"n"}, request);
  const auto refusal = CheckLimits(request, decision, decision.candidates[0], *snapshot);
  return refusal ? refusal->reason : "";
}

TEST(Limits, CountriesRegionsOperatorsAndExposure) {
  EXPECT_EQ(RefusalOf("scaleway", "fr-par", {{"allowed-countries", "EU"}}), "");
  EXPECT_EQ(RefusalOf("aws", "eu-west-2", {{"allowed-countries", "EU"}}),
            "region aws/eu-west-2: country GB is not allowed");
  EXPECT_EQ(RefusalOf("outscale", "eu-west-2", {{"allowed-countries", "FR"}}), "")
      << "the same name is another place at another provider";
  EXPECT_EQ(RefusalOf("aws", "eu-west-3", {{"allowed-regions", "scaleway/fr-par"}}),
            "region aws/eu-west-3 is not allowed");
  EXPECT_EQ(RefusalOf("ovhcloud", "EU-WEST-PAR", {{"allowed-regions", "ovhcloud/Eu-West-Par"}}), "")
      << "case does not count";
  EXPECT_EQ(RefusalOf("aws", "eu-west-3", {{"denied-operators", "Amazon Web Services"}}),
            "region aws/eu-west-3: operator Amazon Web Services is denied");
  EXPECT_EQ(RefusalOf("aws", "eu-west-3", {{"denied-operators", "AWS"}}),
            "region aws/eu-west-3: operator Amazon Web Services is denied");
  EXPECT_EQ(
      RefusalOf("aws", "eu-west-3", {{"max-exposure", "contested"}}),
      "region aws/eu-west-3: exposure to foreign law is exposed, at most contested is allowed");
  EXPECT_EQ(RefusalOf("ovhcloud", "GRA9", {{"max-exposure", "none-attested"}}), "");
}

TEST(Limits, ACertificateCountsThroughItsLastDay) {
  const Annotations hds = {{"required-certifications", "HDS"}};
  EXPECT_EQ(RefusalOf("scaleway", "fr-par", hds),
            "region scaleway/fr-par: certification HDS expired 2026-11-22");
  EXPECT_EQ(RefusalOf("scaleway", "nl-ams", hds), "");
  EXPECT_EQ(RefusalOf("scaleway", "pl-waw", hds),
            "region scaleway/pl-waw: certification HDS has no known date of expiry");
  EXPECT_EQ(RefusalOf("aws", "eu-west-3", hds),
            "region aws/eu-west-3: certification HDS is not known");
}

TEST(Limits, WhatAKubeletCouldSayOfItselfDoesNotCount) {
  EXPECT_EQ(RefusalOf("scaleway", "fr-par", {{"allowed-countries", "FR"}}, false),
            "its region: the country is not attested");
  for (const char* key : {"allowed-regions", "denied-operators"}) {
    EXPECT_NE(RefusalOf("scaleway", "fr-par", {{key, "scaleway/fr-par"}}, false), "") << key;
  }
  EXPECT_NE(RefusalOf("scaleway", "fr-par", {{"max-exposure", "contested"}}, false), "");
  EXPECT_NE(RefusalOf("scaleway", "nl-ams", {{"required-certifications", "HDS"}}, false), "");
}

TEST(Limits, AnUnknownOperatorOrPlaceIsANo) {
  EXPECT_EQ(RefusalOf("onprem", "cellar", {{"allowed-countries", "FR"}}),
            "region onprem/cellar: the country is not attested");
  EXPECT_EQ(RefusalOf("onprem", "cellar", {{"denied-operators", "aws"}}),
            "region onprem/cellar: the operator is not attested");
  EXPECT_EQ(RefusalOf("onprem", "cellar", {{"max-exposure", "exposed"}}),
            "region onprem/cellar: exposure to foreign law is not attested");
}

TEST(Limits, ABudgetIsComparedWithTheReportLedger) {
  TestWorld world;
  world.Node("n", "aws", "eu-west-3").Price("n", 0.4);
  const auto snapshot = world.Snapshot();
  Policy policy;
  policy.requests = UnitsPerHour(3600);
  DecisionRequest request = RequestFor(policy);
  Decision decision = DecideFor(*snapshot, {"n"}, request);
  const ReportFigures report = Attribute(request, decision, decision.candidates[0], *snapshot);
  const double grams = report.total->mid.value() / 3600;
  request.policy.limits.max_grams = GramsPerUnit(grams);
  EXPECT_FALSE(CheckLimits(request, decision, decision.candidates[0], *snapshot));
  request.policy.limits.max_grams = GramsPerUnit(grams * 0.99);
  EXPECT_EQ(CheckLimits(request, decision, decision.candidates[0], *snapshot)->reason,
            FormatSignificant(grams, 6) +
                " gCO2e per request (report ledger) is over the budget of " +
                FormatSignificant(grams * 0.99, 6));
}

TEST(Limits, ABudgetWithoutARateOrAPriceFailsClosed) {
  EXPECT_EQ(RefusalOf("aws", "eu-west-3", {{"max-eur-per-unit", "1"}}),
            "a budget per request, but no rate is known");
  EXPECT_EQ(RefusalOf("aws", "eu-west-3", {{"max-eur-per-unit", "1"}, {"unit", "pod-hour"}}), "");
  EXPECT_EQ(RefusalOf("", "", {{"max-gco2e-per-unit", "1e6"}, {"unit", "pod-hour"}}),
            "gCO2e per pod-hour is unknown: no label names its region, nor its grid zone");
}

TEST(Limits, AnUnreadableOneRefusesEveryNode) {
  EXPECT_EQ(RefusalOf("aws", "eu-west-3", {{"max-eur-per-unit", "0,5"}}),
            "a limit cannot be read: pod: sobre.dev/max-eur-per-unit: '0,5' is not a number from 0 "
            "to 1e+12");
}

// As filter and prioritize together: the first refuses, the second never hears of the refused.
TEST(Limits, ThoseThatPassAreScoredAmongThemselves) {
  TestWorld world;
  world.Node("se", "aws", "eu-north-1").Node("de", "aws", "eu-central-1");
  world.Node("pl", "scaleway", "pl-waw").Node("fr", "aws", "eu-west-3");
  world.Price("se", 0.3).Price("de", 0.5).Price("pl", 0.5).Price("fr", 0.6);
  world.input().trust_node_labels = true;
  const auto snapshot = world.Snapshot();
  Policy policy;
  policy.limits.countries = {"DE", "PL"};
  for (const Objective objective :
       {Objective::kBalanced, Objective::kCarbon, Objective::kCost, Objective::kPriced}) {
    policy.objective = objective;
    const DecisionRequest request = RequestFor(policy);
    const Decision all = DecideFor(*snapshot, {"se", "de", "pl", "fr"}, request);
    const Decision prioritize = DecideFor(*snapshot, {"de", "pl"}, request);
    const AfterLimits after = ApplyLimits(request, all, *snapshot);
    EXPECT_EQ(after.refused, 2U);
    EXPECT_TRUE(after.Refuses(0));
    EXPECT_FALSE(after.Refuses(1));
    ASSERT_EQ(after.Among(all).candidates.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(after.Among(all).candidates[i].node, prioritize.candidates[i].node);
      EXPECT_EQ(after.Among(all).candidates[i].score, prioritize.candidates[i].score);
    }
    EXPECT_EQ(after.Among(all).candidates[*after.Among(all).best].score, 10);
    EXPECT_EQ(after.best_refused, 0U) << "the price of the limits";
  }
}

TEST(Limits, WhereNoneIsRefusedNothingIsJudgedAgain) {
  const auto snapshot = TestWorld().Node("fr", "aws", "eu-west-3").Snapshot();
  const DecisionRequest request = RequestFor({});
  const Decision all = DecideFor(*snapshot, {"fr"}, request);
  const AfterLimits after = ApplyLimits(request, all, *snapshot);
  EXPECT_FALSE(after.again);
  EXPECT_EQ(&after.Among(all), &all);
}

}  // namespace
}  // namespace sobre
