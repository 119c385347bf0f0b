#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "net/http_client.h"
#include "net/server_tls.h"
#include "signals/collector.h"

namespace sobre {

// Until when one of the certificates holds that Sobre shows, or trusts.
struct CertificateInUse {
  // "kubernetes_client", "kubernetes_ca", "prometheus_client", "prometheus_ca", "extender_server",
  // "extender_client_ca".
  std::string use;
  std::string server;  // of Prometheus; else empty
  Timestamp expiry;
};

// Of `kubernetes` as it was read when Sobre started, which is what is in use; of the Prometheus
// servers as the files are now, since every round reads them again; of the extender port, where it
// speaks TLS, what new connections get. A certificate that is shown counts with its chain, of
// authorities the last to expire. A file that cannot be read is left out here: its server's problem
// says so.
std::vector<CertificateInUse> CertificatesInUse(const std::optional<TlsOptions>& kubernetes,
                                                const std::vector<ServerPlan>& servers,
                                                const ServerTls* extender);

}  // namespace sobre
