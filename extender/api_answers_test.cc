#include "extender/api_answers.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/test_recording.h"
#include "net/http_client.h"

namespace sobre {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr Timestamp kNow = TestWorld::kTime;

TEST(KeptAnswers, AreMadeOnceWhileTheyAreFresh) {
  KeptAnswers kept(seconds(15));
  int made = 0;
  const auto make = [&]() -> Result<std::string> { return std::to_string(++made); };
  EXPECT_EQ(*kept.For("a", kNow, make), "1");
  EXPECT_EQ(*kept.For("a", kNow + seconds(14), make), "1");
  EXPECT_EQ(*kept.For("b", kNow + seconds(14), make), "2");
  EXPECT_EQ(*kept.For("a", kNow + seconds(15), make), "3");
  // Whoever looked at the clock before the one who made it.
  EXPECT_EQ(*kept.For("a", kNow + seconds(12), make), "3");
  EXPECT_EQ(*kept.For("a", kNow - seconds(3600), make), "4") << "a clock that was set back";
}

TEST(KeptAnswers, FailuresAndLongOnesAreMadeAgain) {
  KeptAnswers kept(seconds(15));
  EXPECT_FALSE(kept.For("a", kNow, [] { return Status::Unavailable("busy"); }).ok());
  EXPECT_EQ(*kept.For("a", kNow, [] { return std::string("now"); }), "now");
  const std::string longer(KeptAnswers::kMostBytes + 1, 'x');
  EXPECT_EQ(*kept.For("b", kNow, [&] { return longer; }), longer);
  EXPECT_EQ(*kept.For("b", kNow, [] { return std::string("again"); }), "again");
}

TEST(KeptAnswers, HoldNoMoreQuestionsThanThereIsRoomFor) {
  KeptAnswers kept(seconds(15));
  int made = 0;
  const auto make = [&]() -> Result<std::string> { return std::to_string(++made); };
  for (std::size_t i = 0; i <= KeptAnswers::kMostQuestions; ++i)
    EXPECT_TRUE(kept.For(std::to_string(i), kNow + Duration(i), make).ok());
  const int before = made;
  EXPECT_TRUE(kept.For("1", kNow + seconds(1), make).ok());
  EXPECT_EQ(made, before) << "it is kept";
  EXPECT_TRUE(kept.For("0", kNow + seconds(1), make).ok());
  EXPECT_EQ(made, before + 1) << "it was asked for the longest ago";
}

TEST(KeptAnswers, AreMadeByOneForAllWhoWait) {
  KeptAnswers kept(seconds(15));
  std::atomic<int> made = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const auto answer = kept.For("a", kNow + Duration(i), [&]() -> Result<std::string> {
        ++made;
        return std::string("one");
      });
      EXPECT_EQ(*answer, "one");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
}

class RecordReadersTest : public RecordingTest {
 protected:
  RecordReadersTest() { config_.records.directory = folder_; }
  Config config_;
  RecordReaders readers_{config_};
};

TEST_F(RecordReadersTest, AreBoundedAndComeBack) {
  ASSERT_TRUE(Open("records").ok());
  std::vector<RecordReaders::Reader> held;
  for (int i = 0; i < RecordReaders::kMost; ++i) held.push_back(*readers_.Open());
  EXPECT_EQ(readers_.Open().status().code(), ErrorCode::kUnavailable);
  held.pop_back();
  EXPECT_TRUE(readers_.Open().ok());
  EXPECT_TRUE(readers_.Open().ok()) << "the last one was given back";
}

TEST_F(RecordReadersTest, AFileThatIsNotThereYetIsNoReaderHeld) {
  for (int i = 0; i < 2 * RecordReaders::kMost; ++i)
    EXPECT_EQ(readers_.Open().status().code(), ErrorCode::kUnavailable);
  ASSERT_TRUE(OpenSqlite(folder_ + "/records.db", SqliteMode::kReadWrite).ok());
  EXPECT_EQ(readers_.Open().status().code(), ErrorCode::kUnavailable) << "it has no tables yet";
  ASSERT_TRUE(Open("records").ok());
  EXPECT_TRUE(readers_.Open().ok());
}

TEST_F(RecordReadersTest, SayHowToSwitchOnWhatIsOff) {
  ASSERT_TRUE(Open("records").ok());
  EXPECT_TRUE(readers_.OpenUsage().ok()) << "accounting is on, and has not begun";
  config_.accounting.enabled = false;
  const Status off = readers_.OpenUsage().status();
  EXPECT_EQ(off.code(), ErrorCode::kNotFound);
  EXPECT_THAT(off.message(), HasSubstr("accounting.enabled"));
  EXPECT_TRUE(readers_.Open().ok()) << "what was refused is no reader held";
  const auto database = Open("records");
  ASSERT_TRUE(UsageStore(**database).TakeOver(std::nullopt, "another", kNow).ok());
  EXPECT_TRUE(readers_.OpenUsage().ok()) << "what was accounted for before can be read";
  config_.records.directory.clear();
  const Status none = readers_.Open().status();
  EXPECT_EQ(none.code(), ErrorCode::kNotFound);
  EXPECT_THAT(none.message(), HasSubstr("records.directory"));
}

TEST(HandleJson, NamesWhatIsWrongWithParameters) {
  HttpServer server({});
  HandleJson(server, "/x", {"rows", "price"},
             [](const HttpRequest& request) -> Result<std::string> {
               const auto rows = IntegerIn(request, "rows", 1, 9);
               if (!rows.ok()) return rows.status();
               const auto price = NumberIn(request, "price", 0, 1);
               if (!price.ok()) return price.status();
               return std::to_string(rows->value_or(0)) + (*price ? " priced" : "");
             });
  ASSERT_TRUE(server.Start().ok());
  HttpClient client;
  const auto answer = [&](const std::string& query) {
    HttpCall call;
    call.url = "http://127.0.0.1:" + std::to_string(server.port()) + "/x" + query;
    const auto reply = client.Fetch(call);
    return reply.ok() ? std::to_string(reply->status) + " " + reply->body
                      : reply.status().message();
  };
  EXPECT_EQ(answer(""), "200 0");
  EXPECT_EQ(answer("?rows=9&price=0.5"), "200 9 priced");
  EXPECT_THAT(answer("?row=1"), HasSubstr("400 {\"error\":\"unknown parameter 'row'; did you mean "
                                          "'rows'?"));
  for (const char* rows : {"0", "10", "1.5", "", "x"})
    EXPECT_THAT(answer(std::string("?rows=") + rows), HasSubstr("is no whole number from 1 to 9"));
  for (const char* price : {"-0.1", "1.1", "nan", "1e999"})
    EXPECT_THAT(answer(std::string("?price=") + price), HasSubstr("400 {\"error\":\"price: '"));
}

TEST(FailWith, SaysWhenToAskAgain) {
  HttpResponse busy;
  FailWith(Status::Unavailable("busy"), busy);
  EXPECT_EQ(busy.status, 503);
  EXPECT_THAT(busy.headers, ::testing::Contains(::testing::Pair("Retry-After", "2")));
  HttpResponse damaged;
  FailWith(Status::Damaged("not as it was"), damaged);
  EXPECT_EQ(damaged.status, 409);
  EXPECT_TRUE(damaged.headers.empty());
}

}  // namespace
}  // namespace sobre
