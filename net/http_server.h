#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "net/server_tls.h"

namespace httplib {
struct Request;
}

namespace sobre {

// How many readable bytes stand behind a request's body, for parsers that read ahead.
inline constexpr std::size_t kBodyPadding = 64;
// Buffers for a body of so many bytes, and what its parsing takes, are kept from request to request
// of a thread; larger ones are given back.
inline constexpr std::size_t kKeptBodyBytes = 256U << 10;

// Valid during the handler alone.
struct HttpRequest {
  std::string_view path;
  // Followed by kBodyPadding readable bytes.
  std::string_view body;
  const httplib::Request* parsed = nullptr;
  // The request line and the fields of the header, as they came.
  std::string_view head = {};

  // The value that the query states first, decoded; nothing where it does not.
  [[nodiscard]] std::optional<std::string> Parameter(std::string_view name) const;
  // All that the query states, in the order of their names.
  [[nodiscard]] std::vector<std::string> ParameterNames() const;
  // The value of the first field of that name, as it came, without white space around it.
  [[nodiscard]] std::optional<std::string> Header(std::string_view name) const;
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
  int status = 200;
  std::string_view content_type = "application/json; charset=utf-8";
  std::string body;
  HttpHeaders headers;
  // The connection ends after it, so that the client's next request may go elsewhere.
  bool close = false;
  // Instead of a body, parts as they come: called again and again on the connection's thread until
  // it says false, the client leaves or the server stops. Appends what is to be sent now; waits for
  // it for at most a second.
  std::function<bool(std::string& out)> next_part;
  // {"error": message}
  void Fail(int error_status, std::string_view message);
};

// An HTTP/1.1 server: a thread a connection, up to a bound; beyond it connections are answered 503
// and closed. What is not to be served is refused before its body is read: a malformed request line
// or header (400), a host name that is none of ours (421), an unknown path (404), another method
// (405), no or an implausible Content-Length (411, 400), a body over the limit (413), another type
// than the one expected (415).
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
    // Of its threads: "NAME" serves connections, "NAME-accept" takes them.
    std::string name = "http";
    // "host:port"; port 0 takes any free one.
    std::string address = "127.0.0.1:0";
    std::size_t max_body_bytes = 1U << 20;
    // Bodies of POSTs while they are read and answered, and answers until they are sent, in sum
    // over all connections, without the first kKeptBodyBytes of each; beyond it 503. An answer to a
    // GET that is alone goes out however large it is.
    std::size_t max_large_bytes = std::size_t{1} << 40;
    // The only Content-Type that a POST may have; its charset, where one is stated, is UTF-8.
    std::string body_type = "application/json";
    // Names by which clients may call the server (Host), beside addresses, localhost and the name
    // of the machine.
    std::vector<std::string> hosts = {};
    // The setting that holds them, for whom is refused.
    std::string hosts_setting = "hosts";
    int max_connections = 64;
    // So many of them may one address have; 0: all.
    int max_by_peer = 0;
    // Paths of GET that are answered also where a connection cannot be had: places of their own,
    // for one request each, which has to come within two seconds.
    std::vector<std::string> reserved = {};
    // Longer than the 90 s for which Go's client keeps an idle connection: the client closes first.
    Duration idle_timeout = std::chrono::seconds(120);
    // From a request's first byte to its last, and for sending the answer, or a part of it.
    Duration request_timeout = std::chrono::seconds(30);
    // Who has connected and not asked yet may still do so for this long after Stop().
    Duration last_call = std::chrono::seconds(1);
    // A client that has not finished its TLS handshake by then is cut off. Until it has, it takes
    // none of the connections: handshakes have places of their own.
    Duration handshake_timeout = std::chrono::seconds(2);
    // So many answers may come in parts at a time, each on a connection of its own. Beyond it the
    // oldest of the address that has most ends where that leaves it no fewer than the new one's
    // address has then; else 503.
    int max_streams = 16;
    // Its threads step back where processors are scarce.
    bool background = false;
    // Longer text is sent gzipped to those who accept it.
    bool compress = false;
    // Asked before each handler; where it says false it has filled the answer, and that goes out.
    std::function<bool(const HttpRequest&, HttpResponse&)> admit = nullptr;
    // Part of every answer that does not say otherwise.
    HttpHeaders headers = {};
    // Started; nothing: plain HTTP.
    std::shared_ptr<const ServerTls> tls = nullptr;
  };
  using Handler = std::function<void(const HttpRequest&, HttpResponse&)>;

  explicit HttpServer(Options options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // For GET (and HEAD) or POST of exactly this path; of a path that ends in "/*", for all below
  // it that have no nearer handler.
  void Handle(std::string_view method, std::string path, Handler handler);
  // Binds and serves in threads of its own.
  Status Start();
  [[nodiscard]] int port() const;
  // How busy it is. Any thread.
  struct Load {
    int connections = 0;  // served now
    int streams = 0;      // of them, that are answered in parts
    int most = 0;         // Options::max_connections
    std::uint64_t accepted = 0;
    std::uint64_t turned_away = 0;  // of those: over a bound
    // By status, the requests that the server refused itself: no handler saw them.
    std::map<int, std::uint64_t> refused = {};
  };
  [[nodiscard]] Load load() const;
  // Options::name.
  [[nodiscard]] const std::string& name() const;
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
