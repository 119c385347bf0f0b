#include "extender/memory_limit.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace sobre {
namespace {

class MemoryLimitTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(root_); }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  const std::string root_ = ::testing::TempDir() + "memory_limit-" + std::to_string(getpid());
};

TEST_F(MemoryLimitTest, IsTheLeastOnTheWayUp) {
  EXPECT_EQ(MemoryLimit(root_), std::nullopt);
  Write("/proc/self/cgroup", "0::/kubepods/pod1/c1\n");
  EXPECT_EQ(MemoryLimit(root_), std::nullopt);
  Write("/sys/fs/cgroup/kubepods/pod1/c1/memory.max", "max\n");
  EXPECT_EQ(MemoryLimit(root_), std::nullopt);
  Write("/sys/fs/cgroup/kubepods/memory.max", "8589934592\n");
  EXPECT_EQ(MemoryLimit(root_), std::int64_t{8} << 30);
  Write("/sys/fs/cgroup/kubepods/pod1/memory.max", "536870912\n");
  EXPECT_EQ(MemoryLimit(root_), std::int64_t{512} << 20);
}

TEST_F(MemoryLimitTest, OfAContainerThatSeesItsOwnGroupAlone) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/memory.max", "268435456\n");
  EXPECT_EQ(MemoryLimit(root_), std::int64_t{256} << 20);
  Write("/proc/self/cgroup", "0::/of/the/host\n");
  EXPECT_EQ(MemoryLimit(root_), std::int64_t{256} << 20);
}

TEST_F(MemoryLimitTest, OfTheFirstVersion) {
  Write("/proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a\n0::/a\n");
  Write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(MemoryLimit(root_), std::nullopt);
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
  EXPECT_EQ(MemoryLimit(root_), std::int64_t{1} << 30);
}

}  // namespace
}  // namespace sobre
