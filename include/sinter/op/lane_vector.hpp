// SPDX-License-Identifier: MIT
// Lane blocks themselves, for compilers that make code for the host.
#pragma once

#include "sinter/op/lane_base.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {  // never op: see lane.hpp

// The outcome of comparing N lanes of `Bytes` bytes each: all bits set, or none.
template <int Bytes, int N>
struct Mask {
  using Int = typename IntOf<Bytes>::type;
  typedef Int V __attribute__((vector_size(N * Bytes)));
  V v;
  friend SINTER_HOST Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
  friend SINTER_HOST Mask operator|(Mask a, Mask b) { return {a.v | b.v}; }
  friend SINTER_HOST Mask operator^(Mask a, Mask b) { return {a.v ^ b.v}; }
  friend SINTER_HOST Mask operator!(Mask a) { return {~a.v}; }
};

// Integers wrap around, which in C++ only unsigned ones may.
template <class T>
struct Wrapping {
  using type = T;
};
template <>
struct Wrapping<std::int32_t> {
  using type = std::uint32_t;
};
template <>
struct Wrapping<std::int64_t> {
  using type = std::uint64_t;
};

// N lanes of T. A bool takes a byte, 0 or 1.
template <class T, int N>
struct Lanes {
  using element = T;
  static constexpr int size = N;
  using Word = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;
  typedef Word V __attribute__((vector_size(N * sizeof(Word))));
  using Wrap = typename Wrapping<Word>::type;
  typedef Wrap W __attribute__((vector_size(N * sizeof(Word))));
  using Cmp = Mask<int(sizeof(Word)), N>;
  V v;

  Lanes() = default;
  SINTER_HOST Lanes(V x) : v(x) {}
  SINTER_HOST Lanes(T x) : v(Word(x) - V{}) {}  // not a sum: -0 + 0 is +0

  SINTER_HOST static Lanes load(const T* p) {
    Lanes r;
    std::memcpy(&r.v, p, sizeof(V));
    return r;
  }
  SINTER_HOST void store(T* p) const { std::memcpy(p, &v, sizeof(V)); }
  SINTER_HOST T operator[](int i) const { return T(v[i]); }

  friend SINTER_HOST Lanes operator+(Lanes a, Lanes b) { return V(W(a.v) + W(b.v)); }
  friend SINTER_HOST Lanes operator-(Lanes a, Lanes b) { return V(W(a.v) - W(b.v)); }
  friend SINTER_HOST Lanes operator*(Lanes a, Lanes b) { return V(W(a.v) * W(b.v)); }
  friend SINTER_HOST Lanes operator/(Lanes a, Lanes b) { return a.v / b.v; }
  friend SINTER_HOST Lanes operator-(Lanes a) { return V(-W(a.v)); }
  friend SINTER_HOST Cmp operator==(Lanes a, Lanes b) { return {a.v == b.v}; }
  friend SINTER_HOST Cmp operator!=(Lanes a, Lanes b) { return {a.v != b.v}; }
  friend SINTER_HOST Cmp operator<(Lanes a, Lanes b) { return {a.v < b.v}; }
  friend SINTER_HOST Cmp operator<=(Lanes a, Lanes b) { return {a.v <= b.v}; }
  friend SINTER_HOST Cmp operator>(Lanes a, Lanes b) { return {a.v > b.v}; }
  friend SINTER_HOST Cmp operator>=(Lanes a, Lanes b) { return {a.v >= b.v}; }
};

// ---- Masks as values of dtype bool, and back

template <int B, int N>
SINTER_HOST Lanes<bool, N> plain(Mask<B, N> m) {
  using Bytes = typename Mask<1, N>::V;
  using Bools = typename Lanes<bool, N>::V;
  if constexpr (B == 1) return Bools(m.v & 1);
  else return Bools(__builtin_convertvector(m.v, Bytes) & 1);
}
template <int B, int N>
SINTER_HOST Mask<B, N> mask(Lanes<bool, N> x) {
  using Bytes = typename Mask<1, N>::V;
  if constexpr (B == 1) return {-Bytes(x.v)};
  else return {-__builtin_convertvector(x.v, typename Mask<B, N>::V)};
}
template <int B, int A, int N>
SINTER_HOST Mask<B, N> mask(Mask<A, N> m) {
  if constexpr (A == B) return m;
  else return {__builtin_convertvector(m.v, typename Mask<B, N>::V)};
}

// ---- where(condition, x, y)

template <int B, class T, int N>
SINTER_HOST Lanes<T, N> where(Mask<B, N> c, Lanes<T, N> x, Lanes<T, N> y) {
  return mask<int(sizeof(x.v[0]))>(c).v ? x.v : y.v;
}
template <class T, int N>
SINTER_HOST Lanes<T, N> where(Lanes<bool, N> c, Lanes<T, N> x, Lanes<T, N> y) {
  return where(mask<int(sizeof(x.v[0]))>(c), x, y);
}

// ---- Other element types. To bool: is it other than zero?

