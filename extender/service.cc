#include "extender/service.h"

#include <array>
#include <chrono>
#include <cstring>

#include "base/json_writer.h"
#include "base/log.h"
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
  std::vector<Candidate> candidates;
  std::vector<std::string_view> strangers;  // names that the snapshot does not know
};

// Names that one question may have: kube-scheduler knows nodes before Sobre does, but not many.
std::size_t MostNames(const Snapshot& snapshot) {
  constexpr std::size_t kMostStrangers = 10'000;
  return 2 * snapshot.nodes().size() + kMostStrangers;
}

// What a large request left behind is not kept for the small ones.
class Kept {
 public:
  Kept(std::string_view body, Scratch& scratch, std::atomic<bool>& took_large)
      : large_(body.size() > kKeptBodyBytes), scratch_(scratch), took_large_(took_large) {}
  ~Kept() {
    if (!large_) return;
    // Assigning would keep the room of texts.
    Scratch used;
    std::swap(scratch_, used);
    ReleaseLargeParser();
    took_large_ = true;
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

 private:
  const bool large_;
  Scratch& scratch_;
  std::atomic<bool>& took_large_;
};

// Every name's index in the snapshot; an error if one comes twice.
Status Resolve(const Snapshot& snapshot, const std::vector<std::string_view>& names,
               Scratch& scratch) {
  scratch.nodes.resize(names.size());
  snapshot.FindAll(names, scratch.nodes.data());
  scratch.seen.assign(snapshot.nodes().size(), 0);
  scratch.strangers.clear();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::int32_t index = scratch.nodes[i];
    if (index == Snapshot::kUnknownNode) {
      scratch.strangers.push_back(names[i]);
    } else if (std::exchange(scratch.seen[static_cast<std::size_t>(index)], 1) != 0) {
      return Status::Invalid("node '" + Printable(names[i], 63) + "' is in the request twice");
    }
  }
  std::sort(scratch.strangers.begin(), scratch.strangers.end());
  const auto twice = std::adjacent_find(scratch.strangers.begin(), scratch.strangers.end());
  if (twice != scratch.strangers.end())
    return Status::Invalid("node '" + Printable(*twice, 63) + "' is in the request twice");
  return Status::Ok();
}

