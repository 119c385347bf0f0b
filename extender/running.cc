#include "extender/running.h"

#include "extender/is_due.h"
#include "scoring/attribution.h"

namespace sobre {
namespace {

void Add(std::optional<double>& sum, double value) { sum = sum.value_or(0) + value; }

std::optional<double> Per(const std::optional<double>& amount, const std::optional<double>& of) {
  if (!amount || !of || *of <= 0) return std::nullopt;
  return *amount / *of;
}

class Sums {
 public:
  void Add(const PodRates& rates) {
    ++totals_.pods;
    const std::optional<Range<GramsPerHour>> grams = GramsOf(rates);
    if (rates.operational && rates.embodied && rates.euros) ++totals_.known_pods;
    if (rates.euros) sobre::Add(totals_.eur_per_hour, rates.euros->value());
    if (grams) totals_.grams = totals_.grams ? *totals_.grams + *grams : *grams;
    if (rates.power) {
      sobre::Add(totals_.watts, rates.power->value());
      if (rates.power_measured) measured_watts_ += rates.power->value();
    }
    if (rates.operational) {
      sobre::Add(operational_, rates.operational->mid.value());
      if (rates.live_intensity) live_ += rates.operational->mid.value();
    }
    if (!rates.requests || rates.requests->value() <= 0) return;
    sobre::Add(totals_.requests_per_hour, rates.requests->value());
    if (rates.euros) sobre::Add(serving_euros_, rates.euros->value());
    if (grams) sobre::Add(serving_grams_, grams->mid.value());
    if (rates.power) sobre::Add(serving_watts_, rates.power->value());
  }

  [[nodiscard]] RunningTotals Totals(Timestamp now) const {
    RunningTotals totals = totals_;
    totals.time = now;
    totals.eur_per_request = Per(serving_euros_, totals.requests_per_hour);
    totals.gco2e_per_request = Per(serving_grams_, totals.requests_per_hour);
    totals.watt_hours_per_request = Per(serving_watts_, totals.requests_per_hour);
    totals.measured_share = Per(measured_watts_, totals.watts);
    totals.live_share = Per(live_, operational_);
    return totals;
  }

 private:
  static std::optional<Range<GramsPerHour>> GramsOf(const PodRates& rates) {
    if (rates.operational && rates.embodied) return *rates.operational + *rates.embodied;
    return rates.operational;
  }

  RunningTotals totals_;
  double measured_watts_ = 0;
  std::optional<double> operational_;
  double live_ = 0;
  std::optional<double> serving_euros_;
  std::optional<double> serving_grams_;
  std::optional<double> serving_watts_;
};

}  // namespace

RunningTotals SumRunning(const WorldState& state, Timestamp now) {
  Attribution attribution(*state.snapshot);
  Sums sums;
  for (const auto& pod : state.input.pods) {
    const auto own = state.namespaces.find(pod->namespace_name);
    sums.Add(attribution.RatesOf(
        *pod, own == state.namespaces.end() ? state.cluster_policy : own->second));
  }
  return sums.Totals(now);
}

RunningTotals RunningView::At(const WorldState& state, Timestamp now) {
  const MutexLock lock(mutex_);
  if (IsDue(last_ ? std::optional(last_->time) : std::nullopt, kFor, now))
    last_ = SumRunning(state, now);
  return *last_;
}

}  // namespace sobre
