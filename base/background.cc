#include "base/background.h"

#include <array>
#include <cstdint>
#include <cstring>

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sobre {

namespace {

// The kernel's struct sched_attr in its first form; glibc 2.36 has no declaration of it, and the
// kernel's header none that stands beside <sched.h>.
struct SchedAttr {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime_ns;
  std::uint64_t deadline_ns;
  std::uint64_t period_ns;
};
static_assert(sizeof(SchedAttr) == 48);

}  // namespace

void StepBack() {
  // A third of the weight of a thread that answers: nothing starves.
  constexpr int kNice = 5;
  // On Linux a thread has a priority of its own.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
}

void AnswerSoon() {
  // The shortest slice that Linux 6.12 and later take from a thread without a right; one that asks
  // for little goes before one that runs for long. Earlier kernels ignore it.
  constexpr std::uint64_t kSliceNs = 100'000;
  SchedAttr attributes{};
  // What is not changed, the thread's priority for one, is kept.
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime_ns = kSliceNs;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void NameThread(const char* name) {
  std::array<char, 16> kept{};
  std::strncpy(kept.data(), name, kept.size() - 1);
  ::pthread_setname_np(::pthread_self(), kept.data());
}

}  // namespace sobre
