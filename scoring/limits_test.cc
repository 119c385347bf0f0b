#include "scoring/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "scoring/analysis.h"
#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

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

// Attested to be the operator's.
NodeRecord OperatedBy(const std::string& name, const std::string& provider = "") {
  NodeRecord node;
  node.sovereignty.operator_name = name;
  node.sovereignty.provider = provider;
  return node;
}
bool Denies(const std::string& denied, const NodeRecord& node) {
  const auto snapshot = TestWorld().Snapshot();
  Limits limits;
  limits.denied_operators = {denied};
  EXPECT_THAT(UnknownNames(limits, *snapshot), ::testing::IsEmpty()) << denied;
  return CheckPlaceLimits(limits, node, *snapshot).has_value();
}

TEST(Limits, AnOperatorIsDeniedUnderAllItsNamesAndWithItsOwners) {
  const NodeRecord aws = OperatedBy("Amazon Web Services", "aws");
  const NodeRecord esc = OperatedBy("AWS European Sovereign Cloud", "aws");
  const NodeRecord gcp = OperatedBy("Google Cloud", "gcp");
  const NodeRecord azure = OperatedBy("Microsoft", "azure");
  for (const char* const name : {"aws", "AWS", "Amazon", "amazon.com", "Amazon Web Services",
                                 "Amazon Web Services EMEA SARL", "AMAZON-WEB-SERVICES"}) {
    EXPECT_TRUE(Denies(name, aws)) << name;
    EXPECT_TRUE(Denies(name, esc)) << name << ": it belongs to them";
    EXPECT_FALSE(Denies(name, gcp)) << name;
  }
  EXPECT_TRUE(Denies("AWS ESC", esc));
  EXPECT_FALSE(Denies("AWS ESC", OperatedBy("Amazon Web Services")))
      << "a subsidiary says nothing of its owner";
  for (const char* const name :
       {"Google", "gcp", "Google Cloud Platform", "Alphabet", "Google LLC"})
    EXPECT_TRUE(Denies(name, gcp)) << name;
  for (const char* const name : {"azure", "Microsoft Azure", "Microsoft Corporation"})
    EXPECT_TRUE(Denies(name, azure)) << name;
  EXPECT_TRUE(Denies("Thales", OperatedBy("S3NS", "s3ns")));
  EXPECT_FALSE(Denies("Google", OperatedBy("S3NS", "s3ns")));
  EXPECT_TRUE(Denies("Orange", OperatedBy("Bleu", "bleu")));
  EXPECT_TRUE(Denies("Capgemini", OperatedBy("Bleu", "bleu")));
  EXPECT_TRUE(Denies("Dassault Systèmes", OperatedBy("3DS_OUTSCALE")));
  EXPECT_TRUE(Denies("Google", OperatedBy("Google_Cloud"))) << "a label holds no spaces";
  const auto snapshot = TestWorld().Snapshot();
  Limits limits;
  limits.denied_operators = {"Alphabet"};
  EXPECT_EQ(CheckPlaceLimits(limits, gcp, *snapshot)->reason,
            "its region: operator Google Cloud is denied, as it belongs to Alphabet");
}

TEST(Limits, ANameThatNobodyKnowsFailsClosed) {
  for (const char* const name : {"Gogle", "[aws]", "aws;azure", "aws azure", "*", "US", "ＡＷＳ",
                                 "\u00a0aws", "none", "Amazon Web Service Limited Liability"}) {
    const std::string reason = RefusalOf("scaleway", "fr-par", {{"denied-operators", name}});
    EXPECT_THAT(reason,
                StartsWith("a limit cannot be read: pod: sobre.dev/denied-operators: nobody "
                           "knows the operator '"))
        << name;
  }
  EXPECT_EQ(RefusalOf("scaleway", "fr-par", {{"denied-operators", "aws, Gogle"}}),
            "a limit cannot be read: pod: sobre.dev/denied-operators: nobody knows the operator "
            "'Gogle'; did you mean 'Google'?");
  EXPECT_THAT(RefusalOf("scaleway", "fr-par", {{"allowed-countries", "FR,QQ"}}),
              HasSubstr("nobody knows the country 'QQ'"));
  EXPECT_THAT(RefusalOf("scaleway", "fr-par", {{"required-certifications", "HSD"}}),
              HasSubstr("nobody knows the certification 'HSD'; did you mean 'HDS'?"));
  EXPECT_THAT(
      RefusalOf("scaleway", "fr-par", {{"allowed-regions", "scaleway/fr-pra"}}),
      HasSubstr("nobody knows the region 'scaleway/fr-pra'; did you mean 'scaleway/fr-par'"));
  EXPECT_THAT(RefusalOf("scaleway", "fr-par", {{"denied-operators", "xxxxxxxxxxxx"}}),
              HasSubstr("a row of operators.csv in catalog.directory makes it known"));
}

