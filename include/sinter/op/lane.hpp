// SPDX-License-Identifier: MIT
// Lane blocks: N elements in one SIMD register, and the words that ops may use on them and on plain numbers alike. What
// is missing for either kind does not compile; nothing falls back to a scalar loop unless its comment says so.
//
// A block is a vector of the compiler's own (GCC, clang): every operator below is one instruction for one register, at any
// width, and costs the compiler nothing to parse. The functions of analysis are in lane_math.hpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "sinter/core/config.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// The words live beside the ops, not among them: op structs are template arguments of expressions, and argument-dependent
// lookup of sinter::exp(expression) must not see the exp() of blocks. `using namespace` is invisible to that lookup.
namespace lane {}
namespace op {
using namespace lane;
}
namespace lane {

// What an op works on: numbers of any dtype, floating point only (integers become float), or bool.
enum class Domain { any, floating, boolean };

template <int Bytes>
struct IntOf;
template <>
struct IntOf<1> {
  using type = std::int8_t;
};
template <>
struct IntOf<2> {
  using type = std::int16_t;
};
template <>
struct IntOf<4> {
  using type = std::int32_t;
};
template <>
struct IntOf<8> {
  using type = std::int64_t;
};

// The outcome of comparing N lanes of `Bytes` bytes each: all bits set, or none.
template <int Bytes, int N>
struct Mask {
  using Int = typename IntOf<Bytes>::type;
  typedef Int V __attribute__((vector_size(N * Bytes)));
  V v;
  friend SINTER_HD Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
  friend SINTER_HD Mask operator|(Mask a, Mask b) { return {a.v | b.v}; }
  friend SINTER_HD Mask operator^(Mask a, Mask b) { return {a.v ^ b.v}; }
  friend SINTER_HD Mask operator!(Mask a) { return {~a.v}; }
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
  SINTER_HD Lanes(V x) : v(x) {}
  SINTER_HD Lanes(T x) : v(Word(x) - V{}) {}  // not a sum: -0 + 0 is +0

  SINTER_HD static Lanes load(const T* p) {
    Lanes r;
    std::memcpy(&r.v, p, sizeof(V));
    return r;
  }
  SINTER_HD void store(T* p) const { std::memcpy(p, &v, sizeof(V)); }
  SINTER_HD T operator[](int i) const { return T(v[i]); }

