#include "audit/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

Call CallOf(const std::string& chain, std::int64_t seq, const std::string& verb, std::int64_t ms) {
  Call call{{chain, seq}, {}};
  call.record.set_verb(verb);
  call.record.set_answered_ms(ms);
  return call;
}
Outcome OutcomeOf(const std::string& chain, std::int64_t seq, const std::string& of_chain,
                  std::int64_t of_seq) {
  Outcome outcome{{chain, seq}, {}};
  outcome.record.set_chain(of_chain);
  outcome.record.set_seq(of_seq);
  return outcome;
}

TEST(JoinCalls, FilterAndPrioritizeAreOneAttempt) {
  const auto placements = JoinCalls({CallOf("a", 2, "prioritize", 5), CallOf("a", 1, "filter", 3)},
                                    {OutcomeOf("a", 3, "a", 2)});
  ASSERT_EQ(placements.size(), 1U);
  EXPECT_EQ(placements[0].calls.size(), 2U);
  EXPECT_EQ(placements[0].decisive().id.seq, 2);
  EXPECT_TRUE(placements[0].outcome);
}

TEST(JoinCalls, RetriesAreToldApart) {
  const auto placements = JoinCalls(
      {CallOf("a", 1, "filter", 0), CallOf("a", 2, "filter", 2000), CallOf("a", 3, "filter", 4000),
       CallOf("a", 4, "prioritize", 4002), CallOf("a", 5, "prioritize", 9000)},
      {OutcomeOf("a", 6, "a", 5)});
  ASSERT_EQ(placements.size(), 4U);
  EXPECT_EQ(placements[0].decisive().record.verb(), "filter");
  EXPECT_EQ(placements[2].calls.size(), 2U);
  EXPECT_EQ(placements[3].attempt, 4U);
  EXPECT_EQ(placements[3].attempts, 4U);
  EXPECT_FALSE(placements[2].outcome);
  EXPECT_TRUE(placements[3].outcome);
}

TEST(JoinCalls, TwoReplicasWithClocksApart) {
  // b answered the prioritize that followed a's filter; its clock is 80 ms behind.
  auto placements =
      JoinCalls({CallOf("a", 1, "filter", 1000), CallOf("b", 1, "prioritize", 925)}, {});
  ASSERT_EQ(placements.size(), 1U);
  EXPECT_EQ(placements[0].calls.size(), 2U);
  // The same replica's clock does not lie about its own order.
  placements = JoinCalls({CallOf("a", 2, "filter", 1000), CallOf("a", 1, "prioritize", 925)}, {});
  EXPECT_EQ(placements.size(), 2U);
}

TEST(JoinCalls, OfTwoOutcomesTheDecisiveCallsCounts) {
  for (const bool other_first : {false, true}) {
    std::vector<Outcome> outcomes = {OutcomeOf("a", 9, "a", 1), OutcomeOf("b", 9, "b", 1)};
    if (other_first) std::swap(outcomes[0], outcomes[1]);
    const auto placements =
        JoinCalls({CallOf("a", 1, "filter", 0), CallOf("b", 1, "prioritize", 2)}, outcomes);
    ASSERT_EQ(placements.size(), 1U);
    EXPECT_EQ(placements[0].outcome->id.chain, "b");
  }
}

}  // namespace
}  // namespace sobre
