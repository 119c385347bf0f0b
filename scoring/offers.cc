#include "scoring/offers.h"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "scoring/analysis.h"
#include "scoring/explain.h"
#include "scoring/new_capacity.h"

namespace sobre {
namespace {

constexpr double kGib = 1024.0 * 1024 * 1024;

std::string SizeText(const Resources& size) {
  std::string text = FormatSignificant(static_cast<double>(size.millicpu) / 1000, 4) + " vCPU, " +
                     FormatSignificant(static_cast<double>(size.memory_bytes) / kGib, 4) + " GiB";
  if (size.gpus > 0) text += ", " + std::to_string(size.gpus) + " accelerators";
  if (size.gpu_slices > 0) text += ", " + std::to_string(size.gpu_slices) + " slices";
  return text;
}

bool Holds(const Resources& size, const Resources& requests) {
  return size.millicpu >= requests.millicpu && size.memory_bytes >= requests.memory_bytes &&
         size.gpus >= requests.gpus && size.gpu_slices >= requests.gpu_slices;
}

}  // namespace

std::string MachineKindOf(const NodeFacts& facts) {
  std::string name = facts.provider + "/" + facts.region + "/";
  if (!facts.instance_type.empty()) {
    name += facts.instance_type;
  } else {
    // What a node reserves for itself makes its size odd: the machine's is the next whole one.
    const auto vcpus = (facts.allocatable.millicpu + 999) / 1000;
    const auto gib = (facts.allocatable.memory_bytes + (std::int64_t{1} << 30) - 1) >> 30;
    name += std::to_string(vcpus) + "vcpu-" + std::to_string(gib) + "gib";
  }
  if (!facts.gpu_model.empty()) name += "/" + facts.gpu_model;
  if (!facts.hardware_class.empty()) name += "/" + facts.hardware_class;
  return facts.spot ? name + "/spot" : name;
}

namespace {

bool SameAttested(const AttestedFacts& a, const AttestedFacts& b) {
  return std::tie(a.provider, a.region, a.country, a.operator_name, a.exposure, a.certifications) ==
         std::tie(b.provider, b.region, b.country, b.operator_name, b.exposure, b.certifications);
}

using Alike = std::vector<const NodeRecord*>;

AttestedFacts AttestedBy(const Alike& alike, const Catalog& catalog) {
  const NodeFacts& first = *alike.front()->facts;
  if (catalog.ZoneOf(first.provider, first.region))
    return {first.provider, first.region, "", "", "", {}};
  const bool same = std::all_of(alike.begin(), alike.end(), [&](const NodeRecord* node) {
    return SameAttested(node->facts->attested, first.attested);
  });
  return same ? first.attested : AttestedFacts{};
}

// Nodes by kind, where their place is known.
std::map<std::string, Alike> ByKind(const Snapshot& world) {
  std::map<std::string, Alike> kinds;
  for (const NodeRecord& node : world.nodes()) {
    if (node.facts->provider.empty() || node.facts->region.empty()) continue;
    kinds[MachineKindOf(*node.facts)].push_back(&node);
  }
  return kinds;
}

// The one of the median stated price; the first where none is stated.
const NodeRecord& Typical(const Alike& alike, std::size_t& priced) {
  Alike stated;
  for (const NodeRecord* node : alike)
    if (node->price && !node->price_estimated) stated.push_back(node);
  const auto by_price = [](const NodeRecord* a, const NodeRecord* b) {
    return std::tie(a->price->value, a->facts->name) < std::tie(b->price->value, b->facts->name);
  };
  std::sort(stated.begin(), stated.end(), by_price);
  priced = stated.size();
  return stated.empty() ? *alike.front() : *stated[(stated.size() - 1) / 2];
}

std::optional<Sourced<EurosPerHour>> MedianPrice(const NodeRecord& typical, std::size_t priced) {
  if (priced == 0) return std::nullopt;
  auto price = typical.price;
  if (priced > 1)
    price->source = "median of " + std::to_string(priced) + " nodes: " + price->source;
  return price;
}

// Machines that are alike, as one offer.
Offer OfferOf(std::string name, const Alike& alike, const Catalog& catalog) {
  std::size_t priced = 0;
  const NodeRecord& typical = Typical(alike, priced);
  Offer offer;
  offer.facts = *typical.facts;
  offer.facts.name = std::move(name);
  offer.facts.addresses.clear();
  offer.facts.attested = AttestedBy(alike, catalog);
  offer.nodes = static_cast<std::int64_t>(alike.size());
  offer.price = MedianPrice(typical, priced);
  return offer;
}

std::string UsualGpuModel(const Snapshot& world) {
  std::map<std::string, std::int64_t> models;
  for (const NodeRecord& node : world.nodes())
    if (node.gpus > Gpus(0) && !node.facts->gpu_model.empty()) ++models[node.facts->gpu_model];
  const auto most =
      std::max_element(models.begin(), models.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == models.end() ? "" : most->first;
}

// The standard machine of the size that holds the pod.
NodeFacts StandardFacts(const Snapshot& world, const Resources& requests,
                        const StandardMachine& standard) {
  NodeFacts facts;
  facts.allocatable = standard.size;
  Resources& size = facts.allocatable;
  // Far beyond any machine a size has no meaning, and must not overflow.
  constexpr std::int64_t kMostMillicpu = std::int64_t{1} << 40;
  while ((size.millicpu < requests.millicpu || size.memory_bytes < requests.memory_bytes) &&
         size.millicpu < kMostMillicpu) {
    size.millicpu *= 2;
    size.memory_bytes *= 2;
  }
  if (!requests.UsesGpu()) return facts;
  facts.gpu_model = standard.gpu_model.empty() ? UsualGpuModel(world) : standard.gpu_model;
  if (facts.gpu_model.empty()) return facts;
  const auto gpu = world.catalog().GpuOf(facts.gpu_model);
  const std::int64_t slices = gpu ? gpu->value.slices : 1;
  size.gpus = requests.gpus;
  size.gpu_slices = (requests.gpu_slices + slices - 1) / slices * slices;
  return facts;
}

// The same place, machine and moment: what the offer itself says has precedence.
void UseOwn(const OwnMachine& own, Timestamp time, NodeRecord& node) {
  const std::string source = "as stated";
  node.pue = own.pue;
  node.pue_exact = true;
  node.pue_source = own.pue_source;
  const auto stated = [&](auto value) {
    return Sourced<decltype(value)>{value, source, time, Method::kConfigured};
  };
  node.electricity = stated(own.electricity);
  if (own.market_intensity) node.market_intensity = stated(*own.market_intensity);
  if (own.intensity) {
    node.catalog_intensity = stated(*own.intensity);
    node.live_intensity = node.catalog_intensity;
  }
  if (own.embodied)
    node.server_embodied = Published<EmbodiedRow>{{*own.embodied, {}}, source, true};
  if (node.server_embodied) node.server_embodied->value.lifetime = own.lifetime;
  if (node.gpu_embodied) node.gpu_embodied->value.lifetime = own.lifetime;
  node.share_of_machine = Fraction(1);
  const double vcpus = static_cast<double>(node.facts->allocatable.millicpu) / 1000.0;
  if (own.idle && own.full && vcpus > 0) {
    node.idle = WattsPerVcpu(own.idle->value() / vcpus);
    node.slope = WattsPerVcpu((*own.full - *own.idle).value() / vcpus);
    node.power_basis = PowerBasis::kInstanceType;
    node.power_method = Method::kConfigured;
    node.power_source = source;
  }
}

NodeRecord RecordOf(const Offer& offer, const Snapshot& built) {
  NodeRecord node = built.nodes()[static_cast<std::size_t>(built.Find(offer.facts.name))];
  if (offer.price) {
    node.price = offer.price;
    node.list_price = offer.price;
    node.price_estimated = false;
  }
  const double vcpus = static_cast<double>(offer.facts.allocatable.millicpu) / 1000.0;
  if (offer.host && offer.host->value() > vcpus)
    node.share_of_machine = Fraction(vcpus / offer.host->value());
  if (offer.own) UseOwn(*offer.own, built.time(), node);
  return node;
}

// What signals say of the offers' places, and what was wrong with that.
std::vector<std::string> NotesOfPlaces(const Snapshot& built) {
  std::vector<std::string> notes;
  for (const Signal signal : {Signal::kGridIntensity, Signal::kElectricityPrice}) {
    const SignalTally& tally = built.tallies()[Index(signal)];
    for (const Fate fate : {Fate::kStale, Fate::kImplausible, Fate::kForeign}) {
      const std::string& said = tally.said[static_cast<std::size_t>(fate)];
      if (!said.empty()) notes.push_back(said);
    }
  }
  return notes;
}

// A snapshot whose nodes are the offers, in their order.
std::shared_ptr<const Snapshot> SnapshotOf(const std::vector<Offer>& offers,
                                           const SnapshotInput& world,
                                           std::vector<std::string>& notes) {
  // The nodes stay meanwhile: what was measured of workloads is known by the nodes of their pods.
  SnapshotInput input = world;
  for (const Offer& offer : offers)
    input.nodes.push_back(std::make_shared<const NodeFacts>(offer.facts));
  const auto built = Snapshot::Build(std::move(input));
  notes = NotesOfPlaces(*built);
  Snapshot::Parts parts;
  parts.time = built->time();
  for (const Offer& offer : offers) parts.nodes.push_back(RecordOf(offer, *built));
  parts.hardware_classes = built->hardware_classes();
  parts.rates = built->rates();
  parts.workloads = built->workloads();
  parts.models = built->models();
  parts.catalog = world.catalog;
  return Snapshot::Restore(std::move(parts));
}

std::optional<Refusal> RefusalOf(const Offer& offer, const DecisionRequest& request,
                                 const NodeRecord& node, const Snapshot& snapshot) {
  if (auto refusal = CheckPlaceLimits(request.policy.limits, node, snapshot)) return refusal;
  const Resources& size = offer.facts.allocatable;
  if (Holds(size, request.pod.requests)) return std::nullopt;
  if (request.pod.requests.UsesGpu() && !size.UsesGpu())
    return Refusal{"the pod asks for an accelerator, of which no model is known here", true};
  return Refusal{"its machine (" + SizeText(size) + ") cannot hold the pod (" +
                     SizeText(request.pod.requests) + ")",
                 true};
}

void AddFigures(const DecisionRequest& request, const Decision& decision,
                const Candidate& candidate, const Snapshot& snapshot, RankedOffer& row) {
  row.units = candidate.units;
  row.report = Attribute(request, decision, candidate, snapshot);
  const double units = candidate.units.value();
  if (candidate.placement.grams_known && row.report.total) {
    const Range<GramsPerHour>& total = *row.report.total;
    // What crosses regions, as the ledger of new capacity added it.
    const GramsPerHour egress = candidate.placement.grams - total.mid;
    const auto per_unit = [&](GramsPerHour grams) {
      return GramsPerUnit((grams + egress).value() / units);
    };
    row.grams = {per_unit(total.low), per_unit(total.mid), per_unit(total.high)};
  }
  if (candidate.placement.euros_known)
    row.euros = EurosPerUnit(candidate.placement.euros.value() / units);
}

void NoteMissing(const OfferRanking& ranking, std::vector<std::string>& notes) {
  const auto note = [&](const char* what, const auto& applies) {
    std::int64_t count = 0;
    std::string example;
    for (const NodeRecord& node : ranking.snapshot->nodes()) {
      if (!applies(node)) continue;
      if (count++ == 0) example = node.facts->name;
    }
    if (count == 0) return;
    notes.push_back(std::string(what) + " for " + std::to_string(count) + " of " +
                    std::to_string(ranking.offers.size()) + " offers (for example " + example +
                    ")");
  };
  note("price unknown", [](const NodeRecord& node) { return !node.price; });
  note("price estimated", [](const NodeRecord& node) { return node.price_estimated; });
  note("grid intensity unknown",
       [](const NodeRecord& node) { return !node.catalog_intensity && !node.live_intensity; });
}

}  // namespace

std::map<std::string, Sourced<EurosPerHour>> StatedPrices(const Snapshot& world) {
  std::map<std::string, Sourced<EurosPerHour>> prices;
  for (const auto& [kind, nodes] : ByKind(world)) {
    std::size_t priced = 0;
    const NodeRecord& typical = Typical(nodes, priced);
    if (auto price = MedianPrice(typical, priced)) prices.emplace(kind, *std::move(price));
  }
  return prices;
}

std::vector<Offer> KnownOffers(const Snapshot& world, const Resources& requests,
                               const StandardMachine& standard) {
  std::vector<Offer> offers;
  std::set<std::pair<std::string, std::string>> covered;
  for (const auto& [name, nodes] : ByKind(world)) {
    offers.push_back(OfferOf(name, nodes, world.catalog()));
    const NodeFacts& facts = offers.back().facts;
    if (Holds(facts.allocatable, requests)) covered.emplace(facts.provider, facts.region);
  }
  const NodeFacts machine = StandardFacts(world, requests, standard);
  for (const Catalog::Region& region : world.catalog().Regions()) {
    // A user's row may name again what the embedded ones name.
    if (!covered.emplace(region.provider, region.region).second) continue;
    Offer& offer = offers.emplace_back();
    offer.facts = machine;
    offer.facts.name = region.provider + "/" + region.region;
    offer.facts.provider = region.provider;
    offer.facts.region = region.region;
    offer.facts.attested.provider = region.provider;
    offer.facts.attested.region = region.region;
    offer.host = standard.host;
  }
  std::sort(offers.begin(), offers.end(),
            [](const Offer& a, const Offer& b) { return a.facts.name < b.facts.name; });
  return offers;
}

OfferRanking RankOffers(const DecisionRequest& request, const SnapshotInput& world,
                        std::vector<Offer> offers) {
  OfferRanking ranking;
  ranking.offers = std::move(offers);
  std::vector<std::string> notes;
  ranking.snapshot = SnapshotOf(ranking.offers, world, notes);
  const Snapshot& snapshot = *ranking.snapshot;
  const std::vector<NodeRecord>& nodes = snapshot.nodes();
  std::vector<std::int32_t> candidates;
  std::vector<std::int32_t> refused;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    RankedOffer& row = ranking.rows.emplace_back();
    row.offer = i;
    row.refusal = RefusalOf(ranking.offers[i], request, nodes[i], snapshot);
    (row.refusal ? refused : candidates).push_back(static_cast<std::int32_t>(i));
  }
  // The basis is that of those that may be chosen: the others are told by it too, or not at all.
  Decision all;
  DecideOnNew(request, snapshot, candidates, all);
  if (!candidates.empty()) {
    for (const std::int32_t i : refused) {
      if (all.intensity_basis != IntensityBasis::kLive ||
          nodes[static_cast<std::size_t>(i)].live_intensity)
        candidates.push_back(i);
    }
    DecideOnNew(request, snapshot, candidates, all);
  }
  std::vector<std::optional<Refusal>> refusals;
  for (const Candidate& candidate : all.candidates) {
    RankedOffer& row = ranking.rows[static_cast<std::size_t>(candidate.node)];
    AddFigures(request, all, candidate, snapshot, row);
    if (!row.refusal) row.refusal = CheckLimits(request, all, candidate, snapshot);
    refusals.push_back(row.refusal);
  }
  ranking.decision = WithoutRefused(all, refusals);
  Rank(ranking.decision);
  const Decision& decision = ranking.decision;
  std::vector<double> priced(nodes.size(), std::numeric_limits<double>::infinity());
  for (const Candidate& candidate : decision.candidates) {
    const auto index = static_cast<std::size_t>(candidate.node);
    RankedOffer& row = ranking.rows[index];
    row.score = candidate.score;
    row.tied = IsTie(candidate, decision.candidates[*decision.best], decision, snapshot);
    if (row.grams || row.euros) priced[index] = RankedPriced(candidate, decision).value();
  }
  for (const std::size_t i : ParetoFront(decision))
    ranking.rows[static_cast<std::size_t>(decision.candidates[i].node)].on_front = true;
  std::stable_sort(ranking.rows.begin(), ranking.rows.end(),
                   [&](const RankedOffer& a, const RankedOffer& b) {
                     return std::tuple(a.refusal.has_value(), -a.score, priced[a.offer]) <
                            std::tuple(b.refusal.has_value(), -b.score, priced[b.offer]);
                   });
  ranking.notes = Notes(request, decision, snapshot);
  NoteMissing(ranking, ranking.notes);
  ranking.notes.insert(ranking.notes.end(), notes.begin(), notes.end());
  return ranking;
}

}  // namespace sobre
