#include "net/http_client.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/http_server.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

class HttpClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.Handle("GET", "/big",
                   [](const HttpRequest&, HttpResponse& r) { r.body.assign(100'000, 'x'); });
    server_.Handle("GET", "/gone",
                   [](const HttpRequest&, HttpResponse& r) { r.Fail(410, "too old"); });
    server_.Handle("POST", "/echo", [](const HttpRequest& q, HttpResponse& r) { r.body = q.body; });
    server_.Handle("GET", "/stall", [](const HttpRequest&, HttpResponse&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    });
    ASSERT_TRUE(server_.Start().ok());
  }
  HttpCall Call(const std::string& path) const {
    HttpCall call;
    call.url = "http://127.0.0.1:" + std::to_string(server_.port()) + path;
    return call;
  }
  HttpServer server_{HttpServer::Options{}};
  HttpClient client_;
};

TEST_F(HttpClientTest, FetchesAndPosts) {
  const auto reply = client_.Fetch(Call("/big"));
  ASSERT_TRUE(reply.ok()) << reply.status().message();
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body.size(), 100'000U);
  HttpCall post = Call("/echo");
  post.method = "POST";
  post.headers = {"Content-Type: application/json"};
  post.body = "[1]";
  EXPECT_EQ(client_.Fetch(post)->body, "[1]");
  EXPECT_EQ(client_.Fetch(Call("/gone"))->status, 410);
}

TEST_F(HttpClientTest, BoundsSizeAndTime) {
  HttpCall small = Call("/big");
  small.max_response_bytes = 1000;
  EXPECT_EQ(client_.Fetch(small).status().code(), ErrorCode::kTooLarge);
  HttpCall hasty = Call("/stall");
  hasty.timeout = std::chrono::milliseconds(100);
  EXPECT_EQ(client_.Fetch(hasty).status().code(), ErrorCode::kTimeout);
}

TEST_F(HttpClientTest, SaysWhoDidNotAnswer) {
  HttpCall call;
  call.url = "http://127.0.0.1:1/";
  const auto reply = client_.Fetch(call);
  EXPECT_EQ(reply.status().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(reply.status().message(), HasSubstr("http://127.0.0.1:1/: "));
}

TEST_F(HttpClientTest, SaysNoUserOfAnAddress) {
  HttpCall call;
  call.url = "http://me:secret@127.0.0.1:1/x@y";
  EXPECT_THAT(client_.Fetch(call).status().message(), HasSubstr("http://127.0.0.1:1/x@y: "));
}

TEST_F(HttpClientTest, StreamsUntilTheTakerHasEnough) {
  const std::atomic<bool> stop = false;
  std::size_t taken = 0;
  const auto reply =
      client_.Stream(Call("/big"), std::chrono::seconds(5), stop, [&](std::string_view bytes) {
        taken += bytes.size();
        return taken < 20'000;
      });
  ASSERT_TRUE(reply.ok()) << reply.status().message();
  EXPECT_GE(taken, 20'000U);
  const auto gone = client_.Stream(Call("/gone"), std::chrono::seconds(5), stop,
                                   [](std::string_view) { return true; });
  EXPECT_EQ(gone->status, 410);
  EXPECT_THAT(gone->body, HasSubstr("too old"));
}

}  // namespace
}  // namespace sobre
