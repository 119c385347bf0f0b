#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sobre {

// Names to their indices: flat, so that a lookup touches a slot and the name itself. Immutable once
// filled; of a name that comes twice the first counts.
class NameIndex {
 public:
  static constexpr std::int32_t kNone = -1;

  // Forgets all, and makes room for so many.
  void Reset(std::size_t count);
  // The next index, from 0.
  void Add(std::string_view name);
  // The name's index, or kNone. O(1), does not allocate.
  [[nodiscard]] std::int32_t Find(std::string_view name) const;
  // The same for many, into as many `indices`: the memory of those that come next is asked for
  // while one is compared.
  void FindAll(std::span<const std::string_view> names, std::int32_t* indices) const;

 private:
  struct Slot {
    std::uint32_t tag = 0;  // of the hash, so that few other names are looked at
    std::int32_t index = kNone;
    std::uint32_t begin = 0;  // in text_
    std::uint32_t size = 0;
  };
  // The slot that holds the name, or the free one where it belongs.
  [[nodiscard]] std::size_t SlotOf(std::string_view name, std::uint64_t hash) const;

  std::vector<Slot> slots_;  // open addressing; their number is a power of two
  std::string text_;         // all names, one after the other
  std::int32_t count_ = 0;
};

}  // namespace sobre
