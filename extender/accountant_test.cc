#include "extender/accountant.h"

#include <array>
#include <atomic>
#include <deque>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "extender/accounting_test_world.h"

namespace sobre {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// What all replicas share, and what can befall it.
struct SharedTable {
  std::optional<UsageSink::Accounted> accounted;
  std::vector<UsageRow> rows;
  bool down = false;
  bool lose_answers = false;  // does what is asked, and says it failed
  int folds = 0;

  [[nodiscard]] double Hours() const {
    double sum = 0;
    for (const UsageRow& row : rows) sum += row.pod_hours;
    return sum;
  }
};

class TableSink final : public UsageSink {
 public:
  explicit TableSink(SharedTable& table) : table_(table) {}
  Result<std::optional<Accounted>> LastAccounted() override {
    if (table_.down) return Lost();
    return table_.accounted;
  }
  Status TakeOver(const std::optional<Accounted>& seen, const std::string& holder,
                  Timestamp now) override {
    if (table_.down) return Lost();
    const auto& last = table_.accounted;
    if (seen.has_value() != last.has_value() ||
        (seen && (seen->holder != last->holder || seen->through != last->through)))
      return Status::Gone("moved on");
    table_.accounted = Accounted{holder, seen ? seen->through : now};
    return Answer();
  }
  Status Add(const UsageRows& rows, const std::string& holder, Timestamp from,
             Timestamp to) override {
    if (table_.down) return Lost();
    if (!table_.accounted || table_.accounted->holder != holder ||
        table_.accounted->through != from)
      return Status::Gone("moved on");
    table_.accounted->through = to;
    rows([this](const UsageRow& row) { table_.rows.push_back(row); });
    return Answer();
  }
  Status Fold(Timestamp) override {
    ++table_.folds;
    return Status::Ok();
  }
  Result<std::vector<DailyUse>> UseByDay(Timestamp from, Timestamp to) override {
    if (table_.down) return Lost();
    std::vector<UsageRow> rows;
    for (const UsageRow& row : table_.rows)
      if (row.begin >= from && row.begin < to) rows.push_back(row);
    return sobre::UseByDay(rows);
  }

