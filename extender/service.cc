#include "extender/service.h"

#include <chrono>
#include <cstring>

#include "base/json_writer.h"
#include "base/text.h"
#include "k8s/json_objects.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

// Buffers of one thread, reused from request to request.
struct Scratch {
  ExtenderArgs args;
  std::vector<std::int32_t> nodes;
  std::vector<char> seen;
};

// Every name's index in the snapshot; an error if one comes twice.
Status Resolve(const Snapshot& snapshot, const std::vector<std::string_view>& names,
               Scratch& scratch) {
  scratch.nodes.clear();
  scratch.seen.assign(snapshot.nodes().size(), 0);
  std::vector<std::string_view> strangers;
  for (const std::string_view name : names) {
    const std::int32_t index = snapshot.Find(name);
    scratch.nodes.push_back(index);
    bool twice = false;
    if (index == Snapshot::kUnknownNode) {
      strangers.push_back(name);
    } else {
      twice = std::exchange(scratch.seen[static_cast<std::size_t>(index)], 1) != 0;
    }
    if (twice) return Status::Invalid("node '" + Printable(name, 63) + "' is in the request twice");
  }
  std::sort(strangers.begin(), strangers.end());
  const auto twice = std::adjacent_find(strangers.begin(), strangers.end());
  if (twice != strangers.end())
    return Status::Invalid("node '" + Printable(*twice, 63) + "' is in the request twice");
  return Status::Ok();
}

// A snapshot that also knows the nodes which this request brought along.
std::shared_ptr<const Snapshot> WithNodesOf(const ExtenderArgs& args,
                                            const std::vector<std::int32_t>& nodes,
                                            const WorldState& state) {
  SnapshotInput input = state.input;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i] != Snapshot::kUnknownNode) continue;
    Result<NodeFacts> node = ParseNode(Padded(args.node_texts[i]));
    if (node.ok()) input.nodes.push_back(std::make_shared<const NodeFacts>(*std::move(node)));
  }
  return Snapshot::Build(std::move(input));
}

// Nodes without a refusal pass, in the form in which they came.
void WriteFilterResult(const ExtenderArgs& args,
                       const std::vector<std::optional<Refusal>>& refusals, std::string& out) {
  const auto passes = [&](std::size_t i) { return refusals.empty() || !refusals[i]; };
  bool first = true;
  const auto separate = [&] {
    if (!first) out += ',';
    first = false;
  };
  out +=
      args.whole_nodes ? R"({"Nodes":{"metadata":{},"items":[)" : R"({"Nodes":null,"NodeNames":[)";
  for (std::size_t i = 0; i < args.names.size(); ++i) {
    if (!passes(i)) continue;
    separate();
    if (args.whole_nodes) {
      out += args.node_texts[i];
    } else {
      AppendJsonString(out, args.names[i]);
    }
  }
  out += args.whole_nodes ? R"(]},"NodeNames":null)" : "]";
  for (const bool lasting : {false, true}) {
    out += lasting ? R"(,"FailedAndUnresolvableNodes":{)" : R"(,"FailedNodes":{)";
    first = true;
    for (std::size_t i = 0; i < args.names.size(); ++i) {
      if (passes(i) || refusals[i]->lasting != lasting) continue;
      separate();
      AppendJsonString(out, args.names[i]);
      out += ':';
      AppendJsonString(out, refusals[i]->reason);
    }
    out += '}';
  }
  out += R"(,"Error":""})";
}

// An error makes kube-scheduler try again after its backoff; a refusal alone would wait for the
// next event in the cluster.
void WriteFilterError(const std::string& message, std::string& out) {
  out +=
      R"({"Nodes":null,"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":)";
  AppendJsonString(out, message);
  out += '}';
}

// Names stand in the answer as in the request. Neutral: all the same, so that only other scores
// count.
void WriteHostPriorities(const ExtenderArgs& args, const Decision& decision, bool neutral,
                         std::string& out) {
  static_assert(kMaxScore == 10);
  constexpr std::string_view kHost = R"(,{"Host":)";
  constexpr std::string_view kScore = R"(,"Score":)";
  std::size_t size = 2;
  for (const std::string_view name : args.quoted_names)
    size += kHost.size() + name.size() + kScore.size() + 3;
  out.resize(size);
  char* to = out.data();
  const auto put = [&to](std::string_view text) {
    std::memcpy(to, text.data(), text.size());
    to += text.size();
  };
  for (std::size_t i = 0; i < args.quoted_names.size(); ++i) {
    const std::int32_t score = neutral ? 0 : decision.ScoreOf(i);
    put(kHost);
    put(args.quoted_names[i]);
    put(kScore);
    if (score == kMaxScore) *to++ = '1';
    *to++ = static_cast<char>('0' + score % 10);
    *to++ = '}';
  }
  if (to == out.data()) ++to;  // no name, no comma
  out.front() = '[';
  *to++ = ']';
  out.resize(static_cast<std::size_t>(to - out.data()));
}

