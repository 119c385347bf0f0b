#include "extender/service.h"

#include <chrono>

#include "base/json_writer.h"
#include "base/text.h"
#include "k8s/json_objects.h"
#include "scoring/explain.h"

namespace sobre {
namespace {

// Buffers of one thread, reused from request to request.
struct Scratch {
  ExtenderArgs args;
  std::vector<std::int32_t> nodes;
  std::vector<char> seen;
  Decision decision;
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

void WriteFilterResult(const ExtenderArgs& args, std::string& out) {
  if (args.whole_nodes) {
    out += R"({"Nodes":{"metadata":{},"items":[)";
    for (std::size_t i = 0; i < args.node_texts.size(); ++i) {
      if (i > 0) out += ',';
      out += args.node_texts[i];
    }
    out += R"(]},"NodeNames":null)";
  } else {
    out += R"({"Nodes":null,"NodeNames":[)";
    for (std::size_t i = 0; i < args.names.size(); ++i) {
      if (i > 0) out += ',';
      AppendJsonString(out, args.names[i]);
    }
    out += ']';
  }
  out += R"(,"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":""})";
}

void WriteHostPriorities(const ExtenderArgs& args, const Decision& decision, std::string& out) {
  out += '[';
  for (std::size_t i = 0; i < args.names.size(); ++i) {
    out += i > 0 ? R"(,{"Host":)" : R"({"Host":)";
    AppendJsonString(out, args.names[i]);
    out += R"(,"Score":)";
    out += std::to_string(decision.candidates[i].score);
    out += '}';
  }
  out += ']';
}

}  // namespace

void ExtenderService::Answer(Verb verb, const HttpRequest& request, HttpResponse& response) {
  const auto start = std::chrono::steady_clock::now();
  const Status status = Handle(verb, request.body, response.body);
  if (!status.ok()) response.Fail(400, status.message());
  metrics_.CountRequest(verb, status.ok(), std::chrono::steady_clock::now() - start);
}

Status ExtenderService::Handle(Verb verb, std::string_view body, std::string& out) {
  thread_local Scratch scratch;
  ExtenderArgs& args = scratch.args;
  if (Status status = ParseExtenderArgs(body, args); !status.ok()) return status;
  const auto state = world_.Read();
  const Snapshot* snapshot = state->snapshot.get();
  if (Status status = Resolve(*snapshot, args.names, scratch); !status.ok()) return status;
  if (verb == Verb::kFilter) {
    out.reserve(body.size());
    WriteFilterResult(args, out);
    return Status::Ok();
  }
  std::shared_ptr<const Snapshot> extended;
  const bool strangers = std::find(scratch.nodes.begin(), scratch.nodes.end(),
                                   Snapshot::kUnknownNode) != scratch.nodes.end();
  if (args.whole_nodes && strangers) {
    // The next parse reuses the parser that the names point into.
    std::vector<std::string> names(args.names.begin(), args.names.end());
    extended = WithNodesOf(args, scratch.nodes, *state);
    snapshot = extended.get();
    for (std::size_t i = 0; i < names.size(); ++i) scratch.nodes[i] = snapshot->Find(names[i]);
    for (std::size_t i = 0; i < names.size(); ++i) {
      // Names of nodes that exist are the snapshot's; a broken one keeps its place with score 0.
      args.names[i] =
          scratch.nodes[i] == Snapshot::kUnknownNode
              ? std::string_view()
              : std::string_view(
                    snapshot->nodes()[static_cast<std::size_t>(scratch.nodes[i])].facts->name);
    }
  }
  const auto in_namespace = state->namespaces.find(args.pod.namespace_name);
  static const Annotations kNone;
  const DecisionRequest request =
      MakeRequest(std::move(args.pod), policy_,
                  in_namespace == state->namespaces.end() ? kNone : in_namespace->second);
  Decision& decision = scratch.decision;
  Decide(request, *snapshot, scratch.nodes, decision);
  out.reserve(args.names.size() * 48);
  WriteHostPriorities(args, decision, out);
  metrics_.CountDecision(args.names.size(), decision.ranked_by.has_value());
  DecisionSummary summary;
  summary.time = decision.time;
  summary.pod = request.pod.namespace_name + "/" + request.pod.name;
  summary.uid = request.pod.uid;
  summary.verb = ToString(verb);
  summary.candidates = static_cast<std::int64_t>(args.names.size());
  if (decision.best) {
    const Candidate& best = decision.candidates[*decision.best];
    summary.best = DescribeCandidate(best, decision, *snapshot);
    summary.reason = Reason(best, decision, *snapshot);
  }
  recent_.Offer(std::move(summary));
  return Status::Ok();
}

}  // namespace sobre
