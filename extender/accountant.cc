#include "extender/accountant.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "base/log.h"
#include "extender/metric_families.h"

namespace sobre {
namespace {

// How long signals may take to arrive after the start.
constexpr Duration kPatience = std::chrono::minutes(2);
constexpr Duration kBetweenFolds = std::chrono::hours(1);
constexpr Duration kBetweenBudgets = std::chrono::minutes(5);
constexpr const char* kOther = "other";

// Also where the clock was set back.
bool IsDue(const std::optional<Timestamp>& last, Duration every, Timestamp now) {
  return !last || std::chrono::abs(now - *last) >= every;
}

}  // namespace

Bookkeeper::Bookkeeper(Options options, std::unique_ptr<UsageSink> sink,
                       Counterfactuals counterfactuals)
    : options_(std::move(options)),
      sink_(std::move(sink)),
      accumulator_(options_.accumulator, std::move(counterfactuals)) {}

// Rates seen before the signals would stand for all the time since the last replica stopped.
bool Bookkeeper::IsComplete(const WorldState& state, Timestamp now) {
  if (!state.ready) return false;
  const auto told =
      std::count_if(state.servers.begin(), state.servers.end(),
                    [](const ServerState& server) { return server.round_ended.has_value(); });
  if (static_cast<std::size_t>(told) >= options_.servers) return true;
  if (!incomplete_since_) incomplete_since_ = now;
  return IsDue(incomplete_since_, kPatience, now);
}

void Bookkeeper::Tick(const WorldState& state, Timestamp now) {
  complete_ = complete_ || IsComplete(state, now);
  if (complete_ && status_.holds) accumulator_.Tick(state, now);
  status_.gap = accumulator_.gap();
  status_.dropped = accumulator_.dropped();
}

void Bookkeeper::Sync(Timestamp now) {
  if (!complete_) return;
  if (!status_.holds) {
    TryToHold(now);
  } else if (unsent_ || IsDue(flushed_, options_.flush, now)) {
    if (Flush(now) && IsDue(folded_, kBetweenFolds, now)) {
      folded_ = now;
      Worked(sink_->Fold(now));
    }
  }
  if (!options_.budgets.empty() && IsDue(judged_, kBetweenBudgets, now)) JudgeTheBudgets(now);
}

void Bookkeeper::Finish(Timestamp now) {
  if (!status_.holds || !Flush(now)) return;
  const UsageSink::Accounted own{options_.holder, *status_.through};
  if (Worked(sink_->TakeOver(own, "", now))) status_.holds = false;
}

void Bookkeeper::TryToHold(Timestamp now) {
  const Result<std::optional<UsageSink::Accounted>> last = sink_->LastAccounted();
  if (!Worked(last.status())) return;
  if (*last) status_.through = (*last)->through;
  const bool ours = *last && (*last)->holder == options_.holder;
  if (*last && !ours && !(*last)->holder.empty()) {
    const bool moved =
        !seen_ || seen_->holder != (*last)->holder || seen_->through != (*last)->through;
    seen_ = *last;
    if (moved) seen_since_ = now;
    // By its clock or by ours: they may differ.
    if (now - seen_->through < options_.take_over && !IsDue(seen_since_, options_.take_over, now))
      return;
  }
  if (!ours) {
    const Status status = sink_->TakeOver(*last, options_.holder, now);
    // Another was quicker.
    if (status.code() == ErrorCode::kGone || !Worked(status)) return;
  }
  status_.holds = true;
  status_.through = *last ? (*last)->through : now;
  accumulator_.Start(*status_.through);
  flushed_ = now;
  Log(LogLevel::kInfo, "accounting for usage", {{"from", FormatTime(*status_.through)}});
}

bool Bookkeeper::Flush(Timestamp now) {
  if (unsent_ && !SendUnsent()) return false;
  if (!status_.holds) return false;
  unsent_ = accumulator_.Take();
  flushed_ = now;
  return SendUnsent();
}

bool Bookkeeper::SendUnsent() {
  Status status;
  if (unsent_->from != unsent_->to || !unsent_->rows.empty())
    status = sink_->Add(unsent_->rows, options_.holder, unsent_->from, unsent_->to);
  if (status.code() == ErrorCode::kGone) {
    // Another replica accounts, or what was thought to have failed has not.
    const Result<std::optional<UsageSink::Accounted>> last = sink_->LastAccounted();
    if (!Worked(last.status())) return false;
    const bool added =
        *last && (*last)->holder == options_.holder && (*last)->through == unsent_->to;
    if (!added) {
      status_.holds = false;
      accumulator_.Start(unsent_->to);
      unsent_.reset();
      Log(LogLevel::kWarning, "another replica accounts for usage now");
      return false;
    }
  } else if (!Worked(status)) {
    return false;
  }
  Count(unsent_->rows);
  status_.through = unsent_->to;
  unsent_.reset();
  return true;
}

void Bookkeeper::Count(const std::vector<UsageRow>& rows) {
  // The largest first, for as long as there is room for more.
  std::map<std::string_view, double> hours;
  for (const UsageRow& row : rows) hours[row.namespace_name] += row.pod_hours;
  std::vector<std::pair<double, std::string_view>> order;
  order.reserve(hours.size());
  for (const auto& [name, sum] : hours) order.emplace_back(-sum, name);
  std::sort(order.begin(), order.end());
  for (const auto& [sum, name] : order) {
    if (status_.by_namespace.size() >= kOwnNamespaces) break;
    status_.by_namespace.try_emplace(std::string(name));
  }
  for (const UsageRow& row : rows) {
    const auto own = status_.by_namespace.find(row.namespace_name);
    AccountingStatus::Totals& totals =
        own != status_.by_namespace.end() ? own->second : status_.by_namespace[kOther];
    totals.operational_g += row.operational_g;
    totals.market_g += row.market_g;
    totals.embodied_g += row.embodied_g;
    totals.eur += row.eur;
    totals.energy_kwh += row.energy_kwh;
    totals.compared_g += row.compared_g;
    totals.compared_eur += row.compared_eur;
    totals.mean_candidate_g += row.mean_candidate_g;
    totals.mean_candidate_eur += row.mean_candidate_eur;
  }
}

// What was accounted for before the last reading stays as it is.
void Bookkeeper::JudgeTheBudgets(Timestamp now) {
  if (!status_.through) return;
  const Timestamp through = *status_.through;
  Timestamp from = BudgetsReadFrom(through);
  std::erase_if(use_, [&](const DailyUse& use) { return use.day < from; });
  if (use_through_ && *use_through_ <= through)
    from = std::max<Timestamp>(from, std::chrono::floor<std::chrono::days>(*use_through_));
  const Result<std::vector<DailyUse>> use = sink_->UseByDay(from, through + std::chrono::hours(1));
  if (!Worked(use.status())) return;
  judged_ = now;
  use_through_ = through;
  std::erase_if(use_, [&](const DailyUse& old) { return old.day >= from; });
  use_.insert(use_.end(), use->begin(), use->end());
  status_.budgets = JudgeBudgets(options_.budgets, use_, through);
  for (const std::string& sentence : alarm_.NewSince(status_.budgets)) {
    if (status_.holds) Log(LogLevel::kWarning, "budget: " + sentence);
  }
}

bool Bookkeeper::Worked(const Status& status) {
  if (status.ok()) {
    if (!status_.problem.empty()) Log(LogLevel::kInfo, "accounting: the database works again");
    status_.problem.clear();
    return true;
  }
  if (status_.problem.empty()) {
    Log(LogLevel::kWarning, "accounting: the database does not work; trying again",
        {{"error", status.message()}});
  }
  status_.problem = status.message();
  return false;
}

Accountant::Accountant(const World& world, Duration every, Bookkeeper::Options options,
                       std::unique_ptr<UsageSink> sink, Counterfactuals counterfactuals)
    : world_(world),
      every_(every),
      bookkeeper_(std::move(options), std::move(sink), std::move(counterfactuals)),
      thread_([this] { Run(); }) {}

Accountant::~Accountant() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

void Accountant::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    // No state is held while the database is waited for.
    bookkeeper_.Tick(*world_.Read(), Now());
    bookkeeper_.Sync(Now());
    lock.lock();
    status_ = bookkeeper_.status();
    wake_.wait_for(lock, every_, [this] { return stop_; });
  }
  lock.unlock();
  bookkeeper_.Tick(*world_.Read(), Now());
  bookkeeper_.Finish(Now());
}

