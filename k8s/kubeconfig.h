#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "net/http_client.h"

namespace sobre {

// How to reach an API server and who we are there.
struct ApiAccess {
  std::string server;  // "https://10.0.0.1:443", no slash at the end
  TlsOptions tls;
  std::string token;
  // Read anew for each call: in a cluster the token is replaced on disk.
  std::string token_file;
  // The kubeconfig and its context that all this is from; empty: the pod's own service account, or
  // made by hand.
  std::string kubeconfig;
  std::string context;
  bool in_cluster = false;

  // The same as the files say now; as it is where they cannot be read.
  [[nodiscard]] ApiAccess Fresh() const;
  // "Authorization: Bearer …", or nothing where a certificate speaks for us.
  [[nodiscard]] Result<std::vector<std::string>> Headers() const;
};

// From the service account that Kubernetes mounts into a pod.
Result<ApiAccess> InClusterAccess();
// From a kubeconfig file, by its current context or the one named. Exec and auth-provider plugins
// are refused by name.
Result<ApiAccess> LoadKubeconfig(const std::string& path, std::string_view context = {});

}  // namespace sobre
