#include "net/certificates.h"

#include <algorithm>
#include <ctime>
#include <memory>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace sobre {

std::optional<CertificateExpiry> ExpiryOf(std::string_view pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  std::optional<CertificateExpiry> found;
  while (true) {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr), X509_free);
    if (!certificate) break;
    std::tm end{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1) continue;
    const Timestamp at{std::chrono::seconds(timegm(&end))};
    if (!found) found = {at, at};
    found->first = std::min(found->first, at);
    found->last = std::max(found->last, at);
  }
  // The end of the text is told as an error.
  ERR_clear_error();
  return found;
}

}  // namespace sobre
