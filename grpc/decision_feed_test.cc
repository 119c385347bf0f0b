#include "grpc/decision_feed.h"

#include <filesystem>
#include <fstream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/http_server.h"

namespace sobre {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr Duration kNow{0};

TEST(EventReader, EventsMayComeInAnyPieces) {
  const std::string text =
      ": hello\n\nid: 7\nevent: decisions\ndata: {\"a\":\ndata: 1}\r\n\r\nevent: outcomes\n"
      "data: []\n\n";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    EventReader reader;
    std::vector<EventReader::Event> all;
    for (std::size_t at = 0; at < text.size(); at += size) {
      for (EventReader::Event& event : reader.Take(std::string_view(text).substr(at, size)))
        all.push_back(std::move(event));
    }
    ASSERT_THAT(all, SizeIs(2));
    EXPECT_EQ(all[0].id, "7");
    EXPECT_EQ(all[0].name, "decisions");
    EXPECT_EQ(all[0].data, "{\"a\":\n1}");
    EXPECT_EQ(all[1].name, "outcomes");
  }
}

TEST(EventReader, AnEventWithoutEndIsLeftOut) {
  EventReader reader;
  EXPECT_THAT(reader.Take("data: x"), SizeIs(0));
  EXPECT_THAT(reader.Take(std::string(EventReader::kMostBytes, 'x')), SizeIs(0));
  EXPECT_THAT(reader.Take("\n\n"), SizeIs(0));
  EXPECT_THAT(reader.Take("data: y\n\n"), SizeIs(1));
}

TEST(DecisionFeed, FollowsEveryAddressOfAName) {
  EXPECT_THAT(*ReplicasOf("http://127.0.0.1:8091"), ElementsAre("http://127.0.0.1:8091"));
  EXPECT_THAT(*ReplicasOf("http://127.0.0.2/sobre"), ElementsAre("http://127.0.0.2/sobre"));
  EXPECT_THAT(*ReplicasOf("http://[::1]:8091"), ElementsAre("http://[::1]:8091"));
  EXPECT_THAT(*ReplicasOf("https://localhost:8091"), ElementsAre("https://localhost:8091"));
  EXPECT_THAT(*ReplicasOf("http://localhost:1/x"),
              ElementsAre(AnyOf("http://127.0.0.1:1/x", "http://[::1]:1/x")));
}

TEST(DecisionFeed, TellsDecisionsAndOutcomes) {
  DecisionFeed feed({});
  std::uint64_t position = feed.Begin(true);
  feed.Add({"decisions",
            R"({"decisions":[{"seq":3,"pod":"shop/web","namespace":"shop","eurPerUnit":null,)"
            R"("gco2ePerUnit":0.5,"followed":null,"new":1}],"skipped":2})",
            ""},
           "here");
  feed.Add({"outcomes", R"([{"uid":"u","node":"n","followed":true}])", ""}, "here");
  feed.Add({"decisions", "no json", ""}, "here");
  const auto news = feed.Next(position, kNow);
  ASSERT_TRUE(news);
  ASSERT_THAT(*news, SizeIs(3));
  EXPECT_EQ((*news)[0].decision().seq(), 3U);
  EXPECT_FALSE((*news)[0].decision().has_eur_per_unit());
  EXPECT_DOUBLE_EQ((*news)[0].decision().gco2e_per_unit(), 0.5);
  EXPECT_EQ((*news)[0].from(), "here");
  EXPECT_EQ((*news)[1].skipped(), 2U);
  EXPECT_TRUE((*news)[2].outcome().followed());
  EXPECT_THAT(*feed.Next(position, kNow), SizeIs(0));
  EXPECT_EQ(feed.Begin(false), 3U);
}

// As the file has it now: it may be replaced.
TEST(DecisionFeed, SaysWhoAsks) {
  HttpServer server(HttpServer::Options{});
  server.Handle("GET", "/api/v1/stream", [](const HttpRequest& request, HttpResponse& response) {
    if (request.Header("Authorization") != "Bearer new") return response.Fail(401, "who asks?");
    response.body = "event: outcomes\ndata: [{\"uid\":\"u\",\"node\":\"n\",\"followed\":true}]\n\n";
  });
  ASSERT_TRUE(server.Start().ok());
  const std::string file = ::testing::TempDir() + "decision_feed_token";
  std::ofstream(file) << "old\n";
  DecisionFeed feed({"http://127.0.0.1:" + std::to_string(server.port())}, file);
  std::uint64_t position = feed.Begin(true);
  EXPECT_THAT(*feed.Next(position, std::chrono::milliseconds(200)), SizeIs(0));
  std::ofstream(file) << "new\n";
  std::vector<v1::DecisionEvent> news;
  for (int i = 0; i < 300 && news.empty(); ++i)
    news = *feed.Next(position, std::chrono::milliseconds(100));
  std::filesystem::remove(file);
  ASSERT_FALSE(news.empty());
  EXPECT_EQ(news[0].outcome().uid(), "u");
}

TEST(DecisionFeed, WhoReadsTooSlowlyIsTold) {
  DecisionFeed feed({});
  std::uint64_t position = feed.Begin(false);
  for (std::size_t i = 0; i <= DecisionFeed::kKept; ++i)
    feed.Add({"outcomes", R"([{"uid":"u","node":"n","followed":true}])", ""}, "here");
  EXPECT_FALSE(feed.Next(position, kNow));
  position = feed.Begin(true);
  EXPECT_THAT(*feed.Next(position, kNow), SizeIs(DecisionFeed::kKept));
}

}  // namespace
}  // namespace sobre
