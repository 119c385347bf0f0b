#include "audit/report.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "audit/report_formats.h"
#include "base/text.h"

namespace sobre {
namespace {

using std::chrono::days;
using std::chrono::hours;

constexpr std::array<std::string_view, 13> kKeyNames = {
    "namespace", "workload", "model",    "region", "node", "team", "pod",
    "class",     "country",  "provider", "day",    "hour", "kind"};

std::string DayOf(Timestamp time) { return FormatTime(time).substr(0, 10); }

std::string NameOf(const UsageRow& row, ReportKey key) {
  switch (key) {
    case ReportKey::kNamespace:
      return row.namespace_name;
    case ReportKey::kWorkload:
      return row.workload;
    case ReportKey::kModel:
      return row.model;
    case ReportKey::kRegion:
      return row.region;
    case ReportKey::kNode:
      return row.node;
    case ReportKey::kTeam:
      return row.team;
    case ReportKey::kPod:
      return row.pod;
    case ReportKey::kClass:
      return row.hardware_class;
    case ReportKey::kCountry:
      return row.country;
    case ReportKey::kProvider:
      return row.provider;
    case ReportKey::kDay:
      return DayOf(row.begin);
    case ReportKey::kHour:
      return row.length < days(1) ? FormatTime(row.begin) : DayOf(row.begin);
    case ReportKey::kKind:
      return row.is_run ? "run" : "service";
  }
  return {};
}

// What counts requests as one: a workload, else a pod of its own.
using Worker = std::tuple<std::string, std::string, std::string>;
Worker WorkerOf(const UsageRow& row) {
  return {row.namespace_name, row.workload, row.workload.empty() ? row.pod : std::string()};
}

// The services that counted any, by the column.
std::set<Worker> Counting(const std::vector<UsageRow>& rows, double UsageRow::*column) {
  std::set<Worker> workers;
  for (const UsageRow& row : rows) {
    if (!row.is_run && row.*column > 0) workers.insert(WorkerOf(row));
  }
  return workers;
}

// Whether all that was seen is the same.
template <class T>
class Same {
 public:
  void See(const T& value) {
    if (!first_) first_ = value;
    one_ = one_ && *first_ == value;
  }
  [[nodiscard]] bool IsOne() const { return first_ && one_ && !(*first_ == T()); }

