#include "scoring/explain.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "base/text.h"
#include "scoring/analysis.h"
#include "scoring/limits.h"
#include "scoring/unknown.h"

namespace sobre {
namespace {

const NodeRecord* RecordOf(const Candidate& candidate, const Snapshot& snapshot) {
  if (candidate.node == Snapshot::kUnknownNode) return nullptr;
  return &snapshot.nodes()[static_cast<std::size_t>(candidate.node)];
}

std::string Place(const NodeFacts& node) {
  std::string place = node.provider;
  if (!node.region.empty()) place += (place.empty() ? "" : " ") + node.region;
  return place;
}

// Requests are small: figures are told per as many as make them readable.
struct Scale {
  double units;
  std::string_view name;
};
Scale ReadableScale(const Candidate& candidate, const Decision& decision) {
  if (decision.unit == FunctionalUnit::kPodHour) return {1, "pod-hour"};
  if (decision.unit == FunctionalUnit::kRun) return {1, "run"};
  const bool tokens = decision.unit == FunctionalUnit::kThousandTokens;
  const double most =
      std::max(candidate.placement.grams_known ? candidate.placement.grams.value() : 0.0,
               candidate.placement.euros_known ? candidate.placement.euros.value() : 0.0) /
      candidate.units.value();
  if (most >= 0.01) return {1, tokens ? "1,000 tokens" : "request"};
  if (most >= 0.00001 || tokens) return {1000, tokens ? "million tokens" : "1,000 requests"};
  return {1e6, "million requests"};
}

std::string PerUnits(double per_hour, const Candidate& candidate, const Scale& scale,
                     const char* unit) {
  return FormatSignificant(per_hour / candidate.units.value() * scale.units, 3) + " " + unit;
}

std::string NameAndPlace(const NodeFacts& facts) {
  const std::string place = Place(facts);
  return Printable(facts.name, 253) + (place.empty() ? "" : " (" + Printable(place) + ")");
}

// "0.0182 gCO2e and 0.0021 EUR per request"
std::string FiguresText(const Candidate& candidate, const Decision& decision) {
  std::string text;
  const Scale scale = ReadableScale(candidate, decision);
  text += candidate.placement.grams_known
              ? PerUnits(candidate.placement.grams.value(), candidate, scale, "gCO2e")
              : "unknown carbon";
  text += " and ";
  text += candidate.placement.euros_known
              ? PerUnits(candidate.placement.euros.value(), candidate, scale, "EUR")
              : "unknown price";
  text += " per " + std::string(scale.name);
  return text;
}

// " n % fewer grams than …" of the candidate against the mean of those whose grams are known.
std::string AgainstTheMean(const Candidate& candidate, const Decision& decision) {
  const std::optional<MeanGrams> mean = MeanOfGrams(decision);
  if (!candidate.placement.grams_known || !mean || mean->mean <= GramsPerUnit(0)) return {};
  const double own = candidate.placement.grams.value() / candidate.units.value();
  const double change = (own / mean->mean.value() - 1) * 100;
  const std::string than =
      (mean->candidates == decision.candidates.size() ? " the mean of " : " the mean of the ") +
      std::to_string(mean->candidates) + " candidates" +
      (mean->candidates == decision.candidates.size() ? "" : " whose carbon is known") + " (" +
      std::string(ToString(decision.ledger)) + " ledger)";
  // A mean over equals is off by rounding.
  if (std::abs(change) < 0.05) return "; as many grams as" + than;
  return "; " + FormatSignificant(std::abs(change), 2) + " % " + (change <= 0 ? "fewer" : "more") +
         " grams than" + than;
}

// What the objective ranks, by the hour; nothing where it is not known, or too dear to compete.
std::optional<double> RankedOf(const Candidate& candidate, const Decision& decision) {
  const PlacementFigures& figures = candidate.placement;
  switch (*decision.ranked_by) {
    case Objective::kCost:
      if (!figures.euros_known) return std::nullopt;
      return RankedEuros(candidate, decision).value();
    case Objective::kPriced:
      if (!figures.euros_known || !figures.grams_known) return std::nullopt;
      return RankedPriced(candidate, decision).value();
    case Objective::kBalanced:
      if (!candidate.within_tolerance) return std::nullopt;
      [[fallthrough]];
    case Objective::kCarbon:
      if (!figures.grams_known) return std::nullopt;
      return RankedGrams(candidate, decision).value();
  }
  return std::nullopt;
}

// "cheapest", "nearly the cheapest" for one that shares the best score, which is rounded, or "not
// the cheapest".
std::string Standing(const Candidate& candidate, const Decision& decision,
                     const std::string& superlative) {
  const bool shares_best =
      decision.best && candidate.score == decision.candidates[*decision.best].score;
  if (!shares_best) return "not the " + superlative;
  const std::optional<double> own = RankedOf(candidate, decision);
  for (const Candidate& other : decision.candidates) {
    // Who scores less is worse.
    if (other.score < candidate.score) continue;
    const std::optional<double> figure = RankedOf(other, decision);
    if (own && figure && *figure < *own * (1 - 1e-9)) return "nearly the " + superlative;
  }
  return superlative;
}

std::string Percent(Fraction fraction) {
  return FormatSignificant(fraction.value() * 100, 3) + " %";
}

void Pad(std::string& line, std::string_view words, std::size_t width) {
  const std::string text = Printable(words, 300);
  line += text;
  // Width in characters: continuation bytes take no column.
  const auto columns = static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  line.append(width > columns ? width - columns : 0, ' ');
  line += "  ";
}

void NoteAssumedFactors(const Decision& decision, const Snapshot& snapshot,
                        std::vector<std::string>& notes) {
  std::string assumed;
  for (std::size_t i = 0; i < snapshot.hardware_classes().size(); ++i) {
    if (decision.work[i].factor_assumed)
      assumed += (assumed.empty() ? "" : ", ") + snapshot.hardware_classes()[i];
  }
  if (!assumed.empty())
    notes.push_back("throughput-bound, but the speed is unknown on " + assumed +
                    ": taken for that of the reference");
}

// Why it is not known what the pod draws on some of the nodes, each cause once with an example.
void NotePowerCauses(const Decision& decision, const Snapshot& snapshot,
                     std::vector<std::string>& notes) {
  if (!decision.demand.unknown_devices.empty() || !decision.demand.requests.UsesGpu()) return;
  std::map<UnknownCause, std::pair<std::string, std::int64_t>> causes;
  for (const Candidate& candidate : decision.candidates) {
    const NodeRecord* node = RecordOf(candidate, snapshot);
    if (node == nullptr || candidate.placement.power_known) continue;
    const auto cause = WhyPowerIsUnknown(decision.demand, *node);
    if (!cause) continue;
    const auto found = causes.try_emplace(*cause, Printable(node->facts->name, 253), 0).first;
    ++found->second.second;
  }
  for (const auto& [cause, nodes] : causes) {
    const auto& [example, count] = nodes;
    notes.push_back(cause.what + " on node " + example +
                    (count == 1 ? "" : " and " + std::to_string(count - 1) + " more") + ": " +
                    cause.why +
                    (cause.euros_unknown ? "; what the pod draws, emits and costs there is unknown"
                                         : "; what the pod draws and emits there is unknown"));
  }
}

// "from 0 %: pl; from 11.5 %: se"
std::string StepsText(const std::vector<Step>& steps, double scale, const char* unit,
                      const Decision& decision, const Snapshot& snapshot) {
  std::string text;
  for (const Step& step : steps) {
    text += (text.empty() ? "from " : "; from ") + FormatSignificant(step.from * scale, 3) + unit +
            ": " + RecordOf(decision.candidates[step.winner], snapshot)->facts->name;
  }
  return text;
}

std::string RangeText(const Range<GramsPerHour>& range, double divisor) {
  return FormatSignificant(range.mid.value() / divisor, 3) + " (" +
         FormatSignificant(range.low.value() / divisor, 3) + " to " +
         FormatSignificant(range.high.value() / divisor, 3) + ")";
}

// What the best would answer for, and what would change the choice.
std::string AlternativesText(const DecisionRequest& request, const Decision& decision,
                             const Snapshot& snapshot) {
  std::string text;
  const Candidate& best = decision.candidates[*decision.best];
  const ReportFigures report = Attribute(request, decision, best, snapshot);
  if (report.total) {
    text += "Report ledger of the best: " + RangeText(*report.total, best.units.value()) +
            " gCO2e per " + std::string(ToString(decision.unit)) + ", of it embodied " +
            RangeText(*report.embodied, best.units.value());
    if (report.energy_class)
      text += std::string("; energy class ") + ToLetter(*report.energy_class);
    if (report.carbon_class)
      text += std::string(", carbon class ") + ToLetter(*report.carbon_class);
    text += ".\n";
  }
  std::string ties;
  for (const Candidate& c : decision.candidates) {
    if (c.node == best.node || !IsTie(c, best, decision, snapshot)) continue;
    ties += (ties.empty() ? "" : ", ") + RecordOf(c, snapshot)->facts->name;
  }
  if (!ties.empty()) text += "Tied with the best, inside the noise: " + ties + ".\n";
  std::string front;
  for (const std::size_t i : ParetoFront(decision)) {
    front += (front.empty() ? "" : ", ") + RecordOf(decision.candidates[i], snapshot)->facts->name;
  }
  if (!front.empty()) text += "Pareto front, cheapest to cleanest: " + front + ".\n";
  const bool balanced = decision.ranked_by == Objective::kBalanced;
  if (balanced || decision.ranked_by == Objective::kPriced) {
    text += balanced ? "Winner by cost tolerance: " +
                           StepsText(ToleranceSteps(decision), 100, " %", decision, snapshot)
                     : "Winner by carbon price: " +
                           StepsText(CarbonPriceSteps(decision), 1, " EUR/t", decision, snapshot);
    text += ".\n";
  }
  return text;
}

std::string NamesOf(const std::vector<const Candidate*>& candidates, const Snapshot& snapshot,
                    std::size_t most) {
  std::string names;
  for (std::size_t i = 0; i < std::min(candidates.size(), most); ++i) {
    const NodeRecord* record = RecordOf(*candidates[i], snapshot);
    names += (i == 0 ? "" : ", ") +
             (record == nullptr ? "an unknown node" : Printable(record->facts->name, 253));
  }
  if (candidates.size() > most)
    names += " and " + std::to_string(candidates.size() - most) + " more";
  return names;
}

// A line each, best first.
std::string CandidatesTable(const DecisionRequest& request, const Decision& decision,
                            const Snapshot& snapshot, std::size_t most_rows) {
  std::string text;
  std::vector<std::size_t> order(decision.candidates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return decision.candidates[a].score > decision.candidates[b].score;
  });
  std::size_t name_width = 4;
  for (const Candidate& c : decision.candidates) {
    if (const NodeRecord* record = RecordOf(c, snapshot)) {
      name_width = std::max(name_width, record->facts->name.size());
    }
  }
  const auto add_row = [&](std::string_view score, std::string_view node, std::string_view place,
                           std::string_view watts, std::string_view intensity,
                           std::string_view grams, std::string_view euros, std::string_view letter,
                           std::string_view power) {
    std::string line;
    Pad(line, score, 5);
    Pad(line, node, name_width);
    Pad(line, place, 22);
    Pad(line, watts, 8);
    Pad(line, intensity, 6);
    Pad(line, grams, 10);
    Pad(line, euros, 10);
    Pad(line, letter, 5);
    text += line + std::string(power) + "\n";
  };
  add_row("score", "node", "place", "added W", "g/kWh", "gCO2e", "EUR", "class", "power from");
  std::size_t shown = 0;
  for (const std::size_t i : order) {
    if (shown++ == most_rows) {
      text += "… and " + std::to_string(order.size() - most_rows) + " more\n";
      break;
    }
    const Candidate& c = decision.candidates[i];
    const NodeRecord* record = RecordOf(c, snapshot);
    if (record == nullptr) {
      add_row(std::to_string(c.score), "?", "unknown node", "?", "?", "?", "?", "", "");
      continue;
    }
    const auto& intensity = decision.intensity_basis == IntensityBasis::kLive
                                ? record->live_intensity
                                : record->catalog_intensity;
    const std::optional<ClassLetter> letter =
        Attribute(request, decision, c, snapshot).carbon_class;
    add_row(
        std::to_string(c.score), record->facts->name, Place(*record->facts),
        c.placement.power_known ? FormatSignificant(c.placement.added_power.value(), 3) : "?",
        intensity ? FormatSignificant(intensity->value.value(), 3) : "?",
        c.placement.grams_known ? FormatSignificant(c.placement.grams.value() / c.units.value(), 3)
                                : "?",
        c.placement.euros_known ? FormatSignificant(c.placement.euros.value() / c.units.value(), 3)
                                : "?",
        letter ? std::string(1, ToLetter(*letter)) : "",
        decision.work[static_cast<std::size_t>(record->hardware_class)].measured_power
            ? ToString(PowerBasis::kMeasuredJoules)
            : ToString(record->power_basis));
  }
  return text;
}

// Why the figure is unknown, of all candidates together: "CAUSE", or where it differs "CAUSE (of
// a, b and 3 more); CAUSE (of c)".
std::string WhyUnknownOfAll(Figure figure, const Decision& decision, const Snapshot& snapshot) {
  constexpr std::size_t kMostCauses = 3;
  constexpr std::size_t kMostNames = 3;
  std::vector<std::pair<std::string, std::vector<const Candidate*>>> causes;
  std::map<std::string, std::size_t, std::less<>> seen;
  for (const Candidate& candidate : decision.candidates) {
    std::string cause = WhyUnknown(figure, decision, candidate, snapshot);
    if (cause.empty()) continue;
    const auto [at, is_new] = seen.try_emplace(cause, causes.size());
    if (is_new) causes.emplace_back(std::move(cause), std::vector<const Candidate*>());
    causes[at->second].second.push_back(&candidate);
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(causes.size(), kMostCauses); ++i) {
    text += (i == 0 ? "" : "; ") + causes[i].first;
    if (causes[i].second.size() < decision.candidates.size())
      text += " (of " + NamesOf(causes[i].second, snapshot, kMostNames) + ")";
  }
  if (causes.size() > kMostCauses)
    text += "; and " + std::to_string(causes.size() - kMostCauses) + " other causes";
  return text;
}

// What could not be ranked on, and for what cause.
void NoteRanking(const Decision& decision, const Snapshot& snapshot,
                 std::vector<std::string>& notes) {
  const auto why = [&](Figure figure) { return WhyUnknownOfAll(figure, decision, snapshot); };
  if (decision.candidates.empty()) return;
  if (!decision.ranked_by) {
    notes.emplace_back("nothing is known of any candidate: all score 0");
    for (const auto& [figure, name] :
         {std::pair(Figure::kGrams, "carbon"), std::pair(Figure::kEuros, "price")}) {
      if (const std::string cause = why(figure); !cause.empty())
        notes.push_back(std::string("no ") + name + " is known" + Because(cause));
    }
    return;
  }
  if (*decision.ranked_by == decision.policy.objective) return;
  const auto any = [&](bool PlacementFigures::*known) {
    return std::any_of(decision.candidates.begin(), decision.candidates.end(),
                       [known](const Candidate& c) { return c.placement.*known; });
  };
  std::string cause;
  if (!any(&PlacementFigures::euros_known)) {
    cause = "no price is known" + Because(why(Figure::kEuros));
  } else if (!any(&PlacementFigures::grams_known)) {
    cause = "no carbon is known" + Because(why(Figure::kGrams));
  } else {
    cause = "of no candidate both are known" + Because("carbon" + Because(why(Figure::kGrams)) +
                                                       "; price" + Because(why(Figure::kEuros)));
  }
  notes.push_back("objective " + std::string(ToString(decision.policy.objective)) +
                  " could not be followed, as " + cause + "; ranked by " +
                  std::string(ToString(*decision.ranked_by)));
}

// What is unknown of the candidate's figures, for a sentence; nothing where both are known.
std::string Unknown(const Candidate& candidate, const Decision& decision,
                    const Snapshot& snapshot) {
  std::string text;
  if (!candidate.placement.grams_known)
    text += "its carbon is unknown" +
            Because(WhyUnknown(Figure::kGrams, decision, candidate, snapshot));
  if (!candidate.placement.euros_known)
    text += (text.empty() ? "" : "; ") + std::string("its price is unknown") +
            Because(WhyUnknown(Figure::kEuros, decision, candidate, snapshot));
  return text;
}

// Limits rely on no label that a kubelet can set: that costs people who expect otherwise a day.
bool AnyNotAttested(const Decision& all, const AfterLimits& after, const Snapshot& snapshot) {
  for (std::size_t i = 0; i < all.candidates.size(); ++i) {
    const NodeRecord* node = after.Refuses(i) ? RecordOf(all.candidates[i], snapshot) : nullptr;
    if (node != nullptr && node->sovereignty.region.empty() && !node->facts->region.empty())
      return true;
  }
  return false;
}

}  // namespace

