#include "base/background.h"

#include <thread>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sobre {
namespace {

int Nice() { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid))); }

TEST(Background, OnlyTheCallingThreadStepsBack) {
  const int before = Nice();
  int inside = before;
  std::thread([&inside] {
    StepBack();
    inside = Nice();
  }).join();
  EXPECT_GE(inside, before);
  EXPECT_EQ(Nice(), before);
}

TEST(Background, WhoAnswersSoonKeepsThePriorityThatWasGiven) {
  int inside = 0;
  std::thread([&inside] {
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 7);
    AnswerSoon();
    inside = Nice();
  }).join();
  EXPECT_EQ(inside, 7);
}

}  // namespace
}  // namespace sobre
