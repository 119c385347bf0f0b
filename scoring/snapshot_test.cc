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

TEST(Snapshot, LiveIntensityGoesByRegionWhateverItsCase) {
  const auto snapshot =
      TestWorld().Node("a", "ovhcloud", "GRA7").Grid("ovhcloud", "gra7", 31).Snapshot();
  EXPECT_EQ(At(*snapshot, "a").live_intensity->value, GramsPerKwh(31));
}

NodeFacts Machine(const char* name, const char* provider, MachineKind kind, std::int64_t vcpus) {
  NodeFacts facts;
  facts.name = name;
  facts.provider = provider;
  facts.machine_kind = kind;
  facts.allocatable = {vcpus * 1000, vcpus << 31, 0, 0};
  return facts;
}

// Of the whole node, by hour; below 0: unknown.
double EmbodiedOf(const NodeRecord& node) {
  if (!node.server_embodied) return -1;
  return EmbodiedPerHour(node.server_embodied->value, node.share_of_machine.value()).mid.value();
}

TEST(Snapshot, AVirtualMachineOfAnyCloudIsAShareOfAHost) {
  const auto snapshot = TestWorld()
                            .Node(Machine("aws", "aws", MachineKind::kNotTold, 2))
                            .Node(Machine("hetzner", "hetzner", MachineKind::kVirtual, 2))
                            .Node(Machine("labelled", "exoscale", MachineKind::kNotTold, 2))
                            .Node(Machine("stack", "", MachineKind::kVirtual, 2))
                            .Node(Machine("robot", "hetzner", MachineKind::kServer, 32))
                            .Node(Machine("elastic", "scaleway", MachineKind::kServer, 32))
                            .Node(Machine("own", "own", MachineKind::kNotTold, 32))
                            .Node(Machine("big", "hetzner", MachineKind::kVirtual, 192))
                            .Node(Machine("stranger", "", MachineKind::kUnclear, 2))
                            .Snapshot();
  // What others publish of 2 vCPU and 4 GB lies from 0.30 to 0.96 g/h.
  for (const char* name : {"aws", "hetzner", "labelled", "stack"}) {
    EXPECT_GT(EmbodiedOf(At(*snapshot, name)), 0.30) << name;
    EXPECT_LT(EmbodiedOf(At(*snapshot, name)), 0.96) << name;
  }
  for (const char* name : {"robot", "elastic", "own", "big"})
    EXPECT_DOUBLE_EQ(At(*snapshot, name).share_of_machine.value(), 1) << name;
  EXPECT_DOUBLE_EQ(EmbodiedOf(At(*snapshot, "stranger")), -1);
  EXPECT_THAT(snapshot->notes(),
              Contains("embodied emissions unknown, as nothing tells whether it is a server or a "
                       "virtual machine, for 1 of 9 nodes (for example stranger)"));
}

TEST(Snapshot, ARowOfOnesOwnSaysThatTheNodeIsTheHost) {
  TestWorld world;
  world.Node(Machine("a", "labs", MachineKind::kUnclear, 2));
  world.input().catalog =
      CatalogWith({{"instances.csv",
                    "provider,instance_type,profile,host_vcpus,source,year,method,licence\n"
                    "labs,*,unknown,0,us,2026,reading,own\n"}});
  EXPECT_NEAR(EmbodiedOf(At(*world.Snapshot(), "a")), 25.7, 0.1);
}

TEST(Snapshot, APartOfACountryIsSaidToHaveItsMean) {
  NodeFacts alberta = Machine("alberta", "own", MachineKind::kNotTold, 8);
  alberta.grid_zone = "CA-AB";
  NodeFacts canada = Machine("canada", "own", MachineKind::kNotTold, 8);
  canada.grid_zone = "CA";
  TestWorld world;
  world.Node(alberta).Node(canada);
  const auto snapshot = world.Snapshot();
  const NodeRecord& part = At(*snapshot, "alberta");
  EXPECT_TRUE(part.grid_of_country);
  EXPECT_EQ(part.catalog_intensity->value, At(*snapshot, "canada").catalog_intensity->value);
  EXPECT_THAT(part.catalog_intensity->source,
              ::testing::HasSubstr("mean of CA for want of a row of CA-AB"));
  EXPECT_FALSE(At(*snapshot, "canada").grid_of_country);
  const std::string note =
      "grid intensity of CA-AB not known: the mean of its country stands in for 1 of 2 nodes (for "
      "example alberta)";
  EXPECT_THAT(snapshot->notes(), Contains(note));
  world.GridZone("CA-AB", 500);
  EXPECT_THAT(world.Snapshot()->notes(), ::testing::Not(Contains(note))) << "it is measured";
}

TEST(Snapshot, AProviderThatIsNotToldIsSpokenOf) {
  NodeFacts facts = Machine("a", "", MachineKind::kVirtual, 8);
  facts.provider_doubt = "two write the same providerID";
  EXPECT_THAT(TestWorld().Node(facts).Snapshot()->notes(),
              Contains("provider unknown, as two write the same providerID, for 1 of 1 nodes (for "
                       "example a)"));
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
