// Prints one hash over thousands of decisions: the same on every build, at every number of threads.
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

#include "scoring/analysis.h"
#include "scoring/explain.h"
#include "scoring/power_fit.h"
#include "scoring/random_world.h"

namespace sobre {
namespace {

constexpr std::size_t kWorlds = 2000;

class Hash {
 public:
  void Add(std::string_view bytes) {
    for (const char c : bytes) Step(static_cast<unsigned char>(c));
  }
  void Add(double value) {
    auto bits = std::bit_cast<std::uint64_t>(value);
    for (int i = 0; i < 8; ++i, bits >>= 8) Step(static_cast<unsigned char>(bits & 255));
  }
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  void Step(unsigned char byte) { hash_ = (hash_ ^ byte) * 0x100000001b3ULL; }
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

std::uint64_t HashOfWorld(unsigned seed) {
  RandomWorld random(seed);
  for (const std::string& name : random.names) {
    if (random.Below(3) == 0) {
      const double watts = 8.0 + 0.37 * static_cast<double>(random.Below(50));
      random.world.Power(name, watts, 0.01 * static_cast<double>(random.Below(100)));
    }
  }
  random.policy.bound = seed % 2 == 0 ? Bound::kDemand : Bound::kThroughput;
  random.policy.requests = UnitsPerHour(3.7 * static_cast<double>(1 + random.Below(1000)));
  random.policy.data_region = RegionName{"aws", "eu-west-3"};
  random.policy.egress = GigabytesPerUnit(0.0001 * static_cast<double>(random.Below(10)));
  const auto snapshot = random.world.Snapshot();
  const DecisionRequest request = RequestFor(random.policy);
  const Decision decision = DecideFor(*snapshot, random.names, request);
  Hash hash;
  hash.Add(ExplainText(request, decision, *snapshot));
  std::vector<PowerPoint> points;
  for (int i = 0; i < 40; ++i) {
    const double load = 0.01 * static_cast<double>(random.Below(100));
    const double noise = 0.9 + 0.002 * static_cast<double>(random.Below(100));
    points.push_back({Fraction(load), Watts((1.1 + 2.7 * load) * noise)});
  }
  if (const auto fit = FitPower(points).fit) {
    hash.Add(fit->idle.value());
    hash.Add(fit->full.value());
    hash.Add(fit->error.value());
  }
  for (const Candidate& c : decision.candidates) {
    hash.Add(c.placement.added_power.value());
    hash.Add(c.placement.grams.value());
    hash.Add(c.placement.euros.value());
    const ReportFigures report = Attribute(request, decision, c, *snapshot);
    if (report.total) hash.Add(report.total->high.value());
    if (report.euros) hash.Add(report.euros->value());
  }
  return hash.value();
}

}  // namespace
}  // namespace sobre

int main(int argc, char** argv) {
  const std::size_t threads = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1;
  std::vector<std::uint64_t> hashes(sobre::kWorlds);
  std::vector<std::thread> workers;
  for (std::size_t t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      for (std::size_t i = t; i < hashes.size(); i += threads)
        hashes[i] = sobre::HashOfWorld(static_cast<unsigned>(i));
    });
  }
  for (std::thread& worker : workers) worker.join();
  sobre::Hash all;
  for (const std::uint64_t hash : hashes) all.Add(std::bit_cast<double>(hash));
  std::printf("%016llx\n", static_cast<unsigned long long>(all.value()));
  return 0;
}
