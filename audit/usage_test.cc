#include "audit/usage.h"

#include <map>
#include <random>

#include "audit/schema.h"
#include "store/test_databases.h"

namespace sobre {
namespace {

using std::chrono::hours;

const Timestamp kStart = *ParseTime("2026-05-16T00:00:00Z");

UsageRow Row(Timestamp begin, const std::string& workload, const std::string& uid) {
  UsageRow row;
  row.begin = begin;
  row.namespace_name = "shop";
  row.workload = workload;
  row.pod = workload + "-" + uid;
  row.pod_uid = uid;
  row.node = "fr-1";
  row.provider = "ovhcloud";
  row.region = "GRA9";
  row.country = "FR";
  row.hardware_class = "ice-lake";
  row.pod_hours = 1;
  row.energy_kwh = 0.25;
  row.operational_low_g = 9;
  row.operational_g = 10;
  row.operational_high_g = 12;
  row.eur = 0.5;
  row.requests = 3600;
  row.compared_eur = 0.125;
  return row;
}

class UsageStoreTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_NE(database_, nullptr);
    ExpectOk(MigrateSchema(*database_));
    ExpectOk(store_.TakeOver(std::nullopt, "a", kStart));
  }

  void Add(const std::vector<UsageRow>& rows) {
    const auto seen = store_.LastAccounted();
    ASSERT_TRUE(seen.ok() && seen->has_value());
    ExpectOk(store_.Add(rows, (*seen)->holder, (*seen)->through, (*seen)->through + hours(1)));
  }
  std::vector<UsageRow> All() {
    const auto rows = store_.Read(kStart - hours(24 * 1000), kStart + hours(24 * 1000));
    EXPECT_TRUE(rows.ok()) << rows.status().message();
    return rows.ok() ? *rows : std::vector<UsageRow>();
  }

  TestDatabase place_{GetParam()};
  std::unique_ptr<Database> database_ = place_.Open();
  UsageStore store_{*database_};
};

INSTANTIATE_TEST_SUITE_P(Databases, UsageStoreTest, testing::ValuesIn(TestServersAndSqlite()),
                         TestServerName);

TEST_P(UsageStoreTest, WhatIsAddedIsReadBack) {
  UsageRow row = Row(kStart, "web", "u1");
  row.team = "blue";
  row.model = "llama";
  row.is_run = true;
  row.mean_candidate_g = 1e-17;
  Add({row});
  const std::vector<UsageRow> rows = All();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].begin, kStart);
  EXPECT_EQ(rows[0].length, hours(1));
  EXPECT_EQ(rows[0].pod, "web-u1");
  EXPECT_EQ(rows[0].pod_uid, "u1");
  EXPECT_EQ(rows[0].team, "blue");
  EXPECT_EQ(rows[0].model, "llama");
  EXPECT_TRUE(rows[0].is_run);
  EXPECT_EQ(rows[0].country, "FR");
  EXPECT_EQ(rows[0].hardware_class, "ice-lake");
  EXPECT_EQ(rows[0].operational_high_g, 12);
  EXPECT_EQ(rows[0].mean_candidate_g, 1e-17);
  EXPECT_EQ(rows[0].compared_eur, 0.125);
}

TEST_P(UsageStoreTest, TheSameKeyAddsUpAndAnotherDoesNot) {
  const UsageRow row = Row(kStart, "web", "u1");
  UsageRow run = row;
  run.is_run = true;
  Add({row, row, run});
  Add({row, Row(kStart + hours(1), "web", "u1")});
  const std::vector<UsageRow> rows = All();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].requests, 3 * 3600);
  EXPECT_EQ(rows[0].operational_low_g, 27);
  EXPECT_EQ(rows[1].requests, 3600);
  EXPECT_TRUE(rows[1].is_run);
  EXPECT_EQ(rows[2].begin, kStart + hours(1));
}

TEST_P(UsageStoreTest, ReadsWhatBeginsInTime) {
  Add({Row(kStart, "web", "u1"), Row(kStart + hours(1), "web", "u1"),
       Row(kStart + hours(2), "web", "u1")});
  const auto rows = store_.Read(kStart + hours(1), kStart + hours(2));
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ((*rows)[0].begin, kStart + hours(1));
}

