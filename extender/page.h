#pragma once

#include "net/http_server.h"

namespace sobre {

// What every answer of the second port says: nothing from elsewhere may run in the page, frame it
// or be guessed into another type.
const HttpHeaders& PageHeaders();

// Registers the dashboard: "/" and what it loads, embedded in the program.
void AddPage(HttpServer& server);

}  // namespace sobre
