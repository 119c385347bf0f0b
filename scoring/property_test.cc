#include <algorithm>

#include <gtest/gtest.h>

#include "scoring/analysis.h"
#include "scoring/random_world.h"

// What must hold in any world.
namespace sobre {
namespace {

TEST(DecideProperty, HoldsInManyRandomWorlds) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    RandomWorld random(seed);
    const auto snapshot = random.world.Snapshot();
    const Decision decision = DecideFor(*snapshot, random.names, random.policy);
    for (const Candidate& a : decision.candidates) {
      ASSERT_GE(a.score, 0);
      ASSERT_LE(a.score, kMaxScore);
      if (!a.placement.grams_known && !a.placement.euros_known) {
        ASSERT_EQ(a.score, 0) << "seed " << seed;
      }
      for (const Candidate& b : decision.candidates) {
        const bool comparable = a.placement.grams_known && b.placement.grams_known &&
                                a.placement.euros_known && b.placement.euros_known;
        if (comparable && a.placement.grams < b.placement.grams &&
            a.placement.euros < b.placement.euros) {
          ASSERT_GE(a.score, b.score) << "seed " << seed;
        }
      }
    }
    std::vector<std::string> shuffled = random.names;
    std::shuffle(shuffled.begin(), shuffled.end(), random.random());
    const Decision other = DecideFor(*snapshot, shuffled, random.policy);
    for (std::size_t i = 0; i < shuffled.size(); ++i) {
      const auto at =
          std::find(random.names.begin(), random.names.end(), shuffled[i]) - random.names.begin();
      ASSERT_EQ(other.candidates[i].score, decision.candidates[static_cast<std::size_t>(at)].score)
          << "seed " << seed;
    }
  }
}

// A node like `facts` but for one thing, or in all.
NodeFacts AlmostLike(NodeFacts facts, RandomWorld& random) {
  switch (random.Below(8)) {
    case 0:
      facts.allocatable.millicpu *= 2;
      break;
    case 1:
      facts.allocatable.memory_bytes /= 2;
      break;
    case 2:
      facts.allocatable.gpus = 4;
      break;
    case 3:
      facts.allocatable.gpu_slices = 14;
      break;
    case 4:
      facts.gpu_replicas = 4;
      break;
    case 5:
      facts.gpu_model = random.Below(2) == 0 ? "NVIDIA-L4" : "NVIDIA-H100-80GB-HBM3";
      break;
    case 6:
      facts.instance_type = "m5.large";
      break;
    default:
      break;
  }
  return facts;
}

// Nodes of one profile are judged once: each must get what it would in a world of its own.
TEST(DecideProperty, ACandidateGetsTheFiguresThatItWouldAlone) {
  std::size_t shared = 0;
  for (unsigned seed = 0; seed < 1000; ++seed) {
    RandomWorld random(seed);
    if (random.Below(2) == 0) {
      random.policy.data_region = RegionName{"aws", "eu-west-3"};
      random.policy.egress = GigabytesPerUnit(0.001);
    }
    const Resources requests =
        random.Below(2) == 0 ? Resources{2000, 4LL << 30, 0, 0} : Resources{2000, 4LL << 30, 1, 1};
    for (int twin = 0; twin < 20; ++twin) {
      const auto& nodes = random.world.input().nodes;
      const NodeFacts& like = *nodes[random.Below(nodes.size())];
      const std::string original = like.name;
      NodeFacts facts = AlmostLike(like, random);
      facts.name = "twin-" + std::to_string(twin);
      random.names.push_back(facts.name);
      for (const Observation& seen : random.world.input().observations) {
        if (seen.node != original) continue;
        random.world.Price(facts.name, seen.value);
        break;
      }
      random.world.Node(std::move(facts));
    }
    const auto snapshot = random.world.Snapshot();
    const Decision all = DecideFor(*snapshot, random.names, random.policy, requests);
    shared += all.candidates.size() - all.kinds.size();
    for (std::size_t i = 0; i < all.candidates.size(); ++i) {
      const PlacementFigures& among = all.candidates[i].placement;
      SnapshotInput own = random.world.input();
      own.nodes = {snapshot->nodes()[static_cast<std::size_t>(all.candidates[i].node)].facts};
      const auto itself = Snapshot::Build(std::move(own));
      const Decision alone = DecideFor(*itself, {random.names[i]}, random.policy, requests);
      const PlacementFigures& by_itself = alone.candidates[0].placement;
      ASSERT_EQ(among.power_known, by_itself.power_known) << "seed " << seed;
      ASSERT_EQ(among.added_power, by_itself.added_power) << "seed " << seed;
      ASSERT_EQ(among.euros_known, by_itself.euros_known) << "seed " << seed;
      ASSERT_EQ(among.euros, by_itself.euros) << "seed " << seed;
      if (all.intensity_basis != alone.intensity_basis) continue;
      ASSERT_EQ(among.grams_known, by_itself.grams_known) << "seed " << seed;
      ASSERT_EQ(among.grams, by_itself.grams) << "seed " << seed;
    }
  }
  EXPECT_GT(shared, 1000U);
}