std::optional<MeanGrams> MeanOfGrams(const Decision& decision) {
  double sum = 0;
  std::size_t count = 0;
  for (const Candidate& c : decision.candidates) {
    if (!c.placement.grams_known) continue;
    sum += c.placement.grams.value() / c.units.value();
    ++count;
  }
  if (count < 2) return std::nullopt;
  return MeanGrams{GramsPerUnit(sum / static_cast<double>(count)), count};
}

std::vector<std::string> Notes(const DecisionRequest& request, const Decision& all,
                               const AfterLimits& after, const Snapshot& snapshot) {
  const Decision& among = after.Among(all);
  std::vector<std::string> notes = Notes(request, among.candidates.empty() ? all : among, snapshot);
  if (request.policy.mode != Mode::kEnforce) {
    notes.push_back("mode " + std::string(ToString(request.policy.mode)) +
                    ": kube-scheduler is told the same score of all nodes, and " +
                    (request.policy.enforced.Any() ? "of no refusal but those of enforced limits"
                                                   : "of no refusal"));
  }
  if (AnyNotAttested(all, after, snapshot)) {
    notes.emplace_back(
        "limits rely on no label that a kubelet can set: the labels "
        "node-restriction.kubernetes.io/sobre-provider and -region attest a node's place, or "
        "limits: {trust_node_labels: true} trusts the others");
  }
  return notes;
}

