// SPDX-License-Identifier: MIT
// Random numbers by counter: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011). Number
// i of a draw depends on seed, position and i alone, so the stream is the same for any number of threads.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>

#include "sinter/core/config.hpp"

namespace sinter {

// Four words of the stream with key `seed` at `counter`; `stream` tells independent uses of a counter apart.
struct Philox {
  std::uint32_t word[4];
  SINTER_HOST_DEVICE Philox(std::uint64_t seed, std::uint64_t counter, std::uint64_t stream = 0)
      : word{std::uint32_t(counter), std::uint32_t(counter >> 32), std::uint32_t(stream), std::uint32_t(stream >> 32)} {
    std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t a = std::uint64_t(0xD2511F53u) * word[0], b = std::uint64_t(0xCD9E8D57u) * word[2];
      const std::uint32_t w1 = word[1], w3 = word[3];
      word[0] = std::uint32_t(b >> 32) ^ w1 ^ k0;
      word[1] = std::uint32_t(b);
      word[2] = std::uint32_t(a >> 32) ^ w3 ^ k1;
      word[3] = std::uint32_t(a);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
  }
};

// Uniform in [0, 1), 24 random bits.
SINTER_HOST_DEVICE float uniform_of(std::uint32_t word) { return float(word >> 8) * 0x1p-24f; }

// A seed and a position in its stream. Draws take consecutive stretches.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) : seed_(seed) {}
  void manual_seed(std::uint64_t seed) {
    seed_ = seed;
    position_ = 0;
  }
  std::uint64_t seed() const { return seed_; }
  // Where the stream stands; a draw of n numbers moves it.
  std::uint64_t position() const { return position_; }
  void set_position(std::uint64_t p) { position_ = p; }
  // Reserves counters for n numbers, four to a counter, and returns the first.
  std::uint64_t reserve(std::uint64_t n) { return position_.fetch_add((n + 3) / 4); }
  // One number, for shuffles and the like: uniform in [0, bound), without bias.
  std::uint64_t below(std::uint64_t bound) {
    for (;;) {
      const Philox p(seed_, reserve(1));
      const std::uint64_t x = p.word[0] | std::uint64_t(p.word[1]) << 32;
      const std::uint64_t limit = ~std::uint64_t(0) - (~std::uint64_t(0) % bound + 1) % bound;
      if (x <= limit) return x % bound;
    }
  }

 private:
  std::uint64_t seed_;
  std::atomic<std::uint64_t> position_{0};
};

inline Generator& default_generator() {
  static Generator g(0x853c49e6748fea9bull);
  return g;
}
// Seeds the generator that rand, randn, initialisers, dropout and shuffling use by default.
inline void manual_seed(std::uint64_t seed) { default_generator().manual_seed(seed); }

// Two independent normal numbers from two words (Box and Muller).
template <class T>
SINTER_HOST_DEVICE void normal_pair(std::uint32_t a, std::uint32_t b, T& x, T& y) {
  const double u = (double(a) + 1.0) * 0x1p-32, angle = 6.283185307179586477 * 0x1p-32 * double(b);  // u in (0, 1]
  const double r = std::sqrt(-2.0 * std::log(u));
  x = T(r * std::cos(angle));
  y = T(r * std::sin(angle));
}

}  // namespace sinter
