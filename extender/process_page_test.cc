#include "extender/process_page.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/background.h"

namespace sobre {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ProcessPage, TellsMemoryQueuesAndThreadsByName) {
  std::mutex mutex;
  std::condition_variable wake;
  bool named = false;
  bool seen = false;
  std::thread other([&] {
    NameThread("a-name-that-is-too-long");
    std::unique_lock lock(mutex);
    named = true;
    wake.notify_all();
    wake.wait(lock, [&] { return seen; });
  });
  ProcessPage page;
  page.snapshots = 2;
  page.servers = {{"extender", {3, 1, 64, 70, 5}}};
  page.records.recorder.open_decisions = 4;
  std::string text;
  {
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return named; });
    text = page.Text();
    seen = true;
    wake.notify_all();
  }
  other.join();
  EXPECT_THAT(text, ContainsRegex("VmRSS [0-9]+ kB\n"));
  EXPECT_THAT(text, HasSubstr("extender 3 64 1 70 5\n"));
  EXPECT_THAT(text, HasSubstr("snapshots_alive 2\n"));
  EXPECT_THAT(text, HasSubstr("open_decisions 4\n"));
  EXPECT_THAT(text, ContainsRegex(" [RSD] +[0-9.]+ +[0-9.]+  a-name-that-is-\n"));
  EXPECT_THAT(page.Text(), Not(HasSubstr("a-name"))) << "its thread has ended";
}

TEST(ProcessPage, StatesAreCountedAsLongAsTheyLive) {
  const int before = InstanceCount<WorldState>::alive();
  {
    const WorldState one;
    const WorldState copy = one;
    EXPECT_EQ(InstanceCount<WorldState>::alive(), before + 2);
  }
  EXPECT_EQ(InstanceCount<WorldState>::alive(), before);
}

}  // namespace
}  // namespace sobre
