#include "base/json_writer.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace sobre {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void AppendEscaped(std::uint32_t unit, std::string& out) {
  out += "\\u";
  for (const int shift : {12, 8, 4, 0}) out += kHex[unit >> shift & 15];
}

// A well-formed sequence of two bytes or more, as JSON spells it in ASCII.
void AppendEscaped(std::string_view sequence, std::string& out) {
  std::uint32_t code =
      static_cast<unsigned char>(sequence.front()) & (0xFFU >> (sequence.size() + 1));
  for (const char byte : sequence.substr(1))
    code = code << 6 | (static_cast<unsigned char>(byte) & 0x3FU);
  if (code < 0x10000) return AppendEscaped(code, out);
  AppendEscaped(0xD800 + ((code - 0x10000) >> 10), out);
  AppendEscaped(0xDC00 + (code & 0x3FF), out);
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x20 && byte != '"' && byte != '\\' && byte < 0x7F) {
      ++at;
      continue;
    }
    if (const std::size_t length = Utf8SequenceLength(text.substr(at)); length > 1) {
      const std::string_view sequence = text.substr(at, length);
      at += length;
      if (!IsControl(sequence)) continue;
      out += text.substr(plain, at - length - plain);
      AppendEscaped(sequence, out);
      plain = at;
      continue;
    }
    out += text.substr(plain, at - plain);
    switch (byte) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (byte >= 0x80) {
          out += "\xEF\xBF\xBD";
        } else {
          AppendEscaped(std::uint32_t{byte}, out);
        }
    }
    ++at;
    plain = at;
  }
  out += text.substr(plain);
  out += '"';
}

std::string PrintableJson(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  std::size_t plain = 0;
  std::size_t at = 0;
  while (at < json.size()) {
    const auto byte = static_cast<unsigned char>(json[at]);
    const std::size_t length =
        byte < 0x80 ? 1 : std::max<std::size_t>(Utf8SequenceLength(json.substr(at)), 1);
    const std::string_view sequence = json.substr(at, length);
    at += length;
    // Of control characters in ASCII, a writer has escaped all but one.
    if (byte == 0x7F || (length > 1 && IsControl(sequence))) {
      out += json.substr(plain, at - length - plain);
      if (length == 1) {
        AppendEscaped(std::uint32_t{byte}, out);
      } else {
        AppendEscaped(sequence, out);
      }
      plain = at;
    }
  }
  return out += json.substr(plain);
}

void JsonWriter::Separate() {
  if (need_comma_) out_ += ',';
  need_comma_ = true;
}

JsonWriter& JsonWriter::Open(char bracket) {
  Separate();
  out_ += bracket;
  need_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::Close(char bracket) {
  out_ += bracket;
  need_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view key) {
  Separate();
  AppendJsonString(out_, key);
  out_ += ':';
  need_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::Value(std::string_view text) {
  Separate();
  AppendJsonString(out_, text);
  return *this;
}

JsonWriter& JsonWriter::Value(double number) {
  return std::isfinite(number) ? Raw(FormatNumber(number)) : Null();
}

JsonWriter& JsonWriter::Raw(std::string_view json) {
  Separate();
  out_ += json;
  return *this;
}

}  // namespace sobre
