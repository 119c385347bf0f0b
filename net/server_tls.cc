#include "net/server_tls.h"

#include <algorithm>
#include <utility>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/background.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

namespace sobre {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;

Bio TextOf(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// What OpenSSL says went wrong, in brackets; empties its queue.
std::string Why() {
  const unsigned long error = ERR_peek_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  return reason == nullptr ? std::string() : " (" + std::string(reason) + ")";
}

// All of the text, or an error where there is none or one is damaged.
Result<std::vector<Certificate>> ReadCertificates(const std::string& text) {
  const Bio bio = TextOf(text);
  std::vector<Certificate> found;
  ERR_clear_error();
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    found.emplace_back(next);
  const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!ended) return Status::Invalid("a certificate in it cannot be read" + Why());
  ERR_clear_error();
  if (found.empty())
    return Status::Invalid("holds no certificate; PEM is expected, -----BEGIN CERTIFICATE-----");
  return found;
}

Key ReadKey(const std::string& text) {
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  ERR_clear_error();
  return Key(PEM_read_bio_PrivateKey(TextOf(text).get(), nullptr, no_passphrase, nullptr));
}

std::string_view TextOf(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

bool IsOneOf(const std::vector<std::string>& names, std::string_view name, bool any_case) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& accepted) {
    return any_case ? EqualsIgnoreCase(accepted, name) : accepted == name;
  });
}

// Calls `take(name, is_dns)` for each DNS name, then for each common name.
template <class Take>
void ForEachName(const X509* certificate, const Take& take) {
  const std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>> alternatives(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_DNS) take(TextOf(name->d.dNSName), true);
  }
  const X509_NAME* const subject = X509_get_subject_name(certificate);
  for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;)
    take(TextOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i))), false);
}

bool HasOneOf(const std::vector<std::string>& names, const X509* certificate) {
  bool found = false;
  ForEachName(certificate,
              [&](std::string_view name, bool is_dns) { found |= IsOneOf(names, name, is_dns); });
  return found;
}

