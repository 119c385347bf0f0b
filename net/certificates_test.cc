#include "net/certificates.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"

namespace sobre {
namespace {

std::string SelfSigned(int days) {
  const std::string path =
      ::testing::TempDir() + "certificate-" + std::to_string(getpid()) + ".pem";
  const std::string command =
      "openssl req -x509 -newkey ed25519 -nodes -keyout /dev/null -subj /CN=test -days " +
      std::to_string(days) + " -out " + path + " 2>/dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0);  // NOLINT(concurrency-mt-unsafe): one thread
  std::string pem = *ReadFile(path);
  std::filesystem::remove(path);
  return pem;
}

TEST(Certificates, TellsTheFirstAndTheLastToEnd) {
  const Timestamp now = Now();
  const auto found = ExpiryOf(SelfSigned(30) + "between\n" + SelfSigned(10) + SelfSigned(20));
  ASSERT_TRUE(found);
  EXPECT_NEAR(InHours(found->first - now), 240, 0.1);
  EXPECT_NEAR(InHours(found->last - now), 720, 0.1);
}

TEST(Certificates, NothingIsFoundInWhatIsNoCertificate) {
  EXPECT_FALSE(ExpiryOf(""));
  EXPECT_FALSE(ExpiryOf("hello"));
  EXPECT_FALSE(ExpiryOf("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
}

}  // namespace
}  // namespace sobre