template <class To, class T, int N>
SINTER_HOST Lanes<To, N> convert(Lanes<T, N> x) {
  if constexpr (std::is_same_v<To, T>) return x;
  else if constexpr (std::is_same_v<To, bool>) return plain(x != Lanes<T, N>(T(0)));
  else return typename Lanes<To, N>::V(__builtin_convertvector(x.v, typename Lanes<To, N>::V));
}
template <class To, int B, int N>
SINTER_HOST Lanes<To, N> convert(Mask<B, N> m) { return convert<To>(plain(m)); }

// ---- All lanes to one, in a fixed tree

template <int From, class T, int N, int... I>
SINTER_HOST Lanes<T, int(sizeof...(I))> lanes_from(Lanes<T, N> x, std::integer_sequence<int, I...>) {
  Lanes<T, int(sizeof...(I))> part;
  shuffle<(From + I)...>(part.v, x.v, x.v);
  return part;
}
// f of the two halves, down to 16 bytes, then of single lanes.
template <class T, int N, class F>
SINTER_HOST T fold_lanes(Lanes<T, N> x, F f) {
  if constexpr (N * sizeof(T) > 16) {
    constexpr std::make_integer_sequence<int, N / 2> half{};
    return fold_lanes(f(lanes_from<0>(x, half), lanes_from<N / 2>(x, half)), f);
  } else if constexpr (N == 4) {
    return f(f(x[0], x[2]), f(x[1], x[3]));
  } else {
    T a[N];
    x.store(a);
    for (int w = N / 2; w > 0; w /= 2)
      for (int i = 0; i < w; ++i) a[i] = f(a[i], a[i + w]);
    return a[0];
  }
}
template <class T, int N>
SINTER_HOST T sum(Lanes<T, N> x) {
  using W = typename Wrapping<T>::type;
  return fold_lanes(x, [](auto a, auto b) {
    if constexpr (is_lanes<decltype(a)>) return a + b;
    else return T(W(a) + W(b));
  });
}
template <class T, int N>
SINTER_HOST T prod(Lanes<T, N> x) {
  using W = typename Wrapping<T>::type;
  return fold_lanes(x, [](auto a, auto b) {
    if constexpr (is_lanes<decltype(a)>) return a * b;
    else return T(W(a) * W(b));
  });
}
template <class T, int N>
SINTER_HOST T max(Lanes<T, N> x) {
  return fold_lanes(x, [](auto a, auto b) { return max(a, b); });
}
template <class T, int N>
SINTER_HOST T min(Lanes<T, N> x) {
  return fold_lanes(x, [](auto a, auto b) { return min(a, b); });
}

// ---- Memory. half and bfloat16 exist there only.

template <int N, class T>
SINTER_HOST Lanes<compute_t<T>, N> load_lanes(const T* p) {
  if constexpr (!is_reduced_float<T>) {
    return Lanes<T, N>::load(p);
  } else {
    using U32 = typename Lanes<std::uint32_t, N>::V;
    typename Lanes<std::uint16_t, N>::V raw;
    std::memcpy(&raw, p, sizeof(raw));
    const U32 u = __builtin_convertvector(raw, U32);
    if constexpr (std::is_same_v<T, bfloat16>) {
      return bits<typename Lanes<float, N>::V>(u << 16);
    } else {  // shift into float's place, then scale by 2^112; that leaves infinities and NaNs short of exponent
      using F = Lanes<float, N>;
      const U32 rest = (u & 0x7fffu) << 13;
      const F x = F(bits<typename F::V>(rest)) * F(0x1p112f);
      const U32 special = (rest >= 0x0f800000u) & 0x7f800000u;
      return bits<typename F::V>(bits<U32>(x.v) | special | ((u & 0x8000u) << 16));
    }
  }
}
template <class T, int N>
SINTER_HOST void store_lanes(T* p, Lanes<compute_t<T>, N> x) {
  if constexpr (!is_reduced_float<T>) {
    x.store(p);
  } else {
    using U32 = typename Lanes<std::uint32_t, N>::V;
    using Raw = typename Lanes<std::uint16_t, N>::V;
    const U32 u = bits<U32>(x.v);
    U32 out;
    if constexpr (std::is_same_v<T, bfloat16>) {
      const U32 nan = (u >> 16) | 64u, rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
      out = (u & 0x7fffffffu) > 0x7f800000u ? nan : rounded;
    } else {
      using F = Lanes<float, N>;
      const U32 sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
      const U32 normal = (a + 0xc8000fffu + ((a >> 13) & 1u)) >> 13;
      const U32 tiny = bits<U32>((F(bits<typename F::V>(a)) + F(0.5f)).v) - 0x3f000000u;  // one addition rounds a subnormal
      const U32 infinite = U32{} + 0x7c00u, nan = U32{} + 0x7e00u;
      out = a < 0x38800000u ? tiny : normal;
      out = a >= 0x477ff000u ? infinite : out;
      out = (a > 0x7f800000u ? nan : out) | sign;
    }
    const Raw raw = __builtin_convertvector(out, Raw);
    std::memcpy(static_cast<void*>(p), &raw, sizeof(raw));
  }
}
}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