std::vector<std::string> Notes(const DecisionRequest& request, const Decision& decision,
                               const Snapshot& snapshot) {
  std::vector<std::string> notes = request.problems;
  for (std::string& unknown : UnknownNames(request.policy.limits, snapshot)) {
    // The service tells them to the pod's owner too.
    if (std::find(notes.begin(), notes.end(), unknown) == notes.end())
      notes.push_back(std::move(unknown));
  }
  NoteRanking(decision, snapshot, notes);
  if (!decision.demand.unknown_devices.empty())
    notes.push_back(decision.demand.unknown_devices +
                    "; what the pod draws, emits and costs is unknown");
  NotePowerCauses(decision, snapshot, notes);
  const std::string& source = decision.policy.request_source;
  if (!source.empty() && decision.rate_basis == RateBasis::kNone) {
    notes.push_back("request-source '" + Printable(source, 63) +
                    "' has told no rate of this workload or its model");
  }
  if (decision.policy.unit == FunctionalUnit::kRequest &&
      decision.unit == FunctionalUnit::kPodHour) {
    notes.emplace_back(request.pod.is_batch_job
                           ? "a batch job without sobre.dev/expected-duration: counted per pod-hour"
                           : "no rate of requests is known: counted per pod-hour");
  } else if (decision.policy.unit != decision.unit && !request.pod.is_batch_job) {
    notes.push_back("no rate is known for the unit " + std::string(ToString(decision.policy.unit)) +
                    ": counted per pod-hour");
  }
  if (decision.policy.bound == Bound::kThroughput) NoteAssumedFactors(decision, snapshot, notes);
  if (decision.egress_price_unknown)
    notes.emplace_back(
        "egress has no price between some of the regions: its euros are not counted");
  if (decision.unknown_candidates > 0 && decision.ranked_by) {
    notes.push_back(std::to_string(decision.unknown_candidates) + " of " +
                    std::to_string(decision.candidates.size()) +
                    " candidates are unknown and score 0");
  }
  notes.insert(notes.end(), snapshot.notes().begin(), snapshot.notes().end());
  return notes;
}

