// SPDX-License-Identifier: MIT
// What lane blocks are made of, whoever compiles them.
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

template <class T, int N>
struct Lanes;
template <int Bytes, int N>
struct Mask;

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

// The same bits read as another type of the same size.
template <class To, class From>
SINTER_HD To bits(From x) {
  static_assert(sizeof(To) == sizeof(From), "sinter: bits() keeps the size");
  To y;
  std::memcpy(&y, &x, sizeof(To));
  return y;
}

// to = the elements I of a, behind which b follows.
template <int... I, class To, class V>
SINTER_HOST void shuffle(To& to, const V& a, const V& b) {
#if defined(__CUDACC__)  // whose front end loses the pack within the builtin
  constexpr int n = int(sizeof(V) / sizeof(a[0]));
  int k = 0;
  ((to[k++] = I < n ? a[I % n] : b[I % n]), ...);
#else
  to = __builtin_shufflevector(a, b, I...);
#endif
}

template <class T>
SINTER_HD T where(bool c, T x, T y) { return c ? x : y; }
// A NaN wins over any number, as in PyTorch.
template <class T>
SINTER_HD T max(T a, T b) { return where((a > b) | (a != a), a, b); }
template <class T>
SINTER_HD T min(T a, T b) { return where((a < b) | (a != a), a, b); }
}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
