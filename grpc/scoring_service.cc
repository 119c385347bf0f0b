#include "grpc/scoring_service.h"

#include <deque>
#include <unordered_set>
#include <vector>

#include "base/text.h"
#include "extender/decision_json.h"
#include "k8s/manifests.h"
#include "k8s/wire_objects.h"
#include "scoring/decide.h"

namespace sobre {
namespace {

// How soon a stream sees that its client is gone, or that we stop.
constexpr Duration kLook = std::chrono::milliseconds(250);
constexpr int kMostCandidates = 20'000;
constexpr std::size_t kMostPods = 20'000;

Result<PodFacts> AskedPod(const v1::ScoreRequest& request) {
  if (request.pod_case() == v1::ScoreRequest::kPodJson) {
    Result<ManifestPod> read = ReadPodManifest(request.pod_json());
    if (!read.ok()) return read.status().WithContext("pod_json");
    return std::move(read->pod);
  }
  if (request.pod_case() != v1::ScoreRequest::kPodProtobuf)
    return Status::Invalid("no pod: set pod_json or pod_protobuf");
  std::optional<PodFacts> pod = PodOf(request.pod_protobuf());
  if (!pod) return Status::Invalid("pod_protobuf: no v1.Pod in Kubernetes' protobuf");
  return *std::move(pod);
}

// Which events a client asked for. Outcomes name a pod alone: where not all are asked for, those
// are told whose decision was.
class Selection {
 public:
  explicit Selection(const v1::WatchDecisionsRequest& request) : request_(request) {}

  bool Takes(const v1::DecisionEvent& event) {
    if (request_.namespace_().empty() && request_.workload().empty()) return true;
    if (event.has_outcome()) return pods_.contains(event.outcome().uid());
    if (!event.has_decision()) return true;
    const v1::DecisionSummary& decision = event.decision();
    if (!request_.namespace_().empty() && request_.namespace_() != decision.namespace_())
      return false;
    if (!request_.workload().empty() && request_.workload() != decision.workload()) return false;
    if (pods_.insert(decision.uid()).second) {
      order_.push_back(decision.uid());
      if (order_.size() > kMostPods) {
        pods_.erase(order_.front());
        order_.pop_front();
      }
    }
    return true;
  }

 private:
  const v1::WatchDecisionsRequest& request_;
  std::unordered_set<std::string> pods_;
  std::deque<std::string> order_;  // the oldest first
};

}  // namespace

grpc::Status ScoringService::MaySee(const grpc::ServerContext& context,
                                    const std::string& namespace_name) const {
  if (options_.clients_have_certificates && context.auth_context()->IsPeerAuthenticated())
    return grpc::Status::OK;
  if (options_.access == nullptr) {
    if (!options_.clients_have_certificates) return grpc::Status::OK;
    return {grpc::StatusCode::UNAUTHENTICATED,
            "a client's certificate is needed, signed by grpc.tls.client_ca_file"};
  }
  const auto header = context.client_metadata().find("authorization");
  const Access::Verdict verdict =
      options_.access->MaySee(header == context.client_metadata().end()
                                  ? std::nullopt
                                  : BearerToken({header->second.data(), header->second.size()}),
                              namespace_name, Now());
  switch (verdict.status) {
    case 200:
      return grpc::Status::OK;
    case 401:
      return {grpc::StatusCode::UNAUTHENTICATED, verdict.why};
    case 403:
      return {grpc::StatusCode::PERMISSION_DENIED, verdict.why};
    default:
      return {grpc::StatusCode::UNAVAILABLE, verdict.why};
  }
}

grpc::Status ScoringService::Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                                   v1::Decision* response) {
  Result<PodFacts> pod = AskedPod(*request);
  if (!pod.ok()) return {grpc::StatusCode::INVALID_ARGUMENT, pod.status().message()};
  if (grpc::Status status = MaySee(*context, pod->namespace_name); !status.ok()) return status;
  const auto state = world_.Read();
  if (!state->ready)
    return {grpc::StatusCode::UNAVAILABLE, "not ready: " + state->not_ready_reason};
  if (request->candidates_size() > kMostCandidates) {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            "candidates: expected " + std::to_string(kMostCandidates) + " names at most"};
  }
  const Snapshot& snapshot = *state->snapshot;
  std::vector<std::int32_t> nodes;
  for (const std::string& name : request->candidates()) nodes.push_back(snapshot.Find(name));
  if (request->candidates().empty()) {
    for (std::size_t i = 0; i < snapshot.nodes().size(); ++i)
      nodes.push_back(static_cast<std::int32_t>(i));
  }
  const auto in_namespace = state->namespaces.find(pod->namespace_name);
  const DecisionRequest made =
      MakeRequest(*std::move(pod), in_namespace == state->namespaces.end() ? state->cluster_policy
                                                                           : in_namespace->second);
  Decision decision;
  Decide(made, snapshot, nodes, decision);
  const std::size_t most = request->most_candidates() == 0 ? SIZE_MAX : request->most_candidates();
  FillDecision(made, decision, snapshot, most, *response);
  return grpc::Status::OK;
}

grpc::Status ScoringService::WatchDecisions(grpc::ServerContext* context,
                                            const v1::WatchDecisionsRequest* request,
                                            grpc::ServerWriter<v1::DecisionEvent>* writer) {
  if (grpc::Status status = MaySee(*context, request->namespace_()); !status.ok()) return status;
  if (!feed_.HasSources()) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            "no decisions to follow: set grpc.decisions to the services' status ports"};
  }
  struct Place {
    std::atomic<std::int64_t>& taken;
    ~Place() { --taken; }
  } const place{streams_};
  if (++streams_ > options_.max_streams) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "all " + std::to_string(options_.max_streams) +
                                                      " streams are taken (grpc.max_streams)"};
  }
  Selection selection(*request);
  std::uint64_t position = feed_.Begin(request->with_recent());
  // The client knows from here on that nothing is missed.
  writer->SendInitialMetadata();
  while (!stop_ && !context->IsCancelled()) {
    // A right that is taken away ends the stream, within what an answer of the API server holds.
    if (grpc::Status status = MaySee(*context, request->namespace_()); !status.ok()) return status;
    const auto news = feed_.Next(position, kLook);
    if (!news) {
      return {grpc::StatusCode::RESOURCE_EXHAUSTED,
              "read too slowly: decisions were lost; begin again"};
    }
    for (const v1::DecisionEvent& event : *news) {
      if (selection.Takes(event) && !writer->Write(event))
        return {grpc::StatusCode::CANCELLED, "the client is gone"};
    }
  }
  if (stop_) return {grpc::StatusCode::UNAVAILABLE, "stopping"};
  return {grpc::StatusCode::CANCELLED, "the client is gone"};
}

}  // namespace sobre
