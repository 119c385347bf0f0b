#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sobre {

// Appends `text` as a JSON string, quotes included. Broken UTF-8 becomes U+FFFD, so that the output
// is always valid JSON; what is not to be printed (IsControl) is escaped, so that it may be.
void AppendJsonString(std::string& out, std::string_view text);

// `json`, of whatever writer, with what is not to be printed escaped.
std::string PrintableJson(std::string_view json);

// Writes JSON into one string, front to back, without building a tree. The caller keeps begin and
// end balanced; commas are the writer's business. Not thread-safe.
//
//   JsonWriter json(out);
//   json.BeginObject().Key("host").Value("n1").Key("score").Value(7).EndObject();
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}
  JsonWriter& BeginObject() { return Open('{'); }
  JsonWriter& EndObject() { return Close('}'); }
  JsonWriter& BeginArray() { return Open('['); }
  JsonWriter& EndArray() { return Close(']'); }
  JsonWriter& Key(std::string_view key);
  JsonWriter& Value(std::string_view text);
  JsonWriter& Value(const char* text) { return Value(std::string_view(text)); }
  JsonWriter& Value(std::same_as<bool> auto flag) { return Raw(flag ? "true" : "false"); }
  JsonWriter& Value(std::integral auto number) requires(!std::same_as<decltype(number), bool>) {
    return Raw(std::to_string(number));
  }
  // A number that is not finite has no JSON form and is written as null.
  JsonWriter& Value(double number);
  JsonWriter& Value(std::optional<double> number) { return number ? Value(*number) : Null(); }
  JsonWriter& Null() { return Raw("null"); }
  // Text that is JSON already.
  JsonWriter& Raw(std::string_view json);

 private:
  JsonWriter& Open(char bracket);
  JsonWriter& Close(char bracket);
  void Separate();

  std::string& out_;
  bool need_comma_ = false;
};

}  // namespace sobre
