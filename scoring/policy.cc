#include "scoring/policy.h"

#include <algorithm>
#include <array>

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

std::string SetCountries(std::string_view value, std::optional<std::vector<std::string>>& out) {
  std::vector<std::string_view> items;
  if (std::string wrong = ReadList(value, items); !wrong.empty()) return wrong;
  std::vector<std::string> countries;
  for (const std::string_view item : items) {
    std::string code;
    for (const char c : item) code += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
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
    countries.push_back(std::move(code));
  }
  SortUnique(countries);
  out = std::move(countries);
  return {};
}

std::string SetRegions(std::string_view value, std::optional<std::vector<std::string>>& out) {
  std::vector<std::string_view> items;
  if (std::string wrong = ReadList(value, items); !wrong.empty()) return wrong;
  std::vector<std::string> regions;
  for (const std::string_view item : items) {
    const std::size_t slash = item.find('/');
    if (slash == 0 || slash == std::string_view::npos || slash + 1 == item.size() ||
        item.find('/', slash + 1) != std::string_view::npos)
      return Quoted(item) + " is no provider/region, such as aws/eu-west-3";
    regions.push_back(ToLower(item));
  }
  SortUnique(regions);
  out = std::move(regions);
  return {};
}

std::string SetNames(std::string_view value, bool lower, std::vector<std::string>& out) {
  std::vector<std::string_view> items;
  if (std::string wrong = ReadList(value, items); !wrong.empty()) return wrong;
  std::vector<std::string> names;
  names.reserve(items.size());
  for (const std::string_view item : items)
    names.push_back(lower ? ToLower(item) : std::string(item));
  SortUnique(names);
  out = std::move(names);
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

// The sentence that says why the value cannot be followed; empty where it was.
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
    case PolicyKey::kMaxGco2ePerUnit:
      return SetNumber(value, 0, 1e12, 1, policy.limits.max_grams);
    case PolicyKey::kMaxEurPerUnit:
      return SetNumber(value, 0, 1e12, 1, policy.limits.max_euros);
    case PolicyKey::kAllowedCountries:
      return SetCountries(value, policy.limits.countries);
    case PolicyKey::kAllowedRegions:
      return SetRegions(value, policy.limits.regions);
    case PolicyKey::kDeniedOperators:
      return SetNames(value, true, policy.limits.denied_operators);
    case PolicyKey::kRequiredCertifications:
      return SetNames(value, false, policy.limits.certifications);
    case PolicyKey::kMaxExposure: {
      Exposure exposure{};
      std::string wrong = SetName(kExposures, value, exposure);
      if (wrong.empty()) policy.limits.max_exposure = exposure;
      return wrong;
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
  }
  return {};
}

template <class T>
bool Includes(const std::vector<T>& whole, const std::vector<T>& part) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

// True where `next` allows nothing that `held` refuses. Of preferences, nothing is tighter.
bool Tightens(PolicyKey key, const Limits& next, const Limits& held) {
  switch (key) {
    case PolicyKey::kMaxGco2ePerUnit:
      return !held.max_grams || *next.max_grams <= *held.max_grams;
    case PolicyKey::kMaxEurPerUnit:
      return !held.max_euros || *next.max_euros <= *held.max_euros;
    case PolicyKey::kAllowedCountries:
      return !held.countries || Includes(*held.countries, *next.countries);
    case PolicyKey::kAllowedRegions:
      return !held.regions || Includes(*held.regions, *next.regions);
    case PolicyKey::kDeniedOperators:
      return Includes(next.denied_operators, held.denied_operators);
    case PolicyKey::kRequiredCertifications:
      return Includes(next.certifications, held.certifications);
    case PolicyKey::kMaxExposure:
      return !held.max_exposure || *next.max_exposure <= *held.max_exposure;
    default:
      return false;
  }
}