std::string DescribeCandidate(const Candidate& candidate, const Decision& decision,
                              const Snapshot& snapshot) {
  const NodeRecord* record = RecordOf(candidate, snapshot);
  if (record == nullptr) return "unknown node: score 0";
  return NameAndPlace(*record->facts) + ": score " + std::to_string(candidate.score) + ", " +
         FiguresText(candidate, decision);
}

std::string DescribeFigures(const Candidate& candidate, const Decision& decision,
                            const Snapshot& snapshot) {
  const NodeRecord* record = RecordOf(candidate, snapshot);
  if (record == nullptr) return "unknown node";
  return NameAndPlace(*record->facts) + ": " + FiguresText(candidate, decision);
}

std::string Reason(const Candidate& candidate, const Decision& decision, const Snapshot& snapshot,
                   std::size_t refused) {
  if (RecordOf(candidate, snapshot) == nullptr) return "node not known to Sobre";
  std::string unknown = Unknown(candidate, decision, snapshot);
  const std::string but = unknown.empty() ? "" : "; " + unknown;
  if (decision.candidates.size() == 1) {
    const std::string of =
        refused == 0 ? "" : " of " + std::to_string(refused + 1) + " that no limit refuses";
    return "the only candidate" + of + but;
  }
  if (!decision.ranked_by) return "nothing is known of any candidate" + but;
  switch (*decision.ranked_by) {
    case Objective::kCarbon:
      if (!candidate.placement.grams_known) return unknown;
      return Standing(candidate, decision, "fewest grams") + AgainstTheMean(candidate, decision);
    case Objective::kCost:
      if (!candidate.placement.euros_known) return unknown;
      return Standing(candidate, decision, "cheapest");
    case Objective::kPriced:
      if (!unknown.empty()) return unknown;
      return Standing(candidate, decision, "cheapest") + " with carbon at " +
             FormatSignificant(decision.policy.carbon_price.value(), 4) + " EUR/t" +
             AgainstTheMean(candidate, decision);
    case Objective::kBalanced:
      break;
  }
  if (!unknown.empty()) return unknown;
  const auto affordable = std::count_if(decision.candidates.begin(), decision.candidates.end(),
                                        [](const Candidate& c) { return c.within_tolerance; });
  if (!candidate.within_tolerance) {
    return "costs over " + Percent(decision.policy.cost_tolerance) + " more than the cheapest" +
           AgainstTheMean(candidate, decision);
  }
  const std::string dearer =
      " that costs at most " + Percent(decision.policy.cost_tolerance) + " more than the cheapest";
  if (affordable == 1) return "the only one" + dearer + AgainstTheMean(candidate, decision);
  return Standing(candidate, decision, "cleanest") + " of the " + std::to_string(affordable) +
         " that cost at most " + Percent(decision.policy.cost_tolerance) +
         " more than the cheapest" + AgainstTheMean(candidate, decision);
}