TEST(DecideProperty, ANodeWorseInBothChangesNoOtherScore) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    RandomWorld random(seed);
    const Decision before = DecideFor(*random.world.Snapshot(), random.names, random.policy);
    const auto known = std::find_if(
        before.candidates.begin(), before.candidates.end(),
        [](const Candidate& c) { return c.placement.grams_known && c.placement.euros_known; });
    if (known == before.candidates.end()) continue;
    // Same place as a known node, and half its size: the same grams or more, twice the price share.
    NodeFacts worse =
        *random.world.Snapshot()->nodes()[static_cast<std::size_t>(known->node)].facts;
    const std::string model = worse.name;
    worse.name = "worse";
    worse.allocatable.millicpu /= 2;
    worse.allocatable.memory_bytes /= 2;
    double price = 0;
    for (const Observation& seen : random.world.input().observations) {
      if (seen.node == model) price = seen.value;
    }
    random.world.Node(worse).Price("worse", price);
    std::vector<std::string> names = random.names;
    names.push_back("worse");
    const Decision after = DecideFor(*random.world.Snapshot(), names, random.policy);
    for (std::size_t i = 0; i < random.names.size(); ++i) {
      ASSERT_EQ(before.candidates[i].score, after.candidates[i].score)
          << "seed " << seed << " node " << i;
    }
  }
}

TEST(DecideProperty, TheScaleOfUnitsChangesNoRank) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    RandomWorld random(seed);
    const auto snapshot = random.world.Snapshot();
    random.policy.requests = UnitsPerHour(3600);
    const Decision one = DecideFor(*snapshot, random.names, random.policy);
    random.policy.requests = UnitsPerHour(3600e3);
    const Decision many = DecideFor(*snapshot, random.names, random.policy);
    // Prices in another currency, and the carbon price too; a power of two changes no rounding.
    for (Observation& seen : random.world.input().observations) {
      if (seen.signal == Signal::kNodePrice) seen.value *= 128;
    }
    random.policy.carbon_price = random.policy.carbon_price * 128;
    const Decision other = DecideFor(*random.world.Snapshot(), random.names, random.policy);
    for (std::size_t i = 0; i < random.names.size(); ++i) {
      ASSERT_EQ(one.candidates[i].score, many.candidates[i].score) << "seed " << seed;
      for (std::size_t j = 0; j < random.names.size(); ++j) {
        if (one.candidates[i].score > one.candidates[j].score) {
          ASSERT_GE(other.candidates[i].score, other.candidates[j].score) << "seed " << seed;
        }
      }
    }
  }
}

TEST(DecideProperty, ObjectiveCarbonIgnoresPrices) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    RandomWorld random(seed);
    random.policy.objective = Objective::kCarbon;
    const Decision before = DecideFor(*random.world.Snapshot(), random.names, random.policy);
    if (before.ranked_by != Objective::kCarbon) continue;
    for (Observation& seen : random.world.input().observations) {
      if (seen.signal == Signal::kNodePrice) seen.value = static_cast<double>(random.Below(1000));
    }
    const Decision after = DecideFor(*random.world.Snapshot(), random.names, random.policy);
    for (std::size_t i = 0; i < random.names.size(); ++i)
      ASSERT_EQ(before.candidates[i].score, after.candidates[i].score) << "seed " << seed;
  }
}

// The steps are found by geometry; here the winner is looked for at values between them.
TEST(DecideProperty, StepsNameTheWinnerAtEveryValue) {
  for (unsigned seed = 0; seed < 1000; ++seed) {
    RandomWorld random(seed);
    const auto snapshot = random.world.Snapshot();
    Decision decision = DecideFor(*snapshot, random.names, random.policy);
    const std::vector<Step> tolerances = ToleranceSteps(decision);
    const std::vector<Step> prices = CarbonPriceSteps(decision);
    const auto at = [](const std::vector<Step>& steps, double value) {
      std::size_t winner = steps.front().winner;
      for (const Step& step : steps) {
        if (step.from <= value) winner = step.winner;
      }
      return winner;
    };
    if (tolerances.empty()) continue;
    for (int probe = 0; probe < 20; ++probe) {
      const double tolerance = 0.037 * probe + 0.0011;
      const EurosPerHour limit =
          ToleranceLimit(RankedEuros(decision.candidates[tolerances.front().winner], decision),
                         Fraction(tolerance));
      decision.policy.carbon_price = EurosPerTonne(1013.7 * probe);
      for (const Candidate& c : decision.candidates) {
        if (!c.placement.grams_known || !c.placement.euros_known) continue;
        if (RankedEuros(c, decision) <= limit) {
          ASSERT_GE(RankedGrams(c, decision),
                    RankedGrams(decision.candidates[at(tolerances, tolerance)], decision))
              << "seed " << seed;
        }
        ASSERT_GE(RankedPriced(c, decision).value() * (1 + 1e-12),
                  RankedPriced(decision.candidates[at(prices, 1013.7 * probe)], decision).value())
            << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace sobre
