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

std::string Page(int objects, const std::string& next) {
  k8s::wire::List list;
  list.mutable_metadata()->set_resource_version("7");
  if (!next.empty()) list.mutable_metadata()->set_continue_(next);
  for (int i = 0; i < objects; ++i)
    list.add_items(std::string(static_cast<std::size_t>(i) * 100, 'x'));
  k8s::wire::Unknown unknown;
  unknown.mutable_type_meta()->set_kind("NodeList");
  unknown.set_raw(list.SerializeAsString());
  // The content's encoding and type, which Kubernetes writes behind it.
  return std::string("k8s\0", 4) + unknown.SerializeAsString() + std::string("\x1a\0\x22\0", 4);
}

TEST(ListFrames, AreTheSameHoweverTheBytesArrive) {
  const std::string page = Page(40, "token");
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{999}, page.size()}) {
    ListFrames frames;
    std::vector<std::size_t> sizes;
    for (std::size_t at = 0; at < page.size(); at += step) {
      if (at < page.size() / 2) {
        EXPECT_FALSE(frames.End().ok());
      }
      ASSERT_TRUE(frames
                      .Feed(std::string_view(page).substr(at, step),
                            [&](std::string_view raw) { sizes.push_back(raw.size()); })
                      .ok());
    }
    EXPECT_TRUE(frames.End().ok());
    ASSERT_EQ(sizes.size(), 40U);
    EXPECT_EQ(sizes.back(), 3900U);
    EXPECT_EQ(frames.next(), "token");
    EXPECT_EQ(frames.resource_version(), "7");
  }
}

TEST(ListFrames, RefuseWhatCannotBe) {
  const auto ignore = [](std::string_view) {};
  EXPECT_FALSE(ListFrames().Feed("{\"kind\":\"NodeList\"}", ignore).ok());
  // An object that is longer than its list.
  EXPECT_FALSE(ListFrames().Feed(std::string("k8s\0\x12\x03\x12\x05xxxxx", 13), ignore).ok());
  EXPECT_EQ(ListFrames().Feed(std::string("k8s\0\x0a\xff\xff\xff\x7f", 9), ignore).code(),
            ErrorCode::kTooLarge);
  EXPECT_FALSE(ListFrames().End().ok()) << "nothing came";
  ListFrames empty;
  EXPECT_TRUE(empty.Feed(Page(0, ""), ignore).ok());
  EXPECT_TRUE(empty.End().ok());
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
