#include "extender/certificates.h"

#include "base/file.h"
#include "net/certificates.h"

namespace sobre {
namespace {

void Add(const std::string& of, const std::string& server, const std::string& certificate_pem,
         const std::string& ca_pem, std::vector<CertificateInUse>& out) {
  if (const auto client = ExpiryOf(certificate_pem))
    out.push_back({of + "_client", server, client->first});
  if (const auto ca = ExpiryOf(ca_pem)) out.push_back({of + "_ca", server, ca->last});
}

std::string TextOf(const std::string& file) {
  if (file.empty()) return {};
  Result<std::string> text = ReadFile(file);
  return text.ok() ? *std::move(text) : std::string();
}

}  // namespace

std::vector<CertificateInUse> CertificatesInUse(const std::optional<TlsOptions>& kubernetes,
                                                const std::vector<ServerPlan>& servers,
                                                const ServerTls* extender) {
  std::vector<CertificateInUse> found;
  if (kubernetes) Add("kubernetes", "", kubernetes->certificate_pem, kubernetes->ca_pem, found);
  for (const ServerPlan& plan : servers) {
    Add("prometheus", plan.server.name, TextOf(plan.server.certificate_file),
        TextOf(plan.server.ca_file), found);
  }
  const auto own = extender == nullptr ? nullptr : extender->context();
  if (own == nullptr) return found;
  found.push_back({"extender_server", "", own->certificate.first});
  if (own->client_ca) found.push_back({"extender_client_ca", "", own->client_ca->last});
  return found;
}

}  // namespace sobre
