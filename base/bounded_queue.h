#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace sobre {

// A queue of at most `kCapacity` (a power of two). Push from any number of threads: no lock, false
// when it is full. Pop from one thread at a time.
template <class T, std::size_t kCapacity>
class BoundedQueue {
 public:
  bool Push(T&& value) {
    std::uint64_t at = head_.load();
    while (true) {
      Cell& cell = cells_[at % kCapacity];
      const std::uint64_t free_turn = 2 * (at / kCapacity);
      const std::uint64_t turn = cell.turn.load(std::memory_order_acquire);
      if (turn == free_turn) {
        if (!head_.compare_exchange_weak(at, at + 1)) continue;
        cell.value = std::move(value);
        cell.turn.store(free_turn + 1, std::memory_order_release);
        return true;
      }
      if (turn < free_turn) return false;
      at = head_.load();
    }
  }

  bool Pop(T& value) {
    Cell& cell = cells_[tail_ % kCapacity];
    const std::uint64_t full_turn = 2 * (tail_ / kCapacity) + 1;
    if (cell.turn.load(std::memory_order_acquire) != full_turn) return false;
    value = std::move(cell.value);
    cell.turn.store(full_turn + 1, std::memory_order_release);
    ++tail_;
    return true;
  }

  // How many were pushed, ever.
  [[nodiscard]] std::uint64_t pushed() const { return head_.load(); }

 private:
  static_assert((kCapacity & (kCapacity - 1)) == 0);
  // A cell may be written in round r when its turn is 2r, and read when it is 2r + 1.
  struct Cell {
    std::atomic<std::uint64_t> turn = 0;
    T value;
  };
  std::array<Cell, kCapacity> cells_;
  std::atomic<std::uint64_t> head_ = 0;
  std::uint64_t tail_ = 0;
};

}  // namespace sobre
