#include <algorithm>
#include <array>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "base/text.h"
#include "scoring/decide.h"

// Random annotations: no crash, no hang, and what is accepted is in bounds. It is the sanitizers'
// builds that find most here.
namespace sobre {
namespace {

// Pairs of a namespace's set and a pod's. The address sanitizer takes ten times as long for each;
// ./run fuzz annotations goes further under it.
#ifdef __SANITIZE_ADDRESS__
constexpr int kPairs = 50'000;
#else
constexpr int kPairs = 500'000;
#endif

class RandomAnnotations {
 public:
  explicit RandomAnnotations(unsigned seed) : random_(seed) {}

  Annotations Next() {
    Annotations annotations(Below(5));
    for (Annotation& annotation : annotations) {
      annotation.key = Below(8) == 0
                           ? std::string("enforced")
                           : std::string(ToString(static_cast<PolicyKey>(Below(kPolicyKeyCount))));
      if (Below(6) == 0) Mutate(annotation.key);
      const std::size_t parts = 1 + Below(4);
      for (std::size_t i = 0; i < parts; ++i)
        annotation.value += kFragments[Below(kFragments.size())];
      if (Below(3) == 0) Mutate(annotation.value);
    }
    return annotations;
  }

 private:
  static constexpr std::array<std::string_view, 44> kFragments = {"balanced",
                                                                  "carbon",
                                                                  "cost",
                                                                  "priced",
                                                                  "10",
                                                                  "0",
                                                                  "-1",
                                                                  "1e400",
                                                                  "0,5",
                                                                  "NaN",
                                                                  "inf",
                                                                  ".5",
                                                                  "1e-9",
                                                                  ",",
                                                                  " ",
                                                                  "EU",
                                                                  "EEA",
                                                                  "FR",
                                                                  "us",
                                                                  "UK",
                                                                  "aws/eu-west-3",
                                                                  "/",
                                                                  "scaleway/",
                                                                  "HDS",
                                                                  "SecNumCloud",
                                                                  "none-attested",
                                                                  "contested",
                                                                  "exposed",
                                                                  "30s",
                                                                  "6h",
                                                                  "-5m",
                                                                  "99999999999999h",
                                                                  "2026-11-24T00:00:00Z",
                                                                  "2026-13-45T99:99:99Z",
                                                                  "shadow",
                                                                  "off",
                                                                  "enforce",
                                                                  "allowed-countries",
                                                                  "max-eur-per-unit",
                                                                  "mode",
                                                                  "request",
                                                                  "1k-tokens",
                                                                  "🌍",
                                                                  ""};

  std::size_t Below(std::size_t n) { return random_() % n; }

  void Mutate(std::string& text) {
    const std::size_t changes = 1 + Below(3);
    for (std::size_t i = 0; i < changes; ++i) {
      const char byte = static_cast<char>(Below(256));
      if (text.empty() || Below(3) == 0) {
        text.insert(Below(text.size() + 1), Below(20) == 0 ? 3000 : 1, byte);
      } else if (Below(2) == 0) {
        text.erase(Below(text.size()), 1 + Below(3));
      } else {
        text[Below(text.size())] = byte;
      }
    }
  }

