#include "extender/mover.h"

#include <chrono>
#include <cmath>
#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "extender/api_moves.h"
#include "extender/moves_test_world.h"
#include "store/test_databases.h"

namespace sobre {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

double HourOf(Duration age) { return std::floor(InHours(age)); }

// Nobody is moved again within that time, so never there and back.
void ExpectStays(const MovesWorld& world, Duration least) {
  std::map<std::string, Timestamp> last;
  for (const MovesWorld::Move& move : world.moves) {
    const auto before = last.find(move.workload);
    if (before != last.end()) {
      EXPECT_GE(move.time - before->second, least);
    }
    last[move.workload] = move.time;
  }
}

TEST(Mover, AdviceIsFollowedOnceAndMeasured) {
  MovesWorld world;
  world.AddPod("web", "west");
  world.Run(hours(22));
  ASSERT_EQ(world.advice().size(), 1U);
  EXPECT_EQ(world.advice()[0].state, AdviceState::kAccepted) << "the owner said auto";
  EXPECT_EQ(world.advice()[0].note, "waits: the mean of its places is not known for long enough");
  EXPECT_TRUE(world.moves.empty());
  EXPECT_THAT(world.events, ElementsAre("MoveAdvised web-1")) << "once";
  world.Run(hours(4));
  ASSERT_EQ(world.moves.size(), 1U);
  EXPECT_EQ(world.moves[0].to, "east");
  ASSERT_EQ(world.advice().size(), 1U);
  const Advice& advice = world.advice()[0];
  EXPECT_EQ(advice.state, AdviceState::kMeasured);
  EXPECT_EQ(advice.note, "by eviction");
  EXPECT_EQ(advice.evictions, 1);
  EXPECT_EQ(advice.moved, 1);
  EXPECT_NEAR(advice.after_hours, 1, 0.2);
  // Nothing changed but the place: what was advised came true.
  EXPECT_GT(*advice.now_g - *advice.there_g, 1);
  EXPECT_NEAR(*advice.before_g - *advice.after_g, *advice.now_g - *advice.there_g, 1e-9);
  EXPECT_NEAR(*advice.before_eur - *advice.after_eur, *advice.now_eur - *advice.there_eur, 1e-9);
  EXPECT_THAT(world.events, ElementsAre("MoveAdvised web-1", "MoveEvicted web-1"));
  EXPECT_EQ(world.adviser->status().tried[0], 1U);
  EXPECT_EQ(world.adviser->status().replaced[0], 1U);
  world.Run(hours(48));
  EXPECT_EQ(world.moves.size(), 1U) << "it is where it should be";
}

TEST(Mover, AGridThatChangesEveryHourMovesNobody) {
  MovesWorld world;
  world.west = [](Duration age) { return std::fmod(HourOf(age), 2) == 0 ? 500.0 : 50.0; };
  world.east = [](Duration age) { return std::fmod(HourOf(age), 2) == 0 ? 50.0 : 500.0; };
  world.config.moves.min_time_between = hours(1);
  world.Reset();
  world.AddPod("web", "west");
  world.Run(hours(24 * 3));
  EXPECT_TRUE(world.moves.empty()) << "at the mean of a day both are alike";
  EXPECT_FALSE(world.advice().empty()) << "at the moment they are not, and that is said";
  EXPECT_EQ(world.advice().back().evictions, 0);
}

// The seasons turn it over twice a year; days and nights do not.
TEST(Mover, AYearOfDaysMovesWithTheSeasonsAlone) {
  MovesWorld world;
  constexpr double kYear = 365 * 24;
  world.west = [](Duration age) {
    const double hour = InHours(age);
    return 300 + 200 * std::cos(2 * std::numbers::pi * hour / kYear) +
           90 * std::cos(2 * std::numbers::pi * hour / 24);
  };
  world.east = [](Duration age) {
    return 300 - 90 * std::cos(2 * std::numbers::pi * InHours(age) / 24);
  };
  world.config.moves.every = hours(1);
  world.Reset();
  world.AddPod("web", "west");
  world.Run(hours(365 * 24));
  ASSERT_EQ(world.moves.size(), 3U) << "once it is known, in spring, in autumn";
  EXPECT_EQ(world.moves[0].to, "east");
  EXPECT_EQ(world.moves[1].to, "west");
  EXPECT_EQ(world.moves[2].to, "east");
  ExpectStays(world, hours(24 * 30));
}

// Whatever the grids do: at most one move in six hours, so at most four a day.
TEST(Mover, NoGridHoweverWildMovesAWorkloadMoreOftenThanTheRule) {
#ifdef __SANITIZE_ADDRESS__
  constexpr int kDays = 5;  // each takes it ten times as long
#else
  constexpr int kDays = 20;
#endif
  for (const int period : {1, 5, 7, 13, 30}) {
    MovesWorld world;
    world.west = [=](Duration age) {
      return static_cast<int>(HourOf(age)) / period % 2 == 0 ? 700.0 : 20.0;
    };
    world.east = [=](Duration age) {
      return static_cast<int>(HourOf(age)) / period % 2 == 0 ? 20.0 : 700.0;
    };
    // The mean follows at once: the rule on time alone is left.
    world.config.moves.window = hours(1);
    world.config.moves.every = minutes(2);
    world.config.moves.max_evictions_per_hour = 3600;
    world.Reset();
    for (const char* workload : {"web", "api"}) world.AddPod(workload, "west");
    world.Run(hours(24 * kDays));
    ExpectStays(world, world.config.moves.min_time_between);
    EXPECT_LE(world.moves.size(), 2U * kDays * 4) << period;
    if (period > 6) {
      EXPECT_GT(world.moves.size(), 4U) << "it does move: " << period;
    }
  }
}

TEST(Mover, OnePodOfAWorkloadAtATimeAndSoManyAnHour) {
  MovesWorld world;
  for (int i = 0; i < 3; ++i) world.AddPod("web", "west");
  for (int i = 0; i < 12; ++i) world.AddPod("job-" + std::to_string(i), "west");
  world.comes_up = false;
  world.Run(hours(26));
  std::map<std::string, int> by_workload;
  for (const auto& move : world.moves) ++by_workload[move.workload];
  EXPECT_EQ(by_workload["web"], 1) << "its replacement is not ready, and was given up";
  for (std::size_t i = 1; i < world.moves.size(); ++i)
    EXPECT_GE(world.moves[i].time - world.moves[i - 1].time, minutes(10));
  EXPECT_GT(world.moves.size(), 6U);
  EXPECT_EQ(world.adviser->status().replaced[static_cast<std::size_t>(Replacement::kThere)], 0U);
  EXPECT_GT(world.adviser->status().replaced[static_cast<std::size_t>(Replacement::kMissing)], 1U);
}

TEST(Mover, AllPodsOfAWorkloadGoOneAfterTheOther) {
  MovesWorld world;
  for (int i = 0; i < 3; ++i) world.AddPod("web", "west");
  world.Run(hours(26));
  EXPECT_EQ(world.moves.size(), 3U);
  ASSERT_EQ(world.advice().size(), 1U);
  EXPECT_EQ(world.advice()[0].moved, 3);
  EXPECT_EQ(world.advice()[0].evictions, 3);
}

TEST(Mover, APodsOwnWordIsTheNearest) {
  MovesWorld world;
  world.AddPod("web", "west");
  world.AddPod("web", "west", "never");
  world.AddPod("web", "west", "advise");
  world.Run(hours(40));
  EXPECT_EQ(world.moves.size(), 1U);
  ASSERT_EQ(world.advice().size(), 1U);
  EXPECT_EQ(world.advice()[0].evictions, 1);
}

TEST(Mover, WithoutLeaveNobodyIsEvicted) {
  const auto moves_with = [](const std::function<void(MovesWorld&)>& change) {
    MovesWorld world;
    world.AddPod("web", "west");
    change(world);
    world.Run(hours(30));
    return world.moves.size();
  };
  EXPECT_EQ(moves_with([](MovesWorld&) {}), 1U);
  EXPECT_EQ(moves_with([](MovesWorld& w) { w.pods[0]->annotations = {}; }), 0U);
  EXPECT_EQ(moves_with([](MovesWorld& w) { w.pods[0]->annotations = {{"move", "never"}}; }), 0U);
  EXPECT_EQ(moves_with([](MovesWorld& w) { w.pods[0]->owner = PodOwner::kNobody; }), 0U);
  EXPECT_EQ(moves_with([](MovesWorld& w) { w.holds = false; }), 0U);
  EXPECT_EQ(moves_with([](MovesWorld& w) { w.leads = false; }), 0U);
  EXPECT_EQ(moves_with([](MovesWorld& w) { w.pods[0]->ready = false; }), 0U);
  EXPECT_EQ(moves_with([](MovesWorld& w) {
              w.config.moves.evict = false;
              w.Reset();
            }),
            0U);
  EXPECT_EQ(moves_with([](MovesWorld& w) { w.pods[0]->started = w.now + hours(29); }), 0U);
}

TEST(Mover, TheOwnersWordChangesWhatBecomesOfIt) {
  MovesWorld world;
  PodPlacement& pod = world.AddPod("web", "west", "");
  world.Run(hours(1));
  ASSERT_EQ(world.advice().size(), 1U);
  EXPECT_EQ(world.advice()[0].state, AdviceState::kOpen);
  pod.annotations = {{"move", "never"}};
  world.Run(hours(1));
  EXPECT_EQ(world.advice()[0].state, AdviceState::kDismissed);
  EXPECT_EQ(world.advice()[0].note, "sobre.dev/move: never");
  pod.annotations = {{"move", "auto"}};
  world.Run(hours(1));
  EXPECT_EQ(world.advice()[0].state, AdviceState::kAccepted);
  // The owner does it.
  pod.node = "east";
  pod.uid = "uid-new";
  world.Run(minutes(10));
  EXPECT_EQ(world.advice()[0].state, AdviceState::kDone);
  EXPECT_EQ(world.advice()[0].note, "by others");
  world.Run(hours(2));
  EXPECT_EQ(world.advice()[0].state, AdviceState::kMeasured);
  EXPECT_EQ(world.advice().size(), 1U);
}

TEST(Mover, WhatHoldsNoLongerExpiresAndMayComeAgain) {
  MovesWorld world;
  world.AddPod("web", "west", "");
  world.Run(hours(1));
  world.east = [](Duration) { return 500.0; };
  world.Run(minutes(20));
  EXPECT_EQ(world.advice()[0].state, AdviceState::kOpen) << "a gap in what is known";
  world.Run(minutes(30));
  ASSERT_EQ(world.advice().size(), 1U);
  EXPECT_EQ(world.advice()[0].state, AdviceState::kExpired);
  EXPECT_EQ(world.advice()[0].note, "it holds no longer");
  world.east = [](Duration) { return 50.0; };
  world.Run(minutes(20));
  ASSERT_EQ(world.advice().size(), 2U);
  EXPECT_EQ(world.advice()[1].id, world.advice()[0].id);
  EXPECT_GT(world.advice()[1].opened, world.advice()[0].opened);
  world.pods.clear();
  world.Run(hours(1));
  EXPECT_EQ(world.advice()[1].note, "the workload is gone");
}

TEST(MoveBook, AReservationIsNotJudgedBeforeItWasWatchedAgain) {
  MovesWorld world;
  world.AddPod("web", "west", "");
  RightsizingAdvice unused;
  unused.namespace_name = "shop";
  unused.workload = "web";
  unused.place = "scaleway/fr-par";
  unused.pods = 1;
  unused.requested_millicpu = 2000;
  unused.suggested_millicpu = 200;
  unused.peak = Vcpus(0.1);
  const auto look = [&](MoveBook& book, bool held) {
    WorldState state;
    state.input = world.Grid().input();
    state.snapshot = world.Grid().Snapshot();
    book.Update(state, {}, {&unused, held ? 1U : 0U}, world.now);
  };
  MoveBook before({}, world.now);
  look(before, true);
  ASSERT_EQ(before.all().size(), 1U);
  world.now += hours(1);
  MoveBook book({}, world.now);
  book.Restore(before.all(), world.now);
  world.now += hours(23);
  look(book, false);
  EXPECT_EQ(book.all()[0].state, AdviceState::kOpen) << "nobody knows yet";
  world.now += hours(2);
  look(book, false);
  EXPECT_EQ(book.all()[0].state, AdviceState::kExpired);
}

TEST(MoveBook, WhatNothingCameOfIsBoundedAndTheOldestGoes) {
  MovesWorld world;
  std::vector<Advice> kept(30);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    kept[i].id = "m" + std::to_string(i);
    kept[i].namespace_name = "shop";
    kept[i].workload = "gone-" + std::to_string(i);
    kept[i].state = AdviceState::kExpired;
    kept[i].opened = kept[i].changed = world.now + std::chrono::seconds(i);
  }
  kept[0].evictions = 1;
  kept[1].state = AdviceState::kMeasured;
  world.now += hours(1);
  MoveBook book({.most_expired = 10}, world.now);
  book.Restore(kept, world.now);
  WorldState state;
  state.input = world.Grid().input();
  state.snapshot = world.Grid().Snapshot();
  book.Update(state, {}, {}, world.now);
  std::vector<std::string> ids;
  for (const Advice& advice : book.all()) ids.push_back(advice.id);
  EXPECT_THAT(ids, ElementsAre("m0", "m1", "m20", "m21", "m22", "m23", "m24", "m25", "m26", "m27",
                               "m28", "m29"));
}

