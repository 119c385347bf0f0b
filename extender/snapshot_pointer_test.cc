#include "extender/snapshot_pointer.h"

#include <gtest/gtest.h>

namespace sobre {
namespace {

struct Counted {
  explicit Counted(int n, std::atomic<int>& count) : number(n), again(n), alive(count) { ++alive; }
  ~Counted() {
    number = -1;
    --alive;
  }
  int number;
  int again;
  std::atomic<int>& alive;
};

TEST(SnapshotPointer, ReadersSeeWholeObjectsWhileTheyAreSwapped) {
  std::atomic<int> alive = 0;
  {
    SnapshotPointer<Counted> pointer(std::make_shared<const Counted>(0, alive));
    std::atomic<bool> stop = false;
    std::vector<std::thread> readers;
    std::atomic<int> wrong = 0;
    for (int i = 0; i < 4; ++i) {
      readers.emplace_back([&] {
        int last = 0;
        while (!stop) {
          const auto view = pointer.Read();
          if (view->number != view->again || view->number < last) ++wrong;
          last = view->number;
        }
      });
    }
    for (int i = 1; i <= 5000; ++i) pointer.Publish(std::make_shared<const Counted>(i, alive));
    stop = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(pointer.Read()->number, 5000);
    pointer.Publish(std::make_shared<const Counted>(5001, alive));
    EXPECT_EQ(alive, 1) << "what nobody reads is freed";
  }
  EXPECT_EQ(alive, 0);
}

TEST(SnapshotPointer, AViewKeepsItsObject) {
  std::atomic<int> alive = 0;
  SnapshotPointer<Counted> pointer(std::make_shared<const Counted>(1, alive));
  const auto view = pointer.Read();
  pointer.Publish(std::make_shared<const Counted>(2, alive));
  EXPECT_EQ(view->number, 1);
  EXPECT_EQ(pointer.Read()->number, 2);
}

}  // namespace
}  // namespace sobre
