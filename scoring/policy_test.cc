#include "scoring/policy.h"

#include <array>

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

  many.erase(many.begin() + 19, many.end() - 1);
  problems.clear();
  policy = {};
  ApplyAnnotations(many, Origin::kPod, "pod", policy, problems);
  EXPECT_EQ(problems.size(), 20U) << "all are told, so none is counted";
  EXPECT_EQ(policy.limits.unreadable.size(), 20U);
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
    const Read read = ReadBoth({}, {{std::string(key.name), "\x01"}});
    EXPECT_EQ(read.policy.limits.unreadable.size(), key.kind == KeyKind::kLimit ? 1U : 0U)
        << key.name;
    for (const std::string& problem : read.problems)
      EXPECT_THAT(problem, ::testing::Not(HasSubstr("unknown annotation")));
  }
  EXPECT_THAT(ReadBoth({}, {{"config", "0123456789abcdef"}}).problems, IsEmpty());
}

using Names = std::vector<std::string>;

TEST(Limits, OfAllVoicesHold) {
  for (const bool enforced : {false, true}) {
    Annotations of_namespace = {
        {"allowed-countries", "SE,NL"}, {"allowed-regions", "aws/eu-north-1, aws/eu-west-3"},
        {"denied-operators", "aws"},    {"required-certifications", "HDS"},
        {"max-exposure", "contested"},  {"max-eur-per-unit", "2"}};
    if (enforced) {
      of_namespace.push_back({"enforced",
                              "allowed-countries,allowed-regions,denied-operators,"
                              "required-certifications,max-exposure,max-eur-per-unit"});
    }
    const Read read =
        ReadBoth(of_namespace, {{"allowed-countries", "BE,NL"},
                                {"allowed-regions", "AWS/EU-West-3, gcp/europe-west9"},
                                {"denied-operators", "Google"},
                                {"required-certifications", "SecNumCloud"},
                                {"max-exposure", "exposed"},
                                {"max-eur-per-unit", "3"}});
    const Limits& limits = read.policy.limits;
    EXPECT_EQ(limits.countries, Names{"NL"});
    EXPECT_EQ(limits.regions, Names{"aws/eu-west-3"});
    EXPECT_EQ(limits.denied_operators, (Names{"Google", "aws"}));
    EXPECT_EQ(limits.certifications, (Names{"HDS", "SecNumCloud"}));
    EXPECT_EQ(limits.max_exposure, Exposure::kContested);
    ASSERT_EQ(limits.max_euros.size(), 2U) << "each is judged";
    EXPECT_EQ(limits.max_euros[0].most, EurosPerUnit(2));
    EXPECT_EQ(limits.max_euros[0].enforced, enforced);
    EXPECT_FALSE(limits.max_euros[1].enforced);
    EXPECT_EQ(limits.sources.size(), 12U);
    EXPECT_EQ(read.policy.enforced.Any(), enforced);
    const std::string says = enforced ? "enforces" : "says";
    EXPECT_THAT(read.problems,
                ::testing::UnorderedElementsAre(
                    "pod: sobre.dev/allowed-countries: 'BE,NL' is looser than what the namespace " +
                        says + " ('SE,NL'): the tighter holds",
                    HasSubstr("sobre.dev/allowed-regions"), HasSubstr("sobre.dev/max-exposure"),
                    HasSubstr("sobre.dev/max-eur-per-unit")));
  }
}

TEST(Limits, WhatIsTightenedIsNoProblem) {
  const Read tight = ReadBoth({{"allowed-countries", "FR, SE"},
                               {"max-eur-per-unit", "2"},
                               {"enforced", "allowed-countries, max-eur-per-unit"}},
                              {{"allowed-countries", "FR"}, {"max-eur-per-unit", "1"}});
  EXPECT_EQ(tight.policy.limits.countries, Names{"FR"});
  EXPECT_EQ(tight.policy.enforced.countries, (Names{"FR", "SE"}));
  EXPECT_THAT(tight.problems, IsEmpty());
  EXPECT_TRUE(tight.policy.OriginOf(PolicyKey::kAllowedCountries).enforced);
}

TEST(Limits, ThatHaveNothingInCommonAreToldOfBothVoices) {
  const Read read = ReadBoth({{"allowed-countries", "FR"}}, {{"allowed-countries", "US"}});
  EXPECT_EQ(read.policy.limits.countries, Names{});
  EXPECT_TRUE(read.policy.limits.Any());
  EXPECT_THAT(read.problems,
              ElementsAre("pod: sobre.dev/allowed-countries: 'US' and what the namespace says "
                          "('FR') have nothing in common: no node can keep both"));
}

TEST(Limits, ThreeVoicesTightenEachOther) {
  Policy policy;
  std::vector<std::string> problems;
  ApplyAnnotations({{"allowed-countries", "EU"}, {"enforced", "allowed-countries"}},
                   Origin::kCluster, "cluster", policy, problems);
  ApplyAnnotations({{"allowed-countries", "FR,DE"}}, Origin::kNamespace, "namespace shop", policy,
                   problems);
  ApplyAnnotations({{"allowed-countries", "DE,PL"}}, Origin::kPod, "pod", policy, problems);
  EXPECT_EQ(policy.limits.countries, Names{"DE"});
  EXPECT_EQ(policy.enforced.countries->size(), 27U) << "the cluster's alone is enforced";
  EXPECT_EQ(policy.limits.sources.size(), 3U);
}

