#include "scoring/offers.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/analysis.h"
#include "scoring/new_capacity.h"
#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr Resources kPod{2000, 4LL << 30, 0, 0};

// Three machines of one kind in Paris, one in a place that no row names.
TestWorld SomeNodes() {
  TestWorld world;
  for (const char* name : {"paris-1", "paris-2", "paris-3"}) {
    NodeFacts facts;
    facts.name = name;
    facts.provider = "scaleway";
    facts.region = "fr-par";
    facts.instance_type = "PRO2-M";
    facts.allocatable = {7910, 31LL << 30, 0, 0};
    world.Node(facts);
  }
  world.Price("paris-1", 0.5).Price("paris-2", 0.3).Price("paris-3", 0.4);
  return world.Node("lyon-1", "onprem", "lyon").Price("lyon-1", 0.2);
}

const Offer* Find(const std::vector<Offer>& offers, const std::string& name) {
  const auto found = std::find_if(offers.begin(), offers.end(),
                                  [&](const Offer& offer) { return offer.facts.name == name; });
  return found == offers.end() ? nullptr : &*found;
}

const RankedOffer* Find(const OfferRanking& ranking, const std::string& name) {
  const auto found = std::find_if(
      ranking.rows.begin(), ranking.rows.end(),
      [&](const RankedOffer& row) { return ranking.offers[row.offer].facts.name == name; });
  return found == ranking.rows.end() ? nullptr : &*found;
}

OfferRanking RankIn(const TestWorld& world, const Policy& policy, const Resources& pod = kPod) {
  TestWorld copy = world;
  return RankOffers(RequestFor(policy, pod), copy.input(), KnownOffers(*copy.Snapshot(), pod));
}

TEST(Offers, MachinesThatAreAlikeAreOneOfferAtTheMedianPrice) {
  const auto offers = KnownOffers(*SomeNodes().Snapshot(), kPod);
  const Offer* paris = Find(offers, "scaleway/fr-par/PRO2-M");
  ASSERT_NE(paris, nullptr);
  EXPECT_EQ(paris->nodes, 3);
  EXPECT_DOUBLE_EQ(paris->price->value.value(), 0.4);
  EXPECT_EQ(paris->price->source, "median of 3 nodes: test");
  EXPECT_EQ(Find(offers, "onprem/lyon/8vcpu-32gib")->nodes, 1);
}

TEST(Offers, EveryRegionOfTheCatalogueIsOffered) {
  const auto offers = KnownOffers(*SomeNodes().Snapshot(), kPod);
  for (const Catalog::Region& region : Catalog::Embedded().Regions()) {
    EXPECT_TRUE(std::any_of(offers.begin(), offers.end(), [&](const Offer& offer) {
      return offer.facts.provider == region.provider && offer.facts.region == region.region;
    })) << region.region;
  }
  // Known better by its nodes.
  EXPECT_EQ(Find(offers, "scaleway/fr-par"), nullptr);
  const Offer* warsaw = Find(offers, "scaleway/pl-waw");
  ASSERT_NE(warsaw, nullptr);
  EXPECT_EQ(warsaw->nodes, 0);
  EXPECT_EQ(warsaw->facts.allocatable.millicpu, 8000);
}

