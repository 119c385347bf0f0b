#include "extender/diagnosis.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/text.h"
#include "scoring/analysis.h"
#include "scoring/decide.h"
#include "signals/preset.h"

namespace sobre {
namespace {

// A clock that is further off makes samples look too old, or not yet taken.
constexpr Duration kClockWorthATelling = std::chrono::seconds(20);
constexpr Duration kClockThatHurts = std::chrono::minutes(2);

class Findings {
 public:
  void Add(Severity severity, std::string about, std::string text, std::string repair = "") {
    found_.push_back({severity, std::move(about), std::move(text), std::move(repair)});
  }
  std::vector<Finding> Sorted() {
    SortWorstFirst(found_);
    return std::move(found_);
  }

 private:
  std::vector<Finding> found_;
};

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// What to do about a server that cannot be asked, by what it (or the way there) said.
std::string RepairServer(std::string_view problem) {
  if (Has(problem, "status 401"))
    return "check bearer_token_file or basic_auth: a token that has expired must be renewed on "
           "disk";
  if (Has(problem, "status 403")) return "give whoever the token stands for the right to query";
  if (Has(problem, "status 404"))
    return "check prometheus.url: it is what stands before /api/v1/query";
  if (Has(problem, "status 429"))
    return "raise prometheus.refresh, or the server's limit; nothing is asked until it allows";
  if (Has(problem, "status 5")) return "look into the server's own log";
  if (Has(problem, "cannot be read")) return "check the path, and that Sobre may read the file";
  if (Has(problem, "certificate") || Has(problem, "SSL") || Has(problem, "TLS"))
    return "check prometheus.tls.ca_file, and that the certificate names the URL's host";
  if (Has(problem, "resolve")) return "check the host name in prometheus.url, and DNS";
  if (Has(problem, "timed out") || Has(problem, "Timeout") || Has(problem, "too slow"))
    return "raise prometheus.timeout, or give the server room; a recording rule makes slow queries "
           "quick";
  if (Has(problem, "larger than"))
    return "let the query aggregate to one series a node, or raise max_response_megabytes";
  return "check prometheus.url, and that the network lets Sobre reach it";
}

// The same of the API server.
std::string RepairCluster(std::string_view problem) {
  if (Has(problem, "refused"))
    return "check that the API server runs, and its address in the kubeconfig: nothing listens "
           "there";
  if (Has(problem, "status 401"))
    return "check the kubeconfig or service account: who it names is not known to the API server";
  if (Has(problem, "status 403"))
    return "let it list and watch nodes, namespaces and pods, as the chart's ClusterRole does";
  if (Has(problem, "certificate") || Has(problem, "SSL") || Has(problem, "TLS"))
    return "check the authority in the kubeconfig, and that the certificate names the host";
  if (Has(problem, "resolve")) return "check the host name in the kubeconfig, and DNS";
  return "check the kubeconfig or service account, and that the network lets Sobre reach the API "
         "server";
}

// One cause of all three is told once.
void DiagnoseCluster(const WorldState& state, Findings& out) {
  std::map<std::string, std::pair<std::string, std::string>> by_cause;  // names and a whole problem
  for (const CollectionState& collection : state.collections) {
    if (collection.listed || collection.problem.empty()) continue;
    const std::size_t url = collection.problem.find(": ");
    const bool has_url = collection.problem.starts_with("http") && url != std::string::npos;
    auto& [names, problem] = by_cause[collection.problem.substr(has_url ? url : 0)];
    names += (names.empty() ? "" : ", ") + collection.name;
    problem = collection.problem;
  }
  for (const auto& [cause, told] : by_cause) {
    const auto& [names, problem] = told;
    std::string what = names;
    what.append(" cannot be listed: ").append(problem);
    out.Add(Severity::kError, "kubernetes", std::move(what), RepairCluster(problem));
  }
  if (by_cause.empty())
    out.Add(Severity::kError, "kubernetes", state.not_ready_reason, RepairCluster(""));
}

std::string RepairQuery(const QueryState& query) {
  const std::string& problem = query.problem;
  if (Has(problem, "no series has a sample of its own"))
    return "check that the exporter still runs, and that time_query has the labels of query";
  if (Has(problem, "gives no series"))
    return "check that the exporter runs and is scraped, and the metric's name: it may have been "
           "renamed";
  if (Has(problem, "larger than"))
    return "let the query aggregate to one series a node, or raise max_response_megabytes";
  if (Has(problem, "not what Prometheus sends"))
    return "check what stands between Sobre and the server: a proxy may cut or replace answers";
  if (Has(problem, "instant vector")) return "write a query that gives one value by series";
  if (Has(problem, "HTTP status 5") || Has(problem, "timed out"))
    return "make a recording rule of it: it is too much for the server, or takes too long: " +
           Printable(query.query.query, 200);
  return "try the query in Prometheus' own page: " + Printable(query.query.query, 200);
}

std::string_view LabelOption(Signal signal) {
  switch (InfoOf(signal).subject) {
    case Subject::kNode:
      return "node_label";
    case Subject::kPlace:
      return "region_label or zone_label";
    case Subject::kWorkload:
      return "namespace_label and pod_label (or workload_label)";
    case Subject::kModel:
      return "model_label";
    case Subject::kPod:
      return "namespace_label and pod_label";
  }
  return "";
}

// How a preset is told by which label its series name things: by the parameters that it has.
std::string PresetLabels(const std::string& name, Signal signal, bool labels_are_there) {
  const Result<Preset> preset = LoadPreset(name, {});
  std::string settings;
  if (preset.ok()) {
    for (const char* parameter : {"node_label", "zone_label", "namespace", "pod"}) {
      if (std::count(preset->parameters.begin(), preset->parameters.end(), parameter) > 0)
        settings += std::string(", ") + parameter + ": LABEL";
    }
  }
  std::string own = "write a query of your own for " + std::string(ToString(signal));
  if (settings.empty()) return own;
  return (labels_are_there ? "say which label tells it: " : "if another label tells it, say so: ") +
         ("presets: [auto, {preset: " + name + settings + "}]; else " + own);
}

void DiagnoseQuery(const QueryState& query, const PrometheusOptions* options, Findings& out) {
  const std::string about(ToString(query.query.signal));
  const std::string from = " from " + query.query.name;
  if (query.preset.empty()) {
    const std::string twice = "the query" + from + " counts things twice: ";
    for (const std::string& trap : TrapsIn(query.query.query, KnownTraps()))
      out.Add(Severity::kWarning, about, std::string(twice).append(trap),
              "name one value of that label in the query, or use the preset");
  }
  if (!query.idle.empty()) return;
  if (!query.problem.empty()) {
    out.Add(Severity::kError, about, "the query" + from + " failed: " + query.problem,
            RepairQuery(query));
  }
  if (query.nameless > 0) {
    out.Add(
        Severity::kWarning, about,
        std::to_string(query.nameless) + " of " + std::to_string(query.series) + " series" + from +
            " do not say what they are about; the first has the labels " + query.nameless_labels,
        query.preset.empty()
            ? "set " + std::string(LabelOption(query.query.signal)) + " to the label that says it"
            : PresetLabels(query.preset, query.query.signal, true));
  }
  const std::string warns = "the server warns" + from + ": ";
  for (const std::string& warning : query.warnings)
    out.Add(Severity::kWarning, about, std::string(warns).append(warning),
            "values may be missing: look into the server's stores");
  if (options != nullptr && query.took * 2 > options->timeout) {
    out.Add(Severity::kWarning, about,
            "the query" + from + " takes " + FormatAge(query.took) + " of the " +
                FormatAge(options->timeout) + " that it may",
            "make a recording rule of it");
  }
}

// Presets whose metric is there, but no series that counts: what a model estimates, say.
void DiagnoseEmptyPresets(const ServerState& server, const std::string& about, Findings& out) {
  std::map<std::pair<std::string, Signal>, bool> gives;
  for (const QueryState& query : server.queries) {
    if (query.preset.empty() || !query.idle.empty() || !query.answered) continue;
    gives[{query.preset, query.query.signal}] |= query.series > 0;
  }
  for (const auto& [key, any] : gives) {
    if (any) continue;
    out.Add(
        Severity::kNote, about,
        "preset " + key.first + " has its metric, but no series of it tells " +
            std::string(ToString(key.second)),
        "nothing, if what there is is not meant: an estimate by a model, a meter of another part; "
        "else its series have other labels or names than this preset reads: write a query of "
        "your own for " +
            std::string(ToString(key.second)));
  }
}

void DiagnoseServer(const ServerState& server, const Config& config, Findings& out) {
  const std::string about = "prometheus " + server.name;
  if (!server.problem.empty()) {
    out.Add(Severity::kError, about, Printable(server.url) + " cannot be asked: " + server.problem,
            RepairServer(server.problem));
  } else if (!server.round_ended) {
    out.Add(Severity::kError, about, Printable(server.url) + " has not answered everything yet",
            "wait a little longer; else raise prometheus.timeout, or look at what the server does");
  } else if (server.answered) {
    out.Add(Severity::kOk, about, Printable(server.url) + " answers");
  }
  if (!server.discovery_problem.empty()) {
    out.Add(
        Severity::kWarning, about, "exporters cannot be looked for: " + server.discovery_problem,
        "name the presets of what you run under prometheus.presets: they are asked all the same");
  }
  const Duration off = server.clock_ahead < Duration(0) ? -server.clock_ahead : server.clock_ahead;
  if (off > kClockWorthATelling) {
    out.Add(off > kClockThatHurts ? Severity::kError : Severity::kWarning, about,
            "its clock is " + FormatAge(off) +
                (server.clock_ahead > Duration(0) ? " ahead of" : " behind") + " ours",
            "let both machines follow NTP: samples look " +
                std::string(server.clock_ahead > Duration(0) ? "not yet taken" : "old"));
  }
  for (const PresetState& preset : server.presets) {
    if (preset.found) {
      out.Add(Severity::kOk, about, "found " + preset.about + " (preset " + preset.name + ")");
    } else if (!preset.automatic && server.discovered) {
      out.Add(Severity::kError, about,
              "preset " + preset.name + " is switched on, but none of its metrics is there",
              "check that " + preset.about + " runs and is scraped, or take the preset out");
    }
  }
  const auto plan = std::find_if(
      config.prometheus.servers.begin(), config.prometheus.servers.end(),
      [&](const ServerPlan& candidate) { return candidate.server.name == server.name; });
  DiagnoseEmptyPresets(server, about, out);
  for (const QueryState& query : server.queries) {
    DiagnoseQuery(query, plan == config.prometheus.servers.end() ? nullptr : &plan->server, out);
  }
}

struct Remedy {
  Severity severity;
  std::string repair;
};

// What is implausible, and what serves meanwhile.
std::string RepairImplausible(Signal signal, const SignalTally::Teller& teller) {
  std::string check = teller.preset ? "look into what " + teller.source + " reads"
                                    : "check the query's unit and the exporter";
  switch (signal) {
    case Signal::kNodePower:
    case Signal::kNodeCpuPower:
      return (teller.preset ? check : std::string("check the query's unit")) +
             "; on a virtual machine that cannot measure, switch the exporter off there";
    case Signal::kNodePrice:
    case Signal::kNodeEffectivePrice:
      return check +
             ": who finds no price may say 0, or a part's; our estimate from list prices serves "
             "meanwhile";
    case Signal::kGridIntensity:
    case Signal::kGridForecast:
      return check + ": who has no value may say 0; the catalogue serves meanwhile";
    default:
      return check;
  }
}

constexpr std::string_view kOfControllers =
    "a management controller's address is no node's: give its target a label with the node's name, "
    "or map it by label_replace in a query of your own";

std::string RepairUnmatched(Signal signal, const SignalTally::Teller& teller) {
  switch (InfoOf(signal).subject) {
    case Subject::kNode:
      return (teller.preset ? PresetLabels(teller.source, signal, false)
                            : std::string("set the query's node_label to the label that holds the "
                                          "node's name or address")) +
             "; " + std::string(kOfControllers);
    case Subject::kPlace:
      return "nothing, if that place has no node of this cluster; else label the nodes with "
             "sobre.dev/grid-zone";
    default:
      return teller.preset ? PresetLabels(teller.source, signal, false)
                           : "check the query's namespace_label, pod_label and workload_label";
  }
}

Remedy RemedyFor(Fate fate, Signal signal, const SignalTally::Teller& teller) {
  switch (fate) {
    case Fate::kStale:
      return {Severity::kWarning,
              "check that the exporter still runs and is scraped; if its values hold longer, raise "
              "the query's max_age"};
    case Fate::kImplausible:
      return {Severity::kWarning, RepairImplausible(signal, teller)};
    case Fate::kReset:
      return {Severity::kNote, "nothing, if the exporter was restarted: the next minutes are good"};
    case Fate::kForeign:
      return {Severity::kWarning,
              "add the currency's rate under currencies, or say the true currency in the preset"};
    case Fate::kUnmatched:
      return {InfoOf(signal).subject == Subject::kNode ? Severity::kWarning : Severity::kNote,
              RepairUnmatched(signal, teller)};
    case Fate::kDuplicate:
      return {Severity::kWarning,
              "something is scraped twice, or the query keeps a label too many: aggregate it away"};
    case Fate::kAmbiguous:
      return {Severity::kError,
              "the server has several clusters: say which one this is, as in prometheus.matchers: "
              "{cluster: prod}"};
    default:
      return {Severity::kNote, ""};
  }
}

void DiagnoseSignals(const Snapshot& snapshot, Findings& out) {
  for (std::size_t i = 0; i < kSignalCount; ++i) {
    const Signal signal = SignalAt(i);
    const SignalTally& tally = snapshot.tallies()[i];
    const std::string about(ToString(signal));
    if (tally.of(Fate::kUsed) > 0) {
      out.Add(Severity::kOk, about,
              std::to_string(tally.of(Fate::kUsed)) +
                  (tally.of(Fate::kUsed) == 1 ? " value" : " values") + " in use, the oldest " +
                  FormatAge(std::max(snapshot.time() - *tally.oldest, Duration(0))) + " old");
    }
    for (std::size_t f = 0; f < kFateCount; ++f) {
      const Fate fate = static_cast<Fate>(f);
      if (tally.said[f].empty() || fate == Fate::kSuperseded) continue;
      const Remedy remedy = RemedyFor(fate, signal, tally.teller[f]);
      // The sentence begins with the signal's name, which stands before it already.
      out.Add(remedy.severity, about, tally.said[f].substr(about.size() + 2), remedy.repair);
    }
    if (!tally.strangers.empty()) {
      const bool others = Has(tally.strangers, "of another cluster");
      out.Add(others ? Severity::kWarning : Severity::kNote, about, tally.strangers,
              (others ? std::string()
                      : "nothing, if those nodes are gone; " + std::string(kOfControllers) + "; ") +
                  "if the server has several clusters, say which one this is, as in "
                  "prometheus.matchers: {cluster: prod}: equal names would be mixed up");
    }
    if (tally.of(Fate::kSuperseded) > 0) {
      const std::string said =
          tally.said[static_cast<std::size_t>(Fate::kSuperseded)].substr(about.size() + 2);
      out.Add(Severity::kNote, about,
              (Has(said, "is believed instead of") ? "several sources tell it; " : "") + said);
    }
    if (tally.disagreements > 0) {
      out.Add(Severity::kWarning, about,
              "sources disagree by over 30 % about " + std::to_string(tally.disagreements) +
                  (tally.disagreements == 1 ? " value: " : " values: ") + tally.disagreement,
              "find out which one is right, and take the other's preset out");
    }
  }
}

// How many nodes lack something, with an example.
struct Lack {
  std::int64_t count = 0;
  std::string example;
};
template <class Lacks>
Lack CountLack(const Snapshot& snapshot, const Lacks& lacks) {
  Lack lack;
  for (const NodeRecord& node : snapshot.nodes()) {
    if (!lacks(node)) continue;
    if (lack.count++ == 0) lack.example = node.facts->name;
  }
  return lack;
}

// What to do where no machine's power is measured, by what there is that might.
std::string RepairUnmeasured(const std::vector<ServerState>& servers) {
  std::string found;
  for (const ServerState& server : servers) {
    for (const PresetState& preset : server.presets) {
      for (const char* meter : {"kepler", "kepler-0.9", "scaphandre", "node-exporter"}) {
        if (preset.found && preset.name == meter)
          found += (found.empty() ? "" : ", ") + preset.name;
      }
    }
  }
  if (found.empty())
    return "switch on kepler, scaphandre or node-exporter where machines can measure";
  return "what there is (" + found +
         ") tells no watts of them: most virtual machines have no meter; elsewhere let it read "
         "RAPL, which needs root, or the platform's meter";
}

// Whether anything tells what workloads serve, and what accelerators draw.
void DiagnoseUse(const Snapshot& snapshot, Findings& out) {
  const auto used = [&](Signal signal) {
    return snapshot.tallies()[Index(signal)].of(Fate::kUsed) > 0;
  };
  if (!used(Signal::kWorkloadRequests) && !used(Signal::kWorkloadTokens) &&
      !used(Signal::kModelRequests) && !used(Signal::kModelTokens)) {
    out.Add(Severity::kNote, "requests",
            "no requests or tokens are known of any workload: grams and euros are per pod-hour",
            "let Prometheus scrape what serves them (vllm, triton, knative, istio, envoy and "
            "ingress-nginx are found by themselves), write a query for "
            "workload_requests_per_second or workload_tokens_per_second, or state rates by "
            "annotation");
  }
  std::int64_t with = 0;
  const Lack unmeasured = CountLack(snapshot, [&](const NodeRecord& node) {
    if (!node.facts->allocatable.UsesGpu()) return false;
    ++with;
    return !node.measured_gpu_power;
  });
  if (unmeasured.count == 0) return;
  out.Add(Severity::kNote, "accelerators",
          (unmeasured.count == with ? "no accelerator is measured: " + std::to_string(with) +
                                          (with == 1 ? " node has" : " nodes have") + " some"
                                    : "not measured on " + std::to_string(unmeasured.count) +
                                          " of " + std::to_string(with) + " nodes that have some") +
              " (for example " + unmeasured.example + ")",
          "run NVIDIA's DCGM exporter there (preset dcgm), or write a query for node_gpu_watts");
}

void DiagnoseCoverage(const WorldState& state, Findings& out) {
  const Snapshot& snapshot = *state.snapshot;
  const std::string all = std::to_string(snapshot.nodes().size());
  const auto tell = [&](const Lack& lack, Severity severity, const char* about,
                        const std::string& text, const std::string& repair) {
    if (lack.count == 0) return;
    out.Add(severity, about,
            text + " for " + std::to_string(lack.count) + " of " + all + " nodes (for example " +
                lack.example + ")",
            repair);
  };
  if (snapshot.nodes().empty()) {
    out.Add(Severity::kError, "nodes", "there is no node", "check the kubeconfig and its rights");
    return;
  }
  tell(CountLack(snapshot, [](const NodeRecord& n) { return !n.price; }), Severity::kWarning,
       "price", "unknown",
       "switch on opencost, write a query for node_price_per_hour, or configure the rate of the "
       "list prices' currency");
  tell(CountLack(snapshot, [](const NodeRecord& n) { return n.price && n.price_estimated; }),
       Severity::kNote, "price", "an estimate from list prices",
       "switch on opencost, or write a query for node_price_per_hour");
  const Lack not_live = CountLack(snapshot, [](const NodeRecord& n) { return !n.live_intensity; });
  if (not_live.count > 0 && not_live.count < static_cast<std::int64_t>(snapshot.nodes().size())) {
    tell(not_live, Severity::kWarning, "grid intensity", "no live value",
         "let the series cover every region: where one candidate lacks it, the catalogue serves "
         "all");
  }
  const Lack unmeasured = CountLack(
      snapshot, [](const NodeRecord& n) { return !n.measured_power && !n.measured_cpu_power; });
  if (unmeasured.count < static_cast<std::int64_t>(snapshot.nodes().size())) {
    tell(unmeasured, Severity::kNote, "power", "not measured",
         "run the exporter on every node; machines of a calibrated kind are served by its line");
  } else {
    tell(unmeasured, Severity::kNote, "power", "processors and platform not measured",
         RepairUnmeasured(state.servers));
  }
  DiagnoseUse(snapshot, out);
}

// Gathers nodes of which the same is to be said.
class NodesBySaying {
 public:
  void Add(std::string text, std::string repair, const NodeRecord& node) {
    nodes_[{std::move(text), std::move(repair)}].push_back(node.facts->name);
  }
  // One finding each, the nodes by name as long as they are few.
  void Tell(Severity severity, const char* about, std::size_t all, Findings& out) const {
    constexpr std::size_t kMostNames = 5;
    for (const auto& [said, names] : nodes_) {
      std::string list;
      for (std::size_t i = 0; i < std::min(names.size(), kMostNames); ++i)
        list += (i > 0 ? ", " : "") + names[i];
      if (names.size() > kMostNames)
        list += " and " + std::to_string(names.size() - kMostNames) + " more";
      out.Add(severity, about,
              said.first + " for " + std::to_string(names.size()) + " of " + std::to_string(all) +
                  " nodes (" + list + ")",
              said.second);
    }
  }

