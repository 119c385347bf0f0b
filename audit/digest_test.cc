#include "audit/digest.h"

#include <cstdlib>
#include <fstream>
#include <new>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace sobre {
namespace {

using ::testing::HasSubstr;

TEST(Digest, KnownHash) {
  EXPECT_EQ(Hex(Sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256Stream pieces;
  pieces.Add("a");
  pieces.Add("bc");
  EXPECT_EQ(pieces.Finish(), Sha256("abc"));
}

TEST(Digest, TextsKeepTheirEnds) {
  Sha256Stream one;
  one.AddText("ab");
  one.AddText("c");
  Sha256Stream other;
  other.AddText("a");
  other.AddText("bc");
  EXPECT_NE(one.Finish(), other.Finish());
}

TEST(Digest, HexBothWays) {
  const std::string bytes("\x00\xff\x10", 3);
  EXPECT_EQ(Hex(bytes), "00ff10");
  EXPECT_EQ(*FromHex("00ff10"), bytes);
  EXPECT_FALSE(FromHex("0").ok());
  EXPECT_FALSE(FromHex("0G").ok());
}

TEST(Digest, WithoutMemoryNothingIsTakenForCompressed) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs address space of its own";
#endif
  const std::string text(2000, 'x');
  const auto without_memory = [&text] {
    rlimit before{};
    getrlimit(RLIMIT_AS, &before);
    const rlimit none{1, before.rlim_max};
    setrlimit(RLIMIT_AS, &none);
    try {
      const std::string packed = Compress(text);
      setrlimit(RLIMIT_AS, &before);
      const auto back = Decompress(packed);
      _exit(back.ok() && *back == text ? 0 : 1);
    } catch (const std::bad_alloc&) {
      _exit(0);
    }
  };
  EXPECT_EXIT(without_memory(), ::testing::ExitedWithCode(0), "");
}

TEST(Digest, CompressionBothWays) {
  for (const std::string& text : {std::string(), std::string(100000, 'x'), std::string("\0a", 2)}) {
    const std::string packed = Compress(text);
    EXPECT_EQ(*Decompress(packed), text);
    EXPECT_FALSE(Decompress(packed + "x").ok());
    EXPECT_FALSE(Decompress(std::string_view(packed).substr(0, packed.size() - 1)).ok());
  }
  EXPECT_FALSE(Decompress("nothing that was compressed").ok());
  EXPECT_FALSE(Decompress(Compress(std::string(100000, 'x')), 1000).ok());
}

TEST(Digest, SignaturesHoldForTheirMessageAlone) {
  const std::string path = testing::TempDir() + "/key.pem";
  ASSERT_EQ(std::system(("openssl genpkey -algorithm ed25519 -out " + path).c_str()), 0);
  const Result<SigningKey> key = SigningKey::Load(path);
  ASSERT_TRUE(key.ok()) << key.status().message();
  const std::string signature = key->Sign("head");
  EXPECT_TRUE(IsSignedBy(key->public_key(), "head", signature));
  EXPECT_FALSE(IsSignedBy(key->public_key(), "heat", signature));
  EXPECT_FALSE(IsSignedBy(std::string(32, 'k'), "head", signature));
  EXPECT_FALSE(IsSignedBy("", "head", ""));
  std::ofstream(path) << "no key";
  EXPECT_THAT(SigningKey::Load(path).status().message(), HasSubstr("openssl genpkey"));
}

}  // namespace
}  // namespace sobre