TEST(Mover, ARefusalWaitsAndIsCounted) {
  MovesWorld world;
  world.AddPod("web", "west");
  world.answer = EvictionOutcome::kRefused;
  world.Run(hours(25));
  const auto refused = world.adviser->status().tried[1];
  EXPECT_GT(refused, 1U);
  EXPECT_EQ(world.advice()[0].evictions, 0);
  EXPECT_THAT(
      MovesMetrics(world.adviser->status()),
      HasSubstr("sobre_move_evictions_total{outcome=\"refused\"} " + std::to_string(refused)));
  world.answer = EvictionOutcome::kEvicted;
  world.Run(hours(1));
  EXPECT_EQ(world.moves.size(), 1U);
}

TEST(Mover, WhoIsPlacedElsewhereIsLeftAlone) {
  MovesWorld world;
  world.AddPod("web", "west");
  world.placed = "west";
  world.Run(hours(24 + 20));
  EXPECT_EQ(world.moves.size(), 1U);
  EXPECT_EQ(world.adviser->status().replaced[1], 1U);
  ASSERT_EQ(world.advice().size(), 1U);
  EXPECT_THAT(world.advice()[0].note, StartsWith("waits until "));
}

TEST(Mover, ARestartForgetsNothingThatWasKept) {
  const TestDatabase place{""};
  const DatabaseOpener open = [&] { return OpenSqlite(place.Where(), SqliteMode::kReadWrite); };
  MovesWorld world;
  world.Reset(open);
  world.AddPod("web", "west");
  world.Run(hours(20));
  EXPECT_EQ(world.adviser->status().problem, "");
  const Timestamp opened = world.advice()[0].opened;
  world.Reset(open);
  world.Run(hours(1));
  ASSERT_EQ(world.advice().size(), 1U);
  EXPECT_EQ(world.advice()[0].opened, opened);
  EXPECT_EQ(world.events.size(), 1U) << "said once";
  world.Run(hours(4));
  EXPECT_EQ(world.moves.size(), 1U) << "the day before the restart counts";
  world.Reset(open);
  world.Run(hours(3));
  EXPECT_EQ(world.advice()[0].state, AdviceState::kMeasured);
  // Back again is barred by what was kept, though every pod has run for long.
  std::swap(world.west, world.east);
  for (auto& pod : world.pods) pod->started = world.now - hours(100);
  world.config.moves.window = hours(1);
  world.config.moves.every = minutes(2);
  world.Reset(open);
  world.Run(hours(1));
  EXPECT_EQ(world.moves.size(), 1U);
  ASSERT_EQ(world.advice().size(), 2U);
  EXPECT_EQ(world.advice()[1].to, "scaleway/fr-par");
  world.Run(hours(6));
  EXPECT_EQ(world.moves.size(), 2U);
  ExpectStays(world, world.config.moves.min_time_between);
}