TEST(Limits, ANameIsKnownByARowOrByANodesLabel) {
  EXPECT_EQ(RefusalOf("scaleway", "fr-par", {{"denied-operators", "Hetzner, OVH SAS"}}), "");
  EXPECT_EQ(RefusalOf("scaleway", "fr-par", {{"required-certifications", "hds"}}),
            "region scaleway/fr-par: certification hds expired 2026-11-22");
  EXPECT_EQ(RefusalOf("scaleway", "fr-par", {{"allowed-countries", "LI,VA,FR"}}), "")
      << "a country without a grid is a country";
  EXPECT_EQ(RefusalOf("Scaleway", "FR-PAR", {{"allowed-regions", "SCALEWAY/fr-Par"}}), "");
  EXPECT_EQ(RefusalOf("ovhcloud", "GRA9", {{"allowed-regions", "ovhcloud/gra9"}}), "");
  EXPECT_EQ(RefusalOf("onprem", "cellar", {{"allowed-regions", "onprem/cellar"}}), "")
      << "a node is there";
  NodeFacts own;
  own.name = "own";
  own.allocatable = TestWorld::Standard();
  own.attested.operator_name = "Chez_Nous";
  own.attested.certifications = {"C5"};
  own.attested.country = "XK";
  const auto snapshot = TestWorld().Node(own).Snapshot();
  Limits limits;
  limits.denied_operators = {"chez nous"};
  EXPECT_TRUE(CheckPlaceLimits(limits, snapshot->nodes()[0], *snapshot)
                  ->reason.ends_with("operator Chez_Nous is denied"));
  limits = {};
  limits.certifications = {"C5"};
  limits.countries = {"XK"};
  EXPECT_FALSE(CheckPlaceLimits(limits, snapshot->nodes()[0], *snapshot));
  // A label that a kubelet can set itself makes no name known.
  TestWorld untrusted;
  untrusted.Node("n", "gogle", "somewhere");
  limits = {};
  limits.denied_operators = {"gogle"};
  EXPECT_THAT(UnknownNames(limits, *untrusted.Snapshot()), ElementsAre(HasSubstr("'gogle'")));
}

TEST(Limits, OfManyNamesThatNobodyKnowsAFewAreTold) {
  Limits limits;
  for (int i = 0; i < 300; ++i) {
    const std::string number = std::to_string(i);
    for (const auto& [key, name] : {std::pair(PolicyKey::kAllowedRegions, "nowhere/" + number),
                                    std::pair(PolicyKey::kDeniedOperators, "nobody " + number)}) {
      LimitSource source{key, Origin::kPod, false, name, {name}};
      limits.sources.push_back(source);
    }
  }
  const auto snapshot = TestWorld().Snapshot();
  EXPECT_EQ(UnknownNames(limits, *snapshot).size(), 20U);
  EXPECT_EQ(UnknownNames(limits, *snapshot, 1).size(), 1U);
}

TEST(Limits, ADeniedProviderIsNotToldAsTheOperator) {
  const auto snapshot = TestWorld().Snapshot();
  Limits limits;
  limits.denied_operators = {"AWS"};
  const auto refusal = CheckPlaceLimits(limits, OperatedBy("Scaleway", "aws"), *snapshot);
  ASSERT_TRUE(refusal);
  EXPECT_THAT(refusal->reason, HasSubstr("provider aws is denied"));
  EXPECT_TRUE(Denies("Aliyun", OperatedBy("Scaleway", "alibaba")));
}

TEST(Limits, RowsOfOnesOwnNameOperators) {
  const std::string header = "name,relation,of,source,year,method,licence\n";
  const auto load = [&](const std::string& rows) {
    const auto files = std::make_shared<std::string>(header + rows);
    return CatalogWith({{"operators.csv", *files}});
  };
  TestWorld world;
  world.input().catalog = load(
      "Old Name,alias,New Name,own,2026,own,own\n"
      "New Name,owned by,Big Holding,own,2026,own,own\n"
      "Scaleway SAS,owned by,Far Holding,own,2026,own,own\n");
  const auto snapshot = world.Snapshot();
  Limits limits;
  limits.denied_operators = {"far holding"};
  EXPECT_TRUE(CheckPlaceLimits(limits, OperatedBy("Scaleway"), *snapshot)) << "by an alias of it";
  limits.denied_operators = {"big holding"};
  EXPECT_TRUE(CheckPlaceLimits(limits, OperatedBy("old-name"), *snapshot));
  EXPECT_FALSE(CheckPlaceLimits(limits, OperatedBy("Scaleway"), *snapshot));
  const auto refused = [&](const std::string& rows) {
    const std::string text = header + rows;
    const std::array<EmbeddedFile, 1> files = {{{"operators.csv", text}}};
    return Catalog::Load(files).status().message();
  };
  EXPECT_THAT(refused("A,alias,B,own,2026,own,own\nB,alias,A,own,2026,own,own\n"),
              HasSubstr("leads back to itself"));
  EXPECT_THAT(refused("A,is,B,own,2026,own,own\n"), HasSubstr("neither alias nor owned by"));
}

