#include "scoring/snapshot.h"

#include <algorithm>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::Contains;
using ::testing::HasSubstr;

const NodeRecord& At(const Snapshot& snapshot, std::string_view name) {
  return snapshot.nodes().at(static_cast<std::size_t>(snapshot.Find(name)));
}

TEST(Snapshot, FindsNodesByName) {
  TestWorld world;
  for (int i = 0; i < 1000; ++i) world.Node("node-" + std::to_string(i), "aws", "eu-west-3");
  const auto snapshot = world.Snapshot();
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "node-" + std::to_string(i);
    EXPECT_EQ(At(*snapshot, name).facts->name, name);
  }
  EXPECT_EQ(snapshot->Find("node-1000"), Snapshot::kUnknownNode);
  EXPECT_EQ(TestWorld().Snapshot()->Find("x"), Snapshot::kUnknownNode);
}

TEST(Snapshot, FillsInWhatTheCatalogueKnows) {
  const auto snapshot = TestWorld().Node("a", "scaleway", "pl-waw").Node("b", "", "").Snapshot();
  const NodeRecord& a = At(*snapshot, "a");
  EXPECT_EQ(a.grid_zone, "PL");
  EXPECT_DOUBLE_EQ(a.catalog_intensity->value.value(), 661.926);
  EXPECT_EQ(a.power_basis, PowerBasis::kWorldDefault);
  EXPECT_FALSE(a.price);
  const NodeRecord& b = At(*snapshot, "b");
  EXPECT_FALSE(b.catalog_intensity);
  EXPECT_THAT(snapshot->notes(),
              Contains("grid intensity unknown for 1 of 2 nodes (for example b)"));
  EXPECT_THAT(snapshot->notes(), Contains("price unknown for 2 of 2 nodes (for example a)"));
}

TEST(Snapshot, SetsAsideWhatIsStaleOrImplausible) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto snapshot = TestWorld()
                            .Node("a", "aws", "eu-west-3")
                            .Price("a", nan)
                            .Price("a", -1)
                            .Price("a", 0.2, hours(25))
                            .Price("a", 0.3, -minutes(10))
                            .Price("ghost", 0.1)
                            .Grid("aws", "eu-west-3", 2500)
                            .See(Signal::kNodePower, "a", 0)
                            .Snapshot();
  EXPECT_FALSE(At(*snapshot, "a").price);
  EXPECT_FALSE(At(*snapshot, "a").live_intensity);
  EXPECT_FALSE(At(*snapshot, "a").measured_power);
  const SignalTally& prices = snapshot->tallies()[Index(Signal::kNodePrice)];
  EXPECT_EQ(prices.of(Fate::kImplausible), 2);
  EXPECT_EQ(prices.of(Fate::kStale), 2);
  EXPECT_EQ(prices.of(Fate::kUnmatched), 1);
  EXPECT_EQ(prices.of(Fate::kUsed), 0);
  EXPECT_THAT(snapshot->notes(),
              Contains(HasSubstr("node_price_per_hour: 2 values set aside, implausible")));
  EXPECT_THAT(snapshot->notes(),
              Contains(HasSubstr(
                  "node_price_per_hour: 1 value set aside, of no known node (for example ghost)")));
  EXPECT_THAT(
      snapshot->notes(),
      Contains(HasSubstr("grid_gco2e_per_kwh: 1 value set aside, implausible: 2500 gCO2e/kWh")));
}

TEST(Snapshot, TheNewestValueWins) {
  const auto snapshot = TestWorld()
                            .Node("a", "aws", "eu-west-3")
                            .Price("a", 0.1, hours(2))
                            .Price("a", 0.2, hours(1))
                            .Price("a", 0.3, hours(3))
                            .Snapshot();
  EXPECT_DOUBLE_EQ(At(*snapshot, "a").price->value.value(), 0.2);
}

TEST(Snapshot, LiveIntensityGoesByProviderAndRegionThenByZone) {
  const auto snapshot = TestWorld()
                            .Node("london", "aws", "eu-west-2")
                            .Node("paris", "outscale", "eu-west-2")
                            .Node("stockholm", "aws", "eu-north-1")
                            .Grid("aws", "eu-west-2", 200)
                            .Grid("aws", "eu-nowhere-1", 5)
                            .GridZone("FR", 30)
                            .Snapshot();
  EXPECT_DOUBLE_EQ(At(*snapshot, "london").live_intensity->value.value(), 200);
  EXPECT_DOUBLE_EQ(At(*snapshot, "paris").live_intensity->value.value(), 30);
  EXPECT_FALSE(At(*snapshot, "stockholm").live_intensity);
}

TEST(Snapshot, TheOrderOfTheInputChangesNothing) {
  TestWorld world;
  for (int i = 0; i < 50; ++i) {
    const std::string name = "n" + std::to_string(i);
    world.Node(name, "aws", i % 2 == 0 ? "eu-west-3" : "eu-north-1")
        .Price(name, 0.1 * i + 0.1)
        .Price(name, 7, minutes(i));
  }
  const auto before = world.Snapshot();
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): the same shuffle every time
  std::shuffle(world.input().nodes.begin(), world.input().nodes.end(), random);
  std::shuffle(world.input().observations.begin(), world.input().observations.end(), random);
  const auto after = world.Snapshot();
  ASSERT_EQ(before->nodes().size(), after->nodes().size());
  EXPECT_EQ(before->notes(), after->notes());
  for (std::size_t i = 0; i < before->nodes().size(); ++i) {
    EXPECT_EQ(before->nodes()[i].facts->name, after->nodes()[i].facts->name);
    EXPECT_EQ(before->nodes()[i].price->value, after->nodes()[i].price->value);
  }
}

TEST(Signals, HaveNamesAndUnits) {
  EXPECT_EQ(ParseSignal("node_watts"), Signal::kNodePower);
  EXPECT_EQ(ParseSignal(ToString(Signal::kGridIntensity)), Signal::kGridIntensity);
  EXPECT_EQ(UnitOf(Signal::kNodePrice), "EUR/h");
  EXPECT_FALSE(ParseSignal("watts"));
}

}  // namespace
}  // namespace sobre
