#include "k8s/watch_frames.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/k8s/objects.pb.h"

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Frame(const std::string& type, const std::string& name) {
  k8s::wire::Node node;
  node.mutable_metadata()->set_name(name);
  k8s::wire::Unknown unknown;
  unknown.set_raw(node.SerializeAsString());
  k8s::wire::WatchEvent event;
  event.set_type(type);
  event.mutable_object()->set_raw(std::string("k8s\0", 4) + unknown.SerializeAsString());
  const std::string body = event.SerializeAsString();
  std::string frame(4, '\0');
  for (std::size_t i = 0; i < 4; ++i)
    frame[3 - i] = static_cast<char>(body.size() >> (8 * i) & 0xFF);
  return frame + body;
}

TEST(WatchFrames, AreTheSameHoweverTheBytesArrive) {
  const std::string bytes =
      Frame("ADDED", "a") + Frame("MODIFIED", std::string(5000, 'b')) + Frame("DELETED", "c");
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, bytes.size()}) {
    WatchFrames frames;
    std::vector<std::string> seen;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      ASSERT_TRUE(
          frames
              .Feed(std::string_view(bytes).substr(at, step),
                    [&](std::string_view type, std::string_view raw) {
                      k8s::wire::Node node;
                      EXPECT_TRUE(node.ParseFromArray(raw.data(), static_cast<int>(raw.size())));
                      seen.push_back(std::string(type) + " " + node.metadata().name().substr(0, 1));
                      return Status::Ok();
                    })
              .ok());
    }
    EXPECT_THAT(seen, ElementsAre("ADDED a", "MODIFIED b", "DELETED c"));
  }
}

TEST(WatchFrames, RefuseWhatCannotBe) {
  const auto ignore = [](std::string_view, std::string_view) { return Status::Ok(); };
  EXPECT_EQ(WatchFrames().Feed("\x7f\xff\xff\xff", ignore).code(), ErrorCode::kTooLarge);
  EXPECT_THAT(WatchFrames().Feed(std::string("\0\0\0\2\xff\xff", 6), ignore).message(),
              HasSubstr("broken watch event"));
  EXPECT_FALSE(Unwrap("{\"kind\":\"Status\"}").ok());
}

}  // namespace
}  // namespace sobre
