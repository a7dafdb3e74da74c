// SPDX-License-Identifier: MIT
// The inputs of every workload, as a function of a name and a place, so that each peer makes the same numbers for itself;
// and the digest by which results are compared. common.py is the same in numpy.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

// The last steps of MurmurHash3 (Austin Appleby, public domain): every bit of x moves every bit of the result.
inline std::uint32_t mix(std::uint32_t x) {
  x = (x ^ x >> 16) * 0x85ebca6bu;
  x = (x ^ x >> 13) * 0xc2b2ae35u;
  return x ^ x >> 16;
}
// FNV-1a.
inline std::uint32_t seed_of(std::string_view name) {
  std::uint32_t h = 2166136261u;
  for (const char c : name) h = (h ^ std::uint32_t(static_cast<unsigned char>(c))) * 16777619u;
  return mix(h);
}
// Four uniform numbers of 16 bits, summed: mean 0, variance 1, and near enough to normal. Exact in float but for one rounding.
inline float normal(std::uint32_t seed, std::uint32_t i) {
  const std::uint32_t a = mix(seed + 2 * i), b = mix(seed + 2 * i + 1);
  const auto sum = std::int32_t((a & 0xffff) + (a >> 16) + (b & 0xffff) + (b >> 16)) - 131070;
  return float(sum) * float(1 / 37837.227);
}

inline void fill(std::string_view name, float* to, std::int64_t n, double scale = 1, double shift = 0) {
  const std::uint32_t seed = seed_of(name);
  for (std::int64_t i = 0; i < n; ++i) to[i] = float(double(normal(seed, std::uint32_t(i))) * scale + shift);
}
template <class I>
void fill_labels(std::string_view name, I* to, std::int64_t n, std::int64_t classes) {
  const std::uint32_t seed = seed_of(name);
  for (std::int64_t i = 0; i < n; ++i) to[i] = I(mix(seed + std::uint32_t(i)) % std::uint32_t(classes));
}
// Weights have variance 1 / fan in; the scales of norms lie around 1, biases around 0.
inline void fill_parameter(const std::string& name, float* to, std::int64_t n, int rank, std::int64_t outputs) {
  const bool weight = name.size() >= 6 && name.compare(name.size() - 6, 6, "weight") == 0;
  if (rank >= 2) fill(name, to, n, std::sqrt(double(outputs) / double(n)));
  else fill(name, to, n, 0.1, weight ? 1 : 0);
}

// The norm of some numbers, and their product with fixed random ones, which notices what changes places.
struct Digest {
  double squares = 0, dot = 0;
  void add(const float* x, std::int64_t n) {
    const std::uint32_t seed = seed_of("digest");
    for (std::int64_t i = 0; i < n; ++i) {
      squares += double(x[i]) * double(x[i]);
      dot += double(x[i]) * double(normal(seed, std::uint32_t(i)));
    }
  }
  double norm() const { return std::sqrt(squares); }
};

}  // namespace bench
