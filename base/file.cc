#include "base/file.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sobre {

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  std::error_code error;
  if (!file || std::filesystem::is_directory(path, error))
    return Status::NotFound(path + ": cannot be read");
  bytes << file.rdbuf();
  return std::move(bytes).str();
}

Result<std::string> ReadFileOrInput(const std::string& path) {
  if (path != "-") return ReadFile(path);
  std::string text;
  std::array<char, 4096> part;
  while (const std::size_t count = std::fread(part.data(), 1, part.size(), stdin))
    text.append(part.data(), count);
  return text;
}

}  // namespace sobre
