#include "signals/observations_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::HasSubstr;

constexpr Timestamp kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23);

TEST(Observations, AreReadFromAList) {
  const auto seen = ParseObservations(
      R"([{"signal":"node_price_per_hour","labels":{"node":"n1"},"value":0.4,"unit":"EUR/h","time":"2026-11-22T23:00:00Z","source":"list"},
          {"signal":"grid_gco2e_per_kwh","labels":{"provider":"aws","region":"eu-west-3"},"value":30}])",
      kNow);
  ASSERT_TRUE(seen.ok()) << seen.status().message();
  EXPECT_EQ((*seen)[0].node, "n1");
  EXPECT_EQ((*seen)[0].time, kNow - std::chrono::hours(1));
  EXPECT_EQ((*seen)[1].region, "eu-west-3");
  EXPECT_EQ((*seen)[1].time, kNow);
}

TEST(Observations, ErrorsNameTheEntry) {
  const auto error = [](std::string_view json) {
    return ParseObservations(json, kNow).status().message();
  };
  EXPECT_THAT(error("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("{}"), HasSubstr("expected a list"));
  EXPECT_THAT(error(R"([{"signal":"node_watts","value":1},{"value":1}])"),
              HasSubstr("entry 2: there is no signal"));
  EXPECT_THAT(error(R"([{"signal":"watts","value":1}])"),
              HasSubstr("'watts' is none of node_watts"));
  EXPECT_THAT(error(R"([{"signal":"node_watts","value":"1"}])"), HasSubstr("expected a number"));
  EXPECT_THAT(error(R"([{"signal":"node_watts","value":1,"unit":"EUR"}])"),
              HasSubstr("node_watts can be in W"));
  EXPECT_THAT(error(R"([{"signal":"node_watts","value":1,"time":"now"}])"), HasSubstr("RFC 3339"));
  EXPECT_THAT(error(R"([{"signal":"node_watts","value":1,"lables":{}}])"),
              HasSubstr("did you mean 'labels'?"));
}

}  // namespace
}  // namespace sobre
