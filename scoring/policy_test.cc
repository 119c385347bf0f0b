#include "scoring/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/policy_keys.h"

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Policy, PodAnnotationsLieOverTheNamespaces) {
  Policy policy;
  std::vector<std::string> problems;
  ApplyAnnotations({{"objective", "cost"}, {"carbon-price", "250"}}, Origin::kNamespace,
                   "namespace shop", policy, problems);
  ApplyAnnotations(
      {{"objective", "carbon"}, {"requests-per-second", "2"}, {"cost-tolerance", " 5 "}},
      Origin::kPod, "pod", policy, problems);
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_EQ(policy.objective, Objective::kCarbon);
  EXPECT_DOUBLE_EQ(policy.carbon_price.value(), 250);
  EXPECT_DOUBLE_EQ(policy.cost_tolerance.value(), 0.05);
  EXPECT_DOUBLE_EQ(policy.requests->value(), 7200);
}

TEST(Policy, ABadValueChangesNothingAndIsSaid) {
  for (const char* bad : {"0,5", "NaN", "-1", "1e400", "", "10%", "\xf0\x9f\x8c\xb1"}) {
    Policy policy;
    std::vector<std::string> problems;
    ApplyAnnotations({{"cost-tolerance", bad}, {"objective", "carbon"}}, Origin::kPod, "pod",
                     policy, problems);
    EXPECT_THAT(problems, ElementsAre(HasSubstr("pod: sobre.dev/cost-tolerance: '"))) << bad;
    EXPECT_DOUBLE_EQ(policy.cost_tolerance.value(), 0.10) << bad;
    EXPECT_EQ(policy.objective, Objective::kCarbon) << "its neighbour counts";
  }
}

TEST(Policy, ANameThatCannotBeShownIsRefused) {
  for (const std::string& bad :
       {std::string("a\0b", 3), std::string("\x1b[2J"), std::string("\xff"), std::string("a\nb"),
        std::string("\xe2\x80\xae"
                    "b")}) {
    for (const char* const key : {"model", "request-source", "data-region"}) {
      Policy policy;
      std::vector<std::string> problems;
      ApplyAnnotations({{key, "x/" + bad}}, Origin::kPod, "pod", policy, problems);
      EXPECT_THAT(problems, ElementsAre(HasSubstr("control characters"))) << key;
      EXPECT_TRUE(policy.model.empty() && policy.request_source.empty() && !policy.data_region);
    }
    for (const char* const key :
         {"denied-operators", "required-certifications", "allowed-regions"}) {
      Policy policy;
      std::vector<std::string> problems;
      ApplyAnnotations({{key, "own/fine, x/" + bad}}, Origin::kPod, "pod", policy, problems);
      EXPECT_THAT(problems, ElementsAre(HasSubstr("control characters"))) << key;
      EXPECT_EQ(policy.limits.unreadable.size(), 1U) << "a limit fails closed";
    }
  }
  Policy policy;
  std::vector<std::string> problems;
  ApplyAnnotations({{"model", "  modèle 7b\n"}, {"denied-operators", "a,\n  b\n"}}, Origin::kPod,
                   "pod", policy, problems);
  EXPECT_THAT(problems, IsEmpty()) << "white space around names is no matter";
  EXPECT_EQ(policy.model, "modèle 7b");
}