// Where every node is refused, one that kube-scheduler saw before Sobre did: it may be the one that
// the pod waits for.
std::optional<std::size_t> NewcomerThatDecides(
    const Decision& decision, const std::vector<std::optional<Refusal>>& refusals) {
  std::optional<std::size_t> newcomer;
  for (std::size_t i = 0; i < refusals.size(); ++i) {
    if (!refusals[i]) return std::nullopt;
    if (decision.candidates[i].node == Snapshot::kUnknownNode) newcomer = i;
  }
  return newcomer;
}

}  // namespace

void ExtenderService::Answer(Verb verb, const HttpRequest& request, HttpResponse& response) {
  const auto start = std::chrono::steady_clock::now();
  const Status status = Handle(verb, request.body, response.body);
  if (!status.ok())
    response.Fail(status.code() == ErrorCode::kUnavailable ? 503 : 400, status.message());
  metrics_.CountRequest(verb, status.ok(), std::chrono::steady_clock::now() - start);
}

// What the owner should know shows in `kubectl describe pod`.
void ExtenderService::TellOwner(const DecisionRequest& request) {
  for (const std::string& problem : request.problems) {
    world_.Tell({request.pod.namespace_name, request.pod.name, request.pod.uid, "PolicyProblem",
                 problem, true});
  }
}

Status ExtenderService::Handle(Verb verb, std::string_view body, std::string& out) {
  thread_local Scratch scratch;
  ExtenderArgs& args = scratch.args;
  if (Status status = ParseExtenderArgs(body, args); !status.ok()) return status;
  const auto state = world_.Read();
  const Snapshot* snapshot = state->snapshot.get();
  if (Status status = Resolve(*snapshot, args.names, scratch); !status.ok()) return status;
  const auto in_namespace = state->namespaces.find(args.pod.namespace_name);
  Recorder::Case made = recorder_.Take();
  std::swap(made->request.pod, args.pod);
  SetPolicy(in_namespace == state->namespaces.end() ? state->cluster_policy : in_namespace->second,
            made->request);
  made->verb = ToString(verb);
  made->snapshot = state->snapshot;
  made->refusals.clear();
  made->unknown.clear();
  const DecisionRequest& request = made->request;
  metrics_.CountProblems(request.problems.size());
  if (verb == Verb::kFilter) {
    // Without a cluster's view a limit of its own might be missed.
    if (!state->ready) return Status::Unavailable("not ready: " + state->not_ready_reason);
    if (!request.policy.limits.Any() || request.policy.mode == Mode::kOff) {
      out.reserve(body.size());
      WriteFilterResult(args, {}, out);
      return Status::Ok();
    }
  }
  std::vector<std::string> names;
  const bool strangers = std::find(scratch.nodes.begin(), scratch.nodes.end(),
                                   Snapshot::kUnknownNode) != scratch.nodes.end();
  if (args.whole_nodes && strangers) {
    // The next parse reuses the parser that the names point into.
    names.assign(args.names.begin(), args.names.end());
    made->snapshot = WithNodesOf(args, scratch.nodes, *state);
    for (std::size_t i = 0; i < names.size(); ++i) {
      scratch.nodes[i] = made->snapshot->Find(names[i]);
      args.names[i] = names[i];
    }
  }
  snapshot = made->snapshot.get();
  JudgeKinds(request, *snapshot, scratch.nodes, made->decision);
  const bool neutral = request.policy.mode != Mode::kEnforce;
  if (verb == Verb::kFilter) {
    std::vector<std::optional<Refusal>>& refusals = made->refusals;
    WriteOut(made->decision, made->decision.candidates);
    for (const Candidate& candidate : made->decision.candidates)
      refusals.push_back(CheckLimits(request, made->decision, candidate, *snapshot));
    if (const auto stranger = NewcomerThatDecides(made->decision, refusals); stranger && !neutral) {
      WriteFilterError("node " + Printable(args.names[*stranger], 63) +
                           " is not known to Sobre yet, and no other keeps the limits",
                       out);
      Record(std::move(made), args, scratch.nodes);
      return Status::Ok();
    }
    out.reserve(body.size());
    WriteFilterResult(args, neutral ? std::vector<std::optional<Refusal>>() : refusals, out);
    metrics_.CountRefusals(static_cast<std::size_t>(std::count_if(
        refusals.begin(), refusals.end(), [](const auto& r) { return r.has_value(); })));
  } else {
    WriteHostPriorities(args, made->decision, neutral, out);
    metrics_.CountDecision(args.names.size(), made->decision.ranked_by,
                           made->decision.intensity_basis);
  }
  if (request.policy.mode == Mode::kOff) return Status::Ok();
  if (!request.problems.empty()) TellOwner(request);
  Record(std::move(made), args, scratch.nodes);
  return Status::Ok();
}

void ExtenderService::Record(Recorder::Case made, const ExtenderArgs& args,
                             const std::vector<std::int32_t>& nodes) {
  for (std::size_t i = 0; i < args.names.size(); ++i)
    if (nodes[i] == Snapshot::kUnknownNode) made->unknown.emplace_back(args.names[i]);
  made->answered = Now();
  recorder_.Offer(std::move(made));
}

}  // namespace sobre
