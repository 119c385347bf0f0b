#pragma once

#include "cmake/embedded_file.h"

namespace sobre {

// The bundled page: "index.html", "app.js", "app.css", "icon.svg"; closed by a null name.
extern const EmbeddedFile kPageFiles[];

}  // namespace sobre