// A mode says nothing of enforced limits, whoever says it, and in whatever order.
TEST(Limits, NoModeLiftsEnforcedOnes) {
  const Annotations limit = {{"allowed-countries", "FR"}};
  const Annotation enforced = {"enforced", "allowed-countries"};
  for (const char* const mode : {"shadow", "off"}) {
    const Annotation off = {"mode", mode};
    for (int order = 0; order < 2; ++order) {
      // Said by the cluster, the namespace or the pod; enforced by the cluster or the namespace.
      for (int voice = 0; voice < 3; ++voice) {
        for (int enforcer = 0; enforcer < 2; ++enforcer) {
          std::array<Annotations, 3> said;
          auto& by_enforcer = said[static_cast<std::size_t>(enforcer)];
          by_enforcer = limit;
          by_enforcer.push_back(enforced);
          auto& by_voice = said[static_cast<std::size_t>(voice)];
          by_voice.insert(order == 0 ? by_voice.begin() : by_voice.end(), off);
          said[2].push_back({"max-exposure", "contested"});
          Policy policy;
          std::vector<std::string> problems;
          for (std::size_t i = 0; i < said.size(); ++i)
            ApplyAnnotations(said[i], static_cast<Origin>(i + 1), "x", policy, problems);
          EXPECT_NE(policy.mode, Mode::kEnforce);
          EXPECT_EQ(policy.InForce().countries, Names{"FR"}) << voice << enforcer << order;
          EXPECT_FALSE(policy.InForce().max_exposure) << "the pod's own is lifted";
          EXPECT_THAT(problems, IsEmpty());
        }
      }
    }
  }
  EXPECT_FALSE(
      ReadBoth({}, {{"mode", "shadow"}, {"allowed-countries", "FR"}}).policy.InForce().Any());
  const Read pod = ReadBoth({}, {{"enforced", "mode"}});
  EXPECT_THAT(pod.problems, ElementsAre(HasSubstr("only a namespace or the cluster can enforce")));
}

TEST(Limits, AnEnforcedOneThatCannotBeReadRefusesInEveryMode) {
  const Read limit = ReadBoth(
      {{"mode", "off"}, {"allowed-countries", "France"}, {"enforced", "allowed-countries"}}, {});
  EXPECT_EQ(limit.policy.InForce().unreadable.size(), 1U);
  const Read list = ReadBoth({{"mode", "off"}, {"enforced", "allowed-contries,max-exposure"}}, {});
  EXPECT_THAT(list.policy.InForce().unreadable,
              ElementsAre("namespace shop: sobre.dev/enforced: 'allowed-contries' is no key; did "
                          "you mean 'allowed-countries'?"));
  EXPECT_TRUE(list.policy.OriginOf(PolicyKey::kMaxExposure).enforced) << "its neighbour counts";
  // The word for it, or the limit beside it, is misspelt.
  for (const Annotations& said :
       {Annotations{{"allowed-countries", "DE"}, {"enforce", "allowed-countries"}},
        Annotations{{"allowed-contries", "DE"}, {"enforced", "allowed-countries"}}})
    EXPECT_EQ(ReadBoth(said, {{"mode", "off"}}).policy.InForce().unreadable.size(), 1U);
  EXPECT_TRUE(ReadBoth({{"mode", "shadow"}, {"objectiv", "carbon"}}, {})
                  .policy.InForce()
                  .unreadable.empty())
      << "nothing was to be enforced";
  const Read own = ReadBoth({{"allowed-countries", "FR"}, {"enforced", "allowed-countries"}},
                            {{"allowed-countries", "France"}});
  EXPECT_EQ(own.policy.limits.unreadable.size(), 1U) << "the pod wants a limit too";
  EXPECT_TRUE(own.policy.enforced.unreadable.empty());
}

TEST(Policy, AnEnforcedPreferenceStandsAndMayBeRepeated) {
  const Annotations enforced = {{"objective", "carbon"},
                                {"cost-tolerance", "5"},
                                {"enforced", "objective, cost-tolerance, deadline"}};
  const Read same = ReadBoth(enforced, {{"objective", "carbon"}, {"cost-tolerance", " 5.0 "}});
  EXPECT_THAT(same.problems, IsEmpty());
  const Read other = ReadBoth(
      enforced,
      {{"objective", "cost"}, {"deadline", "2026-11-24T06:00:00Z"}, {"cost-tolerance", "five"}});
  EXPECT_EQ(other.policy.objective, Objective::kCarbon);
  EXPECT_FALSE(other.policy.deferral.deadline);
  EXPECT_THAT(
      other.problems,
      ElementsAre("pod: sobre.dev/objective: 'cost' is not what the namespace enforces, and "
                  "is not followed",
                  HasSubstr("sobre.dev/deadline"),
                  "pod: sobre.dev/cost-tolerance: 'five' is not a number from 0 to 1000"));
}

TEST(Limits, ABudgetIsCountedInTheUnitOfItsVoice) {
  const Read read = ReadBoth({{"max-eur-per-unit", "0.01"}, {"unit", "pod-hour"}},
                             {{"unit", "request"}, {"max-eur-per-unit", "2"}});
  ASSERT_EQ(read.policy.limits.max_euros.size(), 2U);
  EXPECT_EQ(read.policy.limits.max_euros[0].unit, FunctionalUnit::kPodHour);
  EXPECT_EQ(read.policy.limits.max_euros[0].origin, Origin::kNamespace);
  EXPECT_EQ(read.policy.limits.max_euros[1].unit, FunctionalUnit::kRequest);
  EXPECT_THAT(read.problems, IsEmpty()) << "they cannot be compared, and both hold";
  EXPECT_FALSE(read.policy.terms_before_pod) << "nothing is enforced";
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
