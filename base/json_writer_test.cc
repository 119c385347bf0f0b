#include "base/json_writer.h"

#include <limits>

#include <gtest/gtest.h>

namespace sobre {
namespace {

TEST(JsonWriter, PutsCommasAndEscapes) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject()
      .Key("a")
      .Value(1)
      .Key("b")
      .BeginArray()
      .Value("x\"\n\x01")
      .Value(true)
      .Null()
      .EndArray();
  json.Key("c").Value(0.25).Key("d").Value(std::numeric_limits<double>::infinity()).EndObject();
  EXPECT_EQ(out, R"({"a":1,"b":["x\"\n\u0001",true,null],"c":0.25,"d":null})");
}

TEST(JsonWriter, KeepsUtf8AndMendsWhatIsNot) {
  std::string out;
  AppendJsonString(out, "\xc3\xa9\xff\xed\xa0\x80z");
  EXPECT_EQ(out, "\"\xc3\xa9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\"");
}

TEST(JsonWriter, EscapesWhatATerminalWouldActUpon) {
  std::string out;
  AppendJsonString(out,
                   "a\x7f\xc2\x9b"
                   "2J\xe2\x80\xae"
                   "b\xf3\xa0\x80\x81"
                   "é…");
  EXPECT_EQ(out, R"("a\u007f\u009b2J\u202eb\udb40\udc01é…")");
}

TEST(JsonWriter, WhatAnotherWroteIsMadePrintable) {
  EXPECT_EQ(PrintableJson("{\"a\": \"é\x7f\xe2\x81\xa6…\"\n}"), R"({"a": "é\u007f\u2066…"
})");
}

}  // namespace
}  // namespace sobre
