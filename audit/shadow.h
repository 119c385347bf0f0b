#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/reader.h"
#include "base/status.h"
#include "base/time.h"
#include "scoring/catalog.h"
#include "store/database.h"

// What decisions in shadow mode would have changed, had they counted.
namespace sobre {

enum class ShadowKey { kNamespace, kWorkload, kPolicy };
std::string_view ToString(ShadowKey key);
// "namespace,policy": at least one, each once. An error names what is no key.
Result<std::vector<ShadowKey>> ParseShadowKeys(std::string_view text);

struct ShadowRequest {
  Timestamp from;  // of decisions that were answered in [from, to)
  Timestamp to;
  std::vector<ShadowKey> by;
  // Of Sobre in kube-scheduler's profile.
  std::int64_t extender_weight = 25;
};

// Rates per hour of pods together, by the report ledger at the time of their decisions: where they
// went, and where they would have been sent. Of pods of which both are known.
struct ShadowRates {
  std::int64_t pods = 0;
  double taken = 0;
  double enforced = 0;
};

// What one group's judged decisions come to, or all.
struct ShadowLine {
  std::vector<std::string> names;  // one a key; empty for all
  // That could be judged. All others of these counts are parts of it.
  std::int64_t decisions = 0;
  // Their node scores less than the best, or a limit refuses it: enforced, Sobre would have
  // preferred another.
  std::int64_t elsewhere = 0;
  // Of them, by a lead that kube-scheduler's other scores may outweigh.
  std::int64_t narrow = 0;
  // A limit refuses all candidates: enforced, the pod would have waited.
  std::int64_t without_place = 0;
  // A limit refuses the node that the pod went to.
  std::int64_t refused = 0;
  ShadowRates grams;  // gCO2e/h
  ShadowRates euros;  // EUR/h
  // What the work is counted in, where it is one unit for all; else empty.
  std::string unit;
  double units_per_hour = 0;  // of the pods whose grams are known
  double euro_units_per_hour = 0;
};

// Pods that would have gone from one region to another; or to another node of the same region.
struct ShadowFlow {
  std::string from;  // "aws/eu-west-3"; empty where it is not known
  std::string to;
  std::int64_t pods = 0;
  ShadowRates grams;
  ShadowRates euros;
};

struct ShadowResult {
  ShadowRequest request;
  std::int64_t decisions = 0;      // attempts to place a pod, of any mode
  std::int64_t shadow = 0;         // of them in shadow mode: the sum of what follows
  std::int64_t retried = 0;        // the pod was tried again later
  std::int64_t open = 0;           // what became of the pod is not on record (yet)
  std::int64_t unseen = 0;         // nobody saw what became of it
  std::int64_t left = 0;           // it left without a node
  std::int64_t not_asked = 0;      // kube-scheduler did not ask about the node that it took
  std::int64_t other_rules = 0;    // must be made again, by rules or a catalogue that we have not
  ShadowLine total;                // its `decisions` are the rest
  std::vector<ShadowLine> groups;  // by grams that would be saved, most first
  std::vector<ShadowFlow> flows;   // by pods, most first
  std::optional<Timestamp> first;  // of shadow decisions
  std::optional<Timestamp> last;
};

// Judges attempts one by one. Not thread-safe.
class ShadowJudge {
 public:
  // `fetch` gives what was known, by its hash.
  ShadowJudge(ShadowRequest request, Fetch fetch, std::shared_ptr<const Catalog> catalog);
  ~ShadowJudge();
  // An error names the entry that cannot be read.
  Status Add(const Placement& placement);
  [[nodiscard]] ShadowResult Finish() const;

 private:
  struct Cluster;
  struct Verdict;
  Status Judge(const Placement& placement);
  Status JudgeAgain(const Placement& placement, const Cluster& cluster, Verdict& verdict);
  void Count(const v1::Record& record, const Verdict& verdict);
  Result<std::shared_ptr<const Cluster>> ClusterOf(const v1::Record& record);

  const Fetch fetch_;
  const std::shared_ptr<const Catalog> catalog_;
  ShadowResult result_;
  std::map<std::vector<std::string>, ShadowLine> groups_;
  std::map<std::pair<std::string, std::string>, ShadowFlow> flows_;
  std::map<std::string, std::shared_ptr<const Cluster>> clusters_;  // by hash
};

// All of a database's decisions of that time. An error names the entry that cannot be read.
Result<ShadowResult> ReadShadow(Database& database, const ShadowRequest& request,
                                const std::shared_ptr<const Catalog>& catalog);

// In sentences: what the figures cannot tell. The same beside every format for people.
std::vector<std::string> ShadowNotes(const ShadowResult& result);
// For a terminal; as JSON, all of it, exact; as one page that needs nothing else.
std::string ShadowText(const ShadowResult& result);
std::string ShadowJson(const ShadowResult& result);
std::string ShadowHtml(const ShadowResult& result);

}  // namespace sobre
