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
    ASSERT_TRUE(!policy.limits.max_euros || policy.limits.max_euros->value() >= 0);
    for (const std::string& problem : request.problems) {
      for (std::size_t at = 0; at < problem.size();) {
        const std::size_t length = Utf8SequenceLength(std::string_view(problem).substr(at));
        ASSERT_GT(length, 0U) << "a problem must be text";
        at += length;
      }
    }
    // What the namespace enforces, its pods never lift.
    const KeyOrigin& countries = base.policy.OriginOf(PolicyKey::kAllowedCountries);
    if (countries.enforced && base.policy.limits.countries) {
      ASSERT_TRUE(policy.limits.countries);
      ASSERT_LE(policy.limits.countries->size(), base.policy.limits.countries->size());
    }
  }
}

}  // namespace
}  // namespace sobre
