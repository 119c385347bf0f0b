#pragma once

#include <string>
#include <string_view>

namespace sobre {

// The begin of a page that needs nothing else and runs no script, up to <body>: light and dark,
// tables in `.wide`, charts in `.charts` with the colours --c0 to --c7, `.soft`, `.warn` and
// `.key`. Thread-safe.
std::string HtmlHead(std::string_view title);

}  // namespace sobre
