#include "backtest/replay.h"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backtest/result.h"
#include "backtest/warnings.h"
#include "backtest/workload.h"
#include "scoring/decide.h"

namespace sobre::backtest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Timestamp kStart = std::chrono::sys_days(std::chrono::year(2019) / 3 / 4);
constexpr std::int64_t kGiB = 1LL << 30;

Pool PoolIn(const std::string& name, const std::string& region, std::int64_t nodes, double price) {
  Pool pool;
  pool.name = name;
  pool.nodes = nodes;
  pool.facts.name = name;
  pool.facts.provider = "scaleway";
  pool.facts.region = region;
  pool.facts.attested.provider = "scaleway";
  pool.facts.attested.region = region;
  pool.facts.allocatable = {8000, 32 * kGiB, 0, 0};
  pool.zone = region;
  pool.price = EurosPerHour(price);
  return pool;
}

Work Job(const std::string& name, Duration arrives, Duration runs, std::int64_t millicpu = 2000) {
  Work work;
  work.name = name;
  work.kind = WorkKind::kJob;
  work.arrives = arrives;
  work.runs = runs;
  work.requests = {millicpu, 8 * kGiB * millicpu / 2000, 0, 0};
  return work;
}

Variant Sobre(const std::string& name, Objective objective) {
  Variant variant;
  variant.name = name;
  variant.policy.objective = objective;
  return variant;
}

Variant Alone() {
  Variant variant;
  variant.name = "alone";
  variant.sobre = false;
  variant.waiting = false;
  variant.percent_of_nodes = 0;
  return variant;
}

// Clean and dear in Paris, dirty and cheap in Warsaw.
Scenario TwoRegions() {
  Scenario scenario;
  scenario.start = kStart;
  scenario.hours = 6;
  scenario.pools = {PoolIn("paris", "fr-par", 1, 0.80), PoolIn("warsaw", "pl-waw", 1, 0.40)};
  scenario.intensity = {{"FR", Hourly(6, 50.0)}, {"PL", Hourly(6, 700.0)}};
  scenario.variants = {Alone(), Sobre("carbon", Objective::kCarbon),
                       Sobre("cost", Objective::kCost)};
  return scenario;
}

std::vector<std::int64_t> PodsByPlace(const Outcome& outcome) {
  std::vector<std::int64_t> pods;
  for (const Place& place : outcome.places) pods.push_back(place.pods);
  return pods;
}

// One job of a quarter of a node for two hours, half of them in hour 0. By hand: price 0.80 · ¼ ·
// 2 h = 0.40 EUR; the power is the ledger's, its grams are power · 50 g/kWh.
TEST(Replay, OneJobIsAccountedForByTheHourAsByHand) {
  Scenario scenario = TwoRegions();
  scenario.work = {Job("a", std::chrono::minutes(30), std::chrono::hours(2))};
  const Backtest backtest = Replay(scenario);
  const Outcome& carbon = backtest.outcomes[1];
  EXPECT_THAT(PodsByPlace(carbon), ElementsAre(1, 0));
  EXPECT_NEAR(carbon.total.euros.value(), 0.40, 1e-12);
  EXPECT_NEAR(carbon.total.reserved.value(), 4, 1e-12);
  EXPECT_NEAR(carbon.total.operational.value(), carbon.total.energy.value() * 50, 1e-9);
  EXPECT_GT(carbon.total.energy.value(), 0);
  EXPECT_GT(carbon.total.embodied.value(), 0);
  EXPECT_NEAR(carbon.hours[0].euros.value(), 0.10, 1e-12);
  EXPECT_NEAR(carbon.hours[1].euros.value(), 0.20, 1e-12);
  EXPECT_NEAR(carbon.hours[2].euros.value(), 0.10, 1e-12);
  EXPECT_EQ(carbon.hours[3].euros.value(), 0);
  const Outcome& cost = backtest.outcomes[2];
  EXPECT_THAT(PodsByPlace(cost), ElementsAre(0, 1));
  EXPECT_NEAR(cost.total.euros.value(), 0.20, 1e-12);
  EXPECT_NEAR(cost.total.operational.value(), cost.total.energy.value() * 700, 1e-9);
}

