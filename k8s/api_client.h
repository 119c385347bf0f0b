#pragma once

#include <string>
#include <string_view>

#include "k8s/kubeconfig.h"

namespace sobre {

// Single calls to the API server, as JSON, on a kept connection. Not for several threads at once.
class ApiClient {
 public:
  explicit ApiClient(ApiAccess access) : access_(std::move(access)), client_(access_.tls) {}

  // The answer of any status; an error where there was none. `path` begins with "/".
  Result<HttpReply> Call(std::string_view method, std::string_view path, std::string body = {},
                         std::string_view content_type = "application/json");

 private:
  const ApiAccess access_;
  HttpClient client_;
};

// One sentence for an answer that is no success: "status 403: …".
std::string Complaint(const HttpReply& reply);

}  // namespace sobre
