#include "extender/usage_sink.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "extender/accountant.h"
#include "extender/accounting_test_world.h"

namespace sobre {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

class UsageSinkTest : public ::testing::Test, protected AccountingWorld {
 protected:
  UsageSinkTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~UsageSinkTest() override { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::unique_ptr<UsageSink> Open() const {
    return MakeUsageSink([place = file_] { return OpenSqlite(place, SqliteMode::kReadWrite); });
  }
  const std::string folder_ = ::testing::TempDir() + "/usage_sink_" +
                              ::testing::UnitTest::GetInstance()->current_test_info()->name();
  const std::string file_ = folder_ + "/usage.db";
};

TEST_F(UsageSinkTest, TwoReplicasAndARestartOnOneFileCountEachMinuteOnce) {
  AddPod("a", kSmall, "box", kStart - hours(1));
  const auto replica = [&](const std::string& name) {
    Bookkeeper::Options options;
    options.holder = name;
    options.budgets = {{"shop", "", 1000, {}}};
    return std::make_unique<Bookkeeper>(options, Open(), nullptr);
  };
  const auto look = [&](Bookkeeper& one, Duration after) {
    one.Tick(State(), kStart + after);
    one.Sync(kStart + after);
  };
  auto one = replica("one");
  auto two = replica("two");
  for (Duration at(0); at <= minutes(70); at += seconds(15)) {
    look(*one, at);
    look(*two, at);
  }
  one.reset();  // without a word
  for (Duration at = minutes(70) + seconds(15); at <= minutes(90); at += seconds(15))
    look(*two, at);
  EXPECT_TRUE(two->status().holds);
  two->Finish(kStart + minutes(90));
  two.reset();
  auto three = replica("three");
  for (Duration at = minutes(92); at <= minutes(120); at += seconds(15)) look(*three, at);
  three->Finish(kStart + minutes(120));
  EXPECT_EQ(three->status().problem, "");
  ASSERT_EQ(three->status().budgets.size(), 1U);
  EXPECT_GT(three->status().budgets[0].used, 0);

  const auto database = OpenSqlite(file_, SqliteMode::kReadOnly);
  ASSERT_TRUE(database.ok()) << database.status().message();
  const auto rows = UsageStore(**database).Read(kStart, kStart + hours(5));
  ASSERT_TRUE(rows.ok()) << rows.status().message();
  ASSERT_EQ(rows->size(), 2U);
  for (const UsageRow& row : *rows) EXPECT_NEAR(row.pod_hours, 1, 1e-9);
}

TEST_F(UsageSinkTest, SumsByDayAreThoseOfTheRows) {
  const auto sink = Open();
  const Timestamp midnight = TestWorld::kTime;
  std::vector<UsageRow> rows;
  for (int i = 0; i < 200; ++i) {
    UsageRow& row = rows.emplace_back();
    row.begin = midnight + hours(i % 40);
    row.namespace_name = i % 3 == 0 ? "a" : "b";
    row.team = i % 2 == 0 ? "x" : "";
    row.pod_uid = "uid-" + std::to_string(i);
    row.eur = 1 + i;
    row.operational_g = 2;
    row.embodied_g = 0.5 * i;
  }
  ASSERT_TRUE(sink->TakeOver({}, "one", midnight).ok());
  const UsageRows each = [&rows](const TakeUsage& take) {
    for (const UsageRow& row : rows) take(row);
  };
  ASSERT_TRUE(sink->Add(each, "one", midnight, midnight + hours(40)).ok());
  const auto use = sink->UseByDay(midnight, midnight + hours(40));
  ASSERT_TRUE(use.ok()) << use.status().message();
  const auto expected = UseByDay(rows);
  ASSERT_EQ(use->size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ((*use)[i].day, expected[i].day);
    EXPECT_EQ((*use)[i].first, expected[i].first);
    EXPECT_EQ((*use)[i].namespace_name, expected[i].namespace_name);
    EXPECT_EQ((*use)[i].team, expected[i].team);
    EXPECT_NEAR((*use)[i].eur, expected[i].eur, 1e-9);
    EXPECT_NEAR((*use)[i].grams, expected[i].grams, 1e-9);
  }
}

TEST_F(UsageSinkTest, AFileThatCannotBeOpenedIsTriedAgain) {
  const std::string moved = folder_ + ".away";
  std::filesystem::remove_all(moved);
  std::filesystem::rename(folder_, moved);
  const auto sink = Open();
  const auto first = sink->LastAccounted();
  ASSERT_FALSE(first.ok());
  EXPECT_THAT(first.status().message(), HasSubstr("usage.db"));
  std::filesystem::rename(moved, folder_);
  const auto second = sink->LastAccounted();
  ASSERT_TRUE(second.ok()) << second.status().message();
  EXPECT_FALSE(*second);
}

}  // namespace
}  // namespace sobre