std::string WhatWouldChange(const Candidate& candidate, const Candidate& best,
                            const Decision& decision, const Snapshot& snapshot) {
  const NodeRecord* node = RecordOf(candidate, snapshot);
  if (node == nullptr || !decision.ranked_by || RecordOf(best, snapshot) == nullptr) return {};
  const bool grams_known = candidate.placement.grams_known && best.placement.grams_known;
  const bool euros_known = candidate.placement.euros_known && best.placement.euros_known;
  std::vector<std::string> conditions;
  const auto cleaner = [&] {
    const double share = RankedGrams(best, decision) / RankedGrams(candidate, decision);
    if (share >= 1) return;
    const auto& intensity = decision.intensity_basis == IntensityBasis::kLive
                                ? node->live_intensity
                                : node->catalog_intensity;
    if (intensity) {
      conditions.push_back("its grid were below " +
                           FormatSignificant(intensity->value.value() * share, 3) + " instead of " +
                           FormatSignificant(intensity->value.value(), 3) + " g/kWh");
    } else {
      conditions.push_back("it emitted " + Percent(Fraction(1 - share)) + " less");
    }
  };
  const auto cheaper = [&](EurosPerHour most) {
    const double share = most / RankedEuros(candidate, decision);
    if (share < 1) conditions.push_back("it cost " + Percent(Fraction(1 - share)) + " less");
  };
  switch (*decision.ranked_by) {
    case Objective::kCarbon:
      if (grams_known) cleaner();
      break;
    case Objective::kCost:
      if (euros_known) cheaper(RankedEuros(best, decision));
      break;
    case Objective::kPriced:
      if (grams_known && euros_known) {
        const EurosPerHour gap = RankedPriced(candidate, decision) - RankedPriced(best, decision);
        if (gap > EurosPerHour(0)) cheaper(RankedEuros(candidate, decision) - gap);
      }
      break;
    case Objective::kBalanced: {
      if (!grams_known || !euros_known) break;
      EurosPerHour cheapest = RankedEuros(best, decision);
      for (const Candidate& other : decision.candidates)
        if (other.placement.euros_known)
          cheapest = std::min(cheapest, RankedEuros(other, decision));
      if (!candidate.within_tolerance)
        cheaper(ToleranceLimit(cheapest, decision.policy.cost_tolerance));
      cleaner();
    }
  }
  if (conditions.empty()) return {};
  std::string text = node->facts->name + " would win if " + conditions.front();
  if (conditions.size() > 1) text += " and " + conditions.back();
  return text;
}

