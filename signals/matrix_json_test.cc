#include "signals/matrix_json.h"

#include <cmath>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kAnswer =
    R"({"status":"success","data":{"resultType":"matrix","result":[)"
    R"({"metric":{"__name__":"m","zone":"FR"},"values":[[1551657600,"40.5"],[1551661200.25,"NaN"]]},)"
    R"({"metric":{},"values":[]}]}})";

TEST(ParseMatrix, ReadsEachSeries) {
  const auto all = ParseMatrix(kAnswer);
  ASSERT_TRUE(all.ok()) << all.status().message();
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].Label("zone"), "FR");
  EXPECT_EQ((*all)[0].labels.size(), 1U);
  ASSERT_EQ((*all)[0].values.size(), 2U);
  EXPECT_EQ(FormatTime((*all)[0].values[0].first), "2019-03-04T00:00:00Z");
  EXPECT_EQ((*all)[0].values[0].second, 40.5);
  EXPECT_TRUE(std::isnan((*all)[0].values[1].second));
  EXPECT_EQ((*all)[1].Label("zone"), "");
}

TEST(ParseMatrix, SaysWhatIsWrongWhereverItIsCutShort) {
  for (std::size_t size = 0; size < kAnswer.size(); ++size)
    EXPECT_THAT(ParseMatrix(std::string(kAnswer.substr(0, size))).status().message(),
                HasSubstr("not what Prometheus answers"))
        << size;
}

TEST(ParseMatrix, TakesNothingElse) {
  const auto problem = [](std::string_view json) { return ParseMatrix(json).status().message(); };
  EXPECT_THAT(problem(R"({"status":"error","error":"parse error at 3"})"),
              HasSubstr("parse error at 3"));
  EXPECT_THAT(problem(R"({"status":"success","data":{"resultType":"vector","result":[]}})"),
              HasSubstr("it is a vector"));
  EXPECT_THAT(
      problem(
          R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1]]}]}})"),
      HasSubstr("not what Prometheus answers"));
  EXPECT_THAT(problem(R"({"items":[]})"), HasSubstr("no status"));
}

}  // namespace
}  // namespace sobre
