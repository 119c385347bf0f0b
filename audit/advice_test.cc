#include "audit/advice.h"

#include "audit/schema.h"
#include "store/test_databases.h"

namespace sobre {
namespace {

using std::chrono::hours;

const Timestamp kStart = *ParseTime("2026-05-16T00:00:00Z");

class AdviceStoreTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_NE(database_, nullptr);
    ExpectOk(MigrateSchema(*database_));
  }
  static Advice Some(const std::string& workload, Timestamp opened) {
    Advice advice;
    advice.id = AdviceId(AdviceKind::kMove, "shop", workload, "aws/a", "aws/b");
    advice.opened = opened;
    advice.changed = opened;
    advice.held = opened;
    advice.namespace_name = "shop";
    advice.workload = workload;
    advice.from = "aws/a";
    advice.to = "aws/b";
    advice.pods = 3;
    advice.now_g = 12.5;
    advice.holds_on_mean = 0;
    return advice;
  }

  TestDatabase place_{GetParam()};
  std::unique_ptr<Database> database_ = place_.Open();
  AdviceStore store_{*database_};
};

INSTANTIATE_TEST_SUITE_P(All, AdviceStoreTest, testing::ValuesIn(TestServersAndSqlite()),
                         TestServerName);

TEST_P(AdviceStoreTest, ComesBackAsItWas) {
  Advice advice = Some("web", kStart);
  advice.state = AdviceState::kAccepted;
  advice.kind = AdviceKind::kRightsizing;
  advice.after_hours = 0.25;
  advice.evictions = 2;
  advice.last_eviction = kStart + hours(1);
  advice.note = "why";
  ExpectOk(store_.Save({advice, Some("api", kStart + hours(1))}, {}));
  const auto all = store_.Read(kStart, 10);
  ASSERT_TRUE(all.ok()) << all.status().message();
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].workload, "api") << "the newest first";
  const Advice& back = (*all)[1];
  EXPECT_EQ(back.id, advice.id);
  EXPECT_EQ(back.opened, kStart);
  EXPECT_EQ(back.state, AdviceState::kAccepted);
  EXPECT_EQ(back.kind, AdviceKind::kRightsizing);
  EXPECT_EQ(back.from, "aws/a");
  EXPECT_EQ(back.note, "why");
  EXPECT_EQ(back.pods, 3);
  EXPECT_EQ(back.evictions, 2);
  EXPECT_EQ(back.last_eviction, kStart + hours(1));
  EXPECT_EQ(back.now_g, 12.5);
  EXPECT_EQ(back.now_eur, std::nullopt);
  EXPECT_EQ(back.holds_on_mean, 0);
  EXPECT_EQ(back.after_hours, 0.25);
}

TEST_P(AdviceStoreTest, ASecondLifeDoesNotOverwriteTheFirst) {
  Advice first = Some("web", kStart);
  first.state = AdviceState::kMeasured;
  Advice second = Some("web", kStart + hours(9));
  EXPECT_EQ(first.id, second.id);
  ExpectOk(store_.Save({first, second}, {}));
  second.state = AdviceState::kDismissed;
  second.changed += hours(1);
  ExpectOk(store_.Save({second}, {}));
  const auto all = store_.Read(kStart, 10);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].state, AdviceState::kDismissed);
  EXPECT_EQ((*all)[1].state, AdviceState::kMeasured);
  EXPECT_EQ(store_.Read(kStart + hours(10), 10)->size(), 1U);
  EXPECT_EQ(store_.Read(kStart, 1)->size(), 1U);
  ExpectOk(store_.Forget(kStart + hours(20), kStart));
  ASSERT_EQ(store_.Read(kStart, 10)->size(), 1U) << "what is not closed stays";
}

TEST_P(AdviceStoreTest, WhatHoldsForLongIsStillRead) {
  Advice old = Some("web", kStart);
  old.held = kStart + hours(24 * 40);
  ExpectOk(store_.Save({old, Some("api", kStart)}, {}));
  const auto late = store_.Read(kStart + hours(24 * 10), 10);
  ASSERT_TRUE(late.ok());
  ASSERT_EQ(late->size(), 1U);
  EXPECT_EQ(late->front().workload, "web");
}

TEST_P(AdviceStoreTest, StepsOfIntensityAreKept) {
  ExpectOk(store_.Save({}, {{"aws/a", kStart, 100, 2}, {"aws/a", kStart + hours(1), 50, 1}}));
  ExpectOk(store_.Save({}, {{"aws/a", kStart + hours(1), 130, 2}}));
  const auto steps = store_.ReadSteps(kStart);
  ASSERT_TRUE(steps.ok());
  ASSERT_EQ(steps->size(), 2U);
  EXPECT_EQ((*steps)[1].sum, 130);
  EXPECT_EQ((*steps)[1].count, 2);
  ExpectOk(store_.Forget(kStart, kStart + hours(1)));
  EXPECT_EQ(store_.ReadSteps(kStart)->size(), 1U);
}

TEST(AdviceId, IsOfWhatItIsAbout) {
  const std::string id = AdviceId(AdviceKind::kMove, "shop", "web", "aws/a", "aws/b");
  EXPECT_EQ(id.size(), 16U);
  EXPECT_EQ(id, AdviceId(AdviceKind::kMove, "shop", "web", "aws/a", "aws/b"));
  EXPECT_NE(id, AdviceId(AdviceKind::kMove, "shop", "web", "aws/b", "aws/a"));
  EXPECT_NE(id, AdviceId(AdviceKind::kMove, "shopw", "eb", "aws/a", "aws/b"));
}

}  // namespace
}  // namespace sobre