bool EnforcesLimits(const std::array<KeyOrigin, kPolicyKeyCount>& origins) {
  for (std::size_t i = 0; i < origins.size(); ++i) {
    if (origins[i].enforced && IsHardLimit(static_cast<PolicyKey>(i))) return true;
  }
  return false;
}

std::optional<PolicyKey> FindKey(std::string_view name) {
  const auto found = std::find(kPolicyNames.begin(), kPolicyNames.end(), name);
  if (found == kPolicyNames.end()) return std::nullopt;
  return static_cast<PolicyKey>(found - kPolicyNames.begin());
}

std::string MarkEnforced(std::string_view value, Origin origin, Policy& policy) {
  if (origin == Origin::kPod) return "only a namespace or the cluster can enforce";
  std::vector<std::string_view> items;
  if (std::string wrong = ReadList(value, items); !wrong.empty()) return wrong;
  for (const std::string_view item : items) {
    const std::optional<PolicyKey> key = FindKey(item);
    if (!key) return Quoted(item) + " is no key" + DidYouMean(item, kPolicyNames);
    policy.origins[static_cast<std::size_t>(*key)].enforced = true;
  }
  return {};
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

// Applies one annotation of a known key; the sentence says why not.
std::string Follow(PolicyKey key, std::string_view value, Origin origin, bool enforced,
                   Policy& policy) {
  KeyOrigin& said = policy.origins[static_cast<std::size_t>(key)];
  if (!enforced) {
    std::string wrong = Apply(key, value, policy);
    if (wrong.empty()) said.origin = origin;
    return wrong;
  }
  Policy next;
  if (std::string wrong = Apply(key, value, next); !wrong.empty()) return wrong;
  if (!Tightens(key, next.limits, policy.limits)) {
    return Quoted(value) + " is looser than what the " + std::string(ToString(said.origin)) +
           " enforces, and is not followed";
  }
  said.origin = origin;
  return Apply(key, value, policy);
}

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
  // What a farther voice enforced; this one's own marks bind only those that come nearer.
  const std::array<KeyOrigin, kPolicyKeyCount> before = policy.origins;
  std::size_t told = 0;
  std::size_t untold = 0;
  for (const Annotation& annotation : annotations) {
    const std::optional<PolicyKey> key = FindKey(annotation.key);
    std::string wrong;
    bool hard = false;
    if (key) {
      hard = IsHardLimit(*key);
      // Shadow mode would lift every limit, so enforced limits enforce it too.
      const bool enforced = before[static_cast<std::size_t>(*key)].enforced ||
                            (*key == PolicyKey::kMode && EnforcesLimits(before));
      wrong = Follow(*key, annotation.value, origin, enforced, policy);
      // An enforced limit stands whatever comes nearer.
      if (enforced) hard = false;
    } else if (annotation.key == kEnforced) {
      wrong = MarkEnforced(annotation.value, origin, policy);
    } else if (annotation.key == kMove) {
      wrong = SetName(kMoveWishes, annotation.value, policy.move);
    } else if (annotation.key == kMoveGb) {
      wrong = SetNumber(annotation.value, 0, 1e6, 1, policy.move_data);
    } else if (annotation.key != kConfig) {
      wrong = "unknown annotation" + WhatWasMeant(annotation.key);
      // Whoever misspells a limit wants one, and how far a word may be from it nobody knows.
      hard = true;
    }
    if (wrong.empty()) continue;
    if (told >= kMostProblems && !(hard && policy.limits.unreadable.empty())) {
      ++untold;
      continue;
    }
    ++told;
    std::string problem =
        std::string(owner) + ": " + NameOfAnnotation(annotation.key) + ": " + wrong;
    if (hard) policy.limits.unreadable.push_back(problem);
    problems.push_back(std::move(problem));
  }
  if (untold > 0) {
    problems.push_back(std::string(owner) + ": " + std::to_string(untold) +
                       " more annotations cannot be followed");
  }
}

}  // namespace sobre