TEST(Policy, OfManyAnnotationsThatCannotBeFollowedAFewAreTold) {
  Annotations many;
  for (int i = 0; i < 10'000; ++i) many.push_back({"zz-" + std::to_string(i), "x"});
  many.push_back({"allowed-countrys", "FR"});
  Policy policy;
  std::vector<std::string> problems;
  ApplyAnnotations(many, Origin::kPod, "pod", policy, problems);
  EXPECT_LE(problems.size(), 30U);
  EXPECT_THAT(problems.back(), HasSubstr("more annotations cannot be followed"));
  EXPECT_FALSE(policy.limits.unreadable.empty()) << "a limit among them still fails closed";

  many.erase(many.begin() + 20, many.end() - 1);
  problems.clear();
  policy = {};
  ApplyAnnotations(many, Origin::kPod, "pod", policy, problems);
  EXPECT_EQ(problems.size(), 21U) << "all are told, so none is counted";
}

TEST(Policy, ATypoGetsAHint) {
  Policy policy;
  std::vector<std::string> problems;
  ApplyAnnotations({{"objectve", "cost"}, {"unit", "requests"}, {"objective", "green"}},
                   Origin::kPod, "pod", policy, problems);
  EXPECT_THAT(
      problems,
      ElementsAre("pod: sobre.dev/objectve: unknown annotation; did you mean 'objective'?",
                  "pod: sobre.dev/unit: 'requests' is none of pod-hour, request, 1k-tokens, run",
                  "pod: sobre.dev/objective: 'green' is none of balanced, carbon, cost, priced"));
  EXPECT_EQ(policy.objective, Objective::kBalanced);
}

TEST(Policy, NamesComeBackAsTheyWent) {
  for (const Objective objective :
       {Objective::kBalanced, Objective::kCarbon, Objective::kCost, Objective::kPriced}) {
    EXPECT_EQ(ParseObjective(ToString(objective)), objective);
  }
}

struct Read {
  Policy policy;
  std::vector<std::string> problems;
};
Read ReadBoth(const Annotations& of_namespace, const Annotations& of_pod) {
  Read read;
  ApplyAnnotations(of_namespace, Origin::kNamespace, "namespace shop", read.policy, read.problems);
  ApplyAnnotations(of_pod, Origin::kPod, "pod", read.policy, read.problems);
  return read;
}

TEST(Limits, SetsStandForTheirCountries) {
  const Read read = ReadBoth({}, {{"allowed-countries", "eea, GB"}});
  EXPECT_EQ(read.policy.limits.countries->size(), 31U);
  EXPECT_EQ(ReadBoth({}, {{"allowed-countries", "EU"}}).policy.limits.countries->size(), 27U);
  EXPECT_THAT(ReadBoth({}, {{"allowed-countries", "UK"}}).problems,
              ElementsAre("pod: sobre.dev/allowed-countries: 'UK' is no country code; did you mean "
                          "'GB'?"));
}

TEST(Limits, ABadOneFailsClosedAndABadPreferenceDoesNot) {
  for (const char* bad : {"0,5", "NaN", "-1", "1e400", "🌍", ""}) {
    const Read limit = ReadBoth({{"max-eur-per-unit", "1"}}, {{"max-eur-per-unit", bad}});
    EXPECT_EQ(limit.policy.limits.unreadable.size(), 1U) << bad;
    const Read preference = ReadBoth({}, {{"cost-tolerance", bad}});
    EXPECT_FALSE(preference.policy.limits.Any()) << bad;
    EXPECT_EQ(preference.problems.size(), 1U) << bad;
  }
  EXPECT_EQ(ReadBoth({}, {{"allowed-countrys", "FR"}}).policy.limits.unreadable.size(), 1U)
      << "whoever misspells a limit wants one";
}

TEST(Limits, AKeyThatNobodyKnowsFailsClosedHoweverFarFromAWord) {
  for (const char* const key :
       {"countries", "country", "regions", "certifications", "exposure", "max-eur", "max-gco2e",
        "forbidden-operators", "operators-denied", "objectiv", "Allowed-Countries", "x", "limits",
        "Sobre.dev/allowed-countries", "SOBRE.DEV/x", ""}) {
    for (const Read& read : {ReadBoth({}, {{key, "FR"}}), ReadBoth({{key, "FR"}}, {})}) {
      EXPECT_EQ(read.policy.limits.unreadable.size(), 1U) << key;
      EXPECT_EQ(read.problems.size(), 1U) << key;
    }
  }
  EXPECT_THAT(ReadBoth({}, {{"Sobre.dev/allowed-countries", "FR"}}).problems,
              ElementsAre("pod: Sobre.dev/allowed-countries: unknown annotation; the prefix is "
                          "sobre.dev/, in lower case"));
  EXPECT_THAT(
      ReadBoth({}, {{"limits", "enabled"}}).problems,
      ElementsAre("pod: sobre.dev/limits: unknown annotation; it is a label of namespaces"));
}

TEST(Limits, AllThatSobreWritesItselfIsKnown) {
  for (const KnownKey& key : KnownKeys()) {
    const Read read = ReadBoth({}, {{std::string(key.name), "no value of any key"}});
    EXPECT_EQ(read.policy.limits.unreadable.size(), key.kind == KeyKind::kLimit ? 1U : 0U)
        << key.name;
    for (const std::string& problem : read.problems)
      EXPECT_THAT(problem, ::testing::Not(HasSubstr("unknown annotation")));
  }
  EXPECT_THAT(ReadBoth({}, {{"config", "0123456789abcdef"}}).problems, IsEmpty());
}

TEST(Limits, APodMayTightenWhatIsEnforcedAndNotLoosenIt) {
  const Annotations enforced = {{"allowed-countries", "FR, SE"},
                                {"max-eur-per-unit", "2"},
                                {"enforced", "allowed-countries, max-eur-per-unit"}};
  const Read loose = ReadBoth(enforced, {{"allowed-countries", "US"}, {"max-eur-per-unit", "3"}});
  EXPECT_EQ(loose.policy.limits.countries, (std::vector<std::string>{"FR", "SE"}));
  EXPECT_EQ(loose.policy.limits.max_euros, EurosPerUnit(2));
  ASSERT_EQ(loose.problems.size(), 2U);
  EXPECT_EQ(
      loose.problems[0],
      "pod: sobre.dev/allowed-countries: 'US' is looser than what the namespace enforces, and "
      "is not followed");
  EXPECT_EQ(loose.policy.OriginOf(PolicyKey::kAllowedCountries).origin, Origin::kNamespace);
  const Read tight = ReadBoth(enforced, {{"allowed-countries", "FR"}, {"max-eur-per-unit", "1"}});
  EXPECT_EQ(tight.policy.limits.countries, std::vector<std::string>{"FR"});
  EXPECT_EQ(tight.policy.limits.max_euros, EurosPerUnit(1));
  EXPECT_TRUE(tight.problems.empty());
  EXPECT_TRUE(tight.policy.OriginOf(PolicyKey::kAllowedCountries).enforced);
  EXPECT_EQ(ReadBoth({{"allowed-countries", "FR"}}, {{"allowed-countries", "US"}})
                .policy.limits.countries,
            std::vector<std::string>{"US"})
      << "not enforced: the nearest voice counts";
}

TEST(Limits, ShadowModeDoesNotLiftEnforcedOnes) {
  const Annotations enforced = {{"allowed-countries", "FR"}, {"enforced", "allowed-countries"}};
  EXPECT_EQ(ReadBoth(enforced, {{"mode", "shadow"}}).policy.mode, Mode::kEnforce);
  EXPECT_EQ(ReadBoth({}, {{"mode", "shadow"}}).policy.mode, Mode::kShadow);
  const Read pod = ReadBoth({}, {{"enforced", "mode"}});
  EXPECT_EQ(pod.problems.size(), 1U) << "a pod enforces nothing";
}

TEST(Deferral, IsReadAsDurationAndTime) {
  const Read read = ReadBoth({}, {{"defer-below-gco2e-per-kwh", "100"},
                                  {"max-delay", "6h"},
                                  {"deadline", "2026-11-24T06:00:00Z"}});
  EXPECT_TRUE(read.problems.empty());
  EXPECT_EQ(read.policy.deferral.below, GramsPerKwh(100));
  EXPECT_EQ(read.policy.deferral.max_delay, std::chrono::hours(6));
}

}  // namespace
}  // namespace sobre