// The place follows 50 and 700 g/kWh; what the load adds is counted by 900 too.
TEST(Replay, MarginalIntensityIsCountedAndDecidesNothing) {
  Scenario scenario = TwoRegions();
  scenario.work = {Job("a", std::chrono::minutes(30), std::chrono::hours(2))};
  EXPECT_EQ(Replay(scenario).outcomes[1].total.marginal.value(), 0);
  scenario.marginal = {{"FR", Hourly(6, 900.0)}};
  const Backtest backtest = Replay(scenario);
  const Outcome& carbon = backtest.outcomes[1];
  EXPECT_THAT(PodsByPlace(carbon), ElementsAre(1, 0));
  EXPECT_GT(carbon.total.added.value(), 0);
  EXPECT_NEAR(carbon.total.marginal.value(), carbon.total.added.value() * 900 / 50, 1e-9);
  EXPECT_EQ(backtest.outcomes[2].total.marginal.value(), 0);
  EXPECT_THAT(backtest.notes, ElementsAre(HasSubstr("warsaw: no marginal intensity")));
}

// Prices turn over at hour 3: by hand, three jobs before it go to Warsaw, three after it to Paris.
TEST(Replay, FollowsASeriesHourByHour) {
  Scenario scenario = TwoRegions();
  scenario.price = {{"paris", {0.8, 0.8, 0.8, 0.2, 0.2, 0.2}}};
  for (int hour = 0; hour < 6; ++hour)
    scenario.work.push_back(
        Job("j" + std::to_string(hour), std::chrono::hours(hour), std::chrono::hours(1)));
  const Backtest backtest = Replay(scenario);
  EXPECT_THAT(PodsByPlace(backtest.outcomes[2]), ElementsAre(3, 3));
  EXPECT_NEAR(backtest.outcomes[2].total.euros.value(), 3 * 0.1 + 3 * 0.05, 1e-12);
}

// Four fill a node; the fifth takes the other, the ninth waits until the first ends.
TEST(Replay, AFullNodeTakesNoMoreAndRoomIsGivenToWhoWaits) {
  Scenario scenario = TwoRegions();
  for (int i = 0; i < 9; ++i)
    scenario.work.push_back(Job("j" + std::to_string(i), std::chrono::minutes(i),
                                i == 0 ? std::chrono::hours(1) : std::chrono::hours(12)));
  const Backtest backtest = Replay(scenario);
  const Outcome& carbon = backtest.outcomes[1];
  EXPECT_THAT(PodsByPlace(carbon), ElementsAre(5, 4));
  EXPECT_EQ(carbon.queued, 1);
  EXPECT_NEAR(carbon.queued_for.value(), 52.0 / 60, 1e-9);
  EXPECT_EQ(carbon.without_place, 0);
}

TEST(Replay, AHardLimitHoldsAndMayLeaveAPodWithoutAPlace) {
  Scenario scenario = TwoRegions();
  scenario.variants = {Sobre("cost", Objective::kCost), Sobre("without limits", Objective::kCost)};
  scenario.variants[1].limits = false;
  for (int i = 0; i < 5; ++i) {
    scenario.work.push_back(
        Job("j" + std::to_string(i), std::chrono::minutes(i), std::chrono::hours(12)));
    scenario.work.back().annotations = {{"allowed-countries", "FR"}};
  }
  const Backtest backtest = Replay(scenario);
  EXPECT_THAT(PodsByPlace(backtest.outcomes[0]), ElementsAre(4, 0));
  EXPECT_EQ(backtest.outcomes[0].without_place, 1);
  EXPECT_THAT(PodsByPlace(backtest.outcomes[1]), ElementsAre(1, 4));
}

TEST(Replay, AGateOpensWhenAGridIsCleanEnough) {
  Scenario scenario = TwoRegions();
  scenario.pools = {PoolIn("warsaw", "pl-waw", 1, 0.40)};
  scenario.intensity = {{"PL", {700, 700, 400, 400, 700, 700}}};
  scenario.work = {Job("j", std::chrono::hours(0), std::chrono::hours(1))};
  scenario.work[0].annotations = {{"defer-below-gco2e-per-kwh", "500"}, {"max-delay", "5h"}};
  const Backtest backtest = Replay(scenario);
  EXPECT_EQ(backtest.outcomes[0].gated, 0);
  EXPECT_EQ(backtest.outcomes[1].gated, 1);
  EXPECT_NEAR(backtest.outcomes[1].gated_for.value(), 2, 1e-9);
  EXPECT_NEAR(backtest.outcomes[1].total.operational.value(),
              backtest.outcomes[0].total.operational.value() * 4 / 7, 1e-9);
  EXPECT_THAT(backtest.warnings, IsEmpty());
}

