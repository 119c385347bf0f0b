// Annotations of a namespace and of a pod, laid over the cluster's policy and followed through to
// the scores, the refusals and the gate. The input is texts with a NUL behind each: a key and its
// value by turns; an empty key goes on from the namespace to the pod.
#include <algorithm>
#include <cmath>
#include <string>

#include "base/text.h"
#include "k8s/objects.h"
#include "scoring/decide.h"
#include "scoring/deferral.h"
#include "scoring/limits.h"
#include "scoring/test_world.h"
#include "tests/fuzz/fuzz.h"

namespace sobre::fuzz {
namespace {

struct Said {
  Annotations of_namespace;
  Annotations of_pod;
};

Said Read(std::string_view text) {
  Said said;
  Annotations* voice = &said.of_namespace;
  const auto parts = Split(text, '\0');
  for (std::size_t i = 0; i + 1 < parts.size(); i += 2) {
    if (parts[i].empty()) {
      voice = &said.of_pod;
      --i;
      continue;
    }
    ApplyAnnotation(std::string(kAnnotationPrefix) + std::string(parts[i]), parts[i + 1], *voice);
  }
  return said;
}

std::shared_ptr<const Snapshot> World() {
  TestWorld world;
  NodeFacts gpu;
  gpu.name = "gpu";
  gpu.provider = "own";
  gpu.gpu_model = "NVIDIA-H100-80GB-HBM3";
  gpu.allocatable = {64000, 512LL << 30, 4, 0};
  world.Node("fr", "aws", "eu-west-3")
      .Node("de", "aws", "eu-central-1")
      .Node(gpu)
      .Node("x", "", "");
  world.Price("fr", 0.4).Price("de", 0.38).Price("gpu", 9.5).Grid("aws", "eu-central-1", 420);
  world.input().trust_node_labels = true;
  return world.Snapshot();
}

void CheckText(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = Utf8SequenceLength(text.substr(at));
    SOBRE_HOLDS(length > 0);
    SOBRE_HOLDS(static_cast<unsigned char>(text[at]) >= 0x20);
    at += length;
  }
}

void CheckBounds(const Policy& policy) {
  SOBRE_HOLDS(policy.cost_tolerance.value() >= 0 && policy.cost_tolerance.value() <= 10);
  SOBRE_HOLDS(policy.expected_utilization.value() >= 0 && policy.expected_utilization.value() <= 1);
  SOBRE_HOLDS(std::isfinite(policy.carbon_price.value()));
  SOBRE_HOLDS(!policy.requests || policy.requests->value() > 0);
  SOBRE_HOLDS(!policy.tokens || policy.tokens->value() > 0);
  for (const auto& budget : policy.limits.max_euros) SOBRE_HOLDS(budget.most.value() >= 0);
  for (const auto& budget : policy.limits.max_grams) SOBRE_HOLDS(budget.most.value() >= 0);
  SOBRE_HOLDS(!policy.deferral.max_delay || *policy.deferral.max_delay > Duration(0));
}

template <class T>
bool Includes(const T& whole, const T& part) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

template <class T>
bool HasAll(const std::vector<UnitBudget<T>>& all, const std::vector<UnitBudget<T>>& budgets) {
  return std::all_of(budgets.begin(), budgets.end(), [&](const UnitBudget<T>& budget) {
    return std::any_of(all.begin(), all.end(), [&](const UnitBudget<T>& other) {
      return other.most == budget.most && other.unit == budget.unit && other.enforced;
    });
  });
}

// What a namespace enforces its pods may tighten only, and no mode lifts.
void CheckEnforced(const Policy& base, const Policy& policy) {
  const Limits& held = base.enforced;
  const Limits& now = policy.InForce();
  SOBRE_HOLDS(now.unreadable.size() >= held.unreadable.size());
  if (held.countries) SOBRE_HOLDS(now.countries && Includes(*held.countries, *now.countries));
  if (held.regions) SOBRE_HOLDS(now.regions && Includes(*held.regions, *now.regions));
  SOBRE_HOLDS(Includes(now.denied_operators, held.denied_operators));
  SOBRE_HOLDS(Includes(now.certifications, held.certifications));
  if (held.max_exposure) SOBRE_HOLDS(now.max_exposure && *now.max_exposure <= *held.max_exposure);
  SOBRE_HOLDS(HasAll(now.max_euros, held.max_euros) && HasAll(now.max_grams, held.max_grams));
  SOBRE_HOLDS(policy.terms_before_pod.has_value() == held.HasBudget());
}

}  // namespace
}  // namespace sobre::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sobre;
  using namespace sobre::fuzz;
  static const auto snapshot = World();
  Said said = Read(TextOf(data, size));
  const std::size_t count = said.of_pod.size();
  const NamespacePolicy base = MakeNamespacePolicy("shop", said.of_namespace, {});
  PodFacts pod = RequestFor({}).pod;
  pod.annotations = std::move(said.of_pod);
  const DecisionRequest request = MakeRequest(std::move(pod), base);
  // Of a list of what is enforced, each word may be wrong; of very many problems, the last says how
  // many more there are.
  constexpr std::size_t kMostTold = 21;
  SOBRE_HOLDS(base.problems.size() <= kMostTold);
  SOBRE_HOLDS(request.problems.size() <= base.problems.size() + std::min(count, kMostTold));
  for (const std::string& problem : request.problems) CheckText(problem);
  CheckBounds(request.policy);
  CheckEnforced(base.policy, request.policy);
  const Decision decision = DecideFor(*snapshot, {"fr", "de", "gpu", "x", "stranger"}, request);
  const bool unknown_names = !UnknownNames(request.policy.limits, *snapshot).empty();
  LimitCheck not_lifted(request.policy.enforced, request, decision, *snapshot);
  for (const Candidate& candidate : decision.candidates) {
    SOBRE_HOLDS(candidate.score >= 0 && candidate.score <= kMaxScore);
    SOBRE_HOLDS(std::isfinite(candidate.units.value()) && candidate.units.value() > 0);
    SOBRE_HOLDS(std::isfinite(candidate.placement.grams.value()));
    SOBRE_HOLDS(std::isfinite(candidate.placement.euros.value()));
    const auto refusal = CheckLimits(request, decision, candidate, *snapshot);
    if (!request.policy.limits.unreadable.empty() || unknown_names)
      SOBRE_HOLDS(refusal.has_value());
    // All limits hold what the enforced ones hold.
    if (not_lifted.Of(candidate)) SOBRE_HOLDS(refusal.has_value());
    if (refusal) SOBRE_HOLDS(request.policy.limits.Any() && !refusal->reason.empty());
  }
  const Timestamp created = TestWorld::kTime - std::chrono::hours(1);
  const Timestamp latest = LatestOpening(request.policy.deferral, created);
  const GateVerdict verdict = JudgeGate(request.policy, created, TestWorld::kTime, *snapshot);
  if (TestWorld::kTime >= latest) SOBRE_HOLDS(verdict.open);
  return 0;
}
