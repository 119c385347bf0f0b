#include "extender/offer_ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using simdjson::dom::element;
using ::testing::HasSubstr;

class OfferRankingTest : public ::testing::Test {
 protected:
  OfferRankingTest() {
    world_.Node("paris", "scaleway", "fr-par").Price("paris", 0.4);
    for (const char* name : {"web-b", "web-a"}) {
      auto pod = std::make_shared<PodPlacement>();
      pod->namespace_name = "shop";
      pod->workload = "web";
      pod->name = name;
      pod->node = "paris";
      pod->requests = {1000, 2LL << 30, 0, 0};
      pod->annotations = {{"allowed-countries", "FR"}};
      world_.input().pods.push_back(std::move(pod));
    }
  }
  Result<std::string> Ask(const RunningPod& wanted) {
    return OffersForRunning(wanted, *MakeState(world_.input()));
  }
  TestWorld world_;
};

TEST_F(OfferRankingTest, ARunningWorkloadIsRankedByItsPolicy) {
  const Result<std::string> answer = Ask({"shop", "web", {}});
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  simdjson::dom::parser parser;
  const element root = parser.parse(*answer).value();
  EXPECT_EQ(root["pod"]["name"].get_string().value(), "web-a");
  EXPECT_EQ(root["ledger"].get_string().value(), "new capacity");
  for (const element offer : root["offers"].get_array()) {
    const bool refused = !offer["refused"].get_string().value().empty();
    EXPECT_EQ(refused, offer["country"].get_string().value() != "FR");
  }
  EXPECT_TRUE(Ask({"shop", {}, "web-b"}).ok());
}

TEST_F(OfferRankingTest, WhoDoesNotRunIsNotFound) {
  EXPECT_EQ(Ask({"shop", "batch", {}}).status().code(), ErrorCode::kNotFound);
  EXPECT_EQ(Ask({"other", {}, "web-a"}).status().code(), ErrorCode::kNotFound);
  EXPECT_EQ(Ask({"", "web", {}}).status().code(), ErrorCode::kInvalid);
  EXPECT_EQ(Ask({"shop", {}, {}}).status().code(), ErrorCode::kInvalid);
  EXPECT_EQ(Ask({"shop", "web", "web-a"}).status().code(), ErrorCode::kInvalid);
}

TEST_F(OfferRankingTest, TheTextNamesOffersRefusalsAndNotes) {
  DecisionRequest request = RequestFor({});
  request.policy.limits.countries = {"FR"};
  const OfferRanking ranking =
      RankOffers(request, world_.input(), KnownOffers(*world_.Snapshot(), request.pod.requests));
  const std::string text = OfferRankingText(request, ranking);
  EXPECT_THAT(text, HasSubstr("scaleway/fr-par/8vcpu-32gib"));
  EXPECT_THAT(text, HasSubstr("refused: region scaleway/pl-waw: country PL is not allowed"));
  EXPECT_THAT(text, HasSubstr("Note: price unknown for"));
}

}  // namespace
}  // namespace sobre
