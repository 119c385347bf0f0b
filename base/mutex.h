#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

// Locks that clang can follow: with -Wthread-safety it refuses to compile what reads or writes a
// guarded member without its lock, or calls what wants one. ./run lint checks that of all sources;
// for other compilers the annotations are nothing. The meaning of each is clang's:
// https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#if defined(__clang__)
#define SOBRE_THREAD_ANNOTATION(what) __attribute__((what))
#else
#define SOBRE_THREAD_ANNOTATION(what)
#endif

// Of a member: read and written under the lock alone.
#define SOBRE_GUARDED_BY(mutex) SOBRE_THREAD_ANNOTATION(guarded_by(mutex))
// Of a function, and of a lambda between its parameters and its body: whoever calls it holds the
// lock.
#define SOBRE_REQUIRES(...) SOBRE_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))

namespace sobre {

// A std::mutex.
class SOBRE_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

 private:
  friend class MutexLock;
  std::mutex mutex_;
};

// Holds a mutex as long as it lives, but between Unlock() and Lock().
class SOBRE_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) SOBRE_THREAD_ANNOTATION(acquire_capability(mutex))
      : lock_(mutex.mutex_) {}
  ~MutexLock() SOBRE_THREAD_ANNOTATION(release_capability()) = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  void Unlock() SOBRE_THREAD_ANNOTATION(release_capability()) { lock_.unlock(); }
  void Lock() SOBRE_THREAD_ANNOTATION(acquire_capability()) { lock_.lock(); }

 private:
  friend class ConditionVariable;
  std::unique_lock<std::mutex> lock_;
};

// A std::condition_variable. The lock is held when a wait returns; a condition that reads what the
// lock guards says so: [this]() SOBRE_REQUIRES(mutex_) { return stop_; }.
class ConditionVariable {
 public:
  template <class Condition>
  void Wait(MutexLock& lock, Condition condition) {
    wake_.wait(lock.lock_, std::move(condition));
  }
  // Whether the condition holds at the end.
  template <class Rep, class Period, class Condition>
  bool WaitFor(MutexLock& lock, std::chrono::duration<Rep, Period> most, Condition condition) {
    return wake_.wait_for(lock.lock_, most, std::move(condition));
  }
  void NotifyOne() { wake_.notify_one(); }
  void NotifyAll() { wake_.notify_all(); }

 private:
  std::condition_variable wake_;
};

}  // namespace sobre
