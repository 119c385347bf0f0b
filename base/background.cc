#include "base/background.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sobre {

void StepBack() {
  // A third of the weight of a thread that answers: nothing starves.
  constexpr int kNice = 5;
  // On Linux a thread has a priority of its own.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
}

}  // namespace sobre
