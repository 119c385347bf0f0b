#include "extender/access.h"

#include <map>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/mutex.h"
#include "net/http_client.h"

namespace sobre {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

// An API server that knows two tokens: alice may list pods in "shop", root all.
class AccessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    api_.Handle("POST", "/apis/authentication.k8s.io/v1/tokenreviews",
                [this](const HttpRequest& q, HttpResponse& r) {
                  const MutexLock lock(mutex_);
                  ++asked_;
                  if (broken_) return r.Fail(500, "no etcd");
                  for (const char* user : {"alice", "root"}) {
                    if (q.body.find("\"token\":\"" + std::string(user) + "-token\"") ==
                        std::string_view::npos)
                      continue;
                    r.body = R"({"status":{"authenticated":true,"user":{"username":")" +
                             std::string(user) + R"(","groups":["g"],"extra":{"k":["v"]}}}})";
                    return;
                  }
                  r.body = R"({"status":{"user":{},"error":"invalid"}})";
                });
    api_.Handle("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                [this](const HttpRequest& q, HttpResponse& r) {
                  const MutexLock lock(mutex_);
                  last_ = q.body;
                  const auto says = [&q](std::string_view part) {
                    return q.body.find(part) != std::string_view::npos;
                  };
                  const bool allowed = says(R"("user":"root")") ||
                                       (says(R"("user":"alice")") && says(R"("namespace":"shop")"));
                  r.body =
                      std::string(R"({"status":{"allowed":)") + (allowed ? "true}}" : "false}}");
                });
    ASSERT_TRUE(api_.Start().ok());
    ApiAccess api;
    api.server = "http://127.0.0.1:" + std::to_string(api_.port());
    access_ = std::make_unique<Access>(api);
    HttpServer::Options options;
    options.admit = [this](const HttpRequest& q, HttpResponse& r) {
      const MutexLock lock(mutex_now_);
      return access_->Admit(q, r, now_);
    };
    port_ = std::make_unique<HttpServer>(options);
    for (const char* path :
         {"/", "/assets/*", "/healthz", "/readyz", "/metrics", "/debug/process",
          "/api/v1/decisions", "/api/v1/decisions/*", "/api/v1/what-if/*", "/api/v1/labels/*",
          "/api/v1/stream", "/api/v1/policy", "/api/v1/recommendations", "/api/v1/workloads",
          "/api/v1/regions", "/api/v1/overview", "/api/v1/reports", "/api/v1/new"})
      port_->Handle("GET", path, [](const HttpRequest&, HttpResponse& r) { r.body = "seen"; });
    ASSERT_TRUE(port_->Start().ok());
  }

  std::string Get(const std::string& path, const std::string& token = {}) {
    HttpCall call;
    call.url = "http://127.0.0.1:" + std::to_string(port_->port()) + path;
    if (!token.empty()) call.headers = {"Authorization: " + token};
    HttpClient client;
    const auto reply = client.Fetch(call);
    return reply.ok() ? std::to_string(reply->status) + " " + reply->body
                      : reply.status().message();
  }
  void Pass(Duration time) {
    const MutexLock lock(mutex_now_);
    now_ += time;
  }
  void Break(bool broken) {
    const MutexLock lock(mutex_);
    broken_ = broken;
  }
  int Asked() {
    const MutexLock lock(mutex_);
    return asked_;
  }
  std::string Last() {
    const MutexLock lock(mutex_);
    return last_;
  }

  Mutex mutex_;
  int asked_ SOBRE_GUARDED_BY(mutex_) = 0;
  bool broken_ SOBRE_GUARDED_BY(mutex_) = false;
  std::string last_ SOBRE_GUARDED_BY(mutex_);
  Mutex mutex_now_;
  Timestamp now_ SOBRE_GUARDED_BY(mutex_now_) = Timestamp(std::chrono::hours(500'000));
  HttpServer api_{HttpServer::Options{}};
  std::unique_ptr<Access> access_;
  std::unique_ptr<HttpServer> port_;
};

TEST_F(AccessTest, ThePageAndProbesAreForAll) {
  for (const char* path : {"/", "/assets/main.js", "/healthz", "/readyz"})
    EXPECT_EQ(Get(path), "200 seen") << path;
  EXPECT_EQ(Asked(), 0);
}

TEST_F(AccessTest, WhoIsNotKnownSeesNothing) {
  EXPECT_THAT(Get("/api/v1/decisions"), HasSubstr("401 {\"error\":\"who asks?"));
  EXPECT_THAT(Get("/metrics", "Basic cm9vdDp4"), HasSubstr("401"));
  EXPECT_EQ(Asked(), 0);
  EXPECT_THAT(Get("/metrics", "Bearer nobody"), HasSubstr("401 {\"error\":\"the API server does"));
}

TEST_F(AccessTest, WhatIsOfANamespaceIsForWhoMayListItsPods) {
  for (const char* path :
       {"/api/v1/decisions?namespace=shop", "/api/v1/stream?namespace=shop",
        "/api/v1/policy?namespace=shop", "/api/v1/recommendations?namespace=shop",
        "/api/v1/workloads?namespace=shop", "/api/v1/regions?namespace=shop&workload=web",
        "/api/v1/decisions/shop/web-1", "/api/v1/what-if/shop/web-1",
        "/api/v1/labels/shop/web.svg"})
    EXPECT_EQ(Get(path, "Bearer alice-token"), "200 seen") << path;
  for (const char* path :
       {"/api/v1/decisions?namespace=bank", "/api/v1/decisions/bank/vault-1",
        "/api/v1/decisions?namespace=bank&namespace=shop", "/api/v1/labels/bank/vault.svg"})
    EXPECT_THAT(Get(path, "Bearer alice-token"),
                HasSubstr("403 {\"error\":\"alice may not list pods in namespace bank"))
        << path;
}

// What nobody has thought of is of all.
TEST_F(AccessTest, WhatIsOfAllIsForWhoMayListAllPods) {
  for (const char* path :
       {"/api/v1/decisions", "/api/v1/decisions/sobre-0:17", "/api/v1/labels/model.svg?name=x",
        "/api/v1/overview", "/api/v1/overview?namespace=shop", "/api/v1/reports?namespace=shop",
        "/metrics?namespace=shop", "/debug/process?namespace=shop", "/api/v1/new?namespace=shop",
        "/api/v1/decisions?namespace=", "/api/v1/decisions?Namespace=shop"}) {
    EXPECT_THAT(Get(path, "Bearer alice-token"),
                HasSubstr("403 {\"error\":\"alice may not list the pods of all"))
        << path;
    EXPECT_EQ(Get(path, "bearer root-token"), "200 seen") << path;
  }
  EXPECT_THAT(Last(), HasSubstr(R"("groups":["g"],"extra":{"k":["v"]})"));
  EXPECT_THAT(Last(), HasSubstr(R"({"verb":"list","resource":"pods","namespace":""})"));
}

TEST_F(AccessTest, WhatTheApiServerSaidHoldsForAWhile) {
  EXPECT_EQ(Get("/metrics", "Bearer root-token"), "200 seen");
  Break(true);
  EXPECT_EQ(Get("/metrics", "Bearer root-token"), "200 seen");
  EXPECT_EQ(Asked(), 1);
  Pass(Access::kHolds);
  EXPECT_THAT(Get("/metrics", "Bearer root-token"),
              HasSubstr("503 {\"error\":\"the API server cannot be asked who may see this: "
                        "TokenReview: status 500: "));
  Break(false);
  EXPECT_EQ(Get("/metrics", "Bearer root-token"), "200 seen") << "a failure is not kept";
  Pass(-std::chrono::hours(1));
  EXPECT_EQ(Get("/metrics", "Bearer root-token"), "200 seen") << "a clock that was set back";
  EXPECT_EQ(Asked(), 4);
}

TEST_F(AccessTest, WhatIsOfAllIsForThoseWhoMaySeeIt) {
  const auto sees = [this](const std::string& header) {
    const std::string head = "GET /readyz HTTP/1.1\r\n" + header + "\r\n";
    const MutexLock lock(mutex_now_);
    return access_->MaySeeAll({"/readyz", {}, nullptr, head}, now_);
  };
  EXPECT_FALSE(sees(""));
  EXPECT_EQ(Asked(), 0) << "a probe asks nobody";
  EXPECT_TRUE(sees("Authorization: Bearer root-token\r\n"));
  EXPECT_FALSE(sees("Authorization: Bearer alice-token\r\n"));
  EXPECT_FALSE(sees("Authorization: Bearer r%6Fot-token\r\n"));
  Break(true);
  EXPECT_FALSE(sees("Authorization: Bearer other-token\r\n"));
}

TEST_F(AccessTest, ThousandsOfTokensAreNotKept) {
  for (std::size_t i = 0; i < Access::kMostKept + 50; ++i)
    EXPECT_THAT(Get("/metrics", "Bearer t" + std::to_string(i)), HasSubstr("401"));
  EXPECT_EQ(Get("/metrics", "Bearer root-token"), "200 seen");
}

TEST_F(AccessTest, IsClosedWhereTheApiServerIsAway) {
  api_.Stop();
  EXPECT_THAT(Get("/api/v1/overview", "Bearer root-token"), HasSubstr("503"));
}

}  // namespace
}  // namespace sobre
