#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/time.h"

namespace sobre {

// How many readable bytes stand behind a request's body, for parsers that read ahead.
inline constexpr std::size_t kBodyPadding = 64;

struct HttpRequest {
  std::string_view path;
  // Followed by kBodyPadding readable bytes. Valid during the handler alone.
  std::string_view body;
};

struct HttpResponse {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  // {"error": message}
  void Fail(int error_status, std::string_view message);
};

// An HTTP/1.1 server: a thread a connection, up to a bound; beyond it connections are answered 503
// and closed. What is not to be served is refused before its body is read: an unknown path (404),
// another method (405), no or an implausible Content-Length (411, 400), a body over the limit
// (413), another type than the one expected (415).
//
//   HttpServer server({.address = "127.0.0.1:0"});
//   server.Handle("GET", "/healthz", [](const HttpRequest&, HttpResponse& r) { r.body = "ok"; });
//   server.Start(); … server.Stop();
//
// Handle() before Start(); handlers run on several threads at once. An exception from a handler is
// a 500.
class HttpServer {
 public:
  struct Options {
    // "host:port"; port 0 takes any free one.
    std::string address = "127.0.0.1:0";
    std::size_t max_body_bytes = 1U << 20;
    // The only Content-Type that a POST may have.
    std::string body_type = "application/json";
    int max_connections = 64;
    // Longer than the 90 s for which Go's client keeps an idle connection: the client closes first.
    Duration idle_timeout = std::chrono::seconds(120);
    // From a request's first byte to its last, and for sending the answer.
    Duration request_timeout = std::chrono::seconds(30);
  };
  using Handler = std::function<void(const HttpRequest&, HttpResponse&)>;

  explicit HttpServer(Options options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // For GET (and HEAD) or POST of exactly this path; of a path that ends in "/*", for all directly
  // below it that have no handler of their own.
  void Handle(std::string_view method, std::string path, Handler handler);
  // Binds and serves in threads of its own.
  Status Start();
  [[nodiscard]] int port() const;
  // From now on each answer closes its connection, so that clients go elsewhere. New connections
  // are still served.
  void Drain();
  // Stops listening, lets requests that have begun finish, and waits for that. Idempotent.
  void Stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sobre