TEST(Mover, OfReplicasWithOneDatabaseOneKeepsTheBook) {
  const TestDatabase place{""};
  const DatabaseOpener open = [&] { return OpenSqlite(place.Where(), SqliteMode::kReadWrite); };
  MovesWorld world;
  world.config.records.postgres = "shared";
  world.holds = false;
  world.Reset(open);
  world.AddPod("web", "west", "");
  world.Look();
  EXPECT_TRUE(world.advice().empty()) << "who leads is not known yet";
  world.holds = true;
  world.Look();
  ASSERT_EQ(world.advice().size(), 1U);
  const std::unique_ptr<MoveAdviser> first = std::move(world.adviser);
  world.leads = world.holds = false;
  world.Reset(open);
  world.now += minutes(10);
  world.Look();
  ASSERT_EQ(world.advice().size(), 1U) << "read from the other's";
  EXPECT_EQ(world.advice()[0].opened, first->status().advice[0].opened);
  EXPECT_EQ(world.events.size(), 1U);
  // It takes over, and opens nothing again.
  world.leads = world.holds = true;
  world.now += minutes(10);
  world.Look();
  ASSERT_EQ(world.advice().size(), 1U);
  EXPECT_EQ(world.advice()[0].opened, first->status().advice[0].opened);
  EXPECT_EQ(world.advice()[0].held, world.now);
  EXPECT_EQ(world.events.size(), 1U);
}