TEST(Replay, OldSignalsThatMakeItWorseAreWarnedOf) {
  Scenario scenario = TwoRegions();
  scenario.hours = 48;
  // Each is clean for twelve hours, and dirty when the other is clean.
  Hourly day(48);
  Hourly night(48);
  for (std::size_t hour = 0; hour < 48; ++hour) {
    day[hour] = hour / 12 % 2 == 0 ? 50 : 700;
    night[hour] = 750 - day[hour];
  }
  scenario.intensity = {{"FR", day}, {"PL", night}};
  scenario.variants = {Alone(), Sobre("carbon", Objective::kCarbon),
                       Sobre("old", Objective::kCarbon)};
  scenario.variants[2].signal_age = std::chrono::hours(12);
  for (int hour = 12; hour < 48; ++hour)
    scenario.work.push_back(
        Job("j" + std::to_string(hour), std::chrono::hours(hour), std::chrono::hours(1)));
  const Backtest backtest = Replay(scenario);
  EXPECT_LT(backtest.outcomes[1].total.operational, backtest.outcomes[0].total.operational);
  EXPECT_GT(backtest.outcomes[2].total.operational, backtest.outcomes[0].total.operational);
  EXPECT_THAT(backtest.warnings, ElementsAre(HasSubstr("old: makes it worse")));
}

TEST(Replay, WaitingInAFlatGridIsWarnedOf) {
  Scenario scenario = TwoRegions();
  scenario.hours = 48;
  scenario.intensity = {{"FR", Hourly(48, 50.0)}, {"PL", Hourly(48, 700.0)}};
  scenario.foresight = Foresight::kNone;
  scenario.work = {Job("j", std::chrono::hours(0), std::chrono::hours(1))};
  scenario.work[0].annotations = {{"defer-below-gco2e-per-kwh", "40"}, {"max-delay", "5h"}};
  const Backtest backtest = Replay(scenario);
  EXPECT_THAT(backtest.warnings,
              ::testing::Contains(HasSubstr("waiting can gain hardly anything")));
}

Scenario Busy(std::uint64_t seed) {
  Scenario scenario = TwoRegions();
  scenario.hours = 72;
  scenario.warm_up_hours = 24;
  scenario.seed = seed;
  scenario.pools[0].nodes = scenario.pools[1].nodes = 20;
  scenario.intensity = {{"FR", Hourly(72, 50.0)}, {"PL", Hourly(72, 700.0)}};
  Mix mix;
  mix.wait_below = 45;
  scenario.work = Generate(mix, scenario.pools, scenario.start, scenario.hours, seed);
  return scenario;
}

TEST(Replay, TheSameSeedGivesTheSameBytesAndAnotherDoesNot) {
  const auto json = [](std::uint64_t seed) {
    const Scenario scenario = Busy(seed);
    return ResultJson(scenario, Replay(scenario));
  };
  EXPECT_EQ(json(3), json(3));
  EXPECT_NE(json(3), json(4));
}

TEST(Replay, EveryPodIsPlacedOrToldOfAndHoursAddUp) {
  const Scenario scenario = Busy(5);
  for (const Outcome& outcome : Replay(scenario).outcomes) {
    EXPECT_EQ(outcome.placed + outcome.without_place, outcome.pods) << outcome.variant;
    double reserved = 0;
    for (const Place& place : outcome.places) reserved += place.reserved.value();
    EXPECT_NEAR(reserved, outcome.total.reserved.value(), 1e-6);
    EXPECT_GT(outcome.cpu_reserved.value(), 0.2);
    EXPECT_LE(outcome.cpu_reserved.value(), 1);
  }
}

}  // namespace
}  // namespace sobre::backtest
