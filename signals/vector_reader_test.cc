#include "signals/vector_reader.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kTwo =
    R"({"status":"success","data":{"resultType":"vector","result":[)"
    R"({"metric":{"__name__":"m","node":"a}]\"","b":"1"},"value":[1795392000.5,"1.5"]},)"
    R"({"metric":{},"value":[1795392000.5,"NaN"]}],"stats":{"x":[1,2]}},"warnings":["half of it"]})";

struct Reading {
  std::vector<std::string> seen;
  Status status;
  std::vector<std::string> warnings;
};

Reading Read(std::string_view text, std::size_t piece, std::size_t limit = 1 << 20) {
  Reading reading;
  VectorReader reader(limit, [&](const VectorReader::Sample& sample) {
    std::string line;
    for (const auto& [name, value] : sample.labels)
      line += std::string(name) + "=" + std::string(value) + " ";
    reading.seen.push_back(line +
                           (std::isnan(sample.value) ? "nan" : std::to_string(sample.value)));
  });
  for (std::size_t i = 0; i < text.size(); i += piece)
    if (!reader.Feed(text.substr(i, piece))) break;
  reading.status = reader.Finish();
  reading.warnings = reader.warnings();
  return reading;
}

TEST(VectorReader, ReadsSeriesHoweverTheBytesAreCut) {
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 64U, 4096U}) {
    const Reading reading = Read(kTwo, piece);
    ASSERT_TRUE(reading.status.ok()) << reading.status.message();
    EXPECT_THAT(reading.seen, ElementsAre("b=1 node=a}]\" 1.500000", "nan"));
    EXPECT_THAT(reading.warnings, ElementsAre("half of it"));
  }
}

TEST(VectorReader, SaysWhatIsWrongWhereverItIsCutShort) {
  for (std::size_t size = 0; size < kTwo.size(); ++size) {
    const Reading reading = Read(kTwo.substr(0, size), 5);
    EXPECT_THAT(reading.status.message(), HasSubstr("not what Prometheus sends")) << size;
  }
}

TEST(VectorReader, ToleratesNothingElse) {
  const auto problem = [](std::string_view text) { return Read(text, 16).status.message(); };
  EXPECT_THAT(problem(R"({"status":"error","error":"parse error"})"), HasSubstr("parse error"));
  EXPECT_THAT(problem(R"({"status":"success","data":{"resultType":"scalar","result":[1,"1"]}})"),
              HasSubstr("gives a scalar"));
  EXPECT_THAT(
      problem(
          R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}})"),
      HasSubstr("gives a matrix"));
  EXPECT_THAT(problem("<html>"), HasSubstr("not what Prometheus sends"));
  EXPECT_THAT(problem("]]]]"), HasSubstr("not what Prometheus sends"));
  EXPECT_THAT(problem(R"({"status":"success","data":{"result":[{"metric":3,"value":[1,"1"]}]}})"),
              HasSubstr("not what Prometheus sends"));
  EXPECT_THAT(problem("{\"" + std::string(2 << 20, 'x')), HasSubstr("larger than"));
}

TEST(VectorReader, StopsAtItsLimit) {
  EXPECT_THAT(Read(kTwo, 10, 100).status.message(), HasSubstr("larger than 100 bytes"));
}

}  // namespace
}  // namespace sobre
