#include "extender/move_book.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/text.h"

namespace sobre {
namespace {

constexpr std::array<std::string_view, kEvictionOutcomeCount> kOutcomes = {"evicted", "refused",
                                                                           "gone", "failed"};
constexpr std::array<std::string_view, kReplacementCount> kReplacements = {"there", "elsewhere",
                                                                           "missing"};
// Looks in a row without it, until advice has expired.
constexpr int kLooksWithout = 3;
constexpr Duration kAfterFailure = std::chrono::minutes(10);
constexpr Duration kAfterSurprise = std::chrono::hours(24);
constexpr int kDigits = 3;

std::string KeyOf(const std::string& namespace_name, const std::string& workload) {
  return namespace_name + "/" + workload;
}
std::string KeyOf(const Advice& advice) { return KeyOf(advice.namespace_name, advice.workload); }

const NamespacePolicy& PolicyOf(const WorldState& state, const std::string& namespace_name) {
  const auto own = state.namespaces.find(namespace_name);
  return own == state.namespaces.end() ? state.cluster_policy : own->second;
}

void AddTo(std::optional<double>& sum, double value) { sum = sum.value_or(0) + value; }

// Adds all of them, each once; the sum of one that is unknown somewhere is not told.
class Mean {
 public:
  template <class T>
  void Add(const std::optional<T>& value) {
    if (!value) {
      known_ = false;
      return;
    }
    AddTo(sum_, value->value());
    ++count_;
  }
  [[nodiscard]] std::optional<double> Get() const {
    if (!known_ || !sum_) return std::nullopt;
    return *sum_ / static_cast<double>(count_);
  }

