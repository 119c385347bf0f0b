#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"

namespace sobre {

// Whom to trust and who we are, in PEM. Empty: the system's authorities, no client certificate.
struct TlsOptions {
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;
  bool insecure_skip_verify = false;
};

struct HttpCall {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string username;              // basic authentication; empty: none
  std::string password;
  std::string body;
  Duration connect_timeout = std::chrono::seconds(5);
  // Of the whole call; 0: none, for a stream.
  Duration timeout = std::chrono::seconds(10);
  std::size_t max_response_bytes = 64U << 20;
};

struct HttpReply {
  long status = 0;
  std::string body;
  Duration retry_after{0};  // as the server asks; 0: it does not
};

// An HTTP/1.1 client that keeps its connections. One call at a time: not for several threads at
// once. Redirects are not followed.
class HttpClient {
 public:
  HttpClient();
  explicit HttpClient(TlsOptions tls);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // The whole answer, whatever its status; an error where there was no answer, or one too large.
  Result<HttpReply> Fetch(const HttpCall& call);

  // Hands on the body of a 200 as it comes, until it ends, `take` returns false or `stop` becomes
  // true (seen within a second). With any other status nothing is handed on and the status and body
  // come back. `idle_timeout`: an error if no byte comes for so long.
  using Take = std::function<bool(std::string_view)>;
  Result<HttpReply> Stream(const HttpCall& call, Duration idle_timeout,
                           const std::atomic<bool>& stop, const Take& take);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sobre
