#pragma once

#include <cmath>
#include <cstdint>
#include <random>

namespace sobre::backtest {

// The same numbers from the same seed with every standard library: the standard's distributions do
// not promise that. Not thread-safe.
class Random {
 public:
  explicit Random(std::uint64_t seed) : bits_(seed) {}
  // From [0, 1).
  double Uniform() { return static_cast<double>(bits_() >> 11U) * 0x1p-53; }
  // From 0 to n − 1; n > 0.
  std::uint64_t Below(std::uint64_t n) {
    // What would favour small numbers is drawn again.
    const std::uint64_t unfair = (0 - n) % n;
    std::uint64_t drawn = bits_();
    while (drawn < unfair) drawn = bits_();
    return drawn % n;
  }
  // Of mean 1.
  double Exponential() { return -std::log1p(-Uniform()); }
  // Of median 1 and this standard deviation of its logarithm.
  double LogNormal(double sigma) {
    constexpr double kTwoPi = 6.283185307179586;
    const double radius = std::sqrt(2 * Exponential());
    return std::exp(sigma * radius * std::cos(kTwoPi * Uniform()));
  }
  // Pareto of this shape, from 1 up to `most`.
  double Pareto(double shape, double most) {
    const double tail = std::pow(most, -shape);
    return std::pow(1 - Uniform() * (1 - tail), -1 / shape);
  }

 private:
  std::mt19937_64 bits_;
};

}  // namespace sobre::backtest
