#include "extender/access.h"

#include <algorithm>
#include <array>
#include <utility>

#include <simdjson.h>

#include "audit/digest.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "k8s/api_client.h"

namespace sobre {
namespace {

namespace dom = simdjson::dom;

// Addresses that tell of one namespace where the query names it.
constexpr std::array<std::string_view, 6> kByParameter = {
    "/api/v1/decisions",       "/api/v1/stream",    "/api/v1/policy",
    "/api/v1/recommendations", "/api/v1/workloads", "/api/v1/regions"};
// Folders whose next part is the namespace, where another follows it.
constexpr std::array<std::string_view, 3> kByPath = {"/api/v1/decisions/", "/api/v1/what-if/",
                                                     "/api/v1/labels/"};
// What probes ask: /readyz tells whoever has no token which parts are well, and no more.
constexpr std::array<std::string_view, 2> kProbes = {"/healthz", "/readyz"};

template <std::size_t kSize>
bool Contains(const std::array<std::string_view, kSize>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

struct Reviewed {
  std::string user;
  std::string spec;  // of a SubjectAccessReview: who it is
};

// Nothing: the API server does not know the token.
Result<std::optional<Reviewed>> ReadTokenReview(const HttpReply& reply) {
  dom::parser parser;
  dom::element status;
  if (reply.status >= 300) return Status::Unavailable("TokenReview: " + Complaint(reply));
  if (parser.parse(reply.body)["status"].get(status) != simdjson::SUCCESS)
    return Status::Unavailable("TokenReview: the answer has no status");
  bool known = false;
  if (status["authenticated"].get(known) != simdjson::SUCCESS || !known)
    return std::optional<Reviewed>();
  Reviewed reviewed;
  std::string_view user;
  if (status["user"]["username"].get(user) != simdjson::SUCCESS || user.empty())
    return Status::Unavailable("TokenReview: the answer names no user");
  reviewed.user = user;
  reviewed.spec = R"("user":)";
  AppendJsonString(reviewed.spec, user);
  for (const char* key : {"uid", "groups", "extra"}) {
    dom::element value;
    if (status["user"][key].get(value) == simdjson::SUCCESS)
      reviewed.spec += std::string(",\"") + key + "\":" + simdjson::minify(value);
  }
  return std::optional(std::move(reviewed));
}

Result<bool> ReadAccessReview(const HttpReply& reply) {
  if (reply.status >= 300) return Status::Unavailable("SubjectAccessReview: " + Complaint(reply));
  dom::parser parser;
  bool allowed = false;
  if (parser.parse(reply.body)["status"]["allowed"].get(allowed) != simdjson::SUCCESS)
    return Status::Unavailable(
        "SubjectAccessReview: the answer does not say whether it is allowed");
  return allowed;
}

}  // namespace

std::optional<std::string> NamespaceTold(const HttpRequest& request) {
  const std::string_view path = request.path;
  if (Contains(kProbes, path)) return std::nullopt;
  if (path != "/metrics" && !path.starts_with("/debug/") && !path.starts_with("/api/"))
    return std::nullopt;  // the page: it has nothing of the cluster in it
  if (Contains(kByParameter, path)) return request.Parameter("namespace").value_or("");
  for (const std::string_view folder : kByPath) {
    if (!path.starts_with(folder)) continue;
    const std::string_view rest = path.substr(folder.size());
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) break;
    return std::string(rest.substr(0, slash));
  }
  return std::string();
}

std::optional<std::string> BearerToken(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() <= kScheme.size() || ToLower(header.substr(0, kScheme.size())) != kScheme)
    return std::nullopt;
  return std::string(header.substr(kScheme.size()));
}

Access::Verdict Access::MaySee(const std::optional<std::string>& token,
                               const std::string& namespace_name, Timestamp now) {
  if (token) return Judge(*token, namespace_name, now);
  return {401,
          "who asks? Send a token that the API server knows: Authorization: Bearer TOKEN (`kubectl "
          "create token SERVICEACCOUNT` makes one)"};
}

bool Access::Admit(const HttpRequest& request, HttpResponse& response, Timestamp now) {
  const std::optional<std::string> namespace_name = NamespaceTold(request);
  if (!namespace_name) return true;
  const Verdict verdict =
      MaySee(BearerToken(request.Header("Authorization").value_or("")), *namespace_name, now);
  if (verdict.status == 200) return true;
  response.Fail(verdict.status, verdict.why);
  if (verdict.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (verdict.status == 503) response.headers.emplace_back("Retry-After", "2");
  return false;
}

bool Access::MaySeeAll(const HttpRequest& request, Timestamp now) {
  const auto token = BearerToken(request.Header("Authorization").value_or(""));
  return token && MaySee(token, "", now).status == 200;
}

Access::Verdict Access::Judge(const std::string& token, const std::string& namespace_name,
                              Timestamp now) {
  std::string key = Sha256(token + '\n' + namespace_name);
  const auto holds = [now](const Kept& kept) {
    return kept.since <= now && now - kept.since < kHolds;
  };
  {
    const MutexLock lock(mutex_);
    const auto found = kept_.find(key);
    if (found != kept_.end() && holds(found->second)) return found->second.verdict;
  }
  // Whoever tries token after token must not make us a burden for the API server.
  struct Place {
    std::atomic<int>& taken;
    const int before = taken.fetch_add(1);
    ~Place() { --taken; }
  } const place{reviews_};
  if (place.before >= kMostReviews)
    return {503, "too many ask the API server who they are: ask again"};
  Verdict verdict = Review(token, namespace_name);
  if (verdict.status == 503) return verdict;
  const MutexLock lock(mutex_);
  if (kept_.size() >= kMostKept)
    std::erase_if(kept_, [&holds](const auto& entry) { return !holds(entry.second); });
  if (kept_.size() >= kMostKept) kept_.clear();
  kept_.insert_or_assign(std::move(key), Kept{verdict, now});
  return verdict;
}

Access::Verdict Access::Review(const std::string& token, const std::string& namespace_name) const {
  const auto unavailable = [](const Status& status) {
    return Verdict{503, "the API server cannot be asked who may see this: " + status.message()};
  };
  ApiClient client(api_);
  std::string body =
      R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":)";
  AppendJsonString(body, token);
  Result<HttpReply> reply =
      client.Call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body + "}}");
  if (!reply.ok()) return unavailable(reply.status());
  const Result<std::optional<Reviewed>> known = ReadTokenReview(*reply);
  if (!known.ok()) return unavailable(known.status());
  if (!*known) return {401, "the API server does not know this token: it may have expired"};
  body = R"({"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{)" +
         (*known)->spec + R"(,"resourceAttributes":{"verb":"list","resource":"pods","namespace":)";
  AppendJsonString(body, namespace_name);
  reply = client.Call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body + "}}}");
  if (!reply.ok()) return unavailable(reply.status());
  const Result<bool> allowed = ReadAccessReview(*reply);
  if (!allowed.ok()) return unavailable(allowed.status());
  if (*allowed) return {};
  const std::string who = Printable((*known)->user, 200);
  if (namespace_name.empty())
    return {403, who +
                     " may not list the pods of all namespaces, and so not see what is of all: ask "
                     "for one, as in /api/v1/decisions?namespace=NAME"};
  return {403, who + " may not list pods in namespace " + Printable(namespace_name, 63) +
                   ", and so not see what Sobre decides there"};
}

}  // namespace sobre
