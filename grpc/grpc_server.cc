#include "grpc/grpc_server.h"

#include <chrono>

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "base/text.h"
#include "extender/serve.h"

namespace sobre {
namespace {

// Each call has a thread while it lasts, each stream for long.
constexpr int kThreadsBesideStreams = 16;
constexpr int kKeepaliveMs = 30'000;
constexpr std::size_t kMostMemory = 1U << 30;

bool IsLoopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("localhost:") ||
         address.starts_with("[::1]:");
}

// The files are read again as they change.
std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const ServerTls::Options& tls) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(tls.check).count();
  const auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      tls.key_file, tls.certificate_file, tls.client_ca_file,
      static_cast<unsigned int>(std::max<std::int64_t>(seconds, 1)));
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (tls.client_ca_file.empty()) {
    options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  } else {
    options.watch_root_certs();
    // The autoscaler has no certificate to show: who shows one is verified, and the services say
    // whom they answer.
    options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace

GrpcServer::GrpcServer(const World& world, const Config& config)
    : config_(config.grpc),
      access_(OpenAccess(config)),
      feed_(config_.decisions, config_.decisions_token_file),
      expander_(world, config.Origins()),
      scoring_(world, feed_,
               {config_.tls && !config_.tls->client_ca_file.empty(), access_.get(),
                config_.max_streams}) {}

GrpcServer::~GrpcServer() { Stop(Duration(0)); }

Status GrpcServer::Start() {
  // gRPC would take another port than what is meant.
  const std::size_t colon = config_.listen.rfind(':');
  const auto port = colon == std::string::npos || colon == 0
                        ? std::nullopt
                        : ParseInteger(config_.listen.substr(colon + 1));
  if (!port || *port < 0 || *port > 65535) {
    return Status::Invalid("grpc.listen: '" + Printable(config_.listen) +
                           "': expected HOST:PORT, such as 0.0.0.0:8092");
  }
  if (!config_.decisions_token_file.empty() && access_ == nullptr &&
      (!config_.tls || config_.tls->client_ca_file.empty())) {
    return Status::Invalid(
        "grpc.decisions_token_file: whoever reaches this port would be told what the owner of that "
        "token may see; set listen.status_access: token, so that callers send their own token, or "
        "grpc.tls.client_ca_file, so that they show a certificate");
  }
  std::shared_ptr<grpc::ServerCredentials> credentials;
  if (config_.tls) {
    // Says what is wrong with a file, which gRPC does not.
    ServerTls files(*config_.tls);
    if (Status status = files.Start(); !status.ok()) return status.WithContext("grpc.tls");
    credentials = CredentialsOf(*config_.tls);
  } else if (IsLoopback(config_.listen)) {
    credentials = grpc::InsecureServerCredentials();
  } else {
    return Status::Invalid("grpc.listen: " + config_.listen +
                           " needs grpc.tls; without it only a loopback address is served");
  }
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(config_.listen, credentials, &port_);
  builder.SetMaxReceiveMessageSize(static_cast<int>(config_.max_message_megabytes << 20));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 100);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  grpc::ResourceQuota quota("sobre-grpc");
  quota.SetMaxThreads(static_cast<int>(config_.max_streams) + kThreadsBesideStreams);
  quota.Resize(kMostMemory);
  builder.SetResourceQuota(quota);
  builder.RegisterService(&expander_);
  builder.RegisterService(&scoring_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port_ == 0)
    return Status::Invalid("grpc.listen: cannot listen on " + config_.listen);
  SetServing(false);
  return Status::Ok();
}

void GrpcServer::SetServing(bool serving) {
  if (server_ != nullptr) server_->GetHealthCheckService()->SetServingStatus(serving);
}

void GrpcServer::Stop(Duration grace) {
  if (server_ == nullptr) return;
  SetServing(false);
  scoring_.Stop();
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
  server_.reset();
}

}  // namespace sobre