TEST(Limits, ThatHaveNothingInCommonNameBothVoices) {
  TestWorld world;
  world.Node("n", "scaleway", "fr-par").Node("m", "aws", "eu-north-1");
  world.input().trust_node_labels = true;
  const auto snapshot = world.Snapshot();
  PodFacts pod;
  pod.annotations = {{"allowed-countries", "FR"}};
  const DecisionRequest request = MakeRequest(
      pod, MakeNamespacePolicy(
               "shop", {{"allowed-countries", "SE"}, {"enforced", "allowed-countries"}}, {}));
  const Decision decision = DecideFor(*snapshot, {"n", "m"}, request);
  for (const Candidate& candidate : decision.candidates) {
    EXPECT_EQ(CheckLimits(request, decision, candidate, *snapshot)->reason,
              "allowed-countries: nothing is allowed by all of the namespace ('SE', enforced) and "
              "the pod ('FR')");
  }
}

// What the namespace enforces, and what the pod says of itself.
std::string BudgetRefusal(const Annotations& of_namespace, const Annotations& of_pod,
                          std::optional<double> measured = {}) {
  TestWorld world;
  world.Node("n", "aws", "eu-west-3").Price("n", 0.4);
  if (measured) {
    Observation seen;
    seen.signal = Signal::kWorkloadRequests;
    seen.namespace_name = "shop";
    seen.workload = "web";
    seen.value = *measured;
    seen.time = TestWorld::kTime;
    seen.source = "test";
    world.input().observations.push_back(seen);
  }
  const auto snapshot = world.Snapshot();
  PodFacts pod;
  pod.namespace_name = "shop";
  pod.workload = "web";
  pod.annotations = of_pod;
  pod.requests = {2000, 4LL << 30, 0, 0};
  const DecisionRequest request = MakeRequest(pod, MakeNamespacePolicy("shop", of_namespace, {}));
  const Decision decision = DecideFor(*snapshot, {"n"}, request);
  LimitCheck check(request.policy.InForce(), request, decision, *snapshot);
  const auto refusal = check.Of(decision.candidates[0]);
  return refusal ? refusal->reason : "";
}

TEST(Limits, AnEnforcedBudgetIsNotLoosenedByWhatThePodSays) {
  // The pod takes about 0.1 euros an hour.
  const Annotations by_hour = {
      {"max-eur-per-unit", "0.01"}, {"unit", "pod-hour"}, {"enforced", "max-eur-per-unit"}};
  EXPECT_THAT(BudgetRefusal(by_hour, {{"unit", "request"}, {"requests-per-second", "1000"}}),
              HasSubstr("EUR per pod-hour (report ledger) is over the budget of 0.01 (namespace, "
                        "enforced)"));
  EXPECT_THAT(BudgetRefusal(by_hour, {{"unit", "1k-tokens"}, {"tokens-per-second", "1e9"}}),
              HasSubstr("EUR per pod-hour"));
  for (const char* const mode : {"shadow", "off"})
    EXPECT_THAT(BudgetRefusal(by_hour, {{"mode", mode}}), HasSubstr("is over the budget")) << mode;
  const Annotations by_request = {{"max-eur-per-unit", "1e-6"}, {"enforced", "max-eur-per-unit"}};
  EXPECT_EQ(
      BudgetRefusal(by_request, {{"requests-per-second", "1e9"}}),
      "a budget per request (namespace, enforced), but no rate is known that counts: what the "
      "pod states does not");
  Annotations with_rate = by_request;
  with_rate.push_back({"requests-per-second", "10"});
  EXPECT_THAT(BudgetRefusal(with_rate, {{"requests-per-second", "1e9"}}),
              HasSubstr("(report ledger, without what the pod states) is over the budget of"));
  EXPECT_THAT(BudgetRefusal(by_request, {{"requests-per-second", "1e9"}}, 10),
              HasSubstr("without what the pod states"))
      << "a measured rate counts";
  with_rate.back().value = "1000";
  EXPECT_EQ(BudgetRefusal(with_rate, {}), "") << "what the namespace states counts";
  EXPECT_EQ(BudgetRefusal(by_request, {}, 1000), "");
  EXPECT_THAT(BudgetRefusal(with_rate, {{"requests-per-second", "1"}}),
              HasSubstr("is over the budget"))
      << "by the pod's own word it costs more";
}

