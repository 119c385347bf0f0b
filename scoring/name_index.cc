#include "scoring/name_index.h"

#include <functional>

namespace sobre {

void NameIndex::Reset(std::size_t count) {
  std::size_t size = 16;
  while (size < count * 2) size *= 2;
  slots_.assign(size, {});
  text_.clear();
  ends_.assign(1, 0);
  ends_.reserve(count + 1);
}

void NameIndex::Add(std::string_view name) {
  const std::size_t hash = std::hash<std::string_view>()(name);
  Slot& slot = slots_[SlotOf(name, hash)];
  if (slot.index == kNone)
    slot = {static_cast<std::uint32_t>(hash >> 32), static_cast<std::int32_t>(ends_.size() - 1)};
  text_ += name;
  ends_.push_back(static_cast<std::uint32_t>(text_.size()));
}

std::size_t NameIndex::SlotOf(std::string_view name, std::size_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  std::size_t at = hash & mask;
  while (slots_[at].index != kNone && (slots_[at].tag != tag || NameAt(slots_[at].index) != name))
    at = (at + 1) & mask;
  return at;
}

std::int32_t NameIndex::Find(std::string_view name) const {
  if (slots_.empty()) return kNone;
  return slots_[SlotOf(name, std::hash<std::string_view>()(name))].index;
}

}  // namespace sobre
