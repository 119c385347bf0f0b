#pragma once

#include <array>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "scoring/test_world.h"

namespace sobre {

class RandomWorld {
 public:
  explicit RandomWorld(unsigned seed) : random_(seed) {
    const std::size_t size = 2 + Below(20);
    for (std::size_t i = 0; i < size; ++i) {
      const std::string name = "n" + std::to_string(i);
      const bool placed = Below(6) > 0;
      static constexpr std::array<std::pair<const char*, const char*>, 4> kPlaces = {
          {{"aws", "eu-west-3"},
           {"aws", "eu-central-1"},
           {"scaleway", "pl-waw"},
           {"gcp", "europe-west1"}}};
      const auto& [provider, region] = kPlaces[Below(kPlaces.size())];
      world.Node(name, placed ? provider : "", placed ? region : "");
      if (Below(6) > 0) world.Price(name, 0.05 + 0.01 * static_cast<double>(Below(100)));
      names.push_back(name);
    }
    if (Below(2) == 0) {
      for (const auto& [provider, region] :
           {std::pair("aws", "eu-west-3"), std::pair("aws", "eu-central-1"),
            std::pair("scaleway", "pl-waw"), std::pair("gcp", "europe-west1")}) {
        world.Grid(provider, region, static_cast<double>(Below(900)));
      }
    }
    policy.objective = static_cast<Objective>(Below(4));
    policy.cost_tolerance = Fraction(0.05 * static_cast<double>(Below(6)));
    policy.carbon_price = EurosPerTonne(static_cast<double>(Below(500)));
  }
  std::size_t Below(std::size_t n) { return random_() % n; }
  std::mt19937& random() { return random_; }

  TestWorld world;
  std::vector<std::string> names;
  Policy policy;

 private:
  std::mt19937 random_;
};

}  // namespace sobre