// Once the chain holds, the names.
int VerifyClient(X509_STORE_CTX* chain, void* opaque) {
  if (X509_verify_cert(chain) != 1) return 0;
  const auto& names = *static_cast<const std::vector<std::string>*>(opaque);
  const X509* const certificate = X509_STORE_CTX_get0_cert(chain);
  if (names.empty() || HasOneOf(names, certificate)) return 1;
  const auto* const ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  if (auto* const shown = static_cast<std::string*>(SSL_get_app_data(ssl)); shown != nullptr) {
    ForEachName(certificate, [shown](std::string_view name, bool) {
      *shown += (shown->empty() ? "'" : ", '") + Printable(name) + "'";
    });
  }
  X509_STORE_CTX_set_error(chain, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

int SelectProtocol(SSL*, const unsigned char** out, unsigned char* length,
                   const unsigned char* offered, unsigned int offered_length, void*) {
  static constexpr std::string_view kHttp = "\x08http/1.1";
  unsigned char* selected = nullptr;
  const int result =
      SSL_select_next_proto(&selected, length, reinterpret_cast<const unsigned char*>(kHttp.data()),
                            static_cast<unsigned int>(kHttp.size()), offered, offered_length);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

std::shared_ptr<SSL_CTX> NewContext() {
  std::shared_ptr<SSL_CTX> made(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX* const ssl = made.get();
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20");
  // Connections are kept, so that resuming a session would save little; and each is verified by
  // the files as they are.
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_num_tickets(ssl, 0);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(ssl, SelectProtocol, nullptr);
  return made;
}

}  // namespace

std::string_view ToString(TlsRefusal refusal) {
  switch (refusal) {
    case TlsRefusal::kNoCertificate:
      return "no_certificate";
    case TlsRefusal::kUntrusted:
      return "untrusted";
    case TlsRefusal::kName:
      return "name";
    case TlsRefusal::kTimeout:
      return "timeout";
    default:
      return "handshake";
  }
}

TlsRefusal RefusalOf(long verify_result) {
  return verify_result == X509_V_ERR_APPLICATION_VERIFICATION ? TlsRefusal::kName
                                                              : TlsRefusal::kUntrusted;
}

std::string WhyClientRefused(long verify_result, std::string_view names) {
  if (RefusalOf(verify_result) == TlsRefusal::kName)
    return "the client's certificate has none of the names in client_names; it is for " +
           Printable(names, 300);
  return "the client's certificate was refused: " +
         std::string(X509_verify_cert_error_string(verify_result));
}

ServerTls::ServerTls(Options options) : options_(std::move(options)) {}

ServerTls::~ServerTls() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    wake_.NotifyAll();
  }
  if (follower_.joinable()) follower_.join();
}

Status ServerTls::Start() {
  Texts texts = ReadTexts();
  Result<std::shared_ptr<const TlsContext>> made = Make(texts);
  if (!made.ok()) return made.status();
  {
    const MutexLock lock(mutex_);
    context_ = *std::move(made);
  }
  follower_ = std::thread([this, texts = std::move(texts)]() mutable { Follow(std::move(texts)); });
  return Status::Ok();
}

std::shared_ptr<const TlsContext> ServerTls::context() const {
  const MutexLock lock(mutex_);
  return context_;
}

ServerTls::Reloads ServerTls::reloads() const {
  const MutexLock lock(mutex_);
  return reloads_;
}

ServerTls::Texts ServerTls::ReadTexts() const {
  const auto text_of = [](const std::string& file) -> std::optional<std::string> {
    if (file.empty()) return std::string();
    Result<std::string> text = ReadFile(file);
    return text.ok() ? std::optional(*std::move(text)) : std::nullopt;
  };
  return {text_of(options_.certificate_file), text_of(options_.key_file),
          text_of(options_.client_ca_file)};
}

Result<std::shared_ptr<const TlsContext>> ServerTls::Make(const Texts& texts) const {
  const std::array<std::string, 3> names = {"certificate_file " + options_.certificate_file,
                                            "key_file " + options_.key_file,
                                            "client_ca_file " + options_.client_ca_file};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!texts[i]) {
      return Status::NotFound(names[i] +
                              ": cannot be read; is it mounted there, and readable for this user?");
    }
  }
  auto made = std::make_shared<TlsContext>();
  made->refusals = refusals_;
  made->ssl = NewContext();
  SSL_CTX* const ssl = made->ssl.get();

  Result<std::vector<Certificate>> chain = ReadCertificates(*texts[0]);
  if (!chain.ok()) return chain.status().WithContext(names[0]);
  for (std::size_t i = 0; i < chain->size(); ++i) {
    X509* const certificate = (*chain)[i].get();
    const long used = i == 0 ? SSL_CTX_use_certificate(ssl, certificate)
                             : SSL_CTX_add1_chain_cert(ssl, certificate);
    if (used != 1) return Status::Invalid(names[0] + ": OpenSSL does not accept it" + Why());
  }
  const Key key = ReadKey(*texts[1]);
  if (key == nullptr) {
    return Status::Invalid(
        names[1] + ": holds no private key that can be read; PEM without a passphrase is expected" +
        Why());
  }
  if (X509_check_private_key(chain->front().get(), key.get()) != 1) {
    ERR_clear_error();
    return Status::Invalid(names[1] + ": is not the key of the first certificate in " +
                           options_.certificate_file +
                           "; both must be issued together, the server's own certificate first");
  }
  if (SSL_CTX_use_PrivateKey(ssl, key.get()) != 1)
    return Status::Invalid(names[1] + ": OpenSSL does not accept it" + Why());
  made->certificate = *ExpiryOf(*texts[0]);
  if (options_.client_ca_file.empty()) return std::shared_ptr<const TlsContext>(std::move(made));

  const Result<std::vector<Certificate>> authorities = ReadCertificates(*texts[2]);
  if (!authorities.ok()) return authorities.status().WithContext(names[2]);
  X509_STORE* const trusted = SSL_CTX_get_cert_store(ssl);
  // As in Kubernetes' components, an authority need not be a root.
  X509_STORE_set_flags(trusted, X509_V_FLAG_PARTIAL_CHAIN);
  for (const Certificate& authority : *authorities) {
    if (X509_STORE_add_cert(trusted, authority.get()) != 1 ||
        SSL_CTX_add_client_CA(ssl, authority.get()) != 1)
      return Status::Invalid(names[2] + ": OpenSSL does not accept it" + Why());
  }
  made->client_ca = ExpiryOf(*texts[2]);
  made->client_names = options_.client_names;
  SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(ssl, VerifyClient, &made->client_names);
  return std::shared_ptr<const TlsContext>(std::move(made));
}

void ServerTls::Follow(Texts judged) {
  NameThread("certificates");
  Texts last = judged;
  MutexLock lock(mutex_);
  while (!wake_.WaitFor(lock, options_.check, [this]() SOBRE_REQUIRES(mutex_) { return stop_; })) {
    lock.Unlock();
    Texts now = ReadTexts();
    if (now != judged && now == last) {
      Take(now);
      judged = now;
    }
    last = std::move(now);
    lock.Lock();
  }
}

void ServerTls::Take(const Texts& texts) {
  Result<std::shared_ptr<const TlsContext>> made = Make(texts);
  if (made.ok()) {
    Log(LogLevel::kInfo, "the changed certificates are in use for new connections",
        {{"file", options_.certificate_file}, {"until", FormatTime((*made)->certificate.first)}});
  } else {
    Log(LogLevel::kWarning, "the changed certificates cannot be used; those before still are",
        {{"error", made.status().message()}});
  }
  const MutexLock lock(mutex_);
  ++(made.ok() ? reloads_.done : reloads_.failed);
  if (made.ok()) context_ = *std::move(made);
}

}  // namespace sobre