  std::mt19937 random_;
};

// Whatever `held` refuses, `now` refuses too.
void ExpectNoLooser(const Limits& held, const Limits& now) {
  if (!now.unreadable.empty()) return;
  ASSERT_TRUE(held.unreadable.empty());
  const auto within = [](const auto& whole, const auto& part) {
    return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
  };
  ASSERT_TRUE(!held.countries || (now.countries && within(*held.countries, *now.countries)));
  ASSERT_TRUE(!held.regions || (now.regions && within(*held.regions, *now.regions)));
  ASSERT_TRUE(within(now.denied_operators, held.denied_operators));
  ASSERT_TRUE(within(now.certifications, held.certifications));
  ASSERT_TRUE(!held.max_exposure || (now.max_exposure && *now.max_exposure <= *held.max_exposure));
  const auto has_all = [](const auto& all, const auto& budgets) {
    return std::all_of(budgets.begin(), budgets.end(), [&](const auto& budget) {
      return std::any_of(all.begin(), all.end(), [&](const auto& other) {
        return other.most == budget.most && other.unit == budget.unit && other.enforced;
      });
    });
  };
  ASSERT_TRUE(has_all(now.max_grams, held.max_grams));
  ASSERT_TRUE(has_all(now.max_euros, held.max_euros));
}

// Every voice says some keys, enforces some, and asks for some mode.
TEST(PolicyFuzz, NoVoiceLoosensWhatAFartherOneEnforces) {
  std::mt19937 random(20261130);
  const auto below = [&](std::size_t n) { return random() % n; };
  constexpr std::array<std::pair<PolicyKey, std::array<const char*, 4>>, 7> kValues = {{
      {PolicyKey::kMaxGco2ePerUnit, {"1", "5", "0.5", "0"}},
      {PolicyKey::kMaxEurPerUnit, {"1", "5", "0.5", "x"}},
      {PolicyKey::kAllowedCountries, {"EU", "FR,US", "US", "DE"}},
      {PolicyKey::kAllowedRegions, {"aws/eu-west-3", "aws/eu-west-3,gcp/a", "AWS/x", "nowhere"}},
      {PolicyKey::kDeniedOperators, {"aws", "Gogle", "[aws]", "Microsoft Azure"}},
      {PolicyKey::kRequiredCertifications, {"HDS", "SecNumCloud", "HDS,X", ""}},
      {PolicyKey::kMaxExposure, {"exposed", "contested", "none-attested", "none"}},
  }};
  constexpr std::array<const char*, 4> kModes = {"enforce", "shadow", "off", "of"};
  constexpr std::array<const char*, 5> kUnits = {"request", "pod-hour", "1k-tokens", "run", "y"};
  for (int i = 0; i < kPairs / 25; ++i) {
    Policy policy;
    std::vector<std::string> problems;
    for (const Origin origin : {Origin::kCluster, Origin::kNamespace, Origin::kPod}) {
      const Limits held = policy.enforced;
      Annotations said;
      std::string enforced;
      for (const auto& [key, values] : kValues) {
        if (below(3) == 0)
          said.push_back({std::string(ToString(key)), values[below(values.size())]});
        if (below(3) == 0) enforced += (enforced.empty() ? "" : ",") + std::string(ToString(key));
      }
      if (!enforced.empty()) said.push_back({"enforced", enforced});
      if (below(2) == 0) said.push_back({"mode", kModes[below(kModes.size())]});
      if (below(3) == 0) said.push_back({"unit", kUnits[below(kUnits.size())]});
      if (below(3) == 0) said.push_back({"requests-per-second", "1e9"});
      if (below(10) == 0) said.push_back({"allowed-country", "FR"});
      std::shuffle(said.begin(), said.end(), random);
      ApplyAnnotations(said, origin, "voice", policy, problems);
      ASSERT_NO_FATAL_FAILURE(ExpectNoLooser(held, policy.InForce()));
      ASSERT_NO_FATAL_FAILURE(ExpectNoLooser(policy.enforced, policy.limits));
      ASSERT_EQ(policy.terms_before_pod.has_value(),
                origin == Origin::kPod && policy.enforced.HasBudget());
    }
  }
}

TEST(PolicyFuzz, RandomSetsAreReadOrRefused) {
  RandomAnnotations random(20261124);
  for (int i = 0; i < kPairs; ++i) {
    const NamespacePolicy base = MakeNamespacePolicy("shop", random.Next(), {});
    PodFacts pod;
    pod.annotations = random.Next();
    const std::size_t said = pod.annotations.size();
    const DecisionRequest request = MakeRequest(std::move(pod), base);
    ASSERT_LE(request.problems.size(), base.problems.size() + said);
    const Policy& policy = request.policy;
    ASSERT_GE(policy.cost_tolerance.value(), 0);
    ASSERT_LE(policy.cost_tolerance.value(), 10);
    ASSERT_GE(policy.expected_utilization.value(), 0);
    ASSERT_LE(policy.expected_utilization.value(), 1);
    ASSERT_TRUE(!policy.requests || policy.requests->value() > 0);
    for (const auto& budget : policy.limits.max_euros) ASSERT_GE(budget.most.value(), 0);
    for (const std::string& problem : request.problems) {
      for (std::size_t at = 0; at < problem.size();) {
        const std::size_t length = Utf8SequenceLength(std::string_view(problem).substr(at));
        ASSERT_GT(length, 0U) << "a problem must be text";
        at += length;
      }
    }
    // What the namespace enforces, its pods never loosen.
    ASSERT_NO_FATAL_FAILURE(ExpectNoLooser(base.policy.enforced, policy.InForce()));
    ASSERT_EQ(policy.enforced.sources.size(), base.policy.enforced.sources.size());
  }
}

}  // namespace
}  // namespace sobre
