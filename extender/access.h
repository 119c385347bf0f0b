#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/mutex.h"
#include "base/time.h"
#include "k8s/kubeconfig.h"
#include "net/http_server.h"

namespace sobre {

// Of which namespace what a GET of the read-only port tells is; empty: of all of them, or of the
// cluster. Nothing: of nobody, such as the page's own files.
std::optional<std::string> NamespaceTold(const HttpRequest& request);

// The token of a value of the header `Authorization`; nothing where it has none.
std::optional<std::string> BearerToken(std::string_view header);

// Lets in whom the API server knows by the token of the request (TokenReview), to what it lets them
// see (SubjectAccessReview): what is of a namespace is for those who may list its pods, what is of
// all for those who may list all pods. What the API server said holds for half a minute. Closed
// while it does not answer. Thread-safe.
class Access {
 public:
  static constexpr Duration kHolds = std::chrono::seconds(30);
  static constexpr std::size_t kMostKept = 1000;
  static constexpr int kMostReviews = 4;  // at a time

  explicit Access(ApiAccess api) : api_(std::move(api)) {}
  struct Verdict {
    int status = 200;  // of HTTP: 401, 403 or 503 for a refusal
    std::string why;   // of a refusal
  };
  // Both wait for the API server where it was not asked of late. Whether the owner of `token`,
  // which may be missing, may see what is of a namespace; of all, where that is empty.
  Verdict MaySee(const std::optional<std::string>& token, const std::string& namespace_name,
                 Timestamp now);
  // False: `response` says why not.
  bool Admit(const HttpRequest& request, HttpResponse& response, Timestamp now);
  // Whether the request's token, if it has one, is of somebody who may see what is of all.
  bool MaySeeAll(const HttpRequest& request, Timestamp now);

 private:
  struct Kept {
    Verdict verdict;
    Timestamp since;
  };
  Verdict Judge(const std::string& token, const std::string& namespace_name, Timestamp now);
  [[nodiscard]] Verdict Review(const std::string& token, const std::string& namespace_name) const;

  const ApiAccess api_;
  std::atomic<int> reviews_ = 0;
  Mutex mutex_;
  // By the digest of token and namespace: no token is kept.
  std::unordered_map<std::string, Kept> kept_ SOBRE_GUARDED_BY(mutex_);
};

}  // namespace sobre