std::string InputsText(const NodeRecord& node, const Decision& decision) {
  std::string text;
  const auto add = [&](const char* what, const std::string& value, const std::string& source,
                       std::optional<Timestamp> time) {
    std::string line;
    Pad(line, what, 22);
    Pad(line, value, 22);
    line += Printable(source, 300);
    if (time && *time != Timestamp())
      line += ", " + FormatAge(std::max(Duration(0), decision.time - *time)) + " old";
    text += "  " + line + "\n";
  };
  const auto sourced = [&](const char* what, const auto& value, const char* unit) {
    if (!value) return;
    const bool ages = value->method != Method::kPublished;
    add(what, FormatSignificant(value->value.value(), 4) + " " + unit, value->source,
        ages ? std::optional(value->time) : std::nullopt);
  };
  add("watts per vCPU",
      FormatSignificant(node.idle.value(), 3) + " idle, +" +
          FormatSignificant(node.slope.value(), 3) + " busy",
      node.power_source + " (" + std::string(ToString(node.power_basis)) + ")", std::nullopt);
  if (node.gpu)
    add("watts per accelerator",
        FormatSignificant(node.gpu->idle.value(), 3) + " idle, " +
            FormatSignificant(node.gpu->full.value(), 3) + " full",
        node.gpu_source, std::nullopt);
  add("PUE", FormatSignificant(node.pue.value(), 4), node.pue_source, std::nullopt);
  if (decision.intensity_basis == IntensityBasis::kLive) {
    sourced("grid, live", node.live_intensity, "g/kWh");
  } else {
    sourced("grid, catalogue", node.catalog_intensity, "g/kWh");
  }
  sourced("grid, by contract", node.market_intensity, "g/kWh");
  sourced(node.price_estimated ? "price, estimated" : "price", node.price, "EUR/h");
  sourced("electricity", node.electricity, "EUR/kWh");
  return text;
}