TEST(Mover, WhatIsAdvisedIsCountedOnceWhereTheBestPlaceChanges) {
  MovesStatus status;
  status.tells = true;
  Advice& old = status.advice.emplace_back();
  old.pods = 2;
  old.now_g = 10;
  old.there_g = 4;
  old.held = MovesWorld::kStart;
  status.advice.push_back(old);
  status.advice.back().there_g = 3;
  status.advice.back().held = MovesWorld::kStart + minutes(1);
  EXPECT_THAT(MovesMetrics(status),
              HasSubstr("sobre_moves_saved_gco2e_per_hour{of=\"advised\"} 14\n"));
}

TEST(Mover, WithoutADatabaseToOpenAdviceGoesOn) {
  MovesWorld world;
  world.Reset([]() -> Result<std::unique_ptr<Database>> { return Status::Unavailable("no disk"); });
  world.AddPod("web", "west");
  world.Run(hours(26));
  ASSERT_EQ(world.advice().size(), 1U);
  EXPECT_EQ(world.adviser->status().problem, "no disk");
  // Nobody knows what was moved before.
  EXPECT_TRUE(world.moves.empty());
}

TEST(Mover, WhoTakesOverWaitsAsFromAStart) {
  MovesWorld world;
  world.holds = false;
  world.AddPod("web", "west");
  world.Run(hours(26));
  EXPECT_TRUE(world.moves.empty());
  world.holds = true;
  const Timestamp took_over = world.now;
  world.Run(hours(1));
  ASSERT_EQ(world.moves.size(), 1U);
  EXPECT_GE(world.moves[0].time - took_over, minutes(10));
}

