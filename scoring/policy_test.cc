#include "scoring/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Policy, PodAnnotationsLieOverTheNamespaces) {
  Policy policy;
  std::vector<std::string> problems;
  ApplyAnnotations({{"objective", "cost"}, {"carbon-price", "250"}}, "namespace shop", policy,
                   problems);
  ApplyAnnotations(
      {{"objective", "carbon"}, {"requests-per-second", "2"}, {"cost-tolerance", " 5 "}}, "pod",
      policy, problems);
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
    ApplyAnnotations({{"cost-tolerance", bad}, {"objective", "carbon"}}, "pod", policy, problems);
    EXPECT_THAT(problems, ElementsAre(HasSubstr("pod: sobre.dev/cost-tolerance: '"))) << bad;
    EXPECT_DOUBLE_EQ(policy.cost_tolerance.value(), 0.10) << bad;
    EXPECT_EQ(policy.objective, Objective::kCarbon) << "its neighbour counts";
  }
}

TEST(Policy, ATypoGetsAHint) {
  Policy policy;
  std::vector<std::string> problems;
  ApplyAnnotations({{"objectve", "cost"}, {"unit", "requests"}, {"objective", "green"}}, "pod",
                   policy, problems);
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

}  // namespace
}  // namespace sobre
