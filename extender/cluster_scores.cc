#include "extender/cluster_scores.h"

#include <array>
#include <utility>

#include "scoring/offers.h"

namespace sobre {
namespace {

constexpr std::int32_t kWorst = -100;
constexpr std::int32_t kPerStep = 200 / kMaxScore;

// What a cluster's machines are, at the price that is known now.
std::vector<Offer> OffersOf(const Config::Clusters& clusters, const Snapshot& snapshot) {
  const auto stated = StatedPrices(snapshot);
  std::vector<Offer> offers = clusters.managed;
  for (Offer& offer : offers) {
    // No node is called so.
    offer.facts.name = "cluster/" + offer.facts.name;
    if (offer.price) {
      offer.price->time = snapshot.time();
    } else if (const auto found = stated.find(MachineKindOf(offer.facts)); found != stated.end()) {
      offer.price = found->second;
    }
  }
  return offers;
}

}  // namespace

std::vector<ClusterScore> ScoreClusters(const Config::Clusters& clusters, const WorldState& state) {
  constexpr std::array kObjectives = {Objective::kBalanced, Objective::kCarbon, Objective::kCost};
  std::vector<ClusterScore> scored(clusters.managed.size());
  for (std::size_t i = 0; i < scored.size(); ++i)
    scored[i].cluster = clusters.managed[i].facts.name;
  const std::vector<Offer> offers = OffersOf(clusters, *state.snapshot);
  for (const Objective objective : kObjectives) {
    DecisionRequest request;
    request.pod = clusters.workload;
    request.policy = clusters.policy;
    request.policy.objective = objective;
    const OfferRanking ranking = RankOffers(request, state.input, offers);
    for (const RankedOffer& row : ranking.rows) {
      ClusterScore& cluster = scored[row.offer];
      if (row.refusal) {
        cluster.refused = row.refusal->reason;
        cluster.scores.emplace_back(ToString(objective), kWorst);
      } else if (ranking.decision.ranked_by == objective) {
        // By another objective it would be told under the wrong name.
        cluster.scores.emplace_back(ToString(objective), row.score * kPerStep + kWorst);
      }
    }
  }
  return scored;
}

}  // namespace sobre
