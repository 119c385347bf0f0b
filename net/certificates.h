#pragma once

#include <optional>
#include <string_view>

#include "base/time.h"

namespace sobre {

// When the certificates of a PEM text end.
struct CertificateExpiry {
  Timestamp first;  // of the first that ends: one of a chain breaks it
  Timestamp last;   // of the last: authorities that overlap while they rotate
};
// Nothing where the text holds no certificate; what else it holds is passed over.
std::optional<CertificateExpiry> ExpiryOf(std::string_view pem);

}  // namespace sobre