std::string RefusedText(const Decision& all, const AfterLimits& after, const Snapshot& snapshot,
                        const std::vector<std::string>& unknown, std::size_t most_names) {
  if (after.refused == 0) return {};
  std::vector<std::string> names;
  std::size_t strangers = 0;
  for (const Candidate& candidate : all.candidates) {
    const NodeRecord* record = RecordOf(candidate, snapshot);
    if (record != nullptr) {
      names.push_back(Printable(record->facts->name, 253));
    } else {
      names.push_back(strangers < unknown.size() ? Printable(unknown[strangers], 253)
                                                 : "an unknown node");
      ++strangers;
    }
  }
  const bool every = after.refused == all.candidates.size();
  std::string text = every ? "All " + std::to_string(after.refused) + " candidates are refused:\n"
                           : "Refused, " + std::to_string(after.refused) + " of " +
                                 std::to_string(all.candidates.size()) + " candidates:\n";
  for (const RefusedGroup& group : GroupRefusals(after.refusals)) {
    std::string line;
    for (std::size_t i = 0; i < std::min(group.candidates.size(), most_names); ++i)
      line += (i == 0 ? "" : ", ") + names[group.candidates[i]];
    if (group.candidates.size() > most_names)
      line += " and " + std::to_string(group.candidates.size() - most_names) + " more";
    text += "  " + Printable(group.reason, 1000) + ": " + line + "\n";
  }
  if (after.best_refused) {
    text += "Without the limits the best: " +
            DescribeFigures(all.candidates[*after.best_refused], all, snapshot) + " (" +
            std::string(ToString(all.ledger)) + " ledger).\n";
  }
  return text;
}

