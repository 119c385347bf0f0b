#include "extender/api_backtests.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/http_client.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kResult =
    R"({"scenario":"week","start":"2019-03-04T00:00:00Z","counted_from":"2019-03-05T00:00:00Z","hours":168,)"
    R"("seed":1,"policies":[{"policy":"a","total":{},"places":[],"hours":[]}],"warnings":[],"notes":[]})";

class BacktestsApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_ / "results");
    config_.backtests.directory = (folder_ / "results").string();
    AddBacktestsApi(server_, config_);
    ASSERT_TRUE(server_.Start().ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }
  std::string Get(const std::string& path) {
    HttpCall call;
    call.url = "http://127.0.0.1:" + std::to_string(server_.port()) + path;
    const auto reply = client_.Fetch(call);
    return reply.ok() ? std::to_string(reply->status) + " " + reply->body
                      : reply.status().message();
  }

  std::filesystem::path folder_;
  Config config_;
  HttpServer server_{HttpServer::Options{}};
  HttpClient client_;
};

TEST_F(BacktestsApiTest, ListsWhatIsThereAndSaysWhatIsWrongWithIt) {
  EXPECT_EQ(Get("/api/v1/backtests"), R"(200 {"backtests":[]})");
  Write("results/week.json", kResult);
  Write("results/broken.json", "{");
  Write("results/other.json", R"({"scenario":"x"})");
  Write("results/.hidden.json", kResult);
  Write("results/notes.txt", "no result");
  std::filesystem::create_directory(folder_ / "results" / "folder.json");
  EXPECT_EQ(
      Get("/api/v1/backtests"),
      R"(200 {"backtests":[{"name":"broken","scenario":"","start":"","hours":0,"policies":0,"problem":"broken: is not JSON"},)"
      R"({"name":"other","scenario":"","start":"","hours":0,"policies":0,"problem":"other: is not what `sobre backtest --format json` prints: it says not which hours were played"},)"
      R"({"name":"week","scenario":"week","start":"2019-03-05T00:00:00Z","hours":168,"policies":1,"problem":""}]})");
}

TEST_F(BacktestsApiTest, GivesOneAsItStands) {
  Write("results/week.json", kResult);
  Write("results/broken.json", "{");
  EXPECT_EQ(Get("/api/v1/backtests/week"), std::string("200 ") + kResult);
  EXPECT_THAT(Get("/api/v1/backtests/broken"), StartsWith("409 {\"error\":\"broken: is not JSON"));
  EXPECT_THAT(Get("/api/v1/backtests/none"), StartsWith("404"));
}

TEST_F(BacktestsApiTest, NoNameLeadsOutOfTheFolder) {
  Write("secret.json", kResult);
  for (const char* name : {"../secret", "..%2Fsecret", "%2e%2e/secret", "/secret", "week%00",
                           "results/../../secret", ""})
    EXPECT_THAT(Get(std::string("/api/v1/backtests/") + name), StartsWith("404")) << name;
}

TEST_F(BacktestsApiTest, SaysHowItIsSwitchedOn) {
  config_.backtests.directory.clear();
  EXPECT_EQ(Get("/api/v1/backtests"), R"(200 {"backtests":[]})");
  EXPECT_THAT(Get("/api/v1/backtests/week"), HasSubstr("404 {\"error\":\"no results of backtests"));
  config_.backtests.directory = (folder_ / "away").string();
  EXPECT_THAT(Get("/api/v1/backtests"), HasSubstr("cannot be read: No such file"));
}

}  // namespace
}  // namespace sobre