 private:
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> nodes_;
};

// The label or row that tells the grid of such a node.
std::string RepairPlace(const NodeRecord& node) {
  const NodeFacts& facts = *node.facts;
  constexpr std::size_t kLength = 63;
  if (!node.grid_zone.empty()) {
    return "write a row of the zone " + Printable(node.grid_zone, kLength) +
           " into grid.csv of catalog.directory, or correct the label sobre.dev/grid-zone";
  }
  if (facts.provider.empty()) {
    return "label the nodes with sobre.dev/provider" +
           std::string(facts.region.empty() ? " and topology.kubernetes.io/region" : "") +
           ", or say whose they are by kubernetes.providers or kubernetes.default_provider; or "
           "label them with sobre.dev/grid-zone";
  }
  if (facts.region.empty()) {
    return "label the nodes with topology.kubernetes.io/region, or with sobre.dev/grid-zone";
  }
  return "write the row " + Printable(facts.provider, kLength) + "," +
         Printable(facts.region, kLength) +
         ",ZONE,… into regions.csv of catalog.directory, or label the nodes with "
         "sobre.dev/grid-zone";
}

void DiagnosePlaces(const Snapshot& snapshot, const Config& config, Findings& out) {
  NodesBySaying doubts;
  NodesBySaying grids;
  NodesBySaying parts;
  NodesBySaying machines;
  std::vector<std::size_t> told(config.kubernetes.providers.size());
  for (const NodeRecord& node : snapshot.nodes()) {
    const NodeFacts& facts = *node.facts;
    if (!facts.provider_doubt.empty()) {
      doubts.Add("unknown, as " + facts.provider_doubt + ",",
                 "label the nodes with sobre.dev/provider, or write a rule under "
                 "kubernetes.providers, such as {match: {provider_id: \"aws://*\"}, provider: "
                 "outscale}",
                 node);
    }
    if (!node.catalog_intensity && !node.live_intensity)
      grids.Add("unknown", RepairPlace(node), node);
    if (node.grid_of_country && !node.live_intensity) {
      parts.Add("of " + Printable(node.grid_zone, 63) +
                    " not known: the mean of its country stands in, which a part may be far from,",
                "write a row of the zone into grid.csv of catalog.directory, or have its live "
                "intensity in Prometheus",
                node);
    }
    if (facts.machine_kind == MachineKind::kUnclear && !node.server_embodied) {
      machines.Add("unknown, as nothing tells whether it is a server or a virtual machine,",
                   "say machine: server or machine: virtual in a rule under kubernetes.providers",
                   node);
    }
    if (facts.provider_rule >= 0 && static_cast<std::size_t>(facts.provider_rule) < told.size())
      ++told[static_cast<std::size_t>(facts.provider_rule)];
  }
  const std::size_t all = snapshot.nodes().size();
  doubts.Tell(Severity::kWarning, "provider", all, out);
  grids.Tell(Severity::kWarning, "grid intensity", all, out);
  parts.Tell(Severity::kNote, "grid intensity", all, out);
  machines.Tell(Severity::kWarning, "embodied emissions", all, out);
  for (std::size_t i = 0; all > 0 && i < told.size(); ++i) {
    if (told[i] > 0) continue;
    out.Add(Severity::kWarning, "provider",
            "the rule kubernetes.providers[" + std::to_string(i) + "] (" +
                Printable(config.kubernetes.providers[i].provider, 63) + ") fits no node",
            "check its patterns; of several rules that fit a node the first counts");
  }
}

// What is not understood of accelerators, each once with an example, and what would repair it.
void DiagnoseAccelerators(const WorldState& state, Findings& out) {
  const Snapshot& snapshot = *state.snapshot;
  constexpr const char* kAbout = "accelerators";
  std::map<std::string, Lack> causes;
  std::map<std::string, Lack> models;
  struct Device {
    std::int64_t nodes = 0;
    std::int64_t pods = 0;
  };
  std::map<std::string, Device> devices;
  const auto count = [](const NodeRecord& node, Lack& lack) {
    if (lack.count++ == 0) lack.example = node.facts->name;
  };
  for (const NodeRecord& node : snapshot.nodes()) {
    const NodeFacts& facts = *node.facts;
    for (const std::string& device : facts.allocatable.devices) ++devices[device].nodes;
    if (!node.gpus_unknown.empty()) count(node, causes[node.gpus_unknown]);
    if (node.HasAccelerators() && !node.gpu &&
        (facts.allocatable.UsesGpu() || !facts.gpu_model.empty()))
      count(node, models[facts.gpu_model]);
  }
  std::int64_t claims = 0;
  for (const auto& pod : state.input.pods) {
    for (const std::string& device : pod->requests.devices) ++devices[device].pods;
    if (pod->has_resource_claims) ++claims;
  }
  const auto on_nodes = [](const Lack& lack) {
    return std::to_string(lack.count) + (lack.count == 1 ? " node" : " nodes") + " (for example " +
           lack.example + ")";
  };
  for (const auto& [model, lack] : models) {
    if (model.empty()) {
      out.Add(Severity::kWarning, kAbout, "model unknown, so unknown carbon, on " + on_nodes(lack),
              "label the nodes with nvidia.com/gpu.product (GPU feature discovery does)");
    } else {
      out.Add(Severity::kWarning, kAbout,
              "no row of gpu.csv is about " + Printable(model) + ", so unknown carbon, on " +
                  on_nodes(lack),
              "add a row to gpu.csv in catalog.directory: model " + Printable(model) +
                  ", idle_watts and max_watts of its data sheet, slices 1");
    }
  }
  for (const auto& [cause, lack] : causes) {
    out.Add(Severity::kWarning, kAbout,
            cause + ", so unknown power, carbon and euros of its pods, on " + on_nodes(lack),
            "nothing yet, where they are divided; else correct the labels: they are to say "
            "nvidia.com/gpu.count times nvidia.com/gpu.replicas");
  }
  for (const auto& [name, device] : devices) {
    const std::optional<bool> nothing = snapshot.catalog().DrawsNothing(name);
    if (nothing == true) continue;
    out.Add(device.pods > 0 || nothing == false ? Severity::kWarning : Severity::kNote, kAbout,
            Printable(name) + " is not understood (" + std::to_string(device.nodes) +
                (device.nodes == 1 ? " node lists it, " : " nodes list it, ") +
                std::to_string(device.pods) + (device.pods == 1 ? " pod asks" : " pods ask") +
                " for it): power, carbon and euros of its pods are unknown",
            nothing == false ? "nothing yet: budgets refuse its pods"
                             : "if it draws no power of its own, add a row to resources.csv in "
                               "catalog.directory: resource " +
                                   Printable(name) + ", draws nothing");
  }
  if (claims > 0) {
    out.Add(
        Severity::kWarning, kAbout,
        std::to_string(claims) + (claims == 1 ? " pod asks" : " pods ask") +
            " for devices by resource claims, which cannot be read: power, carbon and euros are "
            "unknown",
        "nothing yet: budgets refuse such pods");
  }
}

void DiagnoseCalibration(const std::vector<PowerHistory::Class>& classes, Findings& out) {
  for (const PowerHistory::Class& found : classes) {
    const std::string what = found.fit.machine + " (" + std::to_string(found.nodes) +
                             (found.nodes == 1 ? " node" : " nodes") + ")";
    if (found.result.fit) {
      const PowerFit& fit = *found.result.fit;
      out.Add(Severity::kOk, "calibration",
              what + ": " + FormatSignificant(fit.idle.value(), 3) + " W idle, " +
                  FormatSignificant(fit.full.value(), 3) + " W full by vCPU or accelerator, from " +
                  std::to_string(fit.points) + " points, " +
                  FormatSignificant(fit.error.value() * 100, 2) + " % off the line" +
                  (found.fit.boundary == PowerBoundary::kProcessors ? ", processors alone" : ""));
    } else {
      out.Add(Severity::kNote, "calibration",
              what + ": no line yet, " + found.result.why_not + "; the profile serves",
              "nothing: it comes with time and with load");
    }
  }
}

// Whether what the cluster wants could change anything: by a pod of 1 vCPU and 4 GiB.
void DiagnoseWeights(const Snapshot& snapshot, const Config& config, Findings& out) {
  DecisionRequest request;
  request.policy = config.policy;
  request.pod.requests = {1000, 4LL << 30, 0, 0};
  std::vector<std::int32_t> nodes;
  // A sample: winners of a few hundred nodes tell what there is to win.
  const std::size_t step = snapshot.nodes().size() / 500 + 1;
  for (std::size_t i = 0; i < snapshot.nodes().size(); i += step)
    nodes.push_back(static_cast<std::int32_t>(i));
  Decision decision;
  Decide(request, snapshot, nodes, decision);
  const bool balanced = decision.ranked_by == Objective::kBalanced;
  if (!balanced && decision.ranked_by != Objective::kPriced) return;
  const std::vector<Step> steps = balanced ? ToleranceSteps(decision) : CarbonPriceSteps(decision);
  const double now =
      balanced ? config.policy.cost_tolerance.value() : config.policy.carbon_price.value();
  const auto next = std::find_if(steps.begin() + (steps.empty() ? 0 : 1), steps.end(),
                                 [](const Step& s) { return s.from > 0; });
  if (next == steps.end() || next->from <= now) return;
  const std::string value = balanced ? "cost tolerance of " + FormatSignificant(now * 100, 3) + " %"
                                     : "carbon price of " + FormatSignificant(now, 4) + " EUR/t";
  const std::string needed = balanced ? FormatSignificant(next->from * 100, 3) + " %"
                                      : FormatSignificant(next->from, 4) + " EUR/t";
  const std::int32_t winner = decision.candidates[next->winner].node;
  out.Add(Severity::kNote, "policy",
          "a " + value + " changes no placement of a pod of 1 vCPU and 4 GiB: from " + needed +
              " on " + snapshot.nodes()[static_cast<std::size_t>(winner)].facts->name +
              " would win",
          "raise it if the cleaner node is worth that to you");
}

void DiagnoseCommitments(const Snapshot& snapshot, Findings& out) {
  for (const CommitmentUse& use : snapshot.commitments()) {
    const double share = use.committed > 0 ? use.used / use.committed : 1;
    constexpr double kGood = 0.9;
    out.Add(share < kGood ? Severity::kNote : Severity::kOk, "commitments",
            use.name + ": " + FormatSignificant(share * 100, 3) + " % of " +
                FormatSignificant(use.committed, 6) + " " + use.unit + " is used",
            share < kGood ? "move work there, or commit to less" : "");
  }
}

// Limits of the configuration hold in namespaces that opted in: who is outside shall be known.
void DiagnoseReach(const WorldState& state, const Config& config, Findings& out) {
  if (!state.quiet_namespaces) return;
  std::string limits;
  for (std::size_t i = 0; i < kPolicyKeyCount; ++i) {
    const PolicyKey key = static_cast<PolicyKey>(i);
    const KeyOrigin& said = config.policy.OriginOf(key);
    if (!IsHardLimit(key) || (said.origin != Origin::kCluster && !said.enforced)) continue;
    limits += (limits.empty() ? "" : ", ") + std::string(ToString(key));
  }
  if (limits.empty()) return;
  std::set<std::string_view> namespaces;
  std::int64_t pods = 0;
  std::string example;
  for (const auto& pod : state.input.pods) {
    const std::string& name = pod->namespace_name;
    // The admission policies leave these alone in any case.
    if (name == "kube-system" || name == config.deferral.lease_namespace) continue;
    if (pod->has_limits_marker || state.HasOptedIn(name)) continue;
    if (pods++ == 0) example = name + "/" + pod->name;
    namespaces.insert(name);
  }
  const std::string about = "limits";
  if (pods == 0) {
    out.Add(Severity::kOk, about,
            "what the configuration states (" + limits +
                ") holds for every pod: none runs outside of the namespaces that opted in");
    return;
  }
  out.Add(Severity::kWarning, about,
          "what the configuration states (" + limits +
              ") holds in namespaces that opted in: outside of them " +
              (pods == 1 ? "1 pod runs" : std::to_string(pods) + " pods run") + " in " +
              (namespaces.size() == 1 ? "1 namespace"
                                      : std::to_string(namespaces.size()) + " namespaces") +
              " (for example " + example + ")",
          "label these namespaces sobre.dev/placement=enabled, so that their new pods are held; "
          "nothing, where they may run anywhere");
}

}  // namespace

void SortWorstFirst(std::vector<Finding>& findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
}

std::string_view ToString(Severity severity) {
  constexpr std::array<std::string_view, 4> kNames = {"ok", "note", "warning", "error"};
  return kNames[static_cast<std::size_t>(severity)];
}

std::vector<Finding> Diagnose(const WorldState& state, const Config& config) {
  Findings out;
  if (!state.ready) DiagnoseCluster(state, out);
  if (config.prometheus.servers.empty()) {
    out.Add(Severity::kNote, "prometheus",
            "no server is configured: the catalogue and estimates serve",
            "set prometheus.url; exporters that are known are found by themselves");
  }
  if (state.servers.size() < config.prometheus.servers.size())
    out.Add(Severity::kError, "prometheus", "no server was asked yet", "wait a little longer");
  for (const ServerState& server : state.servers) DiagnoseServer(server, config, out);
  DiagnoseSignals(*state.snapshot, out);
  DiagnoseCoverage(state, out);
  DiagnosePlaces(*state.snapshot, config, out);
  DiagnoseAccelerators(state, out);
  DiagnoseCalibration(state.calibration, out);
  DiagnoseCommitments(*state.snapshot, out);
  DiagnoseWeights(*state.snapshot, config, out);
  DiagnoseReach(state, config, out);
  for (Finding& finding : DiagnosePolicy(state))
    out.Add(finding.severity, std::move(finding.about), std::move(finding.text),
            std::move(finding.repair));
  return out.Sorted();
}

std::string FindingsText(const std::vector<Finding>& findings) {
  constexpr std::size_t kLongest = 2000;
  std::string text;
  std::array<int, 4> counts{};
  for (const Finding& finding : findings) {
    ++counts[static_cast<std::size_t>(finding.severity)];
    std::string label(ToString(finding.severity));
    label.resize(9, ' ');
    text += label + Printable(finding.about, kLongest) + ": " + Printable(finding.text, kLongest) +
            "\n";
    if (!finding.repair.empty())
      text += "         -> " + Printable(finding.repair, kLongest) + "\n";
  }
  const auto number = [](int count, const char* one, const char* many) {
    return std::to_string(count) + " " + (count == 1 ? one : many);
  };
  return text + "\n" + number(counts[3], "error", "errors") + ", " +
         number(counts[2], "warning", "warnings") + ", " + number(counts[1], "note", "notes") +
         ", " + std::to_string(counts[0]) + " ok\n";
}

}  // namespace sobre
