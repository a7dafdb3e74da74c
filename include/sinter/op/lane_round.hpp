// SPDX-License-Identifier: MIT
// Lane blocks: roots, rounding, and the bits of floating-point numbers that the functions of analysis build on.
#pragma once

#include "sinter/op/lane_isa.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {  // never op: see lane.hpp

// Of the IEEE format of T. Adding `magic` leaves the nearest integer in the low bits.
template <class T>
struct Ieee;
template <>
struct Ieee<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float magic = 0x1.8p23f, all_integers = 0x1p23f;
  static constexpr std::int32_t magic_bits = 0x4b400000;
};
template <>
struct Ieee<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double magic = 0x1.8p52, all_integers = 0x1p52;
  static constexpr std::int64_t magic_bits = 0x4338000000000000;
};

// The vectors behind a block, by name. The functions work on these: fewer calls to compile, and a*b + c in one
// expression becomes one instruction with either compiler.
template <class T, int N>
struct Vectors {
  using V = typename Lanes<T, N>::V;
  using I = typename Lanes<T, N>::Cmp::V;
  using U = typename Lanes<std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>, N>::V;
};

// f applied to one lane after the other.
template <class T, int N, class F>
SINTER_HOST Lanes<T, N> each_lane(Lanes<T, N> x, Lanes<T, N> y, F f) {
  T a[N], b[N];
  x.store(a);
  y.store(b);
  for (int i = 0; i < N; ++i) a[i] = f(a[i], b[i]);
  return Lanes<T, N>::load(a);
}

template <int B, int N>
SINTER_HOST bool any(Mask<B, N> m) {
  if constexpr (B * N < 8) {
    std::uint32_t w;
    std::memcpy(&w, &m.v, 4);
    return w != 0;
  } else {
    std::uint64_t w[B * N / 8], all = 0;
    std::memcpy(w, &m.v, sizeof(w));
    for (std::uint64_t x : w) all |= x;
    return all != 0;
  }
}

// ---- Roots

template <class T, int N>
SINTER_HOST Lanes<T, N> sqrt(Lanes<T, N> x) { return root_of(x.v); }
template <class T, int N>
SINTER_HOST Lanes<T, N> rsqrt(Lanes<T, N> x) { return Lanes<T, N>(T(1)) / sqrt(x); }

// ---- Rounding, by an addition that leaves no room for a fraction

// To the nearest integer; halves to the even one.
template <class T, int N>
SINTER_HOST Lanes<T, N> rint(Lanes<T, N> x) {
  const auto a = abs(x).v;
  const auto r = (a + Ieee<T>::all_integers) - Ieee<T>::all_integers;
  return copysign(Lanes<T, N>(a < Ieee<T>::all_integers ? r : a), x);
}
template <class T, int N>
SINTER_HOST Lanes<T, N> floor(Lanes<T, N> x) {
  const auto r = rint(x).v;
  return copysign(Lanes<T, N>(r > x.v ? r - T(1) : r), x);
}
template <class T, int N>
SINTER_HOST Lanes<T, N> ceil(Lanes<T, N> x) {
  const auto r = rint(x).v;
  return copysign(Lanes<T, N>(r < x.v ? r + T(1) : r), x);
}
template <class T, int N>
SINTER_HOST Lanes<T, N> trunc(Lanes<T, N> x) {
  const auto a = abs(x).v;
  return copysign(floor(Lanes<T, N>(a)), x);
}
// Lane by lane: a long division has no end that all lanes share.
template <class T, int N>
SINTER_HOST Lanes<T, N> fmod(Lanes<T, N> x, Lanes<T, N> y) {
  return each_lane(x, y, [](T a, T b) { return std::fmod(a, b); });
}

}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
