#include "k8s/kubeconfig.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class KubeconfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "kubeconfig-" +
                 std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
    return directory_ + "/" + name;
  }
  std::string directory_;
};

constexpr const char* kGood = R"(
current-context: dev
contexts: [{name: dev, context: {cluster: c, user: u}}, {name: bad, context: {cluster: c, user: plugin}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443/", certificate-authority: ca.pem}}]
users: [{name: u, user: {tokenFile: TOKEN, client-certificate-data: aGVsbG8=}}, {name: plugin, user: {exec: {command: aws}}}]
)";

TEST_F(KubeconfigTest, ReadsServerCertificatesAndATokenThatRotates) {
  Write("ca.pem", "CA");
  const std::string token = Write("token", "first\n");
  std::string text = kGood;
  text.replace(text.find("TOKEN"), 5, token);
  const auto access = LoadKubeconfig(Write("config", text));
  ASSERT_TRUE(access.ok()) << access.status().message();
  EXPECT_EQ(access->server, "https://127.0.0.1:6443");
  EXPECT_EQ(access->tls.ca_pem, "CA");
  EXPECT_EQ(access->tls.certificate_pem, "hello");
  EXPECT_THAT(*access->Headers(), ElementsAre("Authorization: Bearer first"));
  Write("token", "second");
  EXPECT_THAT(*access->Headers(), ElementsAre("Authorization: Bearer second"));
}

TEST_F(KubeconfigTest, AnAuthorityThatIsReplacedIsReadAnew) {
  Write("ca.pem", "CA");
  const std::string path = Write("config", kGood);
  const auto access = LoadKubeconfig(path);
  ASSERT_TRUE(access.ok());
  Write("ca.pem", "ANOTHER");
  EXPECT_EQ(access->Fresh().tls.ca_pem, "ANOTHER");
  EXPECT_EQ(access->Fresh().server, access->server);
  // In the middle of a write it stays as it was.
  Write("config", "a: [");
  EXPECT_EQ(access->Fresh().tls.ca_pem, "CA");
  ApiAccess by_hand;
  by_hand.server = "http://127.0.0.1:1";
  EXPECT_EQ(by_hand.Fresh().server, by_hand.server);
}

TEST_F(KubeconfigTest, SaysWhatIsMissing) {
  Write("ca.pem", "CA");
  const std::string path = Write("config", kGood);
  EXPECT_THAT(LoadKubeconfig(path, "bad").status().message(), HasSubstr("needs a plugin (exec)"));
  EXPECT_THAT(LoadKubeconfig(path, "none").status().message(),
              HasSubstr("no context named 'none'"));
  EXPECT_THAT(LoadKubeconfig("/nonexistent").status().message(), HasSubstr("cannot be read"));
  EXPECT_THAT(LoadKubeconfig(Write("broken", "a: [")).status().message(), HasSubstr("broken:"));
}

}  // namespace
}  // namespace sobre
