#include "scoring/name_index.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sobre {
namespace {

std::uint64_t Word(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Of texts shorter than a word, the bytes that there are.
std::uint64_t ShortWord(std::string_view text) {
  std::uint64_t word = 0;
  std::memcpy(&word, text.data(), text.size());
  return word;
}

std::uint64_t Mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15;
  return hash ^ (hash >> 29);
}

// The last word overlaps the one before, so that none is read byte by byte.
std::uint64_t HashOf(std::string_view text) {
  std::uint64_t hash = text.size();
  if (text.size() < sizeof hash) return Mix(Mix(hash, ShortWord(text)), 0);
  for (std::size_t at = 0; at + sizeof hash < text.size(); at += sizeof hash)
    hash = Mix(hash, Word(text.data() + at));
  return Mix(Mix(hash, Word(text.data() + text.size() - sizeof hash)), 0);
}

// Of the same size.
bool SameText(const char* a, const char* b, std::size_t size) {
  if (size < sizeof(std::uint64_t)) return std::memcmp(a, b, size) == 0;
  for (std::size_t at = 0; at + sizeof(std::uint64_t) < size; at += sizeof(std::uint64_t)) {
    if (Word(a + at) != Word(b + at)) return false;
  }
  const std::size_t last = size - sizeof(std::uint64_t);
  return Word(a + last) == Word(b + last);
}

}  // namespace

void NameIndex::Reset(std::size_t count) {
  std::size_t size = 16;
  while (size < count * 2) size *= 2;
  slots_.assign(size, {});
  text_.clear();
  count_ = 0;
}

void NameIndex::Add(std::string_view name) {
  const std::uint64_t hash = HashOf(name);
  Slot& slot = slots_[SlotOf(name, hash)];
  const std::int32_t index = count_++;
  if (slot.index != kNone) return;
  slot = {static_cast<std::uint32_t>(hash >> 32), index, static_cast<std::uint32_t>(text_.size()),
          static_cast<std::uint32_t>(name.size())};
  text_ += name;
}

std::size_t NameIndex::SlotOf(std::string_view name, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  std::size_t at = hash & mask;
  while (true) {
    const Slot& slot = slots_[at];
    if (slot.index == kNone) return at;
    if (slot.tag == tag && slot.size == name.size() &&
        SameText(text_.data() + slot.begin, name.data(), name.size()))
      return at;
    at = (at + 1) & mask;
  }
}

std::int32_t NameIndex::Find(std::string_view name) const {
  return slots_.empty() ? kNone : slots_[SlotOf(name, HashOf(name))].index;
}

void NameIndex::FindAll(std::span<const std::string_view> names, std::int32_t* indices) const {
  if (slots_.empty()) {
    std::fill_n(indices, names.size(), kNone);
    return;
  }
  constexpr std::size_t kTogether = 32;
  std::array<std::uint64_t, kTogether> hashes{};
  const std::size_t mask = slots_.size() - 1;
  while (!names.empty()) {
    const std::size_t count = std::min(kTogether, names.size());
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = HashOf(names[i]);
      __builtin_prefetch(&slots_[hashes[i] & mask]);
    }
    for (std::size_t i = 0; i < count; ++i)
      __builtin_prefetch(text_.data() + slots_[hashes[i] & mask].begin);
    for (std::size_t i = 0; i < count; ++i) *indices++ = slots_[SlotOf(names[i], hashes[i])].index;
    names = names.subspan(count);
  }
}

}  // namespace sobre
