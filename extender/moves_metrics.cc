#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "extender/metric_families.h"
#include "extender/mover.h"

namespace sobre {
namespace {

using prometheus::MetricType;

// Of all pods together, what is saved per hour.
double Saved(const std::optional<double>& before, const std::optional<double>& after,
             std::int64_t pods) {
  return before && after ? (*before - *after) * static_cast<double>(pods) : 0;
}

struct Sums {
  double grams = 0;
  double euros = 0;
};

void AddGains(const MovesStatus& status, MetricFamilies& out) {
  Sums advised;
  Sums followed;
  Sums measured;
  Timestamp last;
  for (const Advice& one : status.advice) last = std::max(last, one.held);
  for (const Advice& one : status.advice) {
    // A pod has one best place at a time: what held before and not now waits to expire.
    const bool holds = one.kind == AdviceKind::kRightsizing || one.held == last;
    if (holds && (one.state == AdviceState::kOpen || one.state == AdviceState::kAccepted)) {
      advised.grams += Saved(one.now_g, one.there_g, one.pods);
      advised.euros += Saved(one.now_eur, one.there_eur, one.pods);
    }
    if (one.state != AdviceState::kMeasured) continue;
    const std::int64_t pods = one.kind == AdviceKind::kMove ? one.moved : one.pods;
    followed.grams += Saved(one.now_g, one.there_g, pods);
    followed.euros += Saved(one.now_eur, one.there_eur, pods);
    measured.grams += Saved(one.before_g, one.after_g, pods);
    measured.euros += Saved(one.before_eur, one.after_eur, pods);
  }
  const auto add = [&](const char* name, const char* help, double Sums::*figure) {
    out.Begin(name, help, MetricType::Gauge);
    out.Value(advised.*figure, {{"of", "advised"}});
    out.Value(followed.*figure, {{"of", "followed"}});
    out.Value(measured.*figure, {{"of", "measured"}});
  };
  add("sobre_moves_saved_gco2e_per_hour",
      "gCO2e per hour (report ledger) that moves and smaller requests would save (advised), should "
      "have saved (followed) and did (measured), of the last 30 days.",
      &Sums::grams);
  add("sobre_moves_saved_eur_per_hour", "The same in euros.", &Sums::euros);
}

}  // namespace

std::string MovesMetrics(const MovesStatus& status) {
  MetricFamilies out;
  if (status.tells) {
    std::map<std::pair<AdviceKind, AdviceState>, double> counts;
    for (const Advice& one : status.advice) ++counts[{one.kind, one.state}];
    out.Begin("sobre_moves", "Advice of the last 30 days, by kind and state.", MetricType::Gauge);
    for (const AdviceKind kind : {AdviceKind::kMove, AdviceKind::kRightsizing}) {
      for (std::size_t i = 0; i < kAdviceStateCount; ++i) {
        const auto state = static_cast<AdviceState>(i);
        out.Value(counts[{kind, state}],
                  {{"kind", std::string(ToString(kind))}, {"state", std::string(ToString(state))}});
      }
    }
    AddGains(status, out);
  }
  out.Begin(
      "sobre_move_evictions_total",
      "Pods that were to be evicted for a move, by outcome: evicted, refused (by a disruption "
      "budget), gone, failed.",
      MetricType::Counter);
  for (std::size_t i = 0; i < kEvictionOutcomeCount; ++i) {
    out.Value(static_cast<double>(status.tried[i]),
              {{"outcome", std::string(ToString(static_cast<EvictionOutcome>(i)))}});
  }
  out.Begin("sobre_move_replacements_total",
            "Where the pods came to run that stand in for evicted ones: there (as advised), "
            "elsewhere, missing.",
            MetricType::Counter);
  for (std::size_t i = 0; i < kReplacementCount; ++i) {
    out.Value(static_cast<double>(status.replaced[i]),
              {{"where", std::string(ToString(static_cast<Replacement>(i)))}});
  }
  return out.Text();
}

}  // namespace sobre