TEST_P(UsageStoreTest, TellsWorkloadsWithoutTheirPods) {
  Add({Row(kStart, "web", "u1"), Row(kStart, "web", "u2"), Row(kStart, "db", "u3"),
       Row(kStart + hours(30), "web", "u1")});
  const auto rows = store_.ReadWorkloads(kStart, kStart + hours(31));
  ASSERT_TRUE(rows.ok()) << rows.status().message();
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[0].workload, "db");
  EXPECT_EQ((*rows)[1].workload, "web");
  EXPECT_EQ((*rows)[1].pod_uid, "");
  EXPECT_EQ((*rows)[1].node, "");
  EXPECT_DOUBLE_EQ((*rows)[1].pod_hours, 2 * (*rows)[0].pod_hours);
  EXPECT_DOUBLE_EQ((*rows)[1].eur, 2 * (*rows)[0].eur);
  EXPECT_EQ((*rows)[2].begin, kStart + hours(30));

  const std::string name_space = (*rows)[0].namespace_name;
  const auto one = store_.ReadWorkloads(kStart, kStart + hours(31), {name_space, "web", ""});
  ASSERT_TRUE(one.ok()) << one.status().message();
  EXPECT_EQ(one->size(), 2u);
  const auto none = store_.ReadWorkloads(kStart, kStart + hours(31), {"", "", "no-such-model"});
  ASSERT_TRUE(none.ok()) << none.status().message();
  EXPECT_TRUE(none->empty());
  const auto count = store_.Count(kStart, kStart + hours(1));
  ASSERT_TRUE(count.ok()) << count.status().message();
  EXPECT_EQ(*count, 3);
}

TEST_P(UsageStoreTest, ManyRowsAreAddedAtOnce) {
  std::vector<UsageRow> rows;
  for (int i = 0; i < 1234; ++i) rows.push_back(Row(kStart, "web", std::to_string(i)));
  Add(rows);
  EXPECT_EQ(All().size(), 1234u);
}

TEST_P(UsageStoreTest, OneReplicaAccounts) {
  auto seen = store_.LastAccounted();
  ASSERT_TRUE(seen.ok() && seen->has_value());
  EXPECT_EQ((*seen)->holder, "a");
  EXPECT_EQ((*seen)->through, kStart);
  EXPECT_EQ(store_.TakeOver(std::nullopt, "b", kStart).code(), ErrorCode::kGone);
  ExpectOk(store_.TakeOver(*seen, "b", kStart + hours(5)));
  EXPECT_EQ(store_.TakeOver(*seen, "c", kStart).code(), ErrorCode::kGone);
  EXPECT_EQ(store_.Add({Row(kStart, "web", "u1")}, "a", kStart, kStart + hours(1)).code(),
            ErrorCode::kGone);
  EXPECT_TRUE(All().empty());
  ExpectOk(store_.Add({Row(kStart, "web", "u1")}, "b", kStart, kStart + hours(1)));
  EXPECT_EQ(store_.Add({Row(kStart, "web", "u1")}, "b", kStart, kStart + hours(1)).code(),
            ErrorCode::kGone)
      << "the same hour is not added twice";
  EXPECT_EQ(All().size(), 1u);
  seen = store_.LastAccounted();
  ASSERT_TRUE(seen.ok() && seen->has_value());
  EXPECT_EQ((*seen)->holder, "b");
  EXPECT_EQ((*seen)->through, kStart + hours(1));
}

TEST_P(UsageStoreTest, FoldsHoursIntoDaysAndDaysIntoWorkloads) {
  const UsageStore::Retention retention{hours(48), hours(24 * 10), hours(24 * 100)};
  const Timestamp now = kStart + hours(13);
  const auto ago = [&](int days, int hour) { return kStart - hours(24 * days) + hours(hour); };
  Add({Row(ago(101, 3), "web", "u1"),                                // gone
       Row(ago(20, 3), "web", "u1"), Row(ago(20, 23), "web", "u2"),  // one row
       Row(ago(20, 3), "db", "u3"),                                  // another workload
       Row(ago(5, 0), "web", "u1"), Row(ago(5, 23), "web", "u1"),    // a day
       Row(ago(5, 1), "web", "u2"),                                  // of another pod
       Row(ago(2, 1), "web", "u1")});                                // its day is not over 48 h old
  for (int times = 0; times < 3; ++times) {
    ExpectOk(store_.Fold(now, retention));
    const std::vector<UsageRow> rows = All();
    ASSERT_EQ(rows.size(), 5u);
    EXPECT_EQ(rows[0].begin, ago(20, 0));
    EXPECT_EQ(rows[0].workload, "db");
    EXPECT_EQ(rows[0].pod, "");
    EXPECT_EQ(rows[1].workload, "web");
    EXPECT_EQ(rows[1].pod_uid, "");
    EXPECT_EQ(rows[1].length, hours(24));
    EXPECT_EQ(rows[1].requests, 7200);
    EXPECT_EQ(rows[1].country, "FR");
    EXPECT_EQ(rows[2].pod_uid, "u1");
    EXPECT_EQ(rows[2].pod, "web-u1");
    EXPECT_EQ(rows[2].operational_high_g, 24);
    EXPECT_EQ(rows[3].pod_uid, "u2");
    EXPECT_EQ(rows[4].begin, ago(2, 1));
    EXPECT_EQ(rows[4].length, hours(1));
  }
}

