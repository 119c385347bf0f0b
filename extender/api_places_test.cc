#include "extender/api_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using simdjson::dom::element;
using ::testing::ElementsAre;

// Nodes stand by their names: de, then fr.
class PlacesTest : public ::testing::Test {
 protected:
  PlacesTest() {
    world_.Node("fr", "aws", "eu-west-3").Node("de", "aws", "eu-central-1");
    world_.Price("fr", 0.40).Price("de", 0.36);
    world_.Grid("aws", "eu-west-3", 50).Grid("aws", "eu-central-1", 400);
  }
  static NodeFacts Labelled(const std::string& name, bool attested) {
    NodeFacts facts;
    facts.name = name;
    facts.provider = "outscale";
    facts.region = "cloudgouv-eu-west-1";
    facts.allocatable = TestWorld::Standard();
    if (attested) facts.attested = {"outscale", "cloudgouv-eu-west-1", "", "", "", {}};
    return facts;
  }
  void AddPod(const std::string& node, Resources requests) {
    auto pod = std::make_shared<PodPlacement>();
    pod->node = node;
    pod->requests = requests;
    world_.input().pods.push_back(std::move(pod));
  }
  element Parsed(const std::string& text) { return parser_.parse(text).value(); }
  element Regions() { return Parsed(RegionsJson(*MakeState(world_.input()), TestWorld::kTime)); }
  element Ranking(const TriedPod& pod) {
    return Parsed(RankingJson(*MakeState(world_.input()), pod));
  }
  static TriedPod TriedOf(Objective objective) {
    TriedPod pod;
    pod.policy.objective = objective;
    pod.policy.unit = FunctionalUnit::kPodHour;
    return pod;
  }
  static std::vector<double> Numbers(element list) {
    std::vector<double> numbers;
    for (const element value : list.get_array()) numbers.push_back(value.get_double().value());
    return numbers;
  }

  TestWorld world_;

 private:
  simdjson::dom::parser parser_;
};

TEST_F(PlacesTest, ARegionAddsUpItsNodes) {
  world_.Node("fr2", "aws", "eu-west-3").Price("fr2", 0.80);
  AddPod("fr", {3000, 8LL << 30, 0, 0});
  AddPod("nowhere", {3000, 8LL << 30, 0, 0});
  const element france = Regions().at(1);
  EXPECT_EQ(std::string_view(france["region"]), "eu-west-3");
  EXPECT_EQ(std::string_view(france["country"]), "FR");
  EXPECT_EQ(std::int64_t(france["nodes"]), 2);
  EXPECT_DOUBLE_EQ(double(france["gco2ePerKwh"]), 50);
  EXPECT_EQ(bool(france["live"]), true);
  EXPECT_DOUBLE_EQ(double(france["allocatable"]["vcpu"]), 16);
  EXPECT_DOUBLE_EQ(double(france["free"]["vcpu"]), 13);
  EXPECT_DOUBLE_EQ(double(france["free"]["memoryGib"]), 56);
  EXPECT_DOUBLE_EQ(double(france["highEurPerVcpuHour"]), 2 * double(france["lowEurPerVcpuHour"]));
  EXPECT_TRUE(france["marketGco2ePerKwh"].is_null());
}

TEST_F(PlacesTest, NodesOfWhichLessIsAttestedAreAPlaceOfTheirOwn) {
  world_.Node(Labelled("a", true));
  EXPECT_EQ(bool(Regions().at(2)["attested"]), true);
  EXPECT_EQ(bool(Regions().at(0)["attested"]), false) << "a kubelet says where it is";
  world_.Node(Labelled("b", false));
  std::vector<bool> attested;
  for (const element place : Regions().get_array()) {
    if (std::string_view(place["provider"]) != "outscale") continue;
    EXPECT_EQ(std::int64_t(place["nodes"]), 1);
    attested.push_back(bool(place["attested"]));
  }
  EXPECT_THAT(attested, ElementsAre(false, true));
}

TEST_F(PlacesTest, ACertificateWithoutALastDayIsNotKnown) {
  world_.Node(Labelled("a", true));
  const element certificate = Regions().at(2)["certifications"].at(0);
  EXPECT_EQ(std::string_view(certificate["scheme"]), "SecNumCloud");
  EXPECT_EQ(std::string_view(certificate["expires"]), "");
  EXPECT_EQ(std::string_view(certificate["state"]), "unknown");
}

TEST_F(PlacesTest, TheRankingIsTheDecisionForThatPod) {
  const auto state = MakeState(world_.input());
  const TriedPod pod = TriedOf(Objective::kCarbon);
  const element ranking = Ranking(pod);
  const Decision decision =
      DecideFor(*state->snapshot, {"de", "fr"}, RequestFor(pod.policy, pod.requests));
  EXPECT_THAT(Numbers(ranking["nodes"]["score"]),
              ElementsAre(decision.candidates[0].score, decision.candidates[1].score));
  EXPECT_THAT(Numbers(ranking["nodes"]["gco2ePerHour"]),
              ElementsAre(decision.candidates[0].placement.grams.value(),
                          decision.candidates[1].placement.grams.value()));
  EXPECT_THAT(Numbers(ranking["nodes"]["eurPerHour"]),
              ElementsAre(decision.candidates[0].placement.euros.value(),
                          decision.candidates[1].placement.euros.value()));
  EXPECT_THAT(Numbers(ranking["best"]), ElementsAre(1));
  EXPECT_THAT(Numbers(ranking["paretoFront"]), ElementsAre(0, 1)) << "cheapest first";
  EXPECT_THAT(Numbers(Ranking(TriedOf(Objective::kCost))["best"]), ElementsAre(0));
}

TEST_F(PlacesTest, ANodeWithoutRoomIsRankedAndDoesNotFit) {
  AddPod("fr", {7000, 1LL << 30, 0, 0});
  const element ranking = Ranking(TriedOf(Objective::kCarbon));
  EXPECT_THAT(Numbers(ranking["best"]), ElementsAre(0)) << "the best that has room";
  const element nodes = ranking["nodes"];
  EXPECT_EQ(bool(nodes["fits"].at(1)), false);
  EXPECT_EQ(bool(nodes["fits"].at(0)), true);
  EXPECT_DOUBLE_EQ(double(nodes["freeVcpu"].at(1)), 1);
  EXPECT_EQ(std::int64_t(nodes["score"].at(1)), kMaxScore);
}

TEST_F(PlacesTest, WhatIsUnknownIsNull) {
  NodeFacts odd;
  odd.name = "odd";
  odd.provider = "cellar";
  odd.region = "cellar";
  odd.allocatable = TestWorld::Standard();
  world_.Node(odd);
  const element nodes = Ranking(TriedOf(Objective::kCarbon))["nodes"];
  EXPECT_TRUE(nodes["gco2ePerHour"].at(2).is_null());
  EXPECT_TRUE(nodes["gco2ePerKwh"].at(2).is_null());
  for (const auto& [key, column] : nodes.get_object())
    EXPECT_EQ(column.get_array().size(), 3U) << key;
}

}  // namespace
}  // namespace sobre
