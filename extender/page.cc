#include "extender/page.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "audit/digest.h"
#include "web/page_files.h"

namespace sobre {
namespace {

std::string_view TypeOf(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kTypes = {
      {{".html", "text/html; charset=utf-8"},
       {".js", "text/javascript; charset=utf-8"},
       {".css", "text/css; charset=utf-8"},
       {".svg", "image/svg+xml; charset=utf-8"}}};
  for (const auto& [ending, type] : kTypes)
    if (name.ends_with(ending)) return type;
  return "application/octet-stream";
}

}  // namespace

const HttpHeaders& PageHeaders() {
  static const HttpHeaders kHeaders = {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "
       "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cache-Control", "no-store"},
      {"Cross-Origin-Resource-Policy", "same-origin"}};
  return kHeaders;
}

void AddPage(HttpServer& server) {
  for (const EmbeddedFile* file = kPageFiles; file->name != nullptr; ++file) {
    const std::string_view name = file->name;
    const std::string path = name == "index.html" ? "/" : "/assets/" + std::string(name);
    // Weak: gzipped or not, it is the same page.
    const std::string tag = "\"" + Hex(Sha256(file->bytes)).substr(0, 32) + "\"";
    server.Handle("GET", path, [file, tag](const HttpRequest& request, HttpResponse& response) {
      response.content_type = TypeOf(file->name);
      // Asked for each time, sent again only where it changed.
      response.headers = {{"ETag", "W/" + tag}, {"Cache-Control", "no-cache"}};
      if (request.Header("If-None-Match").value_or("").find(tag) != std::string::npos) {
        response.status = 304;
        return;
      }
      response.body = file->bytes;
    });
  }
}

}  // namespace sobre
