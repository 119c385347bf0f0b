#include "scoring/policy.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/text.h"
#include "scoring/policy_keys.h"

namespace sobre {
namespace {

constexpr std::array<std::pair<std::string_view, Objective>, 4> kObjectives = {{
    {"balanced", Objective::kBalanced},
    {"carbon", Objective::kCarbon},
    {"cost", Objective::kCost},
    {"priced", Objective::kPriced},
}};

constexpr std::array<std::pair<std::string_view, FunctionalUnit>, 4> kUnits = {{
    {"pod-hour", FunctionalUnit::kPodHour},
    {"request", FunctionalUnit::kRequest},
    {"1k-tokens", FunctionalUnit::kThousandTokens},
    {"run", FunctionalUnit::kRun},
}};

constexpr std::array<std::pair<std::string_view, Bound>, 2> kBounds = {{
    {"demand", Bound::kDemand},
    {"throughput", Bound::kThroughput},
}};

constexpr std::array<std::pair<std::string_view, Exposure>, 3> kExposures = {{
    {"none-attested", Exposure::kNoneAttested},
    {"contested", Exposure::kContested},
    {"exposed", Exposure::kExposed},
}};

constexpr std::array<std::pair<std::string_view, Mode>, 3> kModes = {{
    {"enforce", Mode::kEnforce},
    {"shadow", Mode::kShadow},
    {"off", Mode::kOff},
}};

constexpr std::array<std::pair<std::string_view, MoveWish>, 3> kMoveWishes = {{
    {"advise", MoveWish::kAdvise},
    {"auto", MoveWish::kAuto},
    {"never", MoveWish::kNever},
}};

constexpr std::array<std::pair<std::string_view, Origin>, 4> kOrigins = {{
    {"default", Origin::kDefault},
    {"cluster", Origin::kCluster},
    {"namespace", Origin::kNamespace},
    {"pod", Origin::kPod},
}};

constexpr std::string_view kEnforced = "enforced";
// These say nothing of a decision, so they are no keys of a policy that could be enforced.
constexpr std::string_view kMove = "move";
constexpr std::string_view kMoveGb = "move-gb";
// Checksums of its configuration, by which a Deployment restarts.
constexpr std::string_view kConfig = "config";

// The keys of a policy in the order of PolicyKey, then the others.
constexpr std::array<KnownKey, kPolicyKeyCount + 4> kKnownKeys = {{
    {"objective", KeyKind::kPreference},
    {"cost-tolerance", KeyKind::kPreference},
    {"carbon-price", KeyKind::kPreference},
    {"unit", KeyKind::kPreference},
    {"requests-per-second", KeyKind::kPreference},
    {"tokens-per-second", KeyKind::kPreference},
    {"request-source", KeyKind::kPreference},
    {"bound", KeyKind::kPreference},
    {"data-region", KeyKind::kPreference},
    {"egress-gb-per-unit", KeyKind::kPreference},
    {"model", KeyKind::kPreference},
    {"expected-utilization", KeyKind::kPreference},
    {"expected-duration", KeyKind::kPreference},
    {"max-gco2e-per-unit", KeyKind::kLimit},
    {"max-eur-per-unit", KeyKind::kLimit},
    {"allowed-countries", KeyKind::kLimit},
    {"allowed-regions", KeyKind::kLimit},
    {"denied-operators", KeyKind::kLimit},
    {"required-certifications", KeyKind::kLimit},
    {"max-exposure", KeyKind::kLimit},
    {"defer-below-gco2e-per-kwh", KeyKind::kPreference},
    {"max-delay", KeyKind::kPreference},
    {"deadline", KeyKind::kPreference},
    {"mode", KeyKind::kPreference},
    {kEnforced, KeyKind::kEnforced},
    {kMove, KeyKind::kPreference},
    {kMoveGb, KeyKind::kPreference},
    {kConfig, KeyKind::kOwn},
}};
constexpr std::array<std::string_view, kKnownKeys.size()> kKnownNames = [] {
  std::array<std::string_view, kKnownKeys.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kKnownKeys[i].name;
  return names;
}();
constexpr std::span<const std::string_view> kPolicyNames =
    std::span(kKnownNames).first(kPolicyKeyCount);
// Labels of namespaces, which somebody may take for annotations.
constexpr std::array<std::string_view, 2> kNamespaceLabels = {"placement", "limits"};

constexpr std::array<std::string_view, 27> kEuropeanUnion = {
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
    "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"};
constexpr std::array<std::string_view, 3> kFreeTrade = {"IS", "LI", "NO"};

// Longer lists are no policy but an attack.
constexpr std::size_t kLongestList = 300;
// Nor are so many annotations that cannot be followed; the others are counted.
constexpr std::size_t kMostProblems = 20;

template <class Names, class T>
std::string_view NameOf(const Names& names, T value) {
  for (const auto& [name, each] : names) {
    if (each == value) return name;
  }
  return "";
}

std::string Quoted(std::string_view value) { return "'" + Printable(value, 40) + "'"; }

template <class Names, class T>
std::string SetName(const Names& names, std::string_view value, T& out) {
  std::string known;
  for (const auto& [name, each] : names) {
    if (name == Trim(value)) {
      out = each;
      return {};
    }
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  return Quoted(value) + " is none of " + known;
}

// Sets `out` from a number between the bounds, or says what is wrong with it.
template <class T>
std::string SetNumber(std::string_view value, double lowest, double highest, double scale, T& out) {
  const std::optional<double> number = ParseNumber(Trim(value));
  if (!number || *number < lowest || *number > highest) {
    return Quoted(value) + " is not a number from " + FormatNumber(lowest) + " to " +
           FormatNumber(highest);
  }
  if constexpr (requires { out.emplace(*number * scale); }) {
    out.emplace(*number * scale);
  } else {
    out = T(*number * scale);
  }
  return {};
}

std::string ReadDuration(std::string_view value, std::optional<Duration>& out) {
  const std::optional<Duration> duration = ParseDuration(Trim(value));
  if (!duration || *duration <= Duration(0))
    return Quoted(value) + " is no duration, such as 30s or 2h";
  out = duration;
  return {};
}

// Names go on into metrics, databases and other people's terminals.
std::string Unshowable(std::string_view name) {
  return IsPrintable(name) ? std::string()
                           : Quoted(name) + " has control characters, or is no UTF-8";
}

std::string SetWord(std::string_view value, std::string& out) {
  constexpr std::size_t kLongest = 253;
  if (Trim(value).empty() || value.size() > kLongest) return "a name of 1 to 253 bytes is expected";
  if (std::string wrong = Unshowable(Trim(value)); !wrong.empty()) return wrong;
  out = Trim(value);
  return {};
}

// The trimmed parts of a list, none of them empty.
std::string ReadList(std::string_view value, std::vector<std::string_view>& out) {
  for (const std::string_view part : Split(value, ',')) {
    const std::string_view item = Trim(part);
    if (item.empty()) return Quoted(value) + " has an empty entry";
    if (out.size() == kLongestList) return "the list has over 300 entries";
    if (std::string wrong = Unshowable(item); !wrong.empty()) return wrong;
    out.push_back(item);
  }
  return {};
}

void SortUnique(std::vector<std::string>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

// `names` gets those that were written, without what sets stand for.
std::string SetCountries(std::string_view value, std::vector<std::string>& countries,
                         std::vector<std::string>& names) {
  std::vector<std::string_view> items;
  if (std::string wrong = ReadList(value, items); !wrong.empty()) return wrong;
  for (const std::string_view item : items) {
    std::string code = ToUpper(item);
    const bool union_only = code == "EU";
    if (union_only || code == "EEA") {
      countries.insert(countries.end(), kEuropeanUnion.begin(), kEuropeanUnion.end());
      if (!union_only) countries.insert(countries.end(), kFreeTrade.begin(), kFreeTrade.end());
      continue;
    }
    if (code == "UK") return "'UK' is no country code; did you mean 'GB'?";
    if (code == "EL") return "'EL' is no country code; did you mean 'GR'?";
    const bool letters =
        std::all_of(code.begin(), code.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (code.size() != 2 || !letters)
      return Quoted(item) + " is no country of two letters, nor EU or EEA";
    names.push_back(code);
    countries.push_back(std::move(code));
  }
  SortUnique(countries);
  return {};
}

// In lower case: providers do not tell two regions apart by it, and people mix it up.
std::string SetRegions(std::string_view value, std::vector<std::string>& regions) {
  std::vector<std::string_view> items;
  if (std::string wrong = ReadList(value, items); !wrong.empty()) return wrong;
  for (const std::string_view item : items) {
    const std::size_t slash = item.find('/');
    if (slash == 0 || slash == std::string_view::npos || slash + 1 == item.size() ||
        item.find('/', slash + 1) != std::string_view::npos)
      return Quoted(item) + " is no provider/region, such as aws/eu-west-3";
    regions.push_back(ToLower(item));
  }
  SortUnique(regions);
  return {};
}

std::string SetNames(std::string_view value, std::vector<std::string>& names) {
  std::vector<std::string_view> items;
  if (std::string wrong = ReadList(value, items); !wrong.empty()) return wrong;
  for (const std::string_view item : items) names.emplace_back(item);
  SortUnique(names);
  return {};
}

std::string SetDataRegion(std::string_view value, std::optional<RegionName>& out) {
  const std::vector<std::string_view> parts = Split(Trim(value), '/');
  if (parts.size() != 2 || parts[0].empty() || parts[1].empty())
    return Quoted(value) + " is no provider/region, such as aws/eu-west-3";
  if (std::string wrong = Unshowable(Trim(value)); !wrong.empty()) return wrong;
  out = RegionName{std::string(parts[0]), std::string(parts[1])};
  return {};
}

// The sentence that says why the preference cannot be followed; empty where it was.
std::string Apply(PolicyKey key, std::string_view value, Policy& policy) {
  switch (key) {
    case PolicyKey::kObjective:
      return SetName(kObjectives, value, policy.objective);
    case PolicyKey::kCostTolerance:
      return SetNumber(value, 0, 1000, 0.01, policy.cost_tolerance);
    case PolicyKey::kCarbonPrice:
      return SetNumber(value, 0, 1e6, 1, policy.carbon_price);
    case PolicyKey::kUnit:
      return SetName(kUnits, value, policy.unit);
    case PolicyKey::kRequestsPerSecond:
      return SetNumber(value, 1e-6, 1e9, 3600, policy.requests);
    case PolicyKey::kTokensPerSecond:
      return SetNumber(value, 1e-6, 1e9, 3600, policy.tokens);
    case PolicyKey::kRequestSource:
      return SetWord(value, policy.request_source);
    case PolicyKey::kBound:
      return SetName(kBounds, value, policy.bound);
    case PolicyKey::kDataRegion:
      return SetDataRegion(value, policy.data_region);
    case PolicyKey::kEgressGbPerUnit:
      return SetNumber(value, 0, 1e6, 1, policy.egress);
    case PolicyKey::kModel:
      return SetWord(value, policy.model);
    case PolicyKey::kExpectedUtilization:
      return SetNumber(value, 0, 1, 1, policy.expected_utilization);
    case PolicyKey::kExpectedDuration: {
      std::optional<Duration> duration;
      if (std::string wrong = ReadDuration(value, duration); !wrong.empty()) return wrong;
      policy.expected_duration = Hours(static_cast<double>(duration->count()) / 3'600'000.0);
      return {};
    }
    case PolicyKey::kDeferBelowGco2ePerKwh:
      return SetNumber(value, 0, 2000, 1, policy.deferral.below);
    case PolicyKey::kMaxDelay:
      return ReadDuration(value, policy.deferral.max_delay);
    case PolicyKey::kDeadline: {
      const std::optional<Timestamp> time = ParseTime(Trim(value));
      if (!time) return Quoted(value) + " is no time in RFC 3339, such as 2026-11-23T00:00:00Z";
      policy.deferral.deadline = time;
      return {};
    }
    case PolicyKey::kMode:
      return SetName(kModes, value, policy.mode);
    default:  // limits
      return {};
  }
}

// Whether both say the same of a preference.
bool Agree(PolicyKey key, const Policy& a, const Policy& b) {
  switch (key) {
    case PolicyKey::kObjective:
      return a.objective == b.objective;
    case PolicyKey::kCostTolerance:
      return a.cost_tolerance == b.cost_tolerance;
    case PolicyKey::kCarbonPrice:
      return a.carbon_price == b.carbon_price;
    case PolicyKey::kUnit:
      return a.unit == b.unit;
    case PolicyKey::kRequestsPerSecond:
      return a.requests == b.requests;
    case PolicyKey::kTokensPerSecond:
      return a.tokens == b.tokens;
    case PolicyKey::kRequestSource:
      return a.request_source == b.request_source;
    case PolicyKey::kBound:
      return a.bound == b.bound;
    case PolicyKey::kDataRegion:
      return a.data_region == b.data_region;
    case PolicyKey::kEgressGbPerUnit:
      return a.egress == b.egress;
    case PolicyKey::kModel:
      return a.model == b.model;
    case PolicyKey::kExpectedUtilization:
      return a.expected_utilization == b.expected_utilization;
    case PolicyKey::kExpectedDuration:
      return a.expected_duration == b.expected_duration;
    case PolicyKey::kDeferBelowGco2ePerKwh:
      return a.deferral.below == b.deferral.below;
    case PolicyKey::kMaxDelay:
      return a.deferral.max_delay == b.deferral.max_delay;
    case PolicyKey::kDeadline:
      return a.deferral.deadline == b.deferral.deadline;
    case PolicyKey::kMode:
      return a.mode == b.mode;
    default:  // limits
      return false;
  }
}

// The limit alone, as one voice says it; the sentence says why it cannot be read. The unit of a
// budget is not known yet.
std::string ReadLimit(PolicyKey key, std::string_view value, Limits& said, LimitSource& source) {
  switch (key) {
    case PolicyKey::kMaxGco2ePerUnit:
      return SetNumber(value, 0, 1e12, 1, said.max_grams.emplace_back().most);
    case PolicyKey::kMaxEurPerUnit:
      return SetNumber(value, 0, 1e12, 1, said.max_euros.emplace_back().most);
    case PolicyKey::kAllowedCountries:
      return SetCountries(value, said.countries.emplace(), source.names);
    case PolicyKey::kAllowedRegions: {
      std::string wrong = SetRegions(value, said.regions.emplace());
      source.names = *said.regions;
      return wrong;
    }
    case PolicyKey::kDeniedOperators: {
      std::string wrong = SetNames(value, said.denied_operators);
      source.names = said.denied_operators;
      return wrong;
    }
    case PolicyKey::kRequiredCertifications: {
      std::string wrong = SetNames(value, said.certifications);
      source.names = said.certifications;
      return wrong;
    }
    case PolicyKey::kMaxExposure:
      return SetName(kExposures, value, said.max_exposure.emplace());
    default:
      return {};
  }
}

// What a limit leaves of what another says.
enum class Narrowed {
  kNo,        // all of it
  kPartly,    // the tighter holds
  kToNothing  // no node can keep both
};

using NameList = std::vector<std::string>;

Narrowed Intersect(const NameList& said, std::optional<NameList>& held) {
  if (!held) {
    held = said;
    return Narrowed::kNo;
  }
  NameList both;
  std::set_intersection(said.begin(), said.end(), held->begin(), held->end(),
                        std::back_inserter(both));
  held = std::move(both);
  if (held->empty()) return Narrowed::kToNothing;
  return *held == said ? Narrowed::kNo : Narrowed::kPartly;
}

void Unite(const NameList& said, NameList& held) {
  held.insert(held.end(), said.begin(), said.end());
  SortUnique(held);
}

// Budgets of other units are judged beside it.
template <class PerUnit>
Narrowed Add(const std::vector<UnitBudget<PerUnit>>& said, std::vector<UnitBudget<PerUnit>>& held) {
  Narrowed narrowed = Narrowed::kNo;
  for (const UnitBudget<PerUnit>& budget : said) {
    for (const UnitBudget<PerUnit>& other : held)
      if (other.unit == budget.unit && other.most < budget.most) narrowed = Narrowed::kPartly;
    held.push_back(budget);
  }
  return narrowed;
}

Narrowed Tighten(PolicyKey key, const Limits& said, Limits& held) {
  switch (key) {
    case PolicyKey::kMaxGco2ePerUnit:
      return Add(said.max_grams, held.max_grams);
    case PolicyKey::kMaxEurPerUnit:
      return Add(said.max_euros, held.max_euros);
    case PolicyKey::kAllowedCountries:
      return Intersect(*said.countries, held.countries);
    case PolicyKey::kAllowedRegions:
      return Intersect(*said.regions, held.regions);
    case PolicyKey::kDeniedOperators:
      Unite(said.denied_operators, held.denied_operators);
      return Narrowed::kNo;
    case PolicyKey::kRequiredCertifications:
      Unite(said.certifications, held.certifications);
      return Narrowed::kNo;
    case PolicyKey::kMaxExposure: {
      const bool looser = held.max_exposure && *held.max_exposure < *said.max_exposure;
      if (!looser) held.max_exposure = said.max_exposure;
      return looser ? Narrowed::kPartly : Narrowed::kNo;
    }
    default:
      return Narrowed::kNo;
  }
}

// All that was said of the key so far is enforced from now on.
template <class PerUnit>
void Enforce(std::vector<UnitBudget<PerUnit>>& all, std::vector<UnitBudget<PerUnit>>& enforced) {
  for (UnitBudget<PerUnit>& budget : all) budget.enforced = true;
  enforced = all;
}
void Enforce(PolicyKey key, Policy& policy) {
  Limits& all = policy.limits;
  Limits& enforced = policy.enforced;
  switch (key) {
    case PolicyKey::kMaxGco2ePerUnit:
      Enforce(all.max_grams, enforced.max_grams);
      break;
    case PolicyKey::kMaxEurPerUnit:
      Enforce(all.max_euros, enforced.max_euros);
      break;
    case PolicyKey::kAllowedCountries:
      enforced.countries = all.countries;
      break;
    case PolicyKey::kAllowedRegions:
      enforced.regions = all.regions;
      break;
    case PolicyKey::kDeniedOperators:
      enforced.denied_operators = all.denied_operators;
      break;
    case PolicyKey::kRequiredCertifications:
      enforced.certifications = all.certifications;
      break;
    case PolicyKey::kMaxExposure:
      enforced.max_exposure = all.max_exposure;
      break;
    default:
      return;
  }
  std::erase_if(enforced.sources, [key](const LimitSource& source) { return source.key == key; });
  for (LimitSource& source : all.sources) {
    if (source.key != key) continue;
    source.enforced = true;
    enforced.sources.push_back(source);
  }
}

std::optional<PolicyKey> FindKey(std::string_view name) {
  const auto found = std::find(kPolicyNames.begin(), kPolicyNames.end(), name);
  if (found == kPolicyNames.end()) return std::nullopt;
  return static_cast<PolicyKey>(found - kPolicyNames.begin());
}

// As it stands on the object.
std::string NameOfAnnotation(std::string_view key) {
  const bool has_prefix = key.find('/') != std::string_view::npos;
  return (has_prefix ? "" : std::string(kAnnotationPrefix)) + Printable(key, 63);
}

// "; did you mean 'x'?", or nothing.
std::string WhatWasMeant(std::string_view key) {
  const std::size_t slash = key.find('/');
  if (slash != std::string_view::npos) {
    const std::string_view name = key.substr(slash + 1);
    const bool known = std::find(kKnownNames.begin(), kKnownNames.end(), name) != kKnownNames.end();
    return "; the prefix is " + std::string(kAnnotationPrefix) + ", in lower case" +
           (known ? "" : DidYouMean(name, kKnownNames));
  }
  if (std::find(kNamespaceLabels.begin(), kNamespaceLabels.end(), key) != kNamespaceLabels.end())
    return "; it is a label of namespaces";
  return DidYouMean(key, kKnownNames);
}

// One voice as it is laid over the farther ones.
class Voice {
 public:
  Voice(Origin origin, std::string_view owner, Policy& policy, std::vector<std::string>& problems)
      : origin_(origin),
        owner_(owner),
        policy_(policy),
        problems_(problems),
        // This one's own marks bind only those that come nearer.
        before_(policy.origins) {
    if (origin == Origin::kPod && policy.enforced.HasBudget())
      policy.terms_before_pod = static_cast<const WorkTerms&>(policy);
  }

  void Speak(const Annotations& annotations) {
    for (const Annotation& annotation : annotations)
      if (annotation.key == kEnforced) ReadEnforced(annotation);
    // Budgets are counted in the unit that the voice says somewhere, so limits come last.
    for (const Annotation& annotation : annotations)
      if (!IsLimit(annotation)) Follow(annotation);
    for (const Annotation& annotation : annotations)
      if (IsLimit(annotation)) FollowLimit(*FindKey(annotation.key), annotation);
    for (std::size_t i = 0; i < kPolicyKeyCount; ++i) {
      KeyOrigin& key = policy_.origins[i];
      if (!enforces_[i]) continue;
      if (!key.enforced) key.enforced_by = origin_;
      key.enforced = true;
      Enforce(static_cast<PolicyKey>(i), policy_);
    }
    if (untold_ > 0) {
      problems_.push_back(std::string(owner_) + ": " + std::to_string(untold_) +
                          " more annotations cannot be followed");
    }
  }

 private:
  static bool IsLimit(const Annotation& annotation) {
    const std::optional<PolicyKey> key = FindKey(annotation.key);
    return key && IsHardLimit(*key);
  }

  // As `enforced` lists it; a word there that nobody knows is a limit that was to hold.
  void ReadEnforced(const Annotation& annotation) {
    if (origin_ == Origin::kPod)
      return Tell(annotation, "only a namespace or the cluster can enforce");
    std::vector<std::string_view> items;
    if (std::string wrong = ReadList(annotation.value, items); !wrong.empty())
      return CannotRead(annotation, wrong, true);
    for (const std::string_view item : items) {
      const std::optional<PolicyKey> key = FindKey(item);
      if (key) {
        enforces_[static_cast<std::size_t>(*key)] = true;
      } else {
        CannotRead(annotation, Quoted(item) + " is no key" + DidYouMean(item, kPolicyNames), true);
      }
    }
  }

  void Follow(const Annotation& annotation) {
    const std::string& name = annotation.key;
    if (name == kEnforced || name == kConfig) return;
    std::string wrong;
    if (const std::optional<PolicyKey> key = FindKey(name)) {
      wrong = Prefer(*key, annotation.value);
    } else if (name == kMove) {
      wrong = SetName(kMoveWishes, annotation.value, policy_.move);
    } else if (name == kMoveGb) {
      wrong = SetNumber(annotation.value, 0, 1e6, 1, policy_.move_data);
    } else {
      if (told_ >= kMostProblems && !policy_.limits.unreadable.empty()) {
        ++untold_;
        return;
      }
      // Whoever misspells a limit wants one, and how far a word may be from it nobody knows.
      return CannotRead(annotation, "unknown annotation" + WhatWasMeant(name), MayBind(name));
    }
    if (!wrong.empty()) Tell(annotation, wrong);
  }

  // Whether an unknown name may be of a limit that was to hold for whoever comes nearer: of a voice
  // that enforces, or that misspelt the word for it.
  [[nodiscard]] bool MayBind(std::string_view name) const {
    if (origin_ == Origin::kPod) return false;
    constexpr std::array<std::string_view, 1> kWord = {kEnforced};
    return NearestName(name, kWord).has_value() ||
           std::find(enforces_.begin(), enforces_.end(), true) != enforces_.end();
  }

  std::string Prefer(PolicyKey key, std::string_view value) {
    const KeyOrigin& held = before_[static_cast<std::size_t>(key)];
    if (!held.enforced) {
      std::string wrong = Apply(key, value, policy_);
      if (wrong.empty()) policy_.origins[static_cast<std::size_t>(key)].origin = origin_;
      return wrong;
    }
    Policy next;
    std::string wrong = Apply(key, value, next);
    if (!wrong.empty() || Agree(key, next, policy_)) return wrong;
    return Quoted(value) + " is not what the " + std::string(ToString(held.enforced_by)) +
           " enforces, and is not followed";
  }

  void FollowLimit(PolicyKey key, const Annotation& annotation) {
    Limits said;
    LimitSource source{key, origin_, false, Printable(Trim(annotation.value), kLongestShown), {}};
    const bool enforced = enforces_[static_cast<std::size_t>(key)];
    if (const std::string wrong = ReadLimit(key, annotation.value, said, source); !wrong.empty())
      return CannotRead(annotation, wrong, enforced);
    for (auto& budget : said.max_grams) budget = {budget.most, policy_.unit, origin_, false};
    for (auto& budget : said.max_euros) budget = {budget.most, policy_.unit, origin_, false};
    const Narrowed narrowed = Tighten(key, said, policy_.limits);
    if (narrowed != Narrowed::kNo) Tell(annotation, WhyNarrower(key, annotation.value, narrowed));
    policy_.limits.sources.push_back(std::move(source));
    policy_.origins[static_cast<std::size_t>(key)].origin = origin_;
  }

  // Who else said something of the limit, and what.
  [[nodiscard]] std::string WhyNarrower(PolicyKey key, std::string_view value,
                                        Narrowed narrowed) const {
    std::string others;
    for (const LimitSource& source : policy_.limits.sources) {
      if (source.key != key) continue;
      others += (others.empty() ? "what the " : ", and what the ") +
                std::string(ToString(source.origin)) + (source.enforced ? " enforces" : " says") +
                " ('" + source.text + "')";
    }
    if (narrowed == Narrowed::kToNothing)
      return Quoted(value) + " and " + others + " have nothing in common: no node can keep both";
    return Quoted(value) + " is looser than " + others + ": the tighter holds";
  }

  // Of many problems a few are told, but a limit always refuses.
  void CannotRead(const Annotation& annotation, const std::string& wrong, bool enforced) {
    std::string sentence = Sentence(annotation, wrong);
    if (enforced && policy_.enforced.unreadable.size() < kMostProblems)
      policy_.enforced.unreadable.push_back(sentence);
    if (told_ < kMostProblems || policy_.limits.unreadable.empty())
      policy_.limits.unreadable.push_back(sentence);
    Tell(std::move(sentence));
  }
  void Tell(const Annotation& annotation, const std::string& wrong) {
    Tell(Sentence(annotation, wrong));
  }
  void Tell(std::string sentence) {
    if (told_ >= kMostProblems) {
      ++untold_;
      return;
    }
    ++told_;
    problems_.push_back(std::move(sentence));
  }
  [[nodiscard]] std::string Sentence(const Annotation& annotation, const std::string& wrong) const {
    return std::string(owner_) + ": " + NameOfAnnotation(annotation.key) + ": " + wrong;
  }

  static constexpr std::size_t kLongestShown = 200;

  const Origin origin_;
  const std::string_view owner_;
  Policy& policy_;
  std::vector<std::string>& problems_;
  const std::array<KeyOrigin, kPolicyKeyCount> before_;
  std::array<bool, kPolicyKeyCount> enforces_{};
  std::size_t told_ = 0;
  std::size_t untold_ = 0;
};

}  // namespace

std::string_view ToString(Objective objective) { return NameOf(kObjectives, objective); }
std::string_view ToString(FunctionalUnit unit) { return NameOf(kUnits, unit); }
std::string_view ToString(Bound bound) { return NameOf(kBounds, bound); }
std::string_view ToString(Exposure exposure) { return NameOf(kExposures, exposure); }
std::string_view ToString(MoveWish wish) { return NameOf(kMoveWishes, wish); }
std::string_view ToString(Mode mode) { return NameOf(kModes, mode); }
std::string_view ToString(Origin origin) { return NameOf(kOrigins, origin); }
std::string_view ToString(PolicyKey key) { return kPolicyNames[static_cast<std::size_t>(key)]; }

std::optional<Objective> ParseObjective(std::string_view text) {
  Objective objective{};
  return SetName(kObjectives, text, objective).empty() ? std::optional(objective) : std::nullopt;
}

std::optional<Exposure> ParseExposure(std::string_view text) {
  Exposure exposure{};
  return SetName(kExposures, text, exposure).empty() ? std::optional(exposure) : std::nullopt;
}

bool IsHardLimit(PolicyKey key) {
  return kKnownKeys[static_cast<std::size_t>(key)].kind == KeyKind::kLimit;
}

std::span<const KnownKey> KnownKeys() { return kKnownKeys; }

void ApplyAnnotations(const Annotations& annotations, Origin origin, std::string_view owner,
                      Policy& policy, std::vector<std::string>& problems) {
  Voice(origin, owner, policy, problems).Speak(annotations);
}

}  // namespace sobre
