#include "audit/outcomes.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "audit/read_back.h"
#include "scoring/analysis.h"
#include "scoring/limits.h"

namespace sobre {
namespace {

// A pod is bound milliseconds after its decision, or waits for long.
constexpr Duration kKeepSnapshot = std::chrono::minutes(2);
// Of all snapshots that are kept for open decisions, together: some 60 MB.
constexpr std::size_t kMostNodes = 40'000;
constexpr Duration kUntold = std::chrono::minutes(10);
// kube-scheduler's scores reach 100, an extender's 10.
constexpr std::int64_t kSchedulerPoints = 10;

// By the rule that refuses nodes.
void SetCertified(const OpenDecision& open, const NodeRecord& node, v1::RecordedOutcome& outcome) {
  Limits limits;
  limits.certifications = open.certifications;
  outcome.set_certified(!CheckPlaceLimits(limits, node, *open.snapshot));
}

}  // namespace

MeanOfCandidates MeanOf(const v1::RecordedFigures& figures) {
  MeanOfCandidates mean;
  if (figures.has_gco2e()) mean.gco2e_per_hour = figures.gco2e();
  if (figures.has_eur()) mean.eur_per_hour = figures.eur();
  return mean;
}

OpenDecision OpenOf(const v1::Record& record, const EntryId& id) {
  OpenDecision open;
  open.ticket = std::make_shared<Ticket>(Ticket{id.chain, id.seq});
  open.answered = read_back::FromMs(record.answered_ms());
  open.shadow = record.policy().mode() == ToString(Mode::kShadow);
  open.namespace_name = record.pod().namespace_();
  open.pod = record.pod().name();
  open.best = record.best();
  open.mean = record.mean();
  open.certifications = read_back::ReadAll(record.policy().certifications());
  open.restored = true;
  return open;
}

OpenDecision OpenOf(const DecisionCase& made, const v1::Record& record,
                    std::shared_ptr<Ticket> ticket) {
  OpenDecision open = OpenOf(record, {});
  open.ticket = std::move(ticket);
  open.restored = false;
  open.snapshot = made.snapshot;
  open.request = made.request;
  open.candidates.reserve(made.decision.candidates.size());
  for (const Candidate& candidate : made.decision.candidates)
    open.candidates.push_back(candidate.node);
  return open;
}

void OutcomeBook::Decided(const std::string& uid, OpenDecision decision) {
  decided_.insert(uid);
  Open(uid, std::move(decision));
}

void OutcomeBook::Open(const std::string& uid, OpenDecision decision) {
  open_[uid] = std::move(decision);
  // The watch may be ahead of us.
  if (const auto pod = present_.find(uid); pod != present_.end() && !pod->second.empty())
    Close(uid, pod->second);
}

void OutcomeBook::Restore(const std::string& uid, OpenDecision decision) {
  if (!decided_.contains(uid)) Open(uid, std::move(decision));
}

void OutcomeBook::Seen(const std::string& uid, const std::string& node) {
  std::string& held = present_[uid];
  if (!held.empty() || node.empty()) return;
  held = node;
  Close(uid, node);
}

void OutcomeBook::Gone(const std::string& uid) {
  present_.erase(uid);
  Close(uid, "");
}

void OutcomeBook::AllKnown() {
  std::vector<std::string> lost;
  for (const auto& [uid, open] : open_)
    if (open.restored && !present_.contains(uid)) lost.push_back(uid);
  for (const std::string& uid : lost) Close(uid, "");
}

void OutcomeBook::Age(Timestamp now) {
  // Of pods that nobody told of, or that wait for ever, nothing will be heard.
  std::erase_if(open_, [&](const auto& entry) {
    const Duration age = now - entry.second.answered;
    return age > kOpenFor ||
           (age > kUntold && !entry.second.restored && !present_.contains(entry.first));
  });
  std::erase_if(decided_, [this](const std::string& uid) {
    return !open_.contains(uid) && !present_.contains(uid);
  });
  // Newest first. Several are of one time where requests brought nodes of their own.
  std::set<std::pair<Timestamp, const Snapshot*>, std::greater<>> snapshots;
  for (const auto& [uid, open] : open_)
    if (open.snapshot) snapshots.emplace(open.snapshot->time(), open.snapshot.get());
  std::set<const Snapshot*> kept;
  std::size_t nodes = 0;
  for (const auto& [time, snapshot] : snapshots) {
    nodes += snapshot->nodes().size();
    if (time < now - kKeepSnapshot || (nodes > kMostNodes && !kept.empty())) break;
    kept.insert(snapshot);
  }
  for (auto& [uid, open] : open_) {
    if (open.snapshot == nullptr || kept.contains(open.snapshot.get())) continue;
    open.snapshot.reset();
    open.request = {};
    open.candidates = {};
  }
}

void OutcomeBook::Close(const std::string& uid, const std::string& node) {
  const auto found = open_.find(uid);
  if (found == open_.end()) return;
  const OpenDecision open = std::move(found->second);
  open_.erase(found);
  closed_(Judge(open, uid, node));
}

Closed OutcomeBook::Judge(const OpenDecision& open, const std::string& uid,
                          const std::string& node) const {
  Closed closed;
  closed.ticket = open.ticket;
  v1::RecordedOutcome& outcome = closed.outcome;
  outcome.set_pod_uid(uid);
  outcome.set_namespace_(open.namespace_name);
  outcome.set_pod(open.pod);
  outcome.set_node(node);
  for (const std::string& certification : open.certifications)
    outcome.add_certifications(certification);
  if (node.empty()) {
    outcome.set_unseen(open.restored);
    outcome.set_why(open.restored ? "it was gone when somebody looked again"
                                  : "it left before it was bound");
    return closed;
  }
  *outcome.mutable_mean() = open.mean;
  const bool has_best = !open.best.node().empty();
  if (has_best) {
    *outcome.mutable_best() = open.best.report();
    outcome.set_best_score(open.best.score());
  }
  const std::int32_t index = open.snapshot ? open.snapshot->Find(node) : Snapshot::kUnknownNode;
  if (index != Snapshot::kUnknownNode)
    SetCertified(open, open.snapshot->nodes()[static_cast<std::size_t>(index)], outcome);
  if (has_best && node == open.best.node()) {
    outcome.set_score(open.best.score());
    *outcome.mutable_report() = open.best.report();
    closed.agreed = true;
    return closed;
  }
  const auto asked = std::find(open.candidates.begin(), open.candidates.end(), index);
  if (!open.snapshot) {
    outcome.set_why("it waited for long: the decision's own record tells the node's score");
  } else if (index == Snapshot::kUnknownNode || asked == open.candidates.end()) {
    outcome.set_why("kube-scheduler did not ask about it in this attempt");
  } else {
    Decision all;
    Decide(open.request, *open.snapshot, open.candidates, all);
    const auto at = static_cast<std::size_t>(asked - open.candidates.begin());
    const AfterLimits after = ApplyLimits(open.request, all, *open.snapshot);
    const Decision& decision = after.Refuses(at) ? all : after.Among(all);
    const Candidate& candidate =
        *std::find_if(decision.candidates.begin(), decision.candidates.end(),
                      [index](const Candidate& each) { return each.node == index; });
    *outcome.mutable_report() =
        FiguresOf(Attribute(open.request, decision, candidate, *open.snapshot));
    if (after.Refuses(at)) {
      outcome.set_why(open.shadow ? "shadow mode: Sobre refused nothing"
                                  : "the limits refuse it: " + after.refusals[at]->reason);
      return closed;
    }
    outcome.set_score(candidate.score);
    const std::int64_t behind = open.best.score() - candidate.score;
    closed.agreed = behind == 0;
    if (open.shadow) {
      outcome.set_why("shadow mode: Sobre answered the same score for all");
    } else if (behind <= 0) {
      outcome.set_why("as good: both score " + std::to_string(candidate.score));
    } else {
      outcome.set_why("its other scores in kube-scheduler are at least " +
                      std::to_string(behind * kSchedulerPoints * extender_weight_) +
                      " points above those of " + open.best.node() + " (" + std::to_string(behind) +
                      " × " + std::to_string(kSchedulerPoints) + " × the extender's weight " +
                      std::to_string(extender_weight_) + ")");
    }
  }
  return closed;
}

}  // namespace sobre