 private:
  std::optional<T> first_;
  bool one_ = true;
};

struct Sums {
  UsageRow all;
  UsageRow runs;
  bool has_runs = false;
  // Of services that count requests, and that count tokens.
  UsageRow requesting;
  UsageRow token_making;
  Same<Worker> worker;
  Same<std::string> model;
};

struct Counters {
  std::set<Worker> requests;
  std::set<Worker> tokens;
};

void AddRow(const UsageRow& row, const Counters& counters, Sums& sums) {
  if (row.is_run) {
    UsageRow run = row;
    run.requests = run.tokens = 0;  // a run answers nobody
    AddFigures(run, sums.all);
    AddFigures(run, sums.runs);
    sums.has_runs = true;
    return;
  }
  AddFigures(row, sums.all);
  const Worker worker = WorkerOf(row);
  const bool counts_requests = counters.requests.contains(worker);
  const bool counts_tokens = counters.tokens.contains(worker);
  if (counts_requests) AddFigures(row, sums.requesting);
  if (counts_tokens) AddFigures(row, sums.token_making);
  if (counts_requests || counts_tokens) {
    sums.worker.See(worker);
    sums.model.See(row.model);
  }
}

// Nothing where it is known of none of the hours, and where there are none.
std::optional<double> Known(double value, double known_hours) {
  if (known_hours <= 0) return std::nullopt;
  return value;
}

std::optional<double> Share(double part, double whole) {
  if (!(whole > 0)) return std::nullopt;
  return part / whole;
}

std::optional<UnitFigures> PerUnit(const UsageRow& sum, double count) {
  if (!(count > 0)) return std::nullopt;
  UnitFigures figures;
  figures.count = count;
  if (sum.energy_known_hours > 0) figures.watt_hours = sum.energy_kwh * 1000 / count;
  if (sum.grams_known_hours > 0) figures.grams = (sum.operational_g + sum.embodied_g) / count;
  if (sum.eur_known_hours > 0) figures.euros = sum.eur / count;
  return figures;
}

Range<Grams> GramRange(double low, double mid, double high) {
  return {Grams(low), Grams(mid), Grams(high)};
}

void SetClasses(const Sums& sums, const Catalog& catalog, ReportLine& line) {
  if (!sums.worker.IsOne() && !sums.model.IsOne()) return;
  const auto& tokens = line.per_thousand_tokens;
  const auto& requests = line.per_request;
  if (tokens && tokens->watt_hours) {
    line.energy_class = EnergyClass(catalog, "1k-tokens", *tokens->watt_hours);
  } else if (requests && requests->watt_hours) {
    line.energy_class = EnergyClass(catalog, "request", *requests->watt_hours);
  }
  if (requests && requests->grams)
    line.carbon_class = CarbonClass(catalog, "request", *requests->grams);
}

ReportLine LineOf(std::vector<std::string> names, const Sums& sums, const Catalog& catalog) {
  ReportLine line;
  line.names = std::move(names);
  line.sum = sums.all;
  line.runs = sums.runs;
  line.has_runs = sums.has_runs;
  const UsageRow& sum = line.sum;
  line.energy_kwh = Known(sum.energy_kwh, sum.energy_known_hours);
  if (sum.grams_known_hours > 0) {
    line.operational = GramRange(sum.operational_low_g, sum.operational_g, sum.operational_high_g);
    line.market_g = sum.market_g;
    line.embodied = GramRange(sum.embodied_low_g, sum.embodied_g, sum.embodied_high_g);
    line.total = *line.operational + *line.embodied;
  }
  line.euros = Known(sum.eur, sum.eur_known_hours);
  line.list_euros = Known(sum.list_eur, sum.eur_known_hours);
  line.per_request = PerUnit(sums.requesting, sums.requesting.requests);
  line.per_thousand_tokens = PerUnit(sums.token_making, sums.token_making.tokens / 1000);
  SetClasses(sums, catalog, line);
  line.measured_share = Share(sum.measured_kwh, sum.energy_kwh);
  line.live_share = Share(sum.live_g, sum.operational_g);
  line.energy_known_share = Share(sum.energy_known_hours, sum.pod_hours);
  line.grams_known_share = Share(sum.grams_known_hours, sum.pod_hours);
  line.euros_known_share = Share(sum.eur_known_hours, sum.pod_hours);
  if (sum.mean_candidate_g > 0 || sum.mean_candidate_eur > 0) {
    ReportLine::Change change;
    change.grams = sum.compared_g - sum.mean_candidate_g;
    change.grams_share = Share(change.grams, sum.mean_candidate_g);
    change.euros = sum.compared_eur - sum.mean_candidate_eur;
    change.euros_share = Share(change.euros, sum.mean_candidate_eur);
    line.change = change;
  }
  return line;
}

double TotalGrams(const ReportLine& line) { return line.total ? line.total->mid.value() : 0; }

// Of up to three days by the hour, unless some are held by the day.
Duration StepOf(const ReportRequest& request, bool has_days) {
  return has_days || request.to - request.from > days(3) ? Duration(days(1)) : Duration(hours(1));
}

std::vector<ReportMoment> Timeline(const std::vector<UsageRow>& rows, Duration step) {
  std::map<Timestamp, ReportMoment> moments;
  for (const UsageRow& row : rows) {
    const Timestamp begin(row.begin.time_since_epoch() / step * step);
    ReportMoment& moment = moments[begin];
    moment.begin = begin;
    moment.operational_g += row.operational_g;
    moment.embodied_g += row.embodied_g;
    moment.market_g += row.market_g;
    moment.eur += row.eur;
  }
  std::vector<ReportMoment> timeline;
  timeline.reserve(moments.size());
  for (const auto& [begin, moment] : moments) timeline.push_back(moment);
  return timeline;
}

// An hour or a day counts as far as it was asked for and had passed.
std::optional<Report::Covered> CoverageOf(const std::vector<UsageRow>& rows,
                                          const ReportRequest& request, Timestamp made) {
  std::map<Timestamp, Timestamp> periods;  // end by begin
  const Timestamp last = made == Timestamp() ? request.to : std::min(request.to, made);
  for (const UsageRow& row : rows) {
    Timestamp& end = periods[row.begin];
    end = std::max(end, std::min(row.begin + row.length, last));
  }
  if (periods.empty()) return std::nullopt;
  Report::Covered covered{periods.begin()->first, periods.begin()->first, 0};
  for (const auto& [begin, end] : periods) {
    if (end <= covered.to) continue;
    covered.hours += InHours(end - std::max(begin, covered.to));
    covered.to = end;
  }
  return covered;
}

void NoteCoverage(const Report& report, std::vector<std::string>& notes) {
  if (!report.covered) return;
  const Report::Covered& covered = *report.covered;
  const Timestamp last =
      std::min(report.request.to,
               report.context.made == Timestamp() ? report.request.to : report.context.made);
  const double passed = InHours(last - report.request.from);
  // What has begun within the last hour is not on record yet.
  if (covered.hours + 1 >= passed) return;
  notes.push_back("Usage is on record from " + FormatTime(covered.from) + " to " +
                  FormatTime(covered.to) + ", for " + ReadableNumber(covered.hours) + " of the " +
                  ReadableNumber(passed) +
                  " hours that were asked for: nothing is known of the others, and sums are "
                  "without them.");
}

void NoteQuality(const Report& report, std::vector<std::string>& notes) {
  const ReportLine& total = report.total;
  if (!(total.sum.pod_hours > 0)) {
    notes.emplace_back("No usage is on record for this time.");
    return;
  }
  const auto energy = total.energy_known_share.value_or(0);
  const auto grams = total.grams_known_share.value_or(0);
  const auto euros = total.euros_known_share.value_or(0);
  if (std::min({energy, grams, euros}) < 1)
    notes.push_back("Known of all pod-hours: energy of " + ReadableShare(energy) +
                    ", emissions of " + ReadableShare(grams) + ", costs of " +
                    ReadableShare(euros) +
                    "; the rest counts as nothing, so sums and figures per unit are too low by "
                    "it.");
  std::string basis = "Of the energy, " + ReadableShare(total.measured_share.value_or(0)) +
                      " is measured or on a line through measurements; the rest is by profiles of "
                      "the hardware. Of operational emissions, " +
                      ReadableShare(total.live_share.value_or(0)) +
                      " are by the grid's live intensity; the rest by the catalogue's yearly mean.";
  notes.push_back(std::move(basis));
  if (report.has_days)
    notes.emplace_back(
        "Some of this time is held by the UTC day: a day counts whole, where it begins.");
}

void NoteChange(const Report& report, std::vector<std::string>& notes) {
  if (!report.total.change) return;
  const ReportLine::Change& change = *report.total.change;
  const GramScale scale = ScaleOf(report);
  const auto changed = [](double value, const std::optional<double>& share, std::string_view unit) {
    std::string text = (value > 0 ? "+" : "") + ReadableNumber(value) + " " + std::string(unit);
    if (share)
      text +=
          std::string(" (") + (*share > 0 ? "+" : "") + FormatSignificant(*share * 100, 3) + " %)";
    return text;
  };
  notes.push_back(
      "Change in attributed emissions against the mean of each placement's feasible "
      "candidates: " +
      changed(change.grams / scale.grams, change.grams_share, std::string(scale.unit) + "CO2e") +
      "; in cost: " + changed(change.euros, change.euros_share, "EUR") +
      ". By average grid intensity: not what the grid as a whole emitted less.");
}

void NoteDecisions(const DecisionStats& stats, std::vector<std::string>& notes) {
  std::string text = std::to_string(stats.decisions) + " decisions";
  if (stats.outcomes > 0)
    text += "; of " + std::to_string(stats.outcomes) + " with a known outcome, " +
            ReadableShare(static_cast<double>(stats.agreed) / static_cast<double>(stats.outcomes)) +
            " ran on a node with the best score";
  if (stats.never_bound > 0) text += "; " + std::to_string(stats.never_bound) + " were never bound";
  notes.push_back(text + ".");
  if (!stats.refusals.empty()) {
    text = "Candidates refused:";
    for (const DecisionStats::Refusal& refusal : stats.refusals)
      text += (&refusal == stats.refusals.data() ? " " : ", ") + std::to_string(refusal.count) +
              " by " + refusal.limit;
    notes.push_back(text + ".");
  }
  for (const DecisionStats::Certification& certification : stats.certifications) {
    if (certification.decisions <= 0) continue;
    notes.push_back(ReadableShare(static_cast<double>(certification.kept) /
                                  static_cast<double>(certification.decisions)) +
                    " of decisions under " + certification.name + " ran on qualified offers (" +
                    std::to_string(certification.kept) + " of " +
                    std::to_string(certification.decisions) + ").");
  }
}

}  // namespace

std::string_view ToString(ReportKey key) { return kKeyNames[static_cast<std::size_t>(key)]; }

Result<std::vector<ReportKey>> ParseReportKeys(std::string_view text) {
  std::vector<ReportKey> keys;
  for (const std::string_view part : Split(text, ',')) {
    const std::string_view name = Trim(part);
    const auto found = std::find(kKeyNames.begin(), kKeyNames.end(), name);
    if (found == kKeyNames.end()) {
      std::string all;
      for (const std::string_view known : kKeyNames)
        all += (all.empty() ? "" : ", ") + std::string(known);
      const std::string hint = DidYouMean(name, kKeyNames);
      return Status::Invalid("'" + Printable(name) + "' is nothing to group by" +
                             (hint.empty() ? "; there are " + all : hint));
    }
    const auto key = static_cast<ReportKey>(found - kKeyNames.begin());
    if (std::find(keys.begin(), keys.end(), key) != keys.end())
      return Status::Invalid("'" + std::string(name) + "' stands twice");
    keys.push_back(key);
  }
  return keys;
}

Report MakeReport(const std::vector<UsageRow>& rows, const std::optional<DecisionStats>& decisions,
                  const ReportRequest& request, const ReportContext& context) {
  Report report;
  report.request = request;
  report.context = context;
  report.decisions = decisions;
  std::vector<UsageRow> in_time;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(in_time), [&](const UsageRow& row) {
    return row.begin >= request.from && row.begin < request.to;
  });
  const Counters counters{Counting(in_time, &UsageRow::requests),
                          Counting(in_time, &UsageRow::tokens)};
  std::map<std::vector<std::string>, Sums> groups;
  Sums total;
  for (const UsageRow& row : in_time) {
    std::vector<std::string> names;
    for (const ReportKey key : request.by) names.push_back(NameOf(row, key));
    AddRow(row, counters, groups[std::move(names)]);
    AddRow(row, counters, total);
    report.has_days = report.has_days || row.length >= days(1);
  }
  for (const auto& [names, sums] : groups)
    report.groups.push_back(LineOf(names, sums, *context.catalog));
  std::stable_sort(
      report.groups.begin(), report.groups.end(),
      [](const ReportLine& a, const ReportLine& b) { return TotalGrams(a) > TotalGrams(b); });
  report.total = LineOf({}, total, *context.catalog);
  report.step = StepOf(request, report.has_days);
  report.timeline = Timeline(in_time, report.step);
  report.covered = CoverageOf(in_time, request, context.made);
  return report;
}

std::vector<std::string> ReportNotes(const Report& report) {
  std::vector<std::string> notes;
  NoteCoverage(report, notes);
  NoteQuality(report, notes);
  NoteChange(report, notes);
  if (report.decisions) NoteDecisions(*report.decisions, notes);
  notes.emplace_back(
      "Method: SCI (ISO/IEC 21031), report ledger. Energy is what pods use, and the idle power of "
      "what they reserve, with the data centre's overhead (PUE); operational emissions are by the "
      "grid's average (location-based); embodied emissions are the share of the hardware's making "
      "by reserved time. Market-based figures stand beside and are never added. Sums of low and "
      "high bounds take all to be off in the same direction.");
  notes.emplace_back(
      "Per request and per 1,000 tokens: of services that count them, their idle hours included; "
      "runs (batch jobs, training) are apart. Classes are of one workload or one model: energy "
      "class by Wh per 1,000 tokens, else per request; carbon class by gCO2e per request, embodied "
      "included.");
  notes.push_back("Catalogue " + report.context.catalog->version() + ", " + report.context.program +
                  ", made " + FormatTime(report.context.made) + ".");
  return notes;
}

}  // namespace sobre