TEST(Mover, TellsTheApiAndMetrics) {
  MovesWorld world;
  world.AddPod("web", "west", "");
  world.AddPod("api", "west", "never");
  world.Run(hours(1));
  AdviceFilter filter;
  const std::string all =
      RecommendationsJson(world.adviser->status(), world.config, filter, world.now);
  EXPECT_THAT(all, HasSubstr("\"counts\":{\"open\":1,\"accepted\":0,\"dismissed\":1,"));
  EXPECT_THAT(all, HasSubstr("\"from\":\"scaleway/fr-par\",\"to\":\"scaleway/nl-ams\",\"pods\":1"));
  filter.state = "dismissed";
  const std::string some =
      RecommendationsJson(world.adviser->status(), world.config, filter, world.now);
  EXPECT_THAT(some, HasSubstr("\"workload\":\"api\""));
  EXPECT_THAT(some, ::testing::Not(HasSubstr("\"workload\":\"web\"")));
  const std::string metrics = MovesMetrics(world.adviser->status());
  EXPECT_THAT(metrics, HasSubstr("sobre_moves{kind=\"move\",state=\"open\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("sobre_moves{kind=\"move\",state=\"dismissed\"} 1\n"));
  world.leads = false;
  world.Look();
  EXPECT_THAT(MovesMetrics(world.adviser->status()), ::testing::Not(HasSubstr("sobre_moves{")));
}

TEST(Mover, WhatIsAdvisedBeforeTheLeaseIsSureIsToldOnceItIs) {
  MovesWorld world;
  world.AddPod("web", "west");
  world.leads = world.holds = false;
  world.lease = LeaseState{LeaseHold::kFresh, false, ""};
  world.Run(hours(2));
  ASSERT_EQ(world.advice().size(), 1U);
  EXPECT_THAT(world.events, IsEmpty());
  world.leads = true;
  world.Look();
  EXPECT_THAT(world.events, ElementsAre("MoveAdvised web-1"));

  MovesWorld other;
  other.AddPod("web", "west");
  other.leads = other.holds = false;
  other.lease = LeaseState{LeaseHold::kOther, false, ""};
  other.Run(hours(2));
  other.leads = true;
  other.Look();
  EXPECT_THAT(other.events, IsEmpty()) << "another has told it";
}

}  // namespace
}  // namespace sobre
