#include "extender/metrics.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "extender/metric_families.h"
#include "extender/process_metrics.h"

namespace sobre {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

constexpr std::size_t kOwnRegions = 50;

double Load(const std::atomic<std::uint64_t>& value) {
  return static_cast<double>(value.load(std::memory_order_relaxed));
}
}  // namespace

std::string_view ToString(Verb verb) {
  switch (verb) {
    case Verb::kFilter:
      return "filter";
    case Verb::kPrioritize:
      return "prioritize";
    case Verb::kPreempt:
      break;
  }
  return "preempt";
}

void Metrics::CountRequest(Verb verb, bool ok, std::chrono::nanoseconds took) {
  PerVerb& counts = verbs_[static_cast<std::size_t>(verb)];
  (ok ? counts.served : counts.refused).fetch_add(1, std::memory_order_relaxed);
  const double seconds = static_cast<double>(took.count()) * 1e-9;
  const auto bucket =
      std::lower_bound(kBuckets.begin(), kBuckets.end(), seconds) - kBuckets.begin();
  counts.buckets[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  counts.nanoseconds.fetch_add(static_cast<std::uint64_t>(took.count()), std::memory_order_relaxed);
}

void Metrics::CountProblems(std::size_t annotations) {
  if (annotations > 0) problems_.fetch_add(annotations, std::memory_order_relaxed);
}

void Metrics::CountRefusals(std::size_t nodes) {
  refusals_.fetch_add(nodes, std::memory_order_relaxed);
}

void Metrics::CountUnaskedLimits() { unasked_limits_.fetch_add(1, std::memory_order_relaxed); }

void Metrics::CountDecision(std::size_t candidates, std::optional<Objective> ranked_by,
                            IntensityBasis intensity) {
  const std::size_t ranking = ranked_by ? static_cast<std::size_t>(*ranked_by) : kRankings - 1;
  decisions_[ranking][static_cast<std::size_t>(intensity)].fetch_add(1, std::memory_order_relaxed);
  candidates_.fetch_add(candidates, std::memory_order_relaxed);
}

Metrics::Decisions Metrics::decisions() const {
  Decisions sums{0, 0, problems_, refusals_};
  for (std::size_t ranking = 0; ranking < kRankings; ++ranking) {
    for (const std::atomic<std::uint64_t>& count : decisions_[ranking]) {
      sums.made += count;
      if (ranking + 1 == kRankings) sums.unranked += count;
    }
  }
  return sums;
}

namespace {

// What became of the queries of each server; as many series as the configuration has queries.
void AddQueries(const WorldState& state, Timestamp now, MetricFamilies& out) {
  const auto labels = [](const ServerState& server, const QueryState& query) {
    return std::vector<ClientMetric::Label>{{"server", server.name},
                                            {"source", query.query.name},
                                            {"signal", std::string(ToString(query.query.signal))}};
  };
  // Two queries of one source for one signal are told as one.
  const auto for_each = [&](const auto& value_of, bool largest) {
    for (const ServerState& server : state.servers) {
      std::map<std::pair<std::string, Signal>, std::pair<double, const QueryState*>> found;
      for (const QueryState& query : server.queries) {
        if (!query.idle.empty()) continue;
        const double value = value_of(query);
        auto [entry, added] =
            found.try_emplace({query.query.name, query.query.signal}, std::pair(value, &query));
        double& held = entry->second.first;
        if (!added) held = largest ? std::max(held, value) : held + value;
      }
      for (const auto& [key, entry] : found) out.Value(entry.first, labels(server, *entry.second));
    }
  };
  out.Begin("sobre_prometheus_up", "1 if the server could be asked the last time.",
            MetricType::Gauge);
  for (const ServerState& server : state.servers)
    out.Value(server.problem.empty() && server.answered ? 1 : 0, {{"server", server.name}});
  out.Begin("sobre_prometheus_clock_ahead_seconds", "The server's clock against ours.",
            MetricType::Gauge);
  for (const ServerState& server : state.servers)
    out.Value(InSeconds(server.clock_ahead), {{"server", server.name}});
  out.Begin("sobre_signal_query_failures_total", "Failed attempts of each query.",
            MetricType::Counter);
  for_each([](const QueryState& query) { return static_cast<double>(query.failures); }, false);
  out.Begin("sobre_signal_query_duration_seconds", "How long the query took the last time.",
            MetricType::Gauge);
  for_each([](const QueryState& query) { return InSeconds(query.took); }, true);
  out.Begin("sobre_signal_query_age_seconds",
            "Time since the query was answered; +Inf if it never was.", MetricType::Gauge);
  for_each(
      [now](const QueryState& query) {
        return query.answered ? InSeconds(now - *query.answered)
                              : std::numeric_limits<double>::infinity();
      },
      true);
  out.Begin("sobre_calibration_error_ratio",
            "How far measured points lie off the line of a kind of machine, where it is used.",
            MetricType::Gauge);
  for (const PowerHistory::Class& found : state.calibration) {
    if (!found.result.fit) continue;
    out.Value(
        found.result.fit->error.value(),
        {{"machine", found.fit.machine}, {"boundary", std::string(ToString(found.fit.boundary))}});
  }
}

// Without a shared database the families have no values.
void AddShipping(const RecordsState& state, Timestamp now, MetricFamilies& out) {
  const auto& shipper = state.shipper;
  out.Begin("sobre_records_shipped_total", "Entries copied to the shared database.",
            MetricType::Counter);
  if (shipper) out.Value(static_cast<double>(shipper->shipped));
  out.Begin("sobre_records_shipping_failing",
            "1 while the shared database takes no entries: they stay on the own disk.",
            MetricType::Gauge);
  if (shipper) out.Value(shipper->problem.empty() ? 0 : 1);
  out.Begin("sobre_records_shared_age_seconds",
            "Time since the shared database had all entries; +Inf if it never had.",
            MetricType::Gauge);
  if (shipper)
    out.Value(shipper->last_contact ? InSeconds(now - *shipper->last_contact)
                                    : std::numeric_limits<double>::infinity());
}

// Whoever keeps the number and the hash's beginning can tell later that the chain still has them.
void AddRecords(const RecordsState& state, Timestamp now, MetricFamilies& out) {
  const RecorderState& records = state.recorder;
  const JournalState& journal = records.journal;
  out.Begin("sobre_records_enabled", "1 if decisions are kept.", MetricType::Gauge);
  out.Value(records.enabled ? 1 : 0);
  out.Begin("sobre_records_written_total", "Entries written, by kind.", MetricType::Counter);
  out.Value(static_cast<double>(journal.decisions), {{"kind", "decision"}});
  out.Value(static_cast<double>(journal.outcomes), {{"kind", "outcome"}});
  out.Begin("sobre_records_dropped_total",
            "Decisions and outcomes that could not be recorded; an entry says so.",
            MetricType::Counter);
  out.Value(static_cast<double>(journal.dropped));
  out.Begin("sobre_records_backlog", "Entries that wait to be written.", MetricType::Gauge);
  out.Value(static_cast<double>(journal.backlog));
  out.Begin("sobre_records_failing", "1 while the database cannot be written.", MetricType::Gauge);
  out.Value(journal.problem.empty() ? 0 : 1);
  out.Begin("sobre_records_distrusted",
            "1 where this process found records that somebody else had changed, and began a new "
            "chain.",
            MetricType::Gauge);
  out.Value(journal.distrusted.empty() ? 0 : 1);
  out.Begin("sobre_records_last_write_age_seconds",
            "Time since an entry was written; +Inf if none was.", MetricType::Gauge);
  out.Value(journal.last_write ? InSeconds(now - *journal.last_write)
                               : std::numeric_limits<double>::infinity());
  out.Begin("sobre_records_head_entries", "Entries of this replica's chain.", MetricType::Gauge);
  out.Value(static_cast<double>(journal.head.seq), {{"chain", journal.chain}});
  out.Begin("sobre_records_head_hash", "The first 48 bits of the chain's last hash, as a number.",
            MetricType::Gauge);
  double prefix = 0;
  for (const char byte : journal.head.hash.substr(0, 6))
    prefix = prefix * 256 + static_cast<unsigned char>(byte);
  out.Value(prefix, {{"chain", journal.chain}});
  out.Begin("sobre_outcomes_total", "Decisions of which it is known what became of the pod.",
            MetricType::Counter);
  out.Value(static_cast<double>(records.outcomes));
  out.Begin("sobre_followed_outcomes_total", "Of those: the pod got the best node, or one as good.",
            MetricType::Counter);
  out.Value(static_cast<double>(records.agreed));
  out.Begin("sobre_open_decisions", "Decisions whose pod has no node yet.", MetricType::Gauge);
  out.Value(static_cast<double>(records.open_decisions));
  AddShipping(state, now, out);
}

// Of nodes: where each of the three figures comes from that a decision needs.
void AddNodeFigures(const Snapshot& snapshot, MetricFamilies& out) {
  constexpr std::array<IntensityBasis, 3> kBases = {IntensityBasis::kLive, IntensityBasis::kCatalog,
                                                    IntensityBasis::kNone};
  std::array<std::size_t, 3> intensity{};
  std::array<std::size_t, 3> price{};
  std::array<std::size_t, 5> power{};
  for (const NodeRecord& node : snapshot.nodes()) {
    ++intensity[node.live_intensity ? 0 : node.catalog_intensity ? 1 : 2];
    ++price[!node.price ? 2 : node.price_estimated ? 1 : 0];
    ++power[static_cast<std::size_t>(node.power_basis)];
  }
  out.Begin("sobre_node_figures",
            "Nodes by where the grid intensity, the price and the power come from that decisions "
            "use.",
            MetricType::Gauge);
  const auto value = [&](std::size_t nodes, const char* figure, std::string_view source) {
    out.Value(static_cast<double>(nodes), {{"figure", figure}, {"source", std::string(source)}});
  };
  for (std::size_t i = 0; i < kBases.size(); ++i)
    value(intensity[i], "intensity", ToString(kBases[i]));
  value(price[0], "price", "told");
  value(price[1], "price", "estimated");
  value(price[2], "price", "none");
  for (std::size_t i = 0; i < power.size(); ++i)
    value(power[i], "power", ToString(static_cast<PowerBasis>(i)));
}

// The regions with the most nodes; nodes of one region are on one grid.
void AddRegions(const Snapshot& snapshot, MetricFamilies& out) {
  std::map<std::pair<std::string_view, std::string_view>, std::pair<std::size_t, const NodeRecord*>>
      found;
  for (const NodeRecord& node : snapshot.nodes()) {
    auto& [nodes, example] = found[{node.facts->provider, node.facts->region}];
    ++nodes;
    if (example == nullptr || (!example->live_intensity && node.live_intensity)) example = &node;
  }
  std::vector<std::pair<std::size_t, const NodeRecord*>> order;
  order.reserve(found.size());
  for (const auto& [name, region] : found) order.push_back(region);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (order.size() > kOwnRegions) order.resize(kOwnRegions);
  out.Begin("sobre_region_gco2e_per_kwh",
            "Grid intensity of the regions with the most nodes, location-based.",
            MetricType::Gauge);
  for (const auto& [nodes, node] : order) {
    const auto& intensity = node->live_intensity ? node->live_intensity : node->catalog_intensity;
    if (!intensity) continue;
    out.Value(intensity->value.value(),
              {{"provider", node->facts->provider},
               {"region", node->facts->region},
               {"source", std::string(ToString(node->live_intensity ? IntensityBasis::kLive
                                                                    : IntensityBasis::kCatalog))}});
  }
}

void AddWorld(const WorldState& state, Timestamp now, MetricFamilies& out) {
  out.Begin("sobre_bindings_total",
            "Pods seen to be bound to a node since the start, by the scheduler that they name.",
            MetricType::Counter);
  for (const auto& [scheduler, count] : state.bindings_by_scheduler)
    out.Value(static_cast<double>(count), {{"scheduler", scheduler}});
  out.Begin("sobre_ready", "1 once the cluster was read.", MetricType::Gauge);
  out.Value(state.ready ? 1 : 0);
  out.Begin("sobre_nodes", "Nodes in the snapshot.", MetricType::Gauge);
  out.Value(static_cast<double>(state.snapshot->nodes().size()));
  out.Begin("sobre_watched_pods", "Unfinished pods in the watched cluster.", MetricType::Gauge);
  out.Value(static_cast<double>(state.watched_pods));
  out.Begin("sobre_gated_pods", "Pods that wait behind the gate for a cleaner hour.",
            MetricType::Gauge);
  out.Value(static_cast<double>(state.gated.size()));
  out.Begin("sobre_snapshot_age_seconds", "Age of the snapshot that decisions are made on.",
            MetricType::Gauge);
  out.Value(InSeconds(now - state.snapshot->time()));
  AddNodeFigures(*state.snapshot, out);
  AddRegions(*state.snapshot, out);
}

void AddSignals(const Snapshot& snapshot, MetricFamilies& out) {
  out.Begin("sobre_signal_values", "Values of each signal in the snapshot, by what became of them.",
            MetricType::Gauge);
  for (std::size_t i = 0; i < kSignalCount; ++i) {
    const SignalTally& tally = snapshot.tallies()[i];
    for (std::size_t fate = 0; fate < kFateCount; ++fate) {
      out.Value(static_cast<double>(tally.count[fate]),
                {{"signal", std::string(ToString(SignalAt(i)))},
                 {"fate", std::string(ToString(static_cast<Fate>(fate)))}});
    }
  }
  out.Begin("sobre_signal_disagreements",
            "Values about which two sources differ by more than 30 %, by signal.",
            MetricType::Gauge);
  for (std::size_t i = 0; i < kSignalCount; ++i) {
    out.Value(static_cast<double>(snapshot.tallies()[i].disagreements),
              {{"signal", std::string(ToString(SignalAt(i)))}});
  }
}

void AddCommitments(const Snapshot& snapshot, MetricFamilies& out) {
  out.Begin("sobre_commitment_capacity", "What was committed to, in nodes or vCPUs.",
            MetricType::Gauge);
  for (const CommitmentUse& use : snapshot.commitments())
    out.Value(use.committed, {{"commitment", use.name}, {"unit", use.unit}});
  out.Begin("sobre_commitment_used_ratio", "Share of what was committed to that nodes use, 0 to 1.",
            MetricType::Gauge);
  for (const CommitmentUse& use : snapshot.commitments())
    out.Value(use.committed > 0 ? use.used / use.committed : 1, {{"commitment", use.name}});
}

void AddCertificates(const std::vector<CertificateInUse>& certificates, MetricFamilies& out) {
  out.Begin("sobre_certificate_expiry_timestamp_seconds",
            "When a certificate that Sobre shows or trusts ends, since 1970.", MetricType::Gauge);
  for (const CertificateInUse& found : certificates)
    out.Value(InSeconds(found.expiry.time_since_epoch()),
              {{"use", found.use}, {"server", found.server}});
}

void AddConnections(const std::vector<const HttpServer*>& servers, MetricFamilies& out) {
  std::vector<HttpServer::Load> loads;
  loads.reserve(servers.size());
  for (const HttpServer* server : servers) loads.push_back(server->load());
  const auto add = [&](const auto& value) {
    for (std::size_t i = 0; i < servers.size(); ++i)
      out.Value(static_cast<double>(value(loads[i])), {{"server", servers[i]->name()}});
  };
  out.Begin("sobre_connections", "Connections that are served now, by port.", MetricType::Gauge);
  add([](const HttpServer::Load& load) { return load.connections; });
  out.Begin("sobre_connections_limit", "So many are served at a time; the others are turned away.",
            MetricType::Gauge);
  add([](const HttpServer::Load& load) { return load.most; });
  out.Begin("sobre_connections_turned_away_total",
            "Connections that were answered 503 and closed, as there were too many.",
            MetricType::Counter);
  add([](const HttpServer::Load& load) { return load.turned_away; });
  out.Begin("sobre_http_refused_total",
            "Requests that a port refused before anything else saw them, by HTTP status.",
            MetricType::Counter);
  for (std::size_t i = 0; i < servers.size(); ++i) {
    for (const auto& [status, count] : loads[i].refused) {
      out.Value(static_cast<double>(count),
                {{"server", servers[i]->name()}, {"status", std::to_string(status)}});
    }
  }
}

}  // namespace

void Metrics::AddRequests(MetricFamilies& out) const {
  out.Begin("sobre_requests_total", "Calls from kube-scheduler, by verb and outcome.",
            MetricType::Counter);
  for (const Verb verb : kVerbs) {
    const PerVerb& counts = verbs_[static_cast<std::size_t>(verb)];
    out.Value(Load(counts.served), {{"verb", std::string(ToString(verb))}, {"outcome", "served"}});
    out.Value(Load(counts.refused),
              {{"verb", std::string(ToString(verb))}, {"outcome", "refused"}});
  }
  out.Begin("sobre_request_duration_seconds", "Time from the whole request to the whole answer.",
            MetricType::Histogram);
  for (const Verb verb : kVerbs) {
    const PerVerb& counts = verbs_[static_cast<std::size_t>(verb)];
    auto& histogram = out.Add({{"verb", std::string(ToString(verb))}}).histogram;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < counts.buckets.size(); ++i) {
      sum += counts.buckets[i].load(std::memory_order_relaxed);
      const double bound =
          i < kBuckets.size() ? kBuckets[i] : std::numeric_limits<double>::infinity();
      histogram.bucket.push_back({sum, bound});
    }
    histogram.sample_count = sum;
    histogram.sample_sum = Load(counts.nanoseconds) * 1e-9;
  }
}