 private:
  static Status Lost() { return Status::Unavailable("no connection"); }
  [[nodiscard]] Status Answer() const { return table_.lose_answers ? Lost() : Status::Ok(); }
  SharedTable& table_;
};

class BookkeeperTest : public ::testing::Test, protected AccountingWorld {
 protected:
  BookkeeperTest() { AddPod("a", kSmall, "box", kStart - hours(1)); }
  Bookkeeper Replica(const std::string& name, std::vector<Budget> budgets = {}) {
    Bookkeeper::Options options;
    options.holder = name;
    options.budgets = std::move(budgets);
    return {options, std::make_unique<TableSink>(table_), nullptr};
  }
  // One round, as the thread does it.
  void Look(Bookkeeper& replica, Duration after) {
    replica.Tick(State(), kStart + after);
    replica.Sync(kStart + after);
  }
  void Run(Bookkeeper& replica, Duration from, Duration to) {
    for (Duration at = from; at <= to; at += seconds(15)) Look(replica, at);
  }
  [[nodiscard]] double Minutes() const { return table_.Hours() * 60; }
  SharedTable table_;
};

TEST_F(BookkeeperTest, TheFirstAccountsAndTheSecondTakesOverFromWhereItStopped) {
  Bookkeeper one = Replica("one");
  Bookkeeper two = Replica("two");
  for (Duration at(0); at <= minutes(10); at += seconds(15)) {
    Look(one, at);
    Look(two, at);
  }
  EXPECT_TRUE(one.status().holds);
  EXPECT_FALSE(two.status().holds);
  EXPECT_NEAR(Minutes(), 10, 1e-9);
  EXPECT_EQ(two.status().through, kStart + minutes(10)) << "a standby tells it too";
  // `one` is no more. Nothing moves for three minutes, which are then bridged.
  Run(two, minutes(10) + seconds(15), minutes(20));
  EXPECT_TRUE(two.status().holds);
  EXPECT_NEAR(Minutes(), 20, 0.99);
  two.Finish(kStart + minutes(20));
  EXPECT_NEAR(Minutes(), 20, 1e-9);
  // What a replica held that was only thought gone is not added a second time.
  Look(one, minutes(20) + seconds(15));
  Run(one, minutes(20) + seconds(30), minutes(22));
  EXPECT_NEAR(Minutes(), 22, 0.99);
  EXPECT_EQ(one.status().gap + two.status().gap, Duration(0));
}

TEST_F(BookkeeperTest, ARestartWithAShortGapLosesNothingAndALongOneIsCounted) {
  {
    Bookkeeper first = Replica("first");
    Run(first, Duration(0), minutes(5));
    first.Finish(kStart + minutes(5));
    EXPECT_FALSE(first.status().holds);
  }
  Bookkeeper second = Replica("second");
  Run(second, minutes(12), minutes(20));
  EXPECT_NEAR(Minutes(), 20, 0.99);
  second.Finish(kStart + minutes(20));
  EXPECT_NEAR(Minutes(), 20, 1e-9);
  Bookkeeper third = Replica("third");
  Run(third, hours(2), hours(2) + minutes(5));
  third.Finish(kStart + hours(2) + minutes(5));
  EXPECT_NEAR(Minutes(), 25, 0.26) << "the first look after the gap begins anew";
  EXPECT_NEAR(std::chrono::duration<double>(third.status().gap).count(), 100 * 60, 15);
}

TEST_F(BookkeeperTest, WhileTheDatabaseIsDownUsageIsKeptAndAddedLater) {
  Bookkeeper one = Replica("one");
  Run(one, Duration(0), minutes(2));
  table_.down = true;
  Run(one, minutes(2) + seconds(15), hours(3));
  EXPECT_NEAR(Minutes(), 2, 1e-9);
  EXPECT_THAT(one.status().problem, HasSubstr("no connection"));
  table_.down = false;
  Run(one, hours(3) + seconds(15), hours(3) + minutes(2));
  EXPECT_EQ(one.status().problem, "");
  EXPECT_NEAR(Minutes(), 182, 0.99);
  EXPECT_EQ(one.status().gap, Duration(0));
}

TEST_F(BookkeeperTest, AnAnswerThatIsLostIsNotAddedTwice) {
  Bookkeeper one = Replica("one");
  table_.lose_answers = true;
  Run(one, Duration(0), minutes(4));
  table_.lose_answers = false;
  Run(one, minutes(4) + seconds(15), minutes(10));
  one.Finish(kStart + minutes(10));
  EXPECT_NEAR(Minutes(), 10, 1e-9);
  EXPECT_EQ(one.status().through, kStart + minutes(10));
}

TEST_F(BookkeeperTest, WaitsForSignalsButNotForEver) {
  Bookkeeper::Options options;
  options.holder = "one";
  options.servers = 1;
  Bookkeeper one(options, std::make_unique<TableSink>(table_), nullptr);
  Look(one, Duration(0));
  Look(one, minutes(1));
  EXPECT_FALSE(one.status().holds);
  Look(one, minutes(2));
  EXPECT_TRUE(one.status().holds);
}

TEST_F(BookkeeperTest, AStandbyWithAnotherClockDoesNotFight) {
  Bookkeeper one = Replica("one");
  Bookkeeper ahead = Replica("ahead");
  for (Duration at(0); at <= minutes(20); at += seconds(15)) {
    Look(one, at);
    Look(ahead, at + minutes(2));
  }
  EXPECT_TRUE(one.status().holds);
  EXPECT_FALSE(ahead.status().holds);
}

TEST_F(BookkeeperTest, AClockThatWasFarAheadDoesNotStopAccountingForEver) {
  Bookkeeper wrong = Replica("wrong");
  Run(wrong, hours(48), hours(48) + minutes(2));
  Bookkeeper right = Replica("right");
  Run(right, Duration(0), minutes(10));
  EXPECT_TRUE(right.status().holds);
  EXPECT_LE(*right.status().through, kStart + minutes(10));
  EXPECT_NEAR(Minutes(), 2 + 6, 1.3);
}

TEST_F(BookkeeperTest, FoldsNowAndThen) {
  Bookkeeper one = Replica("one");
  Run(one, Duration(0), hours(2) + minutes(2));
  EXPECT_EQ(table_.folds, 3);
}

TEST_F(BookkeeperTest, BudgetsAreJudgedFromWhatIsInTheDatabase) {
  UsageRow before;
  before.begin = kStart - hours(24);
  before.namespace_name = "shop";
  before.eur = 99.99;
  table_.rows = {before};
  Bookkeeper one = Replica("one", {{"shop", "", 100, {}}});
  Run(one, Duration(0), hours(3));
  ASSERT_EQ(one.status().budgets.size(), 1U);
  const BudgetReport& report = one.status().budgets[0];
  EXPECT_EQ(report.state, BudgetState::kExceeded);
  double eur = 0;
  for (const UsageRow& row : table_.rows) eur += row.eur;
  EXPECT_NEAR(report.used, eur, eur * 0.001);
  const std::string text = AccountingMetrics(one.status(), Catalog::Embedded());
  EXPECT_THAT(text, HasSubstr("sobre_budget_used_ratio{budget=\"namespace/shop\",kind=\"eur\"} 1"));
  EXPECT_THAT(text, HasSubstr("sobre_budget_forecast_ratio{"));
}

TEST_F(BookkeeperTest, CountersAreBoundedByNamespace) {
  for (int i = 0; i < 80; ++i) {
    AddPod("p" + std::to_string(i), kSmall, "box", kStart);
    pods_.back()->namespace_name = "ns-" + std::to_string(i);
  }
  Bookkeeper one = Replica("one");
  Run(one, Duration(0), minutes(5));
  EXPECT_EQ(one.status().by_namespace.totals().size(), kOwnNamespaces + 1);
  double kwh = 0;
  double expected = 0;
  for (const auto& [name, totals] : one.status().by_namespace.totals()) kwh += totals.energy_kwh;
  for (const UsageRow& row : table_.rows) expected += row.energy_kwh;
  EXPECT_NEAR(kwh, expected, 1e-12);
  const std::string text = AccountingMetrics(one.status(), Catalog::Embedded());
  EXPECT_THAT(text, HasSubstr("sobre_attributed_eur_total{namespace=\"other\"}"));
  EXPECT_THAT(text,
              HasSubstr("sobre_attributed_gco2e_total{scope=\"embodied\",namespace=\"ns-0\"}"));
  EXPECT_THAT(text, HasSubstr("sobre_accounted_through_timestamp_seconds"));
  EXPECT_THAT(AccountingMetrics({}, Catalog::Embedded()),
              Not(HasSubstr("\nsobre_accounted_through")));
}

// Each replica in a file of its own: every one knows everything, and the sum over them is right.
TEST_F(BookkeeperTest, WithoutASharedDatabaseAllAccountAndOneTells) {
  AddPod("b", kSmall, "box", kStart - hours(1));
  std::array<SharedTable, 2> tables;
  std::size_t leader = 0;
  std::deque<Bookkeeper> replicas;
  for (std::size_t i = 0; i < 2; ++i) {
    Bookkeeper::Options options;
    options.holder = std::to_string(i);
    options.leads = [&leader, i] { return leader == i; };
    // The second decided about one of the pods.
    const auto mean = [i](const std::string& uid) {
      return i == 1 && uid == "uid-b" ? std::optional(MeanOfCandidates{1, 1}) : std::nullopt;
    };
    replicas.emplace_back(options, std::make_unique<TableSink>(tables[i]), mean);
  }
  const auto run = [&](Duration from, Duration to) {
    for (Duration at = from; at <= to; at += seconds(15))
      for (Bookkeeper& replica : replicas) Look(replica, at);
  };
  const auto told = [&](double UsageTotals::*figure) {
    double sum = 0;
    for (const Bookkeeper& replica : replicas) {
      for (const auto& [name, totals] : replica.status().by_namespace.totals())
        sum += totals.*figure;
    }
    return sum;
  };
  const auto accounted = [](const SharedTable& table, double UsageRow::*figure) {
    double sum = 0;
    for (const UsageRow& row : table.rows) sum += row.*figure;
    return sum;
  };
  run(Duration(0), minutes(10));
  for (const Bookkeeper& replica : replicas) EXPECT_TRUE(replica.status().holds);
  EXPECT_THAT(AccountingMetrics(replicas[0].status(), Catalog::Embedded()),
              AllOf(HasSubstr("sobre_accounting_holder 1"), HasSubstr("\nsobre_running_pods ")));
  EXPECT_THAT(AccountingMetrics(replicas[1].status(), Catalog::Embedded()),
              AllOf(HasSubstr("sobre_accounting_holder 0"), Not(HasSubstr("\nsobre_running_pods ")),
                    Not(HasSubstr("workload=\"b\""))));
  EXPECT_GT(told(&UsageTotals::eur), 0);
  EXPECT_EQ(told(&UsageTotals::eur), accounted(tables[0], &UsageRow::eur));
  EXPECT_EQ(accounted(tables[1], &UsageRow::eur), accounted(tables[0], &UsageRow::eur));
  // Of decisions each tells its own.
  EXPECT_GT(told(&UsageTotals::mean_candidate_eur), 0);
  EXPECT_EQ(told(&UsageTotals::mean_candidate_eur),
            accounted(tables[1], &UsageRow::mean_candidate_eur));
  leader = 1;
  run(minutes(10) + seconds(15), minutes(20));
  EXPECT_NEAR(told(&UsageTotals::eur), accounted(tables[0], &UsageRow::eur), 1e-12);
  EXPECT_NEAR(told(&UsageTotals::mean_candidate_eur),
              accounted(tables[1], &UsageRow::mean_candidate_eur), 1e-12);
  EXPECT_FALSE(replicas[0].status().running);
  EXPECT_TRUE(replicas[1].status().running);
}

TEST_F(BookkeeperTest, WorkloadsAndModelsHaveSeriesAndClasses) {
  AddPod("web", kSmall, "box", kStart);
  pods_.back()->annotations = {{"requests-per-second", "10"}, {"model", "llama"}};
  AddPod("idle", kSmall, "box", kStart);
  Bookkeeper one = Replica("one");
  Run(one, Duration(0), minutes(5));
  const auto& workloads = one.status().by_workload.totals();
  const UsageTotals& web = workloads.at("shop/web");
  EXPECT_NEAR(web.requests, 10 * 300, 10 * 16);
  EXPECT_EQ(workloads.at("shop/idle").requests, 0);
  EXPECT_EQ(one.status().by_model.totals().size(), 1U);
  EXPECT_EQ(one.status().by_model.totals().at("llama").requests, web.requests);
  ASSERT_TRUE(one.status().running);
  EXPECT_EQ(one.status().running->pods, static_cast<std::int64_t>(pods_.size()));
  EXPECT_GT(one.status().running->watts, 0);
  const std::string text = AccountingMetrics(one.status(), Catalog::Embedded());
  // 1 vCPU half busy is some 8 W: 0.2 mWh and 0.01 mg a request of ten a second.
  EXPECT_THAT(text,
              HasSubstr("sobre_workload_energy_class{namespace=\"shop\",workload=\"web\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("sobre_workload_carbon_class{namespace=\"shop\",workload=\"web\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("class{namespace=\"shop\",workload=\"idle\"")));
  EXPECT_THAT(text, HasSubstr("sobre_model_gco2e_total{model=\"llama\"}"));
}

TEST(Accountant, WritesWhatThereIsWhenItStops) {
  SharedTable table;
  World world;
  SnapshotInput input;
  input.time = Now();
  auto pod = std::make_shared<PodPlacement>();
  pod->namespace_name = "shop";
  pod->uid = "u";
  pod->node = "nowhere";
  input.pods.push_back(pod);
  world.Publish(MakeState(input));
  {
    Bookkeeper::Options options;
    options.holder = "one";
    Accountant accountant(world, Duration(1), options, std::make_unique<TableSink>(table));
    while (!accountant.status().holds) std::this_thread::yield();
    std::this_thread::sleep_for(Duration(20));
    EXPECT_THAT(accountant.Metrics(), HasSubstr("sobre_accounting_holder 1"));
  }
  EXPECT_GT(table.Hours(), 0);
  EXPECT_EQ(table.accounted->holder, "");
}

TEST(Accountant, WhoNoLongerLeadsSaysSoAtOnce) {
  SharedTable table;
  World world;
  SnapshotInput input;
  input.time = Now();
  world.Publish(MakeState(input));
  std::atomic<bool> leads = true;
  Bookkeeper::Options options;
  options.holder = "one";
  options.leads = [&leads] { return leads.load(); };
  const Accountant accountant(world, hours(1), options, std::make_unique<TableSink>(table));
  while (!accountant.status().tells) std::this_thread::yield();
  EXPECT_THAT(accountant.Metrics(), HasSubstr("sobre_accounting_holder 1"));
  leads = false;
  EXPECT_THAT(accountant.Metrics(), AllOf(HasSubstr("sobre_accounting_holder 0"),
                                          Not(HasSubstr("\nsobre_running_pods "))));
}

}  // namespace
}  // namespace sobre
