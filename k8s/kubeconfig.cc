#include "k8s/kubeconfig.h"

#include <cstdlib>
#include <filesystem>

#include <yaml-cpp/yaml.h>

#include "base/file.h"
#include "base/text.h"

namespace sobre {
namespace {

constexpr const char* kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

std::string Text(const YAML::Node& node, const char* key) {
  const YAML::Node value = node[key];
  return value && value.IsScalar() ? value.as<std::string>() : "";
}

Result<std::string> DecodeBase64(std::string_view text) {
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=' || c == '\n' || c == '\r' || c == ' ') continue;
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0) return Status::Invalid("not base64");
    bits = bits << 6 | static_cast<unsigned>(value);
    if (++count == 4) {
      out += {static_cast<char>(bits >> 16 & 0xFF), static_cast<char>(bits >> 8 & 0xFF),
              static_cast<char>(bits & 0xFF)};
      bits = 0;
      count = 0;
    }
  }
  if (count == 1) return Status::Invalid("not base64");
  if (count == 2) out += static_cast<char>(bits >> 4 & 0xFF);
  if (count == 3)
    out += {static_cast<char>(bits >> 10 & 0xFF), static_cast<char>(bits >> 2 & 0xFF)};
  return out;
}

// `KEY-data` in base64, else the file that `KEY` names, relative to the kubeconfig.
Result<std::string> DataOrFile(const YAML::Node& node, const std::string& key,
                               const std::string& path) {
  const std::string data = Text(node, (key + "-data").c_str());
  if (!data.empty()) {
    Result<std::string> decoded = DecodeBase64(data);
    if (!decoded.ok()) return decoded.status().WithContext(path + ": " + key + "-data");
    return decoded;
  }
  const std::string file = Text(node, key.c_str());
  if (file.empty()) return std::string();
  return ReadFile((std::filesystem::path(path).parent_path() / file).string());
}

Result<YAML::Node> Named(const YAML::Node& root, const char* list, const char* item,
                         const std::string& name) {
  for (const YAML::Node& entry : root[list]) {
    if (Text(entry, "name") == name) return YAML::Node(entry[item]);
  }
  return Status::NotFound(std::string("no ") + item + " named '" + Printable(name) + "'");
}

Result<ApiAccess> Read(const std::string& path, std::string_view wanted) {
  const YAML::Node root = YAML::LoadFile(path);
  const std::string context_name =
      wanted.empty() ? Text(root, "current-context") : std::string(wanted);
  if (context_name.empty())
    return Status::Invalid("no current-context; name one in the configuration");
  const Result<YAML::Node> context = Named(root, "contexts", "context", context_name);
  if (!context.ok()) return context.status();
  const Result<YAML::Node> cluster = Named(root, "clusters", "cluster", Text(*context, "cluster"));
  if (!cluster.ok()) return cluster.status();
  const Result<YAML::Node> user = Named(root, "users", "user", Text(*context, "user"));
  if (!user.ok()) return user.status();
  for (const char* plugin : {"exec", "auth-provider"}) {
    if ((*user)[plugin]) {
      return Status::Invalid("user '" + Text(*context, "user") + "' needs a plugin (" + plugin +
                             "), which is not supported; use a token or a client certificate");
    }
  }
  ApiAccess access;
  access.server = Text(*cluster, "server");
  while (access.server.ends_with('/')) access.server.pop_back();
  if (access.server.empty())
    return Status::Invalid("cluster '" + Text(*context, "cluster") + "' has no server");
  access.tls.insecure_skip_verify = Text(*cluster, "insecure-skip-tls-verify") == "true";
  access.token = Text(*user, "token");
  access.token_file = Text(*user, "tokenFile");
  for (const auto& [node, key, target] :
       {std::tuple(*cluster, "certificate-authority", &access.tls.ca_pem),
        std::tuple(*user, "client-certificate", &access.tls.certificate_pem),
        std::tuple(*user, "client-key", &access.tls.key_pem)}) {
    Result<std::string> pem = DataOrFile(node, key, path);
    if (!pem.ok()) return pem.status();
    *target = *std::move(pem);
  }
  return access;
}

}  // namespace

Result<std::vector<std::string>> ApiAccess::Headers() const {
  std::string bearer = token;
  if (!token_file.empty()) {
    Result<std::string> fresh = ReadFile(token_file);
    if (!fresh.ok()) return fresh.status();
    bearer = std::string(Trim(*fresh));
  }
  if (bearer.empty()) return std::vector<std::string>{};
  return std::vector<std::string>{"Authorization: Bearer " + bearer};
}

ApiAccess ApiAccess::Fresh() const {
  if (!in_cluster && kubeconfig.empty()) return *this;
  const Result<ApiAccess> fresh =
      in_cluster ? InClusterAccess() : LoadKubeconfig(kubeconfig, context);
  return fresh.ok() ? *fresh : *this;
}

Result<ApiAccess> InClusterAccess() {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");        // NOLINT(concurrency-mt-unsafe)
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT_HTTPS");  // NOLINT(concurrency-mt-unsafe)
  if (host == nullptr || port == nullptr) {
    return Status::NotFound(
        "not in a cluster (KUBERNETES_SERVICE_HOST is not set); give kubernetes.kubeconfig");
  }
  const std::string directory = kServiceAccount;
  Result<std::string> ca = ReadFile(directory + "/ca.crt");
  if (!ca.ok()) return ca.status();
  const bool ipv6 = std::string_view(host).find(':') != std::string_view::npos;
  ApiAccess access;
  access.server =
      std::string("https://") + (ipv6 ? "[" : "") + host + (ipv6 ? "]" : "") + ":" + port;
  access.tls.ca_pem = *std::move(ca);
  access.token_file = directory + "/token";
  access.in_cluster = true;
  return access;
}

Result<ApiAccess> LoadKubeconfig(const std::string& path, std::string_view context) {
  try {
    Result<ApiAccess> access = Read(path, context);
    if (!access.ok()) return access.status().WithContext("kubeconfig " + path);
    access->kubeconfig = path;
    access->context = context;
    return access;
  } catch (const YAML::BadFile&) {
    return Status::NotFound("kubeconfig " + path + ": cannot be read");
  } catch (const YAML::Exception& error) {
    return Status::Invalid("kubeconfig " + path + ":" + std::to_string(error.mark.line + 1) + ": " +
                           error.msg);
  }
}

}  // namespace sobre