AccountingStatus Accountant::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::string Accountant::Metrics() const { return AccountingMetrics(status()); }

std::string AccountingMetrics(const AccountingStatus& status) {
  using prometheus::MetricType;
  MetricFamilies out;
  const auto counter = [&](const char* name, const char* help) {
    out.Begin(name, help, MetricType::Counter);
  };
  counter("sobre_attributed_gco2e_total",
          "gCO2e that running pods answer for, by scope: operational by location (mid), by "
          "contract, embodied.");
  for (const auto& [name, totals] : status.by_namespace) {
    out.Value(totals.operational_g, {{"scope", "operational"}, {"namespace", name}});
    out.Value(totals.market_g, {{"scope", "market"}, {"namespace", name}});
    out.Value(totals.embodied_g, {{"scope", "embodied"}, {"namespace", name}});
  }
  counter("sobre_attributed_eur_total", "Euros that running pods answer for.");
  for (const auto& [name, totals] : status.by_namespace)
    out.Value(totals.eur, {{"namespace", name}});
  counter("sobre_attributed_energy_kwh_total",
          "Energy that running pods answer for, with the data centre's overhead.");
  for (const auto& [name, totals] : status.by_namespace)
    out.Value(totals.energy_kwh, {{"namespace", name}});
  counter("sobre_placement_gco2e_total",
          "Of pods whose decision is on record: gCO2e on their node, and what the mean of the "
          "feasible candidates would have taken.");
  for (const auto& [name, totals] : status.by_namespace) {
    out.Value(totals.compared_g, {{"of", "node"}, {"namespace", name}});
    out.Value(totals.mean_candidate_g, {{"of", "mean_candidate"}, {"namespace", name}});
  }
  counter("sobre_placement_eur_total", "The same in euros.");
  for (const auto& [name, totals] : status.by_namespace) {
    out.Value(totals.compared_eur, {{"of", "node"}, {"namespace", name}});
    out.Value(totals.mean_candidate_eur, {{"of", "mean_candidate"}, {"namespace", name}});
  }
  counter("sobre_accounting_gap_seconds_total",
          "Time for which nobody accounted, and that was too long to be bridged.");
  out.Value(InSeconds(status.gap));
  counter("sobre_accounting_dropped_rows_total",
          "Pieces of usage, a pod's between two looks, for which there was no room while the "
          "database could not be written.");
  out.Value(static_cast<double>(status.dropped));
  out.Begin("sobre_accounting_holder", "1 where this replica accounts.", MetricType::Gauge);
  out.Value(status.holds ? 1 : 0);
  if (status.through) {
    out.Begin("sobre_accounted_through_timestamp_seconds",
              "Up to when usage is in the database, since 1970.", MetricType::Gauge);
    out.Value(InSeconds(status.through->time_since_epoch()));
  }
  out.Begin("sobre_budget_used_ratio", "Used of the budget in this month (UTC); 1 is all of it.",
            MetricType::Gauge);
  for (const BudgetReport& report : status.budgets)
    out.Value(report.used / report.limit, {{"budget", report.name}, {"kind", report.kind}});
  out.Begin("sobre_budget_forecast_ratio", "Forecast for the end of the month, of the budget.",
            MetricType::Gauge);
  for (const BudgetReport& report : status.budgets) {
    if (report.forecast)
      out.Value(*report.forecast / report.limit, {{"budget", report.name}, {"kind", report.kind}});
  }
  return out.Text();
}

}  // namespace sobre