  friend SINTER_HD Lanes operator+(Lanes a, Lanes b) { return V(W(a.v) + W(b.v)); }
  friend SINTER_HD Lanes operator-(Lanes a, Lanes b) { return V(W(a.v) - W(b.v)); }
  friend SINTER_HD Lanes operator*(Lanes a, Lanes b) { return V(W(a.v) * W(b.v)); }
  friend SINTER_HD Lanes operator/(Lanes a, Lanes b) { return a.v / b.v; }
  friend SINTER_HD Lanes operator-(Lanes a) { return V(-W(a.v)); }
  friend SINTER_HD Cmp operator==(Lanes a, Lanes b) { return {a.v == b.v}; }
  friend SINTER_HD Cmp operator!=(Lanes a, Lanes b) { return {a.v != b.v}; }
  friend SINTER_HD Cmp operator<(Lanes a, Lanes b) { return {a.v < b.v}; }
  friend SINTER_HD Cmp operator<=(Lanes a, Lanes b) { return {a.v <= b.v}; }
  friend SINTER_HD Cmp operator>(Lanes a, Lanes b) { return {a.v > b.v}; }
  friend SINTER_HD Cmp operator>=(Lanes a, Lanes b) { return {a.v >= b.v}; }
};

template <class T>
inline constexpr bool is_lanes = false;
template <class T, int N>
inline constexpr bool is_lanes<Lanes<T, N>> = true;

// The number behind a block: float for Lanes<float, 16> and for float.
template <class T>
struct ElementOf {
  using type = T;
};
template <class T, int N>
struct ElementOf<Lanes<T, N>> {
  using type = T;
};
template <class T>
using element_t = typename ElementOf<T>::type;

// ---- Masks as values of dtype bool, and back

template <class T>
SINTER_HD T plain(T x) { return x; }
template <int B, int N>
SINTER_HD Lanes<bool, N> plain(Mask<B, N> m) {
  using Bytes = typename Mask<1, N>::V;
  using Bools = typename Lanes<bool, N>::V;
  if constexpr (B == 1) return Bools(m.v & 1);
  else return Bools(__builtin_convertvector(m.v, Bytes) & 1);
}
template <int B, int N>
SINTER_HD Mask<B, N> mask(Lanes<bool, N> x) {
  using Bytes = typename Mask<1, N>::V;
  if constexpr (B == 1) return {-Bytes(x.v)};
  else return {-__builtin_convertvector(x.v, typename Mask<B, N>::V)};
}
template <int B, int A, int N>
SINTER_HD Mask<B, N> mask(Mask<A, N> m) {
  if constexpr (A == B) return m;
  else return {__builtin_convertvector(m.v, typename Mask<B, N>::V)};
}

// ---- where(condition, x, y)

template <class T>
SINTER_HD T where(bool c, T x, T y) { return c ? x : y; }
template <int B, class T, int N>
SINTER_HD Lanes<T, N> where(Mask<B, N> c, Lanes<T, N> x, Lanes<T, N> y) {
  return mask<int(sizeof(x.v[0]))>(c).v ? x.v : y.v;
}
template <class T, int N>
SINTER_HD Lanes<T, N> where(Lanes<bool, N> c, Lanes<T, N> x, Lanes<T, N> y) {
  return where(mask<int(sizeof(x.v[0]))>(c), x, y);
}

// ---- Other element types. To bool: is it other than zero?

template <class To, class T>
SINTER_HD std::enable_if_t<!is_lanes<T>, To> convert(T x) {
  if constexpr (std::is_same_v<To, bool>) return x != T(0);
  else return To(x);
}
template <class To, class T, int N>
SINTER_HD Lanes<To, N> convert(Lanes<T, N> x) {
  if constexpr (std::is_same_v<To, T>) return x;
  else if constexpr (std::is_same_v<To, bool>) return plain(x != Lanes<T, N>(T(0)));
  else return typename Lanes<To, N>::V(__builtin_convertvector(x.v, typename Lanes<To, N>::V));
}
template <class To, int B, int N>
SINTER_HD Lanes<To, N> convert(Mask<B, N> m) { return convert<To>(plain(m)); }

// ---- Words without analysis

// A NaN wins over any number, as in PyTorch.
template <class T>
SINTER_HD T max(T a, T b) { return where((a > b) | (a != a), a, b); }
template <class T>
SINTER_HD T min(T a, T b) { return where((a < b) | (a != a), a, b); }

template <class T>
SINTER_HD auto isnan(T x) { return x != x; }
template <class T>
SINTER_HD auto isfinite(T x) { return (x - x) == T(0); }

// The same bits read as another type of the same size.
template <class To, class From>
SINTER_HD To bits(From x) {
  static_assert(sizeof(To) == sizeof(From), "sinter: bits() keeps the size");
  To y;
  std::memcpy(&y, &x, sizeof(To));
  return y;
}

// The signed integer of T's width, alone or in lanes.
template <class T>
struct SameInt {
  using type = typename IntOf<int(sizeof(T))>::type;
};
template <class T, int N>
struct SameInt<Lanes<T, N>> {
  using type = Lanes<typename IntOf<int(sizeof(T))>::type, N>;
};
template <class T>
using same_int = typename SameInt<T>::type;

template <class T>
SINTER_HD T abs(T x) {
  using E = element_t<T>;
  if constexpr (std::is_unsigned_v<E>) {
    return x;
  } else if constexpr (!std::is_floating_point_v<E>) {
    return where(x < T(0), -x, x);
  } else if constexpr (is_lanes<T>) {
    using I = same_int<T>;
    using W = element_t<I>;
    return bits<typename T::V>(bits<typename I::V>(x.v) & I(W(~(W(1) << (sizeof(W) * 8 - 1)))).v);
  } else {
    return std::fabs(x);
  }
}
template <class T>
SINTER_HD auto isinf(T x) { return abs(x) > T(std::numeric_limits<element_t<T>>::max()); }
// The magnitude of x with the sign of y.
template <class T>
SINTER_HD T copysign(T x, T y) {
  if constexpr (is_lanes<T>) {
    using I = same_int<T>;
    using W = element_t<I>;
    const auto sign = I(W(W(1) << (sizeof(W) * 8 - 1))).v;
    return bits<typename T::V>((bits<typename I::V>(x.v) & ~sign) | (bits<typename I::V>(y.v) & sign));
  } else {
    return std::copysign(x, y);
  }
}

// ---- All lanes to one, in a fixed tree

template <int From, class T, int N, int... I>
SINTER_HD Lanes<T, int(sizeof...(I))> lanes_from(Lanes<T, N> x, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(x.v, x.v, (From + I)...);
}
// f of the two halves, down to 16 bytes, then of single lanes.
template <class T, int N, class F>
SINTER_HD T fold_lanes(Lanes<T, N> x, F f) {
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
SINTER_HD T sum(Lanes<T, N> x) {
  using W = typename Wrapping<T>::type;
  return fold_lanes(x, [](auto a, auto b) {
    if constexpr (is_lanes<decltype(a)>) return a + b;
    else return T(W(a) + W(b));
  });
}
template <class T, int N>
SINTER_HD T prod(Lanes<T, N> x) {
  using W = typename Wrapping<T>::type;
  return fold_lanes(x, [](auto a, auto b) {
    if constexpr (is_lanes<decltype(a)>) return a * b;
    else return T(W(a) * W(b));
  });
}
template <class T, int N>
SINTER_HD T max(Lanes<T, N> x) {
  return fold_lanes(x, [](auto a, auto b) { return max(a, b); });
}
template <class T, int N>
SINTER_HD T min(Lanes<T, N> x) {
  return fold_lanes(x, [](auto a, auto b) { return min(a, b); });
}

// ---- Memory. half and bfloat16 exist there only.

template <int N, class T>
SINTER_HD Lanes<compute_t<T>, N> load_lanes(const T* p) {
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
SINTER_HD void store_lanes(T* p, Lanes<compute_t<T>, N> x) {
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
