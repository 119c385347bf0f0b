#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scoring/decide.h"
#include "scoring/ledger.h"
#include "scoring/limits.h"
#include "scoring/snapshot.h"

// Where a pod could run if a machine were had there: regions of the catalogue and machines like
// those that nodes are, also where there is no node today. An offer is a node that is not there
// yet: it is judged as one, on the ledger of new capacity. Pure functions, safe from any thread.
namespace sobre {

// A machine of one's own: what it costs is paid whether it is used or not.
struct OwnMachine {
  Pue pue{1};
  std::string pue_source;
  // Instead of the grid's, whatever the basis of a ranking.
  std::optional<GramsPerKwh> intensity;
  std::optional<GramsPerKwh> market_intensity;
  EurosPerKwh electricity;
  // Of the machine without its accelerators; else the catalogue's.
  std::optional<Range<Grams>> embodied;
  Hours lifetime{35'040};  // of the machine and its accelerators
  // Of the whole machine without accelerators, at rest and at full load; else the catalogue's.
  std::optional<Watts> idle;
  std::optional<Watts> full;
  // Mean share of the machine that is in use over its life.
  Fraction utilization{1};
};

struct Offer {
  // As of a node; the name is the offer's, and no other's.
  NodeFacts facts;
  // Of the whole machine; nothing: as the catalogue estimates.
  std::optional<Sourced<EurosPerHour>> price;
  // Vcpus of the server that it is a part of, where nobody knows the machine behind it.
  std::optional<Vcpus> host;
  // How many nodes like it there are today.
  std::int64_t nodes = 0;
  std::optional<OwnMachine> own;
};

// What makes machines alike: "scaleway/fr-par/PRO2-M", with accelerator, hardware class and spot.
std::string MachineKindOf(const NodeFacts& facts);
// By kind, where a node of that kind has a stated price: their median.
std::map<std::string, Sourced<EurosPerHour>> StatedPrices(const Snapshot& world);

// What stands for a region of which no machine is known: doubled until the pod fits.
struct StandardMachine {
  Resources size{8000, std::int64_t{32} << 30, 0, 0};
  Vcpus host{128};
  // Of the accelerators that a pod asks for; empty: the model that most nodes have.
  std::string gpu_model;
};

// One offer for each provider, region and kind of machine that nodes are, at the median of their
// stated prices, and a standard machine in every other region of the catalogue and where no such
// machine could hold the pod. By name. Where a region's rows name it, it counts as attested, since
// we name the place ourselves; of any other place only what labels say that a kubelet cannot set.
std::vector<Offer> KnownOffers(const Snapshot& world, const Resources& requests,
                               const StandardMachine& standard = {});

// An offer as it was judged. What is unknown is absent; nothing is known of one that was refused
// and has no value of the basis of the ranking.
struct RankedOffer {
  std::size_t offer = 0;  // index into OfferRanking::offers, and of its node in the snapshot
  std::int32_t score = 0;
  UnitsPerHour units{1};
  // Per unit; data that cross regions are in both.
  std::optional<Range<GramsPerUnit>> grams;
  std::optional<EurosPerUnit> euros;
  // By the hour, without what data that cross add.
  ReportFigures report;
  std::optional<Refusal> refusal;
  bool tied = false;  // with the best, or the best itself
  bool on_front = false;
};

struct OfferRanking {
  std::vector<Offer> offers;
  // Its nodes are the offers, in their order.
  std::shared_ptr<const Snapshot> snapshot;
  // Of those that are not refused, ranked among themselves.
  Decision decision;
  // Best first, then by priced euros, then by name; those that are refused last.
  std::vector<RankedOffer> rows;
  std::vector<std::string> notes;
};

// Ranks the offers for the pod in the world as `world` knows it: its signals tell of the offers'
// places as they do of nodes. Names of offers must differ from each other and from nodes' names.
OfferRanking RankOffers(const DecisionRequest& request, const SnapshotInput& world,
                        std::vector<Offer> offers);

}  // namespace sobre
