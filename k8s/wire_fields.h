#pragma once

#include <cstdint>
#include <string_view>

// Protobuf's wire format, read in place: nothing is copied, and what nobody asks for is stepped
// over. Parsing a pod into messages costs ten times as much, for fields that are not known are
// kept.
namespace sobre {

struct WireField {
  std::uint32_t tag = 0;   // as BytesTag and NumberTag make it
  std::string_view bytes;  // of a string, bytes or message; empty otherwise
  std::uint64_t number = 0;
};

constexpr std::uint32_t BytesTag(std::uint32_t field) { return field << 3 | 2; }
constexpr std::uint32_t NumberTag(std::uint32_t field) { return field << 3; }

// Takes a varint from the front; false where there is none, or none that ends.
inline bool TakeVarint(std::string_view& in, std::uint64_t& value) {
  if (!in.empty() && static_cast<unsigned char>(in.front()) < 0x80) {
    value = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    return true;
  }
  constexpr std::size_t kMostBytes = 10;
  value = 0;
  for (std::size_t i = 0; i < in.size() && i < kMostBytes; ++i) {
    const auto byte = static_cast<unsigned char>(in[i]);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      in.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

// Calls `take(const WireField&)` for each field of a message, in order. False where the bytes are
// no message, or as soon as `take` returns false. Thread-safe.
template <class Take>
bool EachField(std::string_view in, const Take& take) {
  constexpr std::uint64_t kMostTag = UINT32_MAX;
  while (!in.empty()) {
    std::uint64_t tag = 0;
    if (!TakeVarint(in, tag) || tag > kMostTag || tag >> 3 == 0) return false;
    WireField field;
    field.tag = static_cast<std::uint32_t>(tag);
    std::uint64_t length = 0;
    switch (tag & 7) {
      case 0:
        if (!TakeVarint(in, field.number)) return false;
        break;
      case 1:
        length = 8;
        if (in.size() < length) return false;
        in.remove_prefix(length);
        break;
      case 2:
        if (!TakeVarint(in, length) || in.size() < length) return false;
        field.bytes = in.substr(0, length);
        in.remove_prefix(length);
        break;
      case 5:
        length = 4;
        if (in.size() < length) return false;
        in.remove_prefix(length);
        break;
      default:
        return false;  // groups, which Kubernetes has none of
    }
    if (!take(field)) return false;
  }
  return true;
}

// An entry of a map.
struct WireEntry {
  std::string_view key;
  std::string_view value;  // a message's bytes where the map holds messages
};
inline bool ReadEntry(std::string_view in, WireEntry& entry) {
  return EachField(in, [&entry](const WireField& field) {
    if (field.tag == BytesTag(1)) entry.key = field.bytes;
    if (field.tag == BytesTag(2)) entry.value = field.bytes;
    return true;
  });
}

}  // namespace sobre
