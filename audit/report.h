#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/advice.h"
#include "audit/usage.h"
#include "base/status.h"
#include "base/time.h"
#include "scoring/catalog.h"
#include "scoring/energy_class.h"
#include "scoring/units.h"

// What pods took, summed up for people and for other programs. Pure functions, safe from any
// thread.
namespace sobre {

enum class ReportKey {
  kNamespace,
  kWorkload,
  kModel,
  kRegion,
  kNode,
  kTeam,
  kPod,
  kClass,  // hardware class
  kCountry,
  kProvider,
  kDay,   // UTC
  kHour,  // of what is held by the day: its day
  kKind,  // "service" or "run"
};
std::string_view ToString(ReportKey key);
// "namespace,workload": at least one, each once. An error names what is no key, and what may have
// been meant.
Result<std::vector<ReportKey>> ParseReportKeys(std::string_view text);

struct ReportRequest {
  Timestamp from;  // of rows that begin in [from, to)
  Timestamp to;
  std::vector<ReportKey> by;  // none: one group
};

// What became of the decisions of a report's time.
struct DecisionStats {
  std::int64_t decisions = 0;
  // Of the decisions: whose pod was bound and seen, which of those ran on a node with the best
  // score, and whose pod never was bound.
  std::int64_t outcomes = 0;
  std::int64_t agreed = 0;
  std::int64_t never_bound = 0;
  // Candidates refused, by the limit that refused them.
  struct Refusal {
    std::string limit;
    std::int64_t count = 0;
  };
  std::vector<Refusal> refusals;
  // Decisions that asked for a certification, and how many of them ran on an offer that has it.
  struct Certification {
    std::string name;
    std::int64_t decisions = 0;
    std::int64_t kept = 0;
  };
  std::vector<Certification> certifications;
};

// What a report needs to know beside rows.
struct ReportContext {
  const Catalog* catalog = &Catalog::Embedded();  // for classes and its version
  std::string program = "sobre";                  // with its version
  std::string account = "kubernetes";             // whose usage it is: a cluster's name
  Timestamp made;
};

// Of one functional unit, on the report ledger; nothing where nothing is known.
struct UnitFigures {
  double count = 0;  // of units: requests, or thousands of tokens
  std::optional<double> watt_hours;
  std::optional<double> grams;  // operational (location-based) and embodied
  std::optional<double> euros;
};

// One group, or the total. Figures that are unknown for all of its pod-hours are absent; where they
// are unknown for some, those count as nothing, and the shares say how many.
struct ReportLine {
  std::vector<std::string> names;  // one a key, as in the rows; empty for the total
  UsageRow sum;                    // of all rows: its figures alone
  UsageRow runs;                   // of them, batch jobs and training
  bool has_runs = false;

  std::optional<double> energy_kwh;
  std::optional<Range<Grams>> operational;  // location-based
  std::optional<double> market_g;
  std::optional<Range<Grams>> embodied;
  std::optional<Range<Grams>> total;  // operational and embodied
  std::optional<double> euros;
  std::optional<double> list_euros;
  // Of services that counted requests, or tokens, at any time of the report; runs are apart.
  std::optional<UnitFigures> per_request;
  std::optional<UnitFigures> per_thousand_tokens;
  // Of one workload or one model alone: a mixture has no class. The energy class is by tokens where
  // there are some, else by request.
  std::optional<ClassLetter> energy_class;
  std::optional<ClassLetter> carbon_class;

  std::optional<double> measured_share;      // of energy
  std::optional<double> live_share;          // of operational grams
  std::optional<double> energy_known_share;  // of pod-hours, like the next two
  std::optional<double> grams_known_share;
  std::optional<double> euros_known_share;
  // Change of attributed emissions and cost against the mean of the feasible candidates, where that
  // is known: what was taken less what the mean would have taken, and that as a share of the mean.
  struct Change {
    double grams = 0;
    std::optional<double> grams_share;
    double euros = 0;
    std::optional<double> euros_share;
  };
  std::optional<Change> change;
};

struct ReportMoment {
  Timestamp begin;
  double operational_g = 0;
  double embodied_g = 0;
  double market_g = 0;
  double eur = 0;
};

struct Report {
  ReportRequest request;
  ReportContext context;
  std::vector<ReportLine> groups;  // by grams, most first
  ReportLine total;
  std::vector<ReportMoment> timeline;  // by time; a moment without usage is left out
  Duration step{0};                    // of the timeline: an hour or a day
  // Of the time that was asked for, from where to where there is usage on record, and how many of
  // its hours; nothing where there is none.
  struct Covered {
    Timestamp from;
    Timestamp to;
    double hours = 0;
  };
  std::optional<Covered> covered;
  bool has_days = false;  // some rows are held by the day
  std::optional<DecisionStats> decisions;
  // That was open, or came into its state, in this time: the newest first.
  std::vector<Advice> advice;
};

Report MakeReport(const std::vector<UsageRow>& rows, const std::optional<DecisionStats>& decisions,
                  const ReportRequest& request, const ReportContext& context);

// In sentences: how good the data is, what became of the decisions, and by what method. The same
// beside every format for people.
std::vector<std::string> ReportNotes(const Report& report);

}  // namespace sobre