TEST_P(UsageStoreTest, WhatComesLateIsFoldedToo) {
  const UsageStore::Retention retention{hours(48), hours(24 * 10), hours(24 * 100)};
  const Timestamp old = kStart - hours(24 * 20);
  Add({Row(old, "web", "u1")});
  ExpectOk(store_.Fold(kStart, retention));
  Add({Row(old + hours(2), "web", "u9")});
  ExpectOk(store_.Fold(kStart, retention));
  const std::vector<UsageRow> rows = All();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].energy_kwh, 0.5);
}

TEST_P(UsageStoreTest, APodWithoutUidLosesItsNameAndNothingElse) {
  UsageRow row = Row(kStart - hours(24 * 20), "web", "");
  row.pod = "static";
  Add({row});
  ExpectOk(store_.Fold(kStart, {hours(48), hours(24 * 10), hours(24 * 100)}));
  const std::vector<UsageRow> rows = All();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].pod, "");
  EXPECT_EQ(rows[0].requests, 3600);
}

// Whatever the rows, folding changes no sum by workload and day.
TEST_P(UsageStoreTest, FoldingKeepsSums) {
  std::mt19937 dice(7);
  const auto pick = [&](int sides) {
    return static_cast<int>(dice() % static_cast<unsigned>(sides));
  };
  std::vector<UsageRow> rows;
  for (int i = 0; i < 800; ++i) {
    UsageRow row = Row(kStart - hours(pick(24 * 40)),
                       std::string(1, static_cast<char>('a' + pick(3))), std::to_string(pick(4)));
    row.team = pick(2) == 0 ? "" : "blue";
    row.is_run = pick(3) == 0;
    row.node = pick(2) == 0 ? "n1" : "n2";
    row.energy_kwh = pick(1000) / 1024.0;  // sums are exact
    row.eur = pick(1000) / 64.0;
    rows.push_back(row);
  }
  Add(rows);
  using Key = std::tuple<Timestamp, std::string, std::string, bool, std::string>;
  const auto sums = [&] {
    std::map<Key, std::pair<double, double>> all;
    for (const UsageRow& row : All()) {
      const Timestamp day(std::chrono::floor<std::chrono::days>(row.begin));
      auto& [energy, euros] = all[{day, row.workload, row.team, row.is_run, row.node}];
      energy += row.energy_kwh;
      euros += row.eur;
    }
    return all;
  };
  const auto before = sums();
  ExpectOk(store_.Fold(kStart, {hours(72), hours(24 * 12), hours(24 * 100)}));
  EXPECT_LT(All().size(), 700u);
  EXPECT_EQ(sums(), before);
}

TEST_P(UsageStoreTest, EveryFigureHasItsColumn) {
  UsageRow row = Row(kStart, "web", "u1");
  row.vcpu_hours = 2;
  row.memory_gb_hours = 3;
  row.gpu_hours = 4;
  row.market_g = 5;
  row.embodied_low_g = 6;
  row.embodied_g = 7;
  row.embodied_high_g = 8;
  row.list_eur = 9;
  row.tokens = 10;
  row.energy_known_hours = 11;
  row.grams_known_hours = 12;
  row.eur_known_hours = 13;
  row.measured_kwh = 14;
  row.live_g = 15;
  row.mean_candidate_eur = 16;
  row.compared_g = 17;
  Add({row});
  ASSERT_EQ(All().size(), 1u);
  const UsageRow back = All()[0];
  EXPECT_EQ(back.vcpu_hours, 2);
  EXPECT_EQ(back.memory_gb_hours, 3);
  EXPECT_EQ(back.gpu_hours, 4);
  EXPECT_EQ(back.market_g, 5);
  EXPECT_EQ(back.embodied_low_g, 6);
  EXPECT_EQ(back.embodied_g, 7);
  EXPECT_EQ(back.embodied_high_g, 8);
  EXPECT_EQ(back.list_eur, 9);
  EXPECT_EQ(back.tokens, 10);
  EXPECT_EQ(back.energy_known_hours, 11);
  EXPECT_EQ(back.grams_known_hours, 12);
  EXPECT_EQ(back.eur_known_hours, 13);
  EXPECT_EQ(back.measured_kwh, 14);
  EXPECT_EQ(back.live_g, 15);
  EXPECT_EQ(back.mean_candidate_eur, 16);
  EXPECT_EQ(back.compared_g, 17);
}

}  // namespace
}  // namespace sobre
