#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace sobre {

// Publishes an immutable object to many readers, swapped whole. Readers take no lock and never wait
// for the writer: each announces in a slot which object it looks at, and the writer keeps a
// replaced object for as long as a slot names it (hazard pointers).
//
//   SnapshotPointer<T> current(std::make_shared<const T>(…));
//   const auto view = current.Read();   // any thread; short-lived
//   current.Publish(std::move(next));   // any thread
template <class T>
class SnapshotPointer {
  // More than the threads that may read at once; a reader beyond that yields until one is free.
  static constexpr std::size_t kSlots = 1024;
  struct alignas(64) Slot {
    std::atomic<const T*> object = nullptr;
    std::atomic<bool> taken = false;
  };

 public:
  class View {
   public:
    View(View&& other) noexcept
        : slot_(std::exchange(other.slot_, nullptr)), object_(other.object_) {}
    View& operator=(View&&) = delete;
    ~View() {
      if (slot_ == nullptr) return;
      slot_->object.store(nullptr);
      slot_->taken.store(false);
    }
    const T& operator*() const { return *object_; }
    const T* operator->() const { return object_; }

   private:
    friend class SnapshotPointer;
    View(Slot* slot, const T* object) : slot_(slot), object_(object) {}
    Slot* slot_;
    const T* object_;
  };

  explicit SnapshotPointer(std::shared_ptr<const T> first) : current_(first.get()) {
    kept_.push_back(std::move(first));
  }

  [[nodiscard]] View Read() const {
    Slot& slot = TakeSlot();
    while (true) {
      const T* object = current_.load();
      slot.object.store(object);
      // Announced before it could be replaced: the writer sees the slot, or we see the new object.
      if (current_.load() == object) return View(&slot, object);
    }
  }

  void Publish(std::shared_ptr<const T> next) {
    const MutexLock lock(mutex_);
    current_.store(next.get());
    kept_.push_back(std::move(next));
    std::erase_if(kept_, [this](const std::shared_ptr<const T>& old) {
      if (old.get() == current_.load()) return false;
      for (const Slot& slot : slots_) {
        if (slot.object.load() == old.get()) return false;
      }
      return true;
    });
  }

 private:
  Slot& TakeSlot() const {
    // Threads begin at different places, so that each mostly finds its own slot free.
    thread_local const std::size_t start = std::hash<std::thread::id>()(std::this_thread::get_id());
    for (std::size_t i = start;; ++i) {
      Slot& slot = slots_[i % kSlots];
      if (!slot.taken.load(std::memory_order_relaxed) && !slot.taken.exchange(true)) return slot;
      if (i - start == kSlots) std::this_thread::yield();
    }
  }

  std::atomic<const T*> current_;
  mutable std::array<Slot, kSlots> slots_;
  Mutex mutex_;
  std::vector<std::shared_ptr<const T>> kept_ SOBRE_GUARDED_BY(mutex_);
};

}  // namespace sobre