void Metrics::AddDecisions(MetricFamilies& out) const {
  out.Begin("sobre_decisions_total",
            "Decisions made, by the objective that they were ranked by (none: nothing was known of "
            "any candidate) and by the grid intensity that they were made on.",
            MetricType::Counter);
  for (std::size_t ranking = 0; ranking < kRankings; ++ranking) {
    const std::string_view by =
        ranking + 1 < kRankings ? ToString(static_cast<Objective>(ranking)) : "none";
    for (std::size_t intensity = 0; intensity < kIntensities; ++intensity) {
      out.Value(Load(decisions_[ranking][intensity]),
                {{"ranked_by", std::string(by)},
                 {"intensity", std::string(ToString(static_cast<IntensityBasis>(intensity)))}});
    }
  }
  out.Begin("sobre_candidates_total", "Candidate nodes judged.", MetricType::Counter);
  out.Value(Load(candidates_));
  out.Begin("sobre_refused_nodes_total", "Nodes that a pod's limits refused.", MetricType::Counter);
  out.Value(Load(refusals_));
  out.Begin("sobre_unasked_limits_total",
            "Times that a pod with limits was scored without the marker by which kube-scheduler "
            "asks about them.",
            MetricType::Counter);
  out.Value(Load(unasked_limits_));
  out.Begin(
      "sobre_annotation_problems_total",
      "Annotations that could not be followed, each time that a pod with them was asked about.",
      MetricType::Counter);
  out.Value(Load(problems_));
}