std::string ExplainText(const DecisionRequest& request, const Decision& all,
                        const Snapshot& snapshot, std::size_t most_rows) {
  const AfterLimits after = ApplyLimits(request, all, snapshot);
  const Decision& decision = after.Among(all);
  std::string text =
      "Pod " + Printable(request.pod.namespace_name, 63) + "/" + Printable(request.pod.name, 253) +
      " at " + FormatTime(all.time) + ": objective " + std::string(ToString(all.policy.objective)) +
      ", per " + std::string(ToString(all.unit)) + ", " + std::string(ToString(all.ledger)) +
      " ledger" + (all.ledger == RankedLedger::kPlacement ? " (classes: report ledger), " : ", ") +
      std::string(ToString(all.intensity_basis)) + " grid intensity, catalogue " +
      snapshot.catalog_version() + "\n\n";
  if (!decision.candidates.empty()) text += CandidatesTable(request, decision, snapshot, most_rows);
  if (after.refused > 0 && !decision.candidates.empty()) text += "\n";
  text += RefusedText(all, after, snapshot, {}, most_rows);
  if (decision.best) {
    const Candidate& best = decision.candidates[*decision.best];
    text += "\nBest: " + DescribeCandidate(best, decision, snapshot) + "; " +
            Reason(best, decision, snapshot, after.refused) + ".\n";
    text += AlternativesText(request, decision, snapshot);
  } else {
    text += all.candidates.empty() ? "Best: none, as there is no candidate.\n"
                                   : "\nBest: none, as no node keeps the limits.\n";
  }
  for (const std::string& note : Notes(request, all, after, snapshot))
    text += "Note: " + Printable(note, 1000) + ".\n";
  return text;
}

}  // namespace sobre
