#include "base/background.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sobre {

void StepBack() {
  // A tenth of the weight of a thread that answers, which is enough to go on.
  constexpr int kNice = 10;
  // On Linux a thread has a priority of its own.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
}

}  // namespace sobre