std::string Metrics::Serialize(const WorldState& state, Timestamp now,
                               const RecordsState& records) const {
  MetricFamilies out;
  AddRequests(out);
  AddDecisions(out);
  AddRecords(records, now, out);
  AddWorld(state, now, out);
  AddSignals(*state.snapshot, out);
  AddQueries(state, now, out);
  AddCommitments(*state.snapshot, out);
  AddCertificates(certificates_ ? certificates_() : std::vector<CertificateInUse>(), out);
  out.Begin("sobre_tls_reloads_total",
            "Changes of the extender port's certificate files, by whether they could be used.",
            MetricType::Counter);
  if (tls_ != nullptr) {
    const ServerTls::Reloads reloads = tls_->reloads();
    out.Value(static_cast<double>(reloads.done), {{"outcome", "done"}});
    out.Value(static_cast<double>(reloads.failed), {{"outcome", "failed"}});
  }
  out.Begin("sobre_tls_refused_total",
            "Connections to the extender port whose TLS handshake failed, by why.",
            MetricType::Counter);
  if (tls_ != nullptr) {
    for (std::size_t i = 0; i < kTlsRefusals; ++i) {
      const auto why = static_cast<TlsRefusal>(i);
      out.Value(static_cast<double>(tls_->refused(why)), {{"reason", std::string(ToString(why))}});
    }
  }
  AddConnections(servers_, out);
  out.Begin("sobre_build_info", "Versions, in labels.", MetricType::Gauge);
  out.Value(1, {{"version", SOBRE_VERSION},
                {"algorithm", std::to_string(kAlgorithmVersion)},
                {"catalogue", state.snapshot->catalog_version()}});
  AddProcessMetrics(out);
  return out.Text();
}

}  // namespace sobre
