#include "base/file.h"

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

}  // namespace sobre