TEST(Limits, AnEnforcedBudgetOfGramsIsJudgedAtNoLessThanTheUsualUse) {
  const auto grams = [&](const Annotations& of_pod, const char* most) {
    return BudgetRefusal(
        {{"max-gco2e-per-unit", most}, {"unit", "pod-hour"}, {"enforced", "max-gco2e-per-unit"}},
        of_pod);
  };
  // Between what an idle pod and a busy one answer for.
  const std::string busy = grams({}, "0");
  ASSERT_THAT(busy, HasSubstr("gCO2e per pod-hour"));
  const std::string most = busy.substr(0, busy.find(' '));
  const std::string less = FormatNumber(*ParseNumber(most) * 0.99);
  EXPECT_EQ(grams({}, FormatNumber(*ParseNumber(most) * 1.01).c_str()), "");
  EXPECT_THAT(grams({{"expected-utilization", "0"}}, less.c_str()),
              HasSubstr("without what the pod states"));
  EXPECT_THAT(grams({{"expected-utilization", "1"}}, most.c_str()),
              HasSubstr("is over the budget"));
}

TEST(Limits, APodsOwnBudgetCountsInItsOwnUnit) {
  const Annotations loose = {
      {"max-eur-per-unit", "5"}, {"unit", "pod-hour"}, {"enforced", "max-eur-per-unit"}};
  EXPECT_EQ(BudgetRefusal(loose, {{"unit", "request"},
                                  {"requests-per-second", "1000"},
                                  {"max-eur-per-unit", "1e-6"}}),
            "");
  EXPECT_THAT(
      BudgetRefusal(
          loose, {{"unit", "request"}, {"requests-per-second", "1"}, {"max-eur-per-unit", "1e-6"}}),
      HasSubstr("EUR per request (report ledger) is over the budget of 0.000001"));
}

TEST(Limits, TheRefusedScoreZeroAndTheOthersAsAmongThemselves) {
  TestWorld world;
  world.Node("fr", "aws", "eu-west-3")
      .Node("fr2", "aws", "eu-west-3")
      .Node("de", "aws", "eu-central-1");
  world.Price("fr", 0.4).Price("fr2", 0.4).Price("de", 0.4);
  const auto snapshot = world.Snapshot();
  const DecisionRequest request = RequestFor({});
  Decision decision = DecideFor(*snapshot, {"fr", "fr2", "de", "stranger"}, request);
  const Decision among = DecideFor(*snapshot, {"fr2", "de"}, request);
  ScoreRefusedZero(request, *snapshot, {Refusal{"no"}, std::nullopt, std::nullopt, Refusal{"no"}},
                   decision);
  EXPECT_EQ(decision.ScoreOf(0), 0);
  EXPECT_EQ(decision.ScoreOf(1), among.ScoreOf(0)) << "alike, and not refused";
  EXPECT_EQ(decision.ScoreOf(2), among.ScoreOf(1));
  EXPECT_EQ(decision.candidates[0].score, 0);
  EXPECT_EQ(decision.candidates[1].score, among.ScoreOf(0));
  EXPECT_EQ(decision.best, 1U);
  EXPECT_EQ(decision.unknown_candidates, 1);
}

TEST(Limits, ARefusedNodeSetsNoScaleForTheOthers) {
  TestWorld world;
  world.Node("se", "aws", "eu-north-1").Node("de", "aws", "eu-central-1");
  const auto snapshot = world.Snapshot();
  const DecisionRequest request = RequestFor({});
  Decision decision = DecideFor(*snapshot, {"se", "de"}, request);
  ASSERT_LT(decision.ScoreOf(1), 10);
  ScoreRefusedZero(request, *snapshot, {Refusal{"no"}, std::nullopt}, decision);
  EXPECT_EQ(decision.ScoreOf(1), 10);
  ScoreRefusedZero(request, *snapshot, {Refusal{"no"}, Refusal{"no"}}, decision);
  EXPECT_EQ(decision.ScoreOf(0) + decision.ScoreOf(1), 0);
  EXPECT_FALSE(decision.best);
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
            "region scaleway/pl-waw: certification HDS has no known date of expiry: attest it by a "
            "row of certifications.csv in catalog.directory, or by the node's label "
            "node-restriction.kubernetes.io/sobre-certifications");
  EXPECT_THAT(RefusalOf("aws", "eu-west-3", hds),
              StartsWith("region aws/eu-west-3: certification HDS is not known: attest it by"));
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
  request.policy.limits.max_grams = {{GramsPerUnit(grams)}};
  EXPECT_FALSE(CheckLimits(request, decision, decision.candidates[0], *snapshot));
  request.policy.limits.max_grams = {{GramsPerUnit(grams * 0.99)}};
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
