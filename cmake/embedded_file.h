#pragma once

#include <string_view>

namespace sobre {

// A file of the source tree inside the program; the generated tables end with a null name.
struct EmbeddedFile {
  const char* name;
  std::string_view bytes;
};

}  // namespace sobre
