#include "net/http_client.h"

#include <algorithm>
#include <cerrno>
#include <mutex>

#include <curl/curl.h>
#include <openssl/evp.h>

namespace sobre {
namespace {

void InitializeOnce() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

// What the callbacks of one call share.
struct Exchange {
  CURL* handle;
  const HttpClient::Take* take = nullptr;  // nothing: the body is kept
  const std::atomic<bool>* stop = nullptr;
  std::size_t max_bytes = 0;
  HttpReply reply;
  bool too_large = false;
  bool taker_done = false;
};

std::size_t OnBody(char* data, std::size_t size, std::size_t count, void* opaque) {
  auto& exchange = *static_cast<Exchange*>(opaque);
  const std::string_view bytes(data, size * count);
  if (exchange.reply.status == 0) {
    curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &exchange.reply.status);
  }
  if (exchange.take != nullptr && exchange.reply.status == 200) {
    if ((*exchange.take)(bytes)) return bytes.size();
    exchange.taker_done = true;
    return 0;
  }
  if (exchange.reply.body.size() + bytes.size() > exchange.max_bytes) {
    exchange.too_large = true;
    return 0;
  }
  exchange.reply.body += bytes;
  return bytes.size();
}

void Hide(std::string_view secret, std::string& text) {
  if (secret.empty()) return;
  constexpr std::string_view kInstead = "[secret]";
  for (std::size_t at = text.find(secret); at != std::string::npos;
       at = text.find(secret, at + kInstead.size()))
    text.replace(at, secret.size(), kInstead);
}

// What a server says of a request that it refuses goes on to logs and pages.
void HideSecrets(const HttpCall& call, std::string& body) {
  constexpr std::string_view kBearer = "Authorization: Bearer ";
  constexpr std::size_t kShortestSecret = 6;
  for (const std::string_view header : call.headers) {
    if (header.starts_with(kBearer)) Hide(header.substr(kBearer.size()), body);
    const std::size_t colon = header.find(": ");
    const std::string_view name = header.substr(0, colon);
    if (colon == std::string_view::npos || name == "Content-Type" || name == "Accept") continue;
    const std::string_view value = header.substr(colon + 2);
    if (value.size() >= kShortestSecret) Hide(value, body);
  }
  if (call.password.empty()) return;
  Hide(call.password, body);
  const std::string pair = call.username + ":" + call.password;
  std::string base64(4 * (pair.size() / 3 + 1) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(base64.data()),
                                   reinterpret_cast<const unsigned char*>(pair.data()),
                                   static_cast<int>(pair.size()));
  base64.resize(static_cast<std::size_t>(size));
  Hide(base64, body);
}

// Whoever is named there, with a password perhaps, is not for the log.
std::string WithoutUser(std::string url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const std::size_t host = scheme + 3;
  const std::size_t at = url.rfind('@', url.find_first_of("/?#", host));
  if (at != std::string::npos && at >= host) url.erase(host, at + 1 - host);
  return url;
}

int OnProgress(void* opaque, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& exchange = *static_cast<const Exchange*>(opaque);
  return exchange.stop != nullptr && *exchange.stop ? 1 : 0;
}

void SetBlob(CURL* handle, CURLoption option, const std::string& pem) {
  if (pem.empty()) return;
  curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_COPY};
  curl_easy_setopt(handle, option, &blob);
}

}  // namespace

struct HttpClient::Impl {
  TlsOptions tls;
  CURL* handle = nullptr;
  char error[CURL_ERROR_SIZE] = "";

