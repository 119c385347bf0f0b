#include "scoring/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(Explain, SaysWhoWonAndWhy) {
  const auto snapshot = TestWorld()
                            .Node("fr", "aws", "eu-west-3")
                            .Node("de", "aws", "eu-central-1")
                            .Price("fr", 0.42)
                            .Price("de", 0.4)
                            .Snapshot();
  DecisionRequest request = RequestFor({});
  request.problems = {"pod: sobre.dev/x: unknown annotation"};
  Decision decision;
  const std::vector<std::int32_t> nodes = {snapshot->Find("de"), snapshot->Find("fr"),
                                           Snapshot::kUnknownNode};
  Decide(request, *snapshot, nodes, decision);
  const std::string text = ExplainText(request, decision, *snapshot);
  EXPECT_THAT(
      text, HasSubstr("Pod shop/web-1 at 2026-11-23T00:00:00Z: objective balanced, per pod-hour"));
  EXPECT_THAT(text, HasSubstr("Best: fr (aws eu-west-3): score 10, 0.176 gCO2e and 0.105 EUR per "
                              "pod-hour; cleanest of the 2"));
  EXPECT_THAT(text, HasSubstr("Note: no rate of requests is known: counted per pod-hour."));
  EXPECT_THAT(text, HasSubstr("Note: 1 of 3 candidates are unknown and score 0."));
  EXPECT_THAT(text, HasSubstr("Note: pod: sobre.dev/x: unknown annotation."));
  EXPECT_THAT(Reason(decision.candidates[2], decision, *snapshot), HasSubstr("not known"));
}

TEST(Explain, SaysWhatCouldNotBeFollowed) {
  const auto snapshot =
      TestWorld().Node("fr", "aws", "eu-west-3").Node("de", "aws", "eu-central-1").Snapshot();
  const DecisionRequest request = RequestFor({});
  Decision decision;
  const std::vector<std::int32_t> nodes = {0, 1};
  Decide(request, *snapshot, nodes, decision);
  EXPECT_THAT(
      Notes(request, decision, *snapshot),
      Contains("objective balanced could not be followed, as no price is known; ranked by carbon"));
  const std::vector<std::int32_t> unknown = {Snapshot::kUnknownNode};
  Decide(request, *snapshot, unknown, decision);
  EXPECT_THAT(Notes(request, decision, *snapshot),
              Contains("nothing is known of any candidate: all score 0"));
}

}  // namespace
}  // namespace sobre