TEST(Offers, AStandardMachineHoldsThePod) {
  const Resources large{20'000, 10LL << 30, 0, 0};
  const auto offers = KnownOffers(*SomeNodes().Snapshot(), large);
  // The machines there are too small: a region is more than its nodes.
  const Offer* paris = Find(offers, "scaleway/fr-par");
  ASSERT_NE(paris, nullptr);
  EXPECT_EQ(paris->facts.allocatable.millicpu, 32'000);
  EXPECT_EQ(paris->facts.allocatable.memory_bytes, 128LL << 30);
  const OfferRanking ranking = RankIn(SomeNodes(), {}, large);
  EXPECT_EQ(Find(ranking, "scaleway/fr-par/PRO2-M")->refusal->reason,
            "its machine (7.91 vCPU, 31 GiB) cannot hold the pod (20 vCPU, 10 GiB)");
  EXPECT_FALSE(Find(ranking, "scaleway/fr-par")->refusal);
}

TEST(Offers, FiguresAreThoseOfTheLedgerOfNewCapacity) {
  const TestWorld world = SomeNodes();
  const OfferRanking ranking = RankIn(world, {});
  // The node itself, at the offer's price.
  TestWorld again = world;
  const auto snapshot = again.Price("paris-1", 0.4).Snapshot();
  Decision decision;
  const std::vector<std::int32_t> nodes = {snapshot->Find("paris-3")};
  DecideOnNew(RequestFor({}), *snapshot, nodes, decision);
  const RankedOffer* paris = Find(ranking, "scaleway/fr-par/PRO2-M");
  EXPECT_DOUBLE_EQ(paris->grams->mid.value(), decision.candidates[0].placement.grams.value());
  EXPECT_DOUBLE_EQ(paris->euros->value(), decision.candidates[0].placement.euros.value());
  EXPECT_LT(paris->grams->low, paris->grams->mid);
  EXPECT_LT(paris->grams->mid, paris->grams->high);
}

TEST(Offers, PlacesWithoutANodeAreAtTheirLiveIntensity) {
  Policy policy;
  policy.objective = Objective::kCarbon;
  policy.limits.regions = {"aws/eu-north-1", "scaleway/pl-waw"};
  TestWorld world = SomeNodes();
  world.Grid("aws", "eu-north-1", 900).Grid("scaleway", "pl-waw", 100);
  const OfferRanking ranking = RankIn(world, policy);
  // All that may be chosen have one: others need none.
  EXPECT_EQ(ranking.decision.intensity_basis, IntensityBasis::kLive);
  EXPECT_EQ(ranking.offers[ranking.rows[0].offer].facts.name, "scaleway/pl-waw");
  EXPECT_EQ(ranking.rows[0].score, 10);
  EXPECT_TRUE(ranking.rows[0].tied);
  EXPECT_FALSE(Find(ranking, "aws/eu-west-3")->grams);
}

TEST(Offers, OneSourceOfIntensityForAll) {
  TestWorld world = SomeNodes();
  world.Grid("scaleway", "pl-waw", 1);
  const OfferRanking ranking = RankIn(world, {});
  EXPECT_EQ(ranking.decision.intensity_basis, IntensityBasis::kCatalog);
  EXPECT_GT(Find(ranking, "scaleway/pl-waw")->grams->mid,
            Find(ranking, "aws/eu-north-1")->grams->mid);
}

TEST(Offers, LimitsOfPlaceFailClosed) {
  Policy policy;
  policy.limits.max_exposure = Exposure::kNoneAttested;
  const OfferRanking ranking = RankIn(SomeNodes(), policy);
  // The catalogue's rows say who is there, with and without nodes.
  EXPECT_FALSE(Find(ranking, "scaleway/pl-waw")->refusal);
  EXPECT_FALSE(Find(ranking, "scaleway/fr-par/PRO2-M")->refusal);
  EXPECT_THAT(Find(ranking, "aws/eu-west-3")->refusal->reason, HasSubstr("exposed"));
  // A label names a place that no row knows.
  EXPECT_EQ(Find(ranking, "onprem/lyon/8vcpu-32gib")->refusal->reason,
            "its region: exposure to foreign law is not attested");
  // The refused stand last and count for nothing.
  EXPECT_TRUE(ranking.rows.back().refusal);
  for (const Candidate& candidate : ranking.decision.candidates)
    EXPECT_FALSE(Find(ranking, ranking.offers[static_cast<std::size_t>(candidate.node)].facts.name)
                     ->refusal);
}

TEST(Offers, ALabelCannotNameAPlaceThatNoRowKnows) {
  TestWorld world;
  world.Node("liar", "scaleway", "moon").Price("liar", 0.01);
  Policy policy;
  policy.limits.max_exposure = Exposure::kNoneAttested;
  EXPECT_TRUE(Find(RankIn(world, policy), "scaleway/moon/8vcpu-32gib")->refusal);
  NodeFacts attested;
  attested.name = "own";
  attested.provider = "onprem";
  attested.region = "lyon";
  attested.allocatable = TestWorld::Standard();
  attested.attested = {"onprem", "lyon", "FR", "Ours", "none-attested", {}};
  world.Node(attested);
  EXPECT_FALSE(Find(RankIn(world, policy), "onprem/lyon/8vcpu-32gib")->refusal);
  // One that is not: nothing can be said of another machine there.
  attested.name = "own-2";
  attested.attested = {};
  world.Node(attested);
  EXPECT_TRUE(Find(RankIn(world, policy), "onprem/lyon/8vcpu-32gib")->refusal);
}

TEST(Offers, CertificatesAreThoseOfRows) {
  Policy policy;
  policy.limits.certifications = {"HDS"};
  TestWorld world = SomeNodes();
  world.input().catalog = CatalogWith(
      {{"certifications.csv",
        "provider,region,scheme,version,scope,issued,expires,checked,source,year,method,licence\n"
        "scaleway,nl-ams,HDS,2,hosting,2023-05-16,2027-11-23,2026-01-01,test,2026,reading,own\n"}});
  const OfferRanking ranking = RankIn(world, policy);
  EXPECT_FALSE(Find(ranking, "scaleway/nl-ams")->refusal);
  EXPECT_THAT(Find(ranking, "aws/eu-west-3")->refusal->reason, HasSubstr("HDS is not known"));
}

TEST(Offers, BudgetsRefuseByTheFiguresThatAreShown) {
  Policy policy;
  policy.unit = FunctionalUnit::kPodHour;
  policy.limits.max_grams = {{GramsPerUnit(1.5), policy.unit}};
  const OfferRanking ranking = RankIn(SomeNodes(), policy);
  bool kept = false;
  bool refused = false;
  for (const RankedOffer& row : ranking.rows) {
    // What is unknown keeps no budget.
    EXPECT_EQ(row.refusal.has_value(), !row.grams || row.grams->mid > GramsPerUnit(1.5));
    (row.refusal ? refused : kept) = true;
  }
  EXPECT_TRUE(kept && refused);
}

TEST(Offers, AcceleratorsAreOfTheModelThatNodesHaveOrThatIsNamed) {
  const Resources pod{4000, 16LL << 30, 2, 0};
  TestWorld world = SomeNodes();
  EXPECT_THAT(Find(RankIn(world, {}, pod), "aws/eu-west-3")->refusal->reason,
              HasSubstr("no model is known"));
  NodeFacts gpu;
  gpu.name = "gpu";
  gpu.provider = "scaleway";
  gpu.region = "nl-ams";
  gpu.gpu_model = "NVIDIA-L4";
  gpu.allocatable = {8000, 32LL << 30, 1, 0};
  world.Node(gpu);
  const OfferRanking ranking = RankIn(world, {}, pod);
  EXPECT_EQ(ranking.offers[Find(ranking, "aws/eu-west-3")->offer].facts.gpu_model, "NVIDIA-L4");
  EXPECT_TRUE(Find(ranking, "aws/eu-west-3")->grams);
  // Two are asked for; the machine that is there has one.
  EXPECT_FALSE(Find(ranking, "scaleway/nl-ams")->refusal);
  EXPECT_TRUE(Find(ranking, "scaleway/nl-ams/8vcpu-32gib/NVIDIA-L4")->refusal);
}

TEST(Offers, WhatIsNotKnownIsSaid) {
  const OfferRanking ranking = RankIn(SomeNodes(), {});
  EXPECT_THAT(ranking.notes, Contains(HasSubstr("price unknown for 26 of 28 offers")));
  EXPECT_THAT(ranking.notes, Not(Contains(HasSubstr("nodes"))));
  EXPECT_FALSE(Find(ranking, "aws/eu-west-3")->euros);
}

TEST(Offers, NothingKnownIsNothingRanked) {
  const OfferRanking ranking = RankOffers(RequestFor({}), TestWorld().input(), {});
  EXPECT_THAT(ranking.rows, IsEmpty());
  EXPECT_FALSE(ranking.decision.best);
}

}  // namespace
}  // namespace sobre