  // Options that every call shares; the handle keeps its connections over a reset.
  void Prepare(const HttpCall& call, curl_slist* headers, Exchange& exchange) {
    curl_easy_reset(handle);
    error[0] = 0;
    const auto set = [this](CURLoption option, auto value) {
      curl_easy_setopt(handle, option, value);
    };
    set(CURLOPT_ERRORBUFFER, static_cast<char*>(error));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_URL, call.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTPHEADER, headers);
    set(CURLOPT_ACCEPT_ENCODING, "");
    set(CURLOPT_USERAGENT, "sobre");
    if (!call.username.empty()) {
      set(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
      set(CURLOPT_USERNAME, call.username.c_str());
      set(CURLOPT_PASSWORD, call.password.c_str());
    }
    if (call.method != "GET") set(CURLOPT_CUSTOMREQUEST, call.method.c_str());
    if (!call.body.empty()) {
      set(CURLOPT_POSTFIELDS, call.body.data());
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    }
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(call.connect_timeout.count()));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(call.timeout.count()));
    set(CURLOPT_WRITEFUNCTION, &OnBody);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&exchange));
    SetBlob(handle, CURLOPT_CAINFO_BLOB, tls.ca_pem);
    SetBlob(handle, CURLOPT_SSLCERT_BLOB, tls.certificate_pem);
    SetBlob(handle, CURLOPT_SSLKEY_BLOB, tls.key_pem);
    if (tls.insecure_skip_verify) {
      set(CURLOPT_SSL_VERIFYPEER, 0L);
      set(CURLOPT_SSL_VERIFYHOST, 0L);
    }
  }

  Result<HttpReply> Run(const HttpCall& call, Exchange& exchange,
                        const std::function<void()>& more_options) {
    curl_slist* headers = nullptr;
    // curl asks for leave to send a large body otherwise, and waits a second for it.
    headers = curl_slist_append(headers, "Expect:");
    for (const std::string& header : call.headers)
      headers = curl_slist_append(headers, header.c_str());
    Prepare(call, headers, exchange);
    if (more_options) more_options();
    const CURLcode code = curl_easy_perform(handle);
    curl_slist_free_all(headers);
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &exchange.reply.status);
    curl_off_t retry_seconds = 0;
    curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &retry_seconds);
    constexpr curl_off_t kMostSeconds = 86'400;
    exchange.reply.retry_after =
        std::chrono::seconds(std::clamp<curl_off_t>(retry_seconds, 0, kMostSeconds));
    const std::string url = WithoutUser(call.url);
    if (exchange.too_large) {
      return Status::TooLarge(url + ": the answer is larger than " +
                              std::to_string(call.max_response_bytes) + " bytes");
    }
    if (exchange.reply.status >= 400) HideSecrets(call, exchange.reply.body);
    if (code == CURLE_OK || exchange.taker_done || (exchange.stop != nullptr && *exchange.stop)) {
      return std::move(exchange.reply);
    }
    std::string why = error[0] != 0 ? error : curl_easy_strerror(code);
    long system_error = 0;
    curl_easy_getinfo(handle, CURLINFO_OS_ERRNO, &system_error);
    // curl says of it as of any other failure that it could not connect.
    if (code == CURLE_COULDNT_CONNECT && system_error == ECONNREFUSED)
      why += ": connection refused";
    const std::string message = url + ": " + why;
    return code == CURLE_OPERATION_TIMEDOUT ? Status::Timeout(message)
                                            : Status::Unavailable(message);
  }
};

HttpClient::HttpClient() : HttpClient(TlsOptions{}) {}

HttpClient::HttpClient(TlsOptions tls) : impl_(std::make_unique<Impl>()) {
  InitializeOnce();
  impl_->tls = std::move(tls);
  impl_->handle = curl_easy_init();
}

HttpClient::~HttpClient() { curl_easy_cleanup(impl_->handle); }

Result<HttpReply> HttpClient::Fetch(const HttpCall& call) {
  Exchange exchange{impl_->handle, nullptr, nullptr, call.max_response_bytes, {}, false, false};
  return impl_->Run(call, exchange, nullptr);
}

Result<HttpReply> HttpClient::Stream(const HttpCall& call, Duration idle_timeout,
                                     const std::atomic<bool>& stop, const Take& take) {
  Exchange exchange{impl_->handle, &take, &stop, call.max_response_bytes, {}, false, false};
  return impl_->Run(call, exchange, [&] {
    CURL* handle = impl_->handle;
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &OnProgress);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, static_cast<void*>(&exchange));
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                     static_cast<long>(std::max<std::int64_t>(1, idle_timeout.count() / 1000)));
  });
}

}  // namespace sobre