// A snapshot that also knows the nodes which this request brought along.
std::shared_ptr<const Snapshot> WithNodesOf(const ExtenderArgs& args,
                                            const std::vector<std::int32_t>& nodes,
                                            const WorldState& state, const NodeOrigins& origins) {
  SnapshotInput input = state.input;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i] != Snapshot::kUnknownNode) continue;
    Result<NodeFacts> node = ParseNode(Padded(args.node_texts[i]), origins);
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
    } else if (args.plain_names) {
      out.append(args.names[i].data() - 1, args.names[i].size() + 2);
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

// Nodes without a refusal, with the pods that would be evicted there.
void WritePreemptionResult(const ExtenderArgs& args,
                           const std::vector<std::optional<Refusal>>& refusals, std::string& out) {
  out += R"({"NodeNameToMetaVictims":{)";
  bool first = true;
  for (std::size_t i = 0; i < args.names.size(); ++i) {
    if (!refusals.empty() && refusals[i]) continue;
    if (!std::exchange(first, false)) out += ',';
    AppendJsonString(out, args.names[i]);
    out += R"(:{"Pods":[)";
    const NodeVictims& victims = args.victims[i];
    for (std::size_t v = 0; v < victims.count; ++v) {
      out += v > 0 ? R"(,{"UID":)" : R"({"UID":)";
      AppendJsonString(out, args.victim_uids[victims.first + v]);
      out += '}';
    }
    out += R"(],"NumPDBViolations":)";
    out += std::to_string(victims.pdb_violations);
    out += '}';
  }
  out += "}}";
}

void WriteLimitsResult(Verb verb, const ExtenderArgs& args,
                       const std::vector<std::optional<Refusal>>& refusals, std::string& out) {
  verb == Verb::kPreempt ? WritePreemptionResult(args, refusals, out)
                         : WriteFilterResult(args, refusals, out);
}

constexpr std::string_view kHost = R"(,{"Host":)";
constexpr std::string_view kScore = R"(,"Score":)";

// What stands between a name and the next, by the first one's score.
constexpr std::size_t kBlock = 32;
using Block = std::array<char, kBlock>;
struct Between {
  Block text{};
  std::size_t size = 0;
};
std::array<Between, kMaxScore + 1> MakeBetween() {
  std::array<Between, kMaxScore + 1> all;
  for (std::size_t score = 0; score < all.size(); ++score) {
    const std::string text = std::string(kScore) + std::to_string(score) + "}" + std::string(kHost);
    all[score].size = text.copy(all[score].text.data(), kBlock);
  }
  return all;
}

// Copies in blocks, without a call for a short text: up to 31 bytes more are read and written than
// are meant.
char* PutRoughly(char* to, const char* from, std::size_t size) {
  for (std::size_t at = 0; at < size; at += kBlock) std::memcpy(to + at, from + at, kBlock);
  return to + size;
}

// For names that stand in the request as they are: between their quotes they go back.
template <class ScoreOf>
void WritePlainPriorities(const ExtenderArgs& args, const ScoreOf& score_of, std::string& out) {
  static_assert(kBodyPadding >= kBlock);
  static const std::array<Between, kMaxScore + 1> kBetween = MakeBetween();
  constexpr std::size_t kBeside = kHost.size() + 2 + kScore.size() + 3;
  std::size_t size = kHost.size() + kBlock;
  for (const std::string_view name : args.names) size += kBeside + name.size();
  out.resize(size);
  char* to = out.data() + kHost.copy(out.data(), kHost.size());
  for (std::size_t i = 0; i < args.names.size(); ++i) {
    const Between& between = kBetween[static_cast<std::size_t>(score_of(i))];
    to = PutRoughly(to, args.names[i].data() - 1, args.names[i].size() + 2);
    std::memcpy(to, between.text.data(), kBlock);
    to += between.size;
  }
  // Before the first no comma, after the last no name.
  to -= args.names.empty() ? kHost.size() - 1 : kHost.size();
  out.front() = '[';
  *to++ = ']';
  out.resize(static_cast<std::size_t>(to - out.data()));
}

template <class ScoreOf>
void WritePriorities(const ExtenderArgs& args, const ScoreOf& score_of, std::string& out) {
  if (args.plain_names) return WritePlainPriorities(args, score_of, out);
  for (std::size_t i = 0; i < args.names.size(); ++i) {
    out += kHost;
    AppendJsonString(out, args.names[i]);
    out += kScore;
    out += std::to_string(score_of(i));
    out += '}';
  }
  out.front() = '[';
  out += ']';
}

// Neutral: all the same, so that only other scores count; but for those that are refused even then.
void WriteHostPriorities(const ExtenderArgs& args, const Decision& decision, bool neutral,
                         const std::vector<std::optional<Refusal>>& refused, std::string& out) {
  if (!neutral)
    return WritePriorities(
        args, [&](std::size_t i) { return decision.ScoreOf(i); }, out);
  if (refused.empty())
    return WritePriorities(
        args, [](std::size_t /*i*/) { return 0; }, out);
  WritePriorities(
      args, [&](std::size_t i) { return refused[i] ? 0 : kMaxScore; }, out);
}

// Whether the pod has limits in force that kube-scheduler does not ask about.
bool IsUnasked(Verb verb, const DecisionRequest& request) {
  return verb == Verb::kPrioritize && !request.pod.has_limits_marker &&
         request.policy.InForce().Any();
}

int StatusOf(ErrorCode code) {
  if (code == ErrorCode::kUnavailable) return 503;
  return code == ErrorCode::kTooLarge ? 413 : 400;
}

// Where every node is refused, one that kube-scheduler saw before Sobre did: it may be the one that
// the pod waits for.
std::optional<std::size_t> NewcomerThatDecides(
    const Decision& decision, const std::vector<std::optional<Refusal>>& refusals) {
  std::optional<std::size_t> newcomer;
  for (std::size_t i = 0; i < refusals.size(); ++i) {
    if (!refusals[i]) return std::nullopt;
    if (decision.placed[i].node == Snapshot::kUnknownNode) newcomer = i;
  }
  return newcomer;
}

}  // namespace

