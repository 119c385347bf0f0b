#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "k8s/kubeconfig.h"

namespace sobre {

// Single calls to the API server, as JSON, on a kept connection. After one that failed, or that the
// server did not know us for, the files that say how to reach it are read anew. Not for several
// threads at once.
class ApiClient {
 public:
  explicit ApiClient(ApiAccess access)
      : access_(std::move(access)), client_(std::make_unique<HttpClient>(access_.tls)) {}

  // The answer of any status; an error where there was none. `path` begins with "/".
  Result<HttpReply> Call(std::string_view method, std::string_view path, std::string body = {},
                         std::string_view content_type = "application/json");

 private:
  ApiAccess access_;
  std::unique_ptr<HttpClient> client_;
};

// One sentence for an answer that is no success: "status 403: …".
std::string Complaint(const HttpReply& reply);

}  // namespace sobre
