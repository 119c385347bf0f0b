// Runs a target once on every file of the folders that are named: how a corpus is replayed without
// libFuzzer, under whatever sanitizer the build has.
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/fuzz/fuzz.h"

int main(int argc, char** argv) {
  std::size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      const std::string path = entry.path().string();
      const sobre::Result<std::string> bytes = sobre::ReadFile(path);
      if (!bytes.ok()) {
        std::fprintf(stderr, "%s\n", bytes.status().message().c_str());
        return 1;
      }
      // A copy that ends where the input does: who reads on is found.
      const std::vector<std::uint8_t> exact(bytes->begin(), bytes->end());
      std::fprintf(stderr, "%s\n", path.c_str());
      LLVMFuzzerTestOneInput(exact.data(), exact.size());
      ++inputs;
    }
  }
  std::printf("%zu inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