void ExtenderService::Answer(Verb verb, const HttpRequest& request, HttpResponse& response) {
  const auto start = std::chrono::steady_clock::now();
  const Status status = Handle(verb, request.body, response.body);
  if (!status.ok()) {
    const bool elsewhere = status.code() == ErrorCode::kUnavailable;
    response.Fail(StatusOf(status.code()), status.message());
    // kube-scheduler stays with its connection: the next call may reach another replica.
    response.close = elsewhere;
    Log(LogLevel::kWarning, "a call was refused",
        {{"verb", ToString(verb)}, {"error", status.message()}});
  }
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
  const Kept kept(body, scratch, took_large_);
  ExtenderArgs& args = scratch.args;
  const auto state = world_.Read();
  const Snapshot* snapshot = state->snapshot.get();
  const std::size_t most = MostNames(*snapshot);
  if (Status status = verb == Verb::kPreempt ? ParsePreemptionArgs(body, args, most)
                                             : ParseExtenderArgs(body, args, most);
      !status.ok())
    return status;
  if (Status status = Resolve(*snapshot, args.names, scratch); !status.ok()) return status;
  const auto in_namespace = state->namespaces.find(args.pod.namespace_name);
  Recorder::Case made = recorder_.Take();
  std::swap(made->request.pod, args.pod);
  SetPolicy(in_namespace == state->namespaces.end() ? state->cluster_policy : in_namespace->second,
            made->request);
  made->verb = ToString(verb);
  made->snapshot = state->snapshot;
  const DecisionRequest& request = made->request;
  const Policy& policy = request.policy;
  metrics_.CountProblems(request.problems.size());
  const bool asks_limits = verb != Verb::kPrioritize;
  if (asks_limits) {
    // Without a cluster's view a limit of its own might be missed.
    if (!state->ready) return Status::Unavailable("not ready: " + state->not_ready_reason);
    if (const auto silent = SilentFor(*state, std::chrono::steady_clock::now())) {
      return Status::Unavailable("the API server was last heard " + FormatAge(*silent) +
                                 " ago: a limit might be judged on what is no longer so");
    }
    // It was made a moment ago, with its pods: kube-scheduler asks again.
    if (state->IsUnknownNamespace(request.pod.namespace_name)) {
      return Status::Unavailable("namespace " + Printable(request.pod.namespace_name, 63) +
                                 " is not known to Sobre yet, nor the limits that it may state");
    }
    if (!policy.limits.Any() || (policy.mode == Mode::kOff && !policy.enforced.Any())) {
      out.reserve(body.size());
      WriteLimitsResult(verb, args, {}, out);
      return Status::Ok();
    }
  }
  std::vector<std::string> names;
  const bool strangers = !scratch.strangers.empty();
  if (args.whole_nodes && strangers) {
    // The next parse reuses the parser that the names point into.
    names.assign(args.names.begin(), args.names.end());
    args.plain_names = false;
    made->snapshot = WithNodesOf(args, scratch.nodes, *state, origins_);
    for (std::size_t i = 0; i < names.size(); ++i) {
      scratch.nodes[i] = made->snapshot->Find(names[i]);
      args.names[i] = names[i];
    }
  }
  snapshot = made->snapshot.get();
  TellOfLimits(verb, *snapshot, made->request);
  JudgeKinds(request, *snapshot, scratch.nodes, made->decision);
  const bool neutral = policy.mode != Mode::kEnforce;
  // By all limits, whatever the mode; and by those that it does not lift.
  const auto judge = [&](const Limits& limits, std::vector<std::optional<Refusal>>& refusals) {
    // Not into the case: the recorder has a buffer of its own.
    WriteOut(made->decision, scratch.candidates);
    LimitCheck check(limits, request, made->decision, *snapshot);
    for (const Candidate& candidate : scratch.candidates) refusals.push_back(check.Of(candidate));
  };
  std::vector<std::optional<Refusal>> not_lifted;
  const std::vector<std::optional<Refusal>>& answered = neutral ? not_lifted : made->refusals;
  if (asks_limits) {
    judge(policy.limits, made->refusals);
    if (neutral && policy.enforced.Any()) judge(policy.enforced, not_lifted);
    const auto stranger = verb == Verb::kFilter ? NewcomerThatDecides(made->decision, answered)
                                                : std::optional<std::size_t>();
    if (stranger) {
      WriteFilterError("node " + Printable(args.names[*stranger], 63) +
                           " is not known to Sobre yet, and no other keeps the limits",
                       out);
      Record(std::move(made), args, scratch.nodes);
      return Status::Ok();
    }
    out.reserve(body.size());
    WriteLimitsResult(verb, args, answered, out);
    metrics_.CountRefusals(static_cast<std::size_t>(std::count_if(
        answered.begin(), answered.end(), [](const auto& r) { return r.has_value(); })));
  } else {
    if (IsUnasked(verb, request)) {
      judge(policy.InForce(), neutral ? not_lifted : made->refusals);
      if (!neutral) ScoreRefusedZero(request, *snapshot, made->refusals, made->decision);
    }
    WriteHostPriorities(args, made->decision, neutral, not_lifted, out);
    metrics_.CountDecision(args.names.size(), made->decision.ranked_by,
                           made->decision.intensity_basis);
  }
  // Who has switched everything off hears of what is left, and no decision is kept of the rest.
  if (policy.mode == Mode::kOff && !policy.enforced.Any()) return Status::Ok();
  if (!request.problems.empty()) TellOwner(request);
  // An eviction places nothing: the pod comes again, and that filter call is on the record.
  if (verb == Verb::kPreempt) return Status::Ok();
  if (policy.mode == Mode::kOff && verb == Verb::kPrioritize) return Status::Ok();
  Record(std::move(made), args, scratch.nodes);
  return Status::Ok();
}

// What is wrong with the pod's limits, beside what cannot be read.
void ExtenderService::TellOfLimits(Verb verb, const Snapshot& snapshot, DecisionRequest& request) {
  const std::size_t before = request.problems.size();
  for (std::string& unknown : UnknownNames(request.policy.limits, snapshot))
    request.problems.push_back(std::move(unknown));
  if (IsUnasked(verb, request)) {
    request.problems.emplace_back(
        "pod: its limits are not enforced: no container requests " + std::string(kLimitsMarker) +
        ", so that kube-scheduler does not ask about them; nodes that they refuse score 0");
    request.limits_in_scores = request.policy.mode == Mode::kEnforce;
    metrics_.CountUnaskedLimits();
  }
  metrics_.CountProblems(request.problems.size() - before);
}

void ExtenderService::Record(Recorder::Case made, const ExtenderArgs& args,
                             const std::vector<std::int32_t>& nodes) {
  if (made->decision.unknown_candidates > 0) {
    for (std::size_t i = 0; i < args.names.size(); ++i)
      if (nodes[i] == Snapshot::kUnknownNode) made->unknown.emplace_back(args.names[i]);
  }
  made->answered = Now();
  recorder_.Offer(std::move(made));
}

}  // namespace sobre