 private:
  bool known_ = true;
  std::optional<double> sum_;
  std::int64_t count_ = 0;
};

// "41 g CO2e less", "0.002 EUR more".
std::string Change(double saved, const char* unit) {
  return FormatSignificant(std::abs(saved), kDigits) + " " + unit + (saved < 0 ? " more" : " less");
}

std::string Saying(const Advice& advice) {
  std::string text;
  const auto add = [&](const std::optional<double>& now, const std::optional<double>& there,
                       const char* unit) {
    if (!now || !there) return;
    text += (text.empty() ? "" : ", ") + Change(*now - *there, unit);
  };
  add(advice.now_g, advice.there_g, "gCO2e");
  add(advice.now_eur, advice.there_eur, "EUR");
  return text.empty() ? "by the figures of the decision" : text + " per pod and hour";
}

// The mean of what was seen, in which what is older than `span` hardly counts.
void Blend(std::optional<double>& mean, const std::optional<double>& value, double weight) {
  if (!value) return;
  mean = mean ? *mean + (*value - *mean) * weight : *value;
}

}  // namespace

std::string_view ToString(EvictionOutcome outcome) {
  return kOutcomes[static_cast<std::size_t>(outcome)];
}
std::string_view ToString(Replacement replacement) {
  return kReplacements[static_cast<std::size_t>(replacement)];
}

void MoveBook::Restore(std::vector<Advice> advice, Timestamp now) {
  advice_ = std::move(advice);
  std::sort(advice_.begin(), advice_.end(), [](const Advice& a, const Advice& b) {
    return std::tie(a.opened, a.id) < std::tie(b.opened, b.id);
  });
  flights_.clear();
  offered_.clear();
  changed_.clear();
  last_look_.reset();
  last_eviction_ = now;
}

void MoveBook::IndexPods(const WorldState& state) {
  pods_.clear();
  place_of_.clear();
  for (const NodeRecord& node : state.snapshot->nodes())
    place_of_.emplace(node.facts->name, PlaceOf(*node.facts));
  for (const auto& pod : state.input.pods)
    pods_[KeyOf(pod->namespace_name, pod->workload)].push_back(pod);
}

const MoveBook::Pods& MoveBook::PodsOf(const Advice& advice) const {
  static const Pods kNone;
  const auto found = pods_.find(KeyOf(advice));
  return found == pods_.end() ? kNone : found->second;
}

MoveBook::Pods MoveBook::PodsIn(const Advice& advice, const std::string& place) const {
  Pods there;
  for (const auto& pod : PodsOf(advice)) {
    const auto found = place_of_.find(pod->node);
    if (!pod->deleting && found != place_of_.end() && found->second == place) there.push_back(pod);
  }
  return there;
}

Advice& MoveBook::Hold(AdviceKind kind, const std::string& namespace_name,
                       const std::string& workload, const std::string& from, const std::string& to,
                       Timestamp now, bool& is_new) {
  const std::string id = AdviceId(kind, namespace_name, workload, from, to);
  const auto found = std::find_if(advice_.begin(), advice_.end(), [&](const Advice& one) {
    return one.id == id && !IsClosed(one.state);
  });
  is_new = found == advice_.end();
  if (!is_new) return *found;
  Advice& advice = advice_.emplace_back();
  advice.id = id;
  advice.opened = now;
  advice.changed = now;
  advice.kind = kind;
  advice.namespace_name = namespace_name;
  advice.workload = workload;
  advice.from = from;
  advice.to = to;
  advice.there_before = static_cast<std::int64_t>(PodsIn(advice, to).size());
  return advice;
}

void MoveBook::Go(Advice& advice, AdviceState state, std::string note, Timestamp now) {
  advice.state = state;
  advice.changed = now;
  advice.note = std::move(note);
  Mark(advice);
}

void MoveBook::Follow(Advice& advice, MoveWish wish, Timestamp now) {
  switch (advice.state) {
    case AdviceState::kOpen:
    case AdviceState::kAccepted:
    case AdviceState::kDismissed:
      break;
    default:
      return;
  }
  AdviceState next = AdviceState::kOpen;
  if (wish == MoveWish::kAuto) next = AdviceState::kAccepted;
  if (wish == MoveWish::kNever) next = AdviceState::kDismissed;
  // Nothing is done by itself about a reservation.
  if (advice.kind == AdviceKind::kRightsizing && next == AdviceState::kAccepted)
    next = AdviceState::kOpen;
  if (next == advice.state) return;
  Go(advice, next,
     next == AdviceState::kOpen
         ? std::string()
         : std::string(kAnnotationPrefix) + "move: " + std::string(ToString(wish)),
     now);
}

namespace {

// One pod that may go is enough to begin; nobody is asked only where all say so.
MoveWish WishOf(std::span<const MoveAdvice> group) {
  const auto says = [](MoveWish wish) {
    return [wish](const MoveAdvice& one) { return one.wish == wish; };
  };
  if (std::any_of(group.begin(), group.end(), says(MoveWish::kAuto))) return MoveWish::kAuto;
  return std::all_of(group.begin(), group.end(), says(MoveWish::kNever)) ? MoveWish::kNever
                                                                         : MoveWish::kAdvise;
}

}  // namespace

void MoveBook::HoldMove(std::span<const MoveAdvice> group, Timestamp now) {
  const MoveAdvice& first = group.front();
  bool is_new = false;
  Advice& advice = Hold(AdviceKind::kMove, first.pod->namespace_name, first.pod->workload,
                        first.from, first.to, now, is_new);
  if (advice.state == AdviceState::kDone) return;
  Mean now_eur, now_g, there_eur, there_g, net_eur, net_g, cost_eur, cost_g;
  bool mean_known = true;
  bool holds = true;
  for (const MoveAdvice& one : group) {
    now_eur.Add(one.now.euros);
    now_g.Add(one.now.grams);
    there_eur.Add(one.there.euros);
    there_g.Add(one.there.grams);
    net_eur.Add(one.net_euros);
    net_g.Add(one.net_grams);
    cost_eur.Add(one.cost_euros);
    cost_g.Add(one.cost_grams);
    mean_known = mean_known && one.holds_on_mean.has_value();
    holds = holds && one.holds_on_mean.value_or(false);
  }
  advice.held = now;
  advice.pods = static_cast<std::int64_t>(group.size());
  advice.unit = ToString(first.unit);
  advice.ranked_by = ToString(first.ranked_by);
  advice.now_units = first.now.units.value();
  advice.there_units = first.there.units.value();
  advice.now_eur = now_eur.Get();
  advice.now_g = now_g.Get();
  advice.there_eur = there_eur.Get();
  advice.there_g = there_g.Get();
  advice.net_eur = net_eur.Get();
  advice.net_g = net_g.Get();
  advice.cost_eur = cost_eur.Get();
  advice.cost_g = cost_g.Get();
  advice.holds_on_mean.reset();
  if (mean_known) advice.holds_on_mean = holds ? 1 : 0;
  offered_[advice.id].assign(group.begin(), group.end());
  Follow(advice, WishOf(group), now);
  Mark(advice);
  if (!is_new || advice.state == AdviceState::kDismissed) return;
  events_.push_back({first.pod->namespace_name, first.pod->name, first.pod->uid, "MoveAdvised",
                     advice.workload + " would be better in " + advice.to + " than in " +
                         advice.from + ": " + Saying(advice),
                     false});
}

void MoveBook::HoldReservation(const WorldState& state, const RightsizingAdvice& found,
                               Timestamp now) {
  bool is_new = false;
  Advice& advice = Hold(AdviceKind::kRightsizing, found.namespace_name, found.workload, found.place,
                        found.place, now, is_new);
  if (advice.state == AdviceState::kDone) return;
  const Pods pods = PodsIn(advice, found.place);
  if (pods.empty()) return;
  constexpr double kMilli = 1000;
  advice.held = now;
  advice.pods = found.pods;
  advice.requested_vcpus = static_cast<double>(found.requested_millicpu) / kMilli;
  advice.suggested_vcpus = static_cast<double>(found.suggested_millicpu) / kMilli;
  advice.peak_vcpus = found.peak.value();
  const Means means = MeansOf(state, pods);
  advice.now_eur = means.eur;
  advice.now_g = means.grams;
  advice.net_eur.reset();
  advice.net_g.reset();
  if (found.euros) advice.net_eur = found.euros->value();
  if (found.grams) advice.net_g = found.grams->value();
  const auto less = [](const std::optional<double>& from, const std::optional<double>& by) {
    return from && by ? std::optional(*from - *by) : std::nullopt;
  };
  advice.there_eur = less(advice.now_eur, advice.net_eur);
  advice.there_g = less(advice.now_g, advice.net_g);
  const PodPlacement& first = *pods.front();
  Follow(advice, MakeRequest(first, PolicyOf(state, first.namespace_name)).policy.move, now);
  Mark(advice);
  if (!is_new || advice.state == AdviceState::kDismissed) return;
  events_.push_back({first.namespace_name, first.name, first.uid, "ReservationUnused",
                     advice.workload + " requests " + FormatSignificant(advice.requested_vcpus, 3) +
                         " vCPU and used " + FormatSignificant(advice.peak_vcpus, 3) +
                         " at most; with " + FormatSignificant(advice.suggested_vcpus, 3) + ": " +
                         Saying(advice),
                     false});
}

MoveBook::Means MoveBook::MeansOf(const WorldState& state, const Pods& pods) {
  Attribution attribution(*state.snapshot);
  Mean eur;
  Mean grams;
  for (const auto& pod : pods) {
    const PodRates& rates = attribution.RatesOf(*pod, PolicyOf(state, pod->namespace_name));
    eur.Add(rates.euros);
    std::optional<GramsPerHour> total;
    if (rates.operational) total = rates.operational->mid;
    if (total && rates.embodied) total = *total + rates.embodied->mid;
    grams.Add(total);
  }
  return {eur.Get(), grams.Get()};
}

void MoveBook::AdvanceOpen(const WorldState& state, Advice& advice, Timestamp now) {
  const bool move = advice.kind == AdviceKind::kMove;
  const Pods here = PodsIn(advice, advice.from);
  const Pods there = move ? PodsIn(advice, advice.to) : Pods();
  if (move) {
    advice.moved =
        std::max<std::int64_t>(0, static_cast<std::int64_t>(there.size()) - advice.there_before);
  }
  const bool flying = std::any_of(flights_.begin(), flights_.end(), [&](const Flight& flight) {
    return flight.eviction.id == advice.id;
  });
  const auto done = [&] {
    Go(advice, AdviceState::kDone, advice.evictions > 0 ? "by eviction" : "by others", now);
    advice.after_hours = 0;
  };
  if (move && here.empty() && !there.empty() && advice.moved > 0 && !flying) return done();
  if (!move && !here.empty()) {
    constexpr double kMilli = 1000;
    const double requested = static_cast<double>(here.front()->requests.millicpu) / kMilli;
    if (requested <= (advice.requested_vcpus + advice.suggested_vcpus) / 2) return done();
  }
  if (advice.held == now) {
    const Means means = MeansOf(state, here);
    const Duration since = last_look_ ? now - *last_look_ : Duration(0);
    const double weight = std::clamp(InSeconds(since) / InSeconds(options_.measure), 0.0, 1.0);
    Blend(advice.before_eur, means.eur, weight);
    Blend(advice.before_g, means.grams, weight);
    return;
  }
  // After a start nothing is known of what pods use for so long.
  if (!move && !here.empty() && now - start_ <= options_.watch) return;
  if (flying || now - advice.held < options_.every * kLooksWithout) return;
  if (advice.moved > 0) return done();
  Go(advice, AdviceState::kExpired,
     PodsOf(advice).empty() ? "the workload is gone"
     : here.empty()         ? "its pods run elsewhere"
                            : "it holds no longer",
     now);
}

void MoveBook::Advance(const WorldState& state, Advice& advice, Timestamp now) {
  if (IsClosed(advice.state)) return;
  if (advice.state != AdviceState::kDone) return AdvanceOpen(state, advice, now);
  const Pods there = PodsIn(advice, advice.to);
  const double hours = last_look_ ? InHours(now - std::max(*last_look_, advice.changed)) : 0;
  if (!there.empty() && hours > 0) {
    const Means means = MeansOf(state, there);
    const double weight = hours / (advice.after_hours + hours);
    Blend(advice.after_eur, means.eur, weight);
    Blend(advice.after_g, means.grams, weight);
    advice.after_hours += hours;
    Mark(advice);
  }
  if (now - advice.changed < options_.measure) return;
  if (advice.after_hours > 0) return Go(advice, AdviceState::kMeasured, advice.note, now);
  // Nobody was there to be measured.
  if (now - advice.changed >= 2 * options_.measure)
    Go(advice, AdviceState::kExpired, "its pods were gone before they could be measured", now);
}

void MoveBook::LandFlights(Timestamp now) {
  std::erase_if(flights_, [&](const Flight& flight) {
    const Eviction& eviction = flight.eviction;
    const std::string key = KeyOf(eviction.namespace_name, eviction.workload);
    const auto found = pods_.find(key);
    const PodPlacement* fresh = nullptr;
    bool old_is_there = false;
    if (found != pods_.end()) {
      for (const auto& pod : found->second) {
        old_is_there = old_is_there || pod->uid == eviction.uid;
        if (!flight.known.contains(pod->uid) && pod->ready && !pod->deleting) fresh = pod.get();
      }
    }
    const bool landed = fresh != nullptr && !old_is_there;
    if (!landed && now - flight.since < options_.replaced_within) return false;
    Replacement replacement = Replacement::kMissing;
    std::string note = "the evicted pod was not replaced in time";
    if (landed) {
      const auto place = place_of_.find(fresh->node);
      const std::string where = place == place_of_.end() ? std::string() : place->second;
      replacement = where == eviction.to ? Replacement::kThere : Replacement::kElsewhere;
      note = "its replacement was placed in " + (where.empty() ? "an unknown place" : where);
    }
    ++replaced_[static_cast<std::size_t>(replacement)];
    if (replacement == Replacement::kThere) return true;
    // Whoever places it does not follow our scores: it is not tried again soon.
    blocked_[key] = now + std::max(kAfterSurprise, options_.min_time_between);
    for (Advice& advice : advice_) {
      if (advice.id != eviction.id || IsClosed(advice.state)) continue;
      advice.note = note;
      Mark(advice);
    }
    return true;
  });
  std::erase_if(blocked_, [&](const auto& entry) { return entry.second <= now; });
}

void MoveBook::Update(const WorldState& state, std::span<const MoveAdvice> moves,
                      std::span<const RightsizingAdvice> reservations, Timestamp now) {
  IndexPods(state);
  offered_.clear();
  LandFlights(now);
  // Those of one workload stand together, but its places may alternate.
  std::map<std::string, std::vector<MoveAdvice>> groups;
  for (const MoveAdvice& one : moves) {
    groups[AdviceId(AdviceKind::kMove, one.pod->namespace_name, one.pod->workload, one.from,
                    one.to)]
        .push_back(one);
  }
  for (const auto& [id, group] : groups) HoldMove(group, now);
  for (const RightsizingAdvice& one : reservations) HoldReservation(state, one, now);
  for (Advice& advice : advice_) Advance(state, advice, now);
  last_look_ = now;
  Forget(now);
}

std::string MoveBook::WhyNot(const Advice& advice, Timestamp now,
                             std::shared_ptr<const PodPlacement>& pod) const {
  const std::string key = KeyOf(advice);
  if (const auto blocked = blocked_.find(key); blocked != blocked_.end())
    return "waits until " + FormatTime(blocked->second) +
           (advice.note.empty() || advice.note.starts_with("waits") ? "" : ": " + advice.note);
  if (!advice.holds_on_mean) return "waits: the mean of its places is not known for long enough";
  if (*advice.holds_on_mean == 0) return "waits: it does not hold at the mean of its places";
  for (const Flight& flight : flights_) {
    if (KeyOf(flight.eviction.namespace_name, flight.eviction.workload) == key)
      return "waits: the replacement of " + flight.eviction.pod + " is not ready";
  }
  for (const Advice& other : advice_) {
    if (other.id != advice.id && KeyOf(other) == key && other.evictions > 0 &&
        now - other.last_eviction < options_.min_time_between)
      return "waits: it was moved " + FormatAge(now - other.last_eviction) + " ago";
  }
  const Pods& all = PodsOf(advice);
  if (std::any_of(all.begin(), all.end(),
                  [](const auto& one) { return one->deleting || !one->ready; }))
    return "waits: not all of its pods are ready";
  const auto offered = offered_.find(advice.id);
  if (offered == offered_.end()) return "waits: it does not hold at this moment";
  std::string why = "waits";
  for (const MoveAdvice& one : offered->second) {
    if (one.wish != MoveWish::kAuto) {
      why = "waits: its other pods do not say sobre.dev/move: auto";
    } else if (one.pod->owner != PodOwner::kController) {
      why = "waits: nothing would make its pods anew";
    } else if (now - one.pod->started < options_.min_time_between) {
      why = "waits: its pods have run for less than " + FormatAge(options_.min_time_between);
    } else {
      pod = one.pod;
      return {};
    }
  }
  return why;
}

std::optional<MoveBook::Eviction> MoveBook::NextEviction(Timestamp now) {
  if (!options_.evict) return std::nullopt;
  const Duration between = Duration(std::chrono::hours(1)) / options_.max_evictions_per_hour;
  std::optional<Eviction> next;
  std::optional<double> best;
  for (Advice& advice : advice_) {
    if (advice.kind != AdviceKind::kMove || advice.state != AdviceState::kAccepted) continue;
    std::shared_ptr<const PodPlacement> pod;
    std::string why = WhyNot(advice, now, pod);
    if (!why.empty()) {
      advice.note = std::move(why);
      continue;
    }
    // What saves most goes first.
    const double gain = advice.net_g.value_or(0);
    if (best && gain <= *best) continue;
    best = gain;
    next =
        Eviction{advice.id, advice.namespace_name, advice.workload, pod->name, pod->uid, advice.to};
  }
  if (now - last_eviction_ < between) return std::nullopt;
  return next;
}

void MoveBook::Tried(const Eviction& eviction, EvictionOutcome outcome, const std::string& problem,
                     Timestamp now) {
  ++tried_[static_cast<std::size_t>(outcome)];
  const std::string key = KeyOf(eviction.namespace_name, eviction.workload);
  const auto advice = std::find_if(advice_.begin(), advice_.end(), [&](const Advice& one) {
    return one.id == eviction.id && !IsClosed(one.state);
  });
  // Whether one that failed took place is not known.
  if (outcome == EvictionOutcome::kFailed) last_eviction_ = now;
  if (outcome != EvictionOutcome::kEvicted) {
    blocked_[key] = now + (outcome == EvictionOutcome::kFailed ? kAfterFailure : options_.every);
    if (advice != advice_.end()) advice->note = problem;
    return;
  }
  last_eviction_ = now;
  Flight flight{eviction, now, {}};
  for (const auto& pod : pods_[key]) flight.known.insert(pod->uid);
  flights_.push_back(std::move(flight));
  if (advice == advice_.end()) return;
  ++advice->evictions;
  advice->last_eviction = now;
  advice->note = eviction.pod + " was evicted";
  Mark(*advice);
  events_.push_back({eviction.namespace_name, eviction.pod, eviction.uid, "MoveEvicted",
                     "evicted to be placed anew: " + advice->to + " is better than " +
                         advice->from + ", " + Saying(*advice),
                     false});
}

void MoveBook::Forget(Timestamp now) {
  const Duration keep = std::max(options_.keep, options_.min_time_between);
  std::erase_if(advice_, [&](const Advice& advice) {
    return IsClosed(advice.state) && now - advice.changed > keep;
  });
  // Of which nothing came: no rule asks for it any more.
  std::vector<Timestamp> expired;
  const auto came_to_nothing = [](const Advice& advice) {
    return advice.state == AdviceState::kExpired && advice.evictions == 0;
  };
  for (const Advice& advice : advice_)
    if (came_to_nothing(advice)) expired.push_back(advice.changed);
  if (expired.size() <= options_.most_expired) return;
  const auto oldest_kept = expired.end() - static_cast<std::ptrdiff_t>(options_.most_expired);
  std::nth_element(expired.begin(), oldest_kept, expired.end());
  const Timestamp from = options_.most_expired == 0 ? Timestamp::max() : *oldest_kept;
  std::erase_if(advice_, [&](const Advice& advice) {
    return came_to_nothing(advice) && advice.changed < from;
  });
}

std::vector<Advice> MoveBook::TakeChanged() {
  std::vector<Advice> changed;
  for (const Advice& advice : advice_) {
    if (changed_.contains({advice.id, advice.opened})) changed.push_back(advice);
  }
  changed_.clear();
  return changed;
}

std::vector<PodEvent> MoveBook::TakeEvents() { return std::exchange(events_, {}); }

}  // namespace sobre
