#include "k8s/api_client.h"

#include <simdjson.h>

#include "base/text.h"

namespace sobre {

Result<HttpReply> ApiClient::Call(std::string_view method, std::string_view path, std::string body,
                                  std::string_view content_type) {
  Result<std::vector<std::string>> headers = access_.Headers();
  if (!headers.ok()) return headers.status();
  HttpCall call;
  call.method = method;
  call.url = access_.server + std::string(path);
  call.headers = *std::move(headers);
  call.headers.emplace_back("Accept: application/json");
  if (!body.empty()) call.headers.push_back("Content-Type: " + std::string(content_type));
  call.body = std::move(body);
  Result<HttpReply> reply = client_->Fetch(call);
  constexpr long kUnknownToIt = 401;
  if (!reply.ok() || reply->status == kUnknownToIt) {
    access_ = access_.Fresh();
    client_ = std::make_unique<HttpClient>(access_.tls);
  }
  return reply;
}

std::string Complaint(const HttpReply& reply) {
  simdjson::dom::parser parser;
  std::string_view message;
  if (parser.parse(reply.body)["message"].get(message) != simdjson::SUCCESS) message = reply.body;
  return "status " + std::to_string(reply.status) + ": " + Printable(message, 300);
}

}  // namespace sobre
